"""Answers search questions with MLflow's own parser.

Reads a JSON list of questions from standard input and writes the list of answers to standard
output. A question has ``about`` (``runs``, ``experiments``, ``logged_models``,
``registered_models``, ``model_versions``, ``trace_metrics`` or ``page_token``), and ``filter``,
``order_by`` or ``page_token``. An answer has ``result``; or ``code`` and ``message`` of an
MlflowException; or ``exception``, the name of any other exception.
"""

# ruff: noqa: SLF001 - MLflow's insides are what is asked

import json
import sys
from collections.abc import Callable
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel
from mlflow.store.tracking.sqlalchemy_store import (
    _get_search_experiments_filter_clauses,
    _get_search_experiments_order_by_clauses,
)
from mlflow.utils.search_logged_model_utils import parse_filter_string
from mlflow.utils.search_utils import (
    SearchExperimentsUtils,
    SearchModelUtils,
    SearchModelVersionUtils,
    SearchTraceMetricsUtils,
    SearchUtils,
)

# Without a database: only what judges filters is called.
REGISTRY = object.__new__(RegistryStore)


def value_of(value: Any) -> Any:
    """Writes a comparison's value so that JSON keeps its type and all of its digits."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, int):
        return {"whole": str(value)}
    if isinstance(value, float):
        return {"float": repr(value)}
    return value


def run_comparison(comparison: dict[str, Any]) -> list[Any]:
    """Checks a comparison of runs as ``_get_sqlalchemy_filter_clauses`` does."""
    kind, value = comparison["type"], comparison["value"]
    comparator = comparison["comparator"].upper()
    key = SearchUtils.translate_key_alias(comparison["key"])
    if not SearchUtils.is_attribute(kind, key, comparator):
        if SearchUtils.is_metric(kind, comparator):
            value = float(value)
        elif not (
            SearchUtils.is_param(kind, comparator)
            or SearchUtils.is_tag(kind, comparator)
            or SearchUtils.is_dataset(kind, comparator)
        ):
            raise AssertionError(f"unknown kind {kind}")
    return [kind, key, comparator, value_of(value)]


def filter_runs(question: dict[str, Any]) -> list[Any]:
    """Parses a filter of runs."""
    return [run_comparison(c) for c in SearchUtils.parse_search_filter(question["filter"])]


def filter_experiments(question: dict[str, Any]) -> list[Any]:
    """Parses a filter of experiments, and checks it as the store does."""
    parsed = SearchExperimentsUtils.parse_search_filter(question["filter"])
    _get_search_experiments_filter_clauses(parsed, "sqlite")
    result = []
    for c in parsed:
        value = c["value"]
        if c["key"] == "experiment_id" and c["type"] == "attribute":
            many = isinstance(value, tuple)
            value = tuple(str(int(v)) for v in value) if many else str(int(value))
        result.append([c["type"], c["key"], c["comparator"], value_of(value)])
    return result


def filter_logged_models(question: dict[str, Any]) -> list[Any]:
    """Parses a filter of logged models; an attribute must be a column."""
    result = []
    for c in parse_filter_string(question["filter"]):
        kind = {"params": "parameter"}.get(c.entity.type.value, c.entity.type.value[:-1])
        if kind == "attribute" and c.entity.key not in SqlLoggedModel.__table__.columns:
            raise AttributeError(c.entity.key)
        result.append([kind, c.entity.key, c.op, value_of(c.value)])
    return result


def filter_registered_models(question: dict[str, Any]) -> list[Any]:
    """Parses a filter of registered models, and checks it as the store does."""
    parsed = SearchModelUtils.parse_search_filter(question["filter"])
    REGISTRY._get_search_registered_model_filter_query(None, parsed, "sqlite")
    return [[c["type"], c["key"], c["comparator"], value_of(c["value"])] for c in parsed]


def filter_model_versions(question: dict[str, Any]) -> list[Any]:
    """Parses a filter of model versions, and checks it as the store does."""
    parsed = SearchModelVersionUtils.parse_search_filter(question["filter"])
    REGISTRY._get_search_model_versions_filter_clauses(parsed, "sqlite")
    return [
        [
            c["type"],
            c["key"],
            c["comparator"],
            value_of(
                int(c["value"]) if c["key"] == "version_number" and c["type"] == "attribute" else c["value"]
            ),
        ]
        for c in parsed
    ]


def filter_trace_metrics(question: dict[str, Any]) -> list[Any]:
    """Parses a filter of trace metrics."""
    parsed = SearchTraceMetricsUtils.parse_search_filter(question["filter"])
    return [parsed.view_type, parsed.entity, parsed.key or "", parsed.value]


def order_registered_models(question: dict[str, Any]) -> list[Any]:
    """Parses order_by clauses of registered models."""
    RegistryStore._parse_search_registered_models_order_by(question["order_by"])
    parsed = map(SearchUtils.parse_order_by_for_search_registered_models, question["order_by"])
    return [
        ["attribute", "name" if key == "name" else "last_updated_timestamp", ascending]
        for key, ascending in parsed
    ]


def order_model_versions(question: dict[str, Any]) -> list[Any]:
    """Parses order_by clauses of model versions, of which only the keys count."""
    RegistryStore._parse_search_model_versions_order_by(question["order_by"])
    parse = SearchModelVersionUtils.parse_order_by_for_search_model_versions
    return [["attribute", *parse(clause)[1:]] for clause in question["order_by"]]


def order_runs(question: dict[str, Any]) -> list[Any]:
    """Parses order_by clauses of runs as ``_get_orderby_clauses`` does."""
    result = []
    for clause in question["order_by"]:
        kind, key, ascending = SearchUtils.parse_order_by_for_search_runs(clause)
        key = SearchUtils.translate_key_alias(key)
        if kind == "dataset":
            raise MlflowException.invalid_parameter_value(f"Invalid identifier type '{kind}'")
        if any([kind, key] == other[:2] for other in result):
            raise MlflowException(f"`order_by` contains duplicate fields: {question['order_by']}")
        result.append([kind, key, ascending])
    return result


def order_experiments(question: dict[str, Any]) -> list[Any]:
    """Parses order_by clauses of experiments."""
    _get_search_experiments_order_by_clauses(question["order_by"])
    parse = SearchExperimentsUtils.parse_order_by_for_search_experiments
    return [list(parse(clause)) for clause in question["order_by"]]


def page_token(question: dict[str, Any]) -> int:
    """Parses a page token."""
    return SearchUtils.parse_start_offset_from_page_token(question["page_token"])


ANSWERS: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
    ("runs", "filter"): filter_runs,
    ("runs", "order_by"): order_runs,
    ("experiments", "filter"): filter_experiments,
    ("logged_models", "filter"): filter_logged_models,
    ("experiments", "order_by"): order_experiments,
    ("registered_models", "filter"): filter_registered_models,
    ("registered_models", "order_by"): order_registered_models,
    ("model_versions", "filter"): filter_model_versions,
    ("model_versions", "order_by"): order_model_versions,
    ("trace_metrics", "filter"): filter_trace_metrics,
    ("page_token", "page_token"): page_token,
}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Answers one question."""
    part = next(name for name in ("filter", "order_by", "page_token") if name in question)
    try:
        return {"result": ANSWERS[question["about"], part](question)}
    except MlflowException as e:
        return {"code": e.error_code, "message": e.message}
    except Exception as e:  # noqa: BLE001 - whatever it is, it is the answer
        return {"exception": type(e).__name__}


if __name__ == "__main__":
    json.dump([answer(question) for question in json.load(sys.stdin)], sys.stdout)

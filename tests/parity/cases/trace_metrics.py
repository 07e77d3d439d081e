"""What the UI asks of traces, spans and assessments in numbers, with traces that Python writes."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timezone
from typing import Any

from tests.parity.cases import ask, case, new_experiment, post
from tests.parity.twins import Step

_METRICS = "/api/3.0/mlflow/traces/metrics"
_BEGIN_MS = 1_700_000_000_000
_HOUR_MS = 3_600_000
_NAMES = ("chat", "Chat", "agent ü", None)
_STATES = ("OK", "ERROR", "OK", "IN_PROGRESS")
# A session, token counts and costs are columns; other metadata are rows.
_SESSIONS = ("s1", "s2", None)
_MODELS = (("gpt", "openai"), ("claude", "anthropic"), (None, None), ("gpt", "azure"))
# Sums of eighths are exact in any order, and in any version of SQLite; what outputs cost isn't summed.
_COSTS = (0.125, 0.25, 0.5, None, 1.0)
_JUDGED = (True, "yes", "no", 0.25, 3, "free text", {"a": [1]}, False)


def _trace_id(index: int, case_number: int = 1) -> str:
    return f"{case_number:08x}{index:024x}"


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc).isoformat().replace("+00:00", "Z")


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _tokens(index: int) -> str | None:
    """Token usage as metadata; some traces have none, some a part of it."""
    if index % 4 == 3:
        return None
    usage = {"input_tokens": index * 10, "output_tokens": index * 3, "total_tokens": index * 13}
    if index % 4 == 1:
        usage |= {"cache_read_input_tokens": index, "cache_creation_input_tokens": 2 * index}
    return json.dumps(usage)


def _trace(index: int) -> Step:
    at = _BEGIN_MS + index * 17 * 60_000 + index
    info = {
        "trace_id": f"tr-{_trace_id(index)}",
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": "${exp}" if index % 7 else "${other}"},
        },
        "request_time": _time(at),
        "state": _STATES[index % 4],
        "trace_metadata": _without_none(
            {
                "mlflow.trace.session": _SESSIONS[index % 3],
                "mlflow.trace.tokenUsage": _tokens(index),
                "mlflow.trace.cost": json.dumps({"input_cost": 0.1, "total_cost": index / 8})
                if index % 2
                else None,
                "mlflow.sourceRun": "0" * 32 if index % 5 == 0 else None,
                "user": f"u{index % 2}",
            }
        ),
        "tags": _without_none({"mlflow.traceName": _NAMES[index % 4], "team": "a'b" if index % 2 else "é"}),
    }
    if index % 4 != 3:
        info["execution_duration"] = f"{(index * index) % 1000 / 1000:.3f}s"
    return post("/api/3.0/mlflow/traces", {"trace": {"trace_info": info}}, native=False, rows=False)


def _span(index: int, child: int) -> dict[str, Any]:
    start = (_BEGIN_MS + index * 17 * 60_000 + child * 7) * 1_000_000 + child
    model, provider = _MODELS[(index + child) % 4]
    cost = _COSTS[(index * 3 + child) % 5]
    attributes = {
        "mlflow.spanType": ("LLM", "TOOL", None)[child % 3],
        "mlflow.llm.model": model,
        "mlflow.llm.provider": provider,
        "mlflow.llm.cost": cost and {"input_cost": cost, "output_cost": cost * 0.3, "total_cost": cost * 3},
    }
    return {
        "traceId": _trace_id(index),
        "spanId": f"{index:08x}{child + 1:08x}",
        **({"parentSpanId": f"{index:08x}{1:08x}"} if child else {}),
        "name": ("plan", "Plan", "act é")[child % 3],
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + (index * 37 + child * 11) % 500 * 1_000_000 + 999_999),
        "status": {"code": (0, 1, 2)[(index + child) % 3]},
        "attributes": [
            {"key": key, "value": {"stringValue": value if isinstance(value, str) else json.dumps(value)}}
            for key, value in attributes.items()
            if value is not None
        ],
    }


def _spans(index: int) -> Step:
    spans = [_span(index, child) for child in range(index % 4)]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    headers = {"X-Mlflow-Experiment-Id": "${exp}" if index % 7 else "${other}"}
    return Step("POST", "/v1/traces", json=body, headers=headers, native=False)


def _assessment(index: int, number: int) -> Step:
    at = _time(_BEGIN_MS + index)
    judged = _JUDGED[(index + number) % len(_JUDGED)]
    said = {"feedback": {"value": judged}} if number % 3 else {"expectation": {"value": judged}}
    body = {
        "trace_id": f"tr-{_trace_id(index)}",
        "assessment_name": ("correct", "helpful", "tone")[number % 3],
        "source": {"source_type": "HUMAN", "source_id": "me"},
        "create_time": at,
        "last_update_time": at,
        "valid": index % 5 != 0,
        **said,
    }
    path = f"/api/3.0/mlflow/traces/tr-{_trace_id(index)}/assessments"
    return post(path, {"assessment": body}, native=False, rows=False)


def _aggregations(*names: str | float) -> list[dict[str, Any]]:
    """Aggregations by their names; numbers are percentiles."""
    return [
        {"aggregation_type": name}
        if isinstance(name, str)
        else {"aggregation_type": "PERCENTILE", "percentile_value": name}
        for name in names
    ]


def _query(view: str, metric: str, *names: str | float, **more: Any) -> Step:
    body = {
        "experiment_ids": ["${exp}"],
        "view_type": view,
        "metric_name": metric,
        "aggregations": _aggregations(*names),
        **more,
    }
    return ask(_METRICS, {key: value for key, value in body.items() if value != "absent"})


def _each(
    view: str, metric: str, dimensions: tuple[str, ...], *aggregations: tuple[str | float, ...], **more: Any
) -> list[Step]:
    """Ask for a metric by every set of dimensions, by time and altogether."""
    every = {"start_time_ms": _BEGIN_MS, "end_time_ms": _BEGIN_MS + 12 * _HOUR_MS}
    return [
        _query(view, metric, *names, **({"dimensions": list(by)} if by else {}), **time, **more)
        for names in aggregations
        for size in range(min(len(dimensions), 2) + 1)
        for by in itertools.permutations(dimensions, size)
        for time in ({}, {**every, "time_interval_seconds": 3600})
    ]


_NUMBERS = ("AVG", "MIN", "MAX", 50.0), (0, 12.5, 95, 99.9, 100), ("AVG", "MIN", "MAX")
_SUMMED = ("SUM", "AVG", "MIN", "MAX", 50.0), (0, 33.3, 90, 100), ("SUM", "AVG")
_SPANS = ("span_name", "span_type", "span_status", "span_model_name", "span_model_provider")
_COST_BY = ("span_model_name", "span_model_provider")

_FILTERS = (
    ["trace.status = 'OK'"],
    ["trace.status = 'ok'"],
    ['trace.tag.team = "a\'b"'],
    ["trace.tag.`mlflow.traceName` = 'chat'"],
    ["trace.tag.`mlflow.traceName` = 'Chat'"],
    ["trace.metadata.`mlflow.sourceRun` = '" + "1" * 32 + "'"],
    ["trace.tag.team = 'é'", "trace.metadata.user = 'u0'"],
    ["trace.metadata.`mlflow.trace.session` = 's1'"],
    ["trace.metadata.`mlflow.sourceRun` = '" + "0" * 32 + "'"],
    ["trace.metadata.`mlflow.trace.tokenUsage` = '" + str(_tokens(2)) + "'"],
    ["trace.metadata.`mlflow.trace.tokenUsage` = '" + str(_tokens(5)) + "'"],
    ["trace.metadata.`mlflow.trace.tokenUsage` = '{\"input_tokens\": 20}'"],
    ["trace.metadata.`mlflow.trace.tokenUsage` = 'none'"],
    ['trace.metadata.`mlflow.trace.cost` = \'{"input_cost": 0.1, "total_cost": 0.625}\''],
    ['trace.metadata.`mlflow.trace.cost` = \'{"total_cost": 0.625, "input_cost": 0.1}\''],
    ["trace.metadata.nothing = 'x'"],
    [],
)
_WRONG_FILTERS = (
    [""],
    ["nonsense"],
    ["status = 'OK'"],
    ["trace.status != 'OK'"],
    ["trace.status = 1"],
    ["trace.status = OK"],
    ["trace.state = 'OK'"],
    ["trace.status.x = 'OK'"],
    ["trace.tag = 'x'"],
    ["run.status = 'OK'"],
    ["trace.status = 'OK' AND trace.tag.a = 'b'"],
    ["trace.status = 'OK'", "trace.status = 'OK'; trace.status = 'OK'"],
    ["trace.status IN ('OK')"],
    ["trace.status"],
)
_RANGES = (
    {"start_time_ms": _BEGIN_MS + 6 * _HOUR_MS},
    {"end_time_ms": _BEGIN_MS + 6 * _HOUR_MS},
    {"start_time_ms": _BEGIN_MS + 17 * 60_000 + 1, "end_time_ms": _BEGIN_MS + 3 * 17 * 60_000 + 3},
    {"start_time_ms": _BEGIN_MS + _HOUR_MS, "end_time_ms": _BEGIN_MS},
    {"start_time_ms": -(2**63), "end_time_ms": 2**63 - 1},
    {"start_time_ms": 2**63 - 1},
    {"end_time_ms": -(2**63)},
    {"start_time_ms": -1, "end_time_ms": 9_223_372_036_854},
    {"start_time_ms": 9_223_372_036_854, "end_time_ms": 9_223_372_036_855},
    *(
        {"start_time_ms": 0, "end_time_ms": 2 * _BEGIN_MS, "time_interval_seconds": interval}
        for interval in (1, 7, 60, 86400, 604800, -3600, 10**12)
    ),
)

CASES = (
    case(
        "trace metrics without traces",
        new_experiment(),
        *(
            ask(path, {**body, "experiment_ids": ["${exp}"]})
            for path in (_METRICS, _METRICS.replace("/api/", "/ajax-api/"))
            for body in (
                {
                    "view_type": "TRACES",
                    "metric_name": "trace_count",
                    "aggregations": _aggregations("COUNT"),
                },
                {
                    "view_type": "TRACES",
                    "metric_name": "latency",
                    "aggregations": _aggregations("AVG", 50),
                },
                {
                    "view_type": "SPANS",
                    "metric_name": "span_count",
                    "aggregations": _aggregations("COUNT"),
                    "dimensions": ["span_name"],
                },
                {
                    "view_type": "SPANS",
                    "metric_name": "total_cost",
                    "aggregations": _aggregations("SUM", 99.0),
                },
                {
                    "view_type": "ASSESSMENTS",
                    "metric_name": "assessment_count",
                    "aggregations": _aggregations("COUNT"),
                    "time_interval_seconds": 3600,
                    "start_time_ms": 0,
                    "end_time_ms": _BEGIN_MS,
                },
            )
        ),
        _query("TRACES", "trace_count", "COUNT", experiment_ids=["987654"]),
        _query("TRACES", "trace_count", "COUNT", experiment_ids=[]),
    ),
    case(
        "trace metrics that are refused",
        *(
            _query(view, metric, *names, **{"experiment_ids": ["0"], **more})
            for view, metric, names, more in (
                ("TRACES", "span_count", ("COUNT",), {}),
                ("TRACES", "it's", ("COUNT",), {}),
                ("SPANS", "trace_count", ("COUNT",), {}),
                ("ASSESSMENTS", "latency", ("AVG",), {}),
                ("TRACES", "trace_count", ("SUM", "AVG", "COUNT", "SUM"), {}),
                ("TRACES", "trace_count", (50,), {}),
                ("SPANS", "total_cost", ("COUNT",), {}),
                ("TRACES", "trace_count", ("COUNT",), {"dimensions": ["span_name", "a'b", "trace_name"]}),
                ("TRACES", "session_count", ("COUNT",), {"dimensions": ["trace_name"]}),
                ("SPANS", "latency", ("AVG",), {"dimensions": ["span_model_name"]}),
                ("TRACES", "trace_count", ("COUNT",), {"time_interval_seconds": 60}),
                (
                    "TRACES",
                    "trace_count",
                    ("COUNT",),
                    {"time_interval_seconds": 60, "start_time_ms": 0},
                ),
                ("TRACES", "trace_count", ("COUNT",), {"time_interval_seconds": 60, "end_time_ms": 0}),
                ("TRACES", "trace_count", ("COUNT",), {"experiment_ids": ["x"]}),
                ("TRACES", "trace_count", ("COUNT",), {"experiment_ids": [""]}),
                ("TRACES", "trace_count", ("COUNT",), {"filters": ["span.name = 'x'"]}),
                ("ASSESSMENTS", "assessment_count", ("COUNT",), {"filters": ["span.type = 'x'"]}),
                ("SPANS", "span_count", ("COUNT",), {"filters": ["assessment.name = 'x'"]}),
                *(("TRACES", "trace_count", ("COUNT",), {"filters": filters}) for filters in _WRONG_FILTERS),
                *(("SPANS", "span_count", ("COUNT",), {"filters": filters}) for filters in _WRONG_FILTERS),
                ("absent", "trace_count", ("COUNT",), {}),
                ("TRACES", "absent", ("COUNT",), {}),
                ("TRACES", "", ("COUNT",), {}),
                ("TRACES", "trace_count", (), {"aggregations": "absent"}),
                ("TRACES", "trace_count", (), {"dimensions": ["trace_name"]}),
                ("TRACES", "trace_count", ("COUNT",), {"experiment_ids": "absent"}),
                ("TRACES", "trace_count", (), {"aggregations": [{}]}),
            )
        ),
    ),
    case(
        "trace metrics that stock fails on",
        *(
            _query("TRACES", "latency", experiment_ids=["0"], **more)
            for more in (
                {"aggregations": _aggregations("PERCENTILE")},
                {"aggregations": _aggregations(100.5)},
                {"aggregations": _aggregations(-1)},
                {"aggregations": [{"aggregation_type": "AVG", "percentile_value": 5}]},
                {"aggregations": []},
                {"aggregations": _aggregations("AVG"), "dimensions": ["trace_name"], "max_results": -1},
            )
        ),
    ),
    case(
        "trace metrics",
        new_experiment(),
        new_experiment("other"),
        *(_trace(index) for index in range(40)),
        *(_spans(index) for index in range(40) if index % 4),
        post(
            "traces/link-to-run",
            {"trace_ids": [f"tr-{_trace_id(index)}" for index in (2, 9, 10)], "run_id": "1" * 32},
            native=False,
            rows=False,
        ),
        *(_assessment(index, number) for index in range(24) for number in range(index % 4)),
        *_each("TRACES", "trace_count", ("trace_name", "trace_status"), ("COUNT",)),
        *_each("TRACES", "session_count", (), ("COUNT",)),
        *_each("TRACES", "latency", ("trace_name",), *_NUMBERS),
        *_each("TRACES", "input_tokens", ("trace_name",), *_SUMMED),
        *_each("TRACES", "output_tokens", ("trace_name",), ("SUM", "AVG", 95)),
        *_each("TRACES", "total_tokens", ("trace_name",), ("SUM", "AVG", 95)),
        *_each("TRACES", "cache_read_input_tokens", ("trace_name",), ("SUM", "AVG", 95)),
        *_each("TRACES", "cache_creation_input_tokens", ("trace_name",), ("SUM", "AVG", 95)),
        *_each("SPANS", "span_count", _SPANS, ("COUNT",)),
        *_each("SPANS", "latency", ("span_name", "span_status"), *_NUMBERS),
        *_each("SPANS", "input_cost", _COST_BY, *_SUMMED),
        *_each("SPANS", "output_cost", _COST_BY, ("MIN", "MAX", 75, 33.3)),
        *_each("SPANS", "total_cost", _COST_BY, ("SUM", 75)),
        *_each("SPANS", "total_cost", _COST_BY, ("SUM", 75), filters=["trace.status = 'OK'"]),
        *_each("ASSESSMENTS", "assessment_count", ("assessment_name", "assessment_value"), ("COUNT",)),
        *_each("ASSESSMENTS", "assessment_value", ("assessment_name",), *_NUMBERS),
        *(
            _query(view, metric, name, filters=filters)
            for view, metric, name in (
                ("TRACES", "trace_count", "COUNT"),
                ("SPANS", "span_count", "COUNT"),
                ("SPANS", "input_cost", "SUM"),
                ("SPANS", "latency", 50),
                ("ASSESSMENTS", "assessment_count", "COUNT"),
            )
            for filters in _FILTERS
        ),
        *(
            _query("SPANS", metric, name, filters=filters, dimensions=["span_model_name"])
            for metric, name in (("span_count", "COUNT"), ("input_cost", "SUM"))
            for filters in (
                ["span.name = 'plan'"],
                ["span.status = 'OK'"],
                ["span.type = 'LLM'", "trace.tag.team = 'é'"],
                ["span.type = 'LLM'", "span.name = 'act é'"],
            )
        ),
        *(
            _query("ASSESSMENTS", "assessment_count", "COUNT", filters=[f"assessment.{what}"])
            for what in ("name = 'correct'", "type = 'feedback'", "type = 'expectation'", "type = 'x'")
        ),
        *(
            _query(view, metric, name, **within)
            for view, metric, name in (
                ("TRACES", "trace_count", "COUNT"),
                ("SPANS", "span_count", "COUNT"),
                ("SPANS", "total_cost", "SUM"),
                ("ASSESSMENTS", "assessment_count", "COUNT"),
            )
            for within in _RANGES
        ),
        *(
            _query("TRACES", "trace_count", "COUNT", **{"dimensions": ["trace_name", "trace_status"], **more})
            for more in (
                {"max_results": 0},
                {"max_results": 1},
                {"max_results": 2},
                {"max_results": 3, "page_token": "any"},
                {"experiment_ids": ["${exp}", "${other}", "${exp}"]},
                {"experiment_ids": ["${other}"]},
                {"experiment_ids": [" ${exp} "]},
                {"experiment_ids": ["987654321987654321"]},
                {"dimensions": ["trace_status", "trace_status"]},
                {"aggregations": _aggregations("COUNT", "COUNT")},
                {"time_interval_seconds": 0},
            )
        ),
    ),
)

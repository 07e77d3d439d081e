"""Conversations with stores; each is played on MLflow's store and on ours.

Scripts named ``registry_…`` are for model registries.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mlflow.entities import (
    Dataset,
    DatasetInput,
    ExperimentTag,
    Feedback,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunStatus,
    RunTag,
    Span,
    TraceInfo,
    TraceLocation,
    TraceState,
    ViewType,
)
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.entities.trace_metrics import AggregationType, MetricAggregation, MetricViewType
from mlflow.models import Model
from mlflow.tracing.utils import build_otel_context
from opentelemetry.sdk.trace import ReadableSpan

Do = Callable[..., Any]


def experiments(do: Do) -> None:
    """All that there is to experiments, numbers and texts for IDs."""
    do("get_experiment", 0)
    do("get_experiment", "0")
    first = do("create_experiment", "first", tags=[ExperimentTag("key", "value"), ExperimentTag("empty", "")])
    do("create_experiment", "second", "file:///elsewhere")
    do("create_experiment", "first")
    do("get_experiment", int(first))
    do("get_experiment_by_name", "second")
    do("get_experiment_by_name", "third")
    do("set_experiment_tag", first, ExperimentTag("key", "other"))
    do("set_experiment_tag", int(first), ExperimentTag("another", "tag"))
    do("delete_experiment_tag", first, "key")
    do("delete_experiment_tag", first, "key")
    do("rename_experiment", first, "renamed")
    do("get_experiment", first)
    do("delete_experiment", first)
    do("delete_experiment", first)
    do("rename_experiment", first, "again")
    do("set_experiment_tag", first, ExperimentTag("key", "value"))
    do("get_experiment", first)
    do("restore_experiment", first)
    do("restore_experiment", first)
    do("get_experiment", first)


def experiments_found(do: Do) -> None:
    """Searches of experiments, and their pages."""
    for number in range(5):
        do("create_experiment", f"name {number}", tags=[ExperimentTag("number", str(number % 2))])
    do("delete_experiment", "3")
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL):
        do("search_experiments", view, order_by=["name"])
    page = do("search_experiments", max_results=2, order_by=["name DESC"])
    do("search_experiments", max_results=2, order_by=["name DESC"], page_token=page.token)
    do("search_experiments", filter_string="tags.number = '1'", order_by=["name"])
    do("search_experiments", filter_string="name ILIKE 'NAME%'", order_by=["name"])
    do("search_experiments", filter_string="nonsense = 1")
    do("search_experiments", order_by=["nonsense"])
    do("search_experiments", max_results=0)
    do("search_experiments", max_results=100_000)
    do("search_experiments", max_results=None)
    do("search_experiments", max_results="2")
    do("search_experiments", page_token="nonsense")


def strange_experiments(do: Do) -> None:
    """What fits into no request, and what MLflow's store refuses."""
    for name in ("", None, 1, "n" * 501):
        do("create_experiment", name)
    do("create_experiment", "location", "l" * 3000)
    do("create_experiment", "tag", tags=[ExperimentTag("k" * 300, "value")])
    do("create_experiment", "tag", tags=[ExperimentTag("", "value")])
    do("create_experiment", "tag", tags=[ExperimentTag(None, "value")])
    for identity in ("", None, "nonsense", -1, 99, 10**12, 1.5):
        do("get_experiment", identity)
    do("set_experiment_tag", "0", ExperimentTag("key", None))
    do("set_experiment_tag", "0", None)
    do("set_experiment_tag", "0", ExperimentTag("mlflow.trace.archiveNow", '{"older_than": null, "or": NaN}'))
    do("rename_experiment", "0", "")
    do("rename_experiment", "0", None)


def spelled_otherwise(do: Do) -> None:
    """IDs that are numbers to Python, and maybe not to a database."""
    for number in range(11):
        do("create_experiment", f"experiment {number}")
    for identity in ("10", "1"):
        do("create_run", identity, "someone", 1, [], "name")
        do("create_logged_model", identity, "model")
    for identity in ("1_0", "_1", " 1 ", "\N{FULLWIDTH DIGIT ONE}", "1\x1c", "+1", "-1", "01", "1.0"):
        do("get_experiment", identity)
        do("search_runs", [identity], None, ViewType.ALL)
        do("set_experiment_tag", identity, ExperimentTag("key", "value"))
        do("delete_experiment_tag", identity, "key")
        do("search_logged_models", [identity], order_by=[{"field_name": "creation_timestamp"}])
        do("search_experiments", ViewType.ALL, filter_string=f"experiment_id IN ('{identity}')")
        do("delete_experiment", identity)
        do("restore_experiment", identity)


def runs(do: Do) -> None:
    """The life of a run."""
    run = do("create_run", "0", "someone", 1, [RunTag("key", "value")], "name").info.run_id
    do("create_run", 0, "someone", 1, [], None)
    do("create_run", "0", "someone", 1, None, "")
    do("create_run", "0", "someone", 1, [RunTag("mlflow.runName", "tag")], None)
    do("create_run", "0", "someone", 1, [RunTag("mlflow.runName", "tag")], "name")
    do("create_run", "99", "someone", 1, [], None)
    do("create_run", " 0 ", "", 0, [], None)
    do("get_run", run)
    do("update_run_info", run, RunStatus.FINISHED, 12, "new name")
    do("update_run_info", run, None, None, None)
    do("update_run_info", run, None, 13, "")
    do("get_run", run)
    do("delete_run", run)
    do("get_run", run)
    do("update_run_info", run, RunStatus.FAILED, None, None)
    do("log_metric", run, Metric("metric", 1.0, 1, 1))
    do("log_batch", run, [Metric("metric", 1.0, 1, 1)], [], [])
    do("set_tag", run, RunTag("key", "value"))
    do("restore_run", run)
    do("get_run", run)


def strange_runs(do: Do) -> None:
    """What fits into no request, and what MLflow's store refuses."""
    run = do("create_run", "0", "someone", 1, [], "name").info.run_id
    do("create_run", "0", None, 1, [], None)
    do("create_run", "0", "someone", None, [], None)
    do("create_run", "0", "someone", 1, [RunTag("twice", "1"), None], None)
    for identity in ("nonsense", None, "", 7):
        do("get_run", identity)
        do("delete_run", identity)
        do("restore_run", identity)
        do("log_batch", identity, [], [], [])
    do("update_run_info", run, 77, None, None)
    do("update_run_info", run, "FINISHED", None, None)


def logged(do: Do) -> None:
    """Metrics, params and tags."""
    run = do("create_run", "0", "someone", 1, [], "name").info.run_id
    do("log_metric", run, Metric("loss", 0.5, 1, 0))
    do("log_metric", run, Metric("loss", 0.5, 1, 0))
    do("log_metric", run, Metric("loss", 2, 2, 1))
    for value in (float("nan"), float("inf"), float("-inf"), 1e-320):
        do("log_metric", run, Metric("special", value, 3, 1))
    do("log_param", run, Param("param", "value"))
    do("log_param", run, Param("param", "value"))
    do("log_param", run, Param("param", "other"))
    do("log_param", run, Param("empty", ""))
    do("set_tag", run, RunTag("tag", "value"))
    do("set_tag", run, RunTag("mlflow.runName", "renamed"))
    do("delete_tag", run, "tag")
    do("delete_tag", run, "tag")
    do(
        "log_batch",
        run,
        [Metric("loss", 0.25, 4, step) for step in range(5)],
        [Param("second", "ä" * 10), Param("param", "value")],
        [RunTag("tag", "1"), RunTag("tag", "2")],
    )
    do("log_batch", run, [], [Param("param", "changed")], [])
    do("get_run", run)
    do("get_metric_history", run, "loss")
    page = do("get_metric_history", run, "loss", max_results=3)
    do("get_metric_history", run, "loss", 3, page.token)
    do("get_metric_history", run, "nonsense")
    do("get_metric_history", run, "loss", page_token="nonsense")
    do("get_metric_history_bulk", [run], "loss", 2)
    do("get_metric_history_bulk_interval", [run, "nonsense"], "loss", 3, None, None)
    do("get_metric_history_bulk_interval", [run], "loss", 10, 1, 2)
    do("get_metric_history_bulk_interval", [run], "loss", 10, 1, None)
    do("get_max_step_for_metric", run, "loss")
    do("log_batch", run, [Metric("zero", value, 1, 1) for value in (float("nan"), -0.0, 0.0)], [], [])
    do("get_metric_history", run, "zero")
    do("get_metric_history_bulk_interval", [run], "zero", 1, None, None)
    do("search_runs", ["0"], "metrics.zero = 0", ViewType.ALL)
    do("search_runs", ["0"], "metrics.special != 1 and metrics.special > 1", ViewType.ALL)


def strange_logged(do: Do) -> None:
    """What fits into no request, and what MLflow's store refuses."""
    run = do("create_run", "0", "someone", 1, [], "name").info.run_id
    for metric in (
        Metric("", 1.0, 1, 1),
        Metric(None, 1.0, 1, 1),
        Metric("k" * 251, 1.0, 1, 1),
        Metric("../key", 1.0, 1, 1),
        Metric("key", None, 1, 1),
        Metric("key", "1", 1, 1),
        Metric("key", True, 1, 1),
        Metric("key", 1, -1, 1),
        Metric("key", 1, "1", 1),
        Metric("key", 1, 1, None),
        Metric("key", 10**400, 1, 1),
    ):
        do("log_metric", run, metric)
        do("log_batch", run, [Metric("fine", 1, 1, 1), metric], [], [])
    for param in (Param("", "v"), Param(None, "v"), Param("k" * 251, "v"), Param("key", "v" * 6001)):
        do("log_param", run, param)
        do("log_batch", run, [], [param], [])
    for tag in (RunTag("", "v"), RunTag(None, "v"), RunTag("k" * 251, "v"), RunTag("key", "v" * 8001)):
        do("set_tag", run, tag)
        do("log_batch", run, [], [], [tag])
    do("log_batch", run, [Metric(f"m{n}", 1, 1, 1) for n in range(1001)], [], [])
    do("log_batch", run, [], [Param("twice", "1"), Param("twice", "2")], [])
    do("log_metric", "nonsense", Metric("key", 1.0, 1, 1))
    do("get_run", run)


def runs_found(do: Do) -> None:
    """Searches of runs, and their pages."""
    experiment = do("create_experiment", "runs")
    for number in range(6):
        run = do("create_run", experiment, "someone", number, [], f"run {number}").info.run_id
        do(
            "log_batch",
            run,
            [Metric("metric", number / 2, 1, 1)],
            [Param("param", str(number % 3))],
            [RunTag("tag", str(number % 2))],
        )
    do("delete_run", run)
    search = ([experiment], None, ViewType.ACTIVE_ONLY)
    do("search_runs", *search)
    do("search_runs", [int(experiment), "0"], "", ViewType.ALL, 10, ["start_time"])
    page = do("search_runs", *search, 2, ["metrics.metric DESC"])
    do("search_runs", *search, 2, ["metrics.metric DESC"], page.token)
    do("_search_runs", *search, 2, ["metrics.metric DESC"], None)
    do("_search_runs", *search, None, [], None)
    do("search_runs", [experiment], "metrics.metric > 1 and params.param = '1'", ViewType.ALL)
    do("search_runs", [experiment], "tags.tag = '1' and run_name LIKE 'run%'", ViewType.DELETED_ONLY)
    do("search_runs", [], None, ViewType.ALL)
    do("search_runs", ["nonsense"], None, ViewType.ALL)
    do("search_runs", [experiment], "nonsense = 1", ViewType.ALL)
    do("search_runs", [experiment], "metrics.metric > 'a'", ViewType.ALL)
    do("search_runs", *search, 0)
    do("search_runs", *search, 10**6)
    do("search_runs", *search, 10, ["nonsense.x"])
    do("search_runs", *search, 10, None, "nonsense")


def inputs(do: Do) -> None:
    """What runs were given and brought about."""
    run = do("create_run", "0", "someone", 1, [], "name").info.run_id
    model = do("create_logged_model", "0", "model").model_id
    dataset = Dataset("name", "digest", "type", "source", "schema", None)
    do("log_inputs", run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])])
    do("log_inputs", run, [DatasetInput(dataset, [])], [LoggedModelInput(model)])
    do("log_inputs", run)
    do("log_inputs", run, (DatasetInput(dataset),))
    do("log_inputs", run, [DatasetInput(Dataset("n" * 501, "d", "t", "s"), [])])
    do("log_inputs", run, [DatasetInput(None, [])])
    do("log_inputs", "nonsense", [])
    do("log_outputs", run, [LoggedModelOutput(model, 3)])
    do("record_logged_model", run, Model("path", run, utc_time_created="2026-01-01", model_uuid="uuid"))
    do("record_logged_model", run, "model")
    do("search_runs", ["0"], None, ViewType.ALL)
    found = do("get_run", run)
    assert found.inputs.dataset_inputs
    assert found.inputs.model_inputs
    assert found.outputs.model_outputs


def logged_models(do: Do) -> None:
    """The life of a logged model."""
    run = do("create_run", "0", "someone", 1, [], "name").info.run_id
    model = do(
        "create_logged_model",
        "0",
        "model",
        run,
        [LoggedModelTag("tag", "value")],
        [LoggedModelParameter("param", "value")],
        "type",
    ).model_id
    do("create_logged_model", 0, "second")
    empty = do("create_logged_model", "0", "empty", "", [], [], "")
    do("get_logged_model", empty.model_id)
    do("delete_logged_model", empty.model_id)
    unnamed = do("create_logged_model", "0")
    do("delete_logged_model", unnamed.model_id)
    do("create_logged_model", "0", "")
    do("create_logged_model", "0", "a/b")
    do("create_logged_model", "99", "model")
    do("log_metric", run, Metric("metric", 1.0, 1, 1, model, "dataset", "digest"))
    do("log_batch", run, [Metric("batch", 2.0, 1, 1, model)], [], [])
    do("log_logged_model_params", model, [LoggedModelParameter("second", "value")])
    do("set_logged_model_tags", model, [LoggedModelTag("tag", "other"), LoggedModelTag("new", "")])
    do("get_logged_model", model)
    do("finalize_logged_model", model, LoggedModelStatus.READY)
    do("delete_logged_model_tag", model, "tag")
    do("delete_logged_model_tag", model, "tag")
    do("search_logged_models", ["0"], order_by=[{"field_name": "name"}])
    page = do("search_logged_models", ["0"], max_results=1, order_by=[{"field_name": "name"}])
    do("search_logged_models", ["0"], max_results=1, order_by=[{"field_name": "name"}], page_token=page.token)
    do("search_logged_models", ["0"], max_results=1, page_token=page.token)
    do("search_logged_models", ["0"], "metrics.metric > 0", datasets=[{"dataset_name": "dataset"}])
    for digest in ("digest", "other", "", None):
        do("search_logged_models", ["0"], datasets=[{"dataset_name": "dataset", "dataset_digest": digest}])
    do("search_logged_models", ["0"], datasets=[{"dataset_digest": "digest"}])
    do("search_logged_models", ["0"], order_by=[{"field_name": "metrics.metric", "ascending": False}])
    do("search_logged_models", ["0"], order_by=[{"field_name": "nonsense"}])
    do("search_logged_models", ["0"], "nonsense")
    do("delete_logged_model", model)
    do("get_logged_model", model)
    do("get_logged_model", model, allow_deleted=True)
    do("finalize_logged_model", "nonsense", LoggedModelStatus.READY)
    do("finalize_logged_model", model, "READY")


def registry_models(do: Do) -> None:
    """The life of a registered model."""
    do("create_registered_model", "model", [RegisteredModelTag("tag", "value")], "a description")
    do("create_registered_model", "model")
    do("create_registered_model", "other", description=None)
    do("get_registered_model", "model")
    do("get_registered_model", "nonsense")
    do("update_registered_model", "model", "another")
    do("update_registered_model", "model", None)
    do("create_registered_model", "empty", [])
    do("create_model_version", "empty", "", "", [], "", "")
    do("get_model_version", "empty", 1)
    do("get_model_version_download_uri", "empty", 1)
    do("delete_registered_model", "empty")
    do("set_registered_model_tag", "model", RegisteredModelTag("tag", "other"))
    do("set_registered_model_tag", "model", RegisteredModelTag("second", ""))
    do("delete_registered_model_tag", "model", "tag")
    do("delete_registered_model_tag", "model", "tag")
    do("rename_registered_model", "model", "renamed")
    do("rename_registered_model", "renamed", "other")
    do("search_registered_models", order_by=["name"])
    page = do("search_registered_models", max_results=1)
    do("search_registered_models", max_results=1, page_token=page.token)
    do("search_registered_models", "name ILIKE 'REN%'")
    do("search_registered_models", "tags.second = ''")
    do("search_registered_models", "nonsense = 'x'")
    do("search_registered_models", max_results=10**6)
    do("search_registered_models", order_by=["nonsense"])
    do("delete_registered_model", "renamed")
    do("delete_registered_model", "renamed")
    for name in ("", None, " ", "a/b", "a:b", 1):
        do("create_registered_model", name)
        do("get_registered_model", name)
        do("rename_registered_model", "other", name)
    do("create_registered_model", "tagged", [RegisteredModelTag("k" * 300, "value")])
    do("set_registered_model_tag", "other", RegisteredModelTag("key", None))


def registry_versions(do: Do) -> None:
    """The life of model versions, whose numbers may be texts."""
    do("create_registered_model", "model")
    do("create_model_version", "model", "file:///a", "run", [ModelVersionTag("tag", "value")], "link", "text")
    do("create_model_version", "model", "file:///b")
    do("create_model_version", "model", "models:/model/1")
    do("create_model_version", "model", "models:/model/77")
    do("create_model_version", "nonsense", "file:///a")
    do("get_model_version", "model", 1)
    do("get_model_version", "model", "2")
    for number in (77, "nonsense", None, "1.5", 2**40, " 1 ", "0_1", "-1"):
        do("get_model_version", "model", number)
        do("set_registered_model_alias", "model", "alias", number)
    do("update_model_version", "model", 1, "description")
    do("update_model_version", "model", "2")
    do("get_model_version_download_uri", "model", 3)
    do("set_model_version_tag", "model", 1, ModelVersionTag("tag", "other"))
    do("delete_model_version_tag", "model", "1", "tag")
    do("transition_model_version_stage", "model", 1, "production", False)
    do("transition_model_version_stage", "model", 2, "Production", True)
    do("transition_model_version_stage", "model", 2, "nonsense", False)
    do("transition_model_version_stage", "model", 2, "None", True)
    do("get_latest_versions", "model")
    do("get_latest_versions", "model", ["Production"])
    do("get_latest_versions", "model", ["nonsense"])
    do("set_registered_model_alias", "model", "champion", 1)
    do("set_registered_model_alias", "model", "champion", "2")
    do("set_registered_model_alias", "model", "latest", 2)
    do("get_registered_model", "model")
    for alias in ("champion", "latest", "nonsense", "v1", ""):
        do("get_model_version_by_alias", "model", alias)
    do("search_model_versions", "name = 'model'", order_by=["version_number"])
    page = do("search_model_versions", max_results=1)
    do("search_model_versions", max_results=1, page_token=page.token)
    do("search_model_versions", max_results=0)
    do("search_model_versions", max_results="1")
    do("search_model_versions", "nonsense")
    do("copy_model_version", do("get_model_version", "model", 1), "copy")
    do("delete_registered_model_alias", "model", "champion")
    do("delete_model_version", "model", "2")
    do("delete_model_version", "model", 2)
    do("get_registered_model", "model")


def registry_prompts(do: Do) -> None:
    """Prompts, which MLflow makes of registered models."""
    do("create_prompt", "prompt", "a description", {"key": "value"})
    do("create_prompt", "prompt")
    do("create_registered_model", "prompt")
    do("create_prompt_version", "prompt", "Hello {{ name }}", "first", {"tag": "value"})
    do("create_prompt_version", "prompt", "Bye {{ name }}")
    do("get_prompt", "prompt")
    do("get_prompt_version", "prompt", 1)
    do("get_prompt_version", "prompt", 7)
    do("set_prompt_alias", "prompt", "alias", 2)
    do("get_prompt_version_by_alias", "prompt", "alias")
    do("search_prompts")
    do("search_registered_models")
    do("search_prompt_versions", "prompt")
    do("delete_prompt_version", "prompt", 1)
    do("delete_prompt", "prompt")


def trace_metrics(do: Do) -> None:
    """What traces say in numbers, written and asked for as Python does."""
    experiment = do("create_experiment", "traced")
    for number in range(6):
        do("start_trace", _trace(experiment, number))
        do("log_spans", experiment, [_span(experiment, number)])
        feedback = Feedback(name="right", value=number % 2 == 0, trace_id=f"tr-{number:032x}")
        do("create_assessment", feedback)
    count, mean = MetricAggregation(AggregationType.COUNT), MetricAggregation(AggregationType.AVG)
    percentiles = [MetricAggregation(AggregationType.PERCENTILE, value) for value in (50, 25.0)]

    def ask(view: MetricViewType, metric: str, *aggregations: MetricAggregation, **more: Any) -> None:
        do("query_trace_metrics", [experiment], view, metric, list(aggregations), **more)

    traces, spans, assessments = MetricViewType.TRACES, MetricViewType.SPANS, MetricViewType.ASSESSMENTS
    by_hour = {"time_interval_seconds": 3600, "start_time_ms": 0, "end_time_ms": 10**13}
    ask(traces, "trace_count", count)
    ask(traces, "trace_count", count, dimensions=["trace_name", "trace_status"], **by_hour)
    ask(traces, "latency", mean, *percentiles, dimensions=["trace_name"])
    ask(traces, "trace_count", count, filters=["trace.tag.`mlflow.traceName` = 'even'"], page_token="any")
    ask(spans, "span_count", count, dimensions=["span_name"], max_results=1)
    ask(spans, "latency", *percentiles)
    ask(assessments, "assessment_value", mean, dimensions=["assessment_name"])
    do("query_trace_metrics", [int(experiment), "99"], traces, "trace_count", [count])
    do("query_trace_metrics", ["nonsense"], traces, "trace_count", [count])
    do("query_trace_metrics", [experiment], "TRACES", "trace_count", [count])
    ask(traces, "nonsense", count)
    ask(traces, "trace_count", mean)
    ask(traces, "trace_count", count, dimensions=["nonsense"])
    ask(traces, "trace_count", count, filters=["nonsense"])
    ask(traces, "trace_count", count, time_interval_seconds=60)
    ask(traces, "trace_count", count, max_results=0)
    ask(traces, "trace_count", count, max_results=None)
    ask(traces, "trace_count")
    ask(traces, "trace_count", dimensions=["trace_name"])


def _trace(experiment: str, number: int) -> TraceInfo:
    return TraceInfo(
        trace_id=f"tr-{number:032x}",
        trace_location=TraceLocation.from_experiment_id(experiment),
        request_time=number * 1_800_000,
        state=TraceState.OK if number % 3 else TraceState.ERROR,
        execution_duration=number * 8,
        tags={"mlflow.traceName": ("even", "odd")[number % 2]},
    )


def _span(experiment: str, number: int) -> Span:
    begin = number * 1_800_000_000_000
    otel = ReadableSpan(
        name="step",
        context=build_otel_context(number or 99, 1),
        start_time=begin,
        end_time=begin + number * 1_000_000,
        attributes={
            "mlflow.traceRequestId": json.dumps(f"tr-{number:032x}"),
            "mlflow.experimentId": json.dumps(experiment),
        },
    )
    return Span(otel)


TRACKING = (
    experiments,
    experiments_found,
    strange_experiments,
    spelled_otherwise,
    runs,
    strange_runs,
    logged,
    strange_logged,
    runs_found,
    inputs,
    logged_models,
    trace_metrics,
)
MODEL_REGISTRY = (registry_models, registry_versions, registry_prompts)

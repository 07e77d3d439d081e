"""MLflow's entities, made of the messages that Go answers with, as MLflow's SQL models make them.

MLflow's ``from_proto`` is for what a server sends: it knows no NULL, and has numbers of versions as
texts. Constructors that only read ``key`` and ``value`` of tags and params get the messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunStatus,
)
from mlflow.entities.metric import MetricWithRunId
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.entities.model_registry.model_version_status import ModelVersionStatus
from mlflow.entities.model_registry.registered_model_alias import RegisteredModelAlias
from mlflow.entities.trace_metrics import MetricDataPoint
from mlflow.store.entities.paged_list import PagedList
from mlflow.utils.workspace_utils import DEFAULT_WORKSPACE_NAME


def nothing(response: Any) -> None:
    """Read the response of a method without a value."""
    del response


def page(entities: Iterable[Any], response: Any) -> PagedList:
    """Return entities with the token of the page after them."""
    return PagedList(list(entities), token(response))


def token(response: Any) -> bytes | None:
    """Return the token of the page after a response's, as MLflow makes them: bytes."""
    return response.next_page_token.encode() or None


def _optional(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _with_null(values: dict[str, Any], tags: Iterable[Any]) -> None:
    """Put NULL where the values that were made of tags have an empty text for it."""
    if "" in values.values():
        values.update((tag.key, None) for tag in tags if not tag.HasField("value"))


def experiment(message: Any) -> Experiment:
    """Make an experiment (``SqlExperiment.to_mlflow_entity``)."""
    made = Experiment(
        message.experiment_id,
        message.name,
        _optional(message, "artifact_location"),
        _optional(message, "lifecycle_stage"),
        message.tags,
        _optional(message, "creation_time"),
        _optional(message, "last_update_time"),
        message.workspace,
    )
    _with_null(made._tags, message.tags)
    return made


def run_info(message: Any) -> RunInfo:
    """Make a run's info (``SqlRun.to_mlflow_entity``)."""
    return RunInfo(
        message.run_id,
        message.experiment_id,
        message.user_id,
        RunStatus.to_string(message.status),
        message.start_time,
        _optional(message, "end_time"),
        message.lifecycle_stage,
        _optional(message, "artifact_uri"),
        _optional(message, "run_name"),
    )


def metric(message: Any) -> Metric:
    """Make a point of a run's metric (``SqlMetric.to_mlflow_entity``)."""
    return Metric(message.key, message.value, message.timestamp, message.step)


def metric_data_point(message: Any, names: Iterable[tuple[str, str]]) -> MetricDataPoint:
    """Make a point of metrics of traces, whose aggregations have names in the message and in MLflow."""
    return MetricDataPoint(
        metric_name=message.metric_name,
        dimensions=dict(message.dimensions),
        values={name: message.values[sent] for sent, name in names if sent in message.values},
    )


def metric_of_run(message: Any) -> MetricWithRunId:
    """Make a point of a metric of one of several runs."""
    return MetricWithRunId(metric(message), message.run_id)


def _run_data(message: Any) -> RunData:
    made = RunData([metric(m) for m in message.metrics], message.params, message.tags)
    _with_null(made._tags, message.tags)
    return made


def _dataset_input(message: Any) -> DatasetInput:
    dataset = message.dataset
    return DatasetInput(
        Dataset(
            dataset.name,
            dataset.digest,
            dataset.source_type,
            dataset.source,
            _optional(dataset, "schema"),
            _optional(dataset, "profile"),
        ),
        [InputTag(tag.key, tag.value) for tag in message.tags],
    )


def new_run(message: Any) -> Run:
    """Make a run that was just created, which has no outputs (``SqlAlchemyStore.create_run``)."""
    return Run(run_info(message.info), _run_data(message.data), RunInputs([]))


def run(message: Any) -> Run:
    """Make a run (``SqlAlchemyStore.get_run``). Those that a search finds have no input models."""
    datasets = message.inputs.dataset_inputs
    models = message.inputs.model_inputs
    outputs = message.outputs.model_outputs
    return Run(
        run_info(message.info),
        _run_data(message.data),
        # Most runs have none of these. To look into an empty field takes as long as to read a metric.
        RunInputs(
            [_dataset_input(m) for m in datasets] if datasets else [],
            [LoggedModelInput(m.model_id) for m in models] if models else [],
        ),
        RunOutputs([LoggedModelOutput(m.model_id, m.step) for m in outputs] if outputs else []),
    )


def logged_model(message: Any) -> LoggedModel:
    """Make a logged model (``SqlLoggedModel.to_mlflow_entity``)."""
    info, data = message.info, message.data
    return LoggedModel(
        experiment_id=info.experiment_id,
        model_id=info.model_id,
        name=info.name,
        artifact_location=info.artifact_uri,
        creation_timestamp=info.creation_timestamp_ms,
        last_updated_timestamp=info.last_updated_timestamp_ms,
        model_type=_optional(info, "model_type"),
        source_run_id=_optional(info, "source_run_id"),
        status=LoggedModelStatus.from_int(info.status),
        status_message=_optional(info, "status_message"),
        tags={tag.key: tag.value for tag in info.tags},
        params={param.key: param.value for param in data.params},
        metrics=[_model_metric(m) for m in data.metrics] or None,
    )


def _model_metric(message: Any) -> Metric:
    return Metric(
        message.key,
        message.value,
        message.timestamp,
        message.step,
        message.model_id,
        message.dataset_name or None,
        message.dataset_digest or None,
        message.run_id,
    )


def registered_model(message: Any) -> RegisteredModel:
    """Make a registered model (``SqlRegisteredModel.to_mlflow_entity``)."""
    made = RegisteredModel(
        message.name,
        _optional(message, "creation_timestamp"),
        _optional(message, "last_updated_timestamp"),
        _optional(message, "description"),
        [model_version(m) for m in message.latest_versions],
        message.tags,
        [RegisteredModelAlias(m.alias, int(m.version)) for m in message.aliases],
        workspace=DEFAULT_WORKSPACE_NAME,
    )
    _with_null(made._tags, message.tags)
    return made


def model_version(message: Any) -> ModelVersion:
    """Make a model version (``SqlModelVersion.to_mlflow_entity``), whose number is one."""
    made = ModelVersion(
        message.name,
        int(message.version),  # type: ignore[arg-type]
        message.creation_timestamp,
        _optional(message, "last_updated_timestamp"),
        _optional(message, "description"),
        _optional(message, "user_id"),
        _optional(message, "current_stage"),
        _optional(message, "source"),
        _optional(message, "run_id"),
        ModelVersionStatus.to_string(message.status),
        _optional(message, "status_message"),
        message.tags,
        _optional(message, "run_link"),
        list(message.aliases),
        workspace=DEFAULT_WORKSPACE_NAME,
    )
    _with_null(made._tags, message.tags)
    return made

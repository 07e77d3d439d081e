"""MLflow's tracking store on a database, with Go for what is native."""

from __future__ import annotations

import json
from typing import Any

from mlflow.entities import (
    DatasetInput,
    Experiment,
    ExperimentTag,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    Run,
    RunInfo,
    RunTag,
    ViewType,
)
from mlflow.entities.metric import MetricWithRunId
from mlflow.entities.trace_metrics import MetricAggregation, MetricDataPoint, MetricViewType
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos import service_pb2 as pb
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import (
    MAX_RESULTS_QUERY_TRACE_METRICS,
    SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT,
    SEARCH_MAX_RESULTS_DEFAULT,
)
from mlflow.store.tracking.sqlalchemy_store import DatasetFilter, SqlAlchemyStore
from mlflow.store.tracking.utils.sql_trace_rollups import rollups_enabled
from mlflow.tracing.trace_archival_config import get_trace_archival_server_config
from mlflow.utils.mlflow_tags import _get_run_name_from_tags
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.search_utils import SearchLoggedModelsPaginationToken
from mlflow.utils.uri import resolve_uri_if_local
from mlflow.utils.validation import _validate_experiment_artifact_location_length, _validate_experiment_name

from mlflow_go.store import _arguments as of
from mlflow_go.store import _database, _dispatch, _entities
from mlflow_go.store._dispatch import Question, native, native_or_none


@_dispatch.dispatched
class TrackingStore(SqlAlchemyStore):
    """MLflow's tracking store, of which Go answers the methods that are defined here.

    All else is MLflow's own code, which also makes and checks the database when a store is made.
    """

    _session: _dispatch.Session | None = None

    def __init__(self, db_uri: str, default_artifact_root: str, read_db_uri: str | None = None) -> None:
        """Create a store, as MLflow does.

        Args:
            db_uri: The database, as SQLAlchemy spells it.
            default_artifact_root: Where experiments without a location of their own keep their
                artifacts; a relative path is resolved now.
            read_db_uri: A replica to read from, in Python.
        """
        super().__init__(db_uri, default_artifact_root, read_db_uri)
        if self.read_engine is None:
            self._session = _database.connect(self, self.artifact_root_uri)

    # Experiments

    @native
    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: list[ExperimentTag] | None = None
    ) -> Question[str]:
        _validate_experiment_name(name)
        if artifact_location:
            # Here, where the working directory and the environment are the caller's.
            artifact_location = resolve_uri_if_local(artifact_location)
            _validate_experiment_artifact_location_length(artifact_location)
        request = pb.CreateExperiment(
            name=of.text(name),
            artifact_location=of.optional(of.text, artifact_location),
            tags=of.pairs(pb.ExperimentTag, tags),
        )
        return request, lambda response: response.experiment_id

    @native
    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = SEARCH_MAX_RESULTS_DEFAULT,
        filter_string: str | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> Question[PagedList[Experiment]]:
        if _archives_traces():
            return NotImplemented  # Experiments have a retention then.
        request = pb.SearchExperiments(
            view_type=of.whole(view_type),
            max_results=of.whole(max_results),
            filter=of.optional(of.text, filter_string),
            order_by=of.texts(order_by or []),
            page_token=of.page_token(page_token),
        )
        return request, lambda response: _entities.page(
            map(_entities.experiment, response.experiments), response
        )

    @native
    def get_experiment(self, experiment_id: str | int) -> Question[Experiment]:
        if _archives_traces():
            return NotImplemented
        request = pb.GetExperiment(experiment_id=of.experiment_id(experiment_id))
        return request, lambda response: _entities.experiment(response.experiment)

    @native_or_none
    def get_experiment_by_name(self, experiment_name: str) -> Question[Experiment]:
        if _archives_traces():
            return NotImplemented
        request = pb.GetExperimentByName(experiment_name=of.text(experiment_name))
        return request, lambda response: _entities.experiment(response.experiment)

    @native
    def delete_experiment(self, experiment_id: str | int) -> Question[None]:
        if rollups_enabled():
            return NotImplemented  # The assessments of its runs go, and what was counted of them.
        return pb.DeleteExperiment(experiment_id=of.experiment_id(experiment_id)), _entities.nothing

    @native
    def restore_experiment(self, experiment_id: str | int) -> Question[None]:
        return pb.RestoreExperiment(experiment_id=of.experiment_id(experiment_id)), _entities.nothing

    @native
    def rename_experiment(self, experiment_id: str | int, new_name: str) -> Question[None]:
        request = pb.UpdateExperiment(
            experiment_id=of.experiment_id(experiment_id), new_name=of.text(new_name)
        )
        return request, _entities.nothing

    @native
    def set_experiment_tag(self, experiment_id: str | int, tag: ExperimentTag) -> Question[None]:
        request = pb.SetExperimentTag(
            experiment_id=of.experiment_id(experiment_id), key=of.text(tag.key), value=of.text(tag.value)
        )
        return request, _entities.nothing

    @native
    def delete_experiment_tag(self, experiment_id: str | int, key: str) -> Question[None]:
        request = pb.DeleteExperimentTag(experiment_id=of.experiment_id(experiment_id), key=of.text(key))
        return request, _entities.nothing

    # Runs

    @native
    def create_run(
        self,
        experiment_id: str | int,
        user_id: str,
        start_time: int,
        tags: list[RunTag] | None,
        run_name: str | None,
    ) -> Question[Run]:
        if not run_name and not _get_run_name_from_tags(tags or []):
            run_name = _generate_random_name()  # of MLflow's words, which Go doesn't have
        request = pb.CreateRun(
            experiment_id=of.experiment_id(experiment_id),
            user_id=of.text(user_id),
            start_time=of.whole(start_time),
            tags=of.pairs(pb.RunTag, tags),
            run_name=of.optional(of.text, run_name),
        )
        return request, lambda response: _entities.new_run(response.run)

    @native
    def get_run(self, run_id: str) -> Question[Run]:
        return pb.GetRun(run_id=of.text(run_id)), lambda response: _entities.run(response.run)

    @native
    def update_run_info(
        self, run_id: str, run_status: int | None, end_time: int | None, run_name: str | None
    ) -> Question[RunInfo]:
        request = pb.UpdateRun(
            run_id=of.text(run_id),
            status=of.optional(of.whole, run_status),
            end_time=of.optional(of.whole, end_time),
            run_name=of.optional(of.text, run_name),
        )
        return request, lambda response: _entities.run_info(response.run_info)

    @native
    def delete_run(self, run_id: str) -> Question[None]:
        if rollups_enabled():
            return NotImplemented
        return pb.DeleteRun(run_id=of.text(run_id)), _entities.nothing

    @native
    def restore_run(self, run_id: str) -> Question[None]:
        return pb.RestoreRun(run_id=of.text(run_id)), _entities.nothing

    @native
    def search_runs(
        self,
        experiment_ids: list[str],
        filter_string: str | None,
        run_view_type: int,
        max_results: int = SEARCH_MAX_RESULTS_DEFAULT,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> Question[PagedList[Run]]:
        request = _search_runs(
            experiment_ids, filter_string, run_view_type, max_results, order_by, page_token
        )
        return request, lambda response: _entities.page(map(_entities.run, response.runs), response)

    @native
    def _search_runs(
        self,
        experiment_ids: list[str],
        filter_string: str | None,
        run_view_type: int,
        max_results: int,
        order_by: list[str] | None,
        page_token: str | None,
    ) -> Question[tuple[list[Run], str | None]]:
        request = _search_runs(
            experiment_ids, filter_string, run_view_type, max_results, order_by, page_token
        )
        return request, lambda response: (
            [_entities.run(run) for run in response.runs],
            _entities.token(response),
        )

    # What is logged to runs

    @native
    def log_metric(self, run_id: str, metric: Metric) -> Question[None]:
        logged = of.metric(metric)
        request = pb.LogMetric(
            run_id=of.text(run_id),
            key=logged.key,
            value=logged.value,
            timestamp=logged.timestamp,
            step=logged.step,
            model_id=logged.model_id or None,
            dataset_name=logged.dataset_name or None,
            dataset_digest=logged.dataset_digest or None,
        )
        return request, _entities.nothing

    @native
    def log_param(self, run_id: str, param: Param) -> Question[None]:
        logged = of.param(param)
        request = pb.LogParam(run_id=of.text(run_id), key=logged.key, value=logged.value)
        return request, _entities.nothing

    @native
    def set_tag(self, run_id: str, tag: RunTag) -> Question[None]:
        given = of.run_tag(tag)
        return pb.SetTag(run_id=of.text(run_id), key=given.key, value=given.value), _entities.nothing

    @native
    def delete_tag(self, run_id: str, key: str) -> Question[None]:
        return pb.DeleteTag(run_id=of.text(run_id), key=of.text(key)), _entities.nothing

    @native
    def log_batch(
        self, run_id: str, metrics: list[Metric], params: list[Param], tags: list[RunTag]
    ) -> Question[None]:
        request = pb.LogBatch(
            run_id=of.text(run_id),
            metrics=map(of.metric, of.items(metrics)),
            params=map(of.param, of.items(params)),
            tags=map(of.run_tag, of.items(tags)),
        )
        return request, _entities.nothing

    @native
    def record_logged_model(self, run_id: str, mlflow_model: Model) -> Question[None]:
        if not isinstance(mlflow_model, Model):
            return NotImplemented
        request = pb.LogModel(run_id=of.text(run_id), model_json=json.dumps(mlflow_model.get_tags_dict()))
        return request, _entities.nothing

    @native
    def log_inputs(
        self,
        run_id: str,
        datasets: list[DatasetInput] | None = None,
        models: list[LoggedModelInput] | None = None,
    ) -> Question[None]:
        if isinstance(datasets, tuple):
            return NotImplemented  # which MLflow takes nowhere else amiss
        request = pb.LogInputs(
            run_id=of.text(run_id),
            datasets=[dataset.to_proto() for dataset in of.items(datasets or [])],
            models=[pb.ModelInput(model_id=of.text(model.model_id)) for model in of.items(models or [])],
        )
        return request, _entities.nothing

    @native
    def log_outputs(self, run_id: str, models: list[LoggedModelOutput]) -> Question[None]:
        request = pb.LogOutputs(
            run_id=of.text(run_id),
            models=[pb.ModelOutput(model_id=of.text(m.model_id), step=of.whole(m.step)) for m in models],
        )
        return request, _entities.nothing

    @native
    def get_metric_history(
        self, run_id: str, metric_key: str, max_results: int | None = None, page_token: str | None = None
    ) -> Question[PagedList[Metric]]:
        if max_results is not None and max_results < 0:
            return NotImplemented  # It is up to the database.
        request = pb.GetMetricHistory(
            run_id=of.text(run_id),
            metric_key=of.text(metric_key),
            max_results=of.optional(of.whole, max_results),
            page_token=of.page_token(page_token),
        )
        return request, lambda response: _entities.page(map(_entities.metric, response.metrics), response)

    @native
    def get_metric_history_bulk_interval(
        self,
        run_ids: list[str],
        metric_key: str,
        max_results: int,
        start_step: int | None,
        end_step: int | None,
    ) -> Question[list[MetricWithRunId]]:
        request = pb.GetMetricHistoryBulkInterval(
            run_ids=of.texts(run_ids),
            metric_key=of.text(metric_key),
            max_results=of.whole(max_results),
            start_step=of.optional(of.whole, start_step),
            end_step=of.optional(of.whole, end_step),
        )
        return request, lambda response: [_entities.metric_of_run(m) for m in response.metrics]

    # Logged models

    @native
    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: list[LoggedModelTag] | None = None,
        params: list[LoggedModelParameter] | None = None,
        model_type: str | None = None,
    ) -> Question[LoggedModel]:
        request = pb.CreateLoggedModel(
            experiment_id=of.experiment_id(experiment_id),
            name=_generate_random_name() if name is None else of.text(name),
            source_run_id=of.optional(of.text, source_run_id),
            tags=of.pairs(pb.LoggedModelTag, tags),
            params=of.pairs(pb.LoggedModelParameter, params),
            model_type=of.optional(of.text, model_type),
        )
        return request, lambda response: _entities.logged_model(response.model)

    @native
    def log_logged_model_params(self, model_id: str, params: list[LoggedModelParameter]) -> Question[None]:
        request = pb.LogLoggedModelParamsRequest(
            model_id=of.text(model_id), params=of.pairs(pb.LoggedModelParameter, params)
        )
        return request, _entities.nothing

    @native
    def get_logged_model(self, model_id: str, allow_deleted: bool = False) -> Question[LoggedModel]:
        if allow_deleted:
            return NotImplemented
        request = pb.GetLoggedModel(model_id=of.text(model_id))
        return request, lambda response: _entities.logged_model(response.model)

    @native
    def delete_logged_model(self, model_id: str) -> Question[None]:
        return pb.DeleteLoggedModel(model_id=of.text(model_id)), _entities.nothing

    @native
    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> Question[LoggedModel]:
        request = pb.FinalizeLoggedModel(model_id=of.text(model_id), status=status.to_int())
        return request, lambda response: _entities.logged_model(response.model)

    @native
    def set_logged_model_tags(self, model_id: str, tags: list[LoggedModelTag]) -> Question[None]:
        request = pb.SetLoggedModelTags(model_id=of.text(model_id), tags=of.pairs(pb.LoggedModelTag, tags))
        return request, _entities.nothing

    @native
    def delete_logged_model_tag(self, model_id: str, key: str) -> Question[None]:
        return pb.DeleteLoggedModelTag(model_id=of.text(model_id), tag_key=of.text(key)), _entities.nothing

    @native
    def search_logged_models(
        self,
        experiment_ids: list[str],
        filter_string: str | None = None,
        datasets: list[DatasetFilter] | None = None,
        max_results: int | None = None,
        order_by: list[dict[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> Question[PagedList[LoggedModel]]:
        max_results = of.whole(max_results or SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT)
        if max_results < 0:
            return NotImplemented  # It is up to the database.
        offset = 0
        if page_token:
            token = SearchLoggedModelsPaginationToken.decode(of.text(page_token))
            token.validate(experiment_ids, filter_string, order_by)
            offset = token.offset
        request = pb.SearchLoggedModels(
            experiment_ids=map(of.experiment_id, of.items(experiment_ids)),
            filter=of.optional(of.text, filter_string),
            datasets=map(_dataset, of.items(datasets or [])),
            max_results=max_results,
            order_by=map(_order, of.items(order_by or [])),
        )
        if offset:
            request.page_token = _token_of_go(request, offset)

        def read(response: Any) -> PagedList[LoggedModel]:
            token = None
            if response.next_page_token:
                token = SearchLoggedModelsPaginationToken(
                    experiment_ids, filter_string, order_by, offset + max_results
                ).encode()
            return PagedList([_entities.logged_model(model) for model in response.models], token)

        return request, read

    # Traces

    @native
    def query_trace_metrics(
        self,
        experiment_ids: list[str],
        view_type: MetricViewType,
        metric_name: str,
        aggregations: list[MetricAggregation],
        dimensions: list[str] | None = None,
        filters: list[str] | None = None,
        time_interval_seconds: int | None = None,
        start_time_ms: int | None = None,
        end_time_ms: int | None = None,
        max_results: int = MAX_RESULTS_QUERY_TRACE_METRICS,
        page_token: str | None = None,  # noqa: ARG002 -- as in MLflow, which has one page
    ) -> Question[PagedList[MetricDataPoint]]:
        if rollups_enabled() or of.whole(max_results) < 0:
            return NotImplemented  # Rollups are Python's; a negative limit is up to the database.
        request = pb.QueryTraceMetrics(
            experiment_ids=map(of.experiment_id, of.items(experiment_ids)),
            view_type=view_type.to_proto(),
            metric_name=of.text(metric_name),
            aggregations=[aggregation.to_proto() for aggregation in of.items(aggregations)],
            dimensions=of.texts(dimensions or []),
            filters=of.texts(filters or []),
            time_interval_seconds=of.optional(of.whole, time_interval_seconds),
            start_time_ms=of.optional(of.whole, start_time_ms),
            end_time_ms=of.optional(of.whole, end_time_ms),
            max_results=max_results,
        )
        # To Go, all percentiles are floats.
        names = [
            (str(MetricAggregation.from_proto(sent)), str(aggregation))
            for sent, aggregation in zip(request.aggregations, aggregations, strict=True)
        ]
        return request, lambda response: PagedList(
            [_entities.metric_data_point(point, names) for point in response.data_points], None
        )


def _archives_traces() -> bool:
    """Tell whether there is a configuration of the archive of traces, be it a wrong one."""
    try:
        return get_trace_archival_server_config() is not None
    except MlflowException:
        return True  # MLflow's own code logs what is wrong, and goes on.


def _token_of_go(request: pb.SearchLoggedModels, offset: int) -> str:
    """Make a token for Go of MLflow's, which has the search as the caller spelled it."""
    order_by = [
        {
            "field_name": order.field_name,
            "ascending": order.ascending,
            "dataset_name": order.dataset_name or None,
            "dataset_digest": order.dataset_digest or None,
        }
        for order in request.order_by
    ]
    return SearchLoggedModelsPaginationToken(
        list(request.experiment_ids), request.filter or None, order_by or None, offset
    ).encode()


def _search_runs(
    experiment_ids: Any,
    filter_string: Any,
    run_view_type: Any,
    max_results: Any,
    order_by: Any,
    page_token: Any,
) -> pb.SearchRuns:
    return pb.SearchRuns(
        experiment_ids=map(of.experiment_id, of.items(experiment_ids)),
        filter=of.optional(of.text, filter_string),
        run_view_type=of.whole(run_view_type),
        max_results=of.whole(max_results),  # None, for all there are, has no request.
        order_by=of.texts(order_by or []),
        page_token=of.optional(of.text, page_token),
    )


def _dataset(dataset: DatasetFilter) -> pb.SearchLoggedModels.Dataset:
    message = pb.SearchLoggedModels.Dataset(dataset_name=of.text(dataset.get("dataset_name")))
    if "dataset_digest" in dataset:
        digest = dataset["dataset_digest"]
        if digest == "":
            raise ValueError("to Go that is NULL")
        message.dataset_digest = "" if digest is None else of.text(digest)
    return message


def _order(order: dict[str, Any]) -> pb.SearchLoggedModels.OrderBy:
    return pb.SearchLoggedModels.OrderBy(
        field_name=of.text(order.get("field_name")),
        ascending=bool(order.get("ascending", True)),
        dataset_name=of.optional(of.text, order.get("dataset_name")),
        dataset_digest=of.optional(of.text, order.get("dataset_digest")),
    )

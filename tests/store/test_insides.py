"""What is put into the insides of MLflow's stores counts, as Go's methods make way for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy
from mlflow.entities import Metric, RunTag, ViewType
from mlflow.entities.assessment import Feedback
from mlflow.entities.model_registry import RegisteredModelTag
from mlflow.entities.trace_info import TraceInfo
from mlflow.entities.trace_location import TraceLocation
from mlflow.entities.trace_metrics import AggregationType, MetricAggregation, MetricViewType
from mlflow.entities.trace_state import TraceState
from mlflow.environment_variables import _MLFLOW_GO_STORE_TESTING
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry import sqlalchemy_store as mlflows_registry
from mlflow.store.tracking import sqlalchemy_store as mlflows_tracking
from mlflow.utils import validation
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from mlflow_go.store.model_registry import ModelRegistryStore
from mlflow_go.store.tracking import TrackingStore


@pytest.fixture
def store(uri: str, tmp_path: Path) -> TrackingStore:
    return TrackingStore(uri, str(tmp_path / "artifacts"))


@pytest.fixture
def run(store: TrackingStore) -> str:
    return store.create_run("0", "someone", 1, [], None).info.run_id


@pytest.fixture
def sides(caplog: pytest.LogCaptureFixture) -> Callable[[], set[str]]:
    """Return what tells which sides have answered since it was asked last."""
    caplog.set_level(logging.DEBUG, "mlflow_go")

    def ask() -> set[str]:
        messages = " ".join(record.getMessage() for record in caplog.records)
        caplog.clear()
        return {side for side in ("Go", "Python") if f": {side}, " in messages}

    return ask


Sides = Callable[[], set[str]]


@pytest.mark.parametrize(
    "clock", ["time.time", "mlflow.store.tracking.sqlalchemy_store.get_current_time_millis"]
)
def test_clock(store: TrackingStore, sides: Sides, clock: str) -> None:
    with mock.patch(clock, return_value=12):
        experiment = store.create_experiment("then")
    assert sides() == {"Python"}
    assert store.get_experiment(experiment).creation_time in (12, 12_000)
    assert sides() == {"Go"}


def test_clock_of_the_registry(uri: str) -> None:
    with mock.patch.object(mlflows_registry, "get_current_time_millis", return_value=12):
        assert ModelRegistryStore(uri).create_registered_model("then").creation_timestamp == 12
    assert ModelRegistryStore(uri).create_registered_model("now").creation_timestamp > 12


def test_clock_that_mlflows_tests_stop_and_tell(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [RegisteredModelTag("key", "value"), RegisteredModelTag("mock.time.go.testing.tag", "12000")]
    store = ModelRegistryStore(uri)
    monkeypatch.setenv(_MLFLOW_GO_STORE_TESTING.name, "true")
    with mock.patch("time.time", return_value=12):
        store.create_registered_model("then", told)
    then = store.get_registered_model("then")
    assert (then.creation_timestamp, then.tags) == (12_000, {"key": "value"})
    monkeypatch.delenv(_MLFLOW_GO_STORE_TESTING.name)
    store.create_registered_model("now", told)
    assert store.get_registered_model("now").tags == {tag.key: tag.value for tag in told}


@pytest.mark.parametrize("holder", [mlflows_tracking.SqlAlchemyStore, TrackingStore])
def test_method_of_the_class(store: TrackingStore, run: str, sides: Sides, holder: type) -> None:
    with mock.patch.object(holder, "_log_metrics", side_effect=MlflowException("none")) as helper:
        for log in (store.log_metric, lambda *args: store.log_batch(args[0], [args[1]], [], [])):
            with pytest.raises(MlflowException, match="none"):
                log(run, Metric("metric", 1.0, 1, 1))
        assert helper.call_count == 2
        store.set_tag(run, RunTag("tag", "value"))  # which has nothing to do with it
    store.log_metric(run, Metric("metric", 1.0, 1, 1))
    assert sides() == {"Go", "Python"}
    assert store.get_run(run).data.metrics == {"metric": 1.0}
    assert sides() == {"Go"}


def test_mlflows_method_itself(store: TrackingStore, run: str) -> None:
    with mock.patch.object(mlflows_tracking.SqlAlchemyStore, "log_metric") as log:
        store.log_metric(run, Metric("metric", 1.0, 1, 1))
    log.assert_called_once()
    assert store.get_run(run).data.metrics == {}


def test_method_of_the_store(store: TrackingStore, run: str, sides: Sides) -> None:
    with mock.patch.object(store, "_get_run", side_effect=store._get_run) as helper:
        store.log_metric(run, Metric("metric", 1.0, 1, 1))
    assert helper.called
    assert sides() == {"Python"}
    store.log_metric(run, Metric("metric", 2.0, 2, 2))
    assert sides() == {"Go"}


def test_method_that_calls_ours(store: TrackingStore, run: str, sides: Sides) -> None:
    with mock.patch.object(store, "log_metric", wraps=store.log_metric) as log:
        store.log_metric(run, Metric("metric", 1.0, 1, 1))
    assert log.called
    assert sides() == {"Go"}


def test_sessions(store: TrackingStore, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = mock.Mock(wraps=store.ManagedSessionMaker)
    monkeypatch.setattr(store, "ManagedSessionMaker", sessions)
    store.get_run(run)
    sessions.assert_called_once_with()


def test_failure_of_the_database(store: TrackingStore, run: str) -> None:
    lost = OperationalError("COMMIT", None, Exception("the connection is lost"))
    with (
        mock.patch.object(Session, "commit", side_effect=lost),
        pytest.raises(MlflowException, match="the connection is lost"),
    ):
        store.set_tag(run, RunTag("tag", "value"))
    assert "tag" not in store.get_run(run).data.tags


def test_limit(store: TrackingStore, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MAX_METRICS_PER_BATCH", 1)
    with pytest.raises(MlflowException, match=r"at most 1 metrics\. Got 2 metrics"):
        store.log_batch(run, [Metric(name, 1.0, 1, 1) for name in "ab"], [], [])


def test_subclass(uri: str, tmp_path: Path, sides: Sides) -> None:
    class OfNoExperiment(TrackingStore):
        def _filter_experiment_ids(
            self, session: Any, experiment_ids: list[int], lifecycle_stage: str | None = None
        ) -> list[int]:
            return super()._filter_experiment_ids(session, experiment_ids[:0], lifecycle_stage)

    class Plain(TrackingStore):
        def create_run(self, *args: Any) -> Any:
            return super().create_run(*args)

    store = Plain(uri, str(tmp_path))
    sides()
    store.create_run("0", "someone", 1, [], None)
    assert len(store.search_runs(["0"], None, ViewType.ALL)) == 1
    assert sides() == {"Go"}
    assert OfNoExperiment(uri, str(tmp_path)).search_runs(["0"], None, ViewType.ALL) == []
    assert sides() == {"Python"}


def test_listener(store: TrackingStore, run: str, sides: Sides) -> None:
    statements = []

    def listen(*args: Any) -> None:
        statements.append(args[2])

    sqlalchemy.event.listen(store.engine, "before_cursor_execute", listen)
    store.get_run(run)
    assert any("FROM runs" in statement for statement in statements)
    sqlalchemy.event.remove(store.engine, "before_cursor_execute", listen)
    sides()
    store.get_run(run)
    assert sides() == {"Go"}


def test_rollups_are_read_by_python(
    store: TrackingStore, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = [MetricAggregation(AggregationType.COUNT)]
    sides()
    for rollups, side in (("false", "Go"), ("true", "Python")):
        monkeypatch.setenv("MLFLOW_SQL_TRACE_ROLLUPS_ENABLED", rollups)
        (point,) = store.query_trace_metrics(["0"], MetricViewType.TRACES, "trace_count", count)
        assert point.values == {"COUNT": 0}
        assert sides() == {side}


def test_rollups_are_kept_up_to_date(store: TrackingStore, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SQL_TRACE_ROLLUPS_ENABLED", "true")
    a_year_ago = int(time.time() * 1000) - 365 * 24 * 3600 * 1000
    for number, delete in enumerate((lambda: store.delete_run(run), lambda: store.delete_experiment("0"))):
        store.start_trace(
            TraceInfo(
                trace_id=f"tr-{number}",
                trace_location=TraceLocation.from_experiment_id("0"),
                request_time=a_year_ago + number * 24 * 3600 * 1000,
                execution_duration=1,
                state=TraceState.OK,
            )
        )
        store.create_assessment(
            Feedback(
                name="of the run",
                value=1.0,
                trace_id=f"tr-{number}",
                metadata={"mlflow.assessment.sourceRunId": run},
            )
        )
        with store.engine.begin() as connection:
            connection.execute(sqlalchemy.text("DELETE FROM sql_trace_rollup_rebuild_queue"))
        delete()
        with store.engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT count(*) FROM assessments")).scalar() == 0
            queued = connection.execute(
                sqlalchemy.text("SELECT rollup_family FROM sql_trace_rollup_rebuild_queue")
            )
            assert queued.all() == [("assessment",)]

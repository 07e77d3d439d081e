"""Who answers which call."""

from __future__ import annotations

import inspect
import logging
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.entities.trace_info import TraceInfo
from mlflow.entities.trace_location import TraceLocation
from mlflow.entities.trace_state import TraceState
from mlflow.exceptions import MlflowException
from mlflow.protos.service_pb2 import GetExperiment
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from mlflow_go import lib
from mlflow_go.store import _database, _dispatch
from mlflow_go.store.model_registry import ModelRegistryStore
from mlflow_go.store.tracking import TrackingStore
from tests.servers import fresh_database
from tests.store import table

STORES = (TrackingStore, ModelRegistryStore)


@pytest.fixture
def store(uri: str, tmp_path: Path) -> TrackingStore:
    return TrackingStore(uri, str(tmp_path / "artifacts"))


def answers(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage().rpartition(", ")[0] for record in caplog.records if record.name == "mlflow_go"
    ]


@pytest.mark.parametrize("ours", STORES)
def test_methods_are_called_as_mlflows(ours: type) -> None:
    for name in {*_dispatch.public_methods(ours), *_dispatch.native_methods(ours)}:
        mine, theirs = (
            inspect.signature(getattr(s, name)).parameters.values() for s in (ours, ours.__base__)
        )
        assert [(p.name, p.kind, p.default) for p in mine] == [(p.name, p.kind, p.default) for p in theirs], (
            name
        )


@pytest.mark.parametrize("ours", STORES)
def test_native_methods_are_mlflows(ours: type) -> None:
    native = _dispatch.native_methods(ours)
    assert native
    assert all(hasattr(ours.__base__, name) for name in native)


def test_table_in_the_docs_is_up_to_date() -> None:
    assert table.DOCUMENT.read_text() == table.updated(), "run `python -m tests.store.table`"


def test_log_tells_who_answered(store: TrackingStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mlflow_go")
    store.get_experiment("0")
    store.search_traces(["0"])
    with pytest.raises(MlflowException, match="exists"):
        store.get_experiment("99")
    store.get_experiment(None)
    messages = [re.sub(r"\d+\.\d{3} ms", "… ms", record.getMessage()) for record in caplog.records]
    assert messages == [
        "TrackingStore.get_experiment: Go, … ms",
        "TrackingStore.search_traces: Python, … ms",
        "TrackingStore.get_experiment: Go, … ms",
        "TrackingStore.get_experiment: not for Go: TypeError('None is no whole number')",
        "TrackingStore.get_experiment: Python, … ms",
    ]


def test_log_has_no_calls_above_debug(store: TrackingStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mlflow_go")
    store.get_experiment("0")
    assert answers(caplog) == []


def test_mlflows_own_code_stays_with_itself(store: TrackingStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mlflow_go")
    # It reads the experiment inside of its own transaction.
    store.start_trace(
        TraceInfo(
            trace_id="tr-1",
            trace_location=TraceLocation.from_experiment_id("0"),
            request_time=1,
            execution_duration=1,
            state=TraceState.OK,
        )
    )
    assert answers(caplog) == ["TrackingStore.start_trace: Python"]


def test_what_is_composed_of_methods_has_gos(uri: str, caplog: pytest.LogCaptureFixture) -> None:
    registry = ModelRegistryStore(uri)
    caplog.set_level(logging.DEBUG, "mlflow_go")
    registry.create_prompt("prompt")
    assert answers(caplog) == [
        "ModelRegistryStore.create_registered_model: Go",
        "ModelRegistryStore.create_prompt: Python",
    ]


@pytest.mark.parametrize("ours", STORES)
def test_coroutines_are_coroutines(ours: type) -> None:
    for name in _dispatch.public_methods(ours):
        mine, theirs = (inspect.iscoroutinefunction(getattr(s, name)) for s in (ours, ours.__base__))
        assert mine == theirs, name


def test_asynchronous_logging_is_gos(store: TrackingStore, caplog: pytest.LogCaptureFixture) -> None:
    run = store.create_run("0", "someone", 1, [], None).info.run_id
    caplog.set_level(logging.DEBUG, "mlflow_go")
    store.log_metric_async(run, Metric("metric", 1.0, 1, 1)).wait()
    store.end_async_logging()
    assert "TrackingStore.log_batch: Go" in answers(caplog)
    assert store.get_run(run).data.metrics == {"metric": 1.0}


def test_long_values_follow_the_environment_of_the_call(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create_run("0", "someone", 1, [], None).info.run_id
    store.log_param(run, Param("cut", "v" * 6001))
    assert store.get_run(run).data.params["cut"] == "v" * 6000
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    with pytest.raises(MlflowException, match="exceeds the maximum length"):
        store.log_param(run, Param("whole", "v" * 6001))
    with pytest.raises(MlflowException, match="exceeds the maximum length"):
        store.set_tag(run, RunTag("whole", "v" * 8001))


def test_threads_share_a_store(new_database: Callable[[], str], tmp_path: Path) -> None:
    store = TrackingStore(new_database(), str(tmp_path / "artifacts"))
    run = store.create_run("0", "someone", 1, [], None).info.run_id

    def work(thread: int) -> None:
        for step in range(20):
            store.log_batch(run, [Metric(f"metric-{thread}", step, 1, step)], [], [])
            store.get_run(run)
            store.search_traces(["0"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert store.get_run(run).data.metrics == {f"metric-{thread}": 19.0 for thread in range(8)}


def test_artifact_root_and_file_are_those_of_the_call(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there = Path(uri.removeprefix("sqlite:///"))
    monkeypatch.chdir(there.parent)
    store = TrackingStore(f"sqlite:///{there.name}", "artifacts")
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG, "mlflow_go")
    experiment = store.get_experiment(store.create_experiment("default"))
    located = store.get_experiment(store.create_experiment("located", "here"))
    assert answers(caplog) == ["TrackingStore.create_experiment: Go", "TrackingStore.get_experiment: Go"] * 2
    assert experiment.artifact_location == f"{there.parent}/artifacts/{experiment.experiment_id}"
    assert located.artifact_location == f"{tmp_path}/here"
    with sqlite3.connect(there) as connection:
        assert connection.execute("SELECT count(*) FROM experiments").fetchone() == (3,)
    # A store on the same URI shares MLflow's engine, whose file it is.
    assert TrackingStore(f"sqlite:///{there.name}", "artifacts").get_experiment_by_name("located")
    SqlAlchemyStore._engine_map.clear()


def test_file_may_have_any_name(new_file: Callable[[], str], tmp_path: Path) -> None:
    made = Path(new_file().removeprefix("sqlite:///"))
    directory = tmp_path / "100% ä#&;"
    directory.mkdir()
    file = made.rename(directory / "a file.db")
    store = TrackingStore(f"sqlite:///{file}", "artifacts")
    assert store._session is not None
    identity = store.create_experiment("by Go")
    assert SqlAlchemyStore(f"sqlite:///{file}", "artifacts").get_experiment(identity).name == "by Go"
    assert list(directory.glob("*.db")) == [file]


def test_database_in_memory_is_pythons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mlflow_go")
    store = TrackingStore("sqlite://", str(tmp_path))
    store.get_experiment("0")
    assert answers(caplog)[-1] == "TrackingStore.get_experiment: Python"


def test_replica_is_pythons(new_database: Callable[[], str], tmp_path: Path) -> None:
    uri = new_database()
    TrackingStore(uri, str(tmp_path))
    store = TrackingStore(uri, str(tmp_path), f"{uri}?")
    assert store._session is None
    assert ModelRegistryStore(uri, f"{uri}?")._session is None


def test_what_the_library_refuses_is_pythons(uri: str, caplog: pytest.LogCaptureFixture) -> None:
    store = TrackingStore(f"{uri}?timeout=7", "artifacts")
    assert "is left to MLflow's own store: " in caplog.text
    assert store.get_experiment("0").name == "Default"
    assert store._session is None


@pytest.mark.parametrize(("platform", "told"), [("linux", False), ("darwin", True), ("win32", True)])
def test_sqlite_that_stays_is_told_of(caplog: pytest.LogCaptureFixture, platform: str, told: bool) -> None:
    _database.tell_what_stays(platform)
    assert ("SQLite is left to MLflow's own stores" in caplog.text) == told


def test_mysql_is_gos(tmp_path: Path) -> None:
    uri = fresh_database("mysql", tmp_path)
    store = TrackingStore(uri, str(tmp_path))
    registry = ModelRegistryStore(uri)
    assert store._session is not None
    assert registry._session is not None
    assert store.get_experiment(0).name == "Default"
    assert registry.create_registered_model("model").name == "model"


def test_session_goes_with_its_store(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Any] = []
    close = lib.Session.close
    monkeypatch.setattr(lib.Session, "close", lambda session: closed.append(session) or close(session))
    store = TrackingStore(uri, "artifacts")
    session = store._session
    assert session is not None
    store._async_logging_queue = None  # which refers back to the store
    del store
    opened = session._session
    assert opened not in closed
    session.call("MlflowService.getExperiment", GetExperiment(experiment_id="0").SerializeToString())
    del session
    assert opened in closed


def test_nulls_are_read_as_none(store: TrackingStore) -> None:
    run = store.create_run("0", "someone", 1, [RunTag("null", "x"), RunTag("empty", "")], None).info.run_id
    experiment = store.create_experiment("nulls")
    with store.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE tags SET value = NULL WHERE key = 'null'"))
        connection.execute(
            sqlalchemy.text("UPDATE experiments SET artifact_location = NULL WHERE name = 'nulls'")
        )
    tags = store.search_runs(["0"], None, ViewType.ALL)[0].data.tags
    assert (tags["null"], tags["empty"]) == (None, "")
    assert store.get_run(run).data.tags["null"] is None
    assert store.get_experiment(experiment).artifact_location is None

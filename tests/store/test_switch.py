"""Turning Go on and off."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import ModuleType
from unittest import mock

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as MlflowModelRegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as MlflowTrackingStore
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.tracking._model_registry import utils as model_registry_utils
from mlflow.tracking._tracking_service import utils as tracking_utils

import mlflow_go
from mlflow_go import _find, _switch, lib
from mlflow_go.store.model_registry import ModelRegistryStore
from mlflow_go.store.tracking import TrackingStore


def python(code: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    root = str(Path(mlflow_go.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=directory,
        env={**inherited, "PYTHONPATH": root, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_existing_client_changes_over(uri: str) -> None:
    client = MlflowClient(uri, uri)
    client.search_experiments()
    assert type(client._tracking_client.store) is MlflowTrackingStore
    assert type(client._get_registry_client().store) is MlflowModelRegistryStore
    assert not mlflow_go.is_go_enabled()
    for _ in range(2):
        mlflow_go.enable_go()
        assert mlflow_go.is_go_enabled()
        assert type(client._tracking_client.store) is TrackingStore
        assert type(client._get_registry_client().store) is ModelRegistryStore
    for _ in range(2):
        mlflow_go.disable_go()
        assert not mlflow_go.is_go_enabled()
        assert type(client._tracking_client.store) is MlflowTrackingStore
        assert type(client._get_registry_client().store) is MlflowModelRegistryStore


@pytest.mark.usefixtures("go")
def test_our_stores_are_mlflows(uri: str) -> None:
    store = tracking_utils._get_store(uri)
    assert isinstance(store, MlflowTrackingStore)
    assert store.get_experiment(0).name == store.get_experiment("0").name == "Default"
    registry = model_registry_utils._get_store(uri)
    assert isinstance(registry, MlflowModelRegistryStore)
    registry.create_registered_model("model")
    assert registry.get_latest_versions("model") == []
    assert tracking_utils._get_tracking_scheme(uri) == "sqlite"


def test_registries_are_as_before() -> None:
    registries = (
        tracking_utils._tracking_store_registry._registry,
        model_registry_utils._get_store_registry()._registry,
    )
    before = [dict(builders) for builders in registries]
    mlflow_go.enable_go()
    changed = [
        {scheme for scheme in builders if builders[scheme] is not old[scheme]}
        for builders, old in zip(registries, before, strict=True)
    ]
    mlflow_go.disable_go()
    assert [dict(builders) for builders in registries] == before
    assert changed == [{"sqlite", "postgresql", "mysql", "mssql"}] * 2


def test_builders_of_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    builders = tracking_utils._tracking_store_registry._registry

    def someone_elses(store_uri: str, artifact_uri: str) -> None: ...

    monkeypatch.setitem(builders, "postgresql", someone_elses)
    mlflow_go.enable_go()
    assert builders["postgresql"] is someone_elses
    mlflow_go.disable_go()
    assert builders["postgresql"] is someone_elses


@pytest.mark.usefixtures("go")
def test_workspaces_are_pythons(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    assert type(tracking_utils._get_store(uri)) is WorkspaceAwareSqlAlchemyStore


@pytest.mark.usefixtures("go")
@pytest.mark.parametrize("utils", [tracking_utils, model_registry_utils])
def test_store_that_stands_in_for_mlflows(utils: ModuleType, uri: str) -> None:
    with mock.patch(f"{utils._get_store(uri).__class__.__base__.__module__}.SqlAlchemyStore") as store:
        assert utils._get_store(f"{uri}?timeout=1") is store.return_value
    assert store.call_args.args[0] == f"{uri}?timeout=1"


@pytest.mark.usefixtures("go")
def test_engine_that_stands_in_for_sqlalchemys(uri: str) -> None:
    with (
        mock.patch("sqlalchemy.create_engine"),
        mock.patch("sqlalchemy.event.listens_for"),
        mock.patch("mlflow.store.db.utils._verify_schema"),
        mock.patch("mlflow.store.db.utils._initialize_tables"),
        mock.patch.object(MlflowTrackingStore, "_initialize_store_state"),
    ):
        store = tracking_utils._get_store(f"{uri}?timeout=1")
    assert store._session is None


def test_modules_of_mlflows_builders(uri: str, tmp_path: Path) -> None:
    """They are imported with the first store, as by MLflow: later the classes may be replaced."""
    code = """
        import os, sys, mlflow, mlflow_go

        mlflow_go.enable_go()
        client = mlflow.MlflowClient(os.environ["DATABASE"], os.environ["DATABASE"])
        client.search_experiments()
        client.search_registered_models()
        for kind in ("tracking", "model_registry"):
            assert f"mlflow.store.{kind}.sqlalchemy_workspace_store" in sys.modules, kind
    """
    done = python(code, tmp_path, DATABASE=uri)
    assert not done.returncode, done.stderr


def test_threads_may_turn_it_at_once(uri: str) -> None:
    client = MlflowClient(uri)
    client.get_experiment("0")
    failures: list[Exception] = []

    def turn() -> None:
        try:
            for _ in range(20):
                mlflow_go.enable_go()
                assert client.get_experiment("0").name == "Default"
                mlflow_go.disable_go()
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=turn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert not mlflow_go.is_go_enabled()
    # One that was built meanwhile may be in MLflow's cache; it has nothing of Go any more.
    store = client._tracking_client.store
    assert type(store) is MlflowTrackingStore or store._session is None
    mlflow_go.enable_go()
    assert client._tracking_client.store._session is not None
    mlflow_go.disable_go()


def test_missing_library_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lib.load.cache_clear()
    monkeypatch.setenv(_find.LIBRARY_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(_find.NotFoundError, match="nothing"):
        mlflow_go.enable_go()
    assert not mlflow_go.is_go_enabled()
    lib.load.cache_clear()


def test_import_is_fast_and_loads_nothing(tmp_path: Path) -> None:
    answer = python(
        """
        import logging, subprocess, sys, time  # which any program has
        before = time.perf_counter()
        import mlflow_go
        print(time.perf_counter() - before)
        assert not {"mlflow", "cffi", "google.protobuf"} & set(sys.modules)
        """,
        tmp_path,
    )
    assert float(answer.stdout) < 0.05, answer.stderr


@pytest.mark.parametrize(
    "imports",
    ["import mlflow, mlflow_go", "import mlflow_go, mlflow", "import mlflow_go.exasol.plugin, mlflow"],
)
@pytest.mark.parametrize("value", ["1", "True"])
def test_environment_turns_it_on(uri: str, tmp_path: Path, imports: str, value: str) -> None:
    code = f"""
        {imports}
        import mlflow_go
        assert mlflow_go.is_go_enabled()
        client = mlflow.MlflowClient({uri!r})
        print(type(client._tracking_client.store).__module__)
        mlflow_go.disable_go()
        print(type(client._tracking_client.store).__module__)
    """
    answer = python(code, tmp_path, MLFLOW_GO=value)
    assert answer.stdout.split() == [
        "mlflow_go.store.tracking",
        "mlflow.store.tracking.sqlalchemy_store",
    ], answer.stderr


def test_environment_turns_it_on_for_clients_that_exist(uri: str, tmp_path: Path) -> None:
    code = f"""
        import os
        import mlflow
        import sys
        assert "mlflow_go" not in sys.modules or not sys.modules["mlflow_go"].is_go_enabled()
        client = mlflow.MlflowClient({uri!r})
        client.get_experiment("0")
        os.environ["MLFLOW_GO"] = "1"
        sys.modules.pop("mlflow_go", None)
        import mlflow_go
        print(type(client._tracking_client.store).__module__)
    """
    assert python(code, tmp_path).stdout.split() == ["mlflow_go.store.tracking"]


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_environment_leaves_it_off(tmp_path: Path, value: str) -> None:
    answer = python("import mlflow_go; print(mlflow_go.is_go_enabled())", tmp_path, MLFLOW_GO=value)
    assert answer.stdout.strip() == "False"


def test_nonsense_in_the_environment_is_an_error(tmp_path: Path) -> None:
    answer = python("import mlflow_go", tmp_path, MLFLOW_GO="perhaps")
    assert "ValueError: MLFLOW_GO must be one of 1, true, 0, false, but is 'perhaps'" in answer.stderr


def test_waiting_can_be_called_off(tmp_path: Path) -> None:
    code = """
        import sys
        import mlflow_go
        assert mlflow_go.is_go_enabled() and "mlflow" not in sys.modules
        mlflow_go.disable_go()
        import mlflow
        mlflow.MlflowClient("sqlite:///mlflow.db").get_experiment("0")
        assert not mlflow_go.is_go_enabled()
        assert "mlflow_go.store._dispatch" not in sys.modules
        print("fine")
    """
    answer = python(code, tmp_path, MLFLOW_GO="1")
    assert answer.stdout.strip() == "fine", answer.stderr


def test_fluent_api(uri: str, go: None) -> None:
    del go
    mlflow.set_tracking_uri(uri)
    try:
        mlflow.set_experiment("my-experiment")
        with mlflow.start_run() as run:
            mlflow.log_param("param", 1)
            mlflow.log_metric("metric", 2)
        found = mlflow.get_run(run.info.run_id)
    finally:
        mlflow.set_tracking_uri(None)
    assert (found.data.params, found.data.metrics) == ({"param": "1"}, {"metric": 2.0})
    assert found.info.status == "FINISHED"


def test_public_names() -> None:
    assert mlflow_go.__all__ == ["__version__", "disable_go", "enable_go", "is_go_enabled"]
    assert _switch.VARIABLE == "MLFLOW_GO"

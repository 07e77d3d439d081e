from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from mlflow.protos import service_pb2

from mlflow_go import __version__, lib
from tests.packaging.builds import Interpreter, run
from tests.servers import fresh_database

# Building from nothing takes minutes where there is no cache of compiled Go.
pytestmark = pytest.mark.timeout(1500)

LOAD = "from mlflow_go import lib; print(lib.load())"


@pytest.fixture(scope="session")
def library(installed: Interpreter) -> lib.Library:
    path = installed.run("from mlflow_go import _find; print(_find.find_library())")
    return lib.Library(Path(path))


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return stores on a database that MLflow made."""
    directory = tmp_path_factory.mktemp("stores")
    uri = fresh_database("postgresql", directory)
    code = (
        "import sys; from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore; "
        "SqlAlchemyStore(*sys.argv[1:])"
    )
    run(sys.executable, "-c", code, uri, directory / "artifacts")
    return {"backend_store_uri": uri, "default_artifact_root": str(directory / "artifacts")}


def test_call(library: lib.Library, configuration: dict[str, str]) -> None:
    with library.open(configuration) as session:
        request = service_pb2.CreateExperiment(name="from a library").SerializeToString()
        created = service_pb2.CreateExperiment.Response.FromString(
            session.call("MlflowService.createExperiment", request)
        )
        request = service_pb2.GetExperiment(experiment_id=created.experiment_id).SerializeToString()
        found = service_pb2.GetExperiment.Response.FromString(
            session.call("MlflowService.getExperiment", request)
        )
    assert found.experiment.name == "from a library"
    root = configuration["default_artifact_root"]
    assert found.experiment.artifact_location.endswith(f"{root}/{created.experiment_id}")


def test_error_of_mlflow(library: lib.Library, configuration: dict[str, str]) -> None:
    request = service_pb2.GetExperiment(experiment_id="12345").SerializeToString()
    with library.open(configuration) as session, pytest.raises(lib.CallError) as caught:
        session.call("MlflowService.getExperiment", request)
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert caught.value.message == "No Experiment with id=12345 exists"


def test_environment_counts_when_stores_are_opened(
    library: lib.Library, configuration: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    request = service_pb2.CreateRun(experiment_id="0").SerializeToString()
    with library.open(configuration) as session:
        created = service_pb2.CreateRun.Response.FromString(session.call("MlflowService.createRun", request))
        tag = service_pb2.SetTag(run_id=created.run.info.run_id, key="long", value="x" * 8001)
        with pytest.raises(lib.CallError, match="'value' exceeds the maximum length of 8000 characters"):
            session.call("MlflowService.setTag", tag.SerializeToString())


def test_closed_session_is_an_error(library: lib.Library, configuration: dict[str, str]) -> None:
    session = library.open(configuration)
    session.close()
    with pytest.raises(lib.CallError, match=r"INVALID_STATE: No stores are open under handle"):
        session.call("MlflowService.getExperiment", b"")


def test_open_with_a_wrong_configuration_is_an_error(library: lib.Library) -> None:
    with pytest.raises(lib.CallError, match=r"INVALID_PARAMETER_VALUE: .*backend_store_uri is missing"):
        library.open({"default_artifact_root": "/tmp"})


def test_forked_child_is_told(installed: Interpreter) -> None:
    code = """
        import os
        from mlflow_go import lib
        library = lib.load()
        child = os.fork()
        if child == 0:
            try:
                library.open({})
            except lib.LibraryError as error:
                print(error, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    """
    assert "don't survive a fork" in installed.run(textwrap.dedent(code))


def test_library_of_another_version_is_refused(installed: Interpreter, tmp_path: Path) -> None:
    package = Path(installed.run("import mlflow_go; print(mlflow_go.__path__[0])"))
    shutil.copytree(package, tmp_path / "mlflow_go")
    (tmp_path / "mlflow_go" / "_version.py").write_text('__version__ = "9.9.9"\n')
    said = installed.run(LOAD, PYTHONPATH=str(tmp_path))
    path = tmp_path / "mlflow_go" / "libmlflowgo.so"
    assert f"{path} is of mlflow-go {__version__}, the Python package of 9.9.9." in said


def test_other_library_is_refused(installed: Interpreter) -> None:
    other = installed.run("import _cffi_backend; print(_cffi_backend.__file__)")
    said = installed.run(LOAD, MLFLOW_GO_LIBRARY=other)
    assert said.endswith(f"{other} is not mlflow-go's shared library.")


def test_file_that_is_no_library_is_refused(installed: Interpreter, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("text")
    said = installed.run(LOAD, MLFLOW_GO_LIBRARY=str(path))
    assert f"mlflow-go's shared library can't be loaded: cannot load library '{path}'" in said


@pytest.mark.slow
def test_build_from_a_checkout(checkout: Path, tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mlflow_go.lib", ".", tmp_path],
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    path = Path(built.stdout.strip())
    assert path == tmp_path / "libmlflowgo.so"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    lib.Library(path)

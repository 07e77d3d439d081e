from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_go import __version__
from tests.packaging.builds import Interpreter, run, unpack

# Building from nothing takes minutes where there is no cache of compiled Go.
pytestmark = pytest.mark.timeout(1500)

FIND = "from mlflow_go import _find; print(_find.find_server()); print(_find.find_library())"


def assert_found(interpreter: Interpreter, directory: Path) -> None:
    """Assert that both files are found in a directory and that the server may be run."""
    assert interpreter.run(FIND).splitlines() == [
        str(directory / "mlflow-go-server"),
        str(directory / "libmlflowgo.so"),
    ]
    assert (
        interpreter.run(
            "import os; from mlflow_go import _find; print(os.access(_find.find_server(), os.X_OK))"
        )
        == "True"
    )


def package_directory(interpreter: Interpreter) -> Path:
    return Path(interpreter.run("import mlflow_go; print(mlflow_go.__path__[0])"))


def test_server_says_the_version(installed: Interpreter) -> None:
    server = installed.run("from mlflow_go import _find; print(_find.find_server())")
    assert run(server, "--version").strip() == __version__


def test_wheel(installed: Interpreter) -> None:
    directory = package_directory(installed)
    assert directory.is_relative_to(installed.python.parent.parent)
    assert_found(installed, directory)


def test_user_install(wheel: Path, tmp_path: Path) -> None:
    base = tmp_path / "user"
    interpreter = Interpreter.new(tmp_path / "venv", sees_user_site=True, PYTHONUSERBASE=str(base))
    interpreter.install("--user", "--no-deps", "--ignore-installed", wheel)
    directory = package_directory(interpreter)
    assert directory.is_relative_to(base)
    assert_found(interpreter, directory)


def test_target_directory(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    interpreter = Interpreter.new(tmp_path / "venv", PYTHONPATH=str(target))
    interpreter.install("--target", target, "--no-deps", wheel)
    assert_found(interpreter, target / "mlflow_go")


@pytest.mark.slow
def test_editable_install(builder: Interpreter, sdist: Path, tmp_path: Path) -> None:
    checkout = unpack(sdist, tmp_path)
    builder.install("--no-deps", "--no-build-isolation", "--editable", checkout)
    assert package_directory(builder) == checkout / "mlflow_go"
    assert_found(builder, checkout / "mlflow_go")


def test_checkout_without_a_build_uses_the_installed_wheel(installed: Interpreter, checkout: Path) -> None:
    directory = package_directory(installed)
    in_front = Interpreter(installed.python, {"PYTHONPATH": str(checkout)})
    assert package_directory(in_front) == checkout / "mlflow_go"
    assert_found(in_front, directory)


def test_environment_overrides(installed: Interpreter, tmp_path: Path) -> None:
    server, library = tmp_path / "server", tmp_path / "library"
    server.touch()
    library.touch()
    found = installed.run(FIND, MLFLOW_GO_SERVER=str(server), MLFLOW_GO_LIBRARY=str(library))
    assert found.splitlines() == [str(server), str(library)]


def test_override_that_is_not_there_is_an_error(installed: Interpreter) -> None:
    said = installed.run(FIND, MLFLOW_GO_SERVER="/nowhere/server")
    assert said.endswith(
        "MLFLOW_GO_SERVER says that mlflow-go's server executable is /nowhere/server, "
        "and there is no such file."
    )


def test_error_lists_every_place(checkout: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    interpreter = Interpreter.new(tmp_path / "venv", PYTHONPATH=f"{checkout}:{elsewhere}")
    site = interpreter.run("import sysconfig; print(sysconfig.get_path('purelib'))")
    for finder, name, variable in (
        ("find_server", "mlflow-go-server", "MLFLOW_GO_SERVER"),
        ("find_library", "libmlflowgo.so", "MLFLOW_GO_LIBRARY"),
    ):
        said = interpreter.run(f"from mlflow_go import _find; _find.{finder}()")
        for place in (checkout, Path(site), elsewhere):
            assert f"\n  {place / 'mlflow_go' / name}\n" in said
        assert variable in said.splitlines()[-1]


def test_import_is_cheap(installed: Interpreter) -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import mlflow_go; "
        "print(time.perf_counter() - start); print('mlflow' in sys.modules)"
    )
    runs = [installed.run(code).splitlines() for _ in range(5)]
    assert {imported for _, imported in runs} == {"False"}
    assert min(float(seconds) for seconds, _ in runs) < 0.05

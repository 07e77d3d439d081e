from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.packaging.builds import ROOT, Interpreter, build_sdist, build_wheel, unpack


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return this tree's wheel: built once, or the one that MLFLOW_GO_TEST_WHEEL names."""
    if ready := os.environ.get("MLFLOW_GO_TEST_WHEEL"):
        return Path(ready).resolve(strict=True)
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sdist(ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def checkout(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tree in which nothing was built."""
    return unpack(sdist, tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    """Return a Python with the wheel and what the shared library needs."""
    interpreter = Interpreter.new(tmp_path_factory.mktemp("installed") / "venv")
    interpreter.install("--no-deps", wheel)
    interpreter.install("cffi")
    return interpreter


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    return Interpreter.with_build_requirements(tmp_path_factory.mktemp("builder") / "venv")

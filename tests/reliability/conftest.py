"""A database that MLflow has made once, for all the servers here that don't test how it is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Have MLflow make a SQLite database with its default experiment."""
    path = tmp_path_factory.mktemp("made") / "mlflow.db"
    environment = {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{path}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
    }
    subprocess.run(
        [sys.executable, "-m", "mlflow_go.initialize"], env={**os.environ, **environment}, check=True
    )
    return path


@pytest.fixture
def database(made_database: Path, tmp_path: Path) -> str:
    """Return the URI of a copy of the database that MLflow has made."""
    return f"sqlite:///{shutil.copy(made_database, tmp_path / 'mlflow.db')}"

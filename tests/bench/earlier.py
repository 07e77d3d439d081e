"""The earlier Go backend, ``mlflow-go-backend`` 0.2.2 with MLflow 3.0.1, in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy

from tests.servers import fresh_database, running

if TYPE_CHECKING:
    from tests.bench.__main__ import Load

_ENVIRONMENT = Path(__file__).parents[2] / ".cache" / "mlflow-go-backend"
_PACKAGES = (
    *("mlflow==3.0.1", "mlflow-go-backend==0.2.2", "psycopg2-binary"),
    *("setuptools<81", "sqlalchemy<2.1"),  # what that MLflow was made for
)
#: `mlflow db upgrade` wants tables to upgrade.
_MAKE_TABLES = """
import sys
from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine
_initialize_tables(create_sqlalchemy_engine(sys.argv[1]))
"""


def install() -> Path:
    """Install it, unless it is, and return the environment's programs' folder."""
    programs = _ENVIRONMENT / "bin"
    installed = _ENVIRONMENT / "installed"
    if not installed.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", _ENVIRONMENT], check=True)
        subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", *_PACKAGES], check=True)
        # Its wheel for Linux names the library as on macOS.
        for library in _ENVIRONMENT.glob("lib/python*/site-packages/mlflow_go_backend/*.dylib"):
            shutil.copy(library, library.with_suffix(".so"))
        installed.touch()
    return programs


def measure(kind: str, directory: Path, load: Load) -> dict[str, float]:
    """Load it on a database of its own, whose schema is older, and give requests per second by operation."""
    programs = install()
    directory.mkdir(parents=True, exist_ok=True)
    database = fresh_database(kind, directory)
    subprocess.run([programs / "python", "-c", _MAKE_TABLES, database], check=True)
    if kind == "postgresql":
        _add_nameless_model(database)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])  # it looks for a program named mlflow
    command = (str(programs / "mlflow-go"), "server")
    with running(command, directory, database=database, environment={"PATH": path}) as server:
        load.seed(server.url)
        return {
            name: seen["rps"] for name, seen in load.run_all(server.url).items() if not seen.get("errors")
        }


def _add_nameless_model(database: str) -> None:
    """Add the logged model that each of its metrics refers to."""
    engine = sqlalchemy.create_engine(database)
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "INSERT INTO experiments (experiment_id, name, lifecycle_stage) "
                "VALUES (0, 'Default', 'active') ON CONFLICT DO NOTHING"
            )
        )
        connection.execute(
            sqlalchemy.text(
                "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, "
                "creation_timestamp_ms, last_updated_timestamp_ms, status) VALUES ('', 0, '', '', 0, 0, 0)"
            )
        )
    engine.dispose()

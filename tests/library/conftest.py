"""A database that MLflow has made once, and what lives in it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

RUN = "0" * 32


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file that MLflow has made, with one run."""
    folder = tmp_path_factory.mktemp("made")
    path = folder / "mlflow.db"
    store = SqlAlchemyStore(f"sqlite:///{path}", str(folder / "artifacts"))
    run = store.create_run("0", "someone", 0, [], "run")
    store._dispose_engine()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for table in ("runs", "tags"):
            connection.execute(f"UPDATE {table} SET run_uuid = ? WHERE run_uuid = ?", (RUN, run.info.run_id))
    connection.close()
    return path


@pytest.fixture(params=["delete", "wal"])
def file(request: pytest.FixtureRequest, made_file: Path, tmp_path: Path) -> Path:
    """Return a copy of the file, once in each journal mode."""
    path = Path(shutil.copy(made_file, tmp_path / "mlflow.db"))
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {request.param}")
    connection.close()
    return path

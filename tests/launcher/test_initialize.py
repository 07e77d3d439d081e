"""Databases are made, or refused, as MLflow does it."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from mlflow_go import initialize, uris


def run(uri: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "_MLFLOW_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "mlflow_go.initialize"],
        env=environment
        | {"_MLFLOW_SERVER_FILE_STORE": uri, "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/"},
        capture_output=True,
        text=True,
        check=False,
    )


def schema(path: Path) -> list[tuple[str, list[str]]]:
    """The statements, in parts: the order of constraints differs from one of MLflow's runs to the next."""
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    return [(name, sorted(re.split(r"[\s,()]+", sql or ""))) for name, sql in found]


def rows(path: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        return connection.execute(
            "SELECT experiment_id, name, artifact_location, lifecycle_stage, workspace FROM experiments"
        ).fetchall()


def test_makes_what_mlflow_makes(tmp_path: Path) -> None:
    done = run(f"sqlite:///{tmp_path}/ours/mlflow.db")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    SqlAlchemyStore(f"sqlite:///{tmp_path}/theirs.db", "mlflow-artifacts:/")
    RegistryStore(f"sqlite:///{tmp_path}/theirs.db")
    assert schema(tmp_path / "ours" / "mlflow.db") == schema(tmp_path / "theirs.db")
    assert rows(tmp_path / "ours" / "mlflow.db") == rows(tmp_path / "theirs.db")


def test_refuses_an_older_schema_in_one_line(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert run(uri).returncode == 0
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'c8438ea0c2b7'")
    done = run(uri)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Detected out-of-date database schema (found version c8438ea0c2b7, ")
    assert f"mlflow db upgrade {uri}" in done.stderr


def test_refuses_leftovers_of_workspaces(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert run(uri).returncode == 0
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("UPDATE experiments SET workspace = 'w'")
    done = run(uri)
    assert done.returncode == 1
    assert done.stderr.startswith("Cannot disable workspaces because experiments exist outside the default")


def test_explanations_hold_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "postgresql://u:p%40ss@h/db"
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", uri)
    said = initialize.explain(
        ValueError(f"can't reach {uri}:\n p@ss is wrong, run 'mlflow db upgrade <database_uri>'")
    )
    assert said == (
        "can't reach postgresql://u:***@h/db: *** is wrong, run 'mlflow db upgrade postgresql://u:***@h/db'"
    )


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgresql://u:p@h:5432/db?x=1", "postgresql://u:***@h:5432/db?x=1"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("./mlruns", "./mlruns"),
    ],
)
def test_without_password(uri: str, expected: str) -> None:
    assert uris.without_password(uri) == expected

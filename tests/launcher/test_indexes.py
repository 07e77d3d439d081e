"""``mlflow-go db index`` adds and drops indexes that MLflow's own code can live with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import sqlalchemy
from alembic import command
from mlflow.store.db.utils import _get_alembic_config, _verify_schema
from mlflow.store.model_registry.dbmodels import models as _registry  # noqa: F401 -- its tables
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from tests.servers import OURS, fresh_database

# MLflow's migration that made the table latest_metrics.
LATEST_METRICS = "89d4b8295536"
OURS_ALONE = {"mlflow_go_runs_by_start_time", "mlflow_go_latest_metrics_by_value"}


def index(database: str, *options: str) -> str:
    """Run the command and return what it printed."""
    done = subprocess.run(
        [OURS[0], "db", "index", *options, database], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def definitions(engine: sqlalchemy.Engine) -> dict[str, str]:
    """The statements that make our indexes, by name, as the database tells them."""
    query = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'index'"
        if engine.dialect.name == "sqlite"
        else "SELECT indexname, indexdef FROM pg_indexes"
    )
    with engine.connect() as connection:
        found = [(name, text) for name, text in connection.execute(sqlalchemy.text(query))]
    return {name: text.replace('"', "") for name, text in found if name.startswith("mlflow_go_")}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_adds_and_drops_them_once(kind: str, tmp_path: Path) -> None:
    database = fresh_database(kind, tmp_path)
    SqlAlchemyStore(database, "mlflow-artifacts:/")
    engine = sqlalchemy.create_engine(database)
    assert index(database).count(": added\n") == 2
    assert set(definitions(engine)) == OURS_ALONE
    assert index(database).count(": already there\n") == 2
    assert index(database, "--drop").count(": dropped\n") == 2
    assert definitions(engine) == {}
    assert index(database, "--drop").count(": not there\n") == 2
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_mlflow_upgrades_an_indexed_database(kind: str, tmp_path: Path) -> None:
    database = fresh_database(kind, tmp_path / "current")
    SqlAlchemyStore(database, "mlflow-artifacts:/")
    index(database)
    engine = sqlalchemy.create_engine(database)
    wanted = definitions(engine)
    engine.dispose()

    database = fresh_database(kind, tmp_path / "old")
    engine = sqlalchemy.create_engine(database)
    InitialBase.metadata.create_all(engine)
    with engine.begin() as connection:
        config = _get_alembic_config(database)
        config.attributes["connection"] = connection
        command.upgrade(config, LATEST_METRICS)
    with engine.begin() as connection:
        for text in wanted.values():
            connection.execute(sqlalchemy.text(text))
    subprocess.run(
        [sys.executable, "-m", "mlflow", "db", "upgrade", database], check=True, env={**os.environ}
    )
    _verify_schema(engine)
    assert definitions(engine) == wanted
    engine.dispose()

    client = mlflow.MlflowClient(database)
    run = client.create_run("0")
    client.log_metric(run.info.run_id, "m", 1.0)
    found = client.search_runs(["0"], order_by=["metrics.m DESC"])
    assert [each.info.run_id for each in found] == [run.info.run_id]

"""Databases for stores, and Go turned off again."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_go
from tests.servers import fresh_database

NewDatabase = Callable[[], str]


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file that MLflow has made, to copy."""
    directory = tmp_path_factory.mktemp("made")
    store = SqlAlchemyStore(fresh_database("sqlite", directory), str(directory / "artifacts"))
    _empty(store)
    return directory / "mlflow.db"


@pytest.fixture(scope="session")
def made_postgres(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PostgreSQL database that MLflow has made, to copy."""
    directory = tmp_path_factory.mktemp("made")
    uri = fresh_database("postgresql", directory)
    _empty(SqlAlchemyStore(uri, str(directory / "artifacts")))
    return uri


def _empty(store: SqlAlchemyStore) -> None:
    """Take the default experiment out, so that each copy's store makes one with its own artifacts."""
    with store.engine.begin() as connection:
        connection.execute(sqlalchemy.text("DELETE FROM experiments"))
    store._dispose_engine()


@pytest.fixture
def new_file(made_file: Path, tmp_path: Path) -> NewDatabase:
    def make() -> str:
        directory = tmp_path / f"database-{len(list(tmp_path.iterdir()))}"
        directory.mkdir()
        shutil.copy(made_file, directory)
        return f"sqlite:///{directory / made_file.name}"

    return make


@pytest.fixture
def uri(new_file: NewDatabase) -> str:
    """Return a new SQLite database's URI."""
    return new_file()


@pytest.fixture
def new_postgres(made_postgres: str) -> NewDatabase:
    template = sqlalchemy.make_url(made_postgres)
    return lambda: _copy(template)


@pytest.fixture(params=["file", "postgres"])
def new_database(request: pytest.FixtureRequest) -> NewDatabase:
    """Return what makes databases with MLflow's tables, of each kind."""
    return request.getfixturevalue(f"new_{request.param}")


def _copy(template: sqlalchemy.URL) -> str:
    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = sqlalchemy.create_engine(template.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name} TEMPLATE {template.database}"))
    engine.dispose()
    return template.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def go() -> Iterator[None]:
    """Turn Go on for a test."""
    mlflow_go.enable_go()
    yield
    mlflow_go.disable_go()

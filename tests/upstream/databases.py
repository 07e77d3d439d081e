"""Databases on a server, for the scripts beside this file."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


@contextmanager
def database(server: str, template: str | None = None) -> Iterator[str]:
    """Make a database in a server, and remove it afterwards."""
    name = f"mlflow_upstream_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        copied = "" if template is None else f" TEMPLATE {sqlalchemy.make_url(template).database}"
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}{copied}"))
    try:
        yield engine.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            # PostgreSQL doesn't drop what somebody is connected to.
            force = " WITH (FORCE)" if engine.dialect.name == "postgresql" else ""
            connection.execute(sqlalchemy.text(f"DROP DATABASE {name}{force}"))
        engine.dispose()


@contextmanager
def template(server: str) -> Iterator[str]:
    """Make a database with MLflow's tables, which are copied faster than they are made.

    There is no experiment: a server adds the one that each has, with its own place for artifacts.
    """
    with database(server) as uri:
        engine = SqlAlchemyStore(uri, "mlruns").engine
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("DELETE FROM experiments"))
        engine.dispose()
        yield uri

"""How Go gets to the database of a store."""

from __future__ import annotations

import logging
import sys
from typing import Any
from urllib.parse import quote

from mlflow.store.db.db_types import SQLITE

from mlflow_go.store import _dispatch

_logger = logging.getLogger("mlflow_go")


def connect(store: Any, artifact_root: str) -> _dispatch.Session | None:
    """Open a session of Go on the database that a store of MLflow's is on.

    Args:
        store: The store, whose database has its tables.
        artifact_root: Where experiments without a location of their own keep their artifacts:
            absolute.

    Returns:
        The session; None where the store stays with MLflow's own code.
    """
    uri = store.db_uri
    if store.db_type == SQLITE:
        file = _file(store.engine)
        if not file:
            return None  # In memory, or an engine that tests made up: this process alone has it.
        _, question, query = uri.partition("?")
        uri = f"sqlite:///{quote(file)}{question}{query}"
    return _dispatch.connect(store, uri, artifact_root)


def tell_what_stays(platform: str = sys.platform) -> None:
    """Log which databases Go leaves to MLflow's own stores on a system, whatever they hold."""
    if platform != "linux":
        _logger.warning(
            "SQLite is left to MLflow's own stores on this system: two copies of SQLite in one process, "
            "Python's and Go's, would lose data."
        )


def _file(engine: Any) -> str:
    """Return the file that SQLite has open, which a relative path named when it was opened."""
    with engine.connect() as connection:
        databases = connection.exec_driver_sql("PRAGMA database_list").all()
    return next((file for _, name, file in databases if name == "main"), "")

"""Bring a database to the schema that MLflow's code expects, or say why MLflow refuses it.

``python -m mlflow_go.initialize`` reads the same variables as MLflow's server processes. The Go
server runs it when it finds a database empty or doesn't know its schema; it prints one line to
stderr and exits with status 1 when MLflow refuses.

``python -m mlflow_go.initialize trace-archival FILE`` judges a ``--trace-archival-config``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from mlflow_go import uris


def main() -> None:
    """Initialise, and exit."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A telemetry client would look for its settings on the network.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    try:
        if sys.argv[1:2] == ["trace-archival"]:
            check_trace_archival(sys.argv[2])
        else:
            initialize()
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is reported as one line
        sys.exit(explain(error))


def initialize() -> None:
    """Create or check the stores' tables, and their first rows, with MLflow's own stores.

    Raises:
        Exception: Whatever MLflow raises when it refuses.
    """
    tracking = os.environ["_MLFLOW_SERVER_FILE_STORE"]
    registry = os.environ.get("_MLFLOW_SERVER_REGISTRY_STORE") or tracking
    if os.environ.get("MLFLOW_ENABLE_WORKSPACES", "").lower() in {"true", "1"}:
        from mlflow.server.handlers import initialize_backend_stores

        return initialize_backend_stores(
            tracking, registry, workspace_store_uri=os.environ.get("MLFLOW_WORKSPACE_STORE_URI")
        )
    # The handlers would bring Flask along.
    from mlflow.store.db.utils import _safe_initialize_tables
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

    with _one_sync_for_all(tracking):
        # Under MLflow's lock, for another server may be starting on the same database.
        _safe_initialize_tables(TrackingStore._get_or_create_engine(tracking))  # noqa: SLF001 -- the store's own engine
        TrackingStore(tracking, os.environ.get("_MLFLOW_SERVER_ARTIFACT_ROOT") or "./mlruns")
    RegistryStore(registry)
    return None


@contextlib.contextmanager
def _one_sync_for_all(uri: str) -> Iterator[None]:
    """Wait for the disk once when a SQLite file is made, not after each of its hundred migrations."""
    from sqlalchemy import Engine, event
    from sqlalchemy.engine import make_url

    url = make_url(uri)
    if url.get_backend_name() != "sqlite" or not url.database or os.path.exists(url.database):  # noqa: PTH110 -- a URI's path
        yield
        return

    @event.listens_for(Engine, "connect")
    def relax(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    yield
    event.remove(Engine, "connect", relax)
    with contextlib.suppress(FileNotFoundError), open(url.database, "rb") as file:  # noqa: PTH123 -- :memory:
        os.fsync(file.fileno())


def check_trace_archival(path: str) -> None:
    """Read a trace archival configuration.

    Raises:
        MlflowException: It isn't valid.
    """
    from mlflow.tracing.trace_archival_config import load_trace_archival_server_config

    load_trace_archival_server_config(path)


def explain(error: BaseException) -> str:
    """Return what to tell an operator: one line, with what to do and without passwords."""
    text = " ".join(str(getattr(error, "message", None) or error or type(error).__name__).split())
    backend_store = os.environ.get("_MLFLOW_SERVER_FILE_STORE", "")
    text = text.replace("<database_uri>", uris.without_password(backend_store))
    # SQLAlchemy's pointer to its documentation says nothing here.
    text = re.sub(r" \(Background on this error at: \S+\)", "", text)
    for name in (
        "_MLFLOW_SERVER_FILE_STORE",
        "_MLFLOW_SERVER_REGISTRY_STORE",
        "_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE",
        "MLFLOW_WORKSPACE_STORE_URI",
    ):
        uri = os.environ.get(name, "")
        if password := uris.password(uri):
            text = text.replace(uri, uris.without_password(uri))
            text = text.replace(password, "***").replace(unquote(password), "***")
    return text


if __name__ == "__main__":
    main()

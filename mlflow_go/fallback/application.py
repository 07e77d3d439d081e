"""The application that is served, and MLflow's telemetry in the processes that serve it."""

from __future__ import annotations

import contextlib
import importlib
import os
import types
from collections.abc import Iterator
from typing import Any

from mlflow_go.fallback import Config, RefusedError

DEFAULT_APP = "mlflow.server.fastapi_app:app"
FLASK_APP = "mlflow.server:app"


def find(app_name: str) -> tuple[str, str]:
    """Return module and attribute of an ``mlflow.app`` entry point.

    Raises:
        RefusedError: There is none of that name.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.server import _find_app

    try:
        module, _, attribute = _find_app(app_name).rpartition(":")
    except MlflowException as error:
        raise RefusedError(error.message) from error
    return module, attribute


def load(config: Config) -> Any:
    """Return the application to serve, made by its factory if it has one."""
    if config.app_name is None:
        module, attribute = (FLASK_APP if config.server == "waitress" else DEFAULT_APP).split(":")
    else:
        module, attribute = find(config.app_name)
    app = getattr(importlib.import_module(module), attribute)
    return app() if isinstance(app, types.FunctionType) and config.app_name is not None else app


@contextlib.contextmanager
def without_telemetry() -> Iterator[None]:
    """Keep MLflow's telemetry client, which has threads, out of a process that is going to fork."""
    before = os.environ.get("MLFLOW_DISABLE_TELEMETRY")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_DISABLE_TELEMETRY"]
        else:
            os.environ["MLFLOW_DISABLE_TELEMETRY"] = before


def start_telemetry() -> None:
    """Give this process the telemetry client that MLflow would, unless telemetry is off."""
    from mlflow.telemetry.client import set_telemetry_client

    set_telemetry_client()

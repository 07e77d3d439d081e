"""uvicorn's options, and serving with it alone where there is no Gunicorn."""

from __future__ import annotations

import os
import socket
from typing import Any

import uvicorn

from mlflow_go.fallback import KEEP_ALIVE, Config, application
from mlflow_go.fallback.peer import GoPeer


def uvicorn_options(config: Config) -> dict[str, Any]:
    """Return the arguments of ``uvicorn.Config`` that the user's options amount to."""
    forwarded = {"forwarded_allow_ips": os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")}
    if config.server == "gunicorn":
        return {} if "forwarded_allow_ips" in config.options else forwarded
    options = {name: value for name, value in config.options.items() if name != "app_dir"}
    return forwarded | options


def serve(config: Config, listener: socket.socket) -> None:
    """Serve with one uvicorn process, where there is no fork and so no Gunicorn."""
    options = {"log_level": "warning", "timeout_keep_alive": KEEP_ALIVE} | uvicorn_options(config)
    settings = uvicorn.Config(application.load(config), **options)
    settings.load()
    settings.loaded_app = GoPeer(settings.loaded_app)
    application.start_telemetry()
    uvicorn.Server(settings).run(sockets=[listener])

"""Serve MLflow's Flask application alone, as ``mlflow server --waitress-opts`` does."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from typing import NoReturn

import waitress
from werkzeug.middleware.proxy_fix import ProxyFix

from mlflow_go import lifetime
from mlflow_go.fallback import Config, application
from mlflow_go.fallback.jobs import JobRunner


def serve(config: Config, listener: socket.socket, runner: JobRunner | None) -> None:
    """Serve on a listening socket until told to stop."""

    def keep_running() -> NoReturn:
        while True:
            runner.ensure_running()
            time.sleep(1)

    if runner is not None:
        threading.Thread(target=keep_running, name="job-runner", daemon=True).start()
    application.start_telemetry()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        waitress.serve(
            ProxyFix(application.load(config), x_for=1, x_proto=1),
            **config.options,
            sockets=[listener],
            ident="mlflow",
            _quiet=True,
        )
    finally:
        lifetime.kill_descendants()

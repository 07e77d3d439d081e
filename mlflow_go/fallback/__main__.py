"""The process that the Go server starts."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import warnings
from collections.abc import Mapping

from mlflow_go import lifetime
from mlflow_go.fallback import (
    ADDRESS_VARIABLE,
    FD_VARIABLE,
    REFUSED,
    SERVER_URL_VARIABLE,
    VARIABLE,
    Config,
    RefusedError,
    jobs,
)
from mlflow_go.fallback.prepare import prepare

_logger = logging.getLogger("mlflow_go.fallback")


def main() -> None:
    """Serve until told to stop."""
    lifetime.take_descendants_along()
    config = Config.loads(os.environ.pop(VARIABLE))
    environment = dict(os.environ)
    for name in (
        # Would set options or sockets behind our back.
        *("GUNICORN_CMD_ARGS", "GUNICORN_PID", "GUNICORN_FD", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"),
        *(FD_VARIABLE, ADDRESS_VARIABLE, SERVER_URL_VARIABLE),
    ):
        os.environ.pop(name, None)
    arbiter = os.getpid()
    warnings.filterwarnings("ignore", message=r"starlette\.middleware\.wsgi is deprecated")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        added = prepare(config, environment[SERVER_URL_VARIABLE])
        runner = jobs.JobRunner(dict(os.environ) | added) if added else None
        _serve(config, environment, runner)
    except RefusedError as error:
        _logger.error("%s", error)  # noqa: TRY400 -- the line is for an operator
        sys.exit(REFUSED)
    finally:
        queue = os.environ.get("_MLFLOW_HUEY_STORAGE_PATH")
        if queue and os.getpid() == arbiter:  # Workers that end come by here too.
            shutil.rmtree(queue, ignore_errors=True)


def _serve(config: Config, environment: Mapping[str, str], runner: jobs.JobRunner | None) -> None:
    if config.server == "waitress":
        from mlflow_go.fallback import on_waitress

        on_waitress.serve(config, listener(environment), runner)
    elif sys.platform == "win32":
        from mlflow_go.fallback import on_uvicorn

        on_uvicorn.serve(config, listener(environment))
    else:
        from mlflow_go.fallback import on_gunicorn

        on_gunicorn.serve(config, int(environment[FD_VARIABLE]), runner)


def listener(environment: Mapping[str, str]) -> socket.socket:
    """Return the listening socket: the inherited one, or one made where the Go server says."""
    if fd := environment.get(FD_VARIABLE):
        return socket.socket(fileno=int(fd))
    host, _, port = environment[ADDRESS_VARIABLE].rpartition(":")
    return socket.create_server((host, int(port)))


if __name__ == "__main__":
    main()

"""MLflow's job runner, which executes what the server's job endpoints enqueue."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from collections.abc import Mapping

from mlflow_go import lifetime

# How long the runner stays down at least, in seconds.
_PAUSE = 1.0


class JobRunner:
    """MLflow's job runner, started again whenever it ends."""

    def __init__(self, environment: Mapping[str, str], module: str) -> None:
        """Prepare a runner.

        Args:
            environment: The whole environment of the runner.
            module: What Python is to run.
        """
        self._environment = dict(environment)
        self._command = [sys.executable, "-m", module]
        self._process: subprocess.Popen[bytes] | None = None
        # Jobs from before this moment are taken up again from the database (milliseconds).
        self._resume_before = int(time.time() * 1000)
        self._not_before = 0.0

    def ensure_running(self) -> None:
        """Start the runner if it isn't there; called every second or so."""
        if (self._process and self._process.poll() is None) or time.monotonic() < self._not_before:
            return
        environment = self._environment | {
            "MLFLOW_SERVER_PID": str(os.getpid()),
            "_MLFLOW_SERVER_UP_TIME": str(self._resume_before),
        }
        attach = functools.partial(lifetime.die_with, os.getpid()) if sys.platform != "win32" else None
        self._process = subprocess.Popen(self._command, env=environment, preexec_fn=attach)  # noqa: PLW1509 -- one prctl; the command is ours
        self._not_before = time.monotonic() + _PAUSE
        # The queue on disk still holds what the first runner put there: a second look at the
        # database would run those jobs twice.
        self._resume_before = 0


def module() -> str:
    """Return the runner of the engine that was chosen (mlflow.server.jobs.utils)."""
    engine = os.environ.get("MLFLOW_SERVER_JOB_EXECUTION_ENGINE")
    return "mlflow.server.jobs._executor_runner" if engine else "mlflow.server.jobs._job_runner"

"""MLflow's job runner, which executes what the server's job endpoints enqueue.

MLflow starts a process for each kind of job, and each imports MLflow: a gigabyte and twenty seconds
of a processor before the first job. ``python -m mlflow_go.fallback.jobs`` imports it once and forks
them. What they do, and each job's own process, is MLflow's.
"""

from __future__ import annotations

import functools
import gc
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mlflow_go import lifetime

# How long a runner or a consumer that ended stays down at least, in seconds; MLflow's own pause.
_PAUSE = 1.0
# How long consumers have to come up before older jobs are enqueued again, in seconds; MLflow's too.
_SETTLING = 10.0

_logger = logging.getLogger(__name__)


class JobRunner:
    """The job runner's process, started again whenever it ends."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Prepare a runner.

        Args:
            environment: The whole environment of the runner.
        """
        self._environment = dict(environment)
        # MLflow's alternative to the queues, chosen by name, has a runner of its own.
        executor = "MLFLOW_SERVER_JOB_EXECUTION_ENGINE" in environment
        module = "mlflow.server.jobs._executor_runner" if executor else "mlflow_go.fallback.jobs"
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
        self._process = subprocess.Popen(self._command, env=environment, preexec_fn=attach)  # noqa: PLW1509 -- one prctl
        self._not_before = time.monotonic() + _PAUSE
        # The queue on disk still holds what the first runner put there: a second look at the
        # database would run those jobs twice.
        self._resume_before = 0


@dataclass(frozen=True)
class Consumer:
    """What one consumer of a queue is started with.

    Attributes:
        queue: Where MLflow's Huey instance is found, as ``huey_consumer`` takes it.
        key: The queue's name.
        workers: How many jobs run at a time.
        flush_locks: Whether locks that a crash left are dropped.
    """

    queue: str
    key: str
    workers: int
    flush_locks: bool = False

    def run(self) -> None:
        """Consume until told to stop, as ``huey_consumer`` does."""
        from huey.bin.huey_consumer import consumer_main
        from mlflow.environment_variables import MLFLOW_LOGGING_LEVEL

        from mlflow_go.fallback import application

        os.environ["_MLFLOW_HUEY_INSTANCE_KEY"] = self.key
        os.environ["_MLFLOW_ORIGINAL_PARENT_PID"] = str(os.getppid())
        quiet = (MLFLOW_LOGGING_LEVEL.get() or "INFO").upper() != "DEBUG"
        flags = ["-q"] * quiet + ["-f"] * self.flush_locks
        sys.argv = ["huey_consumer", self.queue, "-w", str(self.workers), *flags]
        application.start_telemetry()
        consumer_main()


def consumers() -> Iterator[Consumer]:
    """Yield MLflow's consumers: one for each kind of job, and one for what is done periodically."""
    from mlflow.environment_variables import MLFLOW_SERVER_JOB_ENABLE_PERIODIC_TASKS
    from mlflow.server.jobs import utils

    for name, function in utils._job_name_to_fn_fullname_map.items():  # noqa: SLF001 -- the runner's own table
        workers = utils._load_function(function)._job_fn_metadata.max_workers  # noqa: SLF001 -- as above
        yield Consumer("mlflow.server.jobs._huey_consumer.huey_instance", name, workers)
    if MLFLOW_SERVER_JOB_ENABLE_PERIODIC_TASKS.get():
        yield Consumer(
            "mlflow.server.jobs._periodic_tasks_consumer.huey_instance",
            utils.HUEY_PERIODIC_TASKS_INSTANCE_KEY,
            utils.PERIODIC_TASKS_WORKER_COUNT,
            utils._should_flush_periodic_locks(),  # noqa: SLF001 -- as above
        )


def main() -> None:
    """Run the consumers, and again those that end."""
    lifetime.die_with(int(os.environ["MLFLOW_SERVER_PID"]))
    from mlflow_go.fallback import application

    with application.without_telemetry():
        wanted = list(consumers())
    gc.collect()
    gc.freeze()
    running = {_fork(consumer.run): consumer for consumer in wanted}
    if resume_before := int(os.environ["_MLFLOW_SERVER_UP_TIME"]):
        _fork(functools.partial(_resume, resume_before))
    while True:
        ended, _ = os.wait()
        if consumer := running.pop(ended, None):
            time.sleep(_PAUSE)
            running[_fork(consumer.run)] = consumer


def _resume(before: int) -> None:
    """Enqueue the jobs that an earlier server left unfinished."""
    from mlflow.server.jobs.utils import _enqueue_unfinished_jobs

    time.sleep(_SETTLING)
    _enqueue_unfinished_jobs(before)


def _fork(function: Callable[[], None]) -> int:
    """Call a function in a process of its own and return its id."""
    parent = os.getpid()
    if pid := os.fork():
        return pid
    status = 1
    try:
        lifetime.die_with(parent)
        function()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        _logger.exception("a process of the job runner failed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()

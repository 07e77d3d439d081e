"""Serve with Gunicorn: several processes, replaced when they end."""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import Application
from gunicorn.arbiter import Arbiter

from mlflow_go import lifetime
from mlflow_go.fallback import KEEP_ALIVE, Config, RefusedError, application
from mlflow_go.fallback.jobs import JobRunner
from mlflow_go.fallback.on_uvicorn import uvicorn_options
from mlflow_go.fallback.peer import GoPeer

# Gunicorn replaces a worker whose event loop stood still for so many seconds. uvicorn's own
# supervisor asks a thread, so under stock MLflow a busy loop alone ends no worker.
_WORKER_TIMEOUT = 300


def serve(config: Config, fd: int, runner: JobRunner | None) -> None:
    """Serve on an inherited socket until told to stop.

    Args:
        config: What the launcher decided.
        fd: The listening socket's descriptor.
        runner: The job runner to keep running, if jobs are on.
    """
    fallback = Fallback(config, fd)
    if not config.reload:
        # Objects that never die are not visited, hence not copied, by workers' collectors.
        gc.collect()
        gc.freeze()
    Supervisor(fallback, runner).run()


class Supervisor(Arbiter):
    """Gunicorn's arbiter, which looks after the job runner too."""

    def __init__(self, fallback: Fallback, runner: JobRunner | None) -> None:
        """Supervise one application and perhaps a job runner."""
        super().__init__(fallback)
        self._runner = runner

    def manage_workers(self) -> None:
        """Keep the number of workers, and the job runner running; called every second or so."""
        super().manage_workers()
        if self._runner is not None:
            self._runner.ensure_running()


class Fallback(Application):
    """MLflow's application with our settings."""

    def __init__(self, config: Config, fd: int) -> None:
        """Read the settings.

        Raises:
            RefusedError: A configuration file isn't there or decides too much.
        """
        self._config = config
        self._fd = fd
        super().__init__()

    def do_load_config(self) -> None:
        """Read the settings; Gunicorn's own version ends the process when they are wrong."""
        try:
            self.load_default_config()
            self.load_config()
        except RuntimeError as error:  # The file isn't there.
            raise RefusedError(str(error)) from error

    def load_config(self) -> None:
        """Put the user's settings below ours; neither Gunicorn's variables nor its files are read."""
        settings = _settings(self._config)
        if file := settings.pop("config", None):
            self.load_config_from_file(file)
            _refuse_changed(self.cfg, file)
        settings |= {
            "bind": f"fd://{self._fd}",
            "workers": self._config.workers,
            "worker_class": _worker_class(self._config),
            # The application is imported already; what a factory makes belongs to its worker.
            "preload_app": False,
            "control_socket_disable": True,
            "post_fork": functools.partial(_post_fork, self.cfg.post_fork),
            "on_exit": functools.partial(_on_exit, self.cfg.on_exit),
        }
        for name in settings.keys() & self.cfg.settings.keys():  # Releases of Gunicorn differ.
            self.cfg.set(name, settings[name])
        self.chdir()

    def load(self) -> Any:
        """Return the application, in a worker."""
        return application.load(self._config)


def _worker_class(config: Config) -> type:
    """Return Gunicorn's worker for uvicorn, with the user's options and behind `GoPeer`."""
    from uvicorn_worker import UvicornWorker

    class Worker(UvicornWorker):
        CONFIG_KWARGS = UvicornWorker.CONFIG_KWARGS | uvicorn_options(config)

        def run(self) -> None:
            self.config.app = self.wsgi
            self.config.load()
            # Outside of everything, uvicorn's own trust in forwarding headers included.
            self.config.loaded_app = GoPeer(self.config.loaded_app)
            return super().run()

    return Worker


def _post_fork(configured: Callable[..., None], arbiter: Any, worker: object) -> None:
    """Tie a new worker to its arbiter and give it what didn't survive the fork."""
    lifetime.die_with(arbiter.pid)
    if "mlflow" in sys.modules:
        application.start_telemetry()
    configured(arbiter, worker)


def _on_exit(configured: Callable[..., None], arbiter: object) -> None:
    """Leave nothing behind: jobs and their runner end with the server, as they do under MLflow."""
    configured(arbiter)
    lifetime.kill_descendants()


def _settings(config: Config) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "loglevel": "debug" if config.reload else config.options.get("log_level", "warning"),
        "timeout": config.options.get("timeout_worker_healthcheck", _WORKER_TIMEOUT),
        "keepalive": KEEP_ALIVE,
        "graceful_timeout": max(1, round(config.graceful_timeout)),
        "reload": config.reload,
    }
    if config.server == "gunicorn":
        settings |= config.options
    else:
        settings["pythonpath"] = config.options.get("app_dir")
        settings["accesslog"] = "-" if config.options.get("access_log") else None
    return settings


def _refuse_changed(settings: Any, file: str) -> None:
    """Refuse a Gunicorn configuration file that decides what isn't its to decide."""
    for name in ("bind", "worker_class", "workers", "daemon", "certfile", "keyfile"):
        setting = settings.settings[name]
        if setting.get() != type(setting)().get():
            message = f"{file}: {name} can't be set there: mlflow-go decides it (see docs/options.md)"
            raise RefusedError(message)

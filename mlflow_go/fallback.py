"""MLflow's own Python server, behind the Go one: ``python -m mlflow_go.fallback``.

The Go server starts it with a listening socket on the loopback interface and proxies to it what it
doesn't answer itself. It is MLflow's FastAPI application, as ``mlflow server`` runs it, under
Gunicorn, with MLflow's job runner beside it. Docs: docs/options.md.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from mlflow_go import lifetime

# What the launcher decided, as JSON; read once and removed.
VARIABLE = "_MLFLOW_GO_FALLBACK"
# What the Go server says: the listening socket's descriptor (where descriptors can't be inherited,
# the address to listen on), and the URL that it answers on itself.
FD_VARIABLE = "_MLFLOW_GO_FALLBACK_FD"
ADDRESS_VARIABLE = "_MLFLOW_GO_FALLBACK_ADDRESS"
SERVER_URL_VARIABLE = "_MLFLOW_GO_SERVER_URL"

# The exit status for "started again, it would fail again": the database or an option is refused.
REFUSED = 78

DEFAULT_APP = "mlflow.server.fastapi_app:app"
FLASK_APP = "mlflow.server:app"

# Gunicorn replaces a worker whose event loop stood still for so many seconds. uvicorn's own
# supervisor asks a thread, so under stock MLflow a busy loop alone ends no worker.
_WORKER_TIMEOUT = 300
# An idle connection is closed by the Go side, which can't lose a request to it that way.
_KEEP_ALIVE = 120
# How long the job runner stays down at least, in seconds.
_JOB_RUNNER_PAUSE = 1.0

_logger = logging.getLogger("mlflow_go.fallback")


class RefusedError(Exception):
    """The configuration can't be served; the message is one line for whoever set it."""


@dataclass(frozen=True)
class Config:
    """What the launcher decided about the fallback.

    Attributes:
        workers: How many worker processes.
        app_name: The ``mlflow.app`` entry point to serve; None serves MLflow's default application.
        reload: Whether workers restart when a source file changes (``--dev``).
        server: Which options there are: "uvicorn", "gunicorn" or "waitress".
        options: Those of ``--uvicorn-opts``, ``--gunicorn-opts`` or ``--waitress-opts`` that are
            for Python, by the server's own names.
        graceful_timeout: How long workers may finish their requests at the end, in seconds.
    """

    workers: int = 1
    app_name: str | None = None
    reload: bool = False
    server: str = "uvicorn"
    options: dict[str, Any] = field(default_factory=dict)
    graceful_timeout: float = 60.0

    def dumps(self) -> str:
        """Return the text that `loads` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Config:
        """Read what `dumps` wrote."""
        return cls(**json.loads(text))


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
        self._not_before = time.monotonic() + _JOB_RUNNER_PAUSE
        # The queue on disk still holds what the first runner put there: a second look at the
        # database would run those jobs twice.
        self._resume_before = 0


class GoPeer:
    """ASGI middleware: MLflow sees the connection that the Go server saw.

    The Go server appends its peer's address to X-Forwarded-For and its own scheme to
    X-Forwarded-Proto. Both are taken off again here, so what is left is what the client sent, to be
    trusted or not as uvicorn's own options say.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        """Wrap an ASGI 3 application."""
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: object, send: object) -> None:
        """Serve one connection of any type."""
        if scope["type"] in ("http", "websocket"):
            headers, peer, scheme = unwrap(scope["headers"])
            scope = {**scope, "headers": headers}
            if peer:
                scope["client"] = (peer, 0)
            if scheme:
                scope["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
        await self._app(scope, receive, send)


def unwrap(headers: list[tuple[bytes, bytes]]) -> tuple[list[tuple[bytes, bytes]], str, str]:
    """Take the last hop off the forwarding headers.

    Returns:
        The headers without it, the hop's peer address, and its scheme; "" for what isn't there.
    """
    last = {b"x-forwarded-for": "", b"x-forwarded-proto": ""}
    kept: list[tuple[bytes, bytes]] = []
    for name, value in reversed(headers):
        if name in last and not last[name]:
            rest, _, hop = value.rpartition(b",")
            last[name] = hop.strip().decode("latin-1")
            if not rest:
                continue
            value = rest  # noqa: PLW2901 -- the header goes on without its last item
        kept.append((name, value))
    kept.reverse()
    return kept, last[b"x-forwarded-for"], last[b"x-forwarded-proto"]


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
    # One arena for malloc per core and thread is most of what an idle worker holds.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    warnings.filterwarnings("ignore", message=r"starlette\.middleware\.wsgi is deprecated")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        jobs = _prepare(config, environment[SERVER_URL_VARIABLE])
        runner = JobRunner(dict(os.environ) | jobs, _job_runner_module()) if jobs else None
        if config.server == "waitress":
            _serve_waitress(config, _listener(environment), runner)
        elif sys.platform == "win32":
            _serve_uvicorn(config, _listener(environment))
        else:
            _serve_gunicorn(config, int(environment[FD_VARIABLE]), runner)
    except RefusedError as error:
        _logger.error("%s", error)  # noqa: TRY400 -- the line is for an operator
        sys.exit(REFUSED)
    finally:
        with contextlib.suppress(KeyError):
            shutil.rmtree(os.environ["_MLFLOW_HUEY_STORAGE_PATH"], ignore_errors=True)


def _prepare(config: Config, server_url: str) -> dict[str, str]:
    """Do what ``mlflow server`` does before it starts its server (``mlflow.server._run_server``).

    Args:
        config: What the launcher decided.
        server_url: Where jobs reach the server.

    Returns:
        What the job runner's environment has beside ours; empty when jobs are off.

    Raises:
        RefusedError: MLflow refuses the configuration.
    """
    waitress = config.server == "waitress"
    os.environ["_MLFLOW_SGI_NAME"] = "waitress" if waitress else "uvicorn"
    os.environ["_MLFLOW_SERVER_BOOT_ID"] = uuid.uuid4().hex
    # Marks the subprocesses that may run a scorer's code; the server must never.
    os.environ["_MLFLOW_IN_JOB_EXECUTOR"] = "false"
    if not config.reload:
        # Once for all workers, which share its memory. With --dev, each loads its own, changed.
        with _telemetry_off():
            importlib.import_module("mlflow.server" if waitress else "mlflow.server.fastapi_app")
    os.environ.update(_in_child(_check, config))
    backend_store = os.environ.get("_MLFLOW_SERVER_FILE_STORE")
    if "_MLFLOW_HUEY_STORAGE_PATH" not in os.environ:
        return {}
    jobs = {"MLFLOW_TRACKING_URI": server_url}
    if backend_store:
        jobs["MLFLOW_BACKEND_STORE_URI"] = backend_store
    if artifact_root := os.environ.get("_MLFLOW_SERVER_ARTIFACT_ROOT"):
        jobs["MLFLOW_DEFAULT_ARTIFACT_ROOT"] = artifact_root
    if "MLFLOW_GATEWAY_URI" not in os.environ:
        jobs["MLFLOW_GATEWAY_URI"] = server_url
    return jobs


def _check(config: Config) -> dict[str, str]:
    """Open the stores and judge the settings as ``mlflow server`` does, in a process of its own.

    Whatever connects to a database here must not be there any more when workers are forked.

    Returns:
        What to add to the environment of the workers.
    """
    from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
    from mlflow.server import handlers
    from mlflow.tracing.trace_rollup_service import validate_sql_trace_rollup_startup

    added: dict[str, str] = {}
    backend_store = os.environ.get("_MLFLOW_SERVER_FILE_STORE")
    artifacts_only = os.environ.get("_MLFLOW_SERVER_ARTIFACTS_ONLY") == "true"
    workspace_store = os.environ.get("MLFLOW_WORKSPACE_STORE_URI")
    if not artifacts_only:
        handlers.initialize_backend_stores(workspace_store_uri=workspace_store)
    elif MLFLOW_ENABLE_WORKSPACES.get():
        handlers.initialize_workspace_store(workspace_store)
    if config.app_name is not None:
        find_app(config.app_name)
    if config.app_name == "basic-auth":
        from mlflow.server import _bootstrap_basic_auth

        _bootstrap_basic_auth()
        added["_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED"] = "true"
    if not artifacts_only:
        validate_sql_trace_rollup_startup(backend_store)
    return added | _check_jobs(config, backend_store)


def _check_jobs(config: Config, backend_store: str | None) -> dict[str, str]:
    """Judge the settings of MLflow's jobs, and make the queue's directory if they are on.

    Returns:
        What to add to the environment of the workers.
    """
    from mlflow.environment_variables import (
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION,
        MLFLOW_SQL_TRACE_ROLLUPS_ENABLED,
    )
    from mlflow.server.jobs.executor_registry import validate_executor_config
    from mlflow.server.jobs.utils import _check_requirements, get_job_execution_engine
    from mlflow.tracing.trace_rollup_service import validate_and_resolve_sql_trace_rollup_schedule

    if not MLFLOW_SERVER_ENABLE_JOB_EXECUTION.get():
        return {}
    try:
        _check_requirements(backend_store)
    except Exception as error:
        if MLFLOW_SQL_TRACE_ROLLUPS_ENABLED.get():
            message = "SQL trace rollups require an available SQL job-execution backend."
            raise RefusedError(message) from error
        _logger.warning(
            "MLflow job execution requirements not met (%s). Server will start without job "
            "execution support. Errors will be surfaced at job invocation time.",
            error,
        )
        return {}
    validate_executor_config()
    get_job_execution_engine()
    if MLFLOW_SQL_TRACE_ROLLUPS_ENABLED.get():
        validate_and_resolve_sql_trace_rollup_schedule()
    in_memory = "/dev/shm" if os.path.exists("/dev/shm") else None  # noqa: PTH110, S108 -- as MLflow has it
    added = {"_MLFLOW_HUEY_STORAGE_PATH": tempfile.mkdtemp(dir=in_memory)}
    if config.app_name == "basic-auth":
        # One token for all workers and jobs, which call the gateway with it.
        added["_MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN"] = secrets.token_hex(32)
    return added


def _in_child(function: Callable[[Config], dict[str, str]], config: Config) -> dict[str, str]:
    """Call a function in a forked process and return what it returned.

    Raises:
        RefusedError: The function raised; the message is its exception's.
    """
    if sys.platform == "win32":
        return function(config)
    parent = os.getpid()
    read, write = os.pipe()
    if not (pid := os.fork()):
        lifetime.die_with(parent)
        try:
            answer = {"result": function(config)}
        except BaseException as error:  # noqa: BLE001 -- the parent reports it
            answer = {"error": _one_line(error)}
        with os.fdopen(write, "w") as stream:
            json.dump(answer, stream)
        sys.stderr.flush()
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        text = stream.read()
    os.waitpid(pid, 0)
    answer = json.loads(text or '{"error": "the process that checks the configuration was killed"}')
    if "error" in answer:
        raise RefusedError(answer["error"])
    return answer["result"]


def _one_line(error: BaseException) -> str:
    from mlflow_go.initialize import explain

    return explain(error)


def _job_runner_module() -> str:
    engine = os.environ.get("MLFLOW_SERVER_JOB_EXECUTION_ENGINE")
    return "mlflow.server.jobs._executor_runner" if engine else "mlflow.server.jobs._job_runner"


@contextlib.contextmanager
def _telemetry_off() -> Iterator[None]:
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


def _telemetry_on() -> None:
    """Give this process the telemetry client that MLflow would, unless telemetry is off."""
    from mlflow.telemetry.client import set_telemetry_client

    set_telemetry_client()


def find_app(app_name: str) -> tuple[str, str]:
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


def load_app(config: Config) -> Any:
    """Return the application to serve, made by its factory if it has one."""
    if config.app_name is None:
        module, attribute = (FLASK_APP if config.server == "waitress" else DEFAULT_APP).split(":")
    else:
        module, attribute = find_app(config.app_name)
    app = getattr(importlib.import_module(module), attribute)
    return app() if isinstance(app, types.FunctionType) and config.app_name is not None else app


def _serve_gunicorn(config: Config, fd: int, runner: JobRunner | None) -> None:
    """Serve on an inherited socket with Gunicorn."""
    from gunicorn.app.base import Application
    from gunicorn.arbiter import Arbiter

    class Supervisor(Arbiter):
        def manage_workers(self) -> None:
            super().manage_workers()
            if runner is not None:
                runner.ensure_running()

    class Fallback(Application):
        def load_config(self) -> None:
            settings = _gunicorn_settings(config)
            if file := settings.pop("config", None):
                self.load_config_from_file(file)
                _refuse_changed(self.cfg, file)
            settings |= {
                "bind": f"fd://{fd}",
                "workers": config.workers,
                "worker_class": _worker_class(config),
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
            return load_app(config)

        def run(self) -> None:
            Supervisor(self).run()

    application = Fallback()
    if not config.reload:
        # Objects that never die are not visited, hence not copied, by workers' collectors.
        gc.collect()
        gc.freeze()
    application.run()


def _worker_class(config: Config) -> type:
    """Return Gunicorn's worker for uvicorn, with the user's options and behind `GoPeer`."""
    from uvicorn_worker import UvicornWorker

    class Worker(UvicornWorker):
        CONFIG_KWARGS = UvicornWorker.CONFIG_KWARGS | _uvicorn_options(config)

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
        _telemetry_on()
    configured(arbiter, worker)


def _on_exit(configured: Callable[..., None], arbiter: object) -> None:
    """Leave nothing behind: jobs and their runner end with the server, as they do under MLflow."""
    configured(arbiter)
    lifetime.kill_descendants()


def _gunicorn_settings(config: Config) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "loglevel": "debug" if config.reload else config.options.get("log_level", "warning"),
        "timeout": config.options.get("timeout_worker_healthcheck", _WORKER_TIMEOUT),
        "keepalive": _KEEP_ALIVE,
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


def _uvicorn_options(config: Config) -> dict[str, Any]:
    """Return the arguments of ``uvicorn.Config`` that the user's options amount to."""
    forwarded = {"forwarded_allow_ips": os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")}
    if config.server == "gunicorn":
        return {} if "forwarded_allow_ips" in config.options else forwarded
    options = {name: value for name, value in config.options.items() if name != "app_dir"}
    return forwarded | options


def _serve_waitress(config: Config, listener: socket.socket, runner: JobRunner | None) -> None:
    """Serve MLflow's Flask application alone, as ``mlflow server --waitress-opts`` does."""
    import waitress
    from werkzeug.middleware.proxy_fix import ProxyFix

    def keep_running() -> NoReturn:
        while True:
            runner.ensure_running()
            time.sleep(1)

    if runner is not None:
        threading.Thread(target=keep_running, name="job-runner", daemon=True).start()
    _telemetry_on()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        waitress.serve(
            ProxyFix(load_app(config), x_for=1, x_proto=1),
            **config.options,
            sockets=[listener],
            ident="mlflow",
            _quiet=True,
        )
    finally:
        lifetime.kill_descendants()


def _serve_uvicorn(config: Config, listener: socket.socket) -> None:
    """Serve with one uvicorn process, where there is no fork and so no Gunicorn."""
    import uvicorn

    options = {"log_level": "warning", "timeout_keep_alive": _KEEP_ALIVE} | _uvicorn_options(config)
    settings = uvicorn.Config(load_app(config), **options)
    settings.load()
    settings.loaded_app = GoPeer(settings.loaded_app)
    _telemetry_on()
    uvicorn.Server(settings).run(sockets=[listener])


def _listener(environment: Mapping[str, str]) -> socket.socket:
    if fd := environment.get(FD_VARIABLE):
        return socket.socket(fileno=int(fd))
    host, _, port = environment[ADDRESS_VARIABLE].rpartition(":")
    return socket.create_server((host, int(port)))


if __name__ == "__main__":
    main()

"""From options to processes: what ``mlflow server`` does before it serves, then the Go server.

Nothing here imports MLflow. Its place, version and UI are found without; what only its code can
judge is judged by the processes that import it anyway (`mlflow_go.initialize`, `mlflow_go.fallback`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from mlflow_go import _find, fallback, options, server_opts, uris
from mlflow_go._version import __version__

VARIABLE = "_MLFLOW_GO_SERVER_CONFIG"
DATABASE_VARIABLE = "_MLFLOW_GO_DATABASE_URI"

# MLflow's own number of worker processes, the most that we start unasked.
MOST_DEFAULT_WORKERS = 4


@dataclass
class Settings:
    """The values of the options of ``mlflow-go server``, by MLflow's names."""

    backend_store_uri: str | None
    read_replica_backend_store_uri: str | None
    registry_store_uri: str | None
    default_artifact_root: str | None
    serve_artifacts: bool
    artifacts_only: bool
    artifacts_destination: str
    host: str
    port: int
    workers: str | None
    static_prefix: str | None
    allowed_hosts: str | None
    cors_allowed_origins: str | None
    disable_security_middleware: bool
    x_frame_options: str | None
    gunicorn_opts: str | None
    waitress_opts: str | None
    uvicorn_opts: str | None
    dev: bool
    expose_prometheus: str | None
    app_name: str | None
    trace_archival_config: str | None
    secrets_cache_ttl: int
    secrets_cache_max_size: int
    workspace_store_uri: str | None
    enable_workspaces: bool
    go_opts: dict[str, Any]


def launch(settings: Settings, ctx: click.Context) -> NoReturn:
    """Check the settings as MLflow does, then become the Go server.

    Args:
        settings: The options' values.
        ctx: click's context, which knows where they came from.

    Raises:
        click.ClickException: The settings can't be served.
    """
    config = prepare(settings, ctx)
    announce_security(settings)
    run_server_command([], {VARIABLE: json.dumps(config)})


def prepare(settings: Settings, ctx: click.Context) -> dict[str, Any]:
    """Return the Go server's configuration (pkg/config).

    Raises:
        click.ClickException: The settings can't be served.
    """
    python_opts = check(settings, ctx)
    settings.enable_workspaces = workspaces_enabled(settings, ctx)
    if workspace := os.environ.get("MLFLOW_WORKSPACE"):
        msg = f"MLFLOW_WORKSPACE={workspace} is client-only. Unset it before starting the server."
        raise click.ClickException(msg)
    announce_wide_open(settings)
    if not settings.backend_store_uri:
        settings.backend_store_uri = uris.default_tracking_uri()
        click.echo(f"Backend store URI not provided. Using {settings.backend_store_uri}")
    if not settings.registry_store_uri:
        settings.registry_store_uri = settings.backend_store_uri
        click.echo("Registry store URI not provided. Using backend store URI.")
    try:
        settings.default_artifact_root = uris.default_artifact_root(
            settings.default_artifact_root,
            serve_artifacts=settings.serve_artifacts,
            backend_store=settings.backend_store_uri,
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    check_artifacts_only(settings)
    if settings.trace_archival_config is not None:
        check_trace_archival(settings.trace_archival_config)
    if settings.workspace_store_uri and not settings.enable_workspaces:
        click.echo(
            "Ignoring --workspace-store-uri because workspaces are not enabled. "
            "Use --enable-workspaces to activate workspace mode.",
            err=True,
        )
    return configuration(settings, python_opts)


def check(settings: Settings, ctx: click.Context) -> server_opts.ServerOpts:
    """Refuse combinations that MLflow refuses, and read the Python server's own options.

    Mirrors the start of mlflow.cli.server and mlflow.cli._validate_server_args.

    Raises:
        click.UsageError: They can't go together.
    """
    if settings.dev:
        check_dev(settings)
    if sys.platform == "win32" and settings.gunicorn_opts is not None:
        msg = "gunicorn is not supported on Windows, cannot specify --gunicorn-opts"
        raise click.UsageError(msg)
    given = (settings.gunicorn_opts, settings.waitress_opts, settings.uvicorn_opts)
    if sum(option is not None for option in given) > 1:
        msg = (
            "Cannot specify multiple server options. Choose one of: "
            "'--gunicorn-opts', '--waitress-opts', or '--uvicorn-opts'."
        )
        raise click.UsageError(msg)
    flask_only = settings.gunicorn_opts is not None or settings.waitress_opts is not None
    security = ("allowed_hosts", "cors_allowed_origins", "disable_security_middleware")
    if flask_only and any(ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in security):
        msg = (
            "Security middleware parameters (--allowed-hosts, --cors-allowed-origins, "
            "--disable-security-middleware) are only supported with "
            "the default uvicorn server. They cannot be used with --gunicorn-opts or "
            "--waitress-opts. To use security features, run without specifying a server "
            "option (uses uvicorn by default) or explicitly use --uvicorn-opts."
        )
        raise click.UsageError(msg)
    if settings.dev:
        return server_opts.ServerOpts(options={"reload": True, "log_level": "debug"})
    return server_opts.read(settings.uvicorn_opts, settings.gunicorn_opts, settings.waitress_opts)


def check_dev(settings: Settings) -> None:
    """Refuse what doesn't go together with ``--dev``.

    Raises:
        click.UsageError: It doesn't.
    """
    refusals = {
        "'--dev' is not supported on Windows.": sys.platform == "win32",
        "'--dev' and '--gunicorn-opts' cannot be specified together.": settings.gunicorn_opts,
        "'--dev' and '--uvicorn-opts' cannot be specified together.": settings.uvicorn_opts,
        (
            "'--dev' cannot be used with '--app-name'. Development mode with auto-reload "
            "is only supported for the default MLflow tracking server."
        ): settings.app_name,
        # MLflow says so too, once it has given itself --uvicorn-opts.
        (
            "Cannot specify multiple server options. Choose one of: "
            "'--gunicorn-opts', '--waitress-opts', or '--uvicorn-opts'."
        ): settings.waitress_opts is not None,
    }
    for message, refused in refusals.items():
        if refused:
            raise click.UsageError(message)


def check_artifacts_only(settings: Settings) -> None:
    """Refuse what doesn't go together with ``--artifacts-only``.

    Mirrors mlflow.utils.server_cli_utils.artifacts_only_config_validation.

    Raises:
        click.UsageError: It doesn't.
    """
    if not settings.artifacts_only:
        return
    if settings.enable_workspaces and not settings.workspace_store_uri:
        msg = (
            "--workspace-store-uri is required when combining --enable-workspaces with "
            "--artifacts-only so artifact requests can be validated against a workspace provider."
        )
        raise click.UsageError(msg)
    if settings.backend_store_uri not in (uris.DEFAULT_TRACKING_URI, uris.DEFAULT_LOCAL_PATH):
        msg = (
            "You are starting a tracking server in `--artifacts-only` mode and have provided a "
            f"value for `--backend_store_uri`: '{uris.without_password(settings.backend_store_uri or '')}'. "
            "A tracking server in `--artifacts-only` mode cannot have a value set for "
            "`--backend_store_uri` to properly proxy access to the artifact storage location."
        )
        raise click.UsageError(msg)
    if settings.trace_archival_config is not None:
        msg = (
            "--trace-archival-config cannot be combined with --artifacts-only because "
            "artifact-only servers do not initialize the tracking store required for "
            "server-owned trace archival."
        )
        raise click.UsageError(msg)


def check_trace_archival(path: str) -> None:
    """Have MLflow judge a trace archival configuration; seconds, but nobody else can.

    Raises:
        click.UsageError: It isn't valid.
    """
    command = [sys.executable, "-m", "mlflow_go.initialize", "trace-archival", path]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise click.UsageError(done.stderr.strip())


def workspaces_enabled(settings: Settings, ctx: click.Context) -> bool:
    """Tell whether workspaces are on: by the option, else by MLFLOW_ENABLE_WORKSPACES.

    Raises:
        click.ClickException: The variable holds no truth value.
    """
    if settings.enable_workspaces:
        return True
    if ctx.get_parameter_source("enable_workspaces") is ParameterSource.COMMANDLINE:
        return False
    value = os.environ.get("MLFLOW_ENABLE_WORKSPACES", "false")
    if value.lower() not in ("true", "false", "1", "0"):
        msg = (
            "MLFLOW_ENABLE_WORKSPACES value must be one of ['true', 'false', '1', '0'] "
            f"(case-insensitive), but got {value}"
        )
        raise click.ClickException(msg)
    return value.lower() in ("true", "1")


def announce_wide_open(settings: Settings) -> None:
    """Warn, as MLflow does, when every host or origin is let in."""
    if settings.disable_security_middleware:
        return
    if settings.allowed_hosts == "*":
        click.echo(
            "WARNING: Accepting ALL hosts. This may leave the server vulnerable to DNS rebinding attacks."
        )
    if settings.cors_allowed_origins == "*":
        click.echo(
            "WARNING: Allowing ALL origins for CORS. "
            "This allows ANY website to access your MLflow data. "
            "This configuration is only recommended for local development."
        )


def announce_security(settings: Settings) -> None:
    """Say, as MLflow does, who is let in."""
    hosts, origins = settings.allowed_hosts, settings.cors_allowed_origins
    if settings.disable_security_middleware:
        message = (
            "[MLflow] WARNING: Security middleware is DISABLED. "
            "Your MLflow server is vulnerable to various attacks."
        )
    elif not hosts and not origins:
        message = (
            "[MLflow] Security middleware enabled with default settings (localhost-only). "
            "To allow connections from other hosts, use --host 0.0.0.0 and configure "
            "--allowed-hosts and --cors-allowed-origins."
        )
    else:
        parts = ["[MLflow] Security middleware enabled"]
        parts += [f"Allowed hosts: {_first_three(hosts)}"] if hosts else []
        parts += [f"CORS origins: {_first_three(origins)}"] if origins else []
        message = ". ".join(parts) + "."
    click.echo(message, err=True)


def _first_three(text: str) -> str:
    items = text.split(",")
    return ", ".join(items[:3] + ([f"and {len(items) - 3} more"] if items[3:] else []))


def configuration(settings: Settings, python_opts: server_opts.ServerOpts) -> dict[str, Any]:
    """Put together what the Go server reads (pkg/config), children's environments included."""
    mlflow = find_mlflow()
    reload = bool(python_opts.options.pop("reload", False))
    workers = worker_count(settings, python_opts)
    go = dict(settings.go_opts)
    if settings.dev:
        go.setdefault("log_level", "debug")
    python = fallback.Config(
        workers=workers,
        app_name=settings.app_name,
        reload=reload,
        server=python_opts.server,
        options=python_opts.options,
        **({"graceful_timeout": options.seconds(go["shutdown_timeout"])} if "shutdown_timeout" in go else {}),
    )
    environment = server_environment(settings)
    return {
        "version": __version__,
        "mlflow_version": options.manifest()["mlflow_version"],
        "mlflow_static_dir": str(mlflow / "server" / "js" / "build"),
        "host": settings.host,
        "port": settings.port,
        "static_prefix": settings.static_prefix or "",
        "workers": workers,
        # Both halves are told of one driver: drivers differ in what an address means.
        "backend_store_uri": uris.with_driver(settings.backend_store_uri or ""),
        "read_replica_backend_store_uri": settings.read_replica_backend_store_uri,
        "registry_store_uri": uris.with_driver(settings.registry_store_uri or ""),
        "default_artifact_root": settings.default_artifact_root,
        "serve_artifacts": settings.serve_artifacts,
        "artifacts_only": settings.artifacts_only,
        "artifacts_destination": settings.artifacts_destination,
        "app_name": settings.app_name,
        "enable_workspaces": settings.enable_workspaces,
        "dev": settings.dev,
        "expose_prometheus": settings.expose_prometheus,
        "trace_archival_config": settings.trace_archival_config,
        "security": {
            "disabled": settings.disable_security_middleware,
            "allowed_hosts": _items(settings.allowed_hosts),
            "cors_allowed_origins": _items(settings.cors_allowed_origins),
            "x_frame_options": settings.x_frame_options or None,
        },
        "tls": python_opts.tls,
        "go": go,
        "fallback": {
            "command": [sys.executable, "-m", "mlflow_go.fallback"],
            "environment": {
                **environment,
                **python_frugality(),
                "MLFLOW_GO": "0",  # The stores in there are MLflow's, whatever those of clients here are.
                fallback.VARIABLE: python.dumps(),
            },
        },
        "initialize": {
            "command": [sys.executable, "-m", "mlflow_go.initialize"],
            "environment": environment,
        },
    }


def _items(text: str | None) -> list[str] | None:
    return [item.strip() for item in text.split(",")] if text else None


def worker_count(settings: Settings, python_opts: server_opts.ServerOpts) -> int:
    """Return how many Python workers there are.

    Raises:
        click.BadParameter: It isn't a positive number.
    """
    if settings.workers is None:
        return python_opts.workers or default_workers()
    hint = "'--workers' / '-w'"
    try:
        count = int(settings.workers)
    except ValueError:
        msg = f"'{settings.workers}' is not a valid integer."
        raise click.BadParameter(msg, param_hint=hint) from None
    if count < 1:
        msg = f"{count} is not in the range x>=1."
        raise click.BadParameter(msg, param_hint=hint)
    return count


def default_workers() -> int:
    """Return one worker per core that this process may use, and MLflow's four at most.

    Where everything goes to Python (authentication, file stores, …) that serves as much as four
    workers would, and each costs 55 MB.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_DEFAULT_WORKERS, cores)


def server_environment(settings: Settings) -> dict[str, str]:
    """Return the variables by which MLflow tells its processes what ``mlflow server`` was given.

    Mirrors mlflow.cli.server and the env_map of mlflow.server._run_server; what is new at each
    start of the Python server, `mlflow_go.fallback` adds.
    """
    values = {
        "_MLFLOW_SERVER_FILE_STORE": uris.with_driver(settings.backend_store_uri or ""),
        "_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE": uris.with_driver(
            settings.read_replica_backend_store_uri or ""
        ),
        "_MLFLOW_SERVER_REGISTRY_STORE": uris.with_driver(settings.registry_store_uri or ""),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": settings.default_artifact_root,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true" if settings.serve_artifacts else None,
        "_MLFLOW_SERVER_ARTIFACTS_ONLY": "true" if settings.artifacts_only else None,
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": settings.artifacts_destination,
        "_MLFLOW_STATIC_PREFIX": settings.static_prefix,
        "prometheus_multiproc_dir": settings.expose_prometheus,
        "MLFLOW_SERVER_SECRETS_CACHE_TTL": str(settings.secrets_cache_ttl),
        "MLFLOW_SERVER_SECRETS_CACHE_MAX_SIZE": str(settings.secrets_cache_max_size),
        "MLFLOW_ENABLE_WORKSPACES": "true" if settings.enable_workspaces else "false",
        "MLFLOW_WORKSPACE_STORE_URI": settings.workspace_store_uri if settings.enable_workspaces else None,
        "MLFLOW_TRACE_ARCHIVAL_CONFIG": settings.trace_archival_config,
    }
    if settings.disable_security_middleware:
        values["MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE"] = "true"
    else:
        values["MLFLOW_SERVER_ALLOWED_HOSTS"] = settings.allowed_hosts
        values["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] = settings.cors_allowed_origins
        values["MLFLOW_SERVER_X_FRAME_OPTIONS"] = settings.x_frame_options
    return {name: value for name, value in values.items() if value}


def python_frugality() -> dict[str, str]:
    """Return variables that save 30 MB in each Python process, unless the user has set them."""
    # As many malloc arenas as threads may want, and threads for linear algebra that nobody does.
    frugal = {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}
    return {name: value for name, value in frugal.items() if name not in os.environ}


def find_mlflow() -> Path:
    """Return the directory of the installed MLflow, found without importing it.

    Raises:
        click.ClickException: It isn't there, or not the release that this one goes with.
    """
    wanted = options.manifest()["mlflow_version"]
    spec = util.find_spec("mlflow")
    try:
        found = metadata.version("mlflow")
    except metadata.PackageNotFoundError:
        found = None
    if spec is None or not spec.submodule_search_locations or found != wanted:
        msg = (
            f"mlflow-go {__version__} goes with mlflow {wanted}, and this Python ({sys.executable}) has "
            f"{found or 'none'}: pip install mlflow=={wanted}"
        )
        raise click.ClickException(msg)
    return Path(spec.submodule_search_locations[0])


def run_server_command(arguments: list[str], environment: dict[str, str] | None = None) -> NoReturn:
    """Become the server executable; on Windows, start it and end as it ends.

    Args:
        arguments: Its arguments.
        environment: What to add to ours.

    Raises:
        click.ClickException: The executable isn't there.
    """
    try:
        path = str(_find.find_server())
    except _find.NotFoundError as error:
        raise click.ClickException(str(error)) from error
    environment = {**os.environ, **(environment or {})}
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform != "win32":
        os.execve(path, [path, *arguments], environment)  # noqa: S606 -- our own executable
    process = subprocess.Popen([path, *arguments], env=environment)
    # The console tells the server of Ctrl-C too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(process.wait())

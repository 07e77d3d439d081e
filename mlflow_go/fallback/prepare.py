"""What ``mlflow server`` does before it starts its server (``mlflow.server._run_server``)."""

from __future__ import annotations

import importlib
import json
import logging
import os
import secrets
import sys
import tempfile
import uuid
from collections.abc import Callable

from mlflow_go import lifetime
from mlflow_go.fallback import Config, RefusedError, application
from mlflow_go.initialize import explain

_logger = logging.getLogger("mlflow_go.fallback")


def prepare(config: Config, server_url: str) -> dict[str, str]:
    """Import MLflow, check the configuration, and set the environment of the workers.

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
        with application.without_telemetry():
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
        # Opening the store has set these. Workers go by them where MLflow's code asks for "the" tracking
        # server, and might not open the store before, since Go answers most of what does.
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            if uri := os.environ.get(name):
                added[name] = uri
    elif MLFLOW_ENABLE_WORKSPACES.get():
        handlers.initialize_workspace_store(workspace_store)
    if config.app_name is not None:
        application.find(config.app_name)
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
            answer = {"error": explain(error)}
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

"""Run MLflow's own tests against servers started by ``mlflow-go``.

``python tests/upstream/run.py CLONE [pytest options]`` runs the tests listed in ``selection.txt``,
one id or file a line but for those after ``not``, from a clone of MLflow's repository (``go tool mage
repo:update`` makes one). They concern what is native; where MLflow's fixtures would serve its
application from a thread, the installed ``mlflow-go server`` is started on the same database instead.

This is a script and no module, as MLflow's tests are in a package named ``tests`` too.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before the clone is on the path: the client under test is the installed one, as the server is.
import mlflow
import pytest
import requests
from mlflow.server import handlers

SELECTION = Path(__file__).with_name("selection.txt")
START_LIMIT = 60.0
STOP_LIMIT = 30.0


class WheelServer:
    """Takes the place of ``tests.tracking.integration_test_utils.ServerThread``."""

    def __init__(self, app: object, port: int) -> None:
        del app  # MLflow's own, which we stand in for
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> str:
        # MLflow's fixtures have initialised the stores of this process; ours serves the same ones.
        store = handlers._get_tracking_store()
        self.start(store.db_uri, store.artifact_root_uri)
        return self.url

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, database: str, artifacts: str, environment: dict[str, Any] | None = None) -> None:
        command = Path(sys.executable).with_name("mlflow-go")
        stores = ["--backend-store-uri", database, "--default-artifact-root", artifacts]
        self.process = subprocess.Popen(
            [str(command), "server", "--port", str(self.port), *stores],
            env={**os.environ, **(environment or {})},
        )
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{self.url}/health", timeout=2).ok:
                    return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"mlflow-go server didn't answer on {self.url}")

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@contextlib.contextmanager
def init_server(
    backend_uri: str,
    root_artifact_uri: str,
    extra_env: dict[str, Any] | None = None,
    **_: object,
) -> Iterator[str]:
    """Take the place of ``tests.tracking.integration_test_utils._init_server``."""
    from tests.helper_functions import get_safe_port

    mlflow.set_tracking_uri(None)
    server = WheelServer(None, get_safe_port())
    server.start(backend_uri, root_artifact_uri, extra_env)
    try:
        yield server.url
    finally:
        server.stop()


@contextlib.contextmanager
def run_mlflow_server(directory: Path) -> Iterator[str]:
    """Take the place of ``tests.webhooks.test_e2e._run_mlflow_server``, with its environment."""
    from cryptography.fernet import Fernet
    from tests.helper_functions import get_safe_port

    environment = {
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_WEBHOOK_REQUEST_TIMEOUT": "10",
        "MLFLOW_WEBHOOK_CACHE_TTL": "0",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    server = WheelServer(None, get_safe_port())
    server.start(f"sqlite:///{directory / 'mlflow.db'}", (directory / "artifacts").as_uri(), environment)
    try:
        yield server.url
    finally:
        server.stop()


class ThroughWheel:
    """A pytest plugin that swaps the servers before a test can use them."""

    def pytest_configure(self) -> None:
        from tests.tracking import integration_test_utils

        integration_test_utils.ServerThread = WheelServer
        integration_test_utils._init_server = init_server

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for module in {item.getparent(pytest.Module) for item in items}:
            if hasattr(module.obj, "_run_mlflow_server"):
                module.obj._run_mlflow_server = run_mlflow_server


def main() -> int:
    """Run the selection with the options that follow the clone's path."""
    clone = Path(sys.argv[1]).resolve()
    selected, excluded = selection()
    missing = sorted({name for name, _, _ in selected if not (clone / name).is_file()})
    if missing:
        raise SystemExit(f"{clone} lacks {', '.join(missing)}: run `go tool mage repo:update`")
    # The webhooks of MLflow's tests are at example.com, which no name server needs to know then.
    os.environ["MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"] = "true"
    sys.path.insert(0, str(clone))
    os.chdir(clone)
    ids = [f"{clone / name}{separator}{test}" for name, separator, test in selected]
    options = ["--rootdir", str(clone), "-c", os.devnull, "-p", "no:cacheprovider"]
    options += [f"--deselect={test}" for test in excluded]
    status = pytest.main([*options, *sys.argv[2:], *ids], plugins=[ThroughWheel()])
    # -k may choose tests of stores alone.
    return 0 if status == pytest.ExitCode.NO_TESTS_COLLECTED and "-k" in sys.argv else status


def selection() -> tuple[list[tuple[str, str, str]], list[str]]:
    """Read the selection: ids split into file, ``::`` and test, and the ids that are left out of a file's."""
    lines = [line for line in SELECTION.read_text().splitlines() if line and not line.startswith("#")]
    excluded = [line.removeprefix("not ") for line in lines if line.startswith("not ")]
    return [line.partition("::") for line in lines if not line.startswith("not ")], excluded


if __name__ == "__main__":
    sys.exit(main())

"""Start stock MLflow and mlflow-go as users do, and give them fresh databases."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import requests
import sqlalchemy

STOCK = (sys.executable, "-m", "mlflow", "server")
OURS = (str(Path(sys.executable).with_name("mlflow-go")), "server")
START_LIMIT = 120.0


class _DatabaseServer(NamedTuple):
    """A database server for tests: the variable with its URI, the driver, and how databases are made."""

    variable: str
    driver: str
    options: str


_SERVERS = {
    "postgresql": _DatabaseServer("MLFLOW_GO_TEST_POSTGRES", "postgresql+psycopg2", ""),
    "mysql": _DatabaseServer("MLFLOW_GO_TEST_MYSQL", "mysql+pymysql", "CHARACTER SET utf8mb4"),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Server:
    """A running server process and where it answers."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    database: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=60, **options)

    def wait(self, path: str = "/health", limit: float = START_LIMIT) -> None:
        """Wait until the server answers; its log is the error when it doesn't."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(requests.RequestException):
                if requests.get(self.url + path, timeout=2).status_code < 500:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{self.url}{path} didn't answer:\n{self.log.read_text()[-5000:]}")

    def stop(self, limit: float = 30.0) -> int:
        """Ask the server to end and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise


def start(
    command: Sequence[str],
    directory: Path,
    *options: str,
    database: str = "",
    environment: dict[str, str] | None = None,
    wait: bool = True,
) -> Server:
    """Start a server on a free port, with ``directory`` as its working directory.

    Args:
        command: ``STOCK`` or ``OURS``.
        directory: Where it runs and where its log goes; made when missing.
        options: More options of ``mlflow server``.
        database: The backend store's URI; empty leaves the choice to the server.
        environment: Variables on top of ours.
        wait: Whether to return only when it answers.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    log = directory / "server.log"
    backend = ["--backend-store-uri", database] if database else []
    # mlflow.set_tracking_uri sets the variable, which would be the address of an earlier test's server.
    inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port), *backend, *options],
            cwd=directory,
            env={**inherited, "MLFLOW_DISABLE_TELEMETRY": "true", **(environment or {})},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Server(process, f"http://127.0.0.1:{port}", log, database)
    if wait:
        try:
            server.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return server


@contextlib.contextmanager
def running(command: Sequence[str], directory: Path, *options: str, **keywords: Any) -> Iterator[Server]:
    """Run a server (see `start`) for as long as the block lasts."""
    server = start(command, directory, *options, **keywords)
    try:
        yield server
    finally:
        server.stop()


def fresh_database(kind: str, directory: Path) -> str:
    """Make an empty database and return its URI.

    Args:
        kind: ``sqlite``, ``postgresql`` or ``mysql``, which is MariaDB.
        directory: Where an SQLite file goes.
    """
    if kind == "sqlite":
        directory.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{directory}/mlflow.db"
    return _create_database(kind, _SERVERS[kind].options)


def copy_database(database: str, directory: Path) -> str:
    """Copy a database that nobody uses and return the copy's URI.

    Args:
        database: URI of a file of SQLite's, or of a database of PostgreSQL's.
        directory: Where an SQLite file goes.
    """
    source = sqlalchemy.make_url(database)
    if source.get_backend_name() == "sqlite":
        assert source.database
        directory.mkdir(parents=True, exist_ok=True)
        copy = shutil.copy(source.database, directory)
        return f"sqlite:///{copy}"
    return _create_database("postgresql", f"TEMPLATE {source.database}")


def _create_database(kind: str, options: str) -> str:
    server = _SERVERS[kind]
    uri = os.environ.get(server.variable)
    assert uri, f"{server.variable} must name a server; `python3 dev.py test` starts one"
    url = sqlalchemy.make_url(uri).set(drivername=server.driver)
    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = sqlalchemy.create_engine(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name} {options}"))
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)

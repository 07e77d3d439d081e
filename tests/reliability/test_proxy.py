"""The proxy in front of the real fallback: size, memory, and what Python sees of the client."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.reliability.processes import MARK, marked, peak_memory
from tests.servers import OURS, Server, running

_CHUNK = bytes(1 << 20)
_ARTIFACT_CHUNKS = 2048  # 2 GiB
_MEMORY_LIMIT = 64 << 20


@pytest.fixture(scope="module")
def marked_server(
    made_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, int]]:
    """Run a server; gives it with the process id of its Go process."""
    mark = uuid.uuid4().hex
    directory: Path = tmp_path_factory.mktemp("proxy")
    database = f"sqlite:///{shutil.copy(made_database, directory / 'mlflow.db')}"
    with running(OURS, directory, "--workers", "1", database=database, environment={MARK: mark}) as server:
        server.wait("/api/3.0/mlflow/scorers/list?experiment_id=0")
        go = [pid for pid, command in marked(mark).items() if "mlflow-go-server" in command]
        assert len(go) == 1
        yield server, go[0]


@pytest.mark.slow
def test_large_artifact_passes_through_little_memory(marked_server: tuple[Server, int]) -> None:
    server, go = marked_server
    url = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/large.bin"
    answer = requests.put(url, data=(_CHUNK for _ in range(_ARTIFACT_CHUNKS)), timeout=600)
    assert answer.status_code == 200, answer.text
    received = 0
    with requests.get(url, stream=True, timeout=600) as download:
        assert download.headers["via"] == "1.1 mlflow-go"
        for chunk in download.iter_content(1 << 20):
            received += len(chunk)
    assert received == _ARTIFACT_CHUNKS * len(_CHUNK)
    assert peak_memory(go) < _MEMORY_LIMIT


def test_python_sees_the_client(marked_server: tuple[Server, int]) -> None:
    """The assistant is for localhost: a stranger behind a proxy of ours must not get at it."""
    server, _ = marked_server
    path = "/ajax-api/3.0/mlflow/assistant/providers/none/health"
    for forwarded, status in ((None, 404), ("203.0.113.7", 403), ("127.0.0.1, 203.0.113.7", 403)):
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        answer = server.request("GET", path, headers=headers)
        assert (answer.status_code, answer.headers["via"]) == (status, "1.1 mlflow-go"), forwarded


def test_connection_survives_refused_uploads(marked_server: tuple[Server, int]) -> None:
    """An early answer to an upload must not leave its body to be read as the next request."""
    server, _ = marked_server
    with requests.Session() as session:
        for _ in range(3):
            session.post(
                f"{server.url}/api/2.0/mlflow/runs/log-metric",
                data=os.urandom(5 << 20),
                headers={"Content-Type": "text/plain"},
                timeout=60,
            )
            assert session.get(f"{server.url}/health", timeout=60).text == "OK"

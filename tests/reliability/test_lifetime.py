"""The life of the processes: they start together, survive each other's deaths, and end together."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.reliability.processes import MARK, eventually, listening, marked
from tests.servers import OURS, Server, start

_PROXIED = "/api/3.0/mlflow/scorers/list?experiment_id=0"
_NATIVE = "/api/2.0/mlflow/experiments/get?experiment_id=0"


class Tree:
    """A server with its processes."""

    def __init__(self, directory: Path, database: str) -> None:
        self.mark = uuid.uuid4().hex
        self.server: Server = start(
            OURS,
            directory,
            *("--workers", "2"),
            database=database,
            environment={MARK: self.mark},
        )

    @property
    def processes(self) -> dict[int, str]:
        return marked(self.mark)

    def find(self, part: str) -> int:
        """Give the oldest process with a part in its command line."""
        return min(pid for pid, command in self.processes.items() if part in command)


@pytest.fixture
def young_tree(tmp_path: Path, database: str) -> Iterator[Tree]:
    """Give a server whose Python half may still be starting."""
    tree = Tree(tmp_path, database)
    yield tree
    for pid in tree.processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def tree(young_tree: Tree) -> Tree:
    """Give a server with both halves at work."""
    young_tree.server.wait(_PROXIED)
    return young_tree


def test_root_killed_leaves_nothing(tree: Tree) -> None:
    assert len(tree.processes) >= 4  # Go, the arbiter, two workers
    tree.server.process.kill()
    tree.server.process.wait()
    eventually(lambda: not tree.processes, 1, f"left behind: {tree.processes}")
    assert not listening(tree.server.url)


def test_fallback_killed_comes_back(tree: Tree) -> None:
    arbiter = tree.find("mlflow_go.fallback")
    descendants = [pid for pid in tree.processes if pid > arbiter]
    os.kill(arbiter, signal.SIGKILL)
    answer = requests.get(tree.server.url + _NATIVE, timeout=5)
    assert (answer.status_code, "via" in answer.headers) == (200, False)
    eventually(
        lambda: not set(descendants) & set(tree.processes),
        5,
        "the dead fallback's workers live on",
    )
    proxied = requests.get(tree.server.url + _PROXIED, timeout=60)
    assert (proxied.status_code, "via" in proxied.headers) == (200, True)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end(tree: Tree, how: signal.Signals) -> None:
    """What is under way is finished, in either half; then everything ends."""
    sending = threading.Barrier(3)

    def slowly(body: bytes) -> Iterator[bytes]:
        yield body[:1]
        sending.wait(10)
        time.sleep(1)
        yield body[1:]

    def send(path: str, body: bytes) -> requests.Response:
        verb = "PUT" if "artifacts" in path else "POST"
        headers = {"Content-Type": "application/json"}
        return tree.server.request(verb, path, data=slowly(body), headers=headers)

    with ThreadPoolExecutor() as clients:
        uploaded = clients.submit(send, "/api/2.0/mlflow-artifacts/artifacts/late.bin", bytes(1 << 20))
        created = clients.submit(send, "/api/2.0/mlflow/experiments/create", b'{"name": "late"}')
        sending.wait(10)
        tree.server.process.send_signal(how)
        assert (uploaded.result().status_code, "via" in uploaded.result().headers) == (200, True)
        assert (created.result().status_code, "via" in created.result().headers) == (200, False)
    assert tree.server.process.wait(30) == 0
    eventually(lambda: not tree.processes, 3, f"left behind: {tree.processes}")
    assert not listening(tree.server.url)


def test_connections_made_before_the_end_are_answered(young_tree: Tree) -> None:
    address = urlsplit(young_tree.server.url)
    request = f"GET /health HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    with contextlib.ExitStack() as connections:
        clients = []
        for _ in range(40):
            clients.append(
                connections.enter_context(socket.create_connection((address.hostname, address.port), 30))
            )
            clients[-1].sendall(request)
        young_tree.server.process.send_signal(signal.SIGTERM)
        answers = [client.recv(1024).partition(b"\r\n")[0] for client in clients]
    assert set(answers) == {b"HTTP/1.1 200 OK"}


def test_port_in_use(young_tree: Tree, tmp_path: Path) -> None:
    second = start(
        (*OURS, "--host", "127.0.0.1"),
        tmp_path / "second",
        *("--port", young_tree.server.url.rpartition(":")[2]),
        database=young_tree.server.database,
        wait=False,
    )
    assert second.process.wait(30) != 0
    lines = second.log.read_text().strip().splitlines()
    assert "in use" in lines[-1], lines

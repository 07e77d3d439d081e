"""The Python server, started as the Go server starts it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_go import fallback
from mlflow_go.fallback import __main__ as program
from mlflow_go.fallback.peer import unwrap

Start = Callable[..., "Running"]


class Running:
    """A Python server and the one that started it, which stands in for the Go server."""

    def __init__(self, parent: subprocess.Popen[bytes], address: str, pid: int) -> None:
        self.parent = parent
        self.address = address
        self.pid = pid

    def ask(self, path: str, body: object = None, **headers: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            f"http://{self.address}{path}", data, {"Content-Type": "application/json"} | names
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.read().decode()

    def below(self) -> set[int]:
        """All processes below the Python server."""
        children: dict[int, list[int]] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, parent = path.read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(path.parent.name))
        found = list(children.get(self.pid, ()))
        for pid in found:
            found.extend(children.get(pid, ()))
        return set(found)

    def queue(self) -> Path:
        """Where MLflow's job queue is, as the job runner was told."""
        name = "_MLFLOW_HUEY_STORAGE_PATH="
        for pid in self.below():
            for variable in Path(f"/proc/{pid}/environ").read_text().split("\0"):
                if variable.startswith(name):
                    return Path(variable.removeprefix(name))
        raise AssertionError("no process knows of a queue")


def alive(pids: set[int]) -> set[int]:
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.add(pid)
    return found


def until(condition: Callable[[], object], limit: float) -> bool:
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# Like the Go server, it makes the socket, starts the Python server and waits.
PARENT = """
import ctypes, os, signal, socket, subprocess, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # with the test
listener = socket.create_server(("127.0.0.1", 0))
os.environ["_MLFLOW_GO_FALLBACK_FD"] = str(listener.fileno())
address = "127.0.0.1:%d" % listener.getsockname()[1]
os.environ["_MLFLOW_GO_SERVER_URL"] = "http://" + address
process = subprocess.Popen([sys.executable, "-m", "mlflow_go.fallback"], pass_fds=[listener.fileno()])
print(address, process.pid, flush=True)
sys.exit(process.wait())
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    parents = []

    def run(config: fallback.Config | None = None, **environment: str) -> Running:
        settings = {
            name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "_MLFLOW_"))
        }
        settings |= {
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{tmp_path}/mlflow.db",
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(tmp_path / "artifacts"),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            fallback.VARIABLE: (config or fallback.Config()).dumps(),
        }
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT],
            env=settings | environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=(tmp_path / "stderr").open("wb"),
        )
        parents.append(parent)
        assert parent.stdout
        address, pid = parent.stdout.readline().decode().split()
        return Running(parent, address, int(pid))

    yield run
    for parent in parents:
        parent.kill()
        parent.wait()


def test_serves_mlflow_on_the_inherited_socket(start: Start) -> None:
    server = start(
        fallback.Config(workers=2), GUNICORN_CMD_ARGS="--bind 127.0.0.1:1 --workers 7", WEB_CONCURRENCY="9"
    )
    assert server.ask("/health") == "OK"
    assert server.ask("/version") == "3.17.2"
    found = json.loads(server.ask("/api/2.0/mlflow/experiments/search", {"max_results": 5}))
    assert [experiment["name"] for experiment in found["experiments"]] == ["Default"]
    # What only the FastAPI application has.
    assert json.loads(server.ask("/ajax-api/3.0/mlflow/server-info"))["store_type"]
    assert until(lambda: len(server.below()) == 2, 5)
    os.kill(server.pid, signal.SIGTERM)
    assert server.parent.wait(20) == 0


def test_sees_the_peer_that_the_go_server_saw(start: Start) -> None:
    server = start()
    # MLflow answers this to local callers only; they learn that there is no such provider.
    health = "/ajax-api/3.0/mlflow/assistant/providers/none/health"
    for forwarded, status in {
        "127.0.0.1": 404,
        "203.0.113.9": 403,
        "127.0.0.1, 203.0.113.9": 403,  # A caller that says it is local isn't.
        "203.0.113.9, 127.0.0.1": 403,  # A local proxy may speak for others, as uvicorn has it.
    }.items():
        with pytest.raises(urllib.error.HTTPError) as caught:
            server.ask(health, X_Forwarded_For=forwarded, X_Forwarded_Proto="http")
        assert (forwarded, caught.value.code) == (forwarded, status)


def test_nothing_is_left_when_the_server_is_killed(start: Start) -> None:
    server = start(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="true")
    server.ask("/health")
    # A worker, the job runner, and the consumers of its queues.
    assert until(lambda: len(server.below()) >= 6, 60)
    everything = server.below() | {server.pid}
    server.parent.kill()
    assert until(lambda: not alive(everything), 1.0), alive(everything)


def test_workers_end_with_their_arbiter(start: Start) -> None:
    server = start(fallback.Config(workers=2))
    server.ask("/health")
    workers = server.below()
    assert len(workers) == 2
    os.kill(server.pid, signal.SIGKILL)
    assert until(lambda: not alive(workers), 1.0)


def test_executes_jobs(start: Start, tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(
        "from mlflow.server.jobs import job\n"
        "@job('add', max_workers=1)\n"
        "def add(x: int, y: int) -> dict:\n"
        "    import os\n"
        "    return {'sum': x + y, 'tracking_uri': os.environ['MLFLOW_TRACKING_URI']}\n"
    )
    server = start(
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="true",
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        _MLFLOW_SUPPORTED_JOB_FUNCTION_LIST="sums.add",
        _MLFLOW_ALLOWED_JOB_NAME_LIST="add",
    )
    job = json.loads(server.ask("/ajax-api/3.0/jobs/", {"job_name": "add", "params": {"x": 1, "y": 2}}))

    def done() -> bool:
        job.update(json.loads(server.ask(f"/ajax-api/3.0/jobs/{job['job_id']}")))
        return job["status"] not in {"PENDING", "RUNNING"}

    assert until(done, 120), job
    assert (job["status"], job["result"]) == (
        "SUCCEEDED",
        {"sum": 3, "tracking_uri": f"http://{server.address}"},
    )


def test_a_worker_that_ends_leaves_the_queue_alone(start: Start) -> None:
    server = start(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="true")
    server.ask("/health")
    worker = min(server.below())
    queue = server.queue()
    os.kill(worker, signal.SIGTERM)
    assert until(lambda: not alive({worker}), 10)
    assert server.ask("/health") == "OK"
    assert queue.is_dir()


def test_killed_workers_and_job_runner_are_replaced(start: Start) -> None:
    server = start(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="true")
    server.ask("/health")
    first = server.below()
    for pid in first:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert until(lambda: len(server.below() - first) >= 2, 20)
    assert server.ask("/health") == "OK"


def test_a_finished_server_leaves_neither_jobs_nor_their_queue(start: Start, tmp_path: Path) -> None:
    server = start(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="true", TMPDIR=str(tmp_path))
    server.ask("/health")
    assert until(lambda: len(server.below()) >= 3, 60)
    below = server.below()
    queue = server.queue()
    assert queue.is_dir()
    os.kill(server.pid, signal.SIGTERM)
    assert server.parent.wait(20) == 0
    assert not alive(below)
    assert not queue.exists()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"_MLFLOW_SERVER_FILE_STORE": "sqlite:////proc/none/mlflow.db"},
            "[Errno 2] No such file or directory: '/proc/none'",
        ),
        (
            {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true", "MLFLOW_SERVER_JOB_EXECUTION_ENGINE": "steam"},
            (
                "MLFLOW_SERVER_JOB_EXECUTION_ENGINE may only be set to 'executor' to opt into the executor "
                "engine; unset it to use the default engine (got 'steam')."
            ),
        ),
    ],
)
def test_refuses_with_a_status_of_its_own(
    start: Start, tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    server = start(**environment)
    assert server.parent.wait(60) == fallback.REFUSED
    assert (tmp_path / "stderr").read_text().strip().splitlines()[-1] == message


def test_serves_an_authentication_app(start: Start, tmp_path: Path) -> None:
    server = start(
        fallback.Config(app_name="basic-auth", workers=2),
        MLFLOW_FLASK_SERVER_SECRET_KEY="k",
        MLFLOW_AUTH_ADMIN_PASSWORD="a-long-password",
        MLFLOW_AUTH_DATABASE_URI=f"sqlite:///{tmp_path}/auth.db",
    )
    assert server.ask("/health") == "OK"
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.ask("/api/2.0/mlflow/experiments/search", {"max_results": 5})
    assert caught.value.code == 401


def test_options_reach_uvicorn(start: Start) -> None:
    server = start(fallback.Config(options={"headers": [["x-served-by", "python"]], "server_header": False}))
    with urllib.request.urlopen(f"http://{server.address}/health", timeout=60) as response:
        assert response.headers["x-served-by"] == "python"
        assert response.headers["server"] is None


@pytest.mark.parametrize(
    ("config", "server"),
    [
        (fallback.Config(server="waitress", options={"threads": "3"}), "mlflow"),
        (fallback.Config(reload=True, options={"log_level": "debug"}), "uvicorn"),
        (fallback.Config(server="gunicorn", options={"timeout": 9}), "uvicorn"),
    ],
    ids=["waitress", "dev", "gunicorn"],
)
def test_serves_in_other_ways(start: Start, config: fallback.Config, server: str) -> None:
    running = start(config)
    with urllib.request.urlopen(f"http://{running.address}/version", timeout=120) as response:
        assert (response.read(), response.headers["server"]) == (b"3.17.2", server)
    os.kill(running.pid, signal.SIGTERM)
    assert running.parent.wait(30) == 0


def test_a_gunicorn_file_cannot_move_the_socket(start: Start, tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text("bind = '127.0.0.1:1'\n")
    server = start(fallback.Config(server="gunicorn", options={"config": "conf.py"}))
    assert server.parent.wait(60) == fallback.REFUSED
    assert "conf.py: bind can't be set there" in (tmp_path / "stderr").read_text()


@pytest.mark.parametrize(
    ("sent", "left", "peer", "scheme"),
    [
        ([], [], "", ""),
        ([(b"x-forwarded-for", b"10.0.0.1")], [], "10.0.0.1", ""),
        (
            [
                (b"host", b"h"),
                (b"x-forwarded-for", b"1.1.1.1, 10.0.0.1"),
                (b"x-forwarded-proto", b"https, http"),
            ],
            [(b"host", b"h"), (b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-proto", b"https")],
            "10.0.0.1",
            "http",
        ),
        (
            [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"::1")],
            [(b"x-forwarded-for", b"1.1.1.1")],
            "::1",
            "",
        ),
    ],
)
def test_unwrap_takes_off_one_hop(
    sent: list[tuple[bytes, bytes]], left: list[tuple[bytes, bytes]], peer: str, scheme: str
) -> None:
    assert unwrap(sent) == (left, peer, scheme)


def test_sockets_are_reached_by_address_where_they_cannot_be_inherited() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with program.listener({fallback.ADDRESS_VARIABLE: f"127.0.0.1:{port}"}) as listener:
        assert listener.getsockname() == ("127.0.0.1", port)

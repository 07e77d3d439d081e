"""Many clients, and Python beside them, write the same things at once."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.servers import Server

_CLIENTS = 64
_POINTS = 8
_PYTHON_POINTS = 60

#: Logs to a run by MLflow's own store, as a notebook without a server does.
_NOTEBOOK = """
import sys
from mlflow.entities import Metric, Param
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

uri, run, points = sys.argv[1:]
store = SqlAlchemyStore(uri, "mlflow-artifacts:/")
print("ready", flush=True)
sys.stdin.readline()
for step in range(int(points)):
    store.log_metric(run, Metric("shared", 0.5, 7, -1 - step))
    store.log_batch(run, [], [Param("same", "1"), Param(f"notebook-{step}", "1")], [])
"""

_LOAD = Path(__file__).parents[1] / "bench" / "load"
#: How often Python writes under load, and how long SQLite lets it wait for the lock, in seconds: a quarter of
#: what MLflow sets.
_PYTHON_WRITES = 40
_PATIENCE = 5


@pytest.fixture(scope="module")
def post(server: Server) -> Iterator[Callable[[str, dict[str, object]], requests.Response]]:
    """Send a request on one of as many connections as there are clients."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=_CLIENTS))

    def send(path: str, body: dict[str, object]) -> requests.Response:
        answer = session.post(f"{server.url}/api/2.0/mlflow/{path}", json=body, timeout=120)
        assert "via" not in answer.headers
        return answer

    yield send
    session.close()


@pytest.fixture
def run(post: Callable[[str, dict[str, object]], requests.Response]) -> str:
    """Create a run."""
    return post("runs/create", {"experiment_id": "0", "start_time": 1}).json()["run"]["info"]["run_id"]


def _at_once(each: Callable[[int], requests.Response]) -> list[requests.Response]:
    """Have all clients send at the same time."""
    together = threading.Barrier(_CLIENTS)

    def client(number: int) -> requests.Response:
        together.wait(60)
        return each(number)

    with ThreadPoolExecutor(_CLIENTS) as clients:
        return list(clients.map(client, range(_CLIENTS)))


def _codes(answers: list[requests.Response]) -> Counter[str]:
    return Counter(answer.json().get("error_code", "OK") for answer in answers)


def _data(server: Server, run: str) -> dict[str, list[dict[str, object]]]:
    return server.request("GET", f"/api/2.0/mlflow/runs/get?run_id={run}").json()["run"]["data"]


def test_one_name_makes_one_experiment(
    post: Callable[[str, dict[str, object]], requests.Response],
) -> None:
    answers = _at_once(lambda _: post("experiments/create", {"name": "contested"}))
    assert _codes(answers) == {"OK": 1, "RESOURCE_ALREADY_EXISTS": _CLIENTS - 1}


def test_same_param_is_written_once(
    post: Callable[[str, dict[str, object]], requests.Response], run: str, server: Server
) -> None:
    answers = _at_once(lambda _: post("runs/log-parameter", {"run_id": run, "key": "p", "value": "1"}))
    assert _codes(answers) == {"OK": _CLIENTS}
    assert _data(server, run)["params"] == [{"key": "p", "value": "1"}]


def test_one_param_value_wins(
    post: Callable[[str, dict[str, object]], requests.Response], run: str, server: Server
) -> None:
    def log(number: int) -> requests.Response:
        if number % 2:
            return post("runs/log-parameter", {"run_id": run, "key": "p", "value": str(number)})
        params = [{"key": "p", "value": str(number)}, {"key": f"beside-{number}", "value": "1"}]
        return post("runs/log-batch", {"run_id": run, "params": params})

    answers = _at_once(log)
    assert _codes(answers) == {"OK": 1, "INVALID_PARAMETER_VALUE": _CLIENTS - 1}
    winner = next(number for number, answer in enumerate(answers) if answer.status_code == 200)
    stored = {param["key"]: param["value"] for param in _data(server, run)["params"]}
    # Of a refused batch nothing is written.
    assert stored == {"p": str(winner)} | ({} if winner % 2 else {f"beside-{winner}": "1"})


def test_no_point_is_lost_beside_python(
    post: Callable[[str, dict[str, object]], requests.Response], run: str, server: Server
) -> None:
    # Two first writers of one param, of which one is MLflow's store: it reads, then inserts, and fails if the
    # other came between. That is stock's own race, so the param is there before.
    assert post("runs/log-parameter", {"run_id": run, "key": "same", "value": "1"}).status_code == 200
    notebook = subprocess.Popen(
        [sys.executable, "-c", _NOTEBOOK, server.database, run, str(_PYTHON_POINTS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert notebook.stdin
    assert notebook.stdout
    assert notebook.stdout.readline() == "ready\n"

    def log(number: int) -> requests.Response:
        if number == 0:
            notebook.stdin.write("\n")
            notebook.stdin.flush()
        for point in range(_POINTS):
            step = number * _POINTS + point
            metric = {"key": "shared", "value": step, "timestamp": 7, "step": step}
            answer = post("runs/log-metric", {"run_id": run} | metric)
            if answer.status_code != 200:
                return answer
            tags = [{"key": f"tag-{point}", "value": "1"}]
            params = [{"key": "same", "value": "1"}]
            answer = post("runs/log-batch", {"run_id": run, "params": params, "tags": tags})
            if answer.status_code != 200:
                return answer
        return answer

    answers = _at_once(log)
    assert notebook.wait(120) == 0
    assert _codes(answers) == {"OK": _CLIENTS}
    history = server.request(
        "GET", f"/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=shared"
    ).json()["metrics"]
    points = _CLIENTS * _POINTS
    assert [metric["step"] for metric in history] == list(range(-_PYTHON_POINTS, points))
    data = _data(server, run)
    assert [metric["step"] for metric in data["metrics"]] == [points - 1]
    assert {param["key"] for param in data["params"]} == {
        "same",
        *(f"notebook-{step}" for step in range(_PYTHON_POINTS)),
    }
    assert {tag["key"] for tag in data["tags"]} >= {f"tag-{point}" for point in range(_POINTS)}


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_python_is_not_kept_waiting(server: Server, tmp_path: Path) -> None:
    """Another process gets SQLite's lock from a writer that never runs out of work."""
    server.wait("/api/2.0/mlflow/experiments/get?experiment_id=0")
    program = tmp_path / "load"
    subprocess.run(["go", "build", "-o", program, "."], cwd=_LOAD, check=True)
    load = subprocess.Popen(
        [program, "-base", server.url, "-ops", "log_batch_10", "-seed-traces", "0", "-d", "600s"],
        stdout=subprocess.DEVNULL,
    )
    try:
        waits = []
        with contextlib.closing(
            sqlite3.connect(
                server.database.removeprefix("sqlite:///"), timeout=_PATIENCE, isolation_level=None
            )
        ) as python:
            while not python.execute("SELECT 1 FROM metrics WHERE key = 'metric_0' LIMIT 1").fetchall():
                assert load.poll() is None
                time.sleep(0.1)
            for number in range(_PYTHON_WRITES):
                began = time.monotonic()
                python.execute("BEGIN IMMEDIATE")
                waits.append(time.monotonic() - began)
                python.execute("INSERT INTO experiment_tags VALUES (?, '1', 0)", [f"python-{number}"])
                python.execute("COMMIT")
        assert load.poll() is None
    finally:
        load.kill()
        load.wait()
    print("Python waited, in ms:", *(round(wait * 1000) for wait in sorted(waits)))

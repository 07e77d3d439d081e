"""What was acknowledged is there after kill -9 in the middle of writing, and nothing by halves."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.servers import OURS, Server, fresh_database, running, start

#: How often each database's server is killed; ``mage test:crash`` asks for a hundred times.
_KILLS = int(os.environ.get("MLFLOW_GO_TEST_KILLS", "4"))
_WRITERS = 8
_METRICS = ("a", "b", "c")


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mysql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URI of a database that a server has made."""
    directory = tmp_path_factory.mktemp("made")
    uri = fresh_database(request.param, directory)
    with running(OURS, directory, database=uri) as server:
        server.wait("/api/2.0/mlflow/experiments/get?experiment_id=0")
    return uri


def _write(server: Server, run: str, steps: Iterator[int]) -> set[int]:
    """Log batches of one step until the server is gone; give the steps that were acknowledged."""
    acknowledged = set()
    with requests.Session() as session, contextlib.suppress(requests.ConnectionError):
        for step in steps:
            batch = {
                "run_id": run,
                "metrics": [{"key": key, "value": 1, "timestamp": 1, "step": step} for key in _METRICS],
                "params": [{"key": f"p{step}", "value": "1"}],
                "tags": [{"key": f"t{step}", "value": "1"}],
            }
            if step % 7 == 3:  # fails alone in whatever group it is written with
                batch["metrics"].append({"key": "", "value": 1, "timestamp": 1, "step": step})
            if step % 7 == 5:
                batch["params"].append({"key": "first", "value": str(step)})
            answer = session.post(f"{server.url}/api/2.0/mlflow/runs/log-batch", json=batch, timeout=30)
            if answer.status_code == 200:
                acknowledged.add(step)
            else:
                assert step % 7 in (3, 5), answer.text
                assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    return acknowledged


def _steps(server: Server, run: str) -> list[set[int]]:
    """Give the steps of each metric, and those that have a param and a tag."""
    found = []
    for key in _METRICS:
        history = server.request(
            "GET", "/api/2.0/mlflow/metrics/get-history", params={"run_id": run, "metric_key": key}
        ).json()
        steps = [metric["step"] for metric in history.get("metrics", [])]
        assert len(steps) == len(set(steps))
        found.append(set(steps))
    data = server.request("GET", "/api/2.0/mlflow/runs/get", params={"run_id": run}).json()["run"]["data"]
    for kind, letter in (("params", "p"), ("tags", "t")):
        keys = [entry["key"] for entry in data.get(kind, [])]
        found.append({int(key[1:]) for key in keys if key[0] == letter and key[1:].isdigit()})
    return found


def test_acknowledged_survives_kill(database: str, tmp_path: Path) -> None:
    chance = random.Random(17)
    written = 0
    for kill in range(_KILLS):
        server = start(OURS, tmp_path, "--go-opts", "fallback=lazy", database=database)
        created = server.request(
            "POST", "/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "start_time": 1}
        )
        run = created.json()["run"]["info"]["run_id"]
        steps = itertools.count()
        with ThreadPoolExecutor(_WRITERS) as writers:
            writing = [writers.submit(_write, server, run, steps) for _ in range(_WRITERS)]
            time.sleep(chance.uniform(0.1, 1))
            server.process.kill()
            server.process.wait()
        acknowledged = set[int]().union(*(each.result() for each in writing))
        with running(OURS, tmp_path, "--go-opts", "fallback=lazy", database=database) as again:
            stored = _steps(again, run)
        assert acknowledged <= stored[0], f"kill {kill}: lost {sorted(acknowledged - stored[0])}"
        assert all(steps == stored[0] for steps in stored), f"kill {kill}: half a batch"
        # At most what was under way is there without an answer.
        assert len(stored[0] - acknowledged) <= _WRITERS
        written += len(acknowledged)
    assert written > 10 * _KILLS

"""Measure the stores in process beside MLflow's SqlAlchemyStore: ``python -m tests.bench.library``.

Beside SQLite's writes stands the raw limit: the same statements by Python's sqlite3, without a store.
"""

from __future__ import annotations

import argparse
import itertools
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from mlflow_go.store.tracking import TrackingStore
from tests.servers import fresh_database

_DATABASES = ("sqlite", "sqlite-wal", "postgresql")
_RUNS = 100
_TURNS = 10
Operation = Callable[[int], Any]


def operations(store: SqlAlchemyStore, runs: list[str]) -> dict[str, Operation]:
    """Give what is measured of a store."""

    def metrics(step: int, count: int) -> list[Metric]:
        return [Metric(f"metric-{number}", 0.5, step, step) for number in range(count)]

    return {
        "log_metric": lambda step: store.log_metric(runs[step % _RUNS], metrics(step, 1)[0]),
        "log_batch(10)": lambda step: store.log_batch(runs[step % _RUNS], metrics(step, 10), [], []),
        "get_run": lambda step: store.get_run(runs[step % _RUNS]),
        "search_runs(100)": lambda _: store.search_runs(["0"], "", ViewType.ACTIVE_ONLY, max_results=_RUNS),
    }


_INSERT = "INSERT OR IGNORE INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES "
_KEEP_LATEST = (
    "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES {} "
    "ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, timestamp = excluded.timestamp, "
    "step = excluded.step, is_nan = excluded.is_nan WHERE excluded.step >= step"
)


def raw(file: Path, runs: list[str]) -> dict[str, Operation]:
    """Give what the writes come to without a store: a transaction of three statements.

    Each thread has a connection. Without a write-ahead log it keeps its journal, as ours does.
    """
    connections = threading.local()

    def write(step: int, count: int) -> None:
        if not hasattr(connections, "mine"):
            connections.mine = sqlite3.connect(file, isolation_level=None, timeout=60)
            (mode,) = connections.mine.execute("PRAGMA journal_mode").fetchone()
            if mode == "delete":
                connections.mine.execute("PRAGMA journal_mode = PERSIST").fetchall()
        run, execute = runs[step % _RUNS], connections.mine.execute
        values = [
            value for number in range(count) for value in (f"metric-{number}", 0.5, step, step, False, run)
        ]
        rows = ", ".join(["(?, ?, ?, ?, ?, ?)"] * count)
        execute("BEGIN IMMEDIATE")
        execute("SELECT lifecycle_stage FROM runs WHERE run_uuid = ?", (run,)).fetchall()
        execute(_INSERT + rows, values)
        execute(_KEEP_LATEST.format(rows), values)
        execute("COMMIT")

    return {"log_metric": lambda step: write(step, 1), "log_batch(10)": lambda step: write(step, 10)}


def rates(sides: Sequence[Operation], steps: Iterator[int], threads: int, seconds: float) -> list[float]:
    """Return how often a second the threads together get each side's operation done.

    The sides take turns, so that what else the machine does meanwhile slows all of them.
    """
    done, took = [0] * len(sides), [0.0] * len(sides)

    def work(operation: Operation, end: float) -> int:
        count = 0
        while time.perf_counter() < end:
            operation(next(steps))
            count += 1
        return count

    with ThreadPoolExecutor(threads) as pool:
        for side in list(range(len(sides))) * _TURNS:
            began = time.perf_counter()
            end = began + seconds / _TURNS
            done[side] += sum(pool.map(work, [sides[side]] * threads, [end] * threads))
            took[side] += time.perf_counter() - began
    return [count / time for count, time in zip(done, took, strict=True)]


def seed(store: SqlAlchemyStore) -> list[str]:
    """Make runs with ten metrics, parameters and tags each; return their ids."""
    runs = []
    for number in range(_RUNS):
        run = store.create_run("0", "someone", number, [], f"run-{number}")
        metrics = [Metric(f"metric-{item}", 0.1 * item, 0, 0) for item in range(10)]
        params = [Param(f"param-{item}", str(item)) for item in range(10)]
        tags = [RunTag(f"tag-{item}", str(item)) for item in range(10)]
        store.log_batch(run.info.run_id, metrics, params, tags)
        runs.append(run.info.run_id)
    return runs


def measure(database: str, directory: Path, arguments: argparse.Namespace) -> None:
    """Print the rates of both on a database, and how many times faster ours is."""
    uri = fresh_database(database.partition("-")[0], directory)
    store = SqlAlchemyStore(uri, str(directory))
    if database == "sqlite-wal":
        with sqlite3.connect(directory / "mlflow.db") as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
    runs = seed(store)
    steps = itertools.count(1)
    slow, fast = operations(store, runs), operations(TrackingStore(uri, str(directory)), runs)
    limits = raw(directory / "mlflow.db", runs) if database.startswith("sqlite") else {}
    for name in slow:
        if arguments.operations and name.partition("(")[0] not in arguments.operations:
            continue
        for threads in arguments.threads:
            sides = [fast] if arguments.only_library else [fast, slow]
            if name in limits:
                sides.append(limits)
            ours, *others = rates([side[name] for side in sides], steps, threads, arguments.seconds)
            print(f"{database:11} {name:17} {threads} threads", f"{ours:9.0f}/s", end="")
            if not arguments.only_library:
                print(f"{ours / others[0]:7.1f} x {others[0]:6.0f}/s of MLflow's", end="")
            print(f"{ours / others[-1]:7.0%} of raw" if name in limits else "", flush=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.library", description=__doc__)
    parser.add_argument("--databases", nargs="+", choices=_DATABASES, default=_DATABASES)
    parser.add_argument("--operations", nargs="+", default=(), help="such as log_metric")
    parser.add_argument("--threads", nargs="+", type=int, default=(1, 8))
    parser.add_argument("--seconds", type=float, default=3.0, help="for each number")
    parser.add_argument("--only-library", action="store_true", help="leave MLflow's store out")
    arguments = parser.parse_args()
    for database in arguments.databases:
        with tempfile.TemporaryDirectory() as directory:
            measure(database, Path(directory), arguments)


if __name__ == "__main__":
    main()

"""Measure mlflow-go beside stock MLflow on this machine, in one run: ``python -m tests.bench``.

For each database, both servers are started in turn on fresh databases, seeded alike, and loaded
by 16 clients; the tables give start-up time, memory, requests per second and the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.reliability.processes import MARK, marked, peak_memory, shared_memory
from tests.servers import OURS, STOCK, fresh_database, running

_LOAD = Path(__file__).with_name("load")
_OPERATIONS = (
    "create_run",
    "log_metric",
    "log_batch_10",
    "log_batch_500",
    "log_params_100",
    "get_run",
    "search_runs",
    "search_runs_filter",
    "get_metric_history",
    "search_experiments",
    "create_model_version",
    "get_version_by_alias",
    "search_models",
    "search_model_versions",
)
_NATIVE = "/api/2.0/mlflow/experiments/get?experiment_id=0"


@dataclass
class Measured:
    """What was seen of one server on one database; times in seconds, memory in bytes."""

    health: float = 0.0
    first_answer: float = 0.0
    restart_health: float = 0.0
    restart_first_answer: float = 0.0
    idle_tree: int = 0
    server_peak: int = 0
    processes: int = 0
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)


def measure(
    command: tuple[str, ...],
    database: str,
    directory: Path,
    load: Path,
    arguments: argparse.Namespace,
) -> Measured:
    """Start a server twice, on a new database and on the now existing one, and load it.

    Args:
        command: ``STOCK`` or ``OURS``.
        database: URI of an empty database.
        directory: Where the server runs.
        load: The load generator's executable.
        arguments: What was asked for on the command line.
    """
    seen = Measured()
    for again in (False, True):
        mark = uuid.uuid4().hex
        began = time.monotonic()
        with running(command, directory, database=database, environment={MARK: mark}, wait=False) as server:
            server.wait()
            health = time.monotonic() - began
            server.wait(_NATIVE)
            first = time.monotonic() - began
            if not again:
                seen.health, seen.first_answer = health, first
                continue
            seen.restart_health, seen.restart_first_answer = health, first
            server.wait("/api/3.0/mlflow/scorers/list?experiment_id=0")
            time.sleep(arguments.settle)
            processes = marked(mark)
            seen.processes = len(processes)
            seen.idle_tree = sum(map(shared_memory, processes))
            for operation in arguments.operations:
                print(f"  {operation}", flush=True)
                seen.operations[operation] = run_load(load, server.url, operation, arguments)
            root = [pid for pid, text in processes.items() if "mlflow-go-server" in text]
            seen.server_peak = peak_memory(root[0]) if root else sum(map(peak_memory, marked(mark)))
    return seen


def run_load(load: Path, url: str, operation: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one operation of the load generator and return what it measured."""
    done = subprocess.run(
        [
            *(load, "-base", url, "-ops", operation, "-c", str(arguments.clients), "-json"),
            *("-d", f"{arguments.seconds}s", "-seed-runs", str(arguments.seed_runs), "-seed-traces", "0"),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(done.stdout, done.stderr, flush=True)
    return next(json.loads(line) for line in reversed(done.stdout.splitlines()) if line.startswith("{"))


def report(database: str, stock: Measured, ours: Measured) -> None:
    """Print one database's tables in Markdown."""
    mib = 1 << 20
    print(f"\n## {database}\n\n| | stock | mlflow-go | stock / ours |\n|---|---|---|---|")
    for name, theirs, own in (
        ("new database: first /health, s", stock.health, ours.health),
        ("new database: first experiments/get, s", stock.first_answer, ours.first_answer),
        ("existing database: first /health, s", stock.restart_health, ours.restart_health),
        (
            "existing database: first experiments/get, s",
            stock.restart_first_answer,
            ours.restart_first_answer,
        ),
        ("whole tree, idle, proportional, MiB", stock.idle_tree / mib, ours.idle_tree / mib),
        ("processes", stock.processes, ours.processes),
        (
            "server under load, peak, MiB (ours: the Go process)",
            stock.server_peak / mib,
            ours.server_peak / mib,
        ),
    ):
        print(f"| {name} | {theirs:.2f} | {own:.2f} | {theirs / own if own else 0:.1f} |")
    print("\n| operation | stock req/s | ours req/s | ratio | stock p50/p99 ms | ours p50/p99 ms | errors |")
    print("|---|---|---|---|---|---|---|")
    for name, own in ours.operations.items():
        theirs = stock.operations[name]
        ratio = own["rps"] / theirs["rps"] if theirs["rps"] else 0.0
        print(
            f"| {name} | {theirs['rps']:.0f} | {own['rps']:.0f} | {ratio:.1f} "
            f"| {theirs['p50_ms']:.1f} / {theirs['p99_ms']:.1f} | {own['p50_ms']:.1f} / {own['p99_ms']:.1f} "
            f"| {theirs['errors']} / {own['errors']} |"
        )


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--operations", nargs="+", default=list(_OPERATIONS), choices=_OPERATIONS)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("MLFLOW_GO_BENCH_SECONDS", "8")))
    parser.add_argument("--seed-runs", type=int, default=int(os.environ.get("MLFLOW_GO_BENCH_RUNS", "2000")))
    parser.add_argument("--settle", type=int, default=10, help="seconds before idle memory is read")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlflow-go-bench-") as folder:
        load = Path(folder) / "load"
        subprocess.run(["go", "build", "-o", load, "."], cwd=_LOAD, check=True)
        for kind in arguments.databases:
            measured = []
            for name, command in (("stock", STOCK), ("ours", OURS)):
                print(f"{kind}, {name}", flush=True)
                directory = Path(folder) / kind / name
                database = fresh_database(kind, directory)
                measured.append(measure(command, database, directory, load, arguments))
            report(kind, *measured)


if __name__ == "__main__":
    main()

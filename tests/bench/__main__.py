"""Measure mlflow-go beside stock MLflow on this machine, in one run: ``python -m tests.bench``.

For each kind of database one is seeded, and each server is loaded by 16 clients on a copy of it. The tables
give start-up time, memory, requests per second, ratios, and the raw limit: what the same statements in the
best grouping reach in a tight loop, without HTTP.
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

from tests.bench import earlier, raw
from tests.reliability.processes import MARK, marked, peak_memory, shared_memory
from tests.servers import OURS, STOCK, copy_database, fresh_database, running

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
#: Python answers it on both sides.
_FALLBACK = "/api/3.0/mlflow/scorers/list?experiment_id=0"


@dataclass
class Measured:
    """What was seen of one server on one database; times in seconds, memory in bytes."""

    new_health: float = 0.0
    new_answer: float = 0.0
    health: float = 0.0
    answer: float = 0.0
    idle_tree: int = 0
    peak: int = 0
    processes: int = 0
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)


class Load:
    """The load generator.

    Args:
        folder: Where it is built.
        arguments: What was asked for on the command line.
    """

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self._program = folder / "load"
        self.asked = arguments
        subprocess.run(["go", "build", "-o", self._program, "."], cwd=_LOAD, check=True)

    def seed(self, url: str) -> None:
        """Make what the operations need; it is found again."""
        subprocess.run(self._command(url, "none"), check=True)

    def run_all(self, url: str) -> dict[str, dict[str, Any]]:
        """Run the operations one after the other and return what was measured of each."""
        return {operation: self._run(url, operation) for operation in self.asked.operations}

    def _run(self, url: str, operation: str) -> dict[str, Any]:
        print(f"  {operation}", flush=True)
        done = subprocess.run([*self._command(url, operation), "-json"], capture_output=True, text=True)
        if done.returncode:
            print(done.stdout, done.stderr, flush=True)
        return next(json.loads(line) for line in reversed(done.stdout.splitlines()) if line.startswith("{"))

    def _command(self, url: str, operations: str) -> list[str]:
        return [
            *(str(self._program), "-base", url, "-ops", operations, "-c", str(self.asked.clients)),
            *("-d", f"{self.asked.seconds}s", "-seed-runs", str(self.asked.seed_runs), "-seed-traces", "0"),
            f"-distinct={str(self.asked.distinct).lower()}",
        ]


def start_up(command: tuple[str, ...], database: str, directory: Path) -> tuple[float, float]:
    """Start a server; give the seconds until its first answers to /health and to a request of data."""
    began = time.monotonic()
    with running(command, directory, database=database, wait=False) as server:
        server.wait()
        health = time.monotonic() - began
        server.wait(_NATIVE)
        return health, time.monotonic() - began


def measure(command: tuple[str, ...], kind: str, seeded: str, directory: Path, load: Load) -> Measured:
    """Start a server on a new database and on a copy of the seeded one, and load it there."""
    seen = Measured()
    new = fresh_database(kind, directory / "new")
    seen.new_health, seen.new_answer = start_up(command, new, directory)
    mark = uuid.uuid4().hex
    database = copy_database(seeded, directory)
    seen.health, seen.answer = start_up(command, database, directory)
    with running(command, directory, database=database, environment={MARK: mark}) as server:
        server.wait(_FALLBACK)
        time.sleep(load.asked.settle)
        processes = marked(mark)
        seen.processes = len(processes)
        seen.idle_tree = sum(map(shared_memory, processes))
        seen.operations = load.run_all(server.url)
        root = [pid for pid, text in processes.items() if "mlflow-go-server" in text]
        seen.peak = peak_memory(root[0]) if root else sum(map(peak_memory, marked(mark)))
    return seen


def seed(kind: str, directory: Path, load: Load) -> str:
    """Fill a database through our server, which is quickest, and return its URI.

    A file keeps SQLite's rollback journal, which stock MLflow would have left it.
    """
    database = fresh_database(kind, directory)
    with running(OURS, directory, "--go-opts", "sqlite_journal=keep", database=database) as server:
        load.seed(server.url)
    return database


def report(kind: str, stock: Measured, ours: Measured, others: dict[str, dict[str, float]]) -> None:
    """Print one kind of database's tables in Markdown.

    Args:
        kind: The kind of database.
        stock: What was seen of stock MLflow.
        ours: What was seen of mlflow-go.
        others: Requests or calls per second by operation, by the name of their column.
    """
    mib = 1 << 20
    print(f"\n## {kind}\n\n| | stock | mlflow-go | stock / ours |\n|---|---|---|---|")
    for name, theirs, own in (
        ("new database: first /health, s", stock.new_health, ours.new_health),
        ("new database: first experiments/get, s", stock.new_answer, ours.new_answer),
        ("existing database: first /health, s", stock.health, ours.health),
        ("existing database: first experiments/get, s", stock.answer, ours.answer),
        ("whole tree, idle, proportional, MiB", stock.idle_tree / mib, ours.idle_tree / mib),
        ("processes", stock.processes, ours.processes),
        ("server under load, peak, MiB (ours: the Go process)", stock.peak / mib, ours.peak / mib),
    ):
        print(f"| {name} | {theirs:.2f} | {own:.2f} | {theirs / own if own else 0:.1f} |")
    names = "".join(f" {name} |" for name in others)
    print(
        f"\n| operation | stock req/s | ours req/s | ratio |{names}"
        " stock p50/p99 ms | ours p50/p99 ms | errors |"
    )
    print("|---|---|---|---|" + "---|" * len(others) + "---|---|---|")
    for name, own in ours.operations.items():
        theirs = stock.operations[name]
        ratio = own["rps"] / theirs["rps"] if theirs["rps"] else 0.0
        columns = "".join(
            f" {column[name]:.0f} (ours {own['rps'] / column[name]:.0%}) |" if column.get(name) else " |"
            for column in others.values()
        )
        print(
            f"| {name} | {theirs['rps']:.0f} | {own['rps']:.0f} | {ratio:.1f} |{columns}"
            f" {theirs['p50_ms']:.1f} / {theirs['p99_ms']:.1f} | {own['p50_ms']:.1f} / {own['p99_ms']:.1f}"
            f" | {theirs['errors']} / {own['errors']} |"
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
    parser.add_argument("--seed-runs", type=int, default=int(os.environ.get("MLFLOW_GO_BENCH_RUNS", "10000")))
    parser.add_argument("--settle", type=int, default=10, help="seconds before idle memory is read")
    parser.add_argument(
        "--distinct", action="store_true", help="have no two clients ask the same, which ours answers at once"
    )
    parser.add_argument("--no-raw", action="store_true", help="leave the raw limit out")
    parser.add_argument("--no-earlier", action="store_true", help="leave mlflow-go-backend out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlflow-go-bench-") as folder:
        load = Load(Path(folder), arguments)
        for kind in arguments.databases:
            seeded = seed(kind, Path(folder) / kind / "seed", load)
            measured = []
            for name, command in (("stock", STOCK), ("ours", OURS)):
                print(f"{kind}, {name}", flush=True)
                measured.append(measure(command, kind, seeded, Path(folder) / kind / name, load))
            others: dict[str, dict[str, float]] = {}
            if not arguments.no_earlier:
                print(f"{kind}, mlflow-go-backend", flush=True)
                others["mlflow-go-backend"] = earlier.measure(kind, Path(folder) / kind / "earlier", load)
            if not arguments.no_raw:
                print(f"{kind}, raw", flush=True)
                others["raw calls/s"] = raw.measure(kind, arguments.seconds)
            report(kind, *measured, others)


if __name__ == "__main__":
    main()

"""The raw limits: Go's benchmarks of statements without a server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_TREE = Path(__file__).parents[2]
_BENCHMARKS = {
    "create_run": "CreateRun",
    "log_metric": "LogMetric",
    "log_batch_10": "LogBatch",
    "log_batch_500": "LogBatch500",
    "log_params_100": "LogParams100",
    "get_run": "GetSeededRun",
    "search_runs": "SearchRuns",
    "search_runs_filter": "SearchRunsFilter",
    "get_metric_history": "GetMetricHistory",
    "search_experiments": "SearchExperiments",
}
_LINE = re.compile(r"^BenchmarkRaw(\w+)/(\w+)-\d+\s.*?([\d.]+) calls/s", re.MULTILINE)


def measure(kind: str, seconds: int) -> dict[str, float]:
    """Run the benchmarks on a kind of database and give calls per second by operation."""
    done = subprocess.run(
        [
            *("go", "test", "./pkg/tracking", "-run", "^$"),
            *("-bench", f"^BenchmarkRaw/^{kind}$", "-benchtime", f"{seconds}s"),
        ],
        cwd=_TREE,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    reached = {name: float(calls) for name, database, calls in _LINE.findall(done.stdout) if database == kind}
    return {operation: reached[name] for operation, name in _BENCHMARKS.items() if name in reached}

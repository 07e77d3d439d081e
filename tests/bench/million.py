"""Measure searches among a million runs on PostgreSQL: ``python -m tests.bench.million``.

The runs, each with ten metrics and ten params, are generated in the database. With the indexes of
``mlflow-go db index``, the first, the tenth and the hundredth page of each search are timed, one
request after the other.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import requests
import sqlalchemy
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from tests.servers import OURS, fresh_database, running

_SEARCHES: dict[str, dict[str, Any]] = {
    "newest first": {},
    "by start time": {"order_by": ["attributes.start_time DESC"]},
    "by a metric": {"order_by": ["metrics.m3 DESC"]},
    "by a metric, ascending": {"order_by": ["metrics.m3 ASC"]},
    "with a filter": {"filter": "metrics.m1 > 0.5 AND params.p1 = 'x'"},
    "with a filter, by a metric": {"filter": "params.p1 = 'x'", "order_by": ["metrics.m2 DESC"]},
}
_PAGES = (1, 10, 100)

# Foreign keys are known to hold.
_GENERATE = """
SET session_replication_role = replica;
SET synchronous_commit = off;
INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,
    lifecycle_stage, artifact_uri, experiment_id)
SELECT md5(i::text), 'run-' || i, 'UNKNOWN', '', '', 'me', 'FINISHED', 1700000000000 + i, 'active',
    'mlflow-artifacts:/0/' || md5(i::text) || '/artifacts', 0 FROM generate_series(1, :runs) i;
INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
SELECT 'm' || k, ((i::bigint * 7919 * k) % 100003) / 100003.0, 1700000000000, 0, FALSE, md5(i::text)
FROM generate_series(1, :runs) i, generate_series(1, 10) k;
INSERT INTO params (key, value, run_uuid)
SELECT 'p' || k, (ARRAY['x', 'y', 'z', 'w'])[i % 4 + 1], md5(i::text)
FROM generate_series(1, :runs) i, generate_series(1, 10) k;
INSERT INTO tags (key, value, run_uuid)
SELECT 'mlflow.runName', 'run-' || i, md5(i::text) FROM generate_series(1, :runs) i;
ANALYZE;
"""


def generate(runs: int) -> str:
    """Fill a new database and return its URI."""
    database = fresh_database("postgresql", Path())
    SqlAlchemyStore(database, "mlflow-artifacts:/")
    engine = sqlalchemy.create_engine(database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in _GENERATE.split(";\n"):
            if statement.strip():
                began = time.monotonic()
                connection.execute(sqlalchemy.text(statement.replace(":runs", str(runs))))
                print(f"{time.monotonic() - began:6.1f} s  {statement.split('(')[0].strip()}", flush=True)
    engine.dispose()
    return database


def token_of(url: str, search: dict[str, Any], page: int) -> str | None:
    """Return the token of a page, read from the tokens of the pages before it."""
    token = None
    for _ in range(page - 1):
        token = ask(requests, url, search, token).json()["next_page_token"]
    return token


def ask(client: Any, url: str, search: dict[str, Any], token: str | None) -> requests.Response:
    """Fetch one page of 100 runs with a session of requests, or requests itself."""
    body = {"experiment_ids": ["0"], "max_results": 100, **search, **({"page_token": token} if token else {})}
    response = client.post(f"{url}/api/2.0/mlflow/runs/search", json=body, timeout=600)
    response.raise_for_status()
    return response


def measure(url: str, search: dict[str, Any], token: str | None, times: int) -> tuple[float, float]:
    """Time a page and return the median and the 99th percentile, in ms."""
    seen = []
    with requests.Session() as client:
        for _ in range(10):
            ask(client, url, search, token)
        for _ in range(times):
            began = time.monotonic()
            ask(client, url, search, token)
            seen.append((time.monotonic() - began) * 1000)
    return statistics.median(seen), statistics.quantiles(seen, n=100)[98]


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.million", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=200, help="requests for each page")
    parser.add_argument("--database", help="a database that was generated before")
    parser.add_argument("--keep", action="store_true", help="print the database's URI and don't drop it")
    arguments = parser.parse_args()
    database = arguments.database or generate(arguments.runs)
    subprocess.run([OURS[0], "db", "index", database], check=True)
    with (
        tempfile.TemporaryDirectory(prefix="mlflow-go-million-") as folder,
        running(OURS, Path(folder), database=database) as server,
    ):
        print("\n| search | page | p50 ms | p99 ms |\n|---|---|---|---|")
        for name, search in _SEARCHES.items():
            for page in _PAGES:
                if (page - 1) * 100 < arguments.runs // 10:
                    token = token_of(server.url, search, page)
                    p50, p99 = measure(server.url, search, token, arguments.times)
                    print(f"| {name} | {page} | {p50:.1f} | {p99:.1f} |", flush=True)
    if arguments.keep or arguments.database:
        print(f"\n{database}")
        return
    url = sqlalchemy.make_url(database)
    engine = sqlalchemy.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"DROP DATABASE {url.database} WITH (FORCE)"))
    engine.dispose()


if __name__ == "__main__":
    main()

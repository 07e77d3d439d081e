"""Two servers on twin databases, once on each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parity.twins import Twins
from tests.servers import OURS, STOCK, fresh_database, start

# Stock without its job runner: 1 GB that no case asks for.
_STOCK_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mysql"])
def twins(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    base: Path = tmp_path_factory.mktemp(request.param)
    servers = []
    try:
        for name, command in (("stock", STOCK), ("ours", OURS)):
            directory = base / name
            database = fresh_database(request.param, directory)
            servers.append(
                start(
                    command,
                    directory,
                    *("--workers", "1"),
                    database=database,
                    environment=_STOCK_ENVIRONMENT,
                    wait=False,  # they start side by side
                )
            )
        for server in servers:
            server.wait("/api/2.0/mlflow/experiments/get?experiment_id=0")  # the database is made by then
        pair = Twins(*servers)
        yield pair
        pair.close()
    finally:
        for server in servers:
            server.stop()

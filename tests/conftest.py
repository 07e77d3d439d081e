"""Fixtures that every suite shares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import OURS, Server, fresh_database, running


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mysql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run mlflow-go on a fresh database, once on each kind."""
    directory = tmp_path_factory.mktemp(request.param)
    database = fresh_database(request.param, directory)
    with running(OURS, directory, "--workers", "1", database=database) as server:
        yield server

"""The same request to stock MLflow and to mlflow-go: the same answer and the same rows."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parity import cases
from tests.parity.differences import DIFFERENCES, DIFFERENCES_ON, differences
from tests.parity.twins import Case, Twins
from tests.servers import OURS, STOCK, fresh_database, start

_CASES: tuple[Case, ...] = tuple(
    found
    for module in pkgutil.iter_modules(cases.__path__)
    for found in importlib.import_module(f"{cases.__name__}.{module.name}").CASES
)
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


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_same_answer(twins: Twins, case: Case) -> None:
    if mismatches := twins.play(case, differences(twins.database, case.name)):
        pytest.fail("\n".join([f"{len(mismatches)} mismatches", *mismatches]), pytrace=False)


def test_differences_name_cases() -> None:
    sizes = {case.name: len(case.steps) for case in _CASES}
    assert len(sizes) == len(_CASES), "two cases share a name"
    for listed in (DIFFERENCES, *DIFFERENCES_ON.values()):
        for name, steps in listed.items():
            assert all(number < sizes[name] for number in steps), name

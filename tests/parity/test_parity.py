"""The same request to stock MLflow and to mlflow-go: the same answer and the same rows."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from tests.parity import cases
from tests.parity.differences import DIFFERENCES, DIFFERENCES_ON, differences
from tests.parity.twins import Case, Twins

_CASES: tuple[Case, ...] = tuple(
    found
    for module in pkgutil.iter_modules(cases.__path__)
    for found in importlib.import_module(f"{cases.__name__}.{module.name}").CASES
)


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

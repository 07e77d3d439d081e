"""The conversations that both servers must hold alike, as data: add a `case` and it runs."""

from __future__ import annotations

from typing import Any

from tests.parity.twins import Case, Step


def case(name: str, *steps: Step) -> Case:
    return Case(name, steps)


def post(path: str, json: Any = None, **options: Any) -> Step:
    """A write: the tables are compared after it, unless ``rows=False``."""
    options.setdefault("rows", True)
    return Step("POST", path, json={} if json is None and "raw" not in options else json, **options)


def ask(path: str, json: Any = None, **options: Any) -> Step:
    """A POST that reads."""
    return post(path, json, rows=False, **options)


def get(path: str, query: Any = None, **options: Any) -> Step:
    return Step("GET", path, query=query, **options)


def new_experiment(name: str = "exp", **fields: Any) -> Step:
    """Create an experiment named after the case; its id is saved as ``name``."""
    body = {"name": "${case}-" + name, **fields}
    return post("experiments/create", body, save={name: "experiment_id"}, rows=False)


def new_run(name: str = "run", experiment: str = "exp", **fields: Any) -> Step:
    """Create a run; its id is saved as ``name``."""
    body = {"experiment_id": "${" + experiment + "}", "start_time": 1_700_000_000_000, **fields}
    return post("runs/create", body, save={name: "run.info.run_id"}, rows=False)

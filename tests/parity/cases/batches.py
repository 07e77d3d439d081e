"""log-batch: all or nothing, its limits, and which field an error names."""

from typing import Any

from tests.parity.cases import case, get, new_experiment, new_run, post
from tests.parity.twins import Step

_GET = get("runs/get", {"run_id": "${run}"})


def batch(**body: Any) -> Step:
    return post("runs/log-batch", {"run_id": "${run}", **body})


def metric(key: str, value: Any = 1, **fields: Any) -> dict[str, Any]:
    return {"key": key, "value": value, "timestamp": 1, **fields}


def pairs(prefix: str, count: int) -> list[dict[str, str]]:
    return [{"key": f"{prefix}{number}", "value": str(number)} for number in range(count)]


CASES = (
    case(
        "batch of everything",
        new_experiment(),
        new_run(),
        batch(
            metrics=[
                metric("a"),
                metric("b", 2.5, step=3),
                metric("a", 7, step=1),
                metric("a", "NaN", step=2),
            ],
            params=pairs("p", 3),
            tags=[*pairs("t", 2), {"key": "mlflow.runName", "value": "batched"}],
        ),
        _GET,
        batch(),
        batch(metrics=[], params=[], tags=[]),
        batch(params=pairs("p", 3)),
        batch(tags=[{"key": "t0", "value": "new"}, {"key": "t0", "value": "newer"}]),
        batch(metrics=[metric("a"), metric("a")]),
        _GET,
    ),
    case(
        "batch with conflicts writes nothing",
        new_experiment(),
        new_run(),
        batch(params=[{"key": "p", "value": "1"}]),
        batch(params=[{"key": "p", "value": "2"}, {"key": "q", "value": "2"}], metrics=[metric("m")]),
        batch(params=[{"key": "r", "value": "1"}, {"key": "r", "value": "2"}], metrics=[metric("m")]),
        batch(params=[{"key": "s", "value": "1"}, {"key": "s", "value": "1"}]),
        batch(params=[{"key": "p", "value": "3"}, {"key": "s", "value": "4"}]),
        _GET,
    ),
    case(
        "batch fields refused",
        new_experiment(),
        new_run(),
        *(
            batch(**body)
            for body in (
                {"metrics": [{"value": 1, "timestamp": 1}]},
                {"metrics": [metric("a"), {"key": "b", "timestamp": 1}]},
                {"metrics": [{"key": "a", "value": 1}]},
                {"metrics": [metric("")]},
                {"metrics": [metric("a", None)]},
                {"metrics": [metric("a", True)]},
                {"metrics": [metric("a"), metric("bad?key")]},
                {"metrics": [metric("k" * 251)]},
                {"metrics": "no list"},
                {"metrics": {"key": "a"}},
                {"params": [{"value": "x"}]},
                {"params": [{"key": "", "value": "x"}]},
                {"params": [{"key": "a"}]},
                {"params": [{"key": "a", "value": "v" * 6001}]},
                {"params": [*pairs("p", 2), {"key": "k" * 251, "value": "x"}]},
                {"params": [{"key": "bad?", "value": "x"}]},
                {"tags": [{"value": "x"}]},
                {"tags": [{"key": "a", "value": "v" * 8001}]},
                {"tags": [{"key": "k" * 251, "value": "x"}]},
                {"tags": [{"key": "a"}]},
            )
        ),
        post("runs/log-batch", {"metrics": [metric("a")]}),
        post("runs/log-batch", {"run_id": "", "metrics": [metric("a")]}),
        post("runs/log-batch", {"run_id": 5, "metrics": [metric("a")]}),
        post("runs/log-batch", {"run_uuid": "${run}", "metrics": [metric("a")]}),
        _GET,
    ),
    case(
        "batches that stock reads by halves",
        new_experiment(),
        new_run(),
        *(
            batch(**body)
            for body in (
                {"metrics": [metric("a", "abc")]},
                {"metrics": [metric("a", step="x")]},
                {"params": [{"key": "a", "value": 5}]},
                {"params": [None]},
            )
        ),
    ),
    case(
        "batch limits",
        new_experiment(),
        new_run(),
        batch(metrics=[metric(f"m{number}") for number in range(1000)]),
        batch(metrics=[metric(f"m{number}") for number in range(1001)]),
        batch(params=pairs("p", 100)),
        batch(params=pairs("q", 101)),
        batch(tags=pairs("t", 100)),
        batch(tags=pairs("u", 101)),
        batch(
            metrics=[metric(f"n{number}") for number in range(900)],
            params=pairs("r", 51),
            tags=pairs("v", 50),
        ),
        post("runs/log-batch", raw='{"run_id": "${run}", "x": "' + "y" * 1_000_000 + '"}'),
    ),
)

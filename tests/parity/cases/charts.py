"""What the charts and the run pages of the UI ask: histories of many runs, datasets of experiments."""

from typing import Any

from tests.parity.cases import ask, case, get, new_experiment, new_run, post

_BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
_DATASETS = "/ajax-api/2.0/mlflow/experiments/search-datasets"


def _points(count: int) -> list[dict[str, Any]]:
    return [
        {"key": "m", "value": "NaN" if i % 5 == 0 else i * 7 % 11 / 4, "timestamp": i % 3, "step": i // 2}
        for i in range(count)
    ]


def _dataset(digest: str, *tags: dict[str, str]) -> dict[str, Any]:
    dataset = {"name": "d", "digest": digest, "source_type": "local", "source": "/data", "schema": "{}"}
    return {"dataset": dataset, "tags": list(tags)}


CASES = (
    case(
        "histories of many runs",
        new_experiment(),
        new_run("one"),
        new_run("two"),
        post("runs/log-batch", {"run_id": "${one}", "metrics": _points(40)}),
        post("runs/log-batch", {"run_id": "${two}", "metrics": _points(3)}),
        post(
            "runs/log-metric",
            {"run_id": "${two}", "key": "m", "value": 1, "timestamp": 9, "step": 2**33},
        ),
        *(
            get(
                "metrics/get-history-bulk-interval",
                {"run_ids": ["${one}", "${two}"], "metric_key": "m", **more},
            )
            for more in (
                {},
                {"max_results": 7},
                {"max_results": 1},
                {"max_results": 0},
                {"max_results": 2501},
                {"max_results": "few"},
                {"start_step": 3, "end_step": 9},
                {"start_step": 9, "end_step": 3},
                {"start_step": 3},
                {"metric_key": "none"},
                {"start_step": -(2**41), "end_step": 2**41},
                {"start_step": 2**31, "end_step": 2**40},
                {"start_step": 2**40, "end_step": 0},
                {"start_step": " 1 ", "end_step": "1_0"},
                {"start_step": "x", "end_step": 5},
                {"start_step": "", "end_step": 5},
                {"start_step": 2**40},
                {"max_results": 2**40},
                {"max_results": " 2 "},
                {"max_results": ""},
                {"startStep": 3, "endStep": 4, "maxResults": 1},
                {"start_step": "1.0", "end_step": 5},
                {"start_step": 2**70, "end_step": 2**71},
                {"max_results": "2.0"},
            )
        ),
        get("metrics/get-history-bulk-interval", {"metric_key": "m"}),
        get("metrics/get-history-bulk-interval", {"run_ids": ["x"] * 101, "metric_key": "m"}),
        get(
            "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
            {"run_ids": ["${one}"], "metric_key": "m"},
        ),
        get(_BULK, {"run_id": "${two}", "metric_key": "m"}),
        *(
            get(_BULK, {"run_id": ["${two}", "nobody"], "metric_key": "m", **more})
            for more in (
                {"max_results": 2},
                {"max_results": " 2_0 "},
                {"max_results": 0},
                {"max_results": 99_999_999_999},
                {"metric_key": ""},
                {"metric_key": "é"},
            )
        ),
        get(_BULK, {"run_id": "${two}"}),
        get(_BULK, {"metric_key": "m"}),
        get(_BULK, {"run_id": ["x"] * 101, "metric_key": "m"}),
        get(_BULK),
        get("/api/2.0/mlflow/metrics/get-history-bulk", native=False),
    ),
    case(
        "datasets of experiments",
        new_experiment(),
        new_experiment("empty"),
        new_run(),
        post(
            "runs/log-inputs",
            {
                "run_id": "${run}",
                "datasets": [_dataset("1", {"key": "mlflow.data.context", "value": "train"}), _dataset("1")],
            },
        ),
        ask(_DATASETS, {"experiment_ids": ["${exp}", "${empty}"]}),
        ask(_DATASETS, {"experiment_ids": ["${empty}"]}),
        ask(_DATASETS, {"experiment_ids": []}),
        ask(_DATASETS, {"experiment_ids": ["x"]}),
        ask(_DATASETS, {"experiment_ids": ["1"] * 21}),
        ask(_DATASETS, {}),
        ask(_DATASETS, {"experiment_ids": ["${exp}"]}, headers={"Content-Type": "text/plain"}),
        ask(_DATASETS, raw="{"),
        get(_DATASETS, native=False),
    ),
)

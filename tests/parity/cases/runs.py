"""Runs: their life, and what is logged to them one at a time."""

from collections.abc import Iterable
from typing import Any

from tests.parity.cases import ask, case, get, new_experiment, new_run, post
from tests.parity.twins import Step

_GET = get("runs/get", {"run_id": "${run}"})
_NOBODY = "f" * 32


def _log_points(points: Iterable[dict[str, Any]]) -> Step:
    """Log points of the metric m."""
    return post("runs/log-batch", {"run_id": "${run}", "metrics": [{"key": "m"} | point for point in points]})


CASES = (
    case(
        "run is created and read",
        new_experiment(),
        post(
            "runs/create",
            {
                "experiment_id": "${exp}",
                "user_id": "me",
                "run_name": "first",
                "start_time": 1_700_000_000_000,
                "tags": [{"key": "mlflow.user", "value": "you"}, {"key": "a", "value": "b"}],
            },
            save={"run": "run.info.run_id"},
        ),
        _GET,
        get("runs/get", {"run_uuid": "${run}"}),
        get("runs/get", {"run_id": "${run}", "run_uuid": "other"}),
    ),
    case(
        "run names come from name, tag, or nowhere",
        new_experiment(),
        *(
            post("runs/create", {"experiment_id": "${exp}", "start_time": 1_700_000_000_000, **fields})
            for fields in (
                {},
                {"run_name": ""},
                {"run_name": "x"},
                {"tags": [{"key": "mlflow.runName", "value": "tagged"}]},
                {"run_name": "same", "tags": [{"key": "mlflow.runName", "value": "same"}]},
                {"run_name": "one", "tags": [{"key": "mlflow.runName", "value": "two"}]},
                {"run_name": "x" * 300},
                {"run_name": "é☃"},
                {"run_name": 5},
                {"start_time": "soon"},
                {"start_time": "1700000000001"},
                {"start_time": 1.7e12},
                {"start_time": -5},
                {"tags": [{"key": "k" * 251, "value": "1"}]},
                {"tags": [{"key": "k", "value": "v" * 8001}]},
                {"tags": [{"value": "1"}]},
                {"user_id": "u" * 300},
            )
        ),
        post("runs/create", {}),
        post("runs/create", {"experiment_id": 0}),
    ),
    case(
        "runs that stock reads by halves",
        new_experiment(),
        *(
            post("runs/create", {"experiment_id": "${exp}", "start_time": 1_700_000_000_000, **fields})
            for fields in (
                {"start_time": 2**63},
                {"tags": [5]},
                {"tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]},
            )
        ),
    ),
    case(
        "run without a start time",
        new_experiment(),
        post("runs/create", {"experiment_id": "${exp}"}, save={"run": "run.info.run_id"}),
        _GET,
    ),
    case(
        "run in the default experiment",
        post("runs/create", {"experiment_id": "0", "start_time": 1}, save={"run": "run.info.run_id"}),
        _GET,
    ),
    case(
        "run is updated",
        new_experiment(),
        new_run(),
        *(
            post("runs/update", {"run_id": "${run}", **fields})
            for fields in (
                {},
                {"status": "FINISHED", "end_time": 1_700_000_001_000},
                {"status": "RUNNING"},
                {"status": 2},
                {"status": "DONE"},
                {"run_name": "renamed"},
                {"run_name": ""},
                {"end_time": "1700000002000"},
                {"end_time": "later"},
                {"end_time": 0},
                {"run_name": "x" * 300},
                {"status": "FAILED", "run_name": "both", "end_time": 5},
            )
        ),
        post("runs/update", {"run_uuid": "${run}", "status": "KILLED"}),
        post("runs/update", {"status": "KILLED"}),
        post("runs/update", {"run_id": _NOBODY, "status": "KILLED"}),
        _GET,
    ),
    case(
        "run is deleted and restored",
        new_experiment(),
        new_run(),
        post("runs/delete", {"run_id": "${run}"}),
        _GET,
        post("runs/delete", {"run_id": "${run}"}),
        post("runs/update", {"run_id": "${run}", "status": "FINISHED"}),
        post("runs/log-metric", {"run_id": "${run}", "key": "m", "value": 1, "timestamp": 1}),
        post("runs/log-parameter", {"run_id": "${run}", "key": "p", "value": "1"}),
        post("runs/set-tag", {"run_id": "${run}", "key": "t", "value": "1"}),
        post("runs/delete-tag", {"run_id": "${run}", "key": "t"}),
        post("runs/log-batch", {"run_id": "${run}", "params": [{"key": "p", "value": "1"}]}),
        post("runs/restore", {"run_id": "${run}"}),
        post("runs/restore", {"run_id": "${run}"}),
        _GET,
    ),
    case(
        "runs that aren't there",
        *(
            step
            for wrong in (_NOBODY, "", "../x", "x" * 300)
            for step in (
                get("runs/get", {"run_id": wrong}),
                post("runs/delete", {"run_id": wrong}),
                post("runs/restore", {"run_id": wrong}),
                post("runs/log-metric", {"run_id": wrong, "key": "m", "value": 1, "timestamp": 1}),
                post("runs/log-parameter", {"run_id": wrong, "key": "p", "value": "1"}),
                post("runs/set-tag", {"run_id": wrong, "key": "t", "value": "1"}),
                post("runs/delete-tag", {"run_id": wrong, "key": "t"}),
                post("runs/log-batch", {"run_id": wrong}),
                get("metrics/get-history", {"run_id": wrong, "metric_key": "m"}),
            )
        ),
        get("runs/get"),
    ),
    case(
        "params are immutable",
        new_experiment(),
        new_run(),
        *(
            post("runs/log-parameter", {"run_id": "${run}", **param})
            for param in (
                {"key": "a", "value": "1"},
                {"key": "a", "value": "1"},
                {"key": "a", "value": "2"},
                {"key": "b", "value": ""},
                {"key": "c"},
                {"key": "", "value": "x"},
                {"value": "x"},
                {"key": "d", "value": 5},
                {"key": "d", "value": None},
                {"key": "e", "value": "v" * 6000},
                {"key": "f", "value": "v" * 6001},
                {"key": "k" * 250, "value": "x"},
                {"key": "k" * 251, "value": "x"},
                {"key": "bad?", "value": "x"},
                {"key": "a/../b", "value": "x"},
                {"key": "./a", "value": "x"},
                {"key": "é", "value": "é\n'\"\\\u0000"},
            )
        ),
        _GET,
    ),
    case(
        "run tags",
        new_experiment(),
        new_run(),
        *(
            post("runs/set-tag", {"run_id": "${run}", **tag})
            for tag in (
                {"key": "a", "value": "1"},
                {"key": "a", "value": "2"},
                {"key": "b"},
                {"key": "", "value": "x"},
                {"value": "x"},
                {"key": "mlflow.runName", "value": "by tag"},
                {"key": "mlflow.runName", "value": ""},
                {"key": "mlflow.user", "value": "me"},
                {"key": "mlflow.note.content", "value": "# note"},
                {"key": "c", "value": "v" * 8000},
                {"key": "d", "value": "v" * 8001},
                {"key": "k" * 250, "value": "x"},
                {"key": "k" * 251, "value": "x"},
                {"key": "bad\tkey", "value": "x"},
            )
        ),
        _GET,
        post("runs/delete-tag", {"run_id": "${run}", "key": "a"}),
        post("runs/delete-tag", {"run_id": "${run}", "key": "a"}),
        post("runs/delete-tag", {"run_id": "${run}", "key": "never"}),
        post("runs/delete-tag", {"run_id": "${run}", "key": "mlflow.runName"}),
        post("runs/delete-tag", {"run_id": "${run}"}),
        _GET,
    ),
    case(
        "metrics one by one",
        new_experiment(),
        new_run(),
        *(
            post("runs/log-metric", {"run_id": "${run}", **metric})
            for metric in (
                {"key": "m", "value": 1.5, "timestamp": 1000},
                {"key": "m", "value": 1.5, "timestamp": 1000},
                {"key": "m", "value": 0.1, "timestamp": 1000, "step": 5},
                {"key": "m", "value": 9, "timestamp": 5000, "step": 4},
                {"key": "m", "value": -1, "timestamp": 1000, "step": 5},
                {"key": "m", "value": 7, "timestamp": 1000, "step": 5},
                {"key": "neg", "value": 1, "timestamp": 1, "step": -3},
                {"key": "nan", "value": "NaN", "timestamp": 1},
                {"key": "nan", "value": 1, "timestamp": 1},
                {"key": "inf", "value": "Infinity", "timestamp": 1},
                {"key": "inf", "value": "-Infinity", "timestamp": 2},
                {"key": "text", "value": "3.25", "timestamp": "17"},
                {"key": "tiny", "value": 5e-324, "timestamp": 1},
                {"key": "large", "value": 1.7976931348623157e308, "timestamp": 1},
                {"key": "exp", "value": 1e16, "timestamp": 1},
                {"key": "small", "value": 1e-5, "timestamp": 1},
                {"key": "whole step", "value": 1, "timestamp": 1, "step": 2.0},
                {"key": "x", "value": "abc", "timestamp": 1},
                {"key": "x", "value": True, "timestamp": 1},
                {"key": "x", "value": None, "timestamp": 1},
                {"key": "x", "timestamp": 1},
                {"key": "x", "value": 1},
                {"key": "x", "value": 1, "timestamp": "now"},
                {"key": "x", "value": 1, "timestamp": 1, "step": "x"},
                {"key": "", "value": 1, "timestamp": 1},
                {"value": 1, "timestamp": 1},
                {"key": 5, "value": 1, "timestamp": 1},
                {"key": "k" * 250, "value": 1, "timestamp": 1},
                {"key": "k" * 251, "value": 1, "timestamp": 1},
                {"key": "a\\b", "value": 1, "timestamp": 1},
                {"key": "set", "value": 1, "timestamp": 1, "dataset_name": "d", "dataset_digest": "e"},
            )
        ),
        _GET,
        *(
            get("metrics/get-history", {"run_id": "${run}", "metric_key": key})
            for key in ("m", "nan", "inf", "never", "", "set")
        ),
        get("metrics/get-history", {"run_id": "${run}"}),
        get("metrics/get-history", {"run_uuid": "${run}", "metric_key": "m"}),
    ),
    case(
        "metrics that stock reads by halves",
        new_experiment(),
        new_run(),
        *(
            post("runs/log-metric", {"run_id": "${run}", "key": "m", "value": 1, "timestamp": 1, **metric})
            for metric in (
                {"value": float("nan")},
                {"value": float("inf")},
                {"step": 2.5},
                {"timestamp": 2**63},
                {"value": [1]},
                {"model_id": "m-" + "0" * 32},
            )
        ),
    ),
    case(
        "metric history in pages",
        new_experiment(),
        new_run(),
        _log_points(
            {"value": (step * 7) % 5, "timestamp": 1000 - step, "step": step % 4} for step in range(25)
        ),
        get("metrics/get-history", {"run_id": "${run}", "metric_key": "m"}),
        get(
            "metrics/get-history",
            {"run_id": "${run}", "metric_key": "m", "max_results": 10},
            save={"token": "next_page_token"},
        ),
        get(
            "metrics/get-history",
            {"run_id": "${run}", "metric_key": "m", "max_results": 10, "page_token": "${token}"},
        ),
        *(
            get("metrics/get-history", {"run_id": "${run}", "metric_key": "m", **more})
            for more in (
                {"max_results": 0},
                {"max_results": -1},
                {"max_results": "many"},
                {"max_results": 25},
                {"max_results": 24},
                {"max_results": 1000000},
                {"max_results": 2, "page_token": "garbage"},
                {"page_token": "${token}"},
            )
        ),
    ),
    case(
        "metrics around zero",
        new_experiment(),
        new_run(),
        # NaN is 0 to the tables. Given before the 0, PostgreSQL keeps it there, and SQLite's index doesn't.
        _log_points({"value": value, "timestamp": 1, "step": 1} for value in (0.0, "NaN", -1.0)),
        post("runs/log-metric", {"run_id": "${run}", "key": "zero", "value": 0, "timestamp": 1}),
        post("runs/log-metric", {"run_id": "${run}", "key": "nan", "value": "NaN", "timestamp": 1}),
        _GET,
        *(get("metrics/get-history", {"run_id": "${run}", "metric_key": key}) for key in ("m", "zero")),
        get("metrics/get-history", {"run_id": "${run}", "metric_key": "m", "max_results": 1}),
        get("metrics/get-history-bulk-interval", {"run_ids": "${run}", "metric_key": "m", "max_results": 1}),
        *(
            ask("runs/search", {"experiment_ids": ["${exp}"], "filter": f"metrics.{key} {comparator} 0"})
            for key in ("m", "zero", "nan")
            for comparator in ("=", "!=", "<", "<=", ">", ">=")
        ),
        ask("runs/search", {"experiment_ids": ["${exp}"], "order_by": ["metrics.nan"]}),
    ),
)

"""Keys and names that differ in case, accents or a space at the end: MySQL's collations fold them."""

from tests.parity.cases import ask, case, get, new_experiment, new_run, post

_RUN = get("runs/get", {"run_id": "${run}"})
_POINT = {"run_id": "${run}", "timestamp": 1, "step": 0}
_DATASET = {"digest": "1", "source_type": "local", "source": "/data"}
_SPELLINGS = ("key", "Key", "KEY", "kéy", "key ")

CASES = (
    case(
        "params spelled alike",
        new_experiment(),
        new_run(),
        *(
            post("runs/log-parameter", {"run_id": "${run}", "key": key, "value": value})
            for key, value in (*((key, "v") for key in _SPELLINGS), ("key", "V"), ("Key", "2"))
        ),
        post("runs/log-batch", {"run_id": "${run}", "params": [{"key": "batch", "value": "1"}]}),
        post("runs/log-batch", {"run_id": "${run}", "params": [{"key": "Batch", "value": "1"}]}),
        post(
            "runs/log-batch",
            {"run_id": "${run}", "params": [{"key": "two", "value": "1"}, {"key": "TWO", "value": "1"}]},
        ),
        _RUN,
    ),
    case(
        "metrics spelled alike",
        new_experiment(),
        new_run(),
        *(post("runs/log-metric", {**_POINT, "key": key, "value": 1.0}) for key in _SPELLINGS),
        post("runs/log-metric", {**_POINT, "key": "Key", "value": 2.0, "step": 7}),
        post("runs/log-metric", {**_POINT, "key": "key", "value": 2.0, "step": 7}),
        _RUN,
        get("metrics/get-history", {"run_id": "${run}", "metric_key": "KEY"}),
    ),
    case(
        "tags spelled alike",
        new_experiment(),
        new_run(),
        *(
            post("runs/set-tag", {"run_id": "${run}", "key": key, "value": value})
            for value, key in enumerate(("key", "Key", "other", "KEY"))
        ),
        *(
            post("experiments/set-experiment-tag", {"experiment_id": "${exp}", "key": key, "value": key})
            for key in ("key", "Key")
        ),
        _RUN,
        get("experiments/get", {"experiment_id": "${exp}"}),
        post("runs/delete-tag", {"run_id": "${run}", "key": "kEy"}),
        _RUN,
    ),
    case(
        "experiments spelled alike",
        new_experiment("exp"),
        post("experiments/create", {"name": "${case}-EXP"}),
        get("experiments/get-by-name", {"experiment_name": "${case}-EXP"}),
        ask("experiments/search", {"max_results": 5, "filter": "name = '${case}-EXP'"}),
        ask("experiments/search", {"max_results": 5, "filter": "name ILIKE '${case}-EXP'"}),
    ),
    case(
        "datasets spelled alike",
        new_experiment(),
        new_run(),
        *(
            post("runs/log-inputs", {"run_id": "${run}", "datasets": [{"dataset": dataset}]})
            for dataset in ({**_DATASET, "name": name} for name in ("data", "Data", "data"))
        ),
        _RUN,
    ),
    case(
        "filters of spellings",
        new_experiment(),
        new_run(),
        post(
            "runs/log-batch",
            {
                "run_id": "${run}",
                "params": [{"key": "Key", "value": "Val"}],
                "tags": [{"key": "Key", "value": "Väl "}],
                "metrics": [{"key": "Key", "value": 1.0, "timestamp": 1, "step": 0}],
            },
        ),
        *(
            ask("runs/search", {"experiment_ids": ["${exp}"], "filter": text})
            for text in (
                *(f"params.{key} = 'Val'" for key in ("Key", "key")),
                *(f"metrics.{key} > 0" for key in ("Key", "key")),
                *(
                    f"params.Key {comparison}"
                    for comparison in (
                        *("= 'val'", "!= 'val'", "LIKE 'v%'", "LIKE 'V%'", "ILIKE 'v%'", "!= 'Val'"),
                    )
                ),
                *(
                    f"tags.Key {comparison}"
                    for comparison in ("= 'Väl'", "= 'Val '", "ILIKE 'val%'", "= 'Väl '")
                ),
            )
        ),
    ),
)

"""Keys and names that differ in case, accents or a space at the end: MySQL's collations fold them."""

from typing import Any

from tests.parity.cases import ask, case, get, new_experiment, new_run, post
from tests.parity.twins import Step

_RUN = get("runs/get", {"run_id": "${run}"})
_POINT = {"run_id": "${run}", "timestamp": 1, "step": 0}
_DATASET = {"digest": "1", "source_type": "local", "source": "/data"}
_SPELLINGS = ("key", "Key", "KEY", "kéy", "key ")


def _named(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": "${case}-" + name, **fields}


def _change(verb: str, path: str, name: str, **fields: Any) -> Step:
    return Step(verb, path, json=_named(name, **fields), rows=True)


def _set(name: str, key: str, value: str) -> Step:
    return post("registered-models/set-tag", _named(name, key=key, value=value))


def _look(name: str = "m") -> tuple[Step, ...]:
    return (
        get("registered-models/get", _named(name)),
        get("registered-models/get-latest-versions", _named(name)),
        get("registered-models/search", {"filter": "name ILIKE '${case}%'"}),
        get("model-versions/search", {"filter": "name ILIKE '${case}%'"}),
    )


_MODEL_SPELLINGS = ("M", "m ", "ḿ")

CASES = (
    case(
        "registered models spelled alike",
        post("registered-models/create", _named("m", tags=[{"key": "t", "value": "v"}])),
        *(post("registered-models/create", _named(name)) for name in _MODEL_SPELLINGS),
        post(
            "registered-models/create",
            _named("M", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}]),
        ),
        *(get("registered-models/get", _named(name)) for name in _MODEL_SPELLINGS),
        _change("PATCH", "registered-models/update", "M", description="d"),
        *_look(),
        post(
            "registered-models/create",
            _named("two", tags=[{"key": "t", "value": "1"}, {"key": "T", "value": "2"}]),
        ),
        post("registered-models/rename", _named("m", new_name="${case}-M")),
        *_look(),
        post("registered-models/rename", _named("m", new_name="${case}-m")),
        post("registered-models/create", _named("other")),
        post("registered-models/rename", _named("OTHER", new_name="${case}-M")),
        post("registered-models/rename", _named("OTHER", new_name="${case}-another")),
        *(
            get("registered-models/search", {"filter": "name = '${case}-" + name + "'"})
            for name in ("m", "M", "m ")
        ),
        _change("DELETE", "registered-models/delete", "M"),
        *_look(),
    ),
    case(
        "tags of registered models spelled alike",
        post("registered-models/create", _named("m", tags=[{"key": "t", "value": "v"}])),
        _set("M", "t", "by M"),
        *_look(),
        _set("m", "T", "by T"),
        *_look(),
        _set("M", "new", "by M"),
        *_look(),
        _set("m", "new", "by m"),
        *_look(),
        get("registered-models/search", {"filter": "name ILIKE '${case}%' AND tags.T = 'by T'"}),
        get("registered-models/search", {"filter": "name ILIKE '${case}%' AND tags.t = 'by T'"}),
        _change("DELETE", "registered-models/delete-tag", "M", key="NEW"),
        *_look(),
        _change("DELETE", "registered-models/delete", "M"),
    ),
    case(
        "versions of models spelled alike",
        post("registered-models/create", _named("m")),
        post("model-versions/create", _named("m", source="s3://b/1", tags=[{"key": "t", "value": "v"}])),
        *_look(),
        *(get("model-versions/get", _named(name, version=1)) for name in _MODEL_SPELLINGS),
        get("model-versions/get-download-uri", _named("M", version=1)),
        _change("PATCH", "model-versions/update", "M", version="1", description="d"),
        post("model-versions/set-tag", _named("M", version="1", key="t", value="by M")),
        post("model-versions/set-tag", _named("M", version="1", key="new", value="by M")),
        post("model-versions/set-tag", _named("m", version="1", key="NEW", value="by NEW")),
        get("model-versions/get", _named("m", version=1)),
        *_look(),
        get("model-versions/search", {"filter": "name ILIKE '${case}%' AND tags.new = 'by NEW'"}),
        get("model-versions/search", {"filter": "name ILIKE '${case}%' AND tags.NEW = 'by NEW'"}),
        _change("DELETE", "model-versions/delete-tag", "M", version="1", key="New"),
        post(
            "model-versions/transition-stage",
            _named("M", version="1", stage="staging", archive_existing_versions=True),
        ),
        *_look(),
        _change("DELETE", "model-versions/delete", "M", version="1"),
        *_look(),
    ),
    case(
        "versions created by another spelling",
        post("registered-models/create", _named("m")),
        post("model-versions/create", _named("M", source="s3://b/1", tags=[{"key": "t", "value": "v"}])),
        get("registered-models/get", _named("m")),
        get("registered-models/get-latest-versions", _named("m")),
        get("model-versions/get", _named("m", version=1)),
        get("model-versions/search", {"filter": "name ILIKE '${case}%'"}),
        get("model-versions/search", {"filter": "name = '${case}-m'"}),
        get("registered-models/search", {"filter": "name ILIKE '${case}%'"}),
        post("model-versions/create", _named("m", source="s3://b/2")),
        get("registered-models/get", _named("m")),
        post("model-versions/set-tag", _named("m", version="1", key="t", value="by m")),
        get("model-versions/get", _named("M", version=1)),
        post("registered-models/alias", _named("M", version="1", alias="a")),
        get("registered-models/alias", _named("m", alias="A")),
        post("registered-models/rename", _named("m", new_name="${case}-renamed")),
        get("registered-models/get", _named("renamed")),
        _change("DELETE", "registered-models/delete", "RENAMED"),
    ),
    case(
        "versions with tags spelled alike",
        post("registered-models/create", _named("m")),
        post(
            "model-versions/create",
            _named("m", source="s3://b/1", tags=[{"key": "t", "value": "1"}, {"key": "T", "value": "2"}]),
        ),
        *_look(),
    ),
    case(
        "aliases spelled alike",
        post("registered-models/create", _named("m")),
        post("model-versions/create", _named("m", source="s3://b/1")),
        post("model-versions/create", _named("m", source="s3://b/2")),
        post("registered-models/alias", _named("M", version="1", alias="best")),
        *_look(),
        post("registered-models/alias", _named("m", version="2", alias="BEST")),
        *_look(),
        *(
            get("registered-models/alias", _named(name, alias=alias))
            for name in ("m", "M")
            for alias in ("best", "Best")
        ),
        get("model-versions/get", _named("m", version=2)),
        _change("DELETE", "registered-models/alias", "M", alias="bESt"),
        *_look(),
        post("registered-models/alias", _named("m", version="2", alias="x")),
        _change("DELETE", "model-versions/delete", "M", version="2"),
        *_look(),
        get("registered-models/alias", _named("m", alias="x")),
    ),
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

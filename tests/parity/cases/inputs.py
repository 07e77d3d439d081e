"""What runs were given and brought about: datasets and logged models."""

import json

from tests.parity.cases import case, get, new_experiment, new_run, post

_GET = get("runs/get", {"run_id": "${run}"})
_DATASET = {"name": "d", "digest": "1", "source_type": "local", "source": "/data"}
_MODEL = {
    "artifact_path": "p",
    "flavors": {"f": {"a": 1, "config": 2}},
    "utc_time_created": "t",
    "run_id": "r",
}

CASES = (
    case(
        "datasets are logged",
        new_experiment(),
        new_run(),
        *(
            post(
                "runs/log-inputs",
                {"run_id": "${run}", "datasets": [{"dataset": {**_DATASET, **fields}, "tags": tags}]},
            )
            for fields, tags in (
                ({}, [{"key": "mlflow.data.context", "value": "train"}]),
                ({}, [{"key": "more", "value": "ignored"}]),
                ({"digest": "2", "schema": "s", "profile": ""}, []),
                ({"digest": "3"}, [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]),
                ({"digest": "d" * 37}, []),
                ({"name": "n" * 501}, []),
                ({"name": "é☃"}, [{"key": "k" * 256, "value": ""}]),
                ({"name": "é☃"}, [{"key": "", "value": "v" * 501}]),
                ({"source": None}, [{}]),
            )
        ),
        _GET,
        *(
            post("runs/log-inputs", {"run_id": "${run}", **fields})
            for fields in (
                {},
                {"datasets": []},
                {"datasets": [{}]},
                {"datasets": "x"},
                {"models": [{"model_id": "m-1"}, {"model_id": "m-1"}, {"modelId": "m-2"}]},
                {"models": [{"model_id": "m-2"}]},
            )
        ),
        post("runs/log-inputs", {}),
        post("runs/log-inputs", {"run_id": "*"}),
        post("runs/log-inputs", {"run_id": "nobody"}),
        _GET,
        post("runs/delete", {"run_id": "${run}"}),
        post("runs/log-inputs", {"run_id": "${run}", "datasets": [{"dataset": _DATASET}]}),
    ),
    case(
        "output models are logged",
        new_experiment(),
        new_run(),
        post(
            "runs/outputs",
            {"run_id": "${run}", "models": [{"model_id": "m-1", "step": 3}, {"model_id": "m-2"}]},
        ),
        post("runs/outputs", {"run_id": "${run}", "models": [{"model_id": "m-3"}, {"model_id": "m-1"}]}),
        post("runs/outputs", {"run_id": "${run}", "models": []}),
        post("runs/outputs", {"run_id": "${run}"}),
        post("runs/outputs", {"run_id": "nobody", "models": [{}]}),
        post("runs/outputs", {"models": [{}]}),
        _GET,
    ),
    case(
        "models are recorded in a tag",
        new_experiment(),
        new_run(),
        *(
            post("runs/log-model", {"run_id": "${run}", "model_json": text})
            for text in (
                json.dumps(_MODEL),
                json.dumps({**_MODEL, "utc_time_created": [1.50, None], "model_uuid": "é", "other": 1}),
                json.dumps({**_MODEL, "flavors": None, "run_id": None}),
                "{",
                "",
                '{"run_id": 1, "flavors": {}, "utc_time_created": 1}',
            )
        ),
        post("runs/log-model", {"run_id": "nobody", "model_json": json.dumps(_MODEL)}),
        post("runs/log-model", {"model_json": "{}"}),
        _GET,
    ),
)

"""Ask MLflow's own server for the artifacts of runs, whose IDs are taken for their locations."""

import json
import logging
import os
import sys
from types import SimpleNamespace
from typing import Any

question = json.load(sys.stdin)
os.environ["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"
os.environ["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = question["destination"]

from mlflow.server import app, handlers  # noqa: E402 # it reads the environment

handlers._get_tracking_store = lambda: SimpleNamespace(  # noqa: SLF001 # what handlers ask
    get_run=lambda run: SimpleNamespace(info=SimpleNamespace(artifact_uri=run))
)
logging.disable()  # of what it fails at
client = app.test_client()


def ask(address: str, location: str, path: str) -> list[Any]:
    """Give the status, the type and the text of an answer."""
    answer = client.get(address, query_string={"run_id": location, "path": path})
    return [
        answer.status_code,
        answer.content_type,
        answer.get_data(as_text=True),
        answer.headers.get("Content-Disposition", ""),
        answer.headers.get("ETag", ""),
    ]


json.dump(
    [
        [ask(address, location, path) for address in ("/api/2.0/mlflow/artifacts/list", "/get-artifact")]
        for location in question["locations"]
        for path in question["paths"]
    ],
    sys.stdout,
)

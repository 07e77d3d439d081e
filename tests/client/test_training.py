"""Real clients against mlflow-go: today's, with autologging, and an old one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tests.servers import STOCK, Server, fresh_database, running

_SCRIPT = Path(__file__).with_name("train.py")
# The last client of 2.x: it posts what clients of that line post.
_OLD_CLIENT = "mlflow-skinny==2.22.2"
#: What must never reach Python once a run is being logged.
_NATIVE = (
    "/experiments/",
    "/runs/create",
    "/runs/get",
    "/runs/update",
    "/runs/log-",
    "/runs/search",
    "/runs/set-tag",
)
_NOT_YET_NATIVE = ("/runs/log-inputs", "/runs/log-model")


def test_autologged_training(server: Server, calls: list[tuple[str, bool]], tmp_path: Path) -> None:
    mlflow.set_tracking_uri(server.url)
    experiment = mlflow.set_experiment("iris")
    mlflow.sklearn.autolog()
    features, labels = load_iris(return_X_y=True)
    try:
        with mlflow.start_run() as run:
            LogisticRegression(max_iter=200).fit(features, labels)
            report = tmp_path / "report.txt"
            report.write_text("fine")
            mlflow.log_artifact(str(report), "reports")
    finally:
        mlflow.sklearn.autolog(disable=True)
    client = MlflowClient(server.url)
    logged = client.get_run(run.info.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.data.metrics["training_accuracy_score"] > 0.9
    assert logged.data.params["max_iter"] == "200"
    assert {item.path for item in client.list_artifacts(run.info.run_id)} >= {"estimator.html", "reports"}
    models = client.search_logged_models(experiment_ids=[experiment.experiment_id])
    loaded = mlflow.sklearn.load_model(models[0].model_uri)
    assert (loaded.predict(features) == labels).mean() > 0.9
    native = [
        (path, proxied)
        for path, proxied in calls
        if any(part in path for part in _NATIVE) and not any(part in path for part in _NOT_YET_NATIVE)
    ]
    assert native, "the client called none of the native routes"
    assert not [path for path, proxied in native if proxied]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("stock")
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    database = fresh_database("sqlite", directory)
    with running(STOCK, directory, "--workers", "1", database=database, environment=quiet) as server:
        yield server


@pytest.fixture(scope="module")
def old_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old-client")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, _OLD_CLIENT],
        check=True,
    )
    return folder


@pytest.mark.parametrize("age", ["new", "old"])
def test_script_sees_what_stock_shows(
    server: Server,
    stock: Server,
    age: str,
    request: pytest.FixtureRequest,
) -> None:
    environment = dict(os.environ)
    if age == "old":
        environment["PYTHONPATH"] = str(request.getfixturevalue("old_client"))
    # A script's second visit to a server would find its first one's runs: rename the experiment after.
    answers = []
    for each in (stock, server):
        done = subprocess.run(
            [sys.executable, _SCRIPT, each.url],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout.splitlines()[-1]))
        found = MlflowClient(each.url).get_experiment_by_name("training by script")
        MlflowClient(each.url).rename_experiment(found.experiment_id, f"done {uuid.uuid4().hex}")
    expected, ours = answers
    version = mlflow.__version__ if age == "new" else _OLD_CLIENT.partition("==")[2]
    for answer in answers:
        assert answer["client"] == version
        answer["experiments"] = [
            name for name in answer["experiments"] if name != "iris" and not name.startswith("done ")
        ]
        assert answer["experiments"] == ["Default", "training by script"]
    assert ours == expected

"""Artifacts on BucketFS through `mlflow-go server`, with the stock client and what the UI asks."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LogisticRegression

from tests.exasol.bucketfs import WRITE_PASSWORD, Double
from tests.exasol.conftest import BucketFS, use
from tests.reliability.processes import MARK, eventually, marked
from tests.servers import OURS, running, start

_PROXIED = "/api/2.0/mlflow/registered-models/search"


@dataclass
class Served:
    """A tracking server that keeps artifacts on BucketFS.

    Attributes:
        url: The server's.
        locations: What to create an experiment with, by who is to write artifacts where; None
            leaves it to the server.
    """

    url: str
    locations: dict[str, str | None]


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest,
    every_bucketfs: dict[str, BucketFS],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """Give the server that --mlflow-server names, else one of our own; that ends with all its processes."""
    first, *_, last = [*every_bucketfs.values()] * 2  # HTTP and HTTPS, or twice the real one
    locations: dict[str, str | None] = {
        "default root": None,
        "own location": f"{last.uri}/{uuid.uuid4().hex}",
        "by server": f"mlflow-artifacts:/{uuid.uuid4().hex}",
    }
    url = request.config.getoption("--mlflow-server", default=None)
    if url:
        # What its default is can't be known here.
        yield Served(url.rstrip("/"), locations | {"default root": f"{first.uri}/{uuid.uuid4().hex}"})
        return
    directory = tmp_path_factory.mktemp("server")
    mark = uuid.uuid4().hex
    with running(
        OURS,
        directory,
        *("--workers", "1"),
        *("--default-artifact-root", f"{first.uri}/by-clients"),
        *("--artifacts-destination", f"{last.uri}/by-server"),
        database=f"sqlite:///{directory}/mlflow.db",
        environment={**first.environment, MARK: mark},
    ) as server:
        yield Served(server.url, locations)
    eventually(lambda: not marked(mark), 5, f"left behind: {marked(mark)}")
    assert first.password not in server.log.read_text()


@pytest.fixture
def client(
    served: Served, every_bucketfs: dict[str, BucketFS], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[MlflowClient]:
    use(next(iter(every_bucketfs.values())), monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", served.url)
    # What it would create there is not to lie about in the checkout.
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(served.url)
    yield MlflowClient(served.url)
    mlflow.set_tracking_uri(None)


@pytest.mark.parametrize("where", ["default root", "own location", "by server"])
def test_models_come_back(
    served: Served, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    experiment = client.create_experiment(uuid.uuid4().hex, served.locations[where])
    location = client.get_experiment(experiment).artifact_location
    if where == "by server":
        assert location.startswith("mlflow-artifacts:/")
        # Then a client needs no password.
        for variable in ("EXA_BUCKETFS_PASSWORD", "REQUESTS_CA_BUNDLE"):
            monkeypatch.delenv(variable, raising=False)
    else:
        assert location.startswith("exa+bfs")
    trained = LogisticRegression().fit([[0.0], [1.0], [2.0]], [0, 0, 1])
    with mlflow.start_run(experiment_id=experiment) as run:
        model = mlflow.sklearn.log_model(trained, name="model", pip_requirements=["scikit-learn"])
        mlflow.log_text("Grüße", "notes/Straße.txt")
    for uri in (model.model_uri, f"runs:/{run.info.run_id}/model"):
        loaded = mlflow.sklearn.load_model(uri)
        assert (loaded.coef_ == trained.coef_).all()
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/Straße.txt") == "Grüße"
    assert mlflow.pyfunc.load_model(model.model_uri).predict([[5.0]]).tolist() == [1]

    # What the UI asks.
    def listed(route: str, **query: str) -> list[tuple[str, bool]]:
        answer = requests.get(served.url + route, params=query, timeout=60)
        assert answer.status_code == 200, answer.text
        return [(file["path"], file["is_dir"]) for file in answer.json().get("files", [])]

    files = "/ajax-api/2.0/mlflow/artifacts/list"
    assert listed(files, run_id=run.info.run_id) == [("notes", True)]
    assert listed(files, run_id=run.info.run_id, path="notes") == [("notes/Straße.txt", False)]
    models = listed(f"/ajax-api/2.0/mlflow/logged-models/{model.model_id}/artifacts/directories")
    assert ("MLmodel", False) in models
    shown = requests.get(
        f"{served.url}/get-artifact",
        params={"run_uuid": run.info.run_id, "path": "notes/Straße.txt"},
        timeout=60,
    )
    assert (shown.status_code, shown.content.decode()) == (200, "Grüße")

    get_artifact_repository(run.info.artifact_uri).delete_artifacts("notes")
    assert listed(files, run_id=run.info.run_id) == []


def test_what_is_wrong_reaches_the_client(
    double: Double, credentials: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The server's password is wrong, which it says without showing it."""
    with running(
        OURS,
        tmp_path,
        *("--workers", "1", "--artifacts-destination", double.uri("runs")),
        environment={"EXA_BUCKETFS_PASSWORD": "wr0ng-secret"},
        database=f"sqlite:///{tmp_path}/mlflow.db",
    ) as server:
        answer = server.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/a/b.txt", data=b"content")
    del credentials
    assert answer.status_code == 401
    assert answer.json()["error_code"] == "UNAUTHENTICATED"
    assert "EXA_BUCKETFS_PASSWORD" in answer.json()["message"]
    for secret in ("wr0ng-secret", WRITE_PASSWORD):
        assert secret not in answer.text + server.log.read_text()
    assert double.files == {}


def test_killing_the_root_is_enough(double: Double, tmp_path: Path) -> None:
    """`Popen.kill()` on what `mlflow-go server` became ends the workers too."""
    mark = uuid.uuid4().hex
    server = start(
        OURS,
        tmp_path,
        *("--workers", "2", "--artifacts-destination", double.uri("runs")),
        environment={"EXA_BUCKETFS_PASSWORD": WRITE_PASSWORD, MARK: mark},
        database=f"sqlite:///{tmp_path}/mlflow.db",
    )
    try:
        server.wait(_PROXIED)
        stored = server.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/a/b.txt", data=b"content")
        assert stored.status_code == 200, stored.text
        assert double.files == {"runs/a/b.txt": b"content"}
        assert len(marked(mark)) >= 4  # Go, the arbiter, two workers
        server.process.kill()
        server.process.wait()
        eventually(lambda: not marked(mark), 3, f"left behind: {marked(mark)}")
    finally:
        for process in marked(mark):
            os.kill(process, signal.SIGKILL)

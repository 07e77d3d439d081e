"""The model registry and prompts, as users see them."""

from __future__ import annotations

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tests.servers import Server

_REGISTRY = ("/registered-models/", "/model-versions/")


def _proxied(calls: list[tuple[str, bool]]) -> list[str]:
    """List the registry's requests that Python shouldn't have answered, of one or more."""
    paths = [(path, proxied) for path, proxied in calls if any(part in path for part in _REGISTRY)]
    assert paths, "the client didn't call the registry"
    return [path for path, proxied in paths if proxied]


def test_register_promote_and_copy(server: Server, calls: list[tuple[str, bool]]) -> None:
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("registry")
    features, labels = load_iris(return_X_y=True)
    fitted = LogisticRegression(max_iter=200).fit(features, labels)
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(fitted, name="model", registered_model_name="iris")
    client = MlflowClient(server.url)
    version = client.get_model_version("iris", "1")
    assert version.run_id == run.info.run_id
    assert '"name": "iris"' in client.get_logged_model(logged.model_id).tags["mlflow.modelVersions"]
    client.set_registered_model_alias("iris", "champion", 1)
    client.set_model_version_tag("iris", "1", "validated", "yes")
    client.update_model_version("iris", "1", "the first")
    loaded = mlflow.sklearn.load_model("models:/iris@champion")
    assert (loaded.predict(features) == fitted.predict(features)).all()
    copied = client.copy_model_version("models:/iris@champion", "iris-production")
    assert (copied.name, copied.version, copied.run_id) == ("iris-production", "1", run.info.run_id)
    loaded = mlflow.sklearn.load_model("models:/iris-production/1")
    assert (loaded.predict(features) == fitted.predict(features)).all()
    mlflow.register_model(f"runs:/{run.info.run_id}/model", "iris", tags={"by": "hand"})
    assert [
        v.version for v in client.search_model_versions("name = 'iris'", order_by=["version_number"])
    ] == ["1", "2"]
    assert {m.name for m in client.search_registered_models("name LIKE 'iris%'")} == {
        "iris",
        "iris-production",
    }
    assert client.get_registered_model("iris").aliases == {"champion": "1"}
    client.delete_model_version("iris", "1")
    client.delete_registered_model("iris-production")
    with pytest.raises(MlflowException, match="alias champion not found"):
        client.get_model_version_by_alias("iris", "champion")
    assert not _proxied(calls)


def test_prompts(server: Server, calls: list[tuple[str, bool]]) -> None:
    mlflow.set_tracking_uri(server.url)
    register, load = mlflow.genai.register_prompt, mlflow.genai.load_prompt
    first = register("greeting", "Hello {{name}}", commit_message="first", tags={"tone": "formal"})
    second = register(
        "greeting", [{"role": "user", "content": "Hi {{name}}"}], response_format={"type": "object"}
    )
    assert (first.version, second.version) == (1, 2)
    assert load("prompts:/greeting/1").format(name="Ada") == "Hello Ada"
    assert load("greeting", version=2).template == [{"role": "user", "content": "Hi {{name}}"}]
    assert load("greeting", version=1).commit_message == "first"
    mlflow.genai.set_prompt_alias("greeting", alias="live", version=1)
    assert load("prompts:/greeting@live", cache_ttl_seconds=0).version == 1
    assert load("prompts:/greeting@latest", cache_ttl_seconds=0).version == 2
    mlflow.genai.delete_prompt_alias("greeting", alias="live")
    assert load("prompts:/greeting@live", allow_missing=True, cache_ttl_seconds=0) is None
    client = MlflowClient(server.url)
    client.set_prompt_tag("greeting", "team", "docs")
    client.set_prompt_version_tag("greeting", "1", "reviewed", "yes")
    assert client.get_prompt("greeting").tags["team"] == "docs"
    assert {"greeting"} == {prompt.name for prompt in mlflow.genai.search_prompts()}
    assert list(mlflow.genai.search_prompts("name = 'other'")) == []
    assert {1, 2} == {prompt.version for prompt in client.search_prompt_versions("greeting")}
    with pytest.raises(MlflowException, match="not found"):
        client.get_registered_model("greetings")
    with pytest.raises(MlflowException, match="already taken by a prompt"):
        client.create_registered_model("greeting")
    client.delete_prompt_version("greeting", "1")
    client.delete_prompt_version("greeting", "2")
    client.delete_prompt("greeting")
    assert load("greeting", version=1, allow_missing=True, cache_ttl_seconds=0) is None
    assert not _proxied(calls)

"""The model registry: registered models, their versions, tags, aliases and stages, and prompts."""

from typing import Any

from tests.parity.cases import ask, case, get, new_experiment, new_run, post
from tests.parity.twins import Step

_PROMPT = {"key": "mlflow.prompt.is_prompt", "value": "true"}
_IS_PROMPT = "tags.`mlflow.prompt.is_prompt`"


def _patch(path: str, json: Any) -> Step:
    return Step("PATCH", path, json=json, rows=True)


def _delete(path: str, json: Any) -> Step:
    return Step("DELETE", path, json=json, rows=True)


def _named(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": "${case}-" + name, **fields}


def _model(name: str = "m", **fields: Any) -> Step:
    return post("registered-models/create", _named(name, **fields))


def _version(name: str = "m", source: str = "s3://bucket/model", **fields: Any) -> Step:
    return post("model-versions/create", _named(name, source=source, **fields))


def _get_model(name: str = "m") -> Step:
    return get("registered-models/get", _named(name))


def _get_version(version: Any = 1, name: str = "m") -> Step:
    return get("model-versions/get", _named(name, version=version))


def _tags(**tags: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


CASES = (
    case(
        "registered model lives",
        _model(description="d", tags=_tags(b="1", a="2")),
        _model(),
        _model(tags=[_PROMPT]),
        _get_model(),
        get("/ajax-api/2.0/mlflow/registered-models/get", _named("m")),
        _patch("registered-models/update", _named("m", description="é")),
        _patch("registered-models/update", _named("m")),
        post("registered-models/set-tag", _named("m", key="k", value="v")),
        post("registered-models/set-tag", _named("m", key="k")),
        _delete("registered-models/delete-tag", _named("m", key="k")),
        _delete("registered-models/delete-tag", _named("m", key="k")),
        _version(tags=_tags(t="v")),
        post("registered-models/rename", _named("m", new_name="${case}-n")),
        _model(),
        post("registered-models/rename", _named("m", new_name="${case}-n")),
        _get_model("n"),
        _delete("registered-models/delete", _named("n")),
        _delete("registered-models/delete", _named("n")),
        _delete("registered-models/delete", _named("m")),
        _get_model(),
    ),
    case(
        "registered models refused",
        *(
            post("registered-models/create", {"name": name})
            for name in ("", " ", None, "a/b", "a:b", "..", "a//b", 5, [])
        ),
        post("registered-models/create", {}),
        post("registered-models/create", raw="x"),
        _model(tags="x"),
        _model(tags=[{"key": "a//b", "value": ""}]),
        _model(tags=[{"key": "k" * 251, "value": ""}]),
        _model(tags=[{"key": "k", "value": "v" * 100_001}]),
        _model(description=5),
        get("registered-models/get"),
        get("registered-models/get", {"name": ""}),
        get("registered-models/get", {"name": "a/b"}),
        _patch("registered-models/update", {"name": "none"}),
        _patch("registered-models/update", {"name": "none", "description": []}),
        post("registered-models/rename", {"name": "none", "new_name": "x"}),
        post("registered-models/rename", {"name": "none", "new_name": " "}),
        post("registered-models/rename", {"name": "none"}),
        post("registered-models/set-tag", {"name": "none", "key": "k", "value": "v"}),
        post("registered-models/set-tag", {"name": "none", "key": "k", "value": 5}),
        post("registered-models/set-tag", {"name": "none"}),
        _delete("registered-models/delete-tag", {"name": "none", "key": "k"}),
        _delete("registered-models/delete-tag", {"name": "none", "key": "é%"}),
    ),
    case(
        "registry requests that stock reads by halves",
        ask("registered-models/create", _named("m", tags=[{"key": "k", "value": 5}])),
        ask("registered-models/create", _named("n", tags=[5])),
        _model("o"),
        ask("model-versions/create", _named("o", source="s3://bucket/x", tags=[{"key": "k", "value": []}])),
    ),
    case(
        "model version lives",
        _model(),
        _version(tags=_tags(t="v", u=""), run_link="http://link", description="d", run_id="abc"),
        _version(),
        _get_version(),
        _get_version(2),
        _patch("model-versions/update", _named("m", version="1", description="new")),
        _patch("model-versions/update", _named("m", version="1")),
        post("model-versions/set-tag", _named("m", version="1", key="t", value="changed")),
        post("model-versions/set-tag", _named("m", version="1", key="new")),
        _delete("model-versions/delete-tag", _named("m", version="1", key="t")),
        _delete("model-versions/delete-tag", _named("m", version="1", key="t")),
        get("model-versions/get-download-uri", _named("m", version="1")),
        post("registered-models/alias", _named("m", alias="a", version="2")),
        _delete("model-versions/delete", _named("m", version="2")),
        _delete("model-versions/delete", _named("m", version="2")),
        _get_version(2),
        _get_model(),
        _version(),
        _delete("registered-models/delete", _named("m")),
    ),
    case(
        "model versions refused",
        _model(),
        _version("none"),
        _version(source=""),
        _version(source="http://[bad/x"),
        _version(tags=[{"key": "mlflow.prompt.text", "value": "v" * 100_001}]),
        _version(model_id="m-none"),
        _version(run_id=5),
        post("model-versions/create", {}),
        *(_get_version(version) for version in ("x", "", "0", " 1", "1.0", "99999999999", "9" * 20)),
        get("model-versions/get", {}),
        get("model-versions/get-download-uri", {}),
        get("model-versions/get-download-uri", _named("m")),
        get("model-versions/get-download-uri", _named("m", version=3)),
        _patch("model-versions/update", _named("m", version="1", description="d")),
        _patch("model-versions/update", _named("m", version="1", description=5)),
        _patch("model-versions/update", _named("m", version=1)),
        post("model-versions/set-tag", _named("m", version="1", key="k", value="v")),
        post("model-versions/set-tag", _named("m", version="x", key="k", value="v")),
        _delete("model-versions/delete-tag", _named("m", version="1", key="k")),
        _delete("model-versions/delete", _named("m", version="x")),
        _delete("model-versions/delete", {}),
        _version("none", model_id="m-none"),
        _version("none", model_id="m-none", run_id="r"),
        _version(model_id="m-none", tags=[{"key": "mlflow.prompt.text", "value": "v" * 100_001}]),
    ),
    case(
        "model versions change stages",
        _model(),
        _version(),
        _version(),
        _version(),
        *(
            post("model-versions/transition-stage", _named("m", **fields))
            for fields in (
                {"version": "1", "stage": "production"},
                {"version": "2", "stage": "Production", "archive_existing_versions": True},
                {"version": "3", "stage": "STAGING", "archive_existing_versions": False},
                {"version": "3", "stage": "none", "archive_existing_versions": True},
                {"version": "3", "stage": "nowhere"},
                {"version": "9", "stage": "Staging", "archive_existing_versions": True},
                {"version": "3", "stage": "Staging", "archive_existing_versions": "yes"},
                {"version": "3"},
            )
        ),
        _get_model(),
        *(
            ask("registered-models/get-latest-versions", _named("m", **fields))
            for fields in (
                {},
                {"stages": ["production"]},
                {"stages": ["x"]},
                {"stages": "x"},
                {"stages": [5]},
            )
        ),
        get("registered-models/get-latest-versions", _named("m", stages=["Archived", "None"])),
        ask("registered-models/get-latest-versions", {"name": "none", "stages": ["x"]}),
    ),
    case(
        "aliases point to versions",
        _model(),
        _version(),
        _version(),
        *(
            post("registered-models/alias", _named("m", alias=alias, version=version))
            for alias, version in (
                ("champion", "1"),
                ("champion", "2"),
                ("a-b_é", "2"),
                ("latest", "1"),
                ("V2", "1"),
                ("a b", "1"),
                ("", "1"),
                ("x", "9"),
                ("x", "y"),
                ("a" * 256, "1"),
            )
        ),
        *(
            get("registered-models/alias", _named("m", alias=alias))
            for alias in ("champion", "a-b_é", "Latest", "never", "a b", "")
        ),
        get("registered-models/alias", {"name": "none", "alias": "x"}),
        get("registered-models/alias", {"name": "none", "alias": "latest"}),
        _get_model(),
        _delete("registered-models/alias", _named("m", alias="champion")),
        _delete("registered-models/alias", _named("m", alias="champion")),
        _delete("registered-models/alias", {"name": "none", "alias": "champion"}),
        _get_version(2),
    ),
    case(
        "where model versions come from",
        new_experiment(),
        new_run(),
        post(
            "logged-models",
            {"experiment_id": "${exp}", "source_run_id": "${run}"},
            save={"model": "model.info.model_id"},
        ),
        _model("a"),
        _model("b"),
        _model("p", tags=[_PROMPT]),
        _version("a", "runs:/${run}/model", run_id="${run}"),
        _version("p", "dummy-source", tags=[_PROMPT, *_tags(**{"mlflow.prompt.text": "Hi"})]),
        post("registered-models/alias", _named("a", alias="best", version="1")),
        *(
            _version("b", source, **fields)
            for source, fields in (
                ("runs:/${run}/model", {}),
                ("runs:/${run}/model", {"run_id": "other"}),
                ("models:/${case}-a/1", {}),
                ("models:/${case}-a/1", {"run_id": "${run}"}),
                ("models:/${case}-a/1", {"run_id": "other"}),
                ("models:/${case}-a@best", {}),
                ("models:/${case}-a/latest", {}),
                ("models:/${case}-a/Production", {}),
                ("models:/${case}-a/9", {}),
                ("models:/${case}-p/1", {}),
                ("models:/none/1", {}),
                ("models://host/a/1", {}),
                ("models:/a/b/c", {}),
                ("models:/${model}", {}),
                ("models:/${model}", {"model_id": "${model}"}),
                ("models:/${model}", {"model_id": "${model}"}),
                ("models:/${model}", {"model_id": "m-other"}),
                ("models:/m-none", {"model_id": "m-none"}),
                ("/etc/passwd", {}),
                ("/etc/passwd", {"run_id": "${run}"}),
                ("/etc/passwd", {"run_id": "none"}),
                ("/etc/passwd", {"model_id": "${model}"}),
                ("file:///etc/passwd", {}),
                ("file://remote/x", {}),
                ("mlflow-artifacts:/0/x", {}),
                ("mlflow-artifacts:/0/x", {"run_id": "${run}"}),
                ("s3://bucket/a/../b", {}),
                ("s3://bucket/a/%252e%252e/b", {}),
                ("s3://bucket/a%00", {}),
                ("ftp://host/x", {}),
                ("https://host/x", {}),
                ("prompt-template", {}),
            )
        ),
        _version("p", "s3://bucket/x", tags=[_PROMPT]),
        get("logged-models/${model}"),
        get("model-versions/get-download-uri", _named("b", version="1")),
    ),
    case(
        "registered models are searched",
        _model("a", tags=_tags(t="v")),
        _model("B", tags=_tags(t="V")),
        _model("p", tags=[_PROMPT]),
        _version("a"),
        _version("a"),
        post("model-versions/transition-stage", _named("a", version="1", stage="Staging")),
        post("registered-models/alias", _named("a", alias="x", version="2")),
        *(
            get("registered-models/search", {"filter": text})
            for text in (
                "name LIKE '${case}%'",
                "name ILIKE '${case}-b'",
                "name = '${case}-a'",
                "name != '${case}-a' AND name LIKE '${case}%'",
                "name IN ('${case}-a', '${case}-B')",
                "name NOT IN ('${case}-a') AND name LIKE '${case}%'",
                "tags.t = 'v' AND name LIKE '${case}%'",
                "tags.t ILIKE 'V' AND name LIKE '${case}%'",
                f"{_IS_PROMPT} = 'true' AND name LIKE '${{case}}%'",
                f"{_IS_PROMPT} = 'false' AND name LIKE '${{case}}%'",
                f"{_IS_PROMPT} != 'true' AND name LIKE '${{case}}%'",
                "name > 'a'",
                "tags.t > 'a'",
                "version = 1",
                "name = a",
                "name = 5",
                "params.x = 'y'",
                "name = 'a' OR name = 'b'",
                "name IS NULL",
                "tags.t IN ('a')",
            )
        ),
        *(
            get("registered-models/search", {"filter": "name LIKE '${case}%'", "order_by": orders})
            for orders in (
                ["name DESC"],
                ["timestamp", "name"],
                ["last_updated_timestamp DESC"],
                ["timestamp", "last_updated_timestamp"],
                ["creation_timestamp"],
                ["name x"],
                ["tags.t"],
            )
        ),
        get(
            "registered-models/search",
            {"filter": "name LIKE '${case}%'", "max_results": 1},
            save={"token": "next_page_token"},
        ),
        get("registered-models/search", {"filter": "name LIKE '${case}%'", "page_token": "${token}"}),
        *(get("registered-models/search", {"max_results": size}) for size in (0, 1001, "x")),
        get("registered-models/search", {"page_token": "x"}),
        get("registered-models/search", {"max_results": -1}),
        get("registered-models/search", {"max_results": -1, "filter": "name"}),
        get("registered-models/search", {"max_results": -1, "page_token": "x"}),
    ),
    case(
        "model versions are searched",
        _model("a"),
        _model("p", tags=[_PROMPT]),
        _version("a", run_id="r1", tags=_tags(t="v")),
        _version("a", "s3://bucket/other", run_id="r2", tags=_tags(t="V")),
        _version("a", tags=_tags(t="v", u="w")),
        _version("p", "dummy-source", tags=[_PROMPT]),
        post("registered-models/alias", _named("a", alias="x", version="2")),
        _delete("model-versions/delete", _named("a", version="3")),
        *(
            get("model-versions/search", {"filter": text, "order_by": ["name", "version_number"]})
            for text in (
                "name LIKE '${case}%'",
                "name = '${case}-a' AND run_id = 'r1'",
                "name = '${case}-a' AND run_id IN ('r1', 'r2')",
                "name = '${case}-a' AND version_number > 1",
                "name = '${case}-a' AND version_number = '1'",
                "name = '${case}-a' AND version_number < 99999999999",
                "name = '${case}-a' AND source_path LIKE '%other'",
                "name = '${case}-a' AND tags.t = 'v'",
                f"name LIKE '${{case}}%' AND {_IS_PROMPT} = 'true'",
                f"name LIKE '${{case}}%' AND {_IS_PROMPT} = 'false'",
                "version_number = 1.5",
                "version_number = 'x'",
                "version_number LIKE '1'",
                "version_number IN ('1')",
                "source_path IN ('a')",
                "name = 5",
                "creation_timestamp > 5",
                "name LIKE 'x' OR name LIKE 'y'",
                "run_id > 'a'",
            )
        ),
        get("model-versions/search", {"filter": "name LIKE '${case}%'"}),
        *(
            get("model-versions/search", {"filter": "name LIKE '${case}%'", "order_by": orders})
            for orders in (
                ["version_number DESC"],
                ["creation_timestamp", "version_number"],
                ["attribute.name", "version_number ASC"],
                ["name", "name"],
                ["timestamp"],
                ["tags.t"],
            )
        ),
        get(
            "model-versions/search",
            {"filter": "name LIKE '${case}%'", "max_results": 1, "order_by": ["name", "version_number"]},
            save={"token": "next_page_token"},
        ),
        get(
            "model-versions/search",
            {
                "filter": "name LIKE '${case}%'",
                "page_token": "${token}",
                "order_by": ["name", "version_number"],
            },
        ),
        *(get("model-versions/search", {"max_results": size}) for size in (0, -1, 200_001, "x")),
        get("model-versions/search", {"page_token": "x"}),
    ),
)

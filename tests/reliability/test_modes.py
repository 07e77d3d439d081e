"""When in doubt, Python decides: each mode that Go doesn't honour sends its requests there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import requests

from tests.servers import OURS, STOCK, fresh_database, running

_EXPERIMENT = "/api/2.0/mlflow/experiments/get?experiment_id=0"
_AUTH = {
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret key of the tests",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "a long enough password",
}


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        pytest.param(("--artifacts-only",), {}, id="artifacts-only"),
        pytest.param(("--enable-workspaces",), {}, id="workspaces"),
        pytest.param(("--go-opts", "proxy=experiments/get"), {}, id="operator"),
        pytest.param((), {"MLFLOW_TRUNCATE_LONG_VALUES": "false"}, id="truncate"),
    ],
)
def test_mode_is_answered_by_python(
    options: tuple[str, ...],
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    database = fresh_database("sqlite", tmp_path)
    with running(
        OURS, tmp_path, "--workers", "1", *options, database=database, environment=environment
    ) as server:
        answer = server.request("GET", _EXPERIMENT)
        assert answer.headers.get("via") == "1.1 mlflow-go", answer.text


def test_file_store_is_answered_by_python(tmp_path: Path) -> None:
    with running(OURS, tmp_path, "--workers", "1", database=str(tmp_path / "mlruns")) as server:
        answer = server.request("GET", _EXPERIMENT)
        assert (answer.status_code, answer.headers.get("via")) == (200, "1.1 mlflow-go")


def _routes() -> list[tuple[str, str]]:
    """Every address that the server knows, parameters filled in."""
    listed = subprocess.run([OURS[0], "endpoints", "--json"], check=True, capture_output=True, text=True)
    return [
        (route["verb"], route["path"].replace("{", "").replace("}", "").replace("<", "").replace(">", ""))
        for route in json.loads(listed.stdout)["endpoints"]
    ]


def test_anonymous_callers_get_what_stock_gives(tmp_path: Path) -> None:
    """With basic-auth, no route answers an anonymous caller otherwise than stock does."""
    routes = _routes()
    assert len(routes) > 200
    answers = []
    for name, command in (("stock", STOCK), ("ours", OURS)):
        directory = tmp_path / name
        with (
            running(
                command,
                directory,
                *("--workers", "1", "--app-name", "basic-auth"),
                database=fresh_database("sqlite", directory),
                environment={
                    **_AUTH,
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                    "MLFLOW_AUTH_CONFIG_PATH": str(_auth_config(directory)),
                },
            ) as server,
            requests.Session() as session,
        ):
            answers.append(
                {
                    (verb, path): _gist(session.request(verb, server.url + path, timeout=60, stream=True))
                    for verb, path in routes
                }
            )
    different = {
        route: (answers[0][route], answers[1][route])
        for route in routes
        if answers[0][route] != answers[1][route]
    }
    assert not different


def _auth_config(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "auth.ini"
    path.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{directory}/auth.db\n"
        "admin_username = admin\n"
        f"admin_password = {_AUTH['MLFLOW_AUTH_ADMIN_PASSWORD']}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    return path


def _gist(answer: requests.Response) -> tuple[int, str | None, str]:
    with answer:
        return answer.status_code, answer.headers.get("www-authenticate"), answer.text[:200]

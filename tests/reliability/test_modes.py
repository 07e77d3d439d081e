"""When in doubt, Python decides: each mode that Go doesn't honour sends its requests there."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.servers import OURS, STOCK, Server, running

_EXPERIMENT = "/api/2.0/mlflow/experiments/get?experiment_id=0"
_VIA = "1.1 mlflow-go"
_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
# Telemetry is on whatever else is set, and finds no network.
_TELEMETRY = {"_MLFLOW_TESTING_TELEMETRY": "true", "HTTPS_PROXY": "http://127.0.0.1:9"}
_AUTH = {
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret key of the tests",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "a long enough password",
}
_ARCHIVAL = "trace_archival: {enabled: false, location: 'file:///tmp/archive', retention: 30d}\n"


@functools.cache
def _endpoints() -> list[dict[str, str | bool]]:
    """Every route as ``mlflow-go endpoints`` has it."""
    listed = subprocess.run([OURS[0], "endpoints", "--json"], check=True, capture_output=True, text=True)
    return json.loads(listed.stdout)["endpoints"]


def _address(route: dict[str, str | bool]) -> tuple[str, str]:
    """A route's verb and path, with something in the place of each parameter."""
    return route["verb"], route["path"].translate(str.maketrans("", "", "{}<>"))


def _native_api() -> list[tuple[str, str]]:
    """The routes of the API that Go answers unless a mode forbids it."""
    return [
        _address(route)
        for route in _endpoints()
        if route["native"] and route["path"].startswith(("/api/", "/ajax-api/"))
    ]


def _answered_by(server: Server) -> dict[str, set[str]]:
    """Ask for each native route of the API; give the paths by who answered."""
    found: dict[str, set[str]] = {"go": set(), "python": set()}
    with requests.Session() as session:
        for verb, path in _native_api():
            answer = session.request(verb, server.url + path, json={}, timeout=60)
            assert answer.headers.get("via") in {None, _VIA}
            found["python" if "via" in answer.headers else "go"].add(path)
    return found


@dataclass(frozen=True)
class Mode:
    """A way of starting the server; ``{tmp}`` stands for its directory.

    Attributes:
        name: What ``mlflow-go endpoints`` calls it.
        options: What it is started with.
        environment: Its variables.
        database: Its backend store, if that isn't a SQLite file; empty for none.
        status: What Python answers to the question for the default experiment.
        beside: A path beside the API, and whether Go answers it all the same.
    """

    name: str
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    database: str | None = None
    status: int = 200
    beside: tuple[str, bool] = ("/", True)


_MODES = [
    Mode("artifacts-only", ("--artifacts-only",), database="", status=503),
    Mode("workspaces", ("--enable-workspaces",)),
    Mode("read-replica", ("--read-replica-backend-store-uri", "sqlite:///{tmp}/mlflow.db")),
    Mode("prometheus", ("--expose-prometheus", "{tmp}/metrics"), beside=("/", False)),
    Mode("trace-archival", ("--trace-archival-config", "{tmp}/archival.yaml")),
    Mode("limits", environment={"MLFLOW_TRUNCATE_LONG_VALUES": "perhaps"}),
    Mode("file-store", environment={"MLFLOW_ALLOW_FILE_STORE": "true"}, database="{tmp}/mlruns"),
    Mode("sqlite-memory", database="sqlite://"),
]


@pytest.mark.parametrize("mode", _MODES, ids=lambda mode: mode.name)
def test_mode_leaves_the_api_to_python(mode: Mode, database: str, tmp_path: Path) -> None:
    (tmp_path / "archival.yaml").write_text(_ARCHIVAL)
    uri = database if mode.database is None else mode.database.format(tmp=tmp_path)
    options = [option.format(tmp=tmp_path) for option in mode.options]
    with running(
        OURS,
        tmp_path,
        *("--workers", "1", *options),
        database=uri,
        environment={**_QUIET, **mode.environment},
    ) as server:
        assert mode.name in _active(server)
        answer = server.request("GET", _EXPERIMENT)
        assert (answer.status_code, answer.headers.get("via")) == (mode.status, _VIA), answer.text
        assert _answered_by(server)["go"] == set()
        path, native = mode.beside
        assert ("via" not in server.request("GET", path).headers) is native
        assert "via" not in server.request("GET", "/health").headers
        if mode.name == "prometheus":
            # Python counts what is asked of the server.
            assert "mlflow_http_request_total" in server.request("GET", "/metrics").text
        if mode.name == "artifacts-only":
            artifact = "/api/2.0/mlflow-artifacts/artifacts/a.txt"
            assert server.request("PUT", artifact, data=b"kept").status_code == 200
            assert server.request("GET", artifact).content == b"kept"


def _active(server: Server) -> list[str]:
    """The modes that a server has noted in its log."""
    entries = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return next(entry["proxied_by_modes"] for entry in entries if "proxied_by_modes" in entry)


def test_parts_are_left_to_python(database: str, made_database: Path, tmp_path: Path) -> None:
    """What concerns some routes or requests leaves the others to Go."""
    registry = shutil.copy(made_database, tmp_path / "registry.db")
    with running(
        OURS,
        tmp_path,
        *("--workers", "1", "--registry-store-uri", f"sqlite:///{registry}"),
        *("--go-opts", "proxy=experiments/get+logMetric"),
        database=database,
        environment={**_QUIET, **_TELEMETRY, "MLFLOW_SQL_TRACE_ROLLUPS_ENABLED": "true"},
    ) as server:
        answered = _answered_by(server)
        rolled_up = {f"{what}/{act}" for what in ("experiments", "runs") for act in ("delete", "restore")}
        proxied = {f"2.0/mlflow/{route}" for route in ("experiments/get", "runs/log-metric", *rolled_up)}
        proxied.add("3.0/mlflow/traces/metrics")
        assert answered["python"] == {
            f"/{api}/{route}" for api in ("api", "ajax-api") for route in proxied
        } | {
            "/ajax-api/3.0/mlflow/ui-telemetry",
            "/ajax-api/2.0/mlflow/logged-models/model_id/artifacts/files",  # without a file's name
        }
        by_name = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
        assert "via" not in server.request("GET", by_name).headers
        for workspace, status in (("default", 500), ("", 200)):  # FEATURE_DISABLED, as stock has it
            answer = server.request("GET", by_name, headers={"X-MLFLOW-WORKSPACE": workspace})
            assert (answer.status_code, "via" in answer.headers) == (status, bool(workspace)), answer.text
        # The registry is where it was said to be.
        model = {"name": "a model"}
        created = server.request("POST", "/api/2.0/mlflow/registered-models/create", json=model)
        assert created.status_code == 200, created.text
        found = server.request("GET", "/api/2.0/mlflow/registered-models/search")
        assert ([each["name"] for each in found.json()["registered_models"]], "via" in found.headers) == (
            ["a model"],
            False,
        )
    assert _models(registry) == ["a model"]
    assert _models(database.removeprefix("sqlite:///")) == []


def _models(path: str) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM registered_models")]


def _routes() -> list[tuple[str, str]]:
    """Every address that the server knows."""
    return [_address(route) for route in _endpoints()]


def test_anonymous_callers_get_what_stock_gives(made_database: Path, tmp_path: Path) -> None:
    """With basic-auth, no route answers an anonymous caller otherwise than stock does."""
    routes = _routes()
    assert len(routes) > 400
    answers = []
    for name, command in (("stock", STOCK), ("ours", OURS)):
        directory = tmp_path / name
        directory.mkdir()
        with (
            running(
                command,
                directory,
                *("--workers", "1", "--app-name", "basic-auth"),
                database=f"sqlite:///{shutil.copy(made_database, directory / 'mlflow.db')}",
                environment={**_QUIET, **_AUTH, "MLFLOW_AUTH_CONFIG_PATH": str(_auth_config(directory))},
            ) as server,
            requests.Session() as session,
        ):
            answers.append(
                {
                    (verb, path): _gist(session.request(verb, server.url + path, timeout=60, stream=True))
                    for verb, path in routes
                }
            )
            if command is OURS:
                admin = ("admin", _AUTH["MLFLOW_AUTH_ADMIN_PASSWORD"])
                assert server.request("GET", _EXPERIMENT, auth=admin).status_code == 200
    stock, ours = answers
    assert {route: (stock[route], ours[route]) for route in routes if stock[route] != ours[route]} == {}
    refused = [route for route in routes if ours[route][0] == 401]
    assert set(_native_api()) - _PUBLIC <= set(refused)


# MLflow tells everybody how the server is set up, so that clients know before they log in.
_PUBLIC = {("GET", f"/{api}/3.0/mlflow/server-info") for api in ("api", "ajax-api")}


def _auth_config(directory: Path) -> Path:
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

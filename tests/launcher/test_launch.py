"""What the launcher checks, resolves and hands to the Go server, which is a stand-in here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.cli
import pytest
from click.testing import CliRunner

from mlflow_go import cli, fallback, uris

Launch = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("MLFLOW_", "_MLFLOW_", "UVICORN_")):
            monkeypatch.delenv(name)


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """Run the command to the end and return the configuration that the Go server would get."""
    server = tmp_path / "server"
    server.write_text(
        '#!/bin/sh\nprintf %s "$_MLFLOW_GO_SERVER_CONFIG" >config.json\nprintf %s "$*" >arguments\n'
    )
    server.chmod(0o755)

    def run(*arguments: str, **environment: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "mlflow_go.cli", *arguments],
            env={**os.environ, "MLFLOW_GO_SERVER": str(server), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / "config.json").read_text()) | {
            "stdout": done.stdout,
            "stderr": done.stderr,
        }

    return run


def error(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.build(), ["server", *arguments], prog_name="mlflow-go")
    return result.exit_code, result.stderr.rpartition("Error: ")[2].strip()


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["server", "--help"], ["server", "--go-opts", "x=1"]]
)
def test_answers_without_importing_mlflow(arguments: list[str]) -> None:
    program = (
        "import sys; from mlflow_go import cli\n"
        f"try: cli.build()({arguments!r})\n"
        "except SystemExit: pass\n"
        "slow = {'mlflow', 'flask', 'sqlalchemy', 'uvicorn', 'gunicorn'} & sys.modules.keys()\n"
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "x"],
        ["--no-such-option"],
        ["--app-name", "no-such-app"],
        ["--static-prefix", "x"],
        ["--static-prefix", "/x/"],
        ["--static-prefix", "/{x}"],
        ["--secrets-cache-ttl", "9"],
        ["--secrets-cache-max-size", "10001"],
        ["--trace-archival-config", "no-such-file"],
        ["--dev", "--gunicorn-opts", "--timeout 5"],
        ["--dev", "--uvicorn-opts", "--log-level info"],
        ["--dev", "--app-name", "basic-auth"],
        ["--dev", "--waitress-opts", "--threads=1"],
        ["--gunicorn-opts", "x", "--uvicorn-opts", "x"],
        ["--gunicorn-opts", "--timeout 5", "--allowed-hosts", "x"],
        ["--waitress-opts", "--threads=1", "--disable-security-middleware"],
        ["--artifacts-only", "--backend-store-uri", "sqlite:///x.db"],
        ["--artifacts-only", "--enable-workspaces"],
    ],
    ids=" ".join,
)
def test_refuses_in_mlflows_words(arguments: list[str]) -> None:
    stock = CliRunner().invoke(mlflow.cli.cli, ["server", *arguments], prog_name="mlflow")
    # Entry points that are listed twice show twice there.
    words = stock.stderr.rpartition("Error: ")[2].strip()
    words = re.sub("one of 'basic-auth'(, 'basic-auth')*", "'basic-auth'", words)
    assert (stock.exit_code, words) == error(*arguments)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--workers", "many"], 2, "Invalid value for '--workers' / '-w': 'many' is not a valid integer."),
        (["--workers", "0"], 2, "Invalid value for '--workers' / '-w': 0 is not in the range x>=1."),
        (["--uvicorn-opts", "--host x"], 2, "--uvicorn-opts: host can't be set here"),
        (["--uvicorn-opts", "--no-such"], 2, "--uvicorn-opts: No such option '--no-such'."),
        (["--uvicorn-opts", "--ssl-keyfile k"], 2, "--uvicorn-opts: a key file needs a certificate file"),
        (["--gunicorn-opts", "-b :80"], 2, "--gunicorn-opts: bind can't be set here"),
        (["--gunicorn-opts", "--worker-class gevent"], 2, "--gunicorn-opts: worker_class can't be set here"),
        (["--gunicorn-opts", "--timeout=-1"], 2, "--gunicorn-opts: timeout: Value must be positive: -1"),
        (["--gunicorn-opts", "--no-such"], 2, "--gunicorn-opts: unrecognized arguments: --no-such"),
    ],
)
def test_refuses_what_only_we_refuse(arguments: list[str], status: int, message: str) -> None:
    code, said = error(*arguments)
    assert (code, said[: len(message)]) == (status, message)


def test_refuses_the_clients_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WORKSPACE", "w")
    assert error() == (1, "MLFLOW_WORKSPACE=w is client-only. Unset it before starting the server.")


def test_keeps_passwords_out_of_errors() -> None:
    _, said = error("--artifacts-only", "--backend-store-uri", "postgresql://u:s3cret@h/db")
    assert "postgresql://u:***@h/db" in said
    assert "s3cret" not in said


def test_refuses_an_invalid_trace_archival_config(tmp_path: Path) -> None:
    (tmp_path / "archive.yaml").write_text("trace_archival: 1\n")
    code, said = error("--trace-archival-config", "archive.yaml")
    assert (code, said) == (
        2,
        "Invalid trace archival config file 'archive.yaml': Missing required 'trace_archival' mapping.",
    )


def test_defaults(launch: Launch) -> None:
    config = launch("server")
    assert "Backend store URI not provided. Using sqlite:///mlflow.db\n" in config["stdout"]
    assert "Security middleware enabled with default settings" in config["stderr"]
    assert config["backend_store_uri"] == config["registry_store_uri"] == "sqlite:///mlflow.db"
    assert config["default_artifact_root"] == "mlflow-artifacts:/"
    assert (config["host"], config["port"]) == ("127.0.0.1", 5000)
    assert config["workers"] == min(4, len(os.sched_getaffinity(0)))
    assert config["security"] == {
        "disabled": False,
        "allowed_hosts": None,
        "cors_allowed_origins": None,
        "x_frame_options": "SAMEORIGIN",
    }
    assert Path(config["mlflow_static_dir"]) == Path(mlflow.cli.__file__).parents[1] / "server/js/build"
    environment = config["fallback"]["environment"]
    assert environment["_MLFLOW_SERVER_FILE_STORE"] == "sqlite:///mlflow.db"
    assert environment["_MLFLOW_SERVER_SERVE_ARTIFACTS"] == "true"
    assert environment["MLFLOW_ENABLE_WORKSPACES"] == "false"
    assert environment["MLFLOW_GO"] == "0"


def test_an_existing_file_store_is_the_default(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").touch()
    assert launch("ui")["backend_store_uri"] == "./mlruns"


def test_an_empty_mlruns_is_not_a_file_store(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    assert launch("server")["backend_store_uri"] == "sqlite:///mlflow.db"


@pytest.mark.parametrize(
    ("store", "root"), [("./mlruns", "./mlruns"), ("file:///x", "file:///x"), ("sqlite:///x.db", "./mlruns")]
)
def test_artifact_root_without_serving(launch: Launch, store: str, root: str) -> None:
    config = launch("server", "--no-serve-artifacts", "--backend-store-uri", store)
    assert config["default_artifact_root"] == root
    assert "_MLFLOW_SERVER_SERVE_ARTIFACTS" not in config["fallback"]["environment"]


def test_variables_and_env_file(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "settings.env").write_text(
        "MLFLOW_PORT=6001\nMLFLOW_HOST=0.0.0.0\nMLFLOW_GO_OPTS=log_level=error\n"
    )
    config = launch("--env-file", "settings.env", "server", MLFLOW_HOST="::1")
    assert (config["host"], config["port"], config["go"]) == ("::1", 6001, {"log_level": "error"})
    assert config["stdout"].startswith("Loaded environment variables from: settings.env\n")


@pytest.mark.parametrize(("value", "on"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_workspaces_by_variable(launch: Launch, value: str, on: bool) -> None:
    assert launch("server", MLFLOW_ENABLE_WORKSPACES=value)["enable_workspaces"] is on


def test_security_options(launch: Launch) -> None:
    config = launch(
        "server", "--allowed-hosts", "a, b,c,d", "--cors-allowed-origins", "*", "--x-frame-options", "NONE"
    )
    assert config["security"]["allowed_hosts"] == ["a", "b", "c", "d"]
    assert config["security"]["cors_allowed_origins"] == ["*"]
    assert config["fallback"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"] == "a, b,c,d"
    assert "Allowed hosts: a,  b, c, and 1 more. CORS origins: *." in config["stderr"]
    assert "WARNING: Allowing ALL origins" in config["stdout"]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--uvicorn-opts", "--ssl-certfile c --ssl-keyfile k --ssl-cert-reqs 2 --root-path /r --workers 3"),
        ("--gunicorn-opts", "--certfile c --keyfile k --cert-reqs 2 --timeout 7 --workers 3"),
    ],
)
def test_certificates_go_to_go(launch: Launch, option: str, text: str) -> None:
    config = launch("server", option, text)
    assert config["tls"] == {"certfile": "c", "keyfile": "k", "cert_reqs": 2}
    python = fallback.Config.loads(config["fallback"]["environment"][fallback.VARIABLE])
    assert python.options == ({"root_path": "/r"} if option == "--uvicorn-opts" else {"timeout": 7})
    assert config["workers"] == python.workers == 3


def test_uvicorns_variables_count_as_its_options(launch: Launch) -> None:
    config = launch(
        "server", UVICORN_SSL_CERTFILE="c", UVICORN_ROOT_PATH="/r", UVICORN_HOST="x", UVICORN_WORKERS="9"
    )
    assert config["tls"] == {"certfile": "c"}
    python = fallback.Config.loads(config["fallback"]["environment"][fallback.VARIABLE])
    assert python.options == {"root_path": "/r"}
    assert python.workers != 9


def test_the_environment_of_the_python_server(launch: Launch) -> None:
    config = launch(
        "server", "--app-name", "basic-auth", "--expose-prometheus", "m", "--static-prefix", "/p",
        "--workers", "2", "--go-opts", "shutdown_timeout=5s", "--secrets-cache-ttl", "20",
        "--read-replica-backend-store-uri", "sqlite:///r.db",
    )  # fmt: skip
    environment = config["fallback"]["environment"]
    python = fallback.Config.loads(environment[fallback.VARIABLE])
    assert python == fallback.Config(workers=2, app_name="basic-auth", graceful_timeout=5.0)
    expected = {
        "prometheus_multiproc_dir": "m",
        "_MLFLOW_STATIC_PREFIX": "/p",
        "MLFLOW_SERVER_SECRETS_CACHE_TTL": "20",
        "_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE": "sqlite:///r.db",
    }
    assert expected.items() <= environment.items()


def test_endpoints_asks_the_server(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(json.JSONDecodeError):  # It got no configuration.
        launch("endpoints", "--json")
    assert (tmp_path / "arguments").read_text() == "endpoints --json"


def test_a_missing_server_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_GO_SERVER", str(tmp_path / "nowhere"))
    code, said = error()
    assert code == 1
    assert "nowhere" in said


@pytest.mark.parametrize(
    ("uri", "installed", "expected"),
    [
        ("postgresql://u:p@h/d", {"psycopg", "psycopg2"}, "postgresql://u:p@h/d"),
        ("mysql://h/d", {"pymysql"}, "mysql+pymysql://h/d"),
        ("mysql+pymysql://h/d", {"MySQLdb"}, "mysql+pymysql://h/d"),
        ("mysql://h/d", {"MySQLdb", "pymysql"}, "mysql://h/d"),
        ("mssql://h/d", {"pymssql"}, "mssql+pymssql://h/d"),
        ("sqlite:///x", set(), "sqlite:///x"),
        ("./mlruns", set(), "./mlruns"),
    ],
)
def test_bare_schemes_get_a_driver_that_is_there(uri: str, installed: set[str], expected: str) -> None:
    assert uris.with_driver(uri, installed.__contains__) == expected


def test_postgresql_gets_whichever_driver_there_is() -> None:
    chosen = {
        uris.with_driver("postgresql://h/d", {module}.__contains__) for module in ("psycopg", "psycopg2")
    }
    assert "postgresql://h/d" in chosen  # SQLAlchemy's own choice stays unsaid.
    assert chosen - {"postgresql://h/d"} <= {"postgresql+psycopg://h/d", "postgresql+psycopg2://h/d"}
    assert len(chosen) == 2

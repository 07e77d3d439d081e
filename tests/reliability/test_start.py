"""How the server starts: with which Python server, on which database, and when it refuses."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import uuid
from pathlib import Path

import pytest
import sqlalchemy
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config

from tests.reliability.processes import MARK, eventually, marked
from tests.servers import OURS, Server, fresh_database, running, start

_PROXIED = "/api/3.0/mlflow/scorers/list?experiment_id=0"
_NATIVE = "/api/2.0/mlflow/experiments/get?experiment_id=0"
_PASSWORD = "hunter2-hunter2"


def _refusal(database: str, directory: Path, *options: str, limit: float = 60) -> str:
    """Start a server that won't serve; give the last line it says."""
    server = start(OURS, directory, *options, database=database, wait=False)
    assert server.process.wait(limit) == 1, server.log.read_text()
    return server.log.read_text().splitlines()[-1]


def _is_native(server: Server) -> bool:
    answer = server.request("GET", _NATIVE)
    assert answer.status_code == 200, answer.text
    return "via" not in answer.headers


def test_lazy_fallback_starts_when_it_is_needed(database: str, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    with running(
        OURS,
        tmp_path,
        *("--workers", "1", "--go-opts", "fallback=lazy"),
        database=database,
        environment={MARK: mark},
    ) as server:
        assert _is_native(server)
        time.sleep(1)  # Had it been started with the server, it would be there by now.
        assert len(marked(mark)) == 1, marked(mark)
        answer = server.request("GET", _PROXIED)
        assert (answer.status_code, answer.headers.get("via")) == (200, "1.1 mlflow-go")
        assert any("mlflow_go.fallback" in command for command in marked(mark).values())
    eventually(lambda: not marked(mark), 3, f"left behind: {marked(mark)}")


def test_without_fallback_there_is_no_python(tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    with running(
        OURS,
        tmp_path,
        *("--go-opts", "fallback=off"),
        database=fresh_database("sqlite", tmp_path),  # Python makes it all the same.
        environment={MARK: mark},
    ) as server:
        assert _is_native(server)
        answer = server.request("GET", _PROXIED)
        assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
        assert "fallback=off" in answer.json()["message"]
        assert "via" not in answer.headers
        # The connection is fit for more.
        assert server.request("POST", _PROXIED, data=b"x" * (1 << 20)).status_code == 501
        assert _is_native(server)
        assert len(marked(mark)) == 1, marked(mark)


@pytest.mark.parametrize("option", [("--app-name", "basic-auth"), ("--enable-workspaces",)])
def test_modes_of_python_need_it(option: tuple[str, ...], database: str, tmp_path: Path) -> None:
    """Nothing would answer the API."""
    said = _refusal(database, tmp_path, "--go-opts", "fallback=off", *option, limit=5)
    assert "fallback=off" in said
    assert option[0].removeprefix("--enable-").removeprefix("--") in said


def _with_password(uri: sqlalchemy.URL, kind: str) -> sqlalchemy.URL:
    """Give a URI a password; MariaDB wants it to be somebody's, PostgreSQL trusts whoever comes."""
    if kind == "mysql":
        engine = sqlalchemy.create_engine(uri)
        with engine.begin() as connection:
            user = f"'{uri.database}'@'127.0.0.1'"
            connection.execute(sqlalchemy.text(f"CREATE USER {user} IDENTIFIED BY '{_PASSWORD}'"))
            connection.execute(sqlalchemy.text(f"GRANT ALL ON {uri.database}.* TO {user}"))
        engine.dispose()
        uri = uri.set(username=uri.database)
    return uri.set(password=_PASSWORD)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_bare_scheme_works_in_both_halves(kind: str, tmp_path: Path) -> None:
    uri = sqlalchemy.make_url(fresh_database(kind, tmp_path))
    if not uri.password:
        uri = _with_password(uri, kind)
    bare = uri.set(drivername=kind)
    with running(
        OURS,
        tmp_path,
        *("--workers", "1", "--go-opts", "log_level=debug"),
        database=bare.render_as_string(hide_password=False),
    ) as server:
        assert _is_native(server)
        dataset = {"name": "a dataset"}
        created = server.request("POST", "/api/3.0/mlflow/datasets/create", json=dataset)
        assert (created.status_code, created.headers.get("via")) == (200, "1.1 mlflow-go"), created.text
        found = server.request("GET", "/api/3.0/mlflow/datasets/search").json()["datasets"]
        assert [each["name"] for each in found] == ["a dataset"]
    assert bare.password not in server.log.read_text()


def test_missing_postgresql_database_is_one_clear_line(tmp_path: Path) -> None:
    uri = sqlalchemy.make_url(fresh_database("postgresql", tmp_path))
    wrong = uri.set(database="there_is_none", password=uri.password or _PASSWORD)
    server = start(OURS, tmp_path, database=wrong.render_as_string(hide_password=False), wait=False)
    assert server.process.wait(10) == 1, server.log.read_text()
    log = server.log.read_text()
    assert wrong.password not in log
    (line,) = [line for line in log.splitlines() if line.startswith("mlflow-go: error: ")]
    assert line == log.splitlines()[-1]
    for part in ('database "there_is_none" does not exist', "--backend-store-uri", ":***@"):
        assert part in line


def test_unreachable_postgresql_is_asked_again(tmp_path: Path) -> None:
    """It may be starting as well: MLflow tries for 100 seconds, and says so."""
    uri = f"postgresql://user:{_PASSWORD}@127.0.0.1:1/mlflow"
    server = start(OURS, tmp_path, database=uri, wait=False)
    said = "the database can't be reached, will try again"
    eventually(lambda: server.log.read_text().count(said) >= 3, 10, "no word of a second attempt")
    assert server.request("GET", "/health").text == "OK"
    assert server.stop(5) == 0
    log = server.log.read_text()
    assert "connection refused" in log
    assert _PASSWORD not in log


def _set_revision(database: str, revision: str) -> None:
    with contextlib.closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()


def _revisions() -> list[str]:
    """The schema's revisions, the newest first."""
    scripts = ScriptDirectory.from_config(_get_alembic_config("sqlite://"))
    return [each.revision for each in scripts.walk_revisions()]


@pytest.mark.parametrize("revision", ["older", "unknown"])
def test_other_schemas_are_refused_in_mlflows_words(revision: str, database: str, tmp_path: Path) -> None:
    head, before = _revisions()[:2]
    found = before if revision == "older" else "ffffffffffff"
    _set_revision(database, found)
    said = _refusal(database, tmp_path)
    assert f"Detected out-of-date database schema (found version {found}, but expected {head})." in said
    assert f"'mlflow db upgrade {database}'" in said
    with contextlib.closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(found,)]

"""SQLite through the library: files, paths, forks."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from mlflow.protos import service_pb2

from mlflow_go import lib

RUN = "0" * 32


def opened(uri: str) -> lib.Session:
    return lib.load().open({"backend_store_uri": uri, "default_artifact_root": "/nowhere"})


def create_experiment(session: lib.Session, name: str) -> None:
    session.call(
        "MlflowService.createExperiment", service_pb2.CreateExperiment(name=name).SerializeToString()
    )


def experiments(file: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM experiments")}


def test_journal_mode_stays(file: Path) -> None:
    def mode() -> str:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            return connection.execute("PRAGMA journal_mode").fetchone()[0]

    before = mode()
    with opened(f"sqlite:///{file}") as session:
        create_experiment(session, "new")
    assert mode() == before
    assert "new" in experiments(file)


@pytest.mark.parametrize("file", ["delete"], indirect=True)
def test_relative_path_is_taken_when_stores_are_opened(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(file.parent)
    with opened(f"sqlite:///{file.name}") as here:
        monkeypatch.chdir(other)
        with opened(f"sqlite:///{file.name}") as there:
            create_experiment(here, "here")
            create_experiment(there, "there")
    assert experiments(file) == {"Default", "here"}
    assert experiments(other / file.name) == {"Default", "there"}


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("sqlite://", "in-memory"),
        ("sqlite:///{}/mlflow.db-wal", "the file's name ends in -wal"),
        ("sqlite:///{}/mlflow.db?mode=ro", "the SQLite URI parameter"),
    ],
)
def test_what_cannot_be_shared_is_refused(uri: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(lib.CallError, match=reason) as caught:
        opened(uri.format(tmp_path))
    assert caught.value.error_code == "NOT_IMPLEMENTED"
    assert list(tmp_path.iterdir()) == []


_FORK = """
    import os, signal, sys, time
    from mlflow_go import lib
    from mlflow.protos import service_pb2

    uri = "sqlite:///" + sys.argv[1]
    session = lib.load().open({"backend_store_uri": uri, "default_artifact_root": "/nowhere"})
    request = service_pb2.LogMetric(run_id=sys.argv[2], key="parent", value=1, timestamp=1, step=1)
    session.call("MlflowService.logMetric", request.SerializeToString())
    child = os.fork()
    if child == 0:
        os.close(1)  # for the test, the end of the parent's output
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


# Such a log's locks are held for as long as the file is open.
@pytest.mark.parametrize("file", ["wal"], indirect=True)
def test_child_that_outlives_its_parent_holds_no_lock(file: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(_FORK), file, RUN]
    parent = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert parent.returncode == -signal.SIGKILL
    child = int(parent.stdout)
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=0)) as connection:
            # Only who has the file alone may do that.
            assert connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        inherited = {str(entry.readlink()) for entry in Path(f"/proc/{child}/fd").iterdir()}
        assert not inherited & {f"{file}", f"{file}-shm", f"{file}-shm (deleted)"}
        assert f"{file}" not in Path(f"/proc/{child}/maps").read_text()
    finally:
        os.kill(child, signal.SIGKILL)

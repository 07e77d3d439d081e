"""Forks, children and the interpreter's end. Each test is a program of its own."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.test_switch import python

PROLOGUE = """
        import logging, multiprocessing, os, signal, sys, threading, time
        import mlflow, mlflow_go
        from mlflow.entities import Metric
        signal.alarm(60)  # A child that hangs must not hang the tests.
        mlflow_go.enable_go()
        uri = {uri!r}
        client = mlflow.MlflowClient(uri)
        run = client.create_run("0").info.run_id
        class Sides(logging.Handler):
            answers = []
            def emit(self, record):
                self.answers.append(record.getMessage())
        logging.getLogger("mlflow_go").addHandler(Sides())
        logging.getLogger("mlflow_go").setLevel(logging.DEBUG)
"""


def program(code: str, uri: str, directory: Path) -> str:
    answer = python(PROLOGUE.format(uri=uri) + code, directory)
    assert answer.returncode == 0, answer.stderr
    assert "Error" not in answer.stderr, answer.stderr
    return answer.stdout.strip()


@pytest.fixture(params=["delete", "wal", "postgresql"])
def uri(request: pytest.FixtureRequest, new_file: Callable[[], str], new_postgres: Callable[[], str]) -> str:
    """Return a database: of SQLite in each journal mode, or of PostgreSQL."""
    if request.param == "postgresql":
        return new_postgres()
    uri = new_file()
    with contextlib.closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        connection.execute(f"PRAGMA journal_mode = {request.param}")
    return uri


def test_forked_child_is_mlflows(uri: str, tmp_path: Path) -> None:
    code = """
        client.log_metric(run, "parent", 1)
        assert ": Go, " in Sides.answers[-1]
        child = os.fork()
        if not child:
            Sides.answers.clear()
            store = client._tracking_client.store
            for step in range(5):
                client.log_metric(run, "child", step, step=step)
            assert mlflow.MlflowClient(uri).get_run(run).data.metrics["child"] == 4
            assert all(": Python, " in answer for answer in Sides.answers), Sides.answers
            assert not mlflow_go.is_go_enabled()
            mlflow_go.disable_go()
            try:
                mlflow_go.enable_go()
            except mlflow_go.lib.LibraryError as error:
                assert "forked" in str(error)
            else:
                raise AssertionError
            client.log_metric(run, "disabled", 1)
            print("child", flush=True)
            sys.exit()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.log_metric(run, "parent", 2)
        assert ": Go, " in Sides.answers[-1]
        assert client.get_run(run).data.metrics == {"parent": 2, "child": 4, "disabled": 1}
        print("parent")
    """
    assert program(code, uri, tmp_path).split() == ["child", "parent"]


def test_forks_under_load(uri: str, tmp_path: Path) -> None:
    code = """
        stop = threading.Event()
        def log():
            step = 0
            while not stop.is_set():
                client.log_metric(run, threading.current_thread().name, step, step=step)
                client.get_run(run)
                step += 1
        threads = [threading.Thread(target=log, name=f"thread-{n}") for n in range(3)]
        for thread in threads:
            thread.start()
        def child(number):
            for step in range(3):
                client.log_metric(run, f"child-{number}", step, step=step)
        context = multiprocessing.get_context("fork")
        for number in range(6):
            process = context.Process(target=child, args=(number,))
            process.start()
            process.join(40)
            assert process.exitcode == 0, process.exitcode
        stop.set()
        for thread in threads:
            thread.join()
        metrics = client.get_run(run).data.metrics
        assert {metrics[f"child-{n}"] for n in range(6)} == {2}
        print("fine")
    """
    assert program(code, uri, tmp_path) == "fine"


def test_spawned_child_may_turn_it_on(new_file: Callable[[], str], tmp_path: Path) -> None:
    uri = new_file()
    (tmp_path / "child.py").write_text(
        "import mlflow, mlflow_go, sys\n"
        "mlflow_go.enable_go()\n"
        "mlflow.MlflowClient(sys.argv[1]).log_metric(sys.argv[2], 'child', 1)\n"
    )
    code = """
        import subprocess
        children = [subprocess.Popen([sys.executable, "child.py", uri, run]) for _ in range(2)]
        for step in range(50):
            client.log_metric(run, "parent", step, step=step)
        assert [child.wait() for child in children] == [0, 0]
        assert client.get_run(run).data.metrics == {"parent": 49, "child": 1}
        print("fine")
    """
    assert program(code, uri, tmp_path) == "fine"


def test_run_is_ended_at_the_interpreters_end(uri: str, tmp_path: Path) -> None:
    code = """
        mlflow.set_tracking_uri(uri)
        active = mlflow.start_run()
        mlflow.log_metric("metric", 1)
        # MLflow loses what is still in its queue at the interpreter's end, at times.
        mlflow.log_metric("later", 1, synchronous=False).wait()
        print(active.info.run_id)
        # and a thread that is in the middle of it
        def log():
            while True:
                client.get_run(run)
        threading.Thread(target=log, daemon=True).start()
    """
    run = program(code, uri, tmp_path)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    found = SqlAlchemyStore(uri, str(tmp_path)).get_run(run)
    assert found.info.status == "FINISHED"
    assert found.data.metrics == {"metric": 1, "later": 1}

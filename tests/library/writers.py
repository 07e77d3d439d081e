"""Writers that share a SQLite file: ``python -m tests.library.writers KIND FILE FOLDER SECONDS``.

``within`` is one process with two copies of SQLite: threads write through Go's, others through
MLflow's SqlAlchemyStore and so through Python's, one only reads by Python's, all of them open and
close the file all the time, and children are forked that write as well. ``outside`` is a process
that has Python's only.

A writer logs metrics under a key of its own, and adds the number of each to a file in FOLDER, named
as the key, once it was told that the metric is stored.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlflow.entities import Metric
from mlflow.protos import service_pb2
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from mlflow_go import lib

RUN = "0" * 32
#: That the file was locked for too long.
_BUSY = ("database is locked", "TEMPORARILY_UNAVAILABLE")
_BATCH = 3
_INSERT = "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, 0, 0, ?, ?, 0)"


@contextlib.contextmanager
def unless_busy() -> Iterator[None]:
    """Leave off where the file is locked for too long."""
    try:
        yield
    except Exception as error:
        if not any(busy in str(error) for busy in _BUSY):
            raise


class Gate:
    """Lets many through, or one alone.

    A fork while another thread is inside Python's SQLite would leave its mutexes locked in the child.
    That is so without any Go.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._wanted = False

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._wanted)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._wanted = True
            self._changed.wait_for(lambda: self._inside == 0)
            yield
            self._wanted = False
            self._changed.notify_all()


class Writers:
    """The writers of a process."""

    def __init__(self, file: Path, folder: Path, seconds: float) -> None:
        self.file = file
        self.folder = folder
        self.mlflow = SqlAlchemyStore(f"sqlite:///{file}", "/nowhere")
        self.gate = Gate()
        self.end = time.monotonic() + seconds

    def write(self, key: str, steps: Iterator[int], log: Callable[[str, list[int]], None]) -> None:
        """Log some metrics, for as long as a connection lasts."""
        with (self.folder / key).open("a") as acknowledged:
            for _ in range(random.randint(1, 25)):
                batch = [next(steps) for _ in range(random.randint(1, _BATCH))]
                with unless_busy():
                    log(key, batch)
                    acknowledged.write("".join(f"{step}\n" for step in batch))

    def go(self, key: str) -> None:
        """Write through the library."""
        library = lib.load()
        steps = iter(range(sys.maxsize))
        configuration = {"backend_store_uri": f"sqlite:///{self.file}", "default_artifact_root": "/nowhere"}
        while time.monotonic() < self.end:
            with library.open(configuration) as session:

                def log(key: str, batch: list[int], session: lib.Session = session) -> None:
                    metrics = [service_pb2.Metric(key=key, value=0, timestamp=0, step=step) for step in batch]
                    request = service_pb2.LogBatch(run_id=RUN, metrics=metrics)
                    session.call("MlflowService.logBatch", request.SerializeToString())

                self.write(key, steps, log)

    def store(self, key: str) -> None:
        """Write through MLflow's store."""
        steps = iter(range(sys.maxsize))

        def log(key: str, batch: list[int]) -> None:
            with self.gate.shared():
                self.mlflow.log_batch(RUN, [Metric(key, 0, 0, step) for step in batch], [], [])

        while time.monotonic() < self.end:
            self.write(key, steps, log)
            with self.gate.shared():
                self.mlflow._dispose_engine()

    def sqlite(self, key: str) -> None:
        """Write through Python's sqlite3."""
        steps = iter(range(sys.maxsize))
        while time.monotonic() < self.end:
            self._insert(key, steps)

    def _insert(self, key: str, steps: Iterator[int]) -> None:
        with contextlib.closing(sqlite3.connect(self.file, timeout=20)) as connection:

            def log(key: str, batch: list[int]) -> None:
                with connection:
                    connection.executemany(_INSERT, [(key, RUN, step) for step in batch])

            self.write(key, steps, log)

    def reader(self, _: str) -> None:
        """Open and close the file by Python's sqlite3."""
        while time.monotonic() < self.end:
            # Between writers there are few gaps, and with a rollback journal a reader needs one.
            with (
                self.gate.shared(),
                contextlib.closing(sqlite3.connect(self.file, timeout=1)) as connection,
                unless_busy(),
            ):
                connection.execute("SELECT max(step) FROM metrics").fetchone()
            time.sleep(0.005)

    def children(self, key: str) -> None:
        """Fork children that write by Python's sqlite3, and linger."""
        steps = iter(range(sys.maxsize))
        alive = []
        while time.monotonic() < self.end:
            with self.gate.alone():
                child = os.fork()
                if child == 0:
                    self._be_child(f"{key}-{next(steps)}")
            next(steps)
            alive.append(child)
            time.sleep(0.2)
        for child in alive:
            _, status = os.waitpid(child, 0)
            assert status == 0, f"child {child} ended with status {status}"

    def _be_child(self, key: str) -> None:
        status = 1
        try:
            self._insert(key, iter(range(sys.maxsize)))
            time.sleep(random.random())
            status = 0
        except BaseException:  # noqa: BLE001 - a child must not become a second parent
            traceback.print_exc()
        finally:
            os._exit(status)


def main() -> None:
    """Run the writers of one process."""
    kind, file, folder, seconds = sys.argv[1:]
    kinds = {"within": {"go": 3, "store": 2, "reader": 1, "children": 1}, "outside": {"sqlite": 1}}
    writers = Writers(Path(file), Path(folder), float(seconds))
    with ThreadPoolExecutor(8) as threads:
        futures = [
            threads.submit(getattr(writers, name), f"{name}-{number}")
            for name, count in kinds[kind].items()
            for number in range(count)
        ]
    for future in futures:
        future.result()


if __name__ == "__main__":
    main()

"""Two copies of SQLite in one process, Python's and the library's, lose nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

#: More of it finds more: MLFLOW_GO_TEST_STRESS=600 is ten minutes for each journal mode.
SECONDS = os.environ.get("MLFLOW_GO_TEST_STRESS", "6")


@pytest.mark.timeout(float(SECONDS) + 120)
def test_every_acknowledged_row_is_there(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "acknowledged"
    folder.mkdir()
    command = (sys.executable, "-m", "tests.library.writers")
    processes = [subprocess.Popen([*command, kind, file, folder, SECONDS]) for kind in ("within", "outside")]
    assert [process.wait() for process in processes] == [0, 0]

    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    stored = set(connection.execute("SELECT key, step FROM metrics"))
    connection.close()
    acknowledged = {(path.name, int(step)) for path in folder.iterdir() for step in path.read_text().split()}
    writers = Counter(key.partition("-")[0] for key, _ in acknowledged)
    print(f"{file.parent.name}: {len(acknowledged)} rows were acknowledged, {dict(writers)}")
    assert writers.keys() == {"go", "store", "children", "sqlite"}
    assert acknowledged - stored == set()

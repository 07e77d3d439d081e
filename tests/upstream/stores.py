"""Run MLflow's own tests of its stores on databases against ours.

``python tests/upstream/stores.py CLONE [--server URI | --database URI] [--stock] [pytest options]`` runs
those files of a clone of MLflow's repository that test stores on databases (``go tool mage repo:update``
makes a clone): on SQLite, in a new database of a server, or in one that may be emptied. Where they make
MLflow's store, they get ours; ``--stock`` leaves them MLflow's. ``stores.txt`` says which tests aren't
run, and why.

This is a script and no module, as MLflow's tests are in a package named ``tests`` too.
"""

from __future__ import annotations

import argparse
import collections
import logging
import os
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

# Before the clone is on the path: the stores under test are the installed ones.
import pytest
import sqlalchemy
from databases import database
from exclusion import leave_out, matches
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as MlflowModelRegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as MlflowTrackingStore

from mlflow_go.store import _dispatch
from mlflow_go.store.model_registry import ModelRegistryStore
from mlflow_go.store.tracking import TrackingStore

FILES = (
    "tests/store/model_registry/test_sqlalchemy_store.py",
    "tests/store/tracking/sqlalchemy_store/test_sqlalchemy_store*.py",
    "tests/store/tracking/test_gateway_sql_store.py",
)
# Not before MLflow 3.12.
LATER_FILES = ("tests/store/*/test_read_write_routing.py",)
EXCLUSIONS = Path(__file__).with_name("stores.txt")
OURS = {MlflowTrackingStore: TrackingStore, MlflowModelRegistryStore: ModelRegistryStore}


class OurStores(logging.Handler):
    """A pytest plugin that gives tests our stores by the names that they know MLflow's by.

    It counts who answered: tests that all went past Go would prove nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers: collections.Counter[str] = collections.Counter()
        logger = logging.getLogger("mlflow_go")
        logger.addHandler(self)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False  # The tests look at logs themselves.

    def emit(self, record: logging.LogRecord) -> None:
        for side in ("Go", "Python"):
            self.answers[side] += f": {side}, " in record.getMessage()

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.testscollected and not self.answers["Go"]:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(
            ", ".join(f"{side} answered {n} calls" for side, n in self.answers.items())
        )

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        modules: set[ModuleType] = {item.getparent(pytest.Module).obj for item in items}
        conftests = {module for name, module in sys.modules.items() if name.endswith("conftest")}
        for module in modules | conftests:
            for name, value in list(vars(module).items()):
                if isinstance(value, type) and value in OURS:
                    setattr(module, name, OURS[value])


class Selection:
    """A pytest plugin that leaves out what stores.txt says, and workspaces, which are Python's."""

    def __init__(self, *circumstances: str) -> None:
        self.excluded = exclusions(set(circumstances))

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        leave_out(config, items, lambda node: "workspace-enabled" in node or matches(node, self.excluded))


def exclusions(circumstances: set[str]) -> list[str]:
    """Return the tests that stores.txt names, always or only where what stands before them is the case."""
    lines = (
        line.rpartition(": ") for line in EXCLUSIONS.read_text().splitlines() if not line.startswith("#")
    )
    return [test for only, _, test in lines if test and circumstances.issuperset(only.split())]


def files(clone: Path) -> list[str]:
    """Return the paths of the tests' files in a clone."""
    found = {pattern: sorted(clone.glob(pattern)) for pattern in (*FILES, *LATER_FILES)}
    missing = [pattern for pattern in FILES if not found[pattern]]
    if missing:
        raise SystemExit(f"{clone} lacks {', '.join(missing)}: run `go tool mage repo:update`")
    return [str(path) for paths in found.values() for path in paths]


def version(clone: Path) -> str:
    """Return the version of a clone's MLflow, without the patch's number."""
    found = re.search(r'^version = "(\d+\.\d+)', (clone / "pyproject.toml").read_text(), re.MULTILINE)
    if not found:
        raise SystemExit(f"{clone / 'pyproject.toml'} has no version")
    return found[1]


def main() -> int:
    """Run the tests with the options that follow the clone's path."""
    parser = argparse.ArgumentParser(description="Run MLflow's own tests of its stores on ours.")
    parser.add_argument("clone", type=Path, help="a clone of MLflow's repository")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--server", help="the URI of a database server, to make a database in; else SQLite")
    where.add_argument("--database", help="the URI of a database that may be emptied")
    parser.add_argument("--stock", action="store_true", help="test MLflow's stores, not ours")
    arguments, options = parser.parse_known_args()
    clone = arguments.clone.resolve()
    chosen = [] if any("::" in option for option in options) else files(clone)
    # The webhooks of MLflow's tests are at example.com, which no name server needs to know then.
    os.environ["MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"] = "true"
    _dispatch.prepare()
    sys.path.insert(0, str(clone))
    os.chdir(clone)
    with database(arguments.server) if arguments.server else nullcontext(arguments.database) as uri:
        if uri:
            # MLflow's tests take the database from there, if they don't clear it.
            os.environ["MLFLOW_TRACKING_URI"] = uri
            os.environ["DISABLE_RESET_MLFLOW_URI_FIXTURE"] = "true"
        selection = Selection(
            sqlalchemy.make_url(uri).get_backend_name() if uri else "sqlite", version(clone)
        )
        plugins: list[object] = [selection] if arguments.stock else [selection, OurStores()]
        fixed = [
            "--rootdir",
            str(clone),
            "--confcutdir",
            str(clone),
            "-c",
            os.devnull,
            "-p",
            "no:cacheprovider",
        ]
        status = pytest.main([*fixed, *options, *chosen], plugins=plugins)
    # -k may choose tests of servers alone.
    return 0 if status == pytest.ExitCode.NO_TESTS_COLLECTED and "-k" in options else status


if __name__ == "__main__":
    sys.exit(main())

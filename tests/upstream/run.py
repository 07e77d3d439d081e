"""Run MLflow's own tests against servers started by ``mlflow-go``.

``python tests/upstream/run.py CLONE [--server URI] [--command COMMAND | --stock] [pytest options]`` runs
the tests listed in ``selection.txt`` from a clone of MLflow's repository (``go tool mage repo:update`` makes
one), or those that the options name. Where they serve MLflow's application from a thread, or start ``mlflow
server``, they get ``mlflow-go server`` with the same options on the same database; ``--command mlflow`` gives
them MLflow's, and ``--stock`` leaves them what they start themselves. With ``--server``, databases are new
ones of a PostgreSQL server instead of files.

A line of ``selection.txt`` is a folder, a file or a test; one of those to leave out, after ``not``, or after
``file`` if that is so with ``--server`` only; one whose tests wait for Python to be up, since their time
limits are short, after ``python``; or one whose tests use MLflow's stores, after ``remote``: they get the
address of a server on the same database instead.

This is a script and no module, as MLflow's tests are in a package named ``tests`` too.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before the clone is on the path: the client under test is the installed one, as the server is.
import mlflow
import pytest
import requests
from databases import database, template
from exclusion import leave_out, matches
from mlflow.server import handlers

SELECTION = Path(__file__).with_name("selection.txt")
START_LIMIT = 60.0
STOP_LIMIT = 30.0
Popen = subprocess.Popen


class Databases:
    """The databases of a server that stand in for the SQLite files that tests name."""

    def __init__(self, server: str | None) -> None:
        self.server = server
        self.made: dict[str, str] = {}
        self.until_exit = contextlib.ExitStack()
        self.template: str | None = None

    def instead_of(self, text: str) -> str:
        """Return an option or a variable's value with the database of its own that each file has."""
        if not self.server or not text.startswith("sqlite://") or "basic_auth" in text:
            return text
        if text not in self.made:
            self.made[text] = self.until_exit.enter_context(self.fresh())
        return self.made[text]

    @contextlib.contextmanager
    def fresh(self) -> Iterator[str]:
        """Make a database that has MLflow's tables."""
        assert self.server is not None
        if self.template is None:
            self.template = self.until_exit.enter_context(template(self.server))
        with database(self.server, self.template) as uri:
            yield uri


class Servers:
    """A pytest plugin that starts servers for tests, by a command that takes ``mlflow server``'s options."""

    def __init__(self, command: str, databases: Databases, waits: list[str]) -> None:
        self.waits = waits
        self.command = str(Path(sys.executable).with_name(command))
        # Most tests ask for nothing that wakes Python.
        self.extra = ["--go-opts", "fallback=lazy"] if command == "mlflow-go" else []
        self.awake = False
        self.databases = databases

    def start(self, options: list[str], **popen: Any) -> subprocess.Popen[Any]:
        """Start a server with the databases that it is to have."""
        environment = popen.pop("env", None) or os.environ
        return Popen(
            [self.command, "server", *map(self._placed, options), *self.extra],
            env={name: self._placed(str(value)) for name, value in environment.items()},
            **popen,
        )

    def _placed(self, word: str) -> str:
        return re.sub("sqlite:.*", lambda found: self.databases.instead_of(found[0]), word)

    @contextlib.contextmanager
    def running(
        self, port: int, options: list[str], environment: dict[str, Any] | None = None
    ) -> Iterator[str]:
        """Run a server until the test is done with it."""
        url = f"http://127.0.0.1:{port}"
        process = self.start(["--port", str(port), *options], env=os.environ | (environment or {}))
        try:
            deadline = time.monotonic() + START_LIMIT
            while not self._answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.command} server didn't answer on {url}")
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                raise

    def _answers(self, url: str) -> bool:
        # Go has nothing to say to spans, so Python answers, with 405.
        path = "/v1/traces" if self.awake else "/health"
        try:
            requests.get(url + path, timeout=START_LIMIT if self.awake else 2)
        except requests.RequestException:
            return False
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Have servers answer for Python at once where a test's time limits are short."""
        self.awake = matches(item.nodeid, self.waits)

    def stand_in(self) -> None:
        """Take the places of all that starts a server in MLflow's tests."""
        servers = self

        class ServerThread:
            """``tests.tracking.integration_test_utils.ServerThread``."""

            def __init__(self, app: object, port: int) -> None:
                del app  # MLflow's own, which we stand in for
                # MLflow's fixtures have initialised the stores of this process; ours serves the same ones.
                store = handlers._get_tracking_store()
                options = ["--backend-store-uri", store.db_uri]
                options += ["--default-artifact-root", store.artifact_root_uri]
                self.server = servers.running(port, options)

            def __enter__(self) -> str:
                return self.server.__enter__()

            def __exit__(self, *error: object) -> None:
                self.server.__exit__(*error)

        @contextlib.contextmanager
        def init_server(
            backend_uri: str,
            root_artifact_uri: str,
            extra_env: dict[str, Any] | None = None,
            app: str | None = None,
            server_type: str = "fastapi",
        ) -> Iterator[str]:
            """``tests.tracking.integration_test_utils._init_server``."""
            del server_type
            options = ["--backend-store-uri", backend_uri, "--default-artifact-root", root_artifact_uri]
            if app == "mlflow.server.auth:create_app":
                options += ["--app-name", "basic-auth"]
            mlflow.set_tracking_uri(None)
            with servers.running(helper_functions.get_safe_port(), options, extra_env) as url:
                yield url

        class Process(subprocess.Popen):
            """``subprocess.Popen``, of which ``mlflow server`` starts ours."""

            def __new__(cls, args: Any, **options: Any) -> Any:
                words = [str(word) for word in args] if isinstance(args, list) else []
                for start in (["mlflow", "server"], [sys.executable, "-m", "mlflow", "server"]):
                    if words[: len(start)] == start:
                        return servers.start(words[len(start) :], **options)
                return super().__new__(cls)

        from tests.tracking import integration_test_utils

        from tests import helper_functions

        integration_test_utils.ServerThread = ServerThread
        integration_test_utils._init_server = init_server
        subprocess.Popen = Process


class Selection:
    """A pytest plugin that leaves out what selection.txt says after ``not``."""

    def __init__(self, *, on_files: bool) -> None:
        marked: dict[str, list[str]] = {"": [], "not": [], "file": [], "remote": [], "python": []}
        for line in SELECTION.read_text().splitlines():
            if line and not line.startswith("#"):
                mark, _, name = line.partition(" tests/")
                marked[mark if name else ""].append(f"tests/{name}" if name else line)
        self.excluded = marked["not"] if on_files else marked["not"] + marked["file"]
        self.remote, self.python = marked["remote"], marked["python"]
        self.selected = marked[""] + self.python + self.remote

    def present(self, clone: Path) -> list[str]:
        """Return what is selected of the files that a clone has: not all are in every version."""
        present = [test for test in self.selected if (clone / test.partition("::")[0]).exists()]
        if not present:
            raise SystemExit(f"{clone} has none of MLflow's tests: run `go tool mage repo:update`")
        if missing := {*self.selected} - {*present}:
            print("Not in this clone:", *sorted(missing))
        return present

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        leave_out(config, items, lambda node: matches(node, self.excluded))


class Placement:
    """A pytest plugin that gives tests a database on a server where they ask for one of their own."""

    def __init__(self, databases: Databases) -> None:
        self.databases = databases

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> str | None:
        if fixturedef.argname != "db_uri":
            return None
        made = self.databases.fresh()
        uri = made.__enter__()
        fixturedef.addfinalizer(lambda: made.__exit__(None, None, None))
        fixturedef.cached_result = (uri, fixturedef.cache_key(request), None)
        return uri


class Remote:
    """A pytest plugin that gives tests whose tracking URI is a database's that of a server on it."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> str | None:
        if (
            fixturedef.argname != "tracking_uri_mock"
            or "notrackingurimock" in request.keywords
            or not matches(request.node.nodeid, self.names)
        ):
            return None
        from mlflow.server.fastapi_app import app
        from mlflow.tracking._tracking_service.utils import _use_tracking_uri
        from tests.tracking import integration_test_utils

        from tests import helper_functions

        with contextlib.ExitStack() as stack:
            handlers._tracking_store = None
            handlers._model_registry_store = None
            artifacts = request.getfixturevalue("tmp_path").joinpath("artifacts").as_uri()
            handlers.initialize_backend_stores(
                request.getfixturevalue("db_uri"), default_artifact_root=artifacts
            )
            server = integration_test_utils.ServerThread(app, helper_functions.get_safe_port())
            url = stack.enter_context(server)
            stack.enter_context(_use_tracking_uri(url))
            fixturedef.addfinalizer(stack.pop_all().close)
        fixturedef.cached_result = (url, fixturedef.cache_key(request), None)
        return url


def main() -> int:
    """Run the selection with the options that follow the clone's path."""
    parser = argparse.ArgumentParser(description="Run MLflow's own tests of its server on ours.")
    parser.add_argument("clone", type=Path, help="a clone of MLflow's repository")
    parser.add_argument("--server", help="the URI of a database server, to make databases in; else SQLite")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--command", default="mlflow-go", help="what starts servers (default: mlflow-go)")
    who.add_argument("--stock", action="store_true", help="let the tests start what they start")
    arguments, options = parser.parse_known_args()
    clone = arguments.clone.resolve()
    selection = Selection(on_files=arguments.server is None)
    # The webhooks of MLflow's tests are at example.com, which no name server needs to know then.
    os.environ["MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"] = "true"
    # Older clones' tests of permissions rely on a password that MLflow had for its first user.
    os.environ.setdefault("MLFLOW_AUTH_ADMIN_PASSWORD", "mlflow-go-upstream")
    sys.path.insert(0, str(clone))
    os.chdir(clone)
    fixed = ["--rootdir", str(clone), "-c", os.devnull, "-p", "no:cacheprovider"]
    chosen = [] if any(".py" in option for option in options) else selection.present(clone)
    databases = Databases(arguments.server)
    plugins: list[object] = [selection, Remote(selection.remote)]
    if arguments.server:
        plugins.append(Placement(databases))
    if not arguments.stock:
        servers = Servers(arguments.command, databases, selection.python)
        servers.stand_in()
        plugins.append(servers)
    with databases.until_exit:
        status = pytest.main([*fixed, *options, *chosen], plugins=plugins)
    # -k may choose tests of stores alone.
    return 0 if status == pytest.ExitCode.NO_TESTS_COLLECTED and "-k" in options else status


if __name__ == "__main__":
    sys.exit(main())

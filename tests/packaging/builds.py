"""Builds of mlflow-go and places to install them in."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build import ProjectBuilder
from pyproject_hooks import quiet_subprocess_runner

ROOT = Path(__file__).resolve().parents[2]

# Names under which a machine may have Go or a C compiler.
COMPILERS = ("go", "gofmt", "cc", "c89", "c99", "gcc", "clang", "tcc", "zig", "python-zig")


def run(*command: str | Path, **environment: str) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-8000:]}"
    return done.stdout


def build_wheel(source: Path, destination: Path, **environment: str) -> Path:
    """Build a wheel as a user's pip does, which fetches what it builds with."""
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", destination, source, **environment)
    (wheel,) = destination.glob("*.whl")
    return wheel


def build_sdist(source: Path, destination: Path) -> Path:
    """Build the source distribution, which compiles nothing."""
    builder = ProjectBuilder(source, runner=quiet_subprocess_runner)
    return Path(builder.build("sdist", destination))


def unpack(sdist: Path, destination: Path) -> Path:
    """Unpack a source distribution: a checkout without what is built or left lying around."""
    with tarfile.open(sdist) as archive:
        archive.extractall(destination)
    return destination / sdist.name.removesuffix(".tar.gz")


def path_without_compilers(directory: Path) -> str:
    """Make a PATH that has all of this one but Go and C compilers."""
    directory.mkdir()
    for folder in os.get_exec_path():
        for program in Path(folder).glob("*"):
            kind = program.name.rpartition("x86_64-linux-gnu-")[2].rpartition("aarch64-linux-gnu-")[2]
            link = directory / program.name
            if kind.partition("-")[0] not in COMPILERS and not link.is_symlink():
                link.symlink_to(program)
    return str(directory)


@dataclass(frozen=True)
class Interpreter:
    """A Python in a virtual environment of its own, with the variables that lead it to a package."""

    python: Path
    environment: Mapping[str, str]

    @classmethod
    def new(cls, directory: Path, *, sees_user_site: bool = False, **environment: str) -> Interpreter:
        """Make the virtual environment."""
        venv.create(directory, system_site_packages=sees_user_site, with_pip=True)
        return cls(directory / "bin" / "python", {"PYTHONPATH": "", **environment})

    @classmethod
    def with_build_requirements(cls, directory: Path) -> Interpreter:
        """Make one that can build mlflow-go: fetching Go and zig once is enough for several builds."""
        interpreter = cls.new(directory)
        interpreter.install(*ProjectBuilder(ROOT).build_system_requires)
        return interpreter

    def build_wheel(self, source: Path, destination: Path, **environment: str) -> Path:
        """Build a wheel with what is installed."""
        options = ("--no-deps", "--no-build-isolation")
        environment = {**self.environment, **environment}
        run(self.python, "-m", "pip", "wheel", *options, "-w", destination, source, **environment)
        (wheel,) = destination.glob("*.whl")
        return wheel

    def install(self, *arguments: str | Path) -> None:
        """Run ``pip install`` in it."""
        run(self.python, "-m", "pip", "install", "--quiet", *arguments, **self.environment)

    def run(self, code: str, **environment: str) -> str:
        """Run Python code and return what it printed, its traceback included."""
        done = subprocess.run(
            [self.python, "-c", code],
            env={**os.environ, **self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
        )
        return done.stdout.strip()

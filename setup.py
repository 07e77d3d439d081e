"""Builds the Go half of the wheel; everything else is in pyproject.toml.

docs/packaging.md says how and why.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import setuptools_golang
from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from mlflow_go import _find, _toolchain  # noqa: E402

LIBRARY = Extension("mlflow_go.libmlflowgo", ["pkg/lib/main.go"])
# setuptools-golang builds what has a .go file as its source into a library and leaves the rest to
# build_extension below.
SERVER = Extension("mlflow_go.server", ["go.mod"])
FILES = {"libmlflowgo": _find.library_name, "server": _find.server_name}

# The time in the wheel's archive: the same sources give the same wheel on any day.
os.environ.setdefault("SOURCE_DATE_EPOCH", "315532800")  # 1980, where zip's calendar begins


class Build(build):
    """Builds in a directory of its own: in ``build/`` what was deleted since would get into the wheel."""

    def initialize_options(self) -> None:
        """Set the directory."""
        super().initialize_options()
        self.build_base = tempfile.mkdtemp(prefix="mlflow-go-build-")
        atexit.register(shutil.rmtree, self.build_base, ignore_errors=True)


class BuildExt(build_ext):
    """Builds the server executable, and readies the place in which setuptools-golang builds."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return the path of what is built, without Python's suffix for extension modules."""
        *package, name = fullname.split(".")  # or the name alone
        return str(Path(*package, FILES[name](_toolchain.wheel_target().platform)))

    def get_ext_fullpath(self, ext_name: str) -> str:
        """Return the same, absolute: the build runs in another directory."""
        return str(ROOT / super().get_ext_fullpath(ext_name))

    def build_extensions(self) -> None:
        """Build in a copy of the Go sources: setuptools-golang copies all that lies around."""
        # Python's include directory would reach CGO_CFLAGS, and Go would forget its own -O2.
        self.compiler.set_include_dirs([])
        target = _toolchain.wheel_target()
        environment = _toolchain.build_environment(ROOT, self.distribution.get_version(), target)
        if target.platform == "linux":
            # As setuptools-golang sets it for the library: with other flags Go would compile C code
            # once more for the server, and SQLite takes most of a minute.
            environment["CGO_LDFLAGS"] = setuptools_golang.LFLAG_GCC
        for extension in self.extensions:
            Path(self.get_ext_fullpath(extension.name)).parent.mkdir(parents=True, exist_ok=True)
        with _environment(environment), _staged_sources():
            super().build_extensions()
        Path(self.get_ext_fullpath(LIBRARY.name)).with_suffix(".h").unlink()

    def build_extension(self, ext: Extension) -> None:
        """Build the server."""
        # Position-independent like the library, so that they share what is compiled.
        output = self.get_ext_fullpath(ext.name)
        subprocess.check_call(["go", "build", "-buildmode=pie", "-o", output, "./pkg/cmd/server"])


class BdistWheel(bdist_wheel):
    """Tags the wheel: Go needs a platform, but no particular Python."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tag of the chosen target."""
        *_, ordinary = super().get_tag()
        return "py3", "none", _toolchain.wheel_target().tag or ordinary


@contextlib.contextmanager
def _environment(environment: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _staged_sources() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as stage:
        for name in ("go.mod", "go.sum"):
            shutil.copy(ROOT / name, stage)
        shutil.copytree(ROOT / "pkg", Path(stage, "pkg"))
        os.chdir(stage)
        try:
            yield
        finally:
            os.chdir(ROOT)


setup(
    ext_modules=[LIBRARY, SERVER],
    build_golang={"root": "github.com/mlflow/mlflow-go", "strip": False},
    cmdclass={"build": Build, "build_ext": BuildExt, "bdist_wheel": BdistWheel},
)

"""Where the server executable and the shared library are.

The wheel puts both beside this file, which is where a virtual environment, a user install and
``pip install --target`` keep them; ``pip install -e .`` puts them there in the checkout. Python
may see a checkout in which nothing was built in front of an installed wheel (``PYTHONPATH``, the
working directory): then the installed one serves.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

SERVER_VARIABLE = "MLFLOW_GO_SERVER"
LIBRARY_VARIABLE = "MLFLOW_GO_LIBRARY"


class NotFoundError(FileNotFoundError):
    """The server executable or the shared library is in none of the places it could be in."""


def server_name(platform: str = sys.platform) -> str:
    """Return the file name of the server executable on a platform, as ``sys.platform`` names it."""
    return "mlflow-go-server.exe" if platform == "win32" else "mlflow-go-server"


def library_name(platform: str = sys.platform) -> str:
    """Return the file name of the shared library on a platform, as ``sys.platform`` names it."""
    suffix = {"win32": "dll", "darwin": "dylib"}.get(platform, "so")
    return f"libmlflowgo.{suffix}"


def find_server() -> Path:
    """Return the path of the server executable.

    Raises:
        NotFoundError: It is nowhere; the message lists every place looked at.
    """
    return _find("server executable", server_name(), SERVER_VARIABLE)


def find_library() -> Path:
    """Return the path of the shared library.

    Raises:
        NotFoundError: It is nowhere; the message lists every place looked at.
    """
    return _find("shared library", library_name(), LIBRARY_VARIABLE)


def _find(what: str, name: str, variable: str) -> Path:
    override = os.environ.get(variable)
    if override:
        # No second place: whoever names a file means that file.
        path = Path(override)
        if path.is_file():
            return path
        raise NotFoundError(f"{variable} says that mlflow-go's {what} is {path}, and there is no such file.")
    places = list(dict.fromkeys(directory / name for directory in _directories()))
    for path in places:
        if path.is_file():
            return path
    lines = "\n".join(f"  {path}" for path in places)
    raise NotFoundError(
        f"mlflow-go's {what} was not found. These places were looked at:\n{lines}\n"
        f"Install a wheel of mlflow-go, run `pip install -e .` in its checkout, "
        f"or set {variable} to the file."
    )


def _directories() -> Iterator[Path]:
    package = Path(__file__).resolve().parent
    yield package
    for scheme in ("purelib", "platlib"):
        yield Path(sysconfig.get_path(scheme)) / package.name
    if site.ENABLE_USER_SITE:
        yield Path(site.getusersitepackages()) / package.name
    for entry in sys.path:
        if entry:
            yield Path(entry).resolve() / package.name

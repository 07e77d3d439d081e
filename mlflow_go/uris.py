"""Store URIs, as far as the launcher must understand them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from urllib.parse import urlparse, urlsplit, urlunsplit

DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"
DEFAULT_LOCAL_PATH = "./mlruns"
DEFAULT_ARTIFACTS_URI = "mlflow-artifacts:/"

# The modules of the drivers that a bare scheme may mean, SQLAlchemy's own choice aside.
_DRIVERS = {
    "postgresql": ("psycopg", "psycopg2"),
    "mysql": ("MySQLdb", "pymysql"),
    "mssql": ("pyodbc", "pymssql"),
}
# What SQLAlchemy calls a driver whose module is named otherwise.
_DIALECTS = {"MySQLdb": "mysqldb"}


def default_tracking_uri() -> str:
    """Return MLflow's default: ``./mlruns`` if it holds experiments, otherwise a SQLite file.

    Mirrors mlflow.tracking._tracking_service.utils._get_default_tracking_uri.
    """
    try:
        experiments = [entry for entry in Path(DEFAULT_LOCAL_PATH).iterdir() if entry.name.isdigit()]
        used = any(entry.is_dir() and os.path.lexists(entry / "meta.yaml") for entry in experiments)
    except OSError:
        used = False
    return DEFAULT_LOCAL_PATH if used else DEFAULT_TRACKING_URI


def default_artifact_root(root: str | None, *, serve_artifacts: bool, backend_store: str) -> str:
    """Return where new experiments keep their artifacts.

    Mirrors mlflow.utils.server_cli_utils.resolve_default_artifact_root.

    Raises:
        ValueError: The backend store is a file on another machine.
    """
    if root:
        return root
    if serve_artifacts:
        return DEFAULT_ARTIFACTS_URI
    return backend_store if is_local(backend_store) else DEFAULT_LOCAL_PATH


def is_local(uri: str) -> bool:
    """Tell whether a tracking URI is a directory on this machine.

    Mirrors mlflow.utils.uri.is_local_uri.

    Raises:
        ValueError: It is a ``file:`` URI of another machine.
    """
    if uri == "databricks":
        return False
    if sys.platform == "win32" and uri.startswith("\\\\"):
        return False
    parsed = urlparse(uri)
    if parsed.scheme == "":
        return True
    host = parsed.hostname
    remote = bool(host) and not (host == "." or host.startswith(("localhost", "127.0.0.1")))
    if parsed.scheme == "file":
        if remote:
            msg = (
                f"{uri} is not a valid remote uri. For remote access on windows, please consider using a "
                "different scheme such as SMB (e.g. smb://<hostname>/<path>)."
            )
            raise ValueError(msg)
        return True
    drive = Path(uri).drive[:1].lower()
    return not remote and sys.platform == "win32" and len(parsed.scheme) == 1 and parsed.scheme == drive


def with_driver(uri: str, installed: Callable[[str], bool] | None = None) -> str:
    """Name a driver in a database URI that names none, if SQLAlchemy's own choice isn't installed.

    Args:
        uri: Any store URI; what isn't a bare ``postgresql://``, ``mysql://`` or ``mssql://`` stays.
        installed: Tells whether a module is there; asks Python unless given.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in _DRIVERS:
        return uri
    installed = installed or (lambda module: util.find_spec(module) is not None)
    drivers = _preferred(scheme)
    chosen = next((module for module in drivers if installed(module)), drivers[0])
    if chosen == drivers[0]:
        return uri
    return f"{scheme}+{_DIALECTS.get(chosen, chosen)}://{rest}"


def _preferred(scheme: str) -> tuple[str, ...]:
    drivers = _DRIVERS[scheme]
    if scheme == "postgresql":
        release = tuple(int(part) for part in metadata.version("sqlalchemy").split(".")[:2])
        # SQLAlchemy 2.1 turned from psycopg2 to psycopg.
        return drivers if release >= (2, 1) else drivers[::-1]
    return drivers


def without_password(uri: str) -> str:
    """Return a URI with its password replaced by stars."""
    if not (secret := password(uri)):
        return uri
    parts = urlsplit(uri)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user[: -len(secret)]}***@{host}"))


def password(uri: str) -> str:
    """Return the password as the URI spells it, "" when there is none."""
    user, at, _ = urlsplit(uri).netloc.rpartition("@")
    return user.partition(":")[2] if at else ""

"""Turning Go on and off: which stores MLflow makes for the URI of a database.

MLflow keeps a builder of stores for each scheme. Go's builders take the places of MLflow's own; what
a plug-in registered stays. MLflow's caches of stores are emptied at each change, so that clients,
which ask for their store at each call, get the other kind at their next one.
"""

from __future__ import annotations

import functools
import importlib.machinery
import os
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

VARIABLE = "MLFLOW_GO"

_lock = threading.RLock()
# With MLFLOW_GO=1, what waits for MLflow; None when nothing does.
_waiting: _Waiting | None = None


def enable_go() -> None:
    """Have MLflow's stores on databases answered by Go in this process, from the next call on.

    What isn't native is still answered by MLflow's own code, in the same stores. Clients and stores
    that exist are no obstacle; nor is a second call.

    Raises:
        mlflow_go._find.NotFoundError: The shared library is nowhere.
        mlflow_go.lib.LibraryError: It can't be used: it is of another version, or this process is a
            fork of one that uses it.
    """
    with _lock:
        _wait_no_longer()
        from mlflow_go import lib

        lib.load()
        from mlflow_go.store import _builders, _dispatch

        if _dispatch.is_forked():
            raise lib.LibraryError(
                "Go can't be turned on in a process that was forked from one that uses it. Start the process "
                "with the 'spawn' method."
            )
        if not _builders.are_replaced():
            _builders.replace()


def disable_go() -> None:
    """Have MLflow's stores answered by MLflow's own code alone, from the next call on."""
    with _lock:
        _wait_no_longer()
        if "mlflow_go.store._builders" in sys.modules:
            from mlflow_go.store import _builders

            if _builders.are_replaced():
                _builders.restore()


def is_go_enabled() -> bool:
    """Tell whether MLflow's stores on databases are answered by Go in this process."""
    with _lock:
        if "mlflow_go.store._builders" not in sys.modules:
            return _waiting is not None
        from mlflow_go.store import _builders, _dispatch

        return _builders.are_replaced() and not _dispatch.is_forked()


def _new_lock() -> None:
    """Give a forked child a lock that no thread of its parent's holds."""
    global _lock  # noqa: PLW0603
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


def follow_environment() -> None:
    """Turn Go on if MLFLOW_GO says so: at once if MLflow is imported, else when it needs a store.

    MLflow may be in the middle of its import: it imports this package for our plug-in. And whoever
    imports this package need not use MLflow at all, as the launcher of the server doesn't.

    Raises:
        ValueError: MLFLOW_GO is neither true nor false.
    """
    global _waiting  # noqa: PLW0603
    text = os.environ.get(VARIABLE, "")
    match text.lower():
        case "1" | "true":
            pass
        case "" | "0" | "false":
            return
        case _:
            raise ValueError(f"{VARIABLE} must be one of 1, true, 0, false, but is {text!r}")
    mlflow = sys.modules.get("mlflow")
    if mlflow is not None and not getattr(mlflow.__spec__, "_initializing", False):
        enable_go()
        return
    with _lock:
        _waiting = _Waiting()
        _waiting.start()


def _wait_no_longer() -> None:
    global _waiting  # noqa: PLW0603
    if _waiting is not None:
        _waiting.stop()
        _waiting = None


class _Waiting:
    """Turns Go on when MLflow first asks for a builder of stores.

    Until the module with the registries is there, this is a finder that looks out for it.
    """

    MODULE = "mlflow.tracking.registry"

    def __init__(self) -> None:
        self._original: Callable[..., Any] | None = None

    def start(self) -> None:
        if self.MODULE in sys.modules:
            self._attach(sys.modules[self.MODULE])
        else:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if self._original is not None:
            sys.modules[self.MODULE].StoreRegistry.get_store_builder = self._original
            self._original = None

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_attach(module: ModuleType) -> None:
                execute(module)
                self._attach(module)

            spec.loader.exec_module = execute_and_attach  # type: ignore[method-assign]
        return spec

    def _attach(self, module: ModuleType) -> None:
        self._original = original = module.StoreRegistry.get_store_builder

        @functools.wraps(original)
        def get_store_builder(registry: Any, store_uri: str) -> Any:
            enable_go()  # which puts the original back
            return original(registry, store_uri)

        module.StoreRegistry.get_store_builder = get_store_builder

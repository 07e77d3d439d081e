"""Whether the code of MLflow's that Go stands in for is as MLflow wrote it.

Tests and extensions put other things into the insides of MLflow's stores: a clock that stands still, a
lower limit, a helper that fails, a query of a subclass's own, a listener to statements. Go would pass
all of them by, so MLflow's own code answers while they are there.
"""

from __future__ import annotations

import inspect
import operator
import time
import uuid
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from sqlalchemy.orm import Session

# What MLflow's code takes from Python's own modules, and tests replace there.
_CLOCK, _IDS = time.time, uuid.uuid4


class Insides:
    """What MLflow's method of a name, and what it calls, looks up by name: as it is now."""

    def __init__(self, store: type, name: str) -> None:
        """Look at a method.

        Args:
            store: Our store, complete. Its base is MLflow's, which has the method.
            name: The method's name.
        """
        walk = _Walk(store.__base__)
        walk.through(getattr(store.__base__, name))
        self._mlflows = store.__base__
        # Behind the methods that we have in the places of MLflow's.
        self._behind = _Named(operator.attrgetter, store.__base__, {name, *walk.members & vars(store).keys()})
        self._members = walk.members - {name}
        self._of_class = _Named(operator.attrgetter, store, self._members)
        self._of_modules = [
            (module, _Named(operator.itemgetter, module, names)) for module, names in walk.variables()
        ]

    def are_intact(self, store: Any) -> bool:
        """Tell whether all of it is as it was, for a store of that class or a subclass."""
        listeners = store.engine.dispatch
        return (
            time.time is _CLOCK
            and uuid.uuid4 is _IDS
            and _SESSIONS.are_same(Session)
            and not listeners.before_cursor_execute
            and not listeners.after_cursor_execute
            and self._members.isdisjoint(vars(store))
            and self._of_class.are_same(type(store))
            and self._behind.are_same(self._mlflows)
            and all(named.are_same(module) for module, named in self._of_modules)
        )


class _Named:
    """What some names stand for."""

    def __init__(self, getter: Callable[..., Callable[[Any], Any]], holder: Any, names: set[str]) -> None:
        self._get = getter(*sorted(names)) if names else lambda _: None
        self._values = self._get(holder)

    def are_same(self, holder: Any) -> bool:
        try:
            return self._get(holder) == self._values
        except (AttributeError, KeyError):
            return False


# A failure that is put into SQLAlchemy is to be MLflow's.
_SESSIONS = _Named(
    operator.attrgetter,
    Session,
    {"add", "add_all", "close", "commit", "delete", "execute", "flush", "get", "merge", "query", "rollback"},
)


class _Walk:
    """A walk through functions of MLflow's, which collects the names that they look up."""

    def __init__(self, store: type) -> None:
        self._store = store
        self._seen: set[CodeType] = set()
        self._modules: dict[int, tuple[dict[str, Any], set[str]]] = {}
        self.members: set[str] = set()

    def variables(self) -> Iterator[tuple[dict[str, Any], set[str]]]:
        """Return the modules' variables, and which of them were looked up."""
        return iter(self._modules.values())

    def through(self, function: Any) -> None:
        """Go through a function and what it calls."""
        function = inspect.unwrap(function)
        if not _is_mlflows(function) or function.__code__ in self._seen:
            return
        self._seen.add(function.__code__)
        for name in _names(function.__code__):
            self._variable(function.__globals__, name)
            self._member(name)

    def _variable(self, module: dict[str, Any], name: str) -> None:
        value = module.get(name)
        # What is None may be there to be filled once.
        if value is None or isinstance(value, ModuleType):
            return
        self._modules.setdefault(id(module), (module, set()))[1].add(name)
        self.through(value)

    def _member(self, name: str) -> None:
        value = inspect.getattr_static(self._store, name, None)
        if isinstance(value, (classmethod, staticmethod)):
            self.through(value.__func__)  # They are bound anew each time.
        elif isinstance(value, property):
            self.through(value.fget)
        elif value is not None:
            self.members.add(name)
            self.through(value)


def _is_mlflows(function: Any) -> bool:
    return isinstance(function, FunctionType) and function.__module__.startswith("mlflow.")


def _names(code: CodeType) -> Iterator[str]:
    """Return the names of variables and attributes that code uses, that in functions inside of it too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)

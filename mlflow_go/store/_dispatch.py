"""Who answers a call of a store: Go, or MLflow's own code in the same object.

A native method says what to ask Go and how to read the answer; the rest is here. MLflow's own code
answers instead

- where a method isn't native;
- where the arguments don't fit into the request, so that strange ones have MLflow's own outcome;
- where somebody has put something else into the insides of MLflow's code;
- inside of MLflow's own code, which may have a transaction open that Go would wait for;
- in a child made by fork, and at the interpreter's end.
"""

from __future__ import annotations

import atexit
import functools
import inspect
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from google.protobuf.message import Message
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2, model_registry_pb2, service_pb2

from mlflow_go import lib
from mlflow_go.store._insides import Insides

_logger = logging.getLogger("mlflow_go")

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Dispatched")

# What a native method returns: the request, and what makes the method's value of the response. Or
# NotImplemented: MLflow's own code is to answer.
Question: TypeAlias = tuple[Message, Callable[[Any], T]]

# What building a message raises when an argument doesn't fit.
_MISFITS = (AttributeError, TypeError, ValueError, OverflowError)

_NATIVE = "_mlflow_go_native"
_MISSING_IS_NONE = "_mlflow_go_missing_is_none"
_AROUND = "_mlflow_go_around"


def native(ask: Callable[Concatenate[S, P], Question[T]]) -> Callable[Concatenate[S, P], T]:
    """Mark a method as one that Go answers; it becomes what MLflow's method of that name returns."""
    setattr(ask, _NATIVE, True)
    return ask  # type: ignore[return-value]


def native_or_none(ask: Callable[Concatenate[S, P], Question[T]]) -> Callable[Concatenate[S, P], T | None]:
    """Mark a native method that returns None where Go says that there is no such thing."""
    setattr(ask, _MISSING_IS_NONE, True)
    return native(ask)


def around(
    wrap: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> Callable[[Callable[P, Question[T]]], Callable[P, Question[T]]]:
    """Have what a native method becomes wrapped, whichever side answers."""

    def mark(ask: Callable[P, Question[T]]) -> Callable[P, Question[T]]:
        setattr(ask, _AROUND, wrap)
        return ask

    return mark


class Dispatched(Protocol):
    """What the dispatch needs of a store."""

    _session: Session | None
    engine: Any
    ManagedSessionMaker: Callable[..., Any]


def public_methods(store: type) -> list[str]:
    """Return the names of a store's public methods, sorted."""
    return [name for name, _ in inspect.getmembers(store, inspect.isfunction) if not name.startswith("_")]


def native_methods(store: type) -> list[str]:
    """Return the names of those methods, private ones as well, that Go answers, sorted."""
    return sorted(name for name, value in vars(store).items() if hasattr(value, _NATIVE))


def dispatched(store: type[S]) -> type[S]:
    """Complete a class whose base is MLflow's store and whose own methods are native ones."""
    insides: dict[str, Insides] = {}
    for name in sorted({*public_methods(store), *native_methods(store)}):
        ask = vars(store).get(name)
        if inspect.iscoroutinefunction(getattr(store, name)):
            continue  # MLflow's coroutines call the store's other methods, in threads.
        method = _to_python(store, name) if ask is None else _to_go(store, name, ask, insides)
        setattr(store, name, method)
    insides.update((name, Insides(store, name)) for name in native_methods(store))
    return store


class _Inside(threading.local):
    """Whether this thread is inside of MLflow's own code."""

    python = False


_inside = _Inside()


def _to_python(store: type, name: str) -> Callable[..., Any]:
    inherited = getattr(store, name)
    # What is made of the store's other methods has no transaction open meanwhile, and they may be Go's.
    composed = is_composed(inherited)

    @functools.wraps(inherited)
    def call(self: Dispatched, *args: Any, **kwargs: Any) -> Any:
        return _in_python(
            store, name, functools.partial(getattr(super(store, self), name), *args, **kwargs), composed
        )

    return call


def is_composed(method: Callable[..., Any]) -> bool:
    """Tell whether a method of MLflow's store has no SQL of its own, but calls other methods."""
    return method.__qualname__.startswith("AbstractStore.")


def _in_python(store: type, name: str, work: Callable[[], T], composed: bool = False) -> T:
    if _inside.python:
        return work()
    _inside.python = not composed
    started = time.perf_counter()
    try:
        return work()
    finally:
        _inside.python = False
        _log(store, name, "Python", started)


def _to_go(
    store: type, name: str, ask: Callable[..., Question[T]], insides: dict[str, Insides]
) -> Callable[..., T | None]:
    missing_is_none = hasattr(ask, _MISSING_IS_NONE)

    @functools.wraps(ask)
    def call(self: Dispatched, *args: Any, **kwargs: Any) -> T | None:
        session = self._session
        question = NotImplemented
        if session is not None and not _inside.python:
            started = time.perf_counter()
            if session.sessions is self.ManagedSessionMaker and insides[name].are_intact(self):
                try:
                    question = ask(self, *args, **kwargs)
                except _MISFITS as misfit:
                    _logger.debug("%s.%s: not for Go: %r", store.__name__, name, misfit)
            else:
                _logger.debug("%s.%s: not for Go: MLflow's insides are others", store.__name__, name)
        if question is NotImplemented:
            return _in_python(
                store, name, functools.partial(getattr(super(store, self), name), *args, **kwargs)
            )
        request, read = question
        try:
            answer = session.call(_procedure(request), request.SerializeToString())
            return read(type(request).Response.FromString(answer))
        except lib.CallError as error:
            if missing_is_none and error.error_code == _RESOURCE_DOES_NOT_EXIST:
                return None
            raise _exception(error) from None
        finally:
            _log(store, name, "Go", started)

    call.__doc__ = getattr(store.__base__, name).__doc__
    wrap = getattr(ask, _AROUND, None)
    return wrap(call) if wrap else call


def _log(store: type, name: str, side: str, started: float) -> None:
    if _logger.isEnabledFor(logging.DEBUG):
        took = (time.perf_counter() - started) * 1000
        _logger.debug("%s.%s: %s, %.3f ms", store.__name__, name, side, took)


_RESOURCE_DOES_NOT_EXIST = databricks_pb2.ErrorCode.Name(databricks_pb2.RESOURCE_DOES_NOT_EXIST)


def _exception(error: lib.CallError) -> MlflowException:
    return MlflowException(
        error.message, error_code=databricks_pb2.ErrorCode.Value(error.error_code), **error.fields
    )


def _procedures() -> Iterator[tuple[str, str]]:
    for file in (service_pb2, model_registry_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield method.input_type.full_name, f"{service.name}.{method.name}"


_PROCEDURES = dict(_procedures())


def _procedure(request: Message) -> str:
    """Return the name that the library has for what takes a request."""
    return _PROCEDURES[request.DESCRIPTOR.full_name]


# Sessions: each store has its own, which closes when neither the store nor a call under way has it.


class Session:
    """Stores that Go has opened for one store of this process."""

    def __init__(self, session: lib.Session, sessions: Callable[..., Any]) -> None:
        """Take a session of the library over, for a store with a maker of SQLAlchemy's sessions."""
        self._session = session
        self.call = session.call
        self.sessions = sessions

    def __del__(self) -> None:
        """Close what was opened, in the process that did."""
        if not _state.forked:
            self._session.close()


class _State:
    """Which stores have sessions, and whether this process may open more."""

    def __init__(self) -> None:
        self.connected: weakref.WeakSet[Any] = weakref.WeakSet()
        self.forked = False


_state = _State()


def connect(store: Dispatched, uri: str, artifact_root: str) -> Session | None:
    """Open a session for a store.

    Args:
        store: The store, whose database has its tables.
        uri: The database.
        artifact_root: Where experiments without a location of their own keep their artifacts:
            absolute.

    Returns:
        The session; None where the store stays with MLflow's own code, which the log then tells.
    """
    if _state.forked:
        return None
    try:
        session = lib.load().open({"backend_store_uri": uri, "default_artifact_root": artifact_root})
    except lib.CallError as error:
        address = store.engine.url.render_as_string(hide_password=True)
        _logger.warning("%s is left to MLflow's own store: %s", address, error.message)
        return None
    _state.connected.add(store)
    return Session(session, store.ManagedSessionMaker)


def is_forked() -> bool:
    """Tell whether this process is a child, made by fork, of one that has loaded the library."""
    return _state.forked


def leave_go() -> None:
    """Have the stores that there are answered by MLflow's own code from now on."""
    for store in list(_state.connected):
        store._session = None
    _state.connected.clear()


def _forget() -> None:
    """Put a forked child on MLflow's own code: Go's threads didn't come along."""
    _state.forked = True
    for store in list(_state.connected):
        # The connections are the parent's, and its answers would come through them.
        store.engine.dispose(close=False)
    leave_go()


@functools.cache
def prepare() -> None:
    """Have this process's end, and its children, leave Go."""
    # Others that run at the exit may still end runs, as MLflow does: in Python.
    atexit.register(leave_go)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)

"""Play one script on MLflow's store and on ours, and compare what each call brought.

Two databases never agree on times, random IDs and names, so those are named by their order of
appearance. The rest must be equal: types of entities, their members, exceptions' types, codes and
messages.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable
from typing import Any, Protocol

from mlflow.entities import RunData, RunInputs, Span
from mlflow.entities._mlflow_object import _MlflowObject
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList

# IDs of runs and logged models, words that name runs, times in milliseconds, page tokens.
_RANDOM = re.compile(r"\b[0-9a-f]{32}\b|\b[a-z]+-[a-z]+-\d+\b|\b\d{13}\b|\beyJ[\w=+/]+")
# A set of texts, whose order Python changes from process to process.
_SET = re.compile(r"\{('[^']*'(?:, '[^']*')+)\}")
# What a database's driver says of a violated constraint.
_DRIVER = re.compile(r"(already exists\. Error: ).*", re.DOTALL)


class Script(Protocol):
    """Calls a store's methods through ``do``, which gives what they return, or the exception."""

    def __call__(self, do: Callable[..., Any]) -> None: ...


def _in_order(value: _MlflowObject) -> dict[str, Any]:
    """What of a run has no order: PostgreSQL plans a search anew when it has gathered statistics."""
    match value:
        case RunData():
            return {"_metric_objs": sorted(value._metric_objs, key=lambda metric: metric.key)}
        case RunInputs():
            by_name = sorted(
                value.dataset_inputs, key=lambda given: (given.dataset.name, given.dataset.digest)
            )
            return {"_dataset_inputs": by_name}
        case _:
            return {}


class Recording:
    """What the calls of a script brought."""

    def __init__(self, store: Any, root: str) -> None:
        self._store = store
        self._root = root
        self._names: dict[str, str] = {}
        self.outcomes: list[tuple[str, Any]] = []

    def do(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the store."""
        try:
            outcome = getattr(self._store, method)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 -- of any kind
            outcome = error
        self.outcomes.append((method, self._plain(outcome)))
        return outcome

    def _plain(self, value: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 -- a line for each kind of value
        match value:
            case MlflowException():
                return {
                    "type": type(value).__name__,
                    "code": value.error_code,
                    "sqlstate": value.sqlstate,
                    "class": value.error_class,
                    "message": self._text(_DRIVER.sub(r"\1", value.message)),
                }
            case Exception():
                return {"type": type(value).__name__, "message": self._text(str(value))}
            case PagedList():
                return {"items": [self._plain(item) for item in value], "token": self._plain(value.token)}
            case list() | tuple():
                return [type(value).__name__, *map(self._plain, value)]
            case dict():
                return {key: self._plain(value[key]) for key in sorted(value)}
            case Span():
                return {"type": type(value).__name__, **self._plain(value.to_dict())}
            case _MlflowObject():
                return {"type": type(value).__name__, **self._plain(vars(value) | _in_order(value))}
            case float() if math.isnan(value):
                return "NaN"
            case bool() | None | enum.Enum():
                return value
            case bytes():
                return "bytes", self._text(value.decode())
            case int() | str():
                text = self._text(str(value))
                return value if text == str(value) else (type(value).__name__, text)
            case _ if type(value).__module__.startswith("mlflow."):
                return {"type": type(value).__name__, **self._plain(vars(value))}
            case _:
                return value

    def _text(self, text: str) -> str:
        text = _SET.sub(lambda found: f"{{{sorted(found[1].split(', '))}}}", text)
        return _RANDOM.sub(self._name, text.replace(self._root, "<root>"))

    def _name(self, found: re.Match[str]) -> str:
        if found[0].isdigit():
            return "<time>"
        return self._names.setdefault(found[0], f"<{len(self._names)}>")


def play(script: Script, store: Any, root: str) -> list[tuple[str, Any]]:
    """Return what the calls of a script bring on a store whose artifacts are below a root."""
    recording = Recording(store, root)
    script(recording.do)
    return recording.outcomes

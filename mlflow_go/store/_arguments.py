"""What of a method's arguments fits into a request.

Each function returns what to put into the message, or raises TypeError or ValueError: MLflow's own
code is to answer then. Messages alone take more than MLflow's stores do, as True for 1.0, None for
nothing, or a name for a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from mlflow.protos.service_pb2 import Metric, Param, RunTag
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH, MAX_TAG_VAL_LENGTH

T = TypeVar("T")


def text(value: Any) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def whole(value: Any) -> int:
    """Return a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value


def number(value: Any) -> float:
    """Return a number, but for those of other packages, of which MLflow may think otherwise."""
    if not isinstance(value, float):
        whole(value)
    return value


def optional(convert: Callable[[Any], T], value: Any) -> T | None:
    """Return None as it is, and convert what else there is."""
    return None if value is None else convert(value)


def page_token(value: Any) -> str | None:
    """Return a token as MLflow's searches give it: bytes, unless it came through a server."""
    return value.decode("ascii") if isinstance(value, bytes) else optional(text, value)


def texts(values: Any) -> list[str]:
    """Return the texts of a list or tuple; a text is none."""
    return [text(value) for value in items(values)]


def items(values: Any) -> Iterable[Any]:
    """Return a list or tuple."""
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{values!r} is no list")
    return values


def experiment_id(value: Any) -> str:
    """Return an experiment's ID as a text; it may be a number."""
    # Those of a directory's experiments, which are moved to databases, have 18 digits.
    return _plain(value, 18)


def version(value: Any) -> str:
    """Return the number of a model version as a text."""
    return _plain(value, 9)


def _plain(value: Any, limit: int) -> str:
    """Return digits. Of other spellings MLflow makes numbers in one place, and databases in the next."""
    digits = value if isinstance(value, str) else str(whole(value))
    if not (digits.isascii() and digits.isdigit() and len(digits) <= limit):
        raise ValueError(f"{value!r} is no plain number")
    return digits


def metric(entity: Any) -> Metric:
    """Return a metric that is to be logged."""
    timestamp = whole(entity.timestamp)
    if timestamp < 0:
        raise ValueError("MLflow's error shows the value as Python writes it")
    return Metric(
        key=text(entity.key),
        value=number(entity.value),
        timestamp=timestamp,
        step=whole(entity.step),
        model_id=optional(text, entity.model_id),
        dataset_name=optional(text, entity.dataset_name),
        dataset_digest=optional(text, entity.dataset_digest),
    )


def short(value: Any, limit: int) -> str:
    """Return a text that isn't too long for MLflow, which otherwise looks at the environment."""
    if len(text(value)) > limit:
        raise ValueError(f"longer than {limit}")
    return value


def param(entity: Any) -> Param:
    """Return a param of a run that is to be logged."""
    return Param(key=text(entity.key), value=short(entity.value, MAX_PARAM_VAL_LENGTH))


def run_tag(entity: Any) -> RunTag:
    """Return a tag of a run that is to be set."""
    return RunTag(key=text(entity.key), value=short(entity.value, MAX_TAG_VAL_LENGTH))


def pairs(message: Callable[..., T], entities: Any) -> list[T]:
    """Return messages of key and value of tags or params; None for a list is an empty one."""
    return [message(key=text(e.key), value=text(e.value)) for e in items(entities or [])]

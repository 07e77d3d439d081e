"""The options of ``mlflow-go server``: MLflow's own, built from the generated manifest, and ``--go-opts``."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import click

_DURATION = re.compile(r"(\d+(\.\d*)?|\.\d+)((ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*)?")
_SIZE = re.compile(r"0*[1-9]\d*\s*(kb|mb|gb)?")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

Callback = Callable[[click.Context, click.Parameter, Any], Any]


@functools.cache
def manifest() -> dict[str, Any]:
    """Return what ``pkg/cmd/generate/options.py`` read from MLflow."""
    path = Path(__file__).with_name("options.json")
    return json.loads(path.read_text(encoding="utf-8"))


class App(click.Choice):
    """A name among the ``mlflow.app`` entry points, which are looked up only when somebody asks."""

    def __init__(self) -> None:
        """Make the type."""
        super().__init__([])

    @property
    def choices(self) -> Sequence[str]:
        """The names of the installed applications."""
        return _app_names()

    @choices.setter
    def choices(self, _: Sequence[str]) -> None:
        """Leave what click.Choice would store aside: the entry points say it."""


@functools.cache
def _app_names() -> tuple[str, ...]:
    found = metadata.entry_points(group="mlflow.app")
    return tuple(dict.fromkeys(entry.name for entry in found))


def option(described: dict[str, Any], callback: Callback | None = None) -> click.Option:
    """Build one option from its description in the manifest.

    Args:
        described: The option's entry.
        callback: Judges or replaces the value, as in click.
    """
    flags = described["flags"]
    off = described.get("off_flags")
    return click.Option(
        [*flags[:-1], f"{flags[-1]}/{off[0]}" if off else flags[-1], described["name"]],
        type=_type(described["type"]),
        default=described.get("default", False if described.get("is_flag") else None),
        envvar=described.get("envvar"),
        is_flag=described.get("is_flag"),
        metavar=described.get("metavar"),
        show_default=described.get("show_default"),
        help=described.get("help"),
        callback=callback,
        is_eager=described["name"] == "env_file",
    )


def _type(kind: dict[str, Any]) -> click.ParamType:
    arguments = {key: value for key, value in kind.items() if key != "param_type"}
    match kind["param_type"]:
        case "String":
            return click.STRING
        case "Int":
            return click.INT
        case "Bool":
            return click.BOOL
        case "IntRange":
            return click.IntRange(**arguments)
        case "Path":
            # Only what is true is in the manifest; click takes both of these to be true unsaid.
            return click.Path(**{"file_okay": False, "dir_okay": False, "readable": False, **arguments})
        case "Choice":
            return App()
        case other:
            msg = f"the manifest has an option type that the launcher doesn't know: {other}"
            raise TypeError(msg)


class GoOptions(click.ParamType):
    """``key=value,key=value``: what the Go server adds to MLflow's options.

    An item without ``=`` goes on with the list before it (``proxy=runs/search,runs/create``), and
    ``+`` and ``;`` separate a list's items too. The value is a dict of texts, and of lists for lists.
    """

    name = "key=value,…"

    _KEYS: dict[str, tuple[str, Callable[[str], bool]]] = {  # noqa: RUF012 -- never changed
        "log_level": (
            "debug, info, warning or error",
            lambda text: text.lower() in {"debug", "info", "warning", "warn", "error"},
        ),
        "shutdown_timeout": (
            "a duration such as 30s, or seconds",
            lambda text: bool(_DURATION.fullmatch(text)),
        ),
        "fallback": ("background, lazy or off", lambda text: text in {"background", "lazy", "off"}),
        "fallback_timeout": (
            "a duration such as 2m, or seconds",
            lambda text: bool(_DURATION.fullmatch(text)),
        ),
        "max_body": (
            "a size in bytes, or with kb, mb or gb",
            lambda text: bool(_SIZE.fullmatch(text.lower())),
        ),
        "sqlite_journal": ("wal or keep", lambda text: text in {"wal", "keep"}),
        "proxy": ("routes such as runs/search", bool),
    }
    _LISTS = frozenset({"proxy"})

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the text; a key or value that isn't known is an error that lists those that are."""
        if isinstance(value, dict):
            return value
        parsed: dict[str, Any] = {}
        key = ""
        for item in filter(None, (part.strip() for part in value.split(","))):
            name, assigned, text = item.partition("=")
            if not assigned and key in self._LISTS:
                text = item
            elif not assigned:
                self.fail(f"{item!r} is not of the form key=value. {self.known()}", param, ctx)
            else:
                key, text = name.strip(), text.strip()
            if key not in self._KEYS:
                self.fail(f"unknown key {key!r}. {self.known()}", param, ctx)
            expected, fits = self._KEYS[key]
            texts = [part.strip() for part in re.split("[+;]", text)] if key in self._LISTS else [text]
            if not all(fits(part) for part in texts):
                self.fail(f"{text!r} is no value for {key}: expected {expected}. {self.known()}", param, ctx)
            if key in self._LISTS:
                parsed.setdefault(key, []).extend(texts)
            else:
                parsed[key] = text
        return parsed

    def known(self) -> str:
        """Return a sentence that names every key and its values."""
        return (
            "Known keys: "
            + "; ".join(f"{key} ({expected})" for key, (expected, _) in self._KEYS.items())
            + "."
        )


def seconds(duration: str) -> float:
    """Return the seconds in a duration as ``--go-opts`` takes it: ``1m30s``, ``500ms`` or ``12``."""
    if duration[-1].isdigit() or duration[-1] == ".":
        return float(duration)
    return sum(
        float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", duration)
    )


def go_opts() -> click.Option:
    """Build ``--go-opts``."""
    kind = GoOptions()
    return click.Option(
        ["--go-opts"],
        type=kind,
        envvar="MLFLOW_GO_OPTS",
        metavar="KEY=VALUE,...",
        default={},
        help="Options of the Go server, for example "
        "'log_level=debug,shutdown_timeout=30s,proxy=runs/search+runs/create'. " + kind.known(),
    )

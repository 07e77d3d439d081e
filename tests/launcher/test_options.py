"""The options are MLflow's, and --go-opts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import mlflow.cli
import pytest

from mlflow_go import cli, options

GENERATOR = Path(__file__).parents[2] / "pkg" / "cmd" / "generate" / "options.py"


def facts(option: click.Parameter) -> dict[str, Any]:
    info = option.to_info_dict()
    if isinstance(option.type, click.Choice):
        info["type"] = {"choices": set(info["type"]["choices"]), "case_sensitive": option.type.case_sensitive}
    if option.name in cli.HELP:
        assert info.pop("help")
    return info | {"metavar": option.metavar, "show_default": option.show_default, "eager": option.is_eager}


def by_name(params: list[click.Parameter]) -> dict[str, dict[str, Any]]:
    return {param.name: facts(param) for param in params if param.name != "version"}


def test_server_has_mlflows_options_and_go_opts() -> None:
    ours = by_name(cli.build().commands["server"].params)
    assert ours.pop("go_opts")["envvar"] == "MLFLOW_GO_OPTS"
    assert ours == by_name(mlflow.cli.server.params)
    assert len(ours) == 26


def test_group_has_mlflows_options() -> None:
    assert by_name(cli.build().params) == by_name(mlflow.cli.cli.params)


def test_the_manifest_is_what_the_generator_writes() -> None:
    subprocess.run([sys.executable, GENERATOR, "--check"], check=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("log_level=debug", {"log_level": "debug"}),
        (" log_level=debug , shutdown_timeout=1m30s ", {"log_level": "debug", "shutdown_timeout": "1m30s"}),
        ("proxy=runs/search", {"proxy": ["runs/search"]}),
        (
            "proxy=runs/search,runs/create,fallback=lazy",
            {"proxy": ["runs/search", "runs/create"], "fallback": "lazy"},
        ),
        ("proxy=runs/search+runs/create;runs/get", {"proxy": ["runs/search", "runs/create", "runs/get"]}),
        ("proxy=runs/search,proxy=runs/get", {"proxy": ["runs/search", "runs/get"]}),
        ("fallback_timeout=1.5,max_body=64MB", {"fallback_timeout": "1.5", "max_body": "64MB"}),
        ("sqlite_journal=keep", {"sqlite_journal": "keep"}),
    ],
)
def test_go_opts(text: str, expected: dict[str, Any]) -> None:
    assert options.GoOptions().convert(text, None, None) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed=11", "unknown key 'speed'"),
        ("debug", "'debug' is not of the form key=value"),
        ("log_level=debug,runs/search", "'runs/search' is not of the form key=value"),
        ("log_level=loud", "'loud' is no value for log_level: expected debug, info, warning or error"),
        ("shutdown_timeout=soon", "'soon' is no value for shutdown_timeout"),
        ("shutdown_timeout=-5s", "'-5s' is no value for shutdown_timeout"),
        ("fallback=maybe", "'maybe' is no value for fallback: expected background, lazy or off"),
        ("max_body=0", "'0' is no value for max_body"),
        ("sqlite_journal=off", "'off' is no value for sqlite_journal: expected wal or keep"),
        ("proxy=", "'' is no value for proxy"),
    ],
)
def test_go_opts_errors_list_what_is_known(text: str, message: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        options.GoOptions().convert(text, None, None)
    assert caught.value.message.startswith(message)
    for key in (
        "log_level",
        "shutdown_timeout",
        "fallback",
        "fallback_timeout",
        "max_body",
        "sqlite_journal",
        "proxy",
    ):
        assert f"{key} (" in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"), [("5", 5), ("1.5", 1.5), ("500ms", 0.5), ("1m30s", 90), ("2h", 7200), ("30s", 30)]
)
def test_durations(text: str, expected: float) -> None:
    assert options.seconds(text) == expected


def test_the_manifest_is_marked_as_generated() -> None:
    manifest = json.loads(Path(options.__file__).with_name("options.json").read_text())
    assert "do not edit" in manifest["generated_by"]

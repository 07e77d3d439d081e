"""Writes ``mlflow_go/options.json``: the options of ``mlflow server``, read from the installed MLflow.

``python pkg/cmd/generate/options.py`` rewrites the file; with ``--check`` it only says whether it
would. The launcher builds its command from the file, since asking MLflow itself costs seconds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import click
import mlflow.cli
import mlflow.version

MANIFEST = Path(__file__).parents[3] / "mlflow_go" / "options.json"


def describe(option: click.Option) -> dict[str, Any]:
    """Return what it takes to build an option again, as plain data."""
    info = option.to_info_dict()
    kind = info["type"]
    if isinstance(option.type, click.Choice):
        # Which applications there are is the machine's to say, not the release's.
        kind = {"param_type": "Choice"}
    described = {
        "name": option.name,
        "flags": info["opts"],
        "off_flags": info["secondary_opts"],
        "type": {key: value for key, value in kind.items() if key != "name" and value is not False},
        "default": info["default"],
        "envvar": info["envvar"],
        "is_flag": info["is_flag"],
        "metavar": option.metavar,
        "show_default": option.show_default,
        "help": option.help,
    }
    return {key: value for key, value in described.items() if value not in (None, [], False)}


def manifest() -> dict[str, Any]:
    """Return the manifest of the installed MLflow."""
    options = [param for param in mlflow.cli.server.params if isinstance(param, click.Option)]
    env_file = next(param for param in mlflow.cli.cli.params if param.name == "env_file")
    assert isinstance(env_file, click.Option)  # noqa: S101 -- tells the type checker what MLflow says
    return {
        "generated_by": "pkg/cmd/generate/options.py; do not edit",
        "mlflow_version": mlflow.version.VERSION,
        "group": [describe(env_file)],
        "server": [describe(option) for option in options],
    }


def main() -> None:
    """Write the manifest, or compare it."""
    parser = argparse.ArgumentParser(description="Write the manifest of MLflow's server options.")
    parser.add_argument("--check", action="store_true", help="fail when the file is out of date")
    arguments = parser.parse_args()
    text = json.dumps(manifest(), indent=2) + "\n"
    if not arguments.check:
        MANIFEST.write_text(text, encoding="utf-8")
    elif not MANIFEST.exists() or MANIFEST.read_text(encoding="utf-8") != text:
        parser.exit(1, f"{MANIFEST} is out of date: run mage generate\n")


if __name__ == "__main__":
    main()

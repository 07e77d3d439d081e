"""The ``mlflow-go`` command. It imports neither MLflow nor anything slow: answers come at once."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from mlflow_go import launcher, options
from mlflow_go._version import __version__

# Where our server does something else with an option than MLflow's text says.
HELP = {
    "workers": "Number of Python worker processes behind the Go server (default: one per core, at most 4).",
    "gunicorn_opts": "Additional options of the Python server behind the Go server, in Gunicorn's "
    "spelling. It serves MLflow's FastAPI application all the same. Certificates go to the Go server.",
    "waitress_opts": "Serve MLflow's Flask application alone behind the Go server, on waitress, with "
    "these options.",
    "uvicorn_opts": "Additional options of the Python server behind the Go server, in uvicorn's "
    "spelling (used by default). Certificates go to the Go server.",
    "dev": "If enabled, run both servers with debug logging, and the Python server with auto-reload. "
    "Should only be used for development purposes. "
    "Cannot be used with '--gunicorn-opts' or '--uvicorn-opts'. "
    "Unsupported on Windows.",
}


class Group(click.Group):
    """``mlflow-go ui`` is ``mlflow-go server``, as with MLflow."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name or of its alias."""
        return super().get_command(ctx, "server" if cmd_name == "ui" else cmd_name)


def load_env_file(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Load a dotenv file before anything reads the environment; what is set already stays."""
    if value is not None:
        if not Path(value).exists():
            msg = f"Environment file '{value}' does not exist."
            raise click.BadParameter(msg)
        from dotenv import load_dotenv

        load_dotenv(value, override=False)
        click.echo(f"Loaded environment variables from: {value}")
    return value


def validate_static_prefix(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse what MLflow refuses as ``--static-prefix``."""
    if value is not None:
        if not value.startswith("/"):
            msg = "--static-prefix must begin with a '/'."
            raise click.UsageError(msg)
        if value.endswith("/"):
            msg = "--static-prefix should not end with a '/'."
            raise click.UsageError(msg)
        if "{" in value or "}" in value:
            msg = "--static-prefix must not contain '{' or '}'."
            raise click.UsageError(msg)
    return value


def version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """Print both versions and leave."""
    if value and not ctx.resilient_parsing:
        try:
            mlflow = metadata.version("mlflow")
        except metadata.PackageNotFoundError:
            mlflow = "not installed"
        click.echo(f"mlflow-go, version {__version__} (mlflow {mlflow})")
        ctx.exit()


def server(**values: Any) -> None:
    r"""Run the MLflow tracking server (UI + REST API), in Go.

    Takes the options and variables of `mlflow server`. What Go answers, it answers itself; everything
    else it passes to MLflow's own Python server, which it starts behind itself.

    \b
      Locally, on sqlite:///mlflow.db (or ./mlruns, if that holds experiments):
        mlflow-go server
      For a team:
        mlflow-go server --backend-store-uri postgresql://... --host 0.0.0.0
    """
    launcher.launch(launcher.Settings(**values), click.get_current_context())


def endpoints(arguments: tuple[str, ...]) -> None:
    """Show which endpoints are answered by Go and which by Python, and why.

    Takes the options of the server executable's own command, such as --json.
    """
    launcher.run_server_command(["endpoints", *arguments])


def index(database: str, drop: bool) -> None:
    """Add indexes that searches among very many runs need to a tracking database.

    They serve runs from the newest on, and by the value of a metric; every write pays for them.
    MLflow works with them as without, and ``mlflow db upgrade`` keeps them.
    """
    launcher.run_server_command(["index", "drop" if drop else "add"], {launcher.DATABASE_VARIABLE: database})


def build() -> click.Group:
    """Build the command."""
    manifest = options.manifest()
    callbacks = {"static_prefix": validate_static_prefix, "env_file": load_env_file}
    group = Group(
        "mlflow-go",
        help="MLflow's tracking server, in Go.",
        params=[
            click.Option(
                ["--version"],
                is_flag=True,
                callback=version,
                expose_value=False,
                is_eager=True,
                help="Show the version and exit.",
            ),
            *(options.option(each, callbacks.get(each["name"])) for each in manifest["group"]),
        ],
        callback=lambda env_file: None,  # noqa: ARG005 -- its callback loaded it
    )
    group.add_command(
        click.Command(
            "server",
            callback=server,
            help=server.__doc__,
            short_help="Run the MLflow tracking server (UI + REST API).",
            params=[
                *(
                    options.option(each | _own_help(each["name"]), callbacks.get(each["name"]))
                    for each in manifest["server"]
                ),
                options.go_opts(),
            ],
        )
    )
    group.add_command(
        click.Command(
            "endpoints",
            callback=endpoints,
            help=endpoints.__doc__,
            short_help="Show what is answered by Go and what by Python.",
            context_settings={"ignore_unknown_options": True},
            params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        )
    )
    group.add_command(
        click.Group(
            "db",
            help="Look after a tracking database.",
            commands=[
                click.Command(
                    "index",
                    callback=index,
                    help=index.__doc__,
                    short_help="Add indexes for searches among very many runs, or drop them.",
                    params=[
                        click.Argument(["database"], metavar="URL"),
                        click.Option(["--drop"], is_flag=True, help="Drop the indexes."),
                    ],
                )
            ],
        )
    )
    return group


def _own_help(name: str) -> dict[str, str]:
    return {"help": HELP[name]} if name in HELP else {}


def main() -> None:
    """Run the command line."""
    build()(prog_name="mlflow-go")


if __name__ == "__main__":
    sys.exit(main())

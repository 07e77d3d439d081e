"""``--uvicorn-opts``, ``--gunicorn-opts`` and ``--waitress-opts``: whose is what.

Each is read by the server's own parser. Certificates are for the Go server, which is the one that
clients reach; the rest is for the fallback; what would move the fallback's socket is refused.
"""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass, field
from importlib import util
from typing import Any, NoReturn

import click
from click.core import ParameterSource

_TLS = {
    "uvicorn": {
        "ssl_certfile": "certfile",
        "ssl_keyfile": "keyfile",
        "ssl_keyfile_password": "keyfile_password",
        "ssl_ca_certs": "ca_certs",
        "ssl_cert_reqs": "cert_reqs",
    },
    "gunicorn": {
        "certfile": "certfile",
        "keyfile": "keyfile",
        "ca_certs": "ca_certs",
        "cert_reqs": "cert_reqs",
    },
}
_SOCKET = "the Python server listens where mlflow-go tells it; use --host and --port"
_GO_TLS = "mlflow-go's Go server terminates TLS, with Go's own versions and ciphers"
_GO_SUPERVISES = "mlflow-go's Go server starts, watches and ends the Python server"
_RELOAD = "with --reload, every imported file is watched"
_REFUSED = {
    "uvicorn": {
        **dict.fromkeys(("host", "port", "uds", "fd"), _SOCKET),
        **dict.fromkeys(("ssl_version", "ssl_ciphers"), _GO_TLS),
        **dict.fromkeys(("reload_dirs", "reload_includes", "reload_excludes", "reload_delay"), _RELOAD),
        "http2": "the Go server speaks HTTP/1.1 with the Python server",
        "factory": "use --app-name to choose an application",
    },
    "gunicorn": {
        **dict.fromkeys(("bind", "reuse_port"), _SOCKET),
        **dict.fromkeys(
            ("ssl_version", "ciphers", "do_handshake_on_connect", "suppress_ragged_eofs"),
            _GO_TLS,
        ),
        **dict.fromkeys(("daemon", "pidfile", "print_config", "check_config", "spew"), _GO_SUPERVISES),
        "worker_class": "MLflow's FastAPI application needs Gunicorn's UvicornWorker",
        "proxy_protocol": "the Go server, not a load balancer, connects to the Python server",
        "preload_app": "the Python server always imports MLflow before it forks",
    },
    "waitress": {
        **dict.fromkeys(("host", "port", "listen", "unix_socket", "unix_socket_perms", "sockets"), _SOCKET),
        **dict.fromkeys(("trusted_proxy", "trusted_proxy_count", "trusted_proxy_headers"), _GO_SUPERVISES),
        "call": "use --app-name to choose an application",
        "help": "see waitress-serve --help",
        "ident": "MLflow sets it",
    },
}


@dataclass
class ServerOpts:
    """One of the three options, read.

    Attributes:
        server: "uvicorn", "gunicorn" or "waitress".
        options: What is for the fallback, by the server's own names.
        tls: What is for the Go server: certfile, keyfile, keyfile_password, ca_certs, cert_reqs.
        workers: How many worker processes it asks for, if it does.
    """

    server: str = "uvicorn"
    options: dict[str, Any] = field(default_factory=dict)
    tls: dict[str, Any] = field(default_factory=dict)
    workers: int | None = None


def read(uvicorn: str | None, gunicorn: str | None, waitress: str | None) -> ServerOpts:
    """Read the option that was given; at most one is.

    Raises:
        click.UsageError: The server doesn't know an option, or may not have it here.
    """
    if gunicorn is not None:
        return _sort("gunicorn", _gunicorn(shlex.split(gunicorn)))
    if waitress is not None:
        return _sort("waitress", _waitress(shlex.split(waitress)))
    if uvicorn is not None or any(name.startswith("UVICORN_") for name in os.environ):
        return _sort("uvicorn", _uvicorn(shlex.split(uvicorn or "")))
    return ServerOpts()


def _sort(server: str, given: dict[str, Any]) -> ServerOpts:
    sorted_ = ServerOpts(server)
    for name, value in given.items():
        if reason := _REFUSED[server].get(name):
            msg = f"--{server}-opts: {name} can't be set here: {reason}."
            raise click.UsageError(msg)
        if name == "workers":
            sorted_.workers = int(value)
        elif name in _TLS.get(server, {}):
            sorted_.tls[_TLS[server][name]] = value
        else:
            sorted_.options[name] = value
    if "keyfile" in sorted_.tls and "certfile" not in sorted_.tls:
        msg = f"--{server}-opts: a key file needs a certificate file beside it."
        raise click.UsageError(msg)
    if "cert_reqs" in sorted_.tls:
        sorted_.tls["cert_reqs"] = int(sorted_.tls["cert_reqs"])
    json.dumps(sorted_.options)  # It goes through the environment.
    return sorted_


def _uvicorn(arguments: list[str]) -> dict[str, Any]:
    """Read uvicorn's options, from its ``UVICORN_*`` variables too, as ``python -m uvicorn`` does."""
    from uvicorn.main import main

    with _as("--uvicorn-opts"), main.make_context("uvicorn", [*arguments, "app"]) as context:
        given = {
            name: value
            for name, value in context.params.items()
            if context.get_parameter_source(name)
            in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
        }
        if context.params["app"] != "app":
            _fail("--uvicorn-opts", f"unexpected argument {context.params['app']}")
        # MLflow's own options win over these variables.
        for name in ("host", "port", "workers"):
            if context.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
                given.pop(name)
    del given["app"]
    if env_file := given.pop("env_file", None):
        from dotenv import load_dotenv

        load_dotenv(env_file, override=False)
    if headers := given.pop("headers", None):
        given["headers"] = [header.split(":", 1) for header in headers]
    return given


def _gunicorn(arguments: list[str]) -> dict[str, Any]:
    from gunicorn.config import Config

    config = Config()
    parser = config.parser()
    parser.error = lambda message: _fail("--gunicorn-opts", message)  # type: ignore[method-assign]
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    if extra := given.pop("args", None):
        _fail("--gunicorn-opts", f"unexpected argument {extra[0]}")
    for name, value in given.items():
        try:
            config.set(name, value)
        except (AttributeError, TypeError, ValueError) as error:  # noqa: PERF203 -- a handful of options
            _fail("--gunicorn-opts", f"{name}: {error}")
    return given


def _waitress(arguments: list[str]) -> dict[str, Any]:
    import getopt

    if util.find_spec("waitress") is None:
        _fail("--waitress-opts", "waitress is not installed: pip install waitress")
    from waitress.adjustments import Adjustments

    try:
        given, extra = Adjustments.parse_args(arguments)
    except getopt.GetoptError as error:
        _fail("--waitress-opts", str(error))
    if extra:
        _fail("--waitress-opts", f"unexpected argument {extra[0]}")
    return {name: value for name, value in given.items() if value is not False}


class _as:  # noqa: N801 -- reads as a word: with _as("--uvicorn-opts")
    """Say whose option it was that another program's parser refused."""

    def __init__(self, option: str) -> None:
        self._option = option

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, click.UsageError) and not error.message.startswith(self._option):
            _fail(self._option, error.format_message())


def _fail(option: str, message: str) -> NoReturn:
    msg = f"{option}: {message}"
    raise click.UsageError(msg)

"""MLflow's own Python server, behind the Go one: ``python -m mlflow_go.fallback``.

The Go server starts it with a listening socket on the loopback interface and proxies to it what it
doesn't answer itself. It is MLflow's FastAPI application, as ``mlflow server`` runs it, under
Gunicorn, with MLflow's job runner beside it. Docs: docs/options.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

# What the launcher decided, as JSON; read once and removed.
VARIABLE = "_MLFLOW_GO_FALLBACK"
# What the Go server says: the listening socket's descriptor (where descriptors can't be inherited,
# the address to listen on), and the URL that it answers on itself.
FD_VARIABLE = "_MLFLOW_GO_FALLBACK_FD"
ADDRESS_VARIABLE = "_MLFLOW_GO_FALLBACK_ADDRESS"
SERVER_URL_VARIABLE = "_MLFLOW_GO_SERVER_URL"

# The exit status for "started again, it would fail again": the database or an option is refused.
REFUSED = 78

# An idle connection is closed by the Go side first (it keeps one for a minute), which can't lose a
# request to it that way; in seconds.
KEEP_ALIVE = 120


class RefusedError(Exception):
    """The configuration can't be served; the message is one line for whoever set it."""


@dataclass(frozen=True)
class Config:
    """What the launcher decided about the fallback.

    Attributes:
        workers: How many worker processes.
        app_name: The ``mlflow.app`` entry point to serve; None serves MLflow's default application.
        reload: Whether workers restart when a source file changes (``--dev``).
        server: Which options there are: "uvicorn", "gunicorn" or "waitress".
        options: Those of ``--uvicorn-opts``, ``--gunicorn-opts`` or ``--waitress-opts`` that are
            for Python, by the server's own names.
        graceful_timeout: How long workers may finish their requests at the end, in seconds.
    """

    workers: int = 1
    app_name: str | None = None
    reload: bool = False
    server: str = "uvicorn"
    options: dict[str, Any] = field(default_factory=dict)
    graceful_timeout: float = 60.0

    def dumps(self) -> str:
        """Return the text that `loads` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Config:
        """Read what `dumps` wrote."""
        return cls(**json.loads(text))

"""Who asked: the Go server knows, and says so in the forwarding headers."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any


class GoPeer:
    """ASGI middleware: MLflow sees the connection that the Go server saw.

    The Go server appends its peer's address to X-Forwarded-For and its own scheme to
    X-Forwarded-Proto. Both are taken off again here, so what is left is what the client sent, to be
    trusted or not as uvicorn's own options say.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        """Wrap an ASGI 3 application."""
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: object, send: object) -> None:
        """Serve one connection of any type."""
        if scope["type"] in ("http", "websocket"):
            headers, peer, scheme = unwrap(scope["headers"])
            scope = {**scope, "headers": headers}
            if peer:
                scope["client"] = (peer, 0)
            if scheme:
                scope["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
        await self._app(scope, receive, send)


def unwrap(headers: list[tuple[bytes, bytes]]) -> tuple[list[tuple[bytes, bytes]], str, str]:
    """Take the last hop off the forwarding headers.

    Returns:
        The headers without it, the hop's peer address, and its scheme; "" for what isn't there.
    """
    last = {b"x-forwarded-for": "", b"x-forwarded-proto": ""}
    kept: list[tuple[bytes, bytes]] = []
    for name, value in reversed(headers):
        if name in last and not last[name]:
            rest, _, hop = value.rpartition(b",")
            last[name] = hop.strip().decode("latin-1")
            if not rest:
                continue
            value = rest  # noqa: PLW2901 -- the header goes on without its last item
        kept.append((name, value))
    kept.reverse()
    return kept, last[b"x-forwarded-for"], last[b"x-forwarded-proto"]

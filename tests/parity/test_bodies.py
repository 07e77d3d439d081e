"""Bodies and headers that no field is to blame for: too large, too deep, broken, cut off."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.parity.differences import KINDS
from tests.parity.twins import MismatchError, Step, Twins
from tests.servers import Server

_LARGE = 100 << 20
_DEEP = 100_000
_TAG = "experiments/set-experiment-tag"
_CREATE = "experiments/create"


class Body(NamedTuple):
    """A body that is made when it is sent: some are large."""

    title: str
    path: str
    make: Callable[[], bytes]


_BODIES = (
    Body(
        "large value", _TAG, lambda: b'{"experiment_id": "0", "key": "k", "value": "' + b"x" * _LARGE + b'"}'
    ),
    Body("large unknown field", _CREATE, lambda: b'{"unknown": "' + b"x" * _LARGE + b'"}'),
    Body("large and no JSON", _CREATE, lambda: b"x" * _LARGE),
    Body("large and blank", _CREATE, lambda: b" " * _LARGE),
    Body("long list", "runs/search", lambda: b'{"experiment_ids": ["x"' + b', "x"' * 1_000_000 + b"]}"),
    Body("deep list", _CREATE, lambda: b"[" * _DEEP + b"]" * _DEEP),
    Body("deep list, open", _CREATE, lambda: b"[" * _DEEP),
    Body("deep field", _CREATE, lambda: b'{"name": ' + b"[" * _DEEP + b"]" * _DEEP + b"}"),
    Body(
        "deep unknown field",
        _CREATE,
        lambda: b'{"unknown": ' + b'{"a": ' * _DEEP + b"1" + b"}" * _DEEP + b"}",
    ),
    Body("deep tags", _CREATE, lambda: b'{"name": "deep", "tags": ' + b"[" * _DEEP + b"]" * _DEEP + b"}"),
    Body(
        "long number",
        "runs/search",
        lambda: b'{"experiment_ids": ["0"], "max_results": ' + b"9" * 100_000 + b"}",
    ),
    Body("long number, real", "runs/log-metric", lambda: b'{"value": 1.' + b"9" * 100_000 + b"}"),
    Body("half a text", _CREATE, lambda: b'{"name": "half'),
    Body("half an escape", _CREATE, lambda: b'{"name": "half\\u12"}'),
    Body("no UTF-8", _CREATE, lambda: b'{"name": "\xc3\x28"}'),
    Body("no UTF-8 in a name", _CREATE, lambda: b'{"\xc3\x28": 1}'),
    Body("UTF-8 of a surrogate", _CREATE, lambda: b'{"name": "\xed\xa0\x80"}'),
    Body("UTF-16", _CREATE, lambda: '{"name": ""}'.encode("utf-16")),
    Body("twice, the first is wrong", _TAG, lambda: b'{"experiment_id": 5, "experiment_id": "none"}'),
    Body("twice, the last is wrong", _TAG, lambda: b'{"experiment_id": "none", "experiment_id": 5}'),
    Body("twice in a tag", _CREATE, lambda: b'{"name": "", "tags": [{"key": "a", "key": 5}]}'),
    Body("two values", _CREATE, lambda: b'{"name": ""} {"name": "second"}'),
    Body("NUL after it", _CREATE, lambda: b'{"name": ""}\0'),
)


def _require_nothing_written(twins: Twins) -> None:
    assert not twins.ours.changes(), "refused, but written"
    twins.ours.remember_tables()


@pytest.fixture(scope="module")
def quiet(twins: Twins) -> Twins:
    twins.ours.remember_tables()
    return twins


@pytest.mark.parametrize("twins", ["sqlite"], indirect=True, scope="module")
@pytest.mark.parametrize("body", _BODIES, ids=lambda body: body.title)
def test_bodies(quiet: Twins, body: Body) -> None:
    step = Step("POST", body.path, raw=body.make())
    stock, ours = (side.send(step) for side in (quiet.stock, quiet.ours))
    try:
        quiet.judge(step, KINDS, stock, ours)
    except MismatchError as mismatch:
        answers = "\n".join(f"{answer.status_code} {answer.text[:300]}" for answer in (stock, ours))
        pytest.fail(f"{mismatch}\n{answers}")
    assert ours.status_code < 500
    if not ours.ok:
        _require_nothing_written(quiet)


def _sent(server: Server, head: str, body: bytes = b"") -> bytes:
    """What a server answers to a request that ends here."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head.replace("HOST", address.netloc).encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    return answer


_POST = "POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n"
_WHOLE = b'{"name": "whole"}'


@pytest.mark.parametrize("twins", ["sqlite"], indirect=True, scope="module")
@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param("Content-Length: 1000\r\n\r\n", _WHOLE, id="shorter than announced"),
        pytest.param("Content-Length: 5\r\n\r\n", _WHOLE, id="longer than announced"),
        pytest.param("Content-Length: -5\r\n\r\n", _WHOLE, id="negative length"),
        pytest.param("Content-Length: 17\r\nContent-Length: 5\r\n\r\n", _WHOLE, id="two lengths"),
        pytest.param("Content-Length: 17", b"", id="half a head"),
        pytest.param(
            "Transfer-Encoding: chunked\r\n\r\n", b"11\r\n" + _WHOLE + b"\r\n", id="chunks without an end"
        ),
        pytest.param("Transfer-Encoding: chunked\r\n\r\n", b"ff\r\n" + _WHOLE, id="half a chunk"),
        pytest.param("Transfer-Encoding: chunked\r\n\r\n", b"xx\r\n" + _WHOLE, id="chunk of no length"),
        pytest.param(
            f"X-Large: {'x' * (1 << 20)}\r\nContent-Length: 17\r\n\r\n", _WHOLE, id="header of a megabyte"
        ),
        pytest.param("X: y\r\n" * 100_000 + "Content-Length: 17\r\n\r\n", _WHOLE, id="many headers"),
    ],
)
def test_requests_that_end_too_early(quiet: Twins, head: str, body: bytes) -> None:
    """Nothing of them is carried out, and the next request is answered."""
    try:
        answer = _sent(quiet.ours.server, _POST + head, body)
    except OSError:  # closed before all was sent
        answer = b""
    if answer:
        status = int(answer.split(b" ", 2)[1])
        assert http.client.BAD_REQUEST <= status < http.client.INTERNAL_SERVER_ERROR, answer[:300]
    _require_nothing_written(quiet)
    assert quiet.ours.send(Step("GET", "experiments/get", query={"experiment_id": "0"})).ok

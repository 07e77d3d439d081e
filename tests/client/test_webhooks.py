"""Webhooks end to end: MLflow's client, the two halves of the server, and a real receiver."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from mlflow.entities.webhook import VALID_ENTITY_ACTIONS, Webhook, WebhookEvent
from mlflow.tracking import MlflowClient
from mlflow.webhooks.types import get_example_payload_for_event

from tests.servers import OURS, STOCK, Server, fresh_database, running

_KEY = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"
# A receiver on this machine, and no waiting for what another process has changed.
_ENVIRONMENT = {
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "0",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
_EVENTS = [
    WebhookEvent(entity, action) for entity, actions in VALID_ENTITY_ACTIONS.items() for action in actions
]
_SECRET = "s3cret ключ"
# What MLflow's own code does with a database, in a process that has the key.
_WITH_STORE = """
import sys
from mlflow.entities.webhook import WebhookEvent
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
store = SqlAlchemyStore(sys.argv[1])
if sys.argv[2] == "create":
    event = WebhookEvent("prompt", "created")
    print(store.create_webhook("python", sys.argv[3], [event], secret=sys.argv[4]).webhook_id)
else:
    print(store.get_webhook(sys.argv[3]).secret)
"""


@dataclass
class Delivery:
    """One request that the receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def event(self) -> str:
        return f"{self.payload['entity']}.{self.payload['action']}"

    def check_signature(self, secret: str) -> None:
        parts = (self.headers["x-mlflow-delivery-id"], self.headers["x-mlflow-timestamp"], self.body.decode())
        signed = ".".join(parts).encode()
        digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
        assert self.headers["x-mlflow-signature"] == "v1," + base64.b64encode(digest).decode()


@dataclass
class Receiver:
    """A real HTTP server; ``/status/N`` is answered with N and some text that isn't UTF-8."""

    url: str
    deliveries: list[Delivery] = field(default_factory=list)

    def wait(self, count: int, limit: float = 20.0) -> list[Delivery]:
        """Wait for deliveries, and a moment longer for those that should not come."""
        deadline = time.monotonic() + limit
        while len(self.deliveries) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)
        return list(self.deliveries)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.deliveries.append(Delivery(self.path, headers, body))
            answer = "thänks".encode("latin-1")
            self.send_response(int(self.path.rpartition("/")[2]) if "/status/" in self.path else 200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mysql"])
def keyless(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run mlflow-go without a key, which its two halves must agree on."""
    directory = tmp_path_factory.mktemp(request.param)
    database = fresh_database(request.param, directory)
    with running(
        OURS, directory, "--workers", "2", database=database, environment={**_ENVIRONMENT, _KEY: ""}
    ) as server:
        yield server


def _hook(client: MlflowClient, url: str, events: list[WebhookEvent] | None = None) -> Webhook:
    return client.create_webhook("hook", url, events or _EVENTS, secret=_SECRET)


def test_each_event_is_delivered_once(keyless: Server, receiver: Receiver) -> None:
    client = MlflowClient(keyless.url, keyless.url)
    hook = _hook(client, receiver.url)
    client.create_registered_model("m", {"k": "v"}, "d é")
    client.create_model_version("m", "s3://bucket/m", tags={"k": "v"}, description="d")
    client.set_model_version_tag("m", "1", "k2", "v2")
    client.delete_model_version_tag("m", "1", "k2")
    client.set_registered_model_alias("m", "a", "1")
    client.delete_registered_model_alias("m", "a")
    expected = [
        ("registered_model.created", {"name": "m", "tags": {"k": "v"}, "description": "d é"}),
        (
            "model_version.created",
            {
                "name": "m",
                "version": "1",
                "source": "s3://bucket/m",
                "run_id": None,
                "tags": {"k": "v"},
                "description": "d",
            },
        ),
        ("model_version_tag.set", {"name": "m", "version": "1", "key": "k2", "value": "v2"}),
        ("model_version_tag.deleted", {"name": "m", "version": "1", "key": "k2"}),
        ("model_version_alias.created", {"name": "m", "alias": "a", "version": "1"}),
        ("model_version_alias.deleted", {"name": "m", "alias": "a"}),
    ]
    deliveries = receiver.wait(len(expected))
    for delivery in deliveries:
        delivery.check_signature(_SECRET)
        assert delivery.headers["content-type"] == "application/json"
        assert delivery.headers["user-agent"] == "mlflow-go"  # who writes delivers
    key = json.dumps
    got = sorted(key((delivery.event, delivery.payload["data"]), sort_keys=True) for delivery in deliveries)
    assert got == sorted(key(item, sort_keys=True) for item in expected)
    client.delete_webhook(hook.webhook_id)
    client.create_registered_model("m2")
    assert len(receiver.wait(len(expected))) == len(expected)


def test_prompt_events_are_delivered_once(keyless: Server, receiver: Receiver) -> None:
    client = MlflowClient(keyless.url, keyless.url)
    hook = _hook(client, receiver.url)
    client.register_prompt("p", "Hi {{name}}", tags={"k": "v"})
    client.set_prompt_tag("p", "k2", "v2")
    client.delete_prompt_tag("p", "k2")
    client.set_prompt_version_tag("p", 1, "k3", "v3")
    client.delete_prompt_version_tag("p", 1, "k3")
    client.set_prompt_alias("p", "a", 1)
    client.delete_prompt_alias("p", "a")
    events = [
        "prompt.created",
        "prompt_alias.created",
        "prompt_alias.deleted",
        "prompt_tag.deleted",
        "prompt_tag.set",
        "prompt_tag.set",  # the client notes the experiment of a new prompt
        "prompt_version.created",
        "prompt_version_tag.deleted",
        "prompt_version_tag.set",
    ]
    deliveries = receiver.wait(len(events))
    assert sorted(delivery.event for delivery in deliveries) == events
    for delivery in deliveries:
        delivery.check_signature(_SECRET)
    client.delete_webhook(hook.webhook_id)


def test_secret_crosses_over(tmp_path: Path, receiver: Receiver) -> None:
    environment = {**_ENVIRONMENT, _KEY: Fernet.generate_key().decode()}
    database = fresh_database("sqlite", tmp_path)

    def with_store(*arguments: str) -> str:
        command = [sys.executable, "-c", _WITH_STORE, database, *arguments]
        done = subprocess.run(
            command, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.splitlines()[-1]

    with running(OURS, tmp_path, database=database, environment=environment) as server:
        client = MlflowClient(server.url, server.url)
        assert with_store("get", _hook(client, receiver.url).webhook_id) == _SECRET
        made_by_python = with_store("create", receiver.url, _SECRET)
        assert client.get_webhook(made_by_python).name == "python"
        answer = client.test_webhook(made_by_python)
        assert (answer.success, answer.response_status, answer.response_body) == (True, 200, "thänks")
        (delivery,) = receiver.deliveries
        assert delivery.event == "prompt.created"
        delivery.check_signature(_SECRET)


def test_sends_what_stock_sends(tmp_path: Path, receiver: Receiver) -> None:
    sent: dict[str, list[Any]] = {}
    for name, command in (("stock", STOCK), ("ours", OURS)):
        directory = tmp_path / name
        database = fresh_database("sqlite", directory)
        environment = {**_ENVIRONMENT, _KEY: Fernet.generate_key().decode()}
        with running(
            command, directory, "--workers", "1", database=database, environment=environment
        ) as server:
            client = MlflowClient(server.url, server.url)
            hook = _hook(client, receiver.url + "/status/200")
            answers = [client.test_webhook(hook.webhook_id, event) for event in _EVENTS]
            for status in ("404", "302", "503"):
                client.update_webhook(hook.webhook_id, url=f"{receiver.url}/status/{status}")
                answers.append(client.test_webhook(hook.webhook_id))
        sent[name] = [_comparable(delivery) for delivery in receiver.deliveries] + [
            (answer.success, answer.response_status, answer.response_body, answer.error_message)
            for answer in answers
        ]
        receiver.deliveries.clear()
    assert sent["ours"] == sent["stock"]
    # The first try of a 503, and three more.
    assert len(sent["ours"]) == 2 * len(_EVENTS) + 3 + 2 + 4
    examples = [json.loads(json.dumps(get_example_payload_for_event(event))) for event in _EVENTS]
    assert [json.loads(entry[2])["data"] for entry in sent["ours"][: len(_EVENTS)]] == examples


def _comparable(delivery: Delivery) -> tuple[str, dict[str, str], str]:
    """Leave out who sends it, and what each time is another."""
    delivery.check_signature(_SECRET)
    headers = {
        name: value
        for name, value in delivery.headers.items()
        if name not in {"user-agent", "accept-encoding", "connection", "host"}
    }
    for name in ("x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature", "content-length"):
        headers[name] = "…"
    timestamp = delivery.payload["timestamp"]
    return delivery.path, dict(sorted(headers.items())), delivery.body.decode().replace(timestamp, "…")


def test_nobody_waits_for_a_receiver(tmp_path: Path, receiver: Receiver) -> None:
    """A receiver that never answers delays no request and no other receiver, nor the end of the server."""
    created = [WebhookEvent("registered_model", "created")]
    database = fresh_database("sqlite", tmp_path)
    count = 200
    with (
        socket.create_server(("127.0.0.1", 0)) as dead,
        running(
            OURS, tmp_path, "--go-opts", "shutdown_timeout=5s", database=database, environment=_ENVIRONMENT
        ) as server,
    ):
        client = MlflowClient(server.url, server.url)
        _hook(client, f"http://127.0.0.1:{dead.getsockname()[1]}", created)
        _hook(client, receiver.url, created)
        begun = time.monotonic()
        for number in range(count):
            client.create_registered_model(f"m{number}")
        took = time.monotonic() - begun
        assert server.stop() == 0
    assert took < 10
    assert len(receiver.deliveries) == count
    log = server.log.read_text()
    assert "webhook deliveries dropped" in log
    assert "the server is shutting down" in log

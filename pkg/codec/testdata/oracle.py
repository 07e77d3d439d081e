"""Answer, with MLflow's own code, how it reads and writes messages.

Each line of standard input is a JSON object with an ``operation``; each gets one line of JSON on
standard output:

* ``encode``: ``message`` (a full name) and ``binary`` → ``text``, what ``message_to_json`` writes.
* ``body``, ``query``: ``message`` and ``sent`` → ``binary``, what ``_get_request_message`` reads,
  and ``parsed``, whether ``parse_dict`` took it; or ``error``, what a client is told.
* ``error``: ``code``, ``message`` and ``fields`` → ``text`` and ``status``.
* ``compact``: ``sent`` → ``text``, how MLflow's messages quote the JSON value.

Binary data is base64. A ``crash`` says that MLflow would have answered 500.
"""

import base64
import json
import sys
from collections.abc import Callable
from typing import Any

from flask import Request
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2, mlflow_artifacts_pb2, model_registry_pb2, service_pb2, webhooks_pb2
from mlflow.server import app, handlers
from mlflow.utils.proto_json_utils import message_to_json
from mlflow.utils.validation import invalid_value
from werkzeug.test import EnvironBuilder

FILES = (databricks_pb2, mlflow_artifacts_pb2, model_registry_pb2, service_pb2, webhooks_pb2)


class ParseDict:
    """Stands in for MLflow's ``parse_dict`` and remembers whether it failed."""

    def __init__(self) -> None:
        """Keep what is replaced."""
        self.original = handlers.parse_dict
        self.succeeded = True

    def __call__(self, js_dict: Any, message: Message) -> None:
        """Parse as MLflow does."""
        self.succeeded = False
        self.original(js_dict, message)
        self.succeeded = True


parse_dict = ParseDict()


def new_message(name: str) -> Message:
    """Make an empty message of the given full name."""
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))()


def encode(question: dict[str, Any]) -> dict[str, Any]:
    """Write a message as the handlers do."""
    message = new_message(question["message"])
    message.ParseFromString(base64.b64decode(question["binary"] or ""))
    return {"text": message_to_json(message)}


def read(message: Message, environ: dict[str, Any]) -> dict[str, Any]:
    """Read a WSGI request as the handlers do."""
    parse_dict.succeeded = True
    with app.app_context():
        handlers._get_request_message(message, Request(environ))  # noqa: SLF001  # it is what is mirrored
    binary = message.SerializePartialToString(deterministic=True)
    return {"binary": base64.b64encode(binary).decode(), "parsed": parse_dict.succeeded}


def body(question: dict[str, Any]) -> dict[str, Any]:
    """Read a request that has a body."""
    sent = base64.b64decode(question["sent"] or "")
    builder = EnvironBuilder(method="POST", content_type="application/json", data=sent)
    return read(new_message(question["message"]), builder.get_environ())


def query(question: dict[str, Any]) -> dict[str, Any]:
    """Read a request that has arguments."""
    environ = EnvironBuilder(method="GET").get_environ()
    environ["QUERY_STRING"] = base64.b64decode(question["sent"] or "").decode("latin1")
    return read(new_message(question["message"]), environ)


def error(question: dict[str, Any]) -> dict[str, Any]:
    """Write an error."""
    raised = MlflowException(question["message"], error_code=question["code"], **question["fields"])
    return {"text": raised.serialize_as_json(), "status": raised.get_http_status_code()}


def compact(question: dict[str, Any]) -> dict[str, Any]:
    """Quote a value."""
    text = invalid_value("p", json.loads(base64.b64decode(question["sent"] or "")))
    return {"text": text.removeprefix("Invalid value ").removesuffix(" for parameter 'p' supplied.")}


OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "encode": encode,
    "body": body,
    "query": query,
    "error": error,
    "compact": compact,
}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question."""
    try:
        return OPERATIONS[question["operation"]](question)
    except MlflowException as e:
        return {"error": e.message}
    except Exception as e:  # noqa: BLE001  # whatever MLflow's server would have answered 500 to
        return {"crash": f"{type(e).__name__}: {e}"}


def main() -> None:
    """Answer until standard input ends."""
    handlers.parse_dict = parse_dict
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

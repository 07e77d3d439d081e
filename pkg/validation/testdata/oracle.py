"""Ask MLflow's handlers what they say about requests, without any store.

Reads a JSON array of ``{"rpc": "CreateRun", "verb": "POST", "query": "", "body": "{}"}`` from
standard input and writes an array of verdicts: ``error`` is the text a client would see, ``crash``
a Python exception that MLflow does not handle (a 500); neither means that the handler went on.
``parsed`` tells whether the JSON made a message, ``malformed`` whether it was no JSON at all.
"""

# ruff: noqa: SLF001 - MLflow's insides are what is asked

import inspect
import json
import sys
from typing import Any, NoReturn

from flask import Flask
from mlflow.protos import model_registry_pb2, service_pb2, webhooks_pb2
from mlflow.server import handlers


class Accepted(Exception):  # noqa: N818 - not an error
    """The handler would go on to its store."""


class Recorder:
    """Stands in for two functions of the handlers module and notes what happened in them."""

    def __init__(self) -> None:
        """Remember the originals."""
        self.get_request_message = handlers._get_request_message
        self.validate = handlers._validate_request_json_with_schema
        self.parsed = False

    def stop_when_accepted(self, message: Any, **options: Any) -> NoReturn:
        """Stand in for ``_get_request_message``."""
        self.get_request_message(message, **options)
        raise Accepted

    def note_parsing(self, request_json: Any, schema: Any, proto_parsing_succeeded: bool) -> None:
        """Stand in for ``_validate_request_json_with_schema``."""
        self.parsed = proto_parsing_succeeded
        self.validate(request_json, schema, proto_parsing_succeeded)


def is_malformed(body: str) -> bool:
    """Tell whether a body is there but no JSON; MLflow takes it for an empty object."""
    if not body.strip():
        return False
    try:
        json.loads(body)
    except ValueError:
        return True
    return False


def judge(app: Flask, recorder: Recorder, case: dict[str, str]) -> dict[str, Any]:
    """Run one request through the handler of its procedure."""
    services = (service_pb2, model_registry_pb2, webhooks_pb2)
    message = next(getattr(service, case["rpc"]) for service in services if hasattr(service, case["rpc"]))
    handler = handlers.HANDLERS[message]
    path = dict.fromkeys(inspect.signature(handler).parameters, "from the path")
    recorder.parsed = True
    verdict: dict[str, Any] = {"error": "", "crash": "", "malformed": is_malformed(case["body"])}
    with app.test_request_context(
        "/?" + case["query"], method=case["verb"], data=case["body"], content_type="application/json"
    ):
        try:
            verdict["error"] = json.loads(handler(**path).get_data())["message"]
        except Accepted:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a 500
            verdict["crash"] = repr(error)
    verdict["parsed"] = recorder.parsed
    return verdict


def main() -> None:
    """Answer all cases on standard input."""
    recorder = Recorder()
    handlers._get_request_message = recorder.stop_when_accepted
    handlers._validate_request_json_with_schema = recorder.note_parsing
    app = Flask("oracle")
    json.dump([judge(app, recorder, case) for case in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()

"""`mlflow-go endpoints` lists the routes of the MLflow that is installed: none is forgotten or invented."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

from tests.servers import OURS

# Prints verb and path of each route: FastAPI's, then those of the Flask application that is mounted
# below it. A process of its own, since MLflow's server changes what imports it.
_STOCK_ROUTES = """
import json
from fastapi.routing import iter_route_contexts
from mlflow.server import app as flask_app
from mlflow.server.fastapi_app import app as fastapi_app

routes = []
for route in iter_route_contexts(fastapi_app.routes):
    routes.extend((verb, route.path) for verb in route.methods or ())
for rule in flask_app.url_map.iter_rules():
    routes.extend((verb, rule.rule) for verb in rule.methods)
print(json.dumps(routes))
"""
# Flask and Starlette add these to every route.
_IMPLIED_VERBS = {"HEAD", "OPTIONS"}
# Flask's own way to the UI's files, which MLflow doesn't use.
_FLASK_STATIC = ("GET", "/build/<path:filename>")


def _output(*command: str) -> Any:
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _shape(verb: str, path: str) -> tuple[str, str]:
    """Leave parameters' names out: Flask, FastAPI and the protobufs each spell them their own way."""
    path = re.sub(r"<path:\w+>|{\w+:path}", "**", path)
    return verb, re.sub(r"<\w+>|{[\w.]+}", "*", path)


def test_every_route_is_listed() -> None:
    stock = {
        _shape(verb, path)
        for verb, path in _output(sys.executable, "-c", _STOCK_ROUTES)
        if verb not in _IMPLIED_VERBS and (verb, path) != _FLASK_STATIC
    }
    assert len(stock) > 400
    listed = [
        _shape(route["verb"], route["path"]) for route in _output(OURS[0], "endpoints", "--json")["endpoints"]
    ]
    assert sorted(stock - set(listed)) == [], "routes that are not listed"
    assert sorted(set(listed) - stock) == [], "routes that MLflow doesn't have"
    assert len(listed) == len(set(listed)), "routes that are listed twice"

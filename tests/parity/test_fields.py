"""Each field of each native request, with what it can't hold and what lies at the edge of that.

The fields come from MLflow's protobufs, so a field or a method that is new is tested as soon as it is
native. Each request goes to both servers once, on objects of its own; answers are equal, or differ in
one of the ways that `differences.KINDS` has. What was refused writes nothing.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import requests
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from mlflow.protos import databricks_pb2, model_registry_pb2, service_pb2, webhooks_pb2

from tests.parity.differences import KINDS, NEGATIVE_PAGE
from tests.parity.twins import MismatchError, Side, Step, Twins
from tests.servers import OURS, Server

_SERVICES = (
    service_pb2.DESCRIPTOR.services_by_name["MlflowService"],
    model_registry_pb2.DESCRIPTOR.services_by_name["ModelRegistryService"],
    webhooks_pb2.DESCRIPTOR.services_by_name["WebhookService"],
)

_RUN, _EXP, _MODEL, _NAME, _HOOK = "run-${n}", "${exp}", "m-${n}", "name-${n}", "hook-${n}"
_POINT = {"key": "m", "value": 1.5, "timestamp": 5, "step": 1}
_TAG = {"key": "k", "value": "v"}
_EVENT = {"entity": "PROMPT", "action": "CREATED"}
_VERSION = {"name": _NAME, "version": "1"}
#: By method, a request that both servers carry out. ``${n}`` is a word of the request's own, ``${exp}`` its
#: experiment and ``${gone}`` its deleted one; `_add_objects` makes what the others refer to.
_BASES: dict[str, dict[str, Any]] = {
    "getExperimentByName": {"experiment_name": _NAME},
    "createExperiment": {"name": "new-${n}", "artifact_location": "s3://b/${n}", "tags": [_TAG]},
    "searchExperiments": {"filter": f"name = '{_NAME}'", "max_results": 2, "order_by": ["name"]},
    "getExperiment": {"experiment_id": _EXP},
    "deleteExperiment": {"experiment_id": _EXP},
    "restoreExperiment": {"experiment_id": "${gone}"},
    "updateExperiment": {"experiment_id": _EXP, "new_name": "new-${n}"},
    "createRun": {"experiment_id": _EXP, "start_time": 5, "run_name": "r", "tags": [_TAG]},
    "updateRun": {"run_id": _RUN, "status": "FINISHED", "end_time": 7, "run_name": "r"},
    "deleteRun": {"run_id": _RUN},
    "restoreRun": {"run_id": _RUN},
    "logMetric": {"run_id": _RUN, **_POINT},
    "logParam": {"run_id": _RUN, **_TAG},
    "setExperimentTag": {"experiment_id": _EXP, **_TAG},
    "deleteExperimentTag": {"experiment_id": _EXP, "key": "there"},
    "setTag": {"run_id": _RUN, **_TAG},
    "deleteTag": {"run_id": _RUN, "key": "there"},
    "getRun": {"run_id": _RUN},
    "searchRuns": {"experiment_ids": [_EXP], "filter": "params.there = 'v'", "max_results": 2},
    "getMetricHistory": {"run_id": _RUN, "metric_key": "there", "max_results": 2},
    "getMetricHistoryBulkInterval": {
        "run_ids": [_RUN],
        "metric_key": "there",
        "start_step": 0,
        "end_step": 9,
        "max_results": 2,
    },
    "logBatch": {"run_id": _RUN, "metrics": [_POINT], "params": [_TAG], "tags": [_TAG]},
    "logModel": {
        "run_id": _RUN,
        "model_json": '{"artifact_path": "a", "flavors": {}, "run_id": "r", "utc_time_created": "x"}',
    },
    "logInputs": {
        "run_id": _RUN,
        "datasets": [
            {
                "tags": [_TAG],
                "dataset": {"name": "d", "digest": "1", "source_type": "t", "source": "s"},
            }
        ],
        "models": [{"model_id": _MODEL}],
    },
    "logOutputs": {"run_id": _RUN, "models": [{"model_id": _MODEL, "step": 1}]},
    "queryTraceMetrics": {
        "experiment_ids": [_EXP],
        "view_type": "TRACES",
        "metric_name": "latency",
        "aggregations": [{"aggregation_type": "PERCENTILE", "percentile_value": 50}],
        "dimensions": ["trace_name"],
        "filters": ["trace.status = 'OK'"],
        "time_interval_seconds": 60,
        "start_time_ms": 1,
        "end_time_ms": 99,
        "max_results": 2,
        "page_token": "any",
    },
    "listArtifacts": {"run_id": _RUN, "path": "a"},
    "listLoggedModelArtifacts": {"model_id": _MODEL},
    "createLoggedModel": {"experiment_id": _EXP, "name": "n", "params": [_TAG], "tags": [_TAG]},
    "finalizeLoggedModel": {"model_id": _MODEL, "status": "LOGGED_MODEL_READY"},
    "getLoggedModel": {"model_id": _MODEL},
    "deleteLoggedModel": {"model_id": _MODEL},
    "searchLoggedModels": {
        "experiment_ids": [_EXP],
        "filter": "tags.there = 'v'",
        "max_results": 2,
        "order_by": [{"field_name": "name"}],
    },
    "setLoggedModelTags": {"model_id": _MODEL, "tags": [_TAG]},
    "deleteLoggedModelTag": {"model_id": _MODEL, "tag_key": "there"},
    "LogLoggedModelParams": {"model_id": _MODEL, "params": [_TAG]},
    "createRegisteredModel": {"name": "new-${n}", "tags": [_TAG], "description": "d"},
    "renameRegisteredModel": {"name": _NAME, "new_name": "new-${n}"},
    "updateRegisteredModel": {"name": _NAME, "description": "d"},
    "deleteRegisteredModel": {"name": _NAME},
    "getRegisteredModel": {"name": _NAME},
    "searchRegisteredModels": {"filter": f"name = '{_NAME}'", "max_results": 2, "order_by": ["name"]},
    "getLatestVersions": {"name": _NAME, "stages": ["None"]},
    "createModelVersion": {"name": _NAME, "source": "s3://b/c", "run_id": _RUN, "tags": [_TAG]},
    "updateModelVersion": {**_VERSION, "description": "d"},
    "transitionModelVersionStage": {**_VERSION, "stage": "Staging", "archive_existing_versions": True},
    "deleteModelVersion": _VERSION,
    "getModelVersion": _VERSION,
    "searchModelVersions": {"filter": f"name = '{_NAME}'", "max_results": 2, "order_by": ["name"]},
    "getModelVersionDownloadUri": _VERSION,
    "setRegisteredModelTag": {"name": _NAME, **_TAG},
    "setModelVersionTag": {**_VERSION, **_TAG},
    "deleteRegisteredModelTag": {"name": _NAME, "key": "there"},
    "deleteModelVersionTag": {**_VERSION, "key": "there"},
    "setRegisteredModelAlias": {**_VERSION, "alias": "a"},
    "deleteRegisteredModelAlias": {"name": _NAME, "alias": "there"},
    "getModelVersionByAlias": {"name": _NAME, "alias": "there"},
    "createWebhook": {
        "name": "hook-${n}",
        "url": "https://8.8.8.8/hook",
        "events": [_EVENT],
        "status": "DISABLED",
    },
    "listWebhooks": {"max_results": 2},
    "getWebhook": {"webhook_id": _HOOK},
    "updateWebhook": {"webhook_id": _HOOK, "name": "n", "events": [_EVENT], "status": "DISABLED"},
    "deleteWebhook": {"webhook_id": _HOOK},
    "testWebhook": {"webhook_id": _HOOK, "event": _EVENT},
}

#: Fields whose odd values are Python's to judge, by method.
_LEFT_TO_PYTHON = {"listArtifacts": "path"}

_MISSING = object()
_NESTED = {"a": [1, {"b": [None, "c"]}]}
# In small letters, the search for made-up names would take minutes. No two requests are about the same.
_LONG = "X" * 70_000 + "${n}"
_ODD_TEXTS = ("", "nul\0${n}", "é😀 ${n}", "half \ud800 ${n}")
_TEXTS = (_MISSING, None, 5, True, ["a"], _NESTED, *_ODD_TEXTS, _LONG)
_WHOLES = (_MISSING, None, "7", "abc", "", 1.5, -1, 2**31, 2**63, math.nan, True, [1], _NESTED)
_VALUES: dict[int, tuple[Any, ...]] = {
    FieldDescriptor.CPPTYPE_STRING: _TEXTS,
    FieldDescriptor.CPPTYPE_INT32: _WHOLES,
    FieldDescriptor.CPPTYPE_INT64: _WHOLES,
    FieldDescriptor.CPPTYPE_DOUBLE: (
        *(_MISSING, None, "1.5", "abc", "", math.nan, -math.inf, 10**400, -1, True, [1.5], _NESTED),
    ),
    FieldDescriptor.CPPTYPE_BOOL: (_MISSING, None, "true", "abc", 1, 2, [True], _NESTED),
    FieldDescriptor.CPPTYPE_ENUM: (_MISSING, None, "NOPE", "", 1, 99, -1, 2**63, True, ["a"], _NESTED),
    FieldDescriptor.CPPTYPE_MESSAGE: (_MISSING, None, "a", 5, True, [], {}, _NESTED),
}
#: What a query string or a path has is text, whatever the field is.
_QUERY = (_MISSING, "", "abc", "-1", "1.5", "9223372036854775808", "nan", *_ODD_TEXTS[1:3], "X" * 7000)
_TWICE = ["a", "b"]
_AS_IT_IS = "as it is"

_CONNECTIONS = 8
# How many of everything searches find first, by name or by time: nobody changes them.
_STILL = 120
# Experiments that servers create come after this one.
_LAST_EXPERIMENT = 7_000_000
_NEW_EXPERIMENT = re.compile(r"\b700\d{4}\b")
_FUTURE_MS = 4_000_000_000_000


class Probe(NamedTuple):
    """A request with one field that is wrong."""

    number: int
    title: str
    step: Step


def _native_methods() -> set[str]:
    """Each native procedure of the contract, by its path and verb, as our command lists it."""
    listed = subprocess.run([OURS[0], "endpoints", "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return {
        f"{route['verb']} {route['path']}"
        for route in json.loads(listed.stdout)["endpoints"]
        if route["native"]
    }


def _fields(
    message: Descriptor, at: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], FieldDescriptor]]:
    """All fields, those of messages within as well, each with the way to it."""
    for one in message.fields:
        yield (*at, one.name), one
        if one.message_type:
            yield from _fields(one.message_type, (*at, one.name, *([0] if one.is_repeated else [])))


def _values(one: FieldDescriptor) -> Iterator[Any]:
    if not one.is_repeated:
        yield from _VALUES[one.cpp_type]
        return
    yield from (_MISSING, None, "a", 5, [], {}, _NESTED, [None], [[]])
    yield from ([value] for value in _VALUES[one.cpp_type] if value is not _MISSING)


def _with(base: dict[str, Any], at: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A copy with another value at one place; messages on the way there are made."""
    changed = copy.deepcopy(base)
    place: Any = changed
    for part, following in itertools.pairwise(at):
        if isinstance(place, dict):
            place.setdefault(part, [{}] if following == 0 else {})
        place = place[part]
    if value is _MISSING:
        place.pop(at[-1], None)
    else:
        place[at[-1]] = value
    return changed


def _query(arguments: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, str(item))
        for name, value in arguments.items()
        for item in (value if isinstance(value, list) else [value])
    ]


def _steps(verb: str, path: str, base: dict[str, Any], request: Descriptor) -> Iterator[tuple[str, Step]]:
    in_path = re.findall(r"{(\w+)}", path)

    def step(sent: dict[str, Any]) -> Step:
        filled = path
        for parameter in in_path:
            filled = filled.replace(f"{{{parameter}}}", quote(str(sent[parameter]), safe="${}"))
        content = {"query": [] if in_path else _query(sent)} if verb == "GET" else {"json": sent}
        return Step(verb, filled, **content)

    yield f"{verb} {path} {_AS_IT_IS}", step(copy.deepcopy(base))
    for at, one in _fields(request):
        name = ".".join(str(part) for part in at if part != 0)
        if at[0] in in_path:
            values = [value for value in _QUERY if value not in (_MISSING, "")]
        elif verb == "GET":
            values = [*_QUERY, _TWICE]
        else:
            values = list(_values(one))
        for value in values:
            shown = "missing" if value is _MISSING else repr(value)
            yield f"{verb} {path} {name} = {shown[:60]}", step(_with(base, at, value))


def _probes() -> list[Probe]:
    native = _native_methods()
    probes: list[Probe] = []
    for service in _SERVICES:
        for method in service.methods:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                path = f"/api/{endpoint.since.major}.{endpoint.since.minor}{endpoint.path}"
                if f"{endpoint.method} {path}" not in native:
                    continue
                left = f"{endpoint.method} {path} {_LEFT_TO_PYTHON.get(method.name)} = "
                for title, step in _steps(endpoint.method, path, _BASES[method.name], method.input_type):
                    probes.append(Probe(len(probes), title, replace(step, native=not title.startswith(left))))
    return probes


def _word(number: int) -> str:
    return f"n{number:05}z"


def _experiment_id(number: int) -> int:
    return 1_000_000 + number


def _deleted_id(number: int) -> int:
    return 2_000_000 + number


def _add_objects(side: Side, numbers: range) -> None:
    """Give each request objects of its own, the same on both sides; the last ones are nobody's."""
    side.tables()  # reflects them
    tables = side.metadata.tables
    still = numbers[-_STILL:]
    rows: dict[str, list[dict[str, Any]]] = {}

    def add(table: str, **row: Any) -> None:
        rows.setdefault(table, []).append(row)

    for number in numbers:
        word, experiment = _word(number), _experiment_id(number)
        run, model, name, hook = f"run-{word}", f"m-{word}", f"name-{word}", f"hook-{word}"
        if number in still:
            name = "!" + name
        now = _FUTURE_MS + number if number in still else number
        times = {"creation_time": now, "last_updated_time": now}
        for number_of, called, stage in (
            (experiment, name, "active"),
            (_deleted_id(number), f"x{name}", "deleted"),
        ):
            add(
                "experiments",
                experiment_id=number_of,
                name=called,
                artifact_location=f"s3://b/{word}",
                lifecycle_stage=stage,
                creation_time=now,
                last_update_time=now,
                workspace="default",
            )
        add("experiment_tags", experiment_id=experiment, key="there", value="v")
        add(
            "runs",
            run_uuid=run,
            name="r",
            experiment_id=experiment,
            status="RUNNING",
            lifecycle_stage="active",
            user_id="",
            start_time=1,
            source_type="UNKNOWN",
            source_name="",
            entry_point_name="",
            source_version="",
            artifact_uri=f"mlflow-artifacts:/{word}/r",
        )
        add("tags", run_uuid=run, key="there", value="v")
        add("params", run_uuid=run, key="there", value="v")
        point = {"run_uuid": run, "key": "there", "value": 1.0, "timestamp": 1, "step": 1, "is_nan": False}
        add("metrics", **point)
        add("latest_metrics", **point)
        add(
            "logged_models",
            model_id=model,
            experiment_id=experiment,
            name="n",
            artifact_location=f"mlflow-artifacts:/{word}/m",
            creation_timestamp_ms=1,
            last_updated_timestamp_ms=1,
            status=1,
            lifecycle_stage="active",
        )
        add("logged_model_tags", model_id=model, experiment_id=experiment, tag_key="there", tag_value="v")
        add("registered_models", workspace="default", name=name, **times)
        add("registered_model_tags", workspace="default", name=name, key="there", value="v")
        add("registered_model_aliases", workspace="default", name=name, alias="there", version=1)
        add(
            "model_versions",
            workspace="default",
            name=name,
            version=1,
            current_stage="None",
            source="s3://b/v",
            status="READY",
            **times,
        )
        add("model_version_tags", workspace="default", name=name, version=1, key="there", value="v")
        add(
            "webhooks",
            workspace="default",
            webhook_id=hook,
            name="n",
            url="https://127.0.0.1:1/",  # which is refused before anything is sent
            status="DISABLED",
            creation_timestamp=now,
            last_updated_timestamp=now,
        )
        add("webhook_events", webhook_id=hook, entity="prompt", action="created")
    add("experiments", **{**rows["experiments"][-1], "experiment_id": _LAST_EXPERIMENT, "name": "last"})
    with side.engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(tables[table].insert(), values)


@dataclass
class Sender:
    """Sends steps over connections that are kept, one for each thread."""

    server: Server
    local: threading.local = field(default_factory=threading.local)

    def send(self, probe: Probe) -> requests.Response:
        if not hasattr(self.local, "session"):
            self.local.session = requests.Session()
            self.local.session.trust_env = False
        step, word = probe.step, _word(probe.number)

        def fill(text: str) -> str:
            ids = {"${n}": word, "${exp}": _experiment_id(probe.number), "${gone}": _deleted_id(probe.number)}
            for name, value in ids.items():
                text = text.replace(name, str(value))
            return text

        data, headers = None, dict(step.headers)
        if step.json is not None:
            data = fill(json.dumps(step.json))
            headers["Content-Type"] = "application/json"
        answer = self.local.session.request(
            step.method,
            self.server.url + fill(step.path),
            params=[(name, fill(value)) for name, value in step.query or ()],
            data=data,
            headers=headers,
            allow_redirects=False,
            timeout=60,
        )
        answer._content = _unplaced(self.server, answer.text).encode()
        return answer


# What rows and answers call things by: our words, IDs of experiments, and IDs that a server makes up.
_WORD = re.compile(
    r"n\d{5}z|\b(?:100|200|700)\d{4}\b|[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


def _words(row: tuple[str, tuple]) -> set[str]:
    return {word for cell in row[1] for word in _WORD.findall(str(cell))}


def _rows_of_others(twins: Twins, side: Side, differing: set[int]) -> dict[str, Counter[str]]:
    """What a side has written, without what belongs to requests that are known to differ."""
    changes = {table: [(row, _words(row)) for row in rows] for table, rows in side.changes().items()}
    of_them = {
        word
        for number in differing
        for word in (_word(number), str(_experiment_id(number)), str(_deleted_id(number)))
    }
    while True:  # what is made for one of them has an ID of its own
        more = {word for rows in changes.values() for _, words in rows if words & of_them for word in words}
        if more <= of_them:
            break
        of_them |= more
    return {
        table: Counter(
            _unplaced(side.server, repr(twins._blur(row, translate=False)))
            for row, words in rows
            if not words & of_them
        )
        for table, rows in changes.items()
    }


def _unplaced(server: Server, text: str) -> str:
    """A text without what the two sides can't agree on: where they run, and IDs of new experiments."""
    return _NEW_EXPERIMENT.sub("<new>", text.replace(str(server.log.parent), "<directory>"))


def _refused_again(side: Side, sender: Sender, refused: list[Probe]) -> list[str]:
    """Send what was refused once more, and tell whether any of it left a trace in any table."""
    before = side.tables()
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        answers = list(pool.map(sender.send, refused))
    found = [
        f"{probe.title}\n  is refused at first, and then {answer.status_code}: {answer.text[:300]}"
        for probe, answer in zip(refused, answers, strict=True)
        if answer.status_code < 400
    ]
    for table, rows in side.tables().items():
        if rows != before[table]:
            found.append(
                f"refused, but written to {table}: {(rows - before[table]) + (before[table] - rows)}"
            )
    return found


def _shown(title: str, reason: object, stock: requests.Response, ours: requests.Response) -> str:
    return (
        f"{title}\n  {reason}\n  stock: {stock.status_code} {stock.text[:300]}\n"
        f"  ours:  {ours.status_code} {ours.text[:300]}"
    )


# One database is enough: what fields can't hold is refused before it is asked, but for what
# tests/parity/cases has on each.
@pytest.mark.parametrize("twins", ["sqlite"], indirect=True)
def test_fields(twins: Twins) -> None:
    probes = _probes()
    numbers = range(len(probes) + _STILL)
    for side in (twins.stock, twins.ours):
        _add_objects(side, numbers)
        side.remember_tables()
    stock, ours = Sender(twins.stock.server), Sender(twins.ours.server)
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        answers = list(pool.map(lambda probe: (stock.send(probe), ours.send(probe)), probes))
    mismatches, differing = [], set()
    for probe, pair in zip(probes, answers, strict=True):
        twins._twin_of = {}
        try:
            twins._judge(probe.step, None, *pair)
        except MismatchError as mismatch:
            differing.add(probe.number)
            try:
                twins.judge(probe.step, (*KINDS, NEGATIVE_PAGE), *pair)
            except MismatchError:
                mismatches.append(_shown(probe.title, mismatch, *pair))
        if probe.title.endswith(_AS_IT_IS) and not pair[0].ok:
            mismatches.append(_shown(probe.title, "would test nothing", *pair))
        if probe.step.native and pair[1].status_code >= 500 and probe.number not in differing:
            mismatches.append(_shown(probe.title, "fails", *pair))
    refused = [probe for probe, pair in zip(probes, answers, strict=True) if pair[1].status_code >= 400]
    mismatches += _refused_again(twins.ours, ours, refused)
    differing |= {probe.number for probe in refused}  # stock may have written what it then refused
    twins._twin_of = {}
    one, other = (_rows_of_others(twins, side, differing) for side in (twins.stock, twins.ours))
    for table in sorted({*one, *other}):
        theirs, its = one.get(table, Counter()), other.get(table, Counter())
        if theirs != its:
            mismatches.append(
                f"{table}: only stock {dict(theirs - its)}, only ours {dict(its - theirs)}"[:2000]
            )
    if mismatches:
        pytest.fail("\n".join([f"{len(mismatches)} mismatches of {len(probes)}", *mismatches]), pytrace=False)

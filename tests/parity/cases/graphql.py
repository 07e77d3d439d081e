"""GraphQL: what the UI's experiment and run pages ask, and how queries go wrong."""

from __future__ import annotations

import string
from typing import Any

from tests.parity.cases import case, get, new_experiment, new_run, post
from tests.parity.twins import Step

_RUN = """
  info { runId runUuid runName experimentId userId status startTime endTime artifactUri lifecycleStage }
  experiment { experimentId name tags { key value } artifactLocation lifecycleStage lastUpdateTime }
  data { metrics { key value step timestamp } params { key value } tags { key value } }
  inputs { datasetInputs { dataset { name digest source } tags { key value } } modelInputs { modelId } }
  outputs { modelOutputs { modelId step } } __typename
"""
_GET_RUN = """query GetRun($data: MlflowGetRunInput!) @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetRun(input: $data) { apiError { code message } run {%s} } }""" % (_RUN)  # noqa: UP031 braces abound
_SEARCH = """query($in: MlflowSearchRunsInput) {
  mlflowSearchRuns(input: $in) { runs { info { runName } } nextPageToken } }"""
_EXPERIMENT = """query($input: MlflowGetExperimentInput!) { mlflowGetExperiment(input: $input) {
  experiment { name creationTime effectiveTraceArchivalRetention workspace __typename }
  apiError { code } } }"""
_TEST = '{ test(inputString: "a") { output } }'
_PLAIN_TEXT = {"Content-Type": "text/plain"}


def _ask(query: Any, variables: Any = None, **more: Any) -> Step:
    native = more.pop("native", True)
    return post("/graphql", {"query": query, "variables": variables, **more}, rows=False, native=native)


def _many(count: int) -> str:
    return " ".join(f'{name}: test(inputString: "x") {{ output }}' for name in string.ascii_letters[:count])


CASES = (
    case(
        "graphql of a run",
        new_experiment(tags=[{"key": "e", "value": "1"}]),
        new_run(run_name="named", tags=[{"key": "t", "value": "ü"}]),
        post(
            "runs/log-batch",
            {
                "run_id": "${run}",
                "metrics": [
                    {"key": "nan", "value": "NaN", "timestamp": 1, "step": 2**40},
                    {"key": "loss", "value": 1e16, "timestamp": 2, "step": 3},
                ],
                "params": [{"key": "p", "value": "v"}],
            },
        ),
        _ask(_GET_RUN, {"data": {"runId": "${run}"}}),
        _ask(_GET_RUN, {"data": {"runUuid": "${run}"}}, operationName="GetRun"),
        _ask(_GET_RUN, {"data": {"runId": "nobody"}}),
        _ask(_GET_RUN, {"data": {}}),
        _ask(_GET_RUN, {}),
        _ask(_GET_RUN, {"data": {"runIdd": "x"}}),
        _ask(_GET_RUN, {"data": "x"}),
        _ask(_EXPERIMENT, {"input": {"experimentId": "${exp}"}}),
        _ask(_EXPERIMENT, {"input": {"experimentId": "123456789"}}),
        _ask(_SEARCH, {"in": {"experimentIds": ["${exp}"], "maxResults": 5}}),
        _ask(_SEARCH, {"in": {"experimentIds": ["${exp}"], "filter": "metrics.loss > 1"}}),
        _ask(_SEARCH, {"in": {"experimentIds": ["${exp}"], "filter": "this is none"}}),
        _ask(_SEARCH, {"in": {"experimentIds": ["${exp}"], "runViewType": "ALL"}}),
        _ask(_SEARCH, {"in": {"maxResults": 0}}),
        _ask(_SEARCH, {"in": {"maxResults": "five"}}),
        _ask(_SEARCH, {"in": None}),
        _ask(_SEARCH.replace("query", "mutation", 1), {"in": {"experimentIds": ["${exp}"]}}),
        _ask(
            '{ mlflowGetMetricHistoryBulkInterval(input: { runIds: ["${run}"], metricKey: "loss" }) '
            "{ metrics { key value step timestamp runId } } }"
        ),
        _ask(
            '{ mlflowGetMetricHistoryBulkInterval(input: { runIds: ["${run}"], metricKey: "nan" }) '
            "{ metrics { value step } } }"
        ),
        _ask(
            'mutation { mlflowSearchDatasets(input: { experimentIds: ["${exp}"] }) '
            "{ datasetSummaries { name } } }"
        ),
        _ask('{ mlflowGetRun(input: { runId: "${run}" }) { run { modelVersions { name } } } }'),
        _ask('{ mlflowListArtifacts(input: { runId: "${run}" }) { rootUri files { path isDir } } }'),
        _ask('{ mlflowListArtifacts(input: { runId: "missing" }) { files { path } } }'),
        _ask('{ mlflowListArtifacts(input: { runId: "${run}", path: ".." }) { rootUri } }', native=False),
        _ask('{ mlflowSearchModelVersions(input: { filter: "" }) { modelVersions { name } } }'),
    ),
    case(
        "graphql that goes wrong",
        _ask(_TEST),
        _ask("{ test { output } }"),
        _ask("{ tset { output } }"),
        _ask("{ test }"),
        _ask("{ test(inputString: 5) { output } }"),
        _ask("query($s: String!) { test(inputString: $s) { output } }", {"s": 5}),
        _ask("query($s: String!) { test(inputString: $s) { output } }", {}),
        _ask('{ test(inputString: "a") { output @include(if: true) } }'),
        _ask("query A { __typename } query B { __typename }", operationName="B"),
        _ask("query A { __typename } query B { __typename }"),
        _ask("query A { __typename }", operationName="C"),
        _ask("subscription { test }"),
        _ask('mutation { testMutation(inputString: "a") { output } }'),
        _ask("{ __schema { queryType { name } types { name kind } directives { name } } }"),
        _ask("{" + _many(10) + "}"),
        _ask("{" + _many(11) + "}"),
        _ask(
            '{ test(inputString: "x") {' + " ".join(f"{c}: output" for c in string.ascii_letters[:10]) + "} }"
        ),
        _ask(
            '{ test(inputString: "x") {' + " ".join(f"{c}: output" for c in string.ascii_letters[:11]) + "} }"
        ),
        _ask("{ a" * 11 + "}" * 11),
        _ask("{"),
        _ask(None),
        _ask(_TEST, [1]),
        post("/graphql", [], rows=False),
        post("/graphql", raw="{", rows=False),
        post("/graphql", {"query": _TEST}, rows=False, headers=_PLAIN_TEXT),
        get("/graphql"),
        get("/graphql", {"query": _TEST}),
        Step("GET", "/graphql", json={"query": _TEST}),
        Step("PUT", "/graphql", json={"query": _TEST}, native=False),
        Step("OPTIONS", "/graphql", native=False),
        Step("HEAD", "/graphql", native=False),
    ),
)

"""How requests are read: encodings, coercions, garbage, verbs, headers."""

from tests.parity.cases import ask, case, get, new_experiment, new_run, post
from tests.parity.twins import Step

_CREATE = "experiments/create"

CASES = (
    case(
        "bodies that aren't what they should be",
        *(
            post(_CREATE, raw=raw)
            for raw in (
                b"",
                b"{}",
                b"null",
                b"{",
                b"[]",
                b'"text"',
                b"5",
                b"true",
                b"\xff\xfe",
                b'{"name": }',
                b'{"name": "a" "b"}',
                b'{"name": "a",}',
                b"{'name': 'a'}",
                b'{"name": "\xff"}',
                b'{"name": "a\nb"}',
                b'{"name": NaN}',
                b'{"name": 1e999}',
                b"[" * 2000,
                b'{"unknown": 1}',
            )
        ),
    ),
    case(
        "bodies that are odd but fine",
        *(
            post(_CREATE, raw=raw)
            for raw in (
                b'{"name": "${case}-1", "unknown": {"a": [1, 2]}}',
                b'{"name": "first", "name": "${case}-2"}',
                b'"{\\"name\\": \\"${case}-3\\"}"',
                b' \n{"name"\t:\r"${case}-4"} ',
                b'{"name": "${case}-\\u00e9\\ud83d\\ude00"}',
                b'{"name": "${case}-5", "artifactLocation": "s3://b/c"}',
                b'{"name": "${case}-6", "artifact_location": null, "tags": null}',
                b'{"name": "${case}-7", "tags": []}',
            )
        ),
        post(_CREATE, {"name": "${case}-8", "artifact_location": "s3://a/b", "artifactLocation": "s3://c/d"}),
    ),
    case(
        "content types",
        *(
            post(_CREATE, raw='{"name": "${case}-' + str(number) + '"}', headers={"Content-Type": kind})
            for number, kind in enumerate(
                (
                    "application/json",
                    "application/json; charset=utf-8",
                    "APPLICATION/JSON",
                    "text/plain",
                    "application/x-www-form-urlencoded",
                    "multipart/form-data; boundary=x",
                    "application/jsonx",
                    "application/vnd.api+json",
                    "",
                )
            )
        ),
    ),
    case(
        "query strings",
        new_experiment(),
        new_run(),
        *(
            get("runs/get", query)
            for query in (
                "run_id=${run}",
                "run_id=${run}&run_id=other",
                "run_id=other&run_id=${run}",
                "run_id=",
                "run_id",
                "RUN_ID=${run}",
                "runId=${run}",
                "run_id=%zz",
                "run_id=a+b%20c",
                "run_id=%ff",
                "unknown=1",
                "&&run_id=${run}&",
                "run_id=${run};x=1",
            )
        ),
        get("experiments/search", "max_results=2&order_by=name&order_by=experiment_id"),
        get("experiments/search", "max_results=two"),
        get("experiments/search", "max_results=2&view_type=ACTIVE_ONLY&filter=name%20LIKE%20%27D%25%27"),
        get("experiments/search", "max_results=2&view_type=1"),
        Step("GET", "runs/get", json={"run_id": "${run}"}),
        Step("GET", "runs/get", json={"run_id": "${run}"}, query="x=1"),
    ),
    case(
        "verbs and paths that aren't there",
        *(
            Step(verb, "experiments/create", native=False)
            for verb in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
        ),
        *(
            Step(verb, "experiments/get", query="experiment_id=0", native=False)
            for verb in ("POST", "HEAD", "OPTIONS")
        ),
        get("experiments/get/", "experiment_id=0", native=False),
        get("/api/2.0/mlflow/nothing", native=False),
        get("/api/3.0/mlflow/experiments/get", "experiment_id=0", native=False),
        get("/api/2.0/mlflow//experiments/get", "experiment_id=0", native=False),
        get("/nothing", native=False),
    ),
    case(
        "foreign origins and hosts",
        *(
            step
            for headers in (
                {"Origin": "http://evil.example"},
                {"Origin": "http://localhost:3000"},
                {"Origin": "http://127.0.0.1"},
                {"Origin": "null"},
                {"Sec-Fetch-Site": "cross-site"},
                {"Sec-Fetch-Site": "same-origin"},
                {"Host": "evil.example"},
                {"Host": "localhost"},
                {"Host": "192.168.1.5:5000"},
                {"Host": "10.0.0.1"},
                {"Host": "172.32.0.1"},
                {"Host": "[::1]:5000"},
                {"Host": "8.8.8.8"},
            )
            for step in (
                ask(
                    "runs/search",
                    {"experiment_ids": ["0"], "max_results": 1, "filter": "tags.x = 'y'"},
                    headers=headers,
                ),
                get("experiments/get-by-name", {"experiment_name": "Default"}, headers=headers),
                get("/health", headers=headers),
                get("/version", headers=headers),
                Step(
                    "OPTIONS",
                    "runs/search",
                    headers={"Access-Control-Request-Method": "POST", **headers},
                    native=False,
                ),
            )
        ),
    ),
    case("health, version, UI", get("/health"), get("/version"), get("/")),
)

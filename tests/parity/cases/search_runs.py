"""runs/search: filters, orders, pages."""

from collections.abc import Iterator
from typing import Any

from tests.parity.cases import ask, case, get, new_experiment, new_run, post
from tests.parity.twins import Step

_RUNS = (
    # name, start time, metrics, params, tags
    ("a", 1_700_000_000_001, {"m": 1.0, "x": 0.5}, {"p": "1", "q": "One"}, {"t": "red", "with space": "1"}),
    ("b", 1_700_000_000_002, {"m": 2.0}, {"p": "2"}, {"t": "Red"}),
    ("c", 1_700_000_000_003, {"m": "NaN"}, {"p": "10"}, {"t": "green"}),
    ("d", 1_700_000_000_004, {"m": "Infinity"}, {"q": "one"}, {}),
    ("e", 1_700_000_000_005, {"m": "-Infinity"}, {"p": "2", "a.b": "dotted"}, {"t": "50%"}),
    ("f", 1_700_000_000_006, {}, {}, {"t": "blue", "quoted`": "x"}),
)


def _populate() -> Iterator[Step]:
    yield new_experiment()
    for name, start, metrics, params, tags in _RUNS:
        yield new_run(name, start_time=start, run_name=f"run-{name}", user_id="u")
        yield post(
            "runs/log-batch",
            {
                "run_id": "${" + name + "}",
                "metrics": [{"key": key, "value": value, "timestamp": 1} for key, value in metrics.items()],
                "params": [{"key": key, "value": value} for key, value in params.items()],
                "tags": [{"key": key, "value": value} for key, value in tags.items()],
            },
            rows=False,
        )
    yield post("runs/delete", {"run_id": "${b}"}, rows=False)
    yield post(
        "runs/update", {"run_id": "${a}", "status": "FINISHED", "end_time": 1_700_000_009_000}, rows=False
    )


def search(**body: Any) -> Step:
    return ask("runs/search", {"experiment_ids": ["${exp}"], **body})


_FILTERS = (
    "",
    "metrics.m > 1",
    "metrics.m >= 1",
    "metrics.m < 1e3",
    "metrics.m != 1",
    "metrics.m = 1.0",
    "metrics.m = 'x'",
    "metrics.m LIKE '1'",
    "metric.m > -1",
    "metrics.`m` > 0",
    'metrics."m" > 0',
    "metrics.never > 0",
    "m > 0",
    "params.p = '2'",
    "params.p != '2'",
    "params.p > '1'",
    "params.p = 2",
    "params.p LIKE '1%'",
    "params.q LIKE 'one'",
    "params.q ILIKE 'one'",
    "param.q = 'One' AND metrics.m = 1",
    "params.a.b = 'dotted'",
    'params."a.b" = "dotted"',
    "parameters.p = '1'",
    "params.p IN ('1', '2')",
    "params.p NOT IN ('1', '2')",
    "params.p IS NULL",
    "params.p IS NOT NULL",
    "tags.t = 'red'",
    "tags.t != 'red'",
    "tags.t LIKE 'r%'",
    "tags.t ILIKE 'r%'",
    "tags.t LIKE '50\\%'",
    "tags.`with space` = '1'",
    "tags.'with space' = '1'",
    "tags.t IN ('red')",
    "tags.t IS NULL",
    "tag.t IS NOT NULL",
    "tags.mlflow.runName = 'run-a'",
    "attributes.status = 'RUNNING'",
    "attributes.status != 'RUNNING'",
    "attributes.status LIKE 'R%'",
    "attribute.status = 'running'",
    "status = 'FINISHED'",
    "attr.run_name = 'run-a'",
    "run_name = 'run-a'",
    "`run name` = 'run-a'",
    '"Run Name" ILIKE "RUN-%"',
    "attributes.run_id = '${a}'",
    "run_id IN ('${a}', '${c}')",
    "run_id NOT IN ('${a}', '${c}')",
    "attributes.run_id IN ()",
    "attributes.run_id IN ('${a}',)",
    "attributes.run_id IN ('${a}' '${c}')",
    "attributes.run_id IN (1)",
    "attributes.run_id IN '${a}'",
    "run_id > 'a'",
    "attributes.start_time > 1700000000003",
    "attributes.start_time >= '1700000000003'",
    "start_time != 1700000000001",
    "Created > 1700000000003",
    "end_time > 0",
    "attributes.end_time = 1700000009000",
    "user_id = 'u'",
    "User = 'u'",
    "attributes.artifact_uri LIKE '%artifacts'",
    "attributes.lifecycle_stage = 'active'",
    "attributes.experiment_id = '0'",
    "attributes.nothing = 'a'",
    "source_name = 'x'",
    "datasets.name = 'x'",
    "dataset.digest = 'x'",
    "datasets.context LIKE 'x'",
    "datasets.nothing = 'x'",
    "metrics.m > 0 and params.p = '1'",
    "metrics.m > 0 AND params.p = '1' AND tags.t = 'red'",
    "metrics.m > 0 OR params.p = '1'",
    "metrics.m > 0 AND",
    "AND metrics.m > 0",
    "metrics.m > 0;",
    "metrics.m > 0; metrics.m > 1",
    "(metrics.m > 0)",
    "metrics.m >",
    "metrics.m",
    "metrics. > 0",
    "metrics.m > 0 params.p = '1'",
    "0 < metrics.m",
    "metrics.m > 1 + 1",
    "metrics.m == 1",
    "metrics.m <> 1",
    "metrics.m BETWEEN 1 AND 2",
    "metrics.m > .5",
    "metrics.m > 5.",
    "metrics.m > -5",
    "metrics.m > +5",
    "metrics.m > 1e400",
    "metrics.m > nan",
    "metrics.m > inf",
    "metrics.m > 0x10",
    "metrics.m > 1_0",
    "params.p = '",
    "params.p = ''",
    "params.p = 'it''s'",
    "params.p = 'a\\'b'",
    'params.p = "1"',
    "params.p = `1`",
    "params.p = “1”",
    "-- comment",
    "metrics.m > 0 -- comment",
    "/* x */ metrics.m > 0",
    "params.p = '1' /* x */",
    "\n metrics.m\t>\n0 ",
    "trace.x = 'a'",
    "foo.bar = 'a'",
    "tags.t = null",
    "tags.t = 'é☃'",
    "SELECT 1",
    "metrics.m > 0 AND AND params.p = '1'",
    "NOT metrics.m > 0",
    "tags.t NOT LIKE 'r%'",
    "tags.t NOT ILIKE 'r%'",
    "RUN_ID = '${a}'",
    "Attributes.Status = 'RUNNING'",
)
_ORDERS = (
    ["metrics.m"],
    ["metrics.m DESC"],
    ["metrics.m ASC", "start_time DESC"],
    ["metrics.never"],
    ["params.p"],
    ["params.p DESC"],
    ["tags.t"],
    ["tags.t desc", "metrics.m asc"],
    ["attributes.start_time"],
    ["start_time DESC"],
    ["attribute.end_time"],
    ["end_time DESC"],
    ["run_name"],
    ["`run name` DESC"],
    ["status", "start_time"],
    ["Created"],
    ["user_id"],
    ["m"],
    ["metrics.m DESCENDING"],
    ["metrics.m ASC DESC"],
    [""],
    [" "],
    ["nothing.m"],
    ["datasets.name"],
    ["metrics.`m`"],
    ['metrics."m" DESC'],
    ["'metrics.m'"],
    ["attributes.nothing"],
    ["metrics.m", "metrics.m"],
    ["start_time", "start_time DESC"],
    "metrics.m",
    [5],
)

CASES = (
    case("search by filter", *_populate(), *(search(filter=text) for text in _FILTERS)),
    case("search in order", *_populate(), *(search(order_by=order) for order in _ORDERS)),
    case(
        "search by view type, experiment, and size",
        *_populate(),
        *(
            search(run_view_type=view)
            for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL", "NOPE", 1, 2, 3, 7, None)
        ),
        *(search(max_results=size) for size in (0, -1, 1, 3, 50000, 50001, "3", "x", 1.5, 2**40)),
        ask("runs/search", {}),
        ask("runs/search", {"experiment_ids": []}),
        ask("runs/search", {"experiment_ids": ["${exp}", "${exp}", "987654"]}),
        ask("runs/search", {"experiment_ids": ["abc"]}),
        ask("runs/search", {"experiment_ids": "${exp}"}),
        ask("runs/search", {"experiment_ids": [0]}),
        ask("runs/search", {"experimentIds": ["${exp}"], "maxResults": 2}),
        ask("runs/search", {"experiment_ids": ["${exp}"], "experimentIds": ["${exp}"]}),
        search(filter=5),
    ),
    case(
        "search in pages",
        *_populate(),
        ask(
            "runs/search",
            {"experiment_ids": ["${exp}"], "max_results": 2},
            save={"token": "next_page_token"},
        ),
        ask(
            "runs/search",
            {"experiment_ids": ["${exp}"], "max_results": 2, "page_token": "${token}"},
            save={"token2": "next_page_token"},
        ),
        search(max_results=2, page_token="${token2}"),
        search(max_results=5),
        *(
            search(max_results=2, page_token=token)
            for token in (
                "garbage",
                "eyJvZmZzZXQiOiAxfQ==",  # {"offset": 1}
                "eyJvZmZzZXQiOiAxMDAwMDB9",  # beyond the end
                "eyJvZmZzZXQiOiAtMX0=",  # negative
                "eyJvZmZzZXQiOiAiMSJ9",  # a string
                "e30=",  # {}
                "W10=",  # []
                "MQ==",
                "é",
                5,
            )
        ),
    ),
    case(
        "search through the UI's prefix",
        *_populate(),
        ask("/ajax-api/2.0/mlflow/runs/search", {"experiment_ids": ["${exp}"]}),
        get("runs/search", native=False),
    ),
)

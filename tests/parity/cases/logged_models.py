"""Logged models: their life, and searching them."""

import base64
import json
from typing import Any

from tests.parity.cases import ask, case, get, new_experiment, new_run, post
from tests.parity.twins import Step

_GET = get("logged-models/${model}")


def _model(name: str = "model", **fields: Any) -> Step:
    body = {"experiment_id": "${exp}", "name": name, **fields}
    return post("logged-models", body, save={name: "model.info.model_id"})


def _patch(path: str, json: Any) -> Step:
    return Step("PATCH", path, json=json, rows=True)


def _delete(path: str) -> Step:
    return Step("DELETE", path, rows=True)


def _search(**fields: Any) -> Step:
    return ask(
        "logged-models/search", {"experiment_ids": ["${exp}"], "order_by": [{"field_name": "name"}], **fields}
    )


_ORDER = {"field_name": "name", "ascending": True, "dataset_name": None, "dataset_digest": None}


def _next_page(token: str | bytes, **fields: Any) -> Step:
    """A search among the default experiment's models for the page of a token, which is given decoded."""
    token = token.encode() if isinstance(token, str) else token
    return ask(
        "logged-models/search",
        {
            "experiment_ids": ["0"],
            "order_by": [{"field_name": "name"}],
            "page_token": base64.b64encode(token).decode(),
            **fields,
        },
    )


def _page_of(**members: Any) -> Step:
    """The same for a token of that search, but for some members."""
    return _next_page(json.dumps({"experiment_ids": ["0"], "order_by": [_ORDER], **members}))


def _pairs(*keys: str) -> list[dict[str, str]]:
    return [{"key": key, "value": f"{key}-value"} for key in keys]


CASES = (
    case(
        "logged model lives",
        new_experiment(),
        new_run(),
        _model(model_type="agent", source_run_id="${run}", params=_pairs("p"), tags=_pairs("t")),
        _GET,
        post("logged-models/${model}/params", {"model_id": "${model}", "params": _pairs("q")}),
        post("logged-models/${model}/params", {"model_id": "${model}", "params": _pairs("q")}),
        post("logged-models/${model}/params", {"params": _pairs("r")}),
        _patch("logged-models/${model}/tags", {"tags": _pairs("a b", "é%", "t", "a b", "x/y")}),
        _patch("logged-models/${model}/tags", {"tags": "x"}),
        _delete("logged-models/${model}/tags/a%20b"),
        _delete("logged-models/${model}/tags/%C3%A9%25"),
        _delete("logged-models/${model}/tags/never"),
        Step("DELETE", "logged-models/${model}/tags/x%2Fy", native=False, rows=True),
        Step("DELETE", "logged-models/${model}/tags/", native=False),
        post(
            "runs/log-metric",
            {"run_id": "${run}", "key": "m", "value": 1.5, "timestamp": 1, "model_id": "${model}"},
        ),
        _GET,
        *(
            _patch("logged-models/${model}", {"model_id": "${model}", **fields})
            for fields in (
                {"status": "LOGGED_MODEL_READY"},
                {"status": 3},
                {"status": 0},
                {},
                {"status": "2", "model_id": "m-other"},
                {"status": 2, "model_id": ""},
            )
        ),
        _delete("logged-models/${model}"),
        _GET,
        get("logged-models/${model}", {"allow_deleted": "TRUE"}),
        get("logged-models/${model}", {"allow_deleted": "yes"}),
        get("logged-models/m-never"),
        get("logged-models/%22it's%22"),
        get("/ajax-api/2.0/mlflow/logged-models/m-never"),
        _delete("logged-models/m-never"),
        Step("HEAD", "logged-models/m-never", native=False),
        Step("PUT", "logged-models/m-never", json={}, native=False),
    ),
    case(
        "logged models that can't be created",
        new_experiment(),
        *(
            post("logged-models", {"experiment_id": "${exp}", **fields})
            for fields in (
                {"name": "a/b"},
                {"name": "it's"},
                {"name": 5},
                {"params": _pairs("p", "p")},
                {"tags": _pairs("t", "t")},
                {"params": [{}]},
                {"tags": {}},
                {"experiment_id": "none"},
                {"experiment_id": "987654"},
                {"experiment_id": ""},
            )
        ),
        post("logged-models", {}),
    ),
    case(
        "logged models are searched",
        new_experiment(),
        new_run(),
        _model("a", tags=_pairs("t")),
        _model("B", model_type="agent", params=_pairs("p")),
        _model("cd", params=_pairs("p"), tags=_pairs("t")),
        post(
            "runs/log-batch",
            {
                "run_id": "${run}",
                "metrics": [
                    {"key": "m", "value": 2, "timestamp": 1, "model_id": "${a}"},
                    {"key": "m", "value": 1, "timestamp": 2, "model_id": "${a}"},
                    {
                        "key": "m",
                        "value": 1.5,
                        "timestamp": 1,
                        "model_id": "${B}",
                        "dataset_name": "d",
                        "dataset_digest": "e",
                    },
                ],
            },
        ),
        _search(),
        *(
            _search(filter=text)
            for text in (
                "name = 'a'",
                "name = b",
                'name = "a"',
                "name ILIKE 'B'",
                "name LIKE 'c_'",
                "name IN ('a', 'B')",
                "tags.t = 't-value' AND params.p != 'x'",
                "metrics.m > 1.75",
                "metrics.m >= 1 and creation_time > 5",
                "model_type = 'agent'",
                "name = 'a' OR name = 'b'",
                "name IS NOT NULL",
                "labels.x = 'y'",
                "name > 'a'",
                "metrics.m IN (1)",
            )
        ),
        *(
            _search(
                order_by=[{"field_name": "metrics.m", **fields}, {"field_name": "name", "ascending": False}]
            )
            for fields in (
                {},
                {"ascending": False},
                {"dataset_name": "d"},
                {"dataset_name": "d", "dataset_digest": "x"},
            )
        ),
        _search(order_by=[{"field_name": "params.p"}]),
        _search(order_by=[{"field_name": "nothing"}]),
        _search(datasets=[{"dataset_name": "d", "dataset_digest": "e"}]),
        _search(datasets=[{"dataset_name": "d"}]),
        _search(datasets=[{}]),
        ask(
            "logged-models/search",
            {"experiment_ids": ["${exp}"], "max_results": 2, "order_by": [{"field_name": "name"}]},
            save={"token": "next_page_token"},
        ),
        _search(page_token="${token}"),
        _search(page_token="${token}", filter="name = 'a'"),
        ask("logged-models/search", {"experiment_ids": []}),
        ask("logged-models/search", {"experiment_ids": ["x"]}),
        ask("logged-models/search", {}),
    ),
    case(
        "page tokens of logged models",
        post("logged-models", {"experiment_id": "0", "name": "a"}),
        post("logged-models", {"experiment_id": "0", "name": "b"}),
        # Read as Python's int reads them.
        *(
            _page_of(offset=offset)
            for offset in (None, 0, 1, 1.75, True, "1", " 1_0 ", [], {}, "", -0.5, 5.0)
        ),
        # These stop stock.
        *(_page_of(offset=offset) for offset in ("x", [1], {"a": 1}, float("nan"), float("inf"), "1.5")),
        *(
            _page_of(**members)
            for members in (
                {"experiment_ids": None},
                {"experiment_ids": "0"},
                {"experiment_ids": [0]},
                {"experiment_ids": ["0", 1.5, None, True, {"a": "é"}]},
                {"experiment_ids": {"0": "1"}},
                {"filter_string": ""},
                {"filter_string": False},
                {"filter_string": 5},
                {"filter_string": "name = 'a'"},
                {"filter_string": ["\n'"]},
                {"order_by": None},
                {"order_by": []},
                {"order_by": [{**_ORDER, "ascending": False}]},
                {"order_by": "name"},
                {"more": "members"},
            )
        ),
        _next_page("{}"),
        _next_page('{"offset": 1}'),
        # In the words of Python's decoder.
        *(
            _next_page(token)
            for token in (
                " ",
                "x",
                "nul",
                "{'a': 1}",
                '{"a" 1}',
                '{"a": 1 "b": 2}',
                '{"a": 1,}',
                "[1,\n2",
                '{"a": 1}\n\n }',
                '"unterminated',
                '"é\n"',
                '"\\x"',
                '"\\u12"',
                '{"offset": .5}',
                "\ufeff{}",
            )
        ),
        *(_search(page_token=token) for token in ("e30=e30=", "e3 0é=", "====", "-_-_", "e")),
        # JSON, but no object; and no text.
        *(_next_page(token) for token in ("[]", "1", "null", '"text"', b"\xff", b"\xff\xfe{\0}\0")),
    ),
    case(
        "logged models in odd corners",
        new_experiment(),
        _model("here"),
        *(
            _search(page_token=token)
            for token in ("x", "e30=", "eyJvZmZzZXQiOi0xfQ==", "eyJvZmZzZXQiOiJ4In0=")
        ),
        *(_search(max_results=size) for size in (-1, 0, 50, 51, 2**31, "5", "five", 1.5)),
        *(
            _search(filter=text)
            for text in (
                "creation_time > 99999999999999999999",
                "creation_time > 1.5",
                "creation_time = 'x'",
                "metrics.m > 1e400",
                "metrics.m > 'x'",
                "name = '\x00'",
                "name LIKE '%'",
                "name IN ()",
                "model_id = 'm-1'",
                "tags.`a b` = 'x'",
                "params.p IN ('a')",
                "(",
            )
        ),
        _search(order_by=[{}]),
        _search(order_by=[{"field_name": ""}]),
        _search(order_by=[{"field_name": "metrics."}]),
        _search(order_by=["name"]),
        _search(order_by="name"),
        _search(datasets=["d"]),
        _search(experiment_ids=["\x00"]),
        _search(experiment_ids=[None]),
        _search(experiment_ids="1"),
        *(
            post("logged-models", {"experiment_id": "${exp}", **fields})
            for fields in (
                {"name": "n\x00ul"},
                {"name": "n" * 501},
                {"model_type": "t" * 501},
                {"source_run_id": "r" * 33},
                {"source_run_id": "never"},
                {"tags": [{"key": "k" * 300, "value": "v"}]},
                {"tags": [{"key": "k", "value": "v\x00"}]},
                {"params": [{"key": "k", "value": "v" * 7000}]},
                {"params": [{"key": "", "value": "v"}]},
                {"params": [{"value": "v"}]},
                {"experiment_id": "99999999999999999999"},
                {"experiment_id": "\x00"},
                {"name": ""},
            )
        ),
        get("logged-models/m%00"),
        get("logged-models/" + "m" * 300),
        _patch("logged-models/${here}", {"model_id": "${here}", "status": "NOPE"}),
        _patch("logged-models/${here}/tags", {"tags": [{"key": "k\x00", "value": "v"}]}),
        _patch("logged-models/${here}/tags", {"tags": [{}]}),
        _patch("logged-models/${here}/tags", {}),
        post("logged-models/${here}/params", {"model_id": "${here}", "params": _pairs("p", "p")}),
        post("logged-models/${here}/params", {"model_id": "${here}"}),
        _delete("logged-models/${here}/tags/%00"),
        _patch("logged-models/${here}", {"model_id": "${here}", "status": 99}),
        post("logged-models/search", {"experiment_ids": ["0"], "max_results": -1, "filter": "name"}),
        post(
            "logged-models/search",
            {"experiment_ids": ["0"], "max_results": -1, "order_by": [{"field_name": "never"}]},
        ),
    ),
)

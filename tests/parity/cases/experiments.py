"""Experiments: their life, their tags, and what is refused."""

from tests.parity.cases import ask, case, get, new_experiment, new_run, post

_GET = get("experiments/get", {"experiment_id": "${exp}"})

CASES = (
    case(
        "experiment is created and read",
        post("experiments/create", {"name": "${case}"}, save={"exp": "experiment_id"}),
        _GET,
        get("experiments/get-by-name", {"experiment_name": "${case}"}),
        get("/ajax-api/2.0/mlflow/experiments/get", {"experiment_id": "${exp}"}),
    ),
    case(
        "experiment with a tag given twice",
        post(
            "experiments/create",
            {
                "name": "${case}",
                "artifact_location": "s3://bucket/a path/ü?x=1",
                "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": ""}, {"key": "a", "value": "2"}],
            },
        ),
    ),
    case(
        "experiment with distinct tags and location",
        post(
            "experiments/create",
            {
                "name": "${case} é☃😀",
                "artifact_location": "s3://bucket/a path/ü",
                "tags": [
                    {"key": "a", "value": "1"},
                    {"key": "z", "value": ""},
                    {"key": "b", "value": "é\u0000"},
                ],
            },
            save={"exp": "experiment_id"},
        ),
    ),
    case(
        "experiment name taken",
        new_experiment(),
        post("experiments/create", {"name": "${case}-exp"}),
        post("experiments/delete", {"experiment_id": "${exp}"}),
        post("experiments/create", {"name": "${case}-exp"}),
    ),
    case(
        "experiment names refused",
        *(
            post("experiments/create", body)
            for body in (
                {},
                {"name": ""},
                {"name": None},
                {"name": 5},
                {"name": ["a"]},
                {"name": {"a": 1}},
                {"name": True},
                {"name": "x" * 501},
                {"name": " "},
                {"name": "a", "tags": "no list"},
                {"name": "a", "tags": [{"key": "", "value": "1"}]},
                {"name": "a", "tags": [{"key": "x" * 251, "value": "1"}]},
                {"name": "a", "tags": [{"key": "k", "value": "x" * 5001}]},
                {"name": "a", "tags": [{"key": "../up", "value": "x"}]},
                {"name": "a", "artifact_location": 5},
                {"name": "a", "artifact_location": "mlflow-artifacts:/../x"},
                {"name": "a", "artifact_location": "s3://bucket/x#fragment"},
                {"name": "a", "artifact_location": "ftp://user@host/x?y=1"},
            )
        ),
    ),
    case(
        "experiment is deleted and restored with its runs",
        new_experiment(),
        new_run("run"),
        new_run("gone"),
        post("runs/delete", {"run_id": "${gone}"}, rows=False),
        post("experiments/delete", {"experiment_id": "${exp}"}),
        _GET,
        post("experiments/delete", {"experiment_id": "${exp}"}),
        post("experiments/update", {"experiment_id": "${exp}", "new_name": "${case}-other"}),
        post("experiments/set-experiment-tag", {"experiment_id": "${exp}", "key": "a", "value": "b"}),
        post("runs/create", {"experiment_id": "${exp}"}),
        post("experiments/restore", {"experiment_id": "${exp}"}),
        post("experiments/restore", {"experiment_id": "${exp}"}),
        _GET,
    ),
    case(
        "experiment is renamed",
        new_experiment(),
        new_experiment("second"),
        post("experiments/update", {"experiment_id": "${exp}", "new_name": "${case}-new"}),
        _GET,
        post("experiments/update", {"experiment_id": "${exp}", "new_name": "${case}-second"}),
        post("experiments/update", {"experiment_id": "${exp}"}),
        post("experiments/update", {"experiment_id": "${exp}", "new_name": ""}),
        post("experiments/update", {"experiment_id": "${exp}", "new_name": "x" * 501}),
        post("experiments/update", {"experiment_id": "987654", "new_name": "x"}),
    ),
    case(
        "experiment tags",
        new_experiment(),
        *(
            post("experiments/set-experiment-tag", {"experiment_id": "${exp}", **tag})
            for tag in (
                {"key": "a", "value": "1"},
                {"key": "a", "value": "2"},
                {"key": "b"},
                {"key": "c", "value": ""},
                {"key": "", "value": "x"},
                {"value": "x"},
                {"key": 5, "value": "x"},
                {"key": "d", "value": 5},
                {"key": "k" * 250, "value": "x"},
                {"key": "k" * 251, "value": "x"},
                {"key": "d", "value": "v" * 5000},
                {"key": "d", "value": "v" * 5001},
                {"key": "bad\nkey", "value": "x"},
                {"key": "/abs", "value": "x"},
                {"key": "a//b", "value": "x"},
                {"key": "ok key.-_/:é", "value": "x"},
            )
        ),
        _GET,
        post("experiments/delete-experiment-tag", {"experiment_id": "${exp}", "key": "a"}),
        post("experiments/delete-experiment-tag", {"experiment_id": "${exp}", "key": "a"}),
        post("experiments/delete-experiment-tag", {"experiment_id": "${exp}"}),
        _GET,
    ),
    case(
        "experiments that aren't there",
        *(
            step
            for wrong in ("987654", "abc", "", "-1", "1.5", "99999999999999999999", " 1", "0x1")
            for step in (
                get("experiments/get", {"experiment_id": wrong}),
                post("experiments/delete", {"experiment_id": wrong}),
                post("experiments/restore", {"experiment_id": wrong}),
                post("experiments/set-experiment-tag", {"experiment_id": wrong, "key": "a", "value": "b"}),
                post("experiments/delete-experiment-tag", {"experiment_id": wrong, "key": "a"}),
                post("runs/create", {"experiment_id": wrong}),
            )
        ),
        get("experiments/get"),
        get("experiments/get-by-name", {"experiment_name": "never made"}),
        get("experiments/get-by-name", {"experiment_name": ""}),
        get("experiments/get-by-name"),
    ),
    case(
        "custom views are limited",
        new_experiment(),
        *(
            post(
                "experiments/set-experiment-tag",
                {"experiment_id": "${exp}", "key": f"mlflow.customView.view.v1.{number}", "value": "{}"},
                rows=False,
            )
            for number in (*range(52), 7)
        ),
        post(
            "experiments/set-experiment-tag",
            {"experiment_id": "${exp}", "key": "mlflow.customView.other", "value": "{}"},
        ),
        *(
            post(
                "experiments/create",
                {
                    "name": f"${{case}}-{count}",
                    "tags": [
                        {"key": f"mlflow.customView.view.v1.{number}", "value": "{}"}
                        for number in range(count)
                    ],
                },
            )
            for count in (50, 51)
        ),
        _GET,
    ),
    case(
        "experiments by other spellings of their IDs",
        new_experiment(),
        *(
            step
            for number, spelling in enumerate(
                ("0_${exp}", " ${exp} ", "+${exp}", "0${exp}", "${exp}.0", "${exp}_")
            )
            for step in (
                get("experiments/get", {"experiment_id": spelling}),
                post("experiments/update", {"experiment_id": spelling, "new_name": "${case}-renamed"}),
                ask("runs/search", {"experiment_ids": [spelling]}),
                ask("logged-models/search", {"experiment_ids": [spelling]}),
                ask(
                    "experiments/search",
                    {"max_results": 5, "filter": f"experiment_id = '{spelling}'"},
                ),
                ask(
                    "experiments/search",
                    {"max_results": 5, "filter": f"experiment_id IN ('{spelling}', '0')"},
                ),
                post("runs/create", {"experiment_id": spelling, "start_time": number, "run_name": "run"}),
                post("logged-models", {"experiment_id": spelling, "name": "model"}),
                post(
                    "experiments/set-experiment-tag",
                    {"experiment_id": spelling, "key": "key", "value": spelling},
                ),
                ask("experiments/delete-experiment-tag", {"experiment_id": spelling, "key": "key"}),
                post("experiments/delete", {"experiment_id": spelling}),
                post("experiments/restore", {"experiment_id": spelling}),
            )
        ),
    ),
    case(
        "experiments are searched by their IDs",
        new_experiment("one"),
        new_experiment("two"),
        *(
            ask("experiments/search", {"max_results": 5, "filter": f"{condition} AND name LIKE '${{case}}%'"})
            for condition in (
                "experiment_id = '${one}'",
                "experiment_id != '${one}'",
                "experiment_id IN ('${one}', '${two}')",
                "attribute.experiment_id not in ('${one}')",
                "experiment_id = ${one}",
                "experiment_id > '${one}'",
                "experiment_id LIKE '${one}'",
                "experiment_id IN (${one})",
                "experiment_id = 'one'",
                "experiment_id IN ('${one}', 'two')",
                "creation_time > 1.5",
                "creation_time > '1'",
                "tags.team IS NULL",
            )
        ),
    ),
    case(
        "experiments are searched",
        *(
            new_experiment(name, tags=[{"key": "team", "value": team}, {"key": "suite", "value": "${case}"}])
            for name, team in (("Alpha", "x"), ("beta", "X"), ("gamma%", "y"), ("delta_", "z"))
        ),
        post("experiments/delete", {"experiment_id": "${beta}"}),
        *(
            ask(
                "experiments/search",
                {"filter": f"tags.suite = '${{case}}'{extra}", "max_results": 10, **more},
            )
            for extra, more in (
                ("", {}),
                ("", {"view_type": "ALL"}),
                ("", {"view_type": "DELETED_ONLY"}),
                ("", {"view_type": 3}),
                ("", {"order_by": ["name"]}),
                ("", {"order_by": ["name DESC"]}),
                ("", {"order_by": ["experiment_id ASC"]}),
                ("", {"order_by": ["creation_time", "name"]}),
                ("", {"order_by": ["tags.team"]}),
                ("", {"order_by": ["nothing"]}),
                (" AND name LIKE '%alpha%'", {}),
                (" AND name ILIKE '%alpha%'", {}),
                (" AND name LIKE '%a\\%%'", {}),
                (" AND tags.team = 'x'", {"view_type": "ALL"}),
                (" AND tags.team != 'x'", {"view_type": "ALL"}),
                (" AND tags.team LIKE 'X'", {"view_type": "ALL"}),
                (" AND tags.team ILIKE 'X'", {"view_type": "ALL"}),
                (" AND creation_time > 0", {}),
                (" AND last_update_time < 10", {}),
                (" AND name IN ('a')", {}),
                (" AND nothing = 'a'", {}),
                (" OR name = 'a'", {}),
                (" AND name > 'a'", {}),
                (" AND creation_time = 'a'", {}),
                (" AND", {}),
                (" AND name = 5", {}),
                (" AND name = 'a", {}),
            )
        ),
        ask(
            "experiments/search",
            {"filter": "tags.suite = '${case}'", "max_results": 1, "order_by": ["name"]},
            save={"token": "next_page_token"},
        ),
        ask(
            "experiments/search",
            {
                "filter": "tags.suite = '${case}'",
                "max_results": 1,
                "order_by": ["name"],
                "page_token": "${token}",
            },
        ),
        *(
            ask("experiments/search", body)
            for body in (
                {},
                {"max_results": 0},
                {"max_results": -1},
                {"max_results": 50001},
                {"max_results": "x"},
                {"max_results": 1, "page_token": "garbage"},
                {"max_results": 1, "page_token": "eyJvZmZzZXQiOiAxMH0="},
                {"max_results": 1, "view_type": "NOPE"},
                {"max_results": 1, "order_by": "name"},
                {"max_results": 1, "filter": 5},
            )
        ),
        get("experiments/search", {"max_results": 2, "view_type": "ACTIVE_ONLY"}),
        get("experiments/search", {"max_results": "2", "order_by": ["name", "experiment_id DESC"]}),
        get("experiments/search"),
    ),
)

"""Fills a database with runs and experiments, and searches it with MLflow's own store.

Reads a JSON object from standard input: ``uri`` of a database, and ``questions``, each with
``about`` (``runs`` or ``experiments``) and the arguments of the search. Writes the list of answers
to standard output: ``messages``, the entities as protobuf in base64, and ``token``; or ``code`` and
``message`` of the error.
"""

import base64
import json
import math
import random
import sys
from typing import Any

import sqlalchemy as sa
from mlflow.entities import (
    Dataset,
    DatasetInput,
    ExperimentTag,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    RunStatus,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

WORDS = [
    "alpha",
    "Alpha",
    "ALPHA",
    "beta",
    "a_b",
    "a%b",
    "axb",
    "ünï",
    "Ünï",
    "",
    " ",
    "it's",
    "10",
    "9",
    "1.0",
]
NUMBERS = [
    0.0, -0.0, 1.0, -1.0, 1.5, 2.0, 1e-300, 1e300, math.inf, -math.inf, math.nan, 0.1, 1e16, 3.0, 2.5,
]  # fmt: skip
TIMES = [0, 1, 1000, 1000, 2000, 1_600_000_000_000, 1_600_000_000_001]
KEYS = ["a", "b", "A", "a b", "start_time", "mlflow.note"]


def subset(choose: random.Random, items: list[Any], most: int) -> list[Any]:
    """Chooses up to so many of the items."""
    return choose.sample(items, choose.randrange(most + 1))


def some_keys(store: SqlAlchemyStore, choose: random.Random) -> list[str]:
    """Chooses up to four keys that the database can tell apart: to MySQL's collations, a is A."""
    keys = subset(choose, KEYS, 4)
    return list({key.casefold(): key for key in keys}.values()) if store.db_type == "mysql" else keys


def fill_experiments(store: SqlAlchemyStore, choose: random.Random) -> list[str]:
    """Adds experiments with tags and some of the same times."""
    ids = []
    for i, word in enumerate([*WORDS[:9], "it's"]):
        tags = [ExperimentTag(key, choose.choice(WORDS)) for key in some_keys(store, choose)]
        ids.append(store.create_experiment(f"{word}{i}", tags=tags))
    store.create_experiment("x" * 3)
    with store.engine.begin() as connection:
        for id_ in ids:
            times = {"c": choose.choice([*TIMES, None]), "u": choose.choice([*TIMES, None]), "i": int(id_)}
            connection.execute(
                sa.text(
                    "UPDATE experiments SET creation_time = :c, last_update_time = :u"
                    " WHERE experiment_id = :i"
                ),
                times,
            )
    store.delete_experiment(ids[3])
    return ids


def fill_run(store: SqlAlchemyStore, choose: random.Random, experiment: str, datasets: list[Dataset]) -> None:
    """Adds a run and logs to it."""
    named = RunTag("mlflow.runName", choose.choice([w for w in WORDS if w]))
    tags = [RunTag(key, choose.choice(WORDS)) for key in some_keys(store, choose)]
    run = store.create_run(experiment, choose.choice(WORDS), choose.choice(TIMES), [named, *tags], None)
    id_ = run.info.run_id
    store.log_batch(
        id_,
        [
            Metric(key, choose.choice(NUMBERS), choose.choice(TIMES), choose.randrange(3))
            for key in some_keys(store, choose)
            for _ in range(2)
        ],
        [Param(key, choose.choice(WORDS)) for key in some_keys(store, choose)],
        [],
    )
    store.log_inputs(
        id_,
        [
            DatasetInput(
                dataset,
                [InputTag(key, choose.choice(["train", "Eval"])) for key in ("mlflow.data.context", "other")]
                if choose.random() > 0.3  # noqa: PLR2004
                else [],
            )
            for dataset in subset(choose, datasets, 2)
        ],
    )
    if choose.random() > 0.5:  # noqa: PLR2004
        status = choose.choice([RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED])
        store.update_run_info(id_, status, choose.choice(TIMES), None)
    if choose.random() < 0.2:  # noqa: PLR2004
        store.delete_run(id_)


def fill(store: SqlAlchemyStore) -> None:
    """Fills the database, the same way each time but for the IDs."""
    choose = random.Random(7)  # noqa: S311
    experiments = fill_experiments(store, choose)
    other = "d3" if store.db_type == "mysql" else "d1"
    datasets = [
        Dataset(name, digest, "local", f"{{'uri': '{name}'}}", schema, None)
        for name, digest, schema in [("one", "d1", None), ("One", other, "{}"), ("two", "D2", None)]
    ]
    for _ in range(80):
        fill_run(store, choose, choose.choice(experiments[:3]), datasets)
    with store.engine.begin() as connection:
        # As in databases of old versions: runs without a name of their own.
        connection.execute(sa.text("UPDATE runs SET name = NULL WHERE start_time = 1000 AND user_id = '9'"))
        connection.execute(sa.text("UPDATE runs SET end_time = 5 WHERE start_time = 2000"))
    model = store.create_logged_model(experiments[0])
    for run in store.search_runs([experiments[0]], "", ViewType.ACTIVE_ONLY)[:5]:
        store.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 3)])


def search(store: SqlAlchemyStore, question: dict[str, Any]) -> dict[str, Any]:
    """Answers one question."""
    method = {"runs": store.search_runs, "experiments": store.search_experiments}[question.pop("about")]
    try:
        found = method(**question)
    except MlflowException as e:
        return {"code": e.error_code, "message": str(e.message)}
    messages = [base64.b64encode(entity.to_proto().SerializeToString()).decode() for entity in found]
    return {"messages": messages, "token": found.token.decode() if found.token else None}


def main() -> None:
    """Fills the database and answers the questions."""
    request = json.load(sys.stdin)
    store = SqlAlchemyStore(request["uri"], "s3://bucket/root")
    fill(store)
    json.dump([search(store, question) for question in request["questions"]], sys.stdout)


if __name__ == "__main__":
    main()

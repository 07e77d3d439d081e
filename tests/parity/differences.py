"""Where mlflow-go means to differ from stock MLflow, each with its reason.

Stock is wrong in each of these: it answers 500, carries on with a request that it could read only in
part, or shows a driver's text. We answer a clear 4xx in MLflow's JSON shape and write nothing, or, where
only stock's own search fails, what was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import requests

from tests.parity.twins import MismatchError


@dataclass(frozen=True)
class Difference:
    """One way in which a step may differ.

    Attributes:
        reason: Why ours is right.
        stock: The status that stock gives; when it stops doing so, the entry must go.
        ours: The statuses that we may give instead.
        stock_says: What stock's answer contains.
        we_say: What our message contains.
    """

    reason: str
    stock: int
    ours: tuple[int, ...] = (400,)
    stock_says: str = ""
    we_say: str = ""

    def check(self, stock: requests.Response, ours: requests.Response) -> None:
        if stock.status_code != self.stock or self.stock_says not in stock.text:
            raise MismatchError(f"stock no longer does this, the entry is out of date: {self.reason}")
        if ours.status_code not in self.ours:
            raise MismatchError(f"we answer {ours.status_code} and meant {self.ours}: {self.reason}")
        if ours.ok:
            return
        body = ours.json()
        if not body["error_code"] or not body["message"] or self.we_say not in body["message"]:
            raise MismatchError(f"we meant an error that says {self.we_say!r}: {self.reason}")
        if "[SQL:" in body["message"] or "sqlalche.me" in body["message"]:
            raise MismatchError("our message shows a statement")


HALF_READ = Difference(
    "a field that can't be read is left out by stock, with those after it, and the rest carried out",
    stock=200,
    we_say="Cannot read the request",
)
CRASH = Difference(
    "stock fails with an exception that nobody catches, and answers with a page of HTML",
    stock=500,
    ours=(400, 404),
    stock_says="Internal Server Error",
)
DRIVER = Difference(
    "stock passes to the driver what no column can hold, and the driver's exception becomes a 500",
    stock=500,
    ours=(400, 404),
    stock_says="INTERNAL_ERROR",
)
STATEMENT = Difference(
    "stock shows the statement with its values, and a link to SQLAlchemy's documentation",
    stock=400,
    stock_says="sqlalche.me",
)
NEGATIVE_OFFSET = Difference(
    "SQLite takes a negative offset for none: stock answers a page that nobody asked for",
    stock=200,
    we_say="Invalid page token",
)
NO_OFFSET = Difference(
    "the offset in a page token is no number: stock fails on it with Python's exception, a 500",
    stock=500,
    stock_says="INTERNAL_ERROR",
    we_say="Invalid page token",
)
BEYOND_64_BITS = Difference(
    "PostgreSQL compares numbers of any size; SQLite, and we, take 64 bits",
    stock=200,
    we_say="whole number of 64 bits",
)

HALF_A_TAG = Difference(
    "stock takes a tag that it can't read for one without a name",
    stock=400,
    stock_says="This name would resolve to '.'",
    we_say="Cannot read the request",
)
TWO_SPELLINGS = Difference(
    "stock tries three times to store tags that are one to the database, and answers 500",
    stock=500,
    stock_says="Giving up after 3 attempts",
)
OTHER_SPELLING = Difference(
    "stock's search fails on versions that were created by another spelling of their model's name",
    stock=500,
    ours=(200,),
    stock_says="INTERNAL_ERROR",
)
NEGATIVE_PAGE = Difference(
    "stock makes of a negative size a LIMIT that databases take for none, or for no rows",
    stock=200,
    we_say="It must be a positive integer",
)
#: Those that any field of any request may meet.
KINDS = (
    HALF_READ,
    # What stock goes on with may then be refused for a reason that isn't in the request.
    replace(HALF_READ, stock=400),
    replace(HALF_READ, stock=404),
    CRASH,
    DRIVER,
    STATEMENT,
)

#: By case, then by the number of the step.
DIFFERENCES: dict[str, dict[int, Difference]] = {
    "batches that stock reads by halves": {2: HALF_READ, 3: HALF_READ, 4: HALF_READ, 5: CRASH},
    "bodies that aren't what they should be": dict.fromkeys((4, 5, 6, 7, 17), CRASH),
    "experiment is renamed": {4: STATEMENT},
    "experiment name taken": {1: STATEMENT, 3: STATEMENT},
    "experiment names refused": {15: STATEMENT},
    "experiment with a tag given twice": {0: STATEMENT},
    "experiments by other spellings of their IDs": dict.fromkeys((7, 8, 9), STATEMENT),
    "experiments that aren't there": {17: STATEMENT},
    "datasets are logged": {5: STATEMENT},
    "graphql that goes wrong": dict.fromkeys((19, 20, 21, 22, 23, 25, 26), CRASH),
    "histories of many runs": {27: CRASH, 29: CRASH},
    "logged model lives": {5: STATEMENT},
    "model versions refused": {3: CRASH},
    "page tokens of logged models": {
        **dict.fromkeys(range(14, 20), NO_OFFSET),
        **dict.fromkeys(range(56, 63), CRASH),
    },
    "registered model lives": {14: STATEMENT},
    "registered models are searched": {25: CRASH, 40: NEGATIVE_PAGE},
    "registry requests that stock reads by halves": {0: HALF_READ, 1: HALF_A_TAG, 3: HALF_READ},
    "logged models that can't be created": {4: STATEMENT, 5: STATEMENT},
    "logged models in odd corners": {
        2: CRASH,
        6: NEGATIVE_PAGE,
        10: HALF_READ,
        13: HALF_READ,
        16: DRIVER,
        18: DRIVER,
        54: STATEMENT,
        57: HALF_READ,
    },
    "metric history in pages": {8: HALF_READ},
    "metrics that stock reads by halves": {
        **dict.fromkeys((2, 3, 4, 5), HALF_READ),
        6: CRASH,
        7: STATEMENT,
    },
    "output models are logged": {3: STATEMENT},
    "run names come from name, tag, or nowhere": {18: STATEMENT},
    "runs that stock reads by halves": {1: HALF_READ, 2: HALF_READ, 3: STATEMENT},
    "search by view type, experiment, and size": dict.fromkeys((22, 32, 39), HALF_READ),
    "search in pages": {25: DRIVER, 26: DRIVER, 27: DRIVER, 28: HALF_READ},
    "trace metrics that stock fails on": dict.fromkeys(range(4), CRASH),
    "webhook changes refused": {5: STATEMENT, 6: CRASH},
    "webhook events refused": {**dict.fromkeys((4, 5, 6, 7, 9, 10), CRASH), 8: STATEMENT},
    "webhook fields refused": {16: CRASH},
    "webhooks that aren't there": {10: CRASH},
}

#: The same for those that only one database shows.
DIFFERENCES_ON: dict[str, dict[str, dict[int, Difference]]] = {
    "sqlite": {
        "experiments that aren't there": dict.fromkeys(range(30, 36), DRIVER),
        "histories of many runs": {28: DRIVER},
        "logged models in odd corners": {45: DRIVER},
        "model versions refused": {14: DRIVER},
        "registered models spelled alike": {14: STATEMENT},
        "search in pages": {22: NEGATIVE_OFFSET},
        "trace metrics that stock fails on": {5: NEGATIVE_PAGE},
    },
    "postgresql": {
        "experiment with distinct tags and location": {0: DRIVER},
        "histories of many runs": {28: BEYOND_64_BITS},
        "logged models in odd corners": {
            **dict.fromkeys((19, 35, 41, 48, 51, 56), DRIVER),
            **dict.fromkeys((36, 37, 38, 40), STATEMENT),
        },
        "params are immutable": {18: DRIVER},
        "registered models spelled alike": {14: STATEMENT},
        "run is updated": {12: STATEMENT},
        "run names come from name, tag, or nowhere": dict.fromkeys((7, 14, 15, 17), STATEMENT),
        "search in pages": {22: STATEMENT},
        "trace metrics that stock fails on": {5: STATEMENT},
    },
    "mysql": {
        "datasets spelled alike": {3: STATEMENT},
        "experiments spelled alike": {1: STATEMENT},
        "histories of many runs": {28: BEYOND_64_BITS},
        "logged models in odd corners": dict.fromkeys((17, 36, 37, 38, 40), STATEMENT),
        "metrics spelled alike": dict.fromkeys(range(3, 8), STATEMENT),
        "params spelled alike": dict.fromkeys((8, 10, 11), STATEMENT),
        "params are immutable": {18: STATEMENT},
        "run is updated": {12: STATEMENT},
        "run names come from name, tag, or nowhere": dict.fromkeys((7, 14, 15, 17), STATEMENT),
        "registered models spelled alike": {21: STATEMENT},
        "search by filter": {110: STATEMENT},
        "search in pages": {22: STATEMENT},
        "trace metrics that stock fails on": {5: STATEMENT},
        "versions created by another spelling": {7: OTHER_SPELLING},
        "versions with tags spelled alike": {1: TWO_SPELLINGS},
    },
}


def differences(database: str, case: str) -> dict[int, Difference]:
    """Give the steps of a case that differ on a database."""
    return DIFFERENCES.get(case, {}) | DIFFERENCES_ON[database].get(case, {})

"""Where mlflow-go means to differ from stock MLflow, each with its reason.

Stock is wrong in each of these: it answers 500, or carries on with a request that it could read
only in part. We answer a clear 4xx in MLflow's JSON shape and write nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import requests

from tests.parity.twins import MismatchError


@dataclass(frozen=True)
class Difference:
    """One step that may differ.

    Attributes:
        reason: Why ours is right.
        stock: The status that stock gives; when it stops doing so, the entry must go.
        ours: The status that we give instead.
        code: Our error code.
        message: What our message contains.
    """

    reason: str
    stock: int
    ours: int
    code: str = "INVALID_PARAMETER_VALUE"
    message: str = ""

    def check(self, stock: requests.Response, ours: requests.Response) -> None:
        if stock.status_code != self.stock:
            raise MismatchError(f"stock now answers {stock.status_code}: this difference is out of date")
        if ours.status_code != self.ours:
            raise MismatchError(f"we answer {ours.status_code} and meant {self.ours}: {self.reason}")
        body = ours.json()
        if body["error_code"] != self.code or not body["message"] or self.message not in body["message"]:
            raise MismatchError(f"we meant {self.code} ({self.message!r}): {self.reason}")


#: By case, then by the number of the step.
DIFFERENCES: dict[str, dict[int, Difference]] = {}

"""Apply MLflow's functions to the locations in standard input, a JSON list."""

import json
import sys
from collections.abc import Callable

from mlflow.exceptions import MlflowException
from mlflow.utils.uri import append_to_uri_path, resolve_uri_if_local, validate_query_string


def answer(function: Callable[..., str | None], *arguments: str) -> str | None:
    """Give the function's result, or the error's message after an exclamation mark."""
    try:
        return function(*arguments)
    except MlflowException as e:
        return "!" + e.message
    except ValueError:
        return "!"


json.dump(
    [
        [
            answer(append_to_uri_path, location, "run", "/artifacts"),
            answer(resolve_uri_if_local, location),
            answer(validate_query_string, location),
        ]
        for location in json.load(sys.stdin)
    ],
    sys.stdout,
)

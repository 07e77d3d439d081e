"""Answer requests with MLflow's own handlers and store.

Arguments: the database's URI and the default artifact root. Each line of standard input is a JSON
object with the request's ``method``, its ``path`` below ``/api/2.0/mlflow/`` and its ``body`` or
``query``; each line of standard output has the answer's ``status`` and ``body``, and as ``events``
what webhooks would have been told, as JSON.
"""

import json
import os
import sys


def main() -> None:
    """Serve until standard input ends."""
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = sys.argv[1]
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = sys.argv[2]

    from mlflow.server import app, handlers

    # Creating the default experiment leaves its connection to MySQL without any SQL mode, which
    # then cuts long texts off.
    handlers._get_tracking_store()._dispose_engine()  # noqa: SLF001 -- MLflow has no other way

    told = []

    def deliver_webhook(event, payload, store) -> None:  # noqa: ANN001 - MLflow's
        """Note what webhooks would be told."""
        del store
        told.append([event.entity.value, event.action.value, payload])

    handlers.deliver_webhook = deliver_webhook
    client = app.test_client()
    for line in sys.stdin:
        request = json.loads(line)
        response = client.open(
            f"/api/2.0/mlflow/{request['path']}",
            method=request["method"],
            query_string=request.get("query"),
            data=request.get("body"),
            content_type="application/json" if "body" in request else None,
        )
        events = "\n".join(json.dumps(event, separators=(",", ":"), ensure_ascii=False) for event in told)
        told.clear()
        answer = {
            "status": response.status_code,
            "body": response.get_data(as_text=True),
            "events": events,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

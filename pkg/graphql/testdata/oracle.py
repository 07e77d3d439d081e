"""Answer GraphQL queries with MLflow's own server.

The argument is the database's URI. Each line of standard input is a JSON text, the body of a request;
each line of standard output has the answer's ``status`` and ``body``.
"""

import json
import os
import sys


def main() -> None:
    """Serve until standard input ends."""
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = sys.argv[1]
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = "mlflow-artifacts:/"

    from mlflow.server import app

    client = app.test_client()
    for line in sys.stdin:
        response = client.post("/graphql", data=line, content_type="application/json")
        answer = {"status": response.status_code, "body": response.get_data(as_text=True)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

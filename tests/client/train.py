"""What a user's training script does, with whichever MLflow client imports it.

Prints its client's version, and what the server says of it, as JSON, ids left out, so that two servers
can be compared.
"""

import json
import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient


def main() -> None:
    mlflow.set_tracking_uri(sys.argv[1])
    experiment = mlflow.set_experiment("training by script")
    client = MlflowClient()
    with mlflow.start_run(run_name="parent") as parent:
        mlflow.log_params({"learning_rate": 0.1, "depth": 3})
        mlflow.set_tags({"team": "tests", "mlflow.note.content": "a *note*"})
        for step in range(10):
            mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
        mlflow.log_metrics({"auc": 0.9, "not a number": float("nan")}, step=3)
        mlflow.log_dict({"a": 1}, "nested/config.json")
        mlflow.log_text("hello", "hello.txt")
        for number in range(2):
            with mlflow.start_run(run_name=f"child {number}", nested=True):
                mlflow.log_metric("loss", number)
    found = client.search_runs(
        [experiment.experiment_id],
        "metrics.loss >= 0 and attributes.status = 'FINISHED'",
        order_by=["metrics.loss DESC", "attributes.run_name"],
    )
    with tempfile.TemporaryDirectory() as folder:
        downloaded = Path(client.download_artifacts(parent.info.run_id, "hello.txt", folder)).read_text()
    run = client.get_run(parent.info.run_id)
    client.update_run(parent.info.run_id, name="parent, renamed")
    client.delete_run(found[-1].info.run_id)
    print(
        json.dumps(
            {
                "client": mlflow.__version__,
                "runs": [found_run.info.run_name for found_run in found],
                "params": run.data.params,
                "metrics": {key: repr(value) for key, value in sorted(run.data.metrics.items())},
                "tags": {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")},
                "history": [
                    (metric.step, metric.value)
                    for metric in client.get_metric_history(parent.info.run_id, "loss")
                ],
                "artifacts": sorted(item.path for item in client.list_artifacts(parent.info.run_id)),
                "downloaded": downloaded,
                "left": len(client.search_runs([experiment.experiment_id])),
                "renamed": client.get_run(parent.info.run_id).info.run_name,
                "experiments": [found.name for found in client.search_experiments(order_by=["name"])],
            }
        )
    )


if __name__ == "__main__":
    main()

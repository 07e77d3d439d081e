"""Artifacts in the BucketFS of an Exasol database; docs/exasol.md is the guide.

Imports nothing else of mlflow-go: MLflow loads `plugin` in every process that uses artifacts, and
that must not turn anything on.
"""

from mlflow_go.exasol.location import BucketLocation, udf_path

__all__ = ["BucketLocation", "udf_path"]

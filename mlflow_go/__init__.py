"""MLflow's tracking server in Go."""

from mlflow_go._version import __version__

__all__ = ["__version__"]

"""MLflow's tracking server in Go, and its stores in Go in this process.

With MLFLOW_GO=1 in the environment, importing this package turns Go on.
"""

from mlflow_go._switch import disable_go, enable_go, follow_environment, is_go_enabled
from mlflow_go._version import __version__

__all__ = ["__version__", "disable_go", "enable_go", "is_go_enabled"]

follow_environment()

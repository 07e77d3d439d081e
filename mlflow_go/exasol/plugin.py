"""What MLflow loads for ``exa+bfs://`` and ``exa+bfss://`` (entry points `mlflow.artifact_repository`).

Exasol has a plugin for the same schemes, exasol-mlflow-plugin. Which of two plugins MLflow keeps
depends on the order in which it finds them; so where Exasol's is installed and can be loaded, ours
hands everything to it.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable

from mlflow.store.artifact.artifact_repo import ArtifactRepository

_logger = logging.getLogger(__name__)
_EXASOLS_PLUGIN = "exasol-mlflow-plugin"
_GROUP = "mlflow.artifact_repository"

Factory = Callable[[str, str | None, str | None], ArtifactRepository]


def bucketfs_artifact_repository(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> ArtifactRepository:
    """Make the artifact repository of a URI, as MLflow's registry asks for it."""
    return _factory(artifact_uri, tracking_uri, registry_uri)


def _ours(artifact_uri: str, tracking_uri: str | None, registry_uri: str | None) -> ArtifactRepository:
    from mlflow_go.exasol.artifact_repo import BucketFSArtifactRepository

    return BucketFSArtifactRepository(artifact_uri, tracking_uri, registry_uri)


def _choose() -> Factory:
    """Find out which plugin serves, and say so if there are two."""
    try:
        theirs = importlib.metadata.distribution(_EXASOLS_PLUGIN).entry_points
    except importlib.metadata.PackageNotFoundError:
        return _ours
    try:
        factory = next(iter(theirs.select(group=_GROUP))).load()
    except Exception as error:  # noqa: BLE001 - it is another's code, made for another MLflow
        _logger.warning(
            "mlflow-go serves exa+bfs:// and exa+bfss://: %s is installed too, but can't be loaded (%s)",
            _EXASOLS_PLUGIN,
            error,
        )
        return _ours
    _logger.warning(
        "mlflow-go leaves exa+bfs:// and exa+bfss:// to %s: uninstall that to have mlflow-go serve them",
        _EXASOLS_PLUGIN,
    )
    return factory


_factory = _choose()

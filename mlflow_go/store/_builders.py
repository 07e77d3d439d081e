"""MLflow's registries of stores: what builds a store for the scheme of a URI."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from mlflow.tracking._model_registry import registry as model_registry
from mlflow.tracking._model_registry import utils as model_registry_utils
from mlflow.tracking._tracking_service import registry as tracking_registry
from mlflow.tracking._tracking_service import utils as tracking_utils

from mlflow_go.store import _database, _dispatch

# What was where: by a registry's dict of builders, as it is, and the scheme.
_replaced: list[tuple[dict[str, Any], str, Callable[..., Any]]] = []


def are_replaced() -> bool:
    """Tell whether Go's builders are in the places of MLflow's."""
    return bool(_replaced)


def replace() -> None:
    """Put Go's builders in the places of MLflow's own.

    MLflow may hold a lock that can't be taken twice, as it does when a builder runs: nothing that
    takes one is called.
    """
    _dispatch.prepare()
    _database.tell_what_stays()
    for registry, mlflows, wrap in (
        (tracking_utils._tracking_store_registry, tracking_utils._get_sqlalchemy_store, _tracking_builder),
        (
            model_registry_utils._get_store_registry(),
            model_registry_utils._get_sqlalchemy_store,
            _model_registry_builder,
        ),
    ):
        builders = registry._registry
        for scheme, builder in list(builders.items()):
            if builder is mlflows:
                _replaced.append((builders, scheme, builder))
                builders[scheme] = wrap(builder)
    _forget_stores()


def restore() -> None:
    """Put MLflow's own builders back, and have the stores of ours that somebody has leave Go."""
    for builders, scheme, builder in _replaced:
        builders[scheme] = builder
    _replaced.clear()
    _dispatch.leave_go()
    _forget_stores()


def _forget_stores() -> None:
    """Empty MLflow's caches of stores, so that those that are asked for next are built anew."""
    tracking_registry.TrackingStoreRegistry._get_store_with_resolved_uri.cache_clear()
    tracking_utils._get_tracking_scheme_with_resolved_uri.cache_clear()
    model_registry.ModelRegistryStoreRegistry._get_store_with_resolved_uri.cache_clear()


def _unless_restored(store: Any) -> Any:
    """Have a store leave Go if Go was turned off while it was built: MLflow's cache keeps it."""
    if not _replaced:
        store._session = None
    return store


def _is_mlflows(module: ModuleType) -> bool:
    """Tell whether the store that a module of MLflow's has is MLflow's own: tests put others there."""
    return module.SqlAlchemyStore.__module__ == module.__name__


# MLflow looks at a builder's module, to tell its own stores from others', and at its parameters: a
# builder that wraps MLflow's has those.


def _tracking_builder(mlflows: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(mlflows)
    def build(store_uri: str, artifact_uri: str | None) -> Any:
        # MLflow's builder imports both of these: whoever has the one replaced needs the other to be there.
        from mlflow.store.tracking import sqlalchemy_store, sqlalchemy_workspace_store  # noqa: F401

        if MLFLOW_ENABLE_WORKSPACES.get() or _dispatch.is_forked() or not _is_mlflows(sqlalchemy_store):
            return mlflows(store_uri, artifact_uri)
        from mlflow_go.store.tracking import TrackingStore

        if artifact_uri is None:
            artifact_uri = os.environ.get(
                tracking_utils._SERVER_ARTIFACT_ROOT_ENV_VAR, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
            )
        return _unless_restored(TrackingStore(store_uri, artifact_uri))

    return build


def _model_registry_builder(mlflows: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(mlflows)
    def build(store_uri: str) -> Any:
        from mlflow.store.model_registry import sqlalchemy_store, sqlalchemy_workspace_store  # noqa: F401

        if MLFLOW_ENABLE_WORKSPACES.get() or _dispatch.is_forked() or not _is_mlflows(sqlalchemy_store):
            return mlflows(store_uri)
        from mlflow_go.store.model_registry import ModelRegistryStore

        return _unless_restored(ModelRegistryStore(store_uri))

    return build

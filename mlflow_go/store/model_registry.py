"""MLflow's model registry on a database, with Go for what is native."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

from mlflow.entities.model_registry import (
    ModelVersion,
    ModelVersionTag,
    RegisteredModel,
    RegisteredModelTag,
)
from mlflow.environment_variables import _MLFLOW_GO_STORE_TESTING
from mlflow.protos import model_registry_pb2 as pb
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry import (
    SEARCH_MODEL_VERSION_MAX_RESULTS_DEFAULT,
    SEARCH_REGISTERED_MODEL_MAX_RESULTS_DEFAULT,
)
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from mlflow_go.store import _arguments as of
from mlflow_go.store import _database, _dispatch, _entities
from mlflow_go.store._dispatch import Question, native

# The tag by which MLflow's tests tell the time to a store in Go, which may not see that they stop Python's
# clock.
_TOLD_TIME = "mock.time.go.testing.tag"


def _without_told_time(create: Callable[..., RegisteredModel]) -> Callable[..., RegisteredModel]:
    """Take that tag out if MLFLOW_GO_STORE_TESTING is set: with the clock stopped, Python answers here."""

    @functools.wraps(create)
    def call(
        self: object, name: str, tags: list[RegisteredModelTag] | None = None, *args: Any, **kwargs: Any
    ) -> RegisteredModel:
        if tags and _MLFLOW_GO_STORE_TESTING.get():
            tags = [tag for tag in tags if tag.key != _TOLD_TIME]
        return create(self, name, tags, *args, **kwargs)

    return call


@_dispatch.dispatched
class ModelRegistryStore(SqlAlchemyStore):
    """MLflow's model registry, of which Go answers the methods that are defined here.

    All else is MLflow's own code, which also makes and checks the database when a store is made.
    """

    _session: _dispatch.Session | None = None

    def __init__(self, db_uri: str, read_db_uri: str | None = None) -> None:
        """Create a store, as MLflow does.

        Args:
            db_uri: The database, as SQLAlchemy spells it.
            read_db_uri: A replica to read from, in Python.
        """
        super().__init__(db_uri, read_db_uri)
        if self.read_engine is None:
            self._session = _database.connect(self, _NO_ARTIFACT_ROOT)

    # Registered models

    @native
    @_dispatch.around(_without_told_time)
    def create_registered_model(
        self,
        name: str,
        tags: list[RegisteredModelTag] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> Question[RegisteredModel]:
        del deployment_job_id  # MLflow's store takes none.
        request = pb.CreateRegisteredModel(
            name=of.text(name),
            tags=of.pairs(pb.RegisteredModelTag, tags),
            description=of.optional(of.text, description),
        )
        return request, _registered_model

    @native
    def update_registered_model(
        self, name: str, description: str | None, deployment_job_id: str | None = None
    ) -> Question[RegisteredModel]:
        del deployment_job_id  # MLflow's store takes none.
        request = pb.UpdateRegisteredModel(name=of.text(name), description=of.optional(of.text, description))
        return request, _registered_model

    @native
    def rename_registered_model(self, name: str, new_name: str) -> Question[RegisteredModel]:
        return pb.RenameRegisteredModel(name=of.text(name), new_name=of.text(new_name)), _registered_model

    @native
    def delete_registered_model(self, name: str) -> Question[None]:
        return pb.DeleteRegisteredModel(name=of.text(name)), _entities.nothing

    @native
    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = SEARCH_REGISTERED_MODEL_MAX_RESULTS_DEFAULT,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> Question[PagedList[RegisteredModel]]:
        if max_results < 0:
            return NotImplemented  # It is up to the database.
        request = pb.SearchRegisteredModels(
            filter=of.optional(of.text, filter_string),
            max_results=of.whole(max_results),
            order_by=of.texts(order_by or []),
            page_token=of.page_token(page_token),
        )
        return request, lambda response: _entities.page(
            map(_entities.registered_model, response.registered_models), response
        )

    @native
    def get_registered_model(self, name: str) -> Question[RegisteredModel]:
        return pb.GetRegisteredModel(name=of.text(name)), _registered_model

    @native
    def get_latest_versions(self, name: str, stages: list[str] | None = None) -> Question[list[ModelVersion]]:
        request = pb.GetLatestVersions(name=of.text(name), stages=of.texts(stages or []))
        return request, lambda response: [_entities.model_version(m) for m in response.model_versions]

    @native
    def set_registered_model_tag(self, name: str, tag: RegisteredModelTag) -> Question[None]:
        request = pb.SetRegisteredModelTag(name=of.text(name), key=of.text(tag.key), value=of.text(tag.value))
        return request, _entities.nothing

    @native
    def delete_registered_model_tag(self, name: str, key: str) -> Question[None]:
        return pb.DeleteRegisteredModelTag(name=of.text(name), key=of.text(key)), _entities.nothing

    # Versions

    @native
    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: list[ModelVersionTag] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> Question[ModelVersion]:
        del local_model_path  # MLflow's store has no use for it.
        if urlparse(source).scheme == "models" or (model_id and not run_id):
            return NotImplemented  # MLflow asks the tracking store of the process, wherever that is.
        request = pb.CreateModelVersion(
            name=of.text(name),
            source=of.text(source),
            run_id=of.optional(of.text, run_id),
            tags=of.pairs(pb.ModelVersionTag, tags),
            run_link=of.optional(of.text, run_link),
            description=of.optional(of.text, description),
        )
        return request, _model_version

    @native
    def update_model_version(
        self, name: str, version: str | int, description: str | None = None
    ) -> Question[ModelVersion]:
        request = pb.UpdateModelVersion(
            name=of.text(name), version=of.version(version), description=of.optional(of.text, description)
        )
        return request, _model_version

    @native
    def transition_model_version_stage(
        self, name: str, version: str | int, stage: str, archive_existing_versions: bool
    ) -> Question[ModelVersion]:
        request = pb.TransitionModelVersionStage(
            name=of.text(name),
            version=of.version(version),
            stage=of.text(stage),
            archive_existing_versions=bool(archive_existing_versions),
        )
        return request, _model_version

    @native
    def delete_model_version(self, name: str, version: str | int) -> Question[None]:
        return pb.DeleteModelVersion(name=of.text(name), version=of.version(version)), _entities.nothing

    @native
    def get_model_version(self, name: str, version: str | int) -> Question[ModelVersion]:
        return pb.GetModelVersion(name=of.text(name), version=of.version(version)), _model_version

    @native
    def get_model_version_download_uri(self, name: str, version: str | int) -> Question[str]:
        request = pb.GetModelVersionDownloadUri(name=of.text(name), version=of.version(version))
        return request, lambda response: response.artifact_uri

    @native
    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = SEARCH_MODEL_VERSION_MAX_RESULTS_DEFAULT,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> Question[PagedList[ModelVersion]]:
        request = pb.SearchModelVersions(
            filter=of.optional(of.text, filter_string),
            max_results=of.whole(max_results),
            order_by=of.texts(order_by or []),
            page_token=of.page_token(page_token),
        )
        return request, lambda response: _entities.page(
            map(_entities.model_version, response.model_versions), response
        )

    @native
    def set_model_version_tag(self, name: str, version: str | int, tag: ModelVersionTag) -> Question[None]:
        request = pb.SetModelVersionTag(
            name=of.text(name), version=of.version(version), key=of.text(tag.key), value=of.text(tag.value)
        )
        return request, _entities.nothing

    @native
    def delete_model_version_tag(self, name: str, version: str | int, key: str) -> Question[None]:
        request = pb.DeleteModelVersionTag(name=of.text(name), version=of.version(version), key=of.text(key))
        return request, _entities.nothing

    @native
    def set_registered_model_alias(self, name: str, alias: str, version: str | int) -> Question[None]:
        request = pb.SetRegisteredModelAlias(
            name=of.text(name), alias=of.text(alias), version=of.version(version)
        )
        return request, _entities.nothing

    @native
    def delete_registered_model_alias(self, name: str, alias: str) -> Question[None]:
        return pb.DeleteRegisteredModelAlias(name=of.text(name), alias=of.text(alias)), _entities.nothing

    @native
    def get_model_version_by_alias(self, name: str, alias: str) -> Question[ModelVersion]:
        return pb.GetModelVersionByAlias(name=of.text(name), alias=of.text(alias)), _model_version


# The library opens both stores of a database. Of this one only the registry is used.
_NO_ARTIFACT_ROOT = "/"


def _registered_model(response: object) -> RegisteredModel:
    return _entities.registered_model(response.registered_model)


def _model_version(response: object) -> ModelVersion:
    return _entities.model_version(response.model_version)

"""MLflow's artifact repository on BucketFS."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from mlflow.entities import FileInfo
from mlflow.environment_variables import MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, INVALID_STATE
from mlflow.store.artifact.artifact_repo import ArtifactRepository, verify_artifact_path
from mlflow.store.artifact.host_policy import host_addressed_rejection_message, is_tracking_server_process
from mlflow.utils.uri import get_uri_scheme, validate_path_is_safe

from mlflow_go.exasol.location import SCHEMES, BucketLocation, LocationError

_EXTRA_MISSING = (
    "exa+bfs:// and exa+bfss:// need the package exasol-bucketfs: pip install 'mlflow-go[exasol]'"
)


class BucketFSArtifactRepository(ArtifactRepository):
    """Artifacts in a bucket, under the path of an ``exa+bfs://`` or ``exa+bfss://`` URI.

    A bucket knows files only: a directory is there as long as there is a file under it, and a name
    can be a file and a directory at once. Such a name is listed as both; asked for by its name it is
    the directory.
    """

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> None:
        """Read the URI and the environment (`mlflow_go.exasol.bucket.Access`); nothing is sent yet.

        Raises:
            MlflowException: The URI or a variable is wrong, exasol-bucketfs isn't installed, or this is
                a tracking server and the URI's host isn't one of its own.
        """
        try:
            location = BucketLocation.parse(artifact_uri)
            _refuse_strange_host(artifact_uri, location)
        except LocationError as error:
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from error
        # Late: exasol.bucketfs is slow to import, and not everyone has it.
        try:
            from mlflow_go.exasol.bucket import Access, Bucket
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("exasol"):
                raise
            raise MlflowException(_EXTRA_MISSING, INVALID_STATE) from error
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._root = location.path
        self._bucket = Bucket(location, Access.from_environment())

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Upload a file.

        Args:
            local_file: Its path.
            artifact_path: The directory for it, relative to the root.
        """
        verify_artifact_path(artifact_path)
        key = self._key(posixpath.join(artifact_path or "", Path(local_file).name))
        self._bucket.upload(key, local_file)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Upload all files under a directory; nothing when one of their names can't be stored.

        Args:
            local_dir: Its path.
            artifact_path: The directory for them, relative to the root.
        """
        verify_artifact_path(artifact_path)
        uploads = {}
        for local_file in Path(local_dir).rglob("*"):
            if not local_file.is_dir():
                relative = local_file.relative_to(local_dir).as_posix()
                uploads[self._key(posixpath.join(artifact_path or "", relative))] = local_file
        for key, local_file in sorted(uploads.items()):
            self._bucket.upload(key, local_file)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """List what is directly in a directory, by path; sizes are unknown to BucketFS's listing.

        Args:
            path: Relative to the root. A file, or what doesn't exist, has nothing in it.
        """
        directory = _normalized(path)
        children = set()
        for below in self._files_below(directory):
            name, slash, _ = below.partition("/")
            children.add((posixpath.join(directory, name), bool(slash)))
        return [FileInfo(child, is_dir, None) for child, is_dir in sorted(children)]

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file, or all files under a directory, or both where a name is both.

        Args:
            artifact_path: Relative to the root; None is all under the root.

        Raises:
            MlflowException: That would be the whole bucket, which others use as well.
        """
        path = self._key(artifact_path)
        if not path:
            raise MlflowException(
                f"{self.artifact_uri} is a whole bucket, which is not deleted: name a directory in it",
                INVALID_PARAMETER_VALUE,
            )
        for key in self._bucket.list_keys():
            if key == path or key.startswith(f"{path}/"):
                self._bucket.delete(key)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._bucket.download(self._key(remote_file_path), local_path)

    def _iter_artifacts_recursive(self, path: str | None) -> Iterator[FileInfo]:
        """List all files for `download_artifacts`; MLflow's own way would list the bucket per directory."""
        directory = _normalized(path)
        files = {posixpath.join(directory, below) for below in self._files_below(directory)}
        directories = {parent for file in files for parent in _parents(file)}
        for name in sorted(files & directories):
            raise MlflowException(
                f"{name!r} is both a file and a directory in {self.artifact_uri}, which no file system can "
                "hold: delete one of them, or download other directories one by one",
                INVALID_STATE,
            )
        yield from (FileInfo(file, False, None) for file in sorted(files))

    def _files_below(self, directory: str) -> Iterator[str]:
        """List all files under a directory, relative to it."""
        key = self._key(directory)
        prefix = f"{key}/" if key else ""
        for candidate in self._bucket.list_keys():
            below = candidate.removeprefix(prefix)
            # What others have put there under a name like a//b or .. is no artifact path.
            if candidate.startswith(prefix) and not {"", ".", ".."} & set(below.split("/")):
                yield below

    def _key(self, path: str | None) -> str:
        """Give the key of an artifact path, or of the root.

        Raises:
            MlflowException: The path leads, or when decoded would lead, out of the root, has a line
                break in it, which BucketFS's listing can't show, or is no Unicode.
        """
        return "/".join(filter(None, (self._root, _normalized(path))))


def _refuse_strange_host(artifact_uri: str, location: BucketLocation) -> None:
    """Keep a tracking server from handing its password to whatever host a client has named.

    Whoever may create an experiment chooses its location. MLflow's own rule for this
    (`mlflow.store.artifact.host_policy`) covers the schemes that MLflow knows.
    """
    scheme = get_uri_scheme(artifact_uri)
    allowed = {name.lower() for name in MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES.get()}
    if not is_tracking_server_process() or scheme in allowed:
        return
    for variable in ("_MLFLOW_SERVER_ARTIFACT_ROOT", "_MLFLOW_SERVER_ARTIFACT_DESTINATION"):
        own = os.environ.get(variable, "")
        if get_uri_scheme(own) in SCHEMES and BucketLocation.parse(own).url == location.url:
            return
    raise MlflowException(host_addressed_rejection_message(scheme, uri=artifact_uri), INVALID_PARAMETER_VALUE)


def _normalized(path: str | None) -> str:
    if not path:
        return ""
    try:
        path.encode()
        # MLflow refuses a # as well, for the sake of file: URIs. It decodes the path in order to look
        # through it, but a bucket's names are what they are.
        validate_path_is_safe(path.replace("#", ""))
    except (MlflowException, UnicodeEncodeError):
        _refuse(path)
    if "\n" in path:
        _refuse(path)
    normalized = posixpath.normpath(path)
    return "" if normalized == "." else normalized


def _refuse(path: str) -> NoReturn:
    raise MlflowException(f"Invalid path: {path!r}", INVALID_PARAMETER_VALUE)


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path

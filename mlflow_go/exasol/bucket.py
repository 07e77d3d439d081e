"""One bucket of a BucketFS server: its keys, and files in and out, with errors that say what to do."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
import urllib3.exceptions
from exasol.bucketfs import Bucket as ExasolBucket
from exasol.bucketfs import BucketFsError, as_hash
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_STATE,
    PERMISSION_DENIED,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
    UNAUTHENTICATED,
    ErrorCode,
)

from mlflow_go.exasol.location import BucketLocation

# What Exasol's own plugin calls them.
USER_VARIABLE = "EXA_BUCKETFS_USER"
PASSWORD_VARIABLE = "EXA_BUCKETFS_PASSWORD"  # noqa: S105 - where the password is, not what it is
VALIDATION_VARIABLE = "EXA_SSL_CERT_VALIDATION"
_YES = ("yes", "y", "true")
_NO = ("no", "n", "false")

_CHUNK = 1 << 20  # bytes
_LISTING_TIMEOUT = (10, 120)  # seconds, to connect and between two reads
# What goes wrong on the way to BucketFS and back; BucketFsError is what it refuses.
_CONNECTION_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)


@dataclass(frozen=True)
class Access:
    """How to log in to BucketFS.

    Attributes:
        user: ``w``, who reads and writes, or ``r``, who reads.
        password: The bucket's password for that user.
        verify: Whether the server's certificate must be valid.
    """

    user: str
    password: str = field(repr=False)
    verify: bool = True

    @classmethod
    def from_environment(cls) -> Access:
        """Read ``EXA_BUCKETFS_USER``, ``EXA_BUCKETFS_PASSWORD`` and ``EXA_SSL_CERT_VALIDATION``.

        Raises:
            MlflowException: There is no password, or the last one is neither yes nor no.
        """
        password = os.environ.get(PASSWORD_VARIABLE)
        if not password:
            raise MlflowException(
                f"{PASSWORD_VARIABLE} is not set: it must hold the bucket's password", INVALID_STATE
            )
        validation = os.environ.get(VALIDATION_VARIABLE, "yes")
        if validation.lower() not in _YES + _NO:
            raise MlflowException(
                f"{VALIDATION_VARIABLE} is {validation!r}: it must be one of {', '.join(_YES + _NO)}",
                INVALID_STATE,
            )
        return cls(os.environ.get(USER_VARIABLE) or "w", password, validation.lower() in _YES)


class Bucket:
    """A bucket; a key is a file's path from the bucket's root, in any characters but line breaks.

    Every method raises `MlflowException` when BucketFS can't be reached or refuses. The text names
    the part of the URI or the variable at fault and never has the password in it.
    """

    def __init__(self, location: BucketLocation, access: Access) -> None:
        """Remember where the bucket is; nothing is sent yet."""
        self._name = location.bucket
        self._url = location.url
        self._user = access.user
        # requests can't encode every str, and its error would repeat the password.
        self._auth = (access.user.encode(), access.password.encode())
        self._verify = access.verify
        user, password = self._auth
        self._bucket = ExasolBucket(_quoted(self._name), self._url, user, password, self._verify)

    def list_keys(self) -> list[str]:
        """List all keys, sorted: BucketFS lists whole buckets only."""
        url = f"{self._url}/{_quoted(self._name)}"
        with self._explaining("list"):
            response = requests.get(url, auth=self._auth, verify=self._verify, timeout=_LISTING_TIMEOUT)
            try:
                response.raise_for_status()
            except requests.HTTPError as error:
                raise BucketFsError from error
        # ExasolBucket.files reads a text/plain that names no charset as Latin-1.
        return sorted({line for line in response.content.decode("utf-8", "replace").split("\n") if line})

    def upload(self, key: str, local_file: str | os.PathLike[str]) -> None:
        """Store a file, in place of any that is there.

        BucketFS is to store a file as a whole or not at all. Should an upload break off
        and leave a part nevertheless, it is deleted; an earlier file that is untouched stays.
        """
        with Path(local_file).open("rb") as stream:
            before = self._digest(key)
            try:
                # requests would send an empty stream in chunks, without a length.
                empty = os.fstat(stream.fileno()).st_size == 0
                self._bucket.upload(_quoted(key), b"" if empty else stream)
            except (BucketFsError, *_CONNECTION_ERRORS) as error:
                failure = self._explained(error, "write", key)
                if not _refused(error):
                    outcome = self._clear_up(key, before, Path(local_file))
                    code = ErrorCode.Value(failure.error_code)
                    failure = MlflowException(f"{failure.message}; {outcome}", code)
                raise failure from error

    def download(self, key: str, local_path: str | os.PathLike[str]) -> None:
        """Fetch a file; nothing is left at ``local_path`` when it can't be had in full."""
        local = Path(local_path)
        try:
            # urllib3 compares what came with Content-Length, from its version 2 on.
            with self._explaining("read", key), local.open("wb") as stream:
                for chunk in self._bucket.download(_quoted(key), _CHUNK):
                    stream.write(chunk)
        except BaseException:
            local.unlink(missing_ok=True)
            raise

    def delete(self, key: str) -> None:
        """Delete a file; one that isn't there is fine."""
        try:
            with self._explaining("delete", key):
                self._bucket.delete(_quoted(key))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    def _digest(self, key: str) -> bytes | None:
        """Compute the SHA-256 of a file's content; None when there is no such file."""
        try:
            with self._explaining("read", key):
                return bytes(as_hash(self._bucket.download(_quoted(key), _CHUNK), "sha256"))
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _clear_up(self, key: str, before: bytes | None, local_file: Path) -> str:
        """Delete what a broken upload has left, and say how it stands.

        Args:
            key: Where the upload went.
            before: The digest of the file that was there before, if any.
            local_file: What was uploaded.
        """
        try:
            now = self._digest(key)
            if now == before:
                return "the bucket is as it was before"
            with local_file.open("rb") as stream:
                complete = bytes(as_hash(iter(lambda: stream.read(_CHUNK), b""), "sha256"))
            if now in (complete, None):
                return "the file is complete there" if now else "the earlier file is gone"
            self.delete(key)
        except MlflowException as error:
            return f"whether a part of it was stored couldn't be found out ({error.message})"
        return "the part that was stored has been deleted"

    @contextmanager
    def _explaining(self, doing: str, key: str | None = None) -> Iterator[None]:
        try:
            yield
        except (BucketFsError, *_CONNECTION_ERRORS) as error:
            raise self._explained(error, doing, key) from error

    def _explained(self, error: Exception, doing: str, key: str | None) -> MlflowException:
        """Turn a failure into MLflow's error.

        Args:
            error: What requests, urllib3 or exasol-bucketfs raised.
            doing: The verb of what failed.
            key: The file it was about; None for the bucket.
        """
        what = f"bucket {self._name!r}" if key is None else f"{key!r} in bucket {self._name!r}"
        failed = f"can't {doing} {what} of BucketFS at {self._url}"
        status = _status(error)
        if status in (401, 403):
            return MlflowException(
                f"{failed}: user {self._user!r} was refused (HTTP {status}); check {USER_VARIABLE} ('w' to "
                f"write, 'r' to read) and {PASSWORD_VARIABLE}",
                UNAUTHENTICATED if status == 401 else PERMISSION_DENIED,  # noqa: PLR2004 - as just above
            )
        if status == 404:  # noqa: PLR2004 - HTTP's own number
            missing = "there is no such file or bucket" if key and doing != "write" else "no such bucket"
            return MlflowException(f"{failed}: {missing} (HTTP 404)", RESOURCE_DOES_NOT_EXIST)
        if status is not None:
            code = INTERNAL_ERROR if status < 500 else TEMPORARILY_UNAVAILABLE  # noqa: PLR2004 - HTTP's
            return MlflowException(f"{failed}: it answered HTTP {status}", code)
        if isinstance(error, requests.exceptions.SSLError):
            return MlflowException(
                f"{failed}: TLS failed ({error}); name the authority that signed the server's certificate in "
                f"REQUESTS_CA_BUNDLE; {VALIDATION_VARIABLE}=no trusts any server",
                INTERNAL_ERROR,
            )
        return MlflowException(f"{failed}: the connection failed ({error})", TEMPORARILY_UNAVAILABLE)


def _quoted(name: str) -> str:
    """Encode a key or a bucket's name for a URL; exasol-bucketfs takes them as they are."""
    return urllib.parse.quote(name, safe="/")


def _status(error: Exception) -> int | None:
    """Tell the HTTP status for which exasol-bucketfs raised an error, if that was why."""
    cause = error.__cause__
    return cause.response.status_code if isinstance(cause, requests.HTTPError) else None


def _refused(error: Exception) -> bool:
    """Tell whether BucketFS has turned a request down: then it has changed nothing."""
    status = _status(error)
    return status is not None and status < 500  # noqa: PLR2004 - HTTP's own number

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlflow_go.exasol import BucketLocation, udf_path
from mlflow_go.exasol.bucket import Access
from mlflow_go.exasol.location import LocationError


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("exa+bfs://h:1/s/b", BucketLocation("http://h:1", "s", "b", "")),
        ("exa+bfss://h:1/s/b/", BucketLocation("https://h:1", "s", "b", "")),
        ("exa+bfs://h:1/s/b/a/0/artifacts", BucketLocation("http://h:1", "s", "b", "a/0/artifacts")),
        ("exa+bfs://h:1/s/b//a//c/", BucketLocation("http://h:1", "s", "b", "a/c")),
        ("exa+bfs://h/s/b", BucketLocation("http://h:2580", "s", "b", "")),
        ("exa+bfs://h:1/s/b/%C3%BC%20%25", BucketLocation("http://h:1", "s", "b", "ü %")),
    ],
)
def test_uris_are_read(uri: str, location: BucketLocation) -> None:
    assert BucketLocation.parse(uri) == location


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("s3://h:1/s/b", "an unknown scheme"),
        ("exa+bfs:///s/b", "no host"),
        ("exa+bfs://:1/s/b", "no host"),
        ("exa+bfs://h:many/s/b", "a port that is no number"),
        ("exa+bfs://h:70000/s/b", "a port that is no number"),
        ("exa+bfs://h:0/s/b", "port 0"),
        ("exa+bfs://[::1]:1/s/b", "an IPv6 address"),
        ("exa+bfs://h:1", "no BucketFS service and no bucket"),
        ("exa+bfs://h:1/s", "no bucket"),
        ("exa+bfs://h:1/s/b?x=1", "a query or fragment"),
        ("exa+bfs://h:1/s/b#x", "a query or fragment"),
        ("exa+bfs://h:1/s/b/../c", "'.', '..' or a separator"),
        ("exa+bfs://h:1/s/b/%2e%2e/c", "'.', '..' or a separator"),
        ("exa+bfs://h:1/s/b/x%2fc", "'.', '..' or a separator"),
    ],
)
def test_the_part_at_fault_is_named(uri: str, fault: str) -> None:
    with pytest.raises(LocationError) as raised:
        BucketLocation.parse(uri)
    assert str(raised.value).startswith(fault)
    assert uri in str(raised.value)
    if not uri.startswith("s3"):
        with pytest.raises(MlflowException, match="the form is exa") as raised_by_mlflow:
            get_artifact_repository(uri)
        assert raised_by_mlflow.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_password_in_the_uri_is_refused_and_not_repeated() -> None:
    with pytest.raises(MlflowException, match="set EXA_BUCKETFS_USER and EXA_BUCKETFS_PASSWORD") as raised:
        get_artifact_repository("exa+bfs://w:secret@h:no/s/b")
    assert "secret" not in repr(raised.value) + repr(raised.value.__cause__)


def test_udfs_see_archives_unpacked() -> None:
    assert udf_path("exa+bfs://h:1/bfsdefault/default") == "/buckets/bfsdefault/default"
    assert (
        udf_path("exa+bfss://h:1/bfsdefault/models.zip/a/m-1.5") == "/buckets/bfsdefault/models.zip/a/m-1.5"
    )
    assert (
        udf_path("exa+bfss://h:1/bfsdefault/default/a/model.tar.gz") == "/buckets/bfsdefault/default/a/model"
    )


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Access("w", "secret"))

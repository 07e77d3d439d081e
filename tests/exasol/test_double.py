"""The double of BucketFS as Exasol's own client sees it; a real one must pass the same."""

from __future__ import annotations

import io
import uuid
from typing import Any

import pytest
import requests
from exasol.bucketfs import BucketFsError, Service, as_bytes
from exasol.bucketfs import path as bucketfs_path

from tests.exasol.bucketfs import READ_PASSWORD, WRITE_PASSWORD, Double
from tests.exasol.conftest import BucketFS, use


@pytest.fixture
def bucket(bucketfs: BucketFS, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give exasol-bucketfs's bucket; its constructor asks the server for its buckets."""
    use(bucketfs, monkeypatch)
    # As bytes: requests would send a str in Latin-1.
    login = {"username": bucketfs.user.encode(), "password": bucketfs.password.encode()}
    return Service(bucketfs.url, {bucketfs.bucket: login}).buckets[bucketfs.bucket]


def test_files_go_in_out_and_away(bucket: Any, bucketfs: BucketFS) -> None:
    key = f"{bucketfs.uri.partition(bucketfs.bucket + '/')[2]}/{uuid.uuid4().hex}/a file.bin"
    bucket.upload(key, io.BytesIO(b"first"))
    bucket.upload(key, b"second")
    assert as_bytes(bucket.download(key)) == b"second"
    assert key in set(bucket)
    bucket.delete(key)
    assert key not in set(bucket)
    with pytest.raises(BucketFsError, match="Couldn't download"):
        as_bytes(bucket.download(key))


def test_paths_of_exasols_client_find_their_way(bucketfs: BucketFS, monkeypatch: pytest.MonkeyPatch) -> None:
    use(bucketfs, monkeypatch)
    base = bucketfs.uri.partition(bucketfs.bucket + "/")[2]
    root = bucketfs_path.build_path(
        url=bucketfs.url,
        username=bucketfs.user.encode(),
        password=bucketfs.password.encode(),
        service_name="bfsdefault",
        bucket_name=bucketfs.bucket,
        path=f"{base}/{uuid.uuid4().hex}",
    )
    (root / "model" / "MLmodel").write(b"flavors: {}")
    assert (root / "model").is_dir()
    assert [entry.name for entry in root.iterdir()] == ["model"]
    (root / "model").rmdir(recursive=True)
    assert not root.exists()


@pytest.mark.parametrize(
    ("user", "password", "method", "status"),
    [
        ("r", READ_PASSWORD, "GET", 200),
        ("w", WRITE_PASSWORD, "PUT", 200),
        ("r", READ_PASSWORD, "PUT", 403),
        ("r", WRITE_PASSWORD, "GET", 401),
        ("w", READ_PASSWORD, "PUT", 401),
    ],
)
def test_each_user_has_a_password(double: Double, user: str, password: str, method: str, status: int) -> None:
    double.files["key"] = b"value"
    login = (user.encode(), password.encode())
    answer = requests.request(method, f"{double.url}/default/key", auth=login, data=b"value", timeout=10)
    assert answer.status_code == status


def test_public_buckets_are_read_without_a_password(double: Double) -> None:
    double.buckets["default"].public = True
    double.files["key"] = b"value"
    assert requests.get(f"{double.url}/default/key", timeout=10).content == b"value"
    assert requests.put(f"{double.url}/default/key", data=b"", timeout=10).status_code == 401

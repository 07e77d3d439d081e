"""The artifact repository, as MLflow uses it, on the double or a real BucketFS."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from mlflow_go.exasol.artifact_repo import BucketFSArtifactRepository

NAMES = (
    "plain.txt",
    "with space.txt",
    "Übermaß-模型-🎯.txt",
    "100%.txt",
    "a%20b.txt",
    "what?really=yes&no.txt",
    "hash#tag.txt",
    "plus+semi;colon:at@.txt",
    ".hidden",
    "...",
)


def entries(repository: BucketFSArtifactRepository, path: str | None = None) -> list[tuple[str, bool]]:
    listed = repository.list_artifacts(path)
    assert all(entry.file_size is None for entry in listed)
    return [(entry.path, entry.is_dir) for entry in listed]


def put(repository: BucketFSArtifactRepository, folder: Path, path: str, content: bytes = b"x") -> None:
    directory, _, name = path.rpartition("/")
    local = folder / name
    local.write_bytes(content)
    repository.log_artifact(str(local), directory or None)
    local.unlink()


@pytest.mark.parametrize("name", NAMES)
def test_names_stay_what_they_are(repository: BucketFSArtifactRepository, tmp_path: Path, name: str) -> None:
    put(repository, tmp_path, f"Ordner ü/{name}", name.encode())
    assert entries(repository) == [("Ordner ü", True)]
    assert entries(repository, "Ordner ü") == [(f"Ordner ü/{name}", False)]
    assert Path(repository.download_artifacts(f"Ordner ü/{name}")).read_bytes() == name.encode()
    repository.delete_artifacts(f"Ordner ü/{name}")
    assert entries(repository) == []


def test_directories_come_back_as_they_were(repository: BucketFSArtifactRepository, tmp_path: Path) -> None:
    tree = {"MLmodel": b"a: 1", "data/model.pkl": bytes(range(256)) * 9000, "data/deep/er/empty": b""}
    for path, content in tree.items():
        file = tmp_path / "local" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    repository.log_artifacts(str(tmp_path / "local"), "model")
    assert entries(repository) == [("model", True)]
    assert entries(repository, "model") == [("model/MLmodel", False), ("model/data", True)]
    assert entries(repository, "model/data/") == [("model/data/deep", True), ("model/data/model.pkl", False)]
    assert entries(repository, "model/MLmodel") == []
    assert entries(repository, "mod") == []
    for asked in ("model", "", None):
        target = tmp_path / f"to-{asked}"
        target.mkdir()
        repository.download_artifacts(asked, str(target))
        found = {
            path.relative_to(target / "model").as_posix(): path.read_bytes()
            for path in target.rglob("*")
            if path.is_file()
        }
        assert found == tree
    repository.log_artifacts(str(tmp_path / "local"))
    assert entries(repository) == [("MLmodel", False), ("data", True), ("model", True)]


def test_a_second_upload_replaces_the_first(repository: BucketFSArtifactRepository, tmp_path: Path) -> None:
    for content in (b"long enough", b"short", b""):
        put(repository, tmp_path, "dir/file", content)
        assert Path(repository.download_artifacts("dir/file")).read_bytes() == content
    assert entries(repository, "dir") == [("dir/file", False)]


def test_a_name_can_be_a_file_and_a_directory(repository: BucketFSArtifactRepository, tmp_path: Path) -> None:
    put(repository, tmp_path, "top/both", b"file")
    put(repository, tmp_path, "top/both/inside", b"inside")
    assert entries(repository, "top") == [("top/both", False), ("top/both", True)]
    assert entries(repository, "top/both") == [("top/both/inside", False)]
    assert (Path(repository.download_artifacts("top/both")) / "inside").read_bytes() == b"inside"
    with pytest.raises(MlflowException, match="'top/both' is both a file and a directory"):
        repository.download_artifacts("top")
    repository.delete_artifacts("top/both")
    assert entries(repository) == []


def test_deleting_stops_at_the_names_end(repository: BucketFSArtifactRepository, tmp_path: Path) -> None:
    for path in ("a", "ab", "dir/one", "dir/sub/two", "dirt/three"):
        put(repository, tmp_path, path)
    repository.delete_artifacts("dir/")
    repository.delete_artifacts("a")
    repository.delete_artifacts("never was")
    assert entries(repository) == [("ab", False), ("dirt", True)]
    repository.delete_artifacts()
    assert entries(repository) == []


def test_nothing_there(repository: BucketFSArtifactRepository, tmp_path: Path) -> None:
    assert entries(repository) == []
    assert repository.download_artifacts("", str(tmp_path)) == str(tmp_path)
    with pytest.raises(MlflowException, match="there is no such file or bucket") as raised:
        repository.download_artifacts("missing", str(tmp_path))
    assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path",
    ["..", "../up", "a/../../up", "/absolute", "%2e%2e/up", "%252e%252e/up", "%2Fabsolute", "new\nline"],
)
def test_paths_out_of_the_root_are_refused(
    repository: BucketFSArtifactRepository, tmp_path: Path, path: str
) -> None:
    local = tmp_path / "file"
    local.touch()
    (tmp_path / "out").mkdir()
    for attempt in (
        lambda: repository.list_artifacts(path),
        lambda: repository.download_artifacts(path, str(tmp_path / "out")),
        lambda: repository.delete_artifacts(path),
        lambda: repository.log_artifact(str(local), path),
        lambda: repository.log_artifacts(str(tmp_path), path),
    ):
        with pytest.raises(MlflowException, match=r"^Invalid (artifact )?path"):
            attempt()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_directory_with_a_name_that_cannot_be_is_not_uploaded_at_all(
    repository: BucketFSArtifactRepository, tmp_path: Path
) -> None:
    (tmp_path / "fine").touch()
    (tmp_path / "two\nlines").touch()
    with pytest.raises(MlflowException, match="Invalid path"):
        repository.log_artifacts(str(tmp_path))
    assert entries(repository) == []


def test_threads_do_not_disturb_each_other(repository: BucketFSArtifactRepository, tmp_path: Path) -> None:
    def upload(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        put(repository, folder, f"thread/{number}", bytes([number]) * 100_000)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = Path(repository.download_artifacts("thread"))
    assert {file.name: file.read_bytes() for file in got.iterdir()} == {
        str(number): bytes([number]) * 100_000 for number in range(8)
    }

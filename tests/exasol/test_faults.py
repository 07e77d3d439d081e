"""What goes wrong with BucketFS, on our double: the errors say what to do and never the password."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tests.exasol.bucketfs import READ_PASSWORD, WRITE_PASSWORD, Bucket, Double

BIG = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def local(tmp_path: Path) -> Path:
    file = tmp_path / "model.pkl"
    file.write_bytes(BIG)
    return file


def attempts(uri: str, local: Path) -> list:
    """Give each thing that can be done with a repository, as functions."""
    return [
        lambda: get_artifact_repository(uri).log_artifact(str(local)),
        lambda: get_artifact_repository(uri).list_artifacts(),
        lambda: get_artifact_repository(uri).download_artifacts("", str(local.parent)),
        lambda: get_artifact_repository(uri).delete_artifacts("model.pkl"),
    ]


@pytest.mark.parametrize(
    ("variables", "code", "text"),
    [
        ({"EXA_BUCKETFS_PASSWORD": ""}, "INVALID_STATE", "EXA_BUCKETFS_PASSWORD is not set"),
        (
            {"EXA_SSL_CERT_VALIDATION": "perhaps"},
            "INVALID_STATE",
            "EXA_SSL_CERT_VALIDATION is 'perhaps': it must be one of yes, y, true, no, n, false",
        ),
        ({"EXA_SSL_CERT_VALIDATION": ""}, "INVALID_STATE", "EXA_SSL_CERT_VALIDATION is ''"),
        ({"EXA_BUCKETFS_PASSWORD": "wr0ng-sécret-€"}, "UNAUTHENTICATED", "user 'w' was refused (HTTP 401)"),
        ({"EXA_BUCKETFS_USER": "nobody"}, "UNAUTHENTICATED", "user 'nobody' was refused (HTTP 401)"),
    ],
)
def test_a_wrong_environment_names_the_variable(  # noqa: PLR0917 - pytest passes fixtures by name
    double: Double,
    credentials: pytest.MonkeyPatch,
    local: Path,
    caplog: pytest.LogCaptureFixture,
    variables: dict[str, str],
    code: str,
    text: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    for name, value in variables.items():
        credentials.setenv(name, value)
    for attempt in attempts(double.uri("runs"), local):
        with pytest.raises(MlflowException) as raised:
            attempt()
        assert raised.value.error_code == code
        assert text in str(raised.value)
        assert next(iter(variables)) in str(raised.value)
        chain, error = "", raised.value
        while error:
            chain += f"{error!r} {error} "
            error = error.__cause__ or error.__context__
        for secret in (WRITE_PASSWORD, variables.get("EXA_BUCKETFS_PASSWORD") or WRITE_PASSWORD):
            assert secret not in chain + caplog.text
    assert double.files == {}


def test_the_reading_user_reads(double: Double, credentials: pytest.MonkeyPatch, local: Path) -> None:
    double.files["runs/file"] = b"content"
    credentials.setenv("EXA_BUCKETFS_USER", "r")
    credentials.setenv("EXA_BUCKETFS_PASSWORD", READ_PASSWORD)
    repository = get_artifact_repository(double.uri("runs"))
    assert Path(repository.download_artifacts("file")).read_bytes() == b"content"
    for attempt in (lambda: repository.log_artifact(str(local)), lambda: repository.delete_artifacts("file")):
        with pytest.raises(MlflowException, match=r"user 'r' was refused \(HTTP 403\)") as raised:
            attempt()
        assert raised.value.error_code == "PERMISSION_DENIED"
    assert double.files == {"runs/file": b"content"}


@pytest.mark.usefixtures("credentials")
def test_a_missing_bucket_is_named(double: Double, local: Path) -> None:
    uri = double.uri("runs", bucket="nowhere")
    for attempt in attempts(uri, local):
        with pytest.raises(
            MlflowException, match=r"'nowhere' of BucketFS at http://.*no such bucket"
        ) as raised:
            attempt()
        assert raised.value.error_code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.usefixtures("credentials")
def test_a_server_that_is_down_is_named(double: Double, local: Path) -> None:
    double.stop()
    for attempt in attempts(double.uri("runs"), local):
        with pytest.raises(MlflowException, match=f"{double.url}: the connection failed") as raised:
            attempt()
        assert raised.value.error_code == "TEMPORARILY_UNAVAILABLE"


@pytest.mark.parametrize(("status", "code"), [(500, "TEMPORARILY_UNAVAILABLE"), (400, "INTERNAL_ERROR")])
@pytest.mark.usefixtures("credentials")
def test_other_answers_are_told(double: Double, local: Path, status: int, code: str) -> None:
    double.faults.status = status
    with pytest.raises(MlflowException, match=f"it answered HTTP {status}") as raised:
        get_artifact_repository(double.uri("runs")).log_artifact(str(local))
    assert raised.value.error_code == code


def test_certificates_are_checked(tls_double: Double, credentials: pytest.MonkeyPatch, local: Path) -> None:
    trusted = get_artifact_repository(tls_double.uri("runs"))
    trusted.log_artifact(str(local))
    credentials.delenv("REQUESTS_CA_BUNDLE")
    for value in (None, "yes", "TRUE", "Y"):
        if value:
            credentials.setenv("EXA_SSL_CERT_VALIDATION", value)
        for attempt in attempts(tls_double.uri("runs"), local):
            with pytest.raises(MlflowException, match=r"TLS failed.*EXA_SSL_CERT_VALIDATION=no"):
                attempt()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("value", ["no", "N", "False"])
def test_certificates_are_not_checked_on_request(
    tls_double: Double, credentials: pytest.MonkeyPatch, local: Path, value: str
) -> None:
    credentials.delenv("REQUESTS_CA_BUNDLE")
    credentials.setenv("EXA_SSL_CERT_VALIDATION", value)
    for attempt in attempts(tls_double.uri("runs"), local):
        attempt()


@pytest.mark.parametrize("sent", [0, 1, 100_000, len(BIG) - 1])
@pytest.mark.parametrize("earlier", [None, BIG[:50_000], b"another"])
@pytest.mark.usefixtures("credentials")
def test_a_broken_upload_leaves_no_part(
    double: Double, local: Path, sent: int, earlier: bytes | None
) -> None:
    """BucketFS is documented to write whole files only; then an earlier file must stay."""
    if earlier is not None:
        double.files["runs/model.pkl"] = earlier
    before = dict(double.files)
    double.faults.break_uploads_after = sent
    repository = get_artifact_repository(double.uri("runs"))
    with pytest.raises(MlflowException, match=r"connection failed.*the bucket is as it was before"):
        repository.log_artifact(str(local))
    assert double.files == before
    double.faults.keep_parts = True
    with pytest.raises(
        MlflowException, match=r"connection failed.*the part that was stored has been deleted"
    ):
        repository.log_artifact(str(local))
    assert double.files == {}
    assert repository.list_artifacts() == []
    double.faults.break_uploads_after = None
    repository.log_artifact(str(local))
    assert double.files == {"runs/model.pkl": BIG}


@pytest.mark.usefixtures("credentials")
def test_a_server_that_dies_during_an_upload(double: Double, local: Path) -> None:
    double.faults.break_uploads_after, double.faults.die = 1000, True
    with pytest.raises(MlflowException, match="couldn't be found out") as raised:
        get_artifact_repository(double.uri("runs")).log_artifact(str(local))
    assert "'runs/model.pkl' in bucket 'default'" in str(raised.value)
    assert double.files == {}


@pytest.mark.usefixtures("credentials")
def test_a_download_that_breaks_off_is_an_error(double: Double, local: Path, tmp_path: Path) -> None:
    repository = get_artifact_repository(double.uri("runs"))
    repository.log_artifact(str(local))
    double.faults.truncate_downloads_to = 1000
    target = tmp_path / "target"
    target.mkdir()
    for asked in ("", "model.pkl"):
        with pytest.raises(MlflowException, match="connection failed"):
            repository.download_artifacts(asked, str(target))
        assert list(target.iterdir()) == []


@pytest.mark.parametrize("variable", ["_MLFLOW_SERVER_ARTIFACT_ROOT", "_MLFLOW_SERVER_ARTIFACT_DESTINATION"])
def test_a_server_gives_its_password_to_its_own_hosts_only(
    double: Double, tls_double: Double, credentials: pytest.MonkeyPatch, local: Path, variable: str
) -> None:
    """Whoever may create an experiment chooses where its artifacts are."""
    credentials.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
    credentials.setenv(variable, tls_double.uri("its-own"))
    for uri in (double.uri("runs"), tls_double.uri("runs").replace("exa+bfss", "exa+bfs")):
        for attempt in attempts(uri, local):
            with pytest.raises(MlflowException, match="does not connect to artifact location") as raised:
                attempt()
            assert "MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES" in str(raised.value)
    assert double.requests == tls_double.requests == []
    get_artifact_repository(tls_double.uri("elsewhere")).log_artifact(str(local))
    assert list(tls_double.files) == ["elsewhere/model.pkl"]
    credentials.setenv("MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES", "exa+bfs")
    get_artifact_repository(double.uri("runs")).log_artifact(str(local))
    assert list(double.files) == ["runs/model.pkl"]


@pytest.mark.usefixtures("credentials")
def test_a_whole_bucket_is_not_deleted(double: Double) -> None:
    double.files["others/file"] = b""
    repository = get_artifact_repository(double.uri())
    with pytest.raises(MlflowException, match="is a whole bucket, which is not deleted"):
        repository.delete_artifacts()
    assert double.files == {"others/file": b""}


@pytest.mark.usefixtures("credentials")
def test_keys_that_are_no_artifact_paths_are_left_alone(double: Double, tmp_path: Path) -> None:
    double.files.update(
        {"runs//a": b"", "runs/../b": b"", "runs/./c": b"", "runs/d/": b"", "runs/fine": b"1"}
    )
    repository = get_artifact_repository(double.uri("runs"))
    assert [entry.path for entry in repository.list_artifacts()] == ["fine"]
    repository.download_artifacts("", str(tmp_path))
    assert [file.name for file in tmp_path.iterdir()] == ["fine"]


@pytest.mark.usefixtures("credentials")
def test_a_download_lists_the_bucket_a_fixed_number_of_times(double: Double) -> None:
    for number in range(20):
        double.files[f"runs/{number}/deep/file"] = b""
    get_artifact_repository(double.uri("runs")).download_artifacts("")
    assert double.requests.count(("GET", "/default")) == 2


@pytest.mark.usefixtures("credentials")
def test_other_buckets_are_buckets_too(double: Double, local: Path) -> None:
    double.buckets["my models"] = Bucket()
    repository = get_artifact_repository(double.uri("r%C3%BCns/1", bucket="my%20models"))
    repository.log_artifact(str(local))
    assert double.buckets["my models"].files == {"rüns/1/model.pkl": BIG}
    assert [entry.path for entry in repository.list_artifacts()] == ["model.pkl"]

"""BucketFS for tests: our double by default, or by options a real one.

``--backend``, ``--itde-db-version``, ``--bucketfs-url``, ``--bucketfs-username``,
``--bucketfs-password`` and ``--skip-slc`` are named and meant as in Exasol's pytest-exasol-backend
and pytest-exasol-slc. Where those are installed the options are theirs; else they are declared
here, since those bring Docker's tools and an Exasol database with them. ``--mlflow-server``,
``--bucketfs-service`` and ``--bucketfs-bucket`` are ours.
"""

from __future__ import annotations

import os
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlflow_go.exasol.artifact_repo import BucketFSArtifactRepository
from tests.exasol.bucketfs import SERVICE, WRITE_PASSWORD, Double, self_signed


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    group = parser.getgroup("mlflow-go-exasol", "BucketFS of an Exasol database")
    group.addoption(
        "--mlflow-server", help="URL of a running server to test with, in place of one of our own"
    )
    group.addoption("--bucketfs-service", default=SERVICE, help="name of its service (default: %(default)s)")
    group.addoption("--bucketfs-bucket", default="default", help="bucket to use (default: %(default)s)")
    theirs = {distribution.project_name for _, distribution in pluginmanager.list_plugin_distinfo()}
    if "pytest-exasol-backend" not in theirs:
        group.addoption(
            "--backend", action="append", default=[], help="'onprem': test against a real BucketFS"
        )
        group.addoption("--itde-db-version", help="'external': the Exasol database is there already")
        group.addoption("--bucketfs-url", help="where the real BucketFS is, http[s]://host:port")
        group.addoption("--bucketfs-username", help="its user (default: w)")
        group.addoption("--bucketfs-password", help="the user's password")
    if "pytest-exasol-slc" not in theirs:
        group.addoption("--skip-slc", action="store_true", help="leave out the script-language container")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slc: about the script-language container (--skip-slc)")
    backends = config.getoption("--backend", default=[]) or []
    if not backends:
        return
    if backends != ["onprem"]:
        raise pytest.UsageError(f"--backend={backends[0]}: only onprem has a BucketFS to speak to")
    if config.getoption("--itde-db-version") != "external":
        raise pytest.UsageError("--backend=onprem needs --itde-db-version=external: no database is started")
    missing = [name for name in ("--bucketfs-url", "--bucketfs-password") if not config.getoption(name)]
    if missing:
        raise pytest.UsageError(f"--backend=onprem needs {' and '.join(missing)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--skip-slc", default=False):
        chosen = [item for item in items if not item.get_closest_marker("slc")]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "bucketfs" in metafunc.fixturenames:
        real = metafunc.config.getoption("--backend", default=[])
        metafunc.parametrize(
            "bucketfs", ["real"] if real else ["http", "https"], indirect=True, scope="session"
        )


@dataclass(frozen=True)
class BucketFS:
    """A bucket to test with.

    Attributes:
        uri: The ``exa+bfs://`` or ``exa+bfss://`` URI of a directory in it that is the test run's own.
        url: The server's.
        user: Who may write.
        password: That user's.
        bucket: The bucket's name.
        environment: What a process needs to use the URI.
    """

    uri: str
    url: str
    user: str
    password: str = field(repr=False)
    bucket: str
    environment: dict[str, str] = field(repr=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def double() -> Iterator[Double]:
    """Our double over HTTP, whatever the options."""
    with Double().running() as double:
        yield double


@pytest.fixture
def tls_double(certificate: Path) -> Iterator[Double]:
    """Our double over HTTPS, whatever the options."""
    with Double(certificate).running() as double:
        yield double


@pytest.fixture(scope="session")
def every_bucketfs(request: pytest.FixtureRequest, certificate: Path) -> Iterator[dict[str, BucketFS]]:
    """Give the real BucketFS that the options name, else our double over HTTP and over HTTPS."""
    directory = f"mlflow-go-tests/{uuid.uuid4().hex}"
    option = request.config.getoption
    if not option("--backend", default=[]):
        with Double().running() as http, Double(certificate).running() as https:
            environment = {"EXA_BUCKETFS_PASSWORD": WRITE_PASSWORD, "REQUESTS_CA_BUNDLE": str(certificate)}
            yield {
                name: BucketFS(double.uri(directory), double.url, "w", WRITE_PASSWORD, "default", environment)
                for name, double in {"http": http, "https": https}.items()
            }
        return
    url = urllib.parse.urlsplit(option("--bucketfs-url"))
    user = option("--bucketfs-username") or "w"
    scheme = {"http": "exa+bfs", "https": "exa+bfss"}[url.scheme]
    bucket = option("--bucketfs-bucket", default="default")
    uri = f"{scheme}://{url.netloc}/{option('--bucketfs-service', default=SERVICE)}/{bucket}/{directory}"
    environment = {"EXA_BUCKETFS_USER": user, "EXA_BUCKETFS_PASSWORD": option("--bucketfs-password")}
    real = BucketFS(uri, url.geturl(), user, option("--bucketfs-password"), bucket, environment)
    yield {"real": real}
    with pytest.MonkeyPatch.context() as patch:
        use(real, patch)
        get_artifact_repository(uri).delete_artifacts()


@pytest.fixture(scope="session")
def bucketfs(request: pytest.FixtureRequest, every_bucketfs: dict[str, BucketFS]) -> BucketFS:
    """Give each of them in turn."""
    return every_bucketfs[request.param]


def use(bucketfs: BucketFS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process one that may use a bucket."""
    if "REQUESTS_CA_BUNDLE" in bucketfs.environment:
        for variable in ("EXA_BUCKETFS_USER", "EXA_SSL_CERT_VALIDATION"):
            monkeypatch.delenv(variable, raising=False)
    for variable, value in bucketfs.environment.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture
def repository(bucketfs: BucketFS, monkeypatch: pytest.MonkeyPatch) -> BucketFSArtifactRepository:
    """Give an empty repository of one test, as MLflow makes it of a URI."""
    use(bucketfs, monkeypatch)
    repository = get_artifact_repository(f"{bucketfs.uri}/{uuid.uuid4().hex}")
    assert isinstance(repository, BucketFSArtifactRepository)
    return repository


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> pytest.MonkeyPatch:
    """Set the variables for our doubles; a test changes them from there."""
    for variable in [name for name in os.environ if name.startswith("EXA_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("EXA_BUCKETFS_PASSWORD", WRITE_PASSWORD)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return monkeypatch

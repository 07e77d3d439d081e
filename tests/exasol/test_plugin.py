"""How MLflow comes by the repository: entry points, a missing extra, Exasol's own plugin beside ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories

from mlflow_go.exasol.plugin import bucketfs_artifact_repository

_SCHEMES = ("exa+bfs", "exa+bfss")
_ASK = """
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
for scheme in ("exa+bfs", "exa+bfss"):
    print(get_artifact_repository(scheme + "://h:1/s/b"))
"""
_THEIRS = """
class BucketFsArtifactRepo:
    def __init__(self, artifact_uri, tracking_uri=None, registry_uri=None):
        self.uri = artifact_uri
    def __repr__(self):
        return "Exasol's for " + self.uri
"""


def run(code: str, *first: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with folders in front of its path."""
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "EXA_BUCKETFS_PASSWORD": "secret",
            "PYTHONPATH": os.pathsep.join([*map(str, first), *filter(None, [os.environ.get("PYTHONPATH")])]),
        },
        timeout=120,
    )


def plugin_of_exasols(folder: Path, source: str = _THEIRS) -> Path:
    """Lay out an installation of exasol-mlflow-plugin, as pip does."""
    (folder / "theirs_of_test.py").write_text(source)
    metadata = folder / "exasol_mlflow_plugin-1.2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: exasol-mlflow-plugin\nVersion: 1.2.0\n")
    (metadata / "entry_points.txt").write_text(
        "[mlflow.artifact_repository]\n"
        + "".join(f"{scheme}=theirs_of_test:BucketFsArtifactRepo\n" for scheme in _SCHEMES)
    )
    return folder


def test_mlflow_finds_it() -> None:
    registered = get_registered_artifact_repositories()
    assert {registered[scheme] for scheme in _SCHEMES} == {bucketfs_artifact_repository}


def test_loading_it_loads_nothing_else() -> None:
    """`import mlflow` must stay quick, and the rest of mlflow-go off."""
    answer = run(
        "import sys, mlflow.store.artifact.artifact_repository_registry\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('mlflow_go', 'exasol'))))"
    )
    assert answer.stdout.split() == [
        "mlflow_go",
        "mlflow_go._switch",
        "mlflow_go._version",
        "mlflow_go.exasol",
        "mlflow_go.exasol.location",
        "mlflow_go.exasol.plugin",
    ]
    assert answer.stderr == ""


def test_without_the_extra_its_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "exasol").mkdir()  # in front of the real package, and without bucketfs
    (tmp_path / "exasol" / "__init__.py").touch()
    answer = run(_ASK, tmp_path)
    last = answer.stderr.strip().splitlines()[-1]
    assert last == (
        "mlflow.exceptions.MlflowException: exa+bfs:// and exa+bfss:// need the package exasol-bucketfs: "
        "pip install 'mlflow-go[exasol]'"
    )


@pytest.mark.parametrize("theirs_first", [True, False])
def test_exasols_plugin_wins_and_ours_says_so(tmp_path: Path, theirs_first: bool) -> None:
    theirs = plugin_of_exasols(tmp_path)
    if theirs_first:
        answer = run(_ASK, theirs)
    else:
        answer = run(f"import sys; sys.path.append({str(theirs)!r})\n{_ASK}")
    assert answer.stdout.splitlines() == [f"Exasol's for {scheme}://h:1/s/b" for scheme in _SCHEMES]
    assert answer.stderr.count("mlflow-go leaves exa+bfs:// and exa+bfss:// to exasol-mlflow-plugin") == 1


def test_exasols_plugin_that_cannot_be_loaded_leaves_it_to_ours(tmp_path: Path) -> None:
    theirs = plugin_of_exasols(tmp_path, "raise ImportError('made for another MLflow')")
    answer = run(_ASK, theirs)
    assert [line.partition("(")[0] for line in answer.stdout.splitlines()] == [
        "BucketFSArtifactRepository"
    ] * 2
    assert "mlflow-go serves exa+bfs:// and exa+bfss://" in answer.stderr
    assert "can't be loaded (made for another MLflow)" in answer.stderr

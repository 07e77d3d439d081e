"""The script-language container, up to where Docker is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slc

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".slc"


def mage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["go", "tool", "mage", *arguments],
        check=False,
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=550,
    )


def test_without_docker_it_says_so_at_once() -> None:
    shutil.rmtree(FOLDER / "wheel", ignore_errors=True)
    answer = mage("slc:export", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert answer.returncode != 0
    assert "the container is built with Docker, which doesn't answer" in answer.stderr
    assert not (FOLDER / "wheel").exists()


def test_flavour_wheel_and_package_list() -> None:
    wheel = os.environ.get("MLFLOW_GO_TEST_WHEEL")
    assert wheel, "MLFLOW_GO_TEST_WHEEL must name mlflow-go's wheel; `python3 dev.py test` builds it"
    answer = mage("slc:prepare", f"-wheel={wheel}")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    base = FOLDER / "flavor" / "flavor_base"
    (taken,) = (base / "release" / "dist").iterdir()
    assert taken.read_bytes() == Path(wheel).read_bytes()
    with zipfile.ZipFile(taken) as content:
        assert "mlflow_go/exasol/plugin.py" in content.namelist()

    packages = (base / "dependencies" / "requirements.txt").read_text()
    pins = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", packages, re.MULTILINE))
    # One version each, and what the wheel is itself comes from the wheel.
    assert len(pins) == len([line for line in packages.splitlines() if line and not line.startswith("#")])
    assert {"mlflow", "exasol-bucketfs", "scikit-learn"} <= set(pins)
    assert pins["mlflow"] == "3.17.2"
    assert "mlflow-go" not in pins

    # The list is made for the Python that the flavour's image has, and installed with it.
    dockerfiles = [(base / step / "Dockerfile").read_text() for step in ("dependencies", "release")]
    assert "python-3.12-" in dockerfiles[0]
    assert "python3.12 -m pip install" in dockerfiles[0]
    assert "requirements.txt" in dockerfiles[0]
    assert re.search(r"python3\.12 -m pip install --no-deps .*dist/\*\.whl", dockerfiles[1])

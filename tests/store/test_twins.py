"""Our stores answer as MLflow's do, call by call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from mlflow.environment_variables import MLFLOW_TRACE_ARCHIVAL_CONFIG
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as MlflowModelRegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as MlflowTrackingStore

from mlflow_go.store.model_registry import ModelRegistryStore
from mlflow_go.store.tracking import TrackingStore
from tests.store import scripts, twins


@pytest.mark.parametrize("script", scripts.TRACKING, ids=lambda script: script.__name__)
def test_tracking(
    script: twins.Script,
    new_database: Callable[[], str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "mlflow_go")
    assert_twins(script, new_database, tmp_path)
    assert ": Go, " in caplog.text


@pytest.mark.parametrize("retention", ["30d", "thirty-days"])
def test_archive_of_traces(
    retention: str, new_file: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Experiments tell their retention; of a wrong one MLflow warns, and leaves it out."""
    config = tmp_path / "archive.yaml"
    archival = {"enabled": True, "location": (tmp_path / "archive").as_uri(), "retention": retention}
    config.write_text(yaml.safe_dump({"trace_archival": archival}))
    monkeypatch.setenv(MLFLOW_TRACE_ARCHIVAL_CONFIG.name, str(config))
    assert_twins(scripts.experiments, new_file, tmp_path)
    assert_twins(scripts.experiments_found, new_file, tmp_path)


@pytest.mark.parametrize("script", scripts.MODEL_REGISTRY, ids=lambda script: script.__name__)
def test_model_registry(
    script: twins.Script, new_database: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    def outcomes(store: type[MlflowModelRegistryStore]) -> list[tuple[str, Any]]:
        uri = new_database()
        # MLflow's store asks the process's registry for what models:/ refers to.
        mlflow.set_registry_uri(uri)
        try:
            return twins.play(script, store(uri), uri)
        finally:
            mlflow.set_registry_uri(None)

    expected = outcomes(MlflowModelRegistryStore)
    caplog.set_level(logging.DEBUG, "mlflow_go")
    assert_equal(outcomes(ModelRegistryStore), expected)
    assert ": Go, " in caplog.text


def assert_twins(script: twins.Script, new_database: Callable[[], str], tmp_path: Path) -> None:
    """Play a script on a tracking store of each kind."""

    def outcomes(store: type[MlflowTrackingStore], name: str) -> list[tuple[str, Any]]:
        root = tmp_path / name
        return twins.play(script, store(new_database(), str(root)), str(root))

    assert_equal(outcomes(TrackingStore, "ours"), outcomes(MlflowTrackingStore, "stock"))


def assert_equal(ours: list[tuple[str, Any]], expected: list[tuple[str, Any]]) -> None:
    """Compare call by call, as the first difference may bring others."""
    for number, (one, other) in enumerate(zip(ours, expected, strict=True)):
        assert one == other, f"call {number}, {other[0]}: {one[1]} instead of {other[1]}"

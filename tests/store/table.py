"""The table in the docs of who answers which method: ``python -m tests.store.table`` writes it."""

from __future__ import annotations

import re
from pathlib import Path

from mlflow_go.store import _dispatch
from mlflow_go.store.model_registry import ModelRegistryStore
from mlflow_go.store.tracking import TrackingStore

DOCUMENT = Path(__file__).parents[2] / "docs" / "in-process.md"
_GENERATED = re.compile(r"(<!-- methods -->\n).*(<!-- end of methods -->)", re.DOTALL)


def methods(title: str, store: type) -> str:
    """Return a section with a store's public methods by who answers them."""
    names = _dispatch.public_methods(store)
    native = set(_dispatch.native_methods(store))
    composed = {name for name in names if _dispatch.is_composed(getattr(store, name))} - native
    rows = (
        ("Go", native & set(names)),
        ("MLflow's code, which calls other methods: Go's where they are native", composed),
        ("MLflow's code", set(names) - native - composed),
    )
    lines = (
        f"| {who} ({len(which)}) | {', '.join(f'`{n}`' for n in sorted(which))} |" for who, which in rows
    )
    return "\n".join(
        [f"### {title}: {len(names)} methods", "", "| answered by | methods |", "|---|---|", *lines, ""]
    )


def updated() -> str:
    """Return the document with the table as it should be."""
    table = f"{methods('Tracking store', TrackingStore)}\n{methods('Model registry', ModelRegistryStore)}"
    return _GENERATED.sub(lambda found: f"{found[1]}\n{table}\n{found[2]}", DOCUMENT.read_text())


if __name__ == "__main__":
    DOCUMENT.write_text(updated())

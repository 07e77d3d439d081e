"""Tests by their names, for the scripts beside this file."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def matches(node: str, names: list[str]) -> bool:
    """Whether a test is one of those named, or in a file or folder that is."""
    return any(node == name or node.startswith((f"{name}[", f"{name}::", f"{name}/")) for name in names)


def leave_out(config: pytest.Config, items: list[pytest.Item], unwanted: Callable[[str], bool]) -> None:
    """Take tests out of what pytest has collected, and have it count them."""
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        (left_out if unwanted(item.nodeid) else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept

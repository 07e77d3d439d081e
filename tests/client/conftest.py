"""What tests of clients share."""

from __future__ import annotations

from typing import Any

import pytest
import requests


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Record each request of this process's client: its path, and whether Python answered."""
    seen: list[tuple[str, bool]] = []
    send = requests.Session.send

    def record(
        session: requests.Session, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        response = send(session, request, **options)
        seen.append((request.path_url, "via" in response.headers))
        return response

    monkeypatch.setattr(requests.Session, "send", record)
    return seen

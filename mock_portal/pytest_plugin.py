"""The pytest plugin: the fixture `mock_portal`, configured by a marker of the same name."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from .server import MockPortal

_MARKER = "mock_portal"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(scenario=..., dialects={{...}}, faults=[...]): what the fixture starts with",
    )


@pytest.fixture
def mock_portal(request: pytest.FixtureRequest) -> Iterator[MockPortal]:
    """Return a portal of this test's own, listening in a thread, for tests with or without asyncio."""
    with suppress(pytest.FixtureLookupError):
        # Where pytest-socket forbids sockets, asking for the portal means to allow them.
        request.getfixturevalue("socket_enabled")
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        options |= marker.kwargs
    with MockPortal.in_thread(**options) as portal:
        yield portal

"""The pytest plugin: the fixture `mock_portal`, configured by a marker of the same name."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from .server import MockPortal

_MARKER = "mock_portal"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(scenario=..., dialects={{...}}, faults=[...]): what the fixture starts with",
    )


@pytest.fixture
def mock_portal(request: pytest.FixtureRequest) -> Iterator[MockPortal]:
    """Return a portal for this test alone, running in a thread; works with and without asyncio."""
    with suppress(pytest.FixtureLookupError):
        # pytest-socket may forbid sockets; this fixture allows them.
        request.getfixturevalue("socket_enabled")
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        options |= marker.kwargs
    with MockPortal.in_thread(**options) as portal:
        yield portal

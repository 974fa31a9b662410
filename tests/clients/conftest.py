"""Fixtures: a portal on a real socket."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from mock_portal import MockPortal


@pytest.fixture
def portal(request: pytest.FixtureRequest) -> Iterator[MockPortal]:
    """Return a portal whose clock stands still."""
    with suppress(pytest.FixtureLookupError):
        request.getfixturevalue("socket_enabled")
    with MockPortal.in_thread("demo") as portal:
        portal.clock.freeze()
        yield portal

"""The pytest plugin: the fixture `mock_portal`, configured by a marker of the same name."""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from inspect import signature
from typing import Any

import pytest

from .errors import SetupError, suggest
from .server import MockPortal

_MARKER = "mock_portal"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(scenario=..., dialects={{...}}, faults=[...]): what the fixture starts with; "
        "the arguments of MockPortal",
    )


@pytest.fixture
def mock_portal(request: pytest.FixtureRequest) -> Iterator[MockPortal]:
    """Return a portal for this test alone, running in a thread; works with and without asyncio."""
    with suppress(pytest.FixtureLookupError):
        # pytest-socket may forbid sockets; this fixture allows them.
        request.getfixturevalue("socket_enabled")
    options: dict[str, Any] = {}
    with ExitStack() as stack:
        try:
            for marker in reversed(list(request.node.iter_markers(_MARKER))):
                options |= _read(marker)
            portal = stack.enter_context(MockPortal.in_thread(**options))
        except SetupError as err:
            pytest.fail(f"@pytest.mark.{_MARKER}: {err}", pytrace=False)
        yield portal


def _read(marker: pytest.Mark) -> dict[str, Any]:
    """Return the arguments of a marker by their names: those of `MockPortal`."""
    known = signature(MockPortal)
    for name in marker.kwargs:
        if name not in known.parameters:
            msg = f"there is no {name!r}; {suggest(name, known.parameters)}"
            raise SetupError(msg)
    try:
        return known.bind(*marker.args, **marker.kwargs).arguments
    except TypeError as err:
        raise SetupError(err) from err

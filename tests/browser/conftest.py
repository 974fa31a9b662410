"""Fixtures for the tests in a browser."""

import pytest

from .browser import NO_CHROMIUM, find_chromium


@pytest.fixture
def chromium() -> str:
    """Return the path of Chromium."""
    program = find_chromium()
    if program is None:
        pytest.fail(NO_CHROMIUM, pytrace=False)
    return program

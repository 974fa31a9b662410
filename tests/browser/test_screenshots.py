"""The screenshots of the README and the docs can be taken again."""

from pathlib import Path

import pytest

from .screenshots import FOLDER, take_all


def names(folder: Path) -> set[str]:
    """Return the names of all files in a folder."""
    return {path.name for path in folder.iterdir()}


@pytest.mark.timeout(600)
async def test_screenshots(tmp_path: Path, chromium: str, socket_enabled: None) -> None:
    """Exactly the screenshots in the repository are taken."""
    await take_all(chromium, tmp_path)
    assert names(tmp_path) == names(FOLDER)

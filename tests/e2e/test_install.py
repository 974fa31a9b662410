"""A release works when its files are installed in each supported version of Home Assistant."""

import asyncio
from pathlib import Path
import shutil
import subprocess
import time
from typing import Any
import zipfile

from aiohttp.test_utils import unused_port
import pytest

from mock_portal import MockPortal
from scripts.hass_process import REPOSITORY, HomeAssistantProcess
from scripts.release import ARCHIVE, main as release
from tests.versions import next_python

from .common import DOCUMENTED, WAIT, add_demo, complaints, wait_for

CONFIGURATION = """
config:
logger:
  default: info
"""
# Do with the archive of a repository what the Marketplace does, with its own code.
MARKETPLACE = """
import json
from pathlib import Path
import sys

from homeassistant.components.marketplace.repositories.base import RepositoryArchive
from homeassistant.components.marketplace.repositories.integration import (
    get_first_directory_in_directory,
)
from homeassistant.components.marketplace.utils.validate import (
    INTEGRATION_MANIFEST_VALUES,
    REPOSITORY_MANIFEST_VALUES,
    VALID_DOMAIN,
)

archive = RepositoryArchive(Path(sys.argv[1]).read_bytes())
for key, value in json.loads(archive.read("hacs.json")).items():
    REPOSITORY_MANIFEST_VALUES[key](value)
domain = get_first_directory_in_directory(archive.tree, "custom_components")
folder = f"custom_components/{domain}"
manifest = json.loads(archive.read(f"{folder}/manifest.json"))
for key, valid in INTEGRATION_MANIFEST_VALUES.items():
    valid(manifest[key])
assert VALID_DOMAIN.match(manifest["domain"])
archive.extract_directory(folder, Path(sys.argv[2]) / manifest["domain"])
"""


def contents(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def wait_for_event(hass: HomeAssistantProcess, iccid: str, key: str, kind: str) -> None:
    """Wait until an event entity of a SIM shows an event type."""
    until = time.monotonic() + WAIT
    state: dict[str, Any] = {}
    while state.get("attributes", {}).get("event_type") != kind:
        assert time.monotonic() < until, state
        await asyncio.sleep(0.2)
        state = (await hass.states())[iccid][key]


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    """Return the folder in which a user has unpacked the release."""
    release(["--draft", "--output", str(tmp_path)])
    folder = tmp_path / "iot_portal"
    with zipfile.ZipFile(tmp_path / ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.timeout(900)  # the first run installs another Home Assistant
async def test_install(
    tmp_path: Path, socket_enabled: None, downloaded: Path, python: Path
) -> None:
    """In an empty configuration the release does its main job and can be unloaded, without warnings."""
    hass = HomeAssistantProcess(tmp_path / "config", port=unused_port(), python=python)
    hass.prepare(CONFIGURATION, downloaded)
    async with MockPortal("documented") as portal, hass:
        await add_demo(hass, portal, DOCUMENTED)
        sensors = await wait_for(hass, DOCUMENTED, "status", "inventory")
        assert float(sensors["data_usage"]["state"]) == 0
        assert sensors["last_ip"]["state"] == "100.126.61.98"

        sim = (await hass.device_ids())[DOCUMENTED]
        await hass.call_action(
            "iot_portal", "request_status_change", {"device_id": sim, "status": "activated"}
        )
        await wait_for_event(hass, DOCUMENTED, "sim_event", "status_change_confirmed")
        await hass.call_action("iot_portal", "send_sms", {"device_id": sim, "message": "Hello"})
        await wait_for_event(hass, DOCUMENTED, "sms_event", "sms_delivered")
        portal.journal.assert_called_once("PUT", f"/SendSMS/{DOCUMENTED}/1")
        (view,) = (await hass.command("iot_portal/dashboard"))["views"]
        assert view["sections"]

        (entry,) = await hass.command("config_entries/get", domain="iot_portal")
        await hass.command("config_entries/disable", entry_id=entry["entry_id"], disabled_by="user")
        (entry,) = await hass.command("config_entries/get", domain="iot_portal")
        assert entry["state"] == "not_loaded"

    assert not complaints(hass, "iot_portal")
    log = hass.log_file.read_text()
    assert "demo-secret" not in log
    # A start needs no packages but those that scripts/setup installed.
    assert "Attempting install" not in log


@pytest.mark.timeout(900)
def test_marketplace(tmp_path: Path, downloaded: Path) -> None:
    """The Marketplace accepts hacs.json and the manifest, and gets the same files as a release has."""
    python = next_python()
    root = tmp_path / "github" / "ha-iot-portal-0.1.0"
    shutil.copytree(
        REPOSITORY / "custom_components",
        root / "custom_components",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(REPOSITORY / "hacs.json", root)
    archive = shutil.make_archive(str(tmp_path / "repository"), "zip", root.parent)
    folder = tmp_path / "custom_components"
    subprocess.run([python, "-c", MARKETPLACE, archive, folder], cwd=tmp_path, check=True)  # noqa: S603
    assert contents(folder) == {
        f"iot_portal/{name}": content for name, content in contents(downloaded).items()
    }

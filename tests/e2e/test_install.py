"""What a user installs works: the release's files alone, in the versions of Home Assistant that we name."""

import asyncio
import fcntl
from pathlib import Path
import shutil
import subprocess
import sys
import time
import tomllib
from typing import Any
import zipfile

from aiohttp.test_utils import unused_port
import pytest

from mock_portal import MockPortal
from scripts.hass_process import REPOSITORY, HomeAssistantProcess
from scripts.release import ARCHIVE, INTEGRATION, main as release

from .common import DOCUMENTED, WAIT, add_demo, complaints, wait_for

CONFIGURATION = """
config:
logger:
  default: info
"""
GROUPS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
OLDEST, NEXT = (
    GROUPS[group][0].removeprefix("homeassistant==")
    for group in ("homeassistant", "homeassistant-next")
)
# Takes from the archive of a whole repository what the Marketplace puts into custom_components.
MARKETPLACE = """
from pathlib import Path
import sys

from homeassistant.components.marketplace.repositories.base import RepositoryArchive

archive, remote, target = sys.argv[1:]
RepositoryArchive(Path(archive).read_bytes()).extract_directory(remote, Path(target))
"""


def the_next() -> Path:
    """Return the Python of the next version of Home Assistant, which is installed when it is missing."""
    tools = REPOSITORY / ".tools"
    # Tests run side by side, and both would install it.
    with (tools / "homeassistant-next.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = subprocess.run(  # noqa: S603
            [REPOSITORY / "scripts" / "setup-next"], capture_output=True, text=True, check=False
        )
    if result.returncode:
        pytest.skip(f"Home Assistant {NEXT} cannot be installed here:\n{result.stderr[-2000:]}")
    return Path(result.stdout.strip())


def version(python: Path) -> str:
    """Return the version of Home Assistant that a Python runs."""
    return subprocess.run(  # noqa: S603
        [python, "-m", "homeassistant", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def wait_for_event(hass: HomeAssistantProcess, iccid: str, key: str, kind: str) -> None:
    """Wait until an event entity of a SIM tells an event of a kind."""
    until = time.monotonic() + WAIT
    state: dict[str, Any] = {}
    while state.get("attributes", {}).get("event_type") != kind:
        assert time.monotonic() < until, state
        await asyncio.sleep(0.2)
        state = (await hass.states())[iccid][f"{key}_event"]


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    """Return the folder into which a user has unpacked the release."""
    release(["--draft", "--output", str(tmp_path)])
    folder = tmp_path / "iot_portal"
    with zipfile.ZipFile(tmp_path / ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(params=[OLDEST, NEXT])
def python(request: pytest.FixtureRequest) -> Path:
    """Return the Python of each version of Home Assistant."""
    program = the_next() if request.param == NEXT else Path(sys.executable)
    assert version(program) == request.param
    return program


@pytest.mark.timeout(900)  # the first run installs another Home Assistant
async def test_install(
    tmp_path: Path, socket_enabled: None, downloaded: Path, python: Path
) -> None:
    """Unpacked into a bare configuration it does its main job, is unloaded, and nothing is complained of."""
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
        await wait_for_event(hass, DOCUMENTED, "lifecycle", "status_change_confirmed")
        await hass.call_action("iot_portal", "send_sms", {"device_id": sim, "message": "Hello"})
        await wait_for_event(hass, DOCUMENTED, "sms", "delivered")
        portal.journal.assert_called_once("PUT", f"/SendSMS/{DOCUMENTED}/1")

        (entry,) = await hass.command("config_entries/get", domain="iot_portal")
        await hass.command("config_entries/disable", entry_id=entry["entry_id"], disabled_by="user")
        (entry,) = await hass.command("config_entries/get", domain="iot_portal")
        assert entry["state"] == "not_loaded"

    assert not complaints(hass, "iot_portal")
    log = hass.log_file.read_text()
    assert "demo-secret" not in log
    # What set-up installed is all that a start needs.
    assert "Attempting install" not in log


@pytest.mark.timeout(900)
def test_marketplace(tmp_path: Path, downloaded: Path) -> None:
    """What the Marketplace takes out of the repository is what the release holds, file by file."""
    python = the_next()
    shutil.copytree(
        REPOSITORY / INTEGRATION,
        tmp_path / "github" / "ha-iot-portal-0.1.0" / INTEGRATION,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    archive = shutil.make_archive(str(tmp_path / "repository"), "zip", tmp_path / "github")
    target = tmp_path / "custom_components" / "iot_portal"
    subprocess.run(  # noqa: S603
        [python, "-c", MARKETPLACE, archive, INTEGRATION.as_posix(), target],
        cwd=tmp_path,
        check=True,
    )
    assert contents(target) == contents(downloaded)

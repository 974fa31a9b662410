"""Functions that several end-to-end tests share."""

import asyncio
from pathlib import Path
import time
from typing import Any

from mock_portal import MockPortal
from scripts.hass_process import HomeAssistantProcess

DOCUMENTED = "8931082322089353632"
WAIT = 90


async def add_demo(
    hass: HomeAssistantProcess, portal: MockPortal, *iccids: str, name: str = "demo-client"
) -> None:
    """Create the user, and add the portal's account and some of its SIMs."""
    await hass.create_user("demo", "demo")
    account = await hass.add_account(
        portal.url, client_id="demo-client", secret_key="demo-secret", name=name
    )
    await hass.add_sims(account["result"]["entry_id"], list(iccids))


async def read_again(hass: HomeAssistantProcess, entity_id: str) -> None:
    """Read the SIM of an entity without waiting for the next poll, as an automation can."""
    await hass.request(
        "POST", "/api/services/homeassistant/update_entity", {"entity_id": entity_id}
    )


async def wait_for(
    hass: HomeAssistantProcess, iccid: str, key: str, state: str
) -> dict[str, dict[str, Any]]:
    """Wait until an entity of a SIM has a state, and return all states of the SIM."""
    until = time.monotonic() + WAIT
    while (states := (await hass.states()).get(iccid, {})).get(key, {}).get("state") != state:
        assert time.monotonic() < until, states
        await asyncio.sleep(0.2)
    return states


def complaints(hass: HomeAssistantProcess, *names: str) -> list[str]:
    """Return the warnings and errors in the log that contain one of the names."""
    return [
        line
        for line in hass.log_file.read_text().splitlines()
        if (" WARNING " in line or " ERROR " in line)
        and any(name in line for name in names)
        # Home Assistant logs this for every custom integration.
        and "has not been tested" not in line
    ]


def stored_requests(config_dir: Path) -> str:
    """Return the file of the requests that an account has under way; nothing before the first one."""
    files = (config_dir / ".storage").glob("iot_portal.*")
    return "".join(file.read_text() for file in files if file.name.count(".") == 1)

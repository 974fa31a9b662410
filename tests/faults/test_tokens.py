"""Expired tokens, revoked keys, and log-ins that fail for other reasons."""

import asyncio
from datetime import timedelta
from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal
from tests.integration.conftest import ICCID, OTHER_ICCID, SetUp
from tests.integration.helpers import call_action, device_id, state_of

from .clock import WallClock
from .rules import CELLS, Cell, Phase

FLEET = [f"89310800000000002{number:02}" for number in range(50)]
A_POLL = timedelta(minutes=24)


async def refresh_all(entry: MockConfigEntry) -> None:
    """Read all SIMs of an account at once."""
    sims = entry.runtime_data.sims.values()
    await asyncio.gather(*(sim.async_refresh() for sim in sims))


async def test_expires_in_the_middle(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A token that expires while fifty SIMs are read is renewed once, without an effect on the states."""
    in_session = {"session_started": "-1h", "session_count": 1}
    portal.load({"extends": "documented", "sims": dict.fromkeys(FLEET, in_session)})
    entry = await set_up(*FLEET)
    portal.journal.clear()
    # Half of them are slow, and their sessions are still to be read when the token expires.
    portal.faults.add("delay", route="ctdUsage", seconds=0.2, times=25)

    reads = hass.async_create_task(refresh_all(entry))
    async with asyncio.timeout(60):
        while len(portal.journal) < 10:  # noqa: ASYNC110  a socket
            await asyncio.sleep(0)
    portal.state.revoke_tokens()
    await reads

    refused = [call for call in portal.journal if call.status == 401]
    assert refused
    assert portal.journal.logins == 1
    assert {state_of(hass, iccid, "status") for iccid in FLEET} == {"activated"}


async def test_key_is_withdrawn(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """A refused key is tried once and asked for once until a new one is entered, whatever polls and actions run."""
    entry = await set_up(ICCID, OTHER_ICCID)
    demo = portal.state.accounts["demo-client"]
    demo.secret_key = "changed"
    portal.state.revoke_tokens()
    portal.journal.clear()

    for _ in range(4):
        await clock.wait(A_POLL)
    sim = device_id(hass, entry, ICCID)
    with pytest.raises(HomeAssistantError, match="refused the credentials"):
        await call_action(hass, "send_sms", {"device_id": sim, "message": "Hello"})
    with pytest.raises(HomeAssistantError, match="refused the credentials"):
        await hass.services.async_call(
            "button", "press", {"entity_id": f"button.sim_{ICCID}_refresh"}, blocking=True
        )
    await clock.wait(A_POLL)

    assert portal.journal.logins == 1
    assert state_of(hass, OTHER_ICCID, "status") == STATE_UNAVAILABLE
    (flow,) = hass.config_entries.flow.async_progress()

    await hass.config_entries.flow.async_configure(flow["flow_id"], {"secret_key": "changed"})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert state_of(hass, OTHER_ICCID, "status") == "activated"
    assert not hass.config_entries.flow.async_progress()


async def test_key_is_good_again(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """A user who has restored the key in the portal can reload the account."""
    entry = await set_up(ICCID)
    portal.faults.add("status", route="Login", status=401)
    portal.state.revoke_tokens()
    await clock.wait(A_POLL)
    portal.faults.clear()

    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, ICCID, "status") == "inventory"


async def test_somebody_else_logs_in(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """Where only the newest token is valid, another program's log-in does not look like a wrong key."""
    portal.dialects["token_life"] = "newest_only"
    await set_up(ICCID)
    # The other program is always faster.
    portal.faults.add("status", route="ctdUsage", status=401, times=2)

    await clock.wait(A_POLL)
    assert not hass.config_entries.flow.async_progress()
    assert state_of(hass, ICCID, "status") == STATE_UNAVAILABLE

    await clock.wait(A_POLL)
    assert state_of(hass, ICCID, "status") == "inventory"


@pytest.mark.parametrize(
    "cell",
    [cell for cell in CELLS if (cell.route, cell.phase) == ("Login", Phase.SET_UP)],
    ids=str,
)
async def test_new_account(
    hass: HomeAssistant, portal: MockPortal, impatient: None, cell: Cell
) -> None:
    """A user who adds an account is told of a wrong key if the log-in was refused for one."""
    portal.faults.add(cell.kind, route="Login", **cell.details)
    form: dict[str, Any] = {
        "environment": "custom",
        "client_id": "demo-client",
        "secret_key": "demo-secret",
        "other": {"base_url": portal.url},
    }

    flow = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], form)

    is_told_so = (
        result["type"] is FlowResultType.FORM
        and "invalid_auth" in (result["errors"] or {}).values()
    )
    # Weak evidence is enough here: nothing is lost, and trying again is free.
    assert is_told_so is (cell.error == "authentication_failed")
    assert (result["type"] is FlowResultType.CREATE_ENTRY) is (cell.error is None)

"""Accounts and SIMs are set up, unloaded and removed."""

from datetime import timedelta
from types import MappingProxyType

from aiohttp.test_utils import unused_port
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import poll, state_of


async def test_devices(hass: HomeAssistant, set_up: SetUp) -> None:
    """The device of a SIM is connected via that of its account."""
    entry = await set_up(ICCID)
    devices = dr.async_get(hass)

    account = devices.async_get_device_by_identifier((DOMAIN, entry.entry_id), entry.entry_id)
    sim = devices.async_get_device_by_identifier((DOMAIN, ICCID), entry.entry_id)

    assert account is not None
    assert sim is not None
    assert account.name == "demo-client"
    assert account.entry_type is dr.DeviceEntryType.SERVICE
    assert sim.via_device_id == account.id
    assert sim.serial_number == ICCID
    assert sim.name == f"SIM {ICCID}"


async def test_unload_and_reload(hass: HomeAssistant, set_up: SetUp) -> None:
    """An unloaded account leaves nothing running, and can be set up again."""
    entry = await set_up(ICCID)

    assert await hass.config_entries.async_unload(entry.entry_id)
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert state_of(hass, ICCID, "status") == STATE_UNAVAILABLE

    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, ICCID, "status") == "inventory"


async def test_no_requests_after_unload(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An unloaded account is not polled."""
    entry = await set_up(ICCID)
    await hass.config_entries.async_unload(entry.entry_id)
    portal.journal.clear()

    await poll(hass, freezer)

    assert len(portal.journal) == 0


async def test_portal_away_at_start(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An account whose portal cannot be reached is set up later automatically."""
    portal.faults.add("reset_after_read", route="Login")
    entry = await set_up(ICCID)

    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "cannot_connect"

    portal.faults.clear()
    freezer.tick(timedelta(minutes=1))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert hass.config_entries.async_loaded_entries(DOMAIN) == [entry]
    assert state_of(hass, ICCID, "status") == "inventory"


async def test_nobody_there(hass: HomeAssistant, set_up: SetUp) -> None:
    """The reason that a user reads names the problem."""
    entry = await set_up(ICCID, base_url=f"http://127.0.0.1:{unused_port()}/api")

    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.reason is not None
    assert entry.reason.startswith("The IoT Portal could not be reached for demo-client")


@pytest.mark.parametrize(
    ("base_url", "says"),
    [
        ("http://portal.example.org/api", "http is allowed on this machine"),
        ("http://[broken", "the base URL is not a valid address"),
    ],
)
async def test_address_that_nothing_is_sent_to(
    hass: HomeAssistant, set_up: SetUp, base_url: str, says: str
) -> None:
    """An account with an invalid stored address is not set up, and says why."""
    entry = await set_up(ICCID, base_url=base_url)

    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.reason is not None
    assert f"Nothing was sent for demo-client: {says}" in entry.reason


async def test_wrong_secret_at_start(hass: HomeAssistant, set_up: SetUp) -> None:
    """Refused credentials start a reauthentication."""
    entry = await set_up(ICCID, secret_key="wrong")

    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert [flow["step_id"] for flow in hass.config_entries.flow.async_progress()] == [
        "reauth_confirm"
    ]


async def test_secret_refused_later(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A secret that is no longer accepted starts one reauthentication, however many SIMs there are."""
    await set_up(ICCID, OTHER_ICCID)
    portal.state.accounts["demo-client"].secret_key = "changed"
    portal.state.revoke_tokens()

    await poll(hass, freezer)

    assert len(hass.config_entries.flow.async_progress()) == 1
    assert state_of(hass, ICCID, "status") == STATE_UNAVAILABLE


def _subentry(iccid: str) -> ConfigSubentry:
    """Return the subentry of a SIM."""
    return ConfigSubentry(
        data=MappingProxyType({"iccid": iccid}),
        subentry_type="sim",
        title=f"SIM {iccid}",
        unique_id=iccid,
    )


async def test_sim_added_later(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """An added SIM appears at once, and the others are neither reloaded nor read."""
    entry = await set_up(ICCID)
    portal.journal.clear()

    hass.config_entries.async_add_subentry(entry, _subentry(OTHER_ICCID))
    await hass.async_block_till_done(wait_background_tasks=True)

    assert state_of(hass, OTHER_ICCID, "status") == "activated"
    assert {call.iccid for call in portal.journal} == {OTHER_ICCID}


async def test_sim_removed(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A removed SIM loses its device and entities, and is no longer read."""
    entry = await set_up(ICCID, OTHER_ICCID)
    removed = next(sub for sub in entry.subentries.values() if sub.unique_id == ICCID)

    hass.config_entries.async_remove_subentry(entry, removed.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    portal.journal.clear()
    await poll(hass, freezer)

    assert er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{ICCID}_status") is None
    assert state_of(hass, OTHER_ICCID, "status") == "activated"
    assert {call.iccid for call in portal.journal} == {OTHER_ICCID}

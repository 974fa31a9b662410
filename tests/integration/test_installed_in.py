"""A SIM is connected via the device of another integration that it is installed in."""

from collections.abc import Callable
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import device_id, exists, send_sms, state_of

type Form = dict[str, Any]


@pytest.fixture
def router(hass: HomeAssistant) -> dr.DeviceEntry:
    """Return a router of another integration, which is not loaded."""
    MockConfigEntry(domain="other", entry_id="other").add_to_hass(hass)
    return add_router(hass)


def add_router(hass: HomeAssistant) -> dr.DeviceEntry:
    """Add the router, again after it was removed."""
    return dr.async_get(hass).async_get_or_create(
        config_entry_id="other", identifiers={("other", "router")}, name="Router"
    )


def via(hass: HomeAssistant, entry: MockConfigEntry, iccid: str = ICCID) -> str | None:
    """Return the ID of the device that the device of a SIM is connected via."""
    device = dr.async_get(hass).async_get(device_id(hass, entry, iccid))
    assert isinstance(device, dr.DeviceEntry)
    return device.via_device_id


def account_of(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    """Return the ID of the device of the account."""
    return device_id(hass, entry, entry.entry_id)


async def open_settings(hass: HomeAssistant, entry: MockConfigEntry) -> Form:
    """Open the settings of the first SIM."""
    subentry_id = next(iter(entry.subentries))
    return dict(await entry.start_subentry_reconfigure_flow(hass, subentry_id))


async def save(hass: HomeAssistant, form: Form, **settings: Any) -> Form:
    """Submit settings, each field that is not given empty."""
    result = await hass.config_entries.subentries.async_configure(form["flow_id"], settings)
    await hass.async_block_till_done(wait_background_tasks=True)
    return dict(result)


async def set_device(hass: HomeAssistant, entry: MockConfigEntry, device: str) -> None:
    """Set the device that the first SIM is installed in."""
    result = await save(hass, await open_settings(hass, entry), installed_in=device)
    assert result["reason"] == "reconfigure_successful"


def suggested(form: Form) -> dict[str, Any]:
    """Return what the fields of a form already contain."""
    return {
        str(key): key.description["suggested_value"]
        for key in form["data_schema"].schema
        if key.description is not None
    }


async def test_set_and_cleared(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, router: dr.DeviceEntry
) -> None:
    """The device applies to its SIM at once, without a request, until it is cleared."""
    entry = await set_up(ICCID, OTHER_ICCID)
    account = account_of(hass, entry)
    portal.journal.clear()

    await set_device(hass, entry, router.id)

    assert via(hass, entry) == router.id
    assert via(hass, entry, OTHER_ICCID) == account
    assert entry.state is ConfigEntryState.LOADED
    form = await open_settings(hass, entry)
    assert suggested(form) == {"installed_in": router.id}

    await save(hass, form, allowance=10)

    assert via(hass, entry) == account
    first = next(iter(entry.subentries.values()))
    assert first.data == {"iccid": ICCID, "allowance": 10}
    assert len(portal.journal) == 0


async def test_entities_added_later(
    hass: HomeAssistant, set_up: SetUp, router: dr.DeviceEntry
) -> None:
    """Entities that are added later leave the SIM where it is installed."""
    entry = await set_up(OTHER_ICCID)
    await set_device(hass, entry, router.id)
    assert not exists(hass, OTHER_ICCID, "last_sent_sms")

    await send_sms(hass, entry)

    assert exists(hass, OTHER_ICCID, "last_sent_sms")
    assert via(hass, entry, OTHER_ICCID) == router.id


async def test_offered_devices(hass: HomeAssistant, set_up: SetUp, router: dr.DeviceEntry) -> None:
    """The form offers the devices of all other integrations, and neither SIMs nor accounts."""
    entry = await set_up(ICCID)

    form = await open_settings(hass, entry)

    selector = form["data_schema"].schema["installed_in"]
    assert selector.config["filter"] == [{"integration": "other"}]
    assert selector.config["multiple"] is False


def the_sim(hass: HomeAssistant, entry: MockConfigEntry, router: dr.DeviceEntry) -> str:
    """Return the SIM itself."""
    return device_id(hass, entry, ICCID)


def another_sim(hass: HomeAssistant, entry: MockConfigEntry, router: dr.DeviceEntry) -> str:
    """Return another SIM, which is installed in a device."""
    return device_id(hass, entry, OTHER_ICCID)


def the_account(hass: HomeAssistant, entry: MockConfigEntry, router: dr.DeviceEntry) -> str:
    """Return the account."""
    return account_of(hass, entry)


def connected_via_the_sim(
    hass: HomeAssistant, entry: MockConfigEntry, router: dr.DeviceEntry
) -> str:
    """Return a device that is connected via a router, which is connected via the SIM."""
    devices = dr.async_get(hass)
    devices.async_update_device(router.id, via_device_id=device_id(hass, entry, ICCID))
    return devices.async_get_or_create(
        config_entry_id="other", identifiers={("other", "camera")}, via_device_id=router.id
    ).id


def nothing(hass: HomeAssistant, entry: MockConfigEntry, router: dr.DeviceEntry) -> str:
    """Return an empty text."""
    return ""


def removed(hass: HomeAssistant, entry: MockConfigEntry, router: dr.DeviceEntry) -> str:
    """Return a device that was removed while the form was open."""
    dr.async_get(hass).async_remove_device(router.id)
    return router.id


@pytest.mark.parametrize(
    "choose", [the_sim, another_sim, the_account, connected_via_the_sim, nothing, removed]
)
async def test_refused_devices(
    hass: HomeAssistant,
    set_up: SetUp,
    router: dr.DeviceEntry,
    choose: Callable[[HomeAssistant, MockConfigEntry, dr.DeviceEntry], str],
) -> None:
    """A SIM, an account, a device behind the SIM and a missing device are refused; a correction is accepted."""
    entry = await set_up(ICCID, OTHER_ICCID)
    form = await open_settings(hass, entry)
    chosen = choose(hass, entry, router)

    result = await save(hass, form, installed_in=chosen, allowance=10)

    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"installed_in": "device_not_suitable"}
    assert suggested(result) == {"installed_in": chosen, "allowance": 10}
    assert via(hass, entry) == account_of(hass, entry)
    assert (await save(hass, result))["reason"] == "reconfigure_successful"


async def test_chain_of_other_devices_in_a_circle(
    hass: HomeAssistant, set_up: SetUp, router: dr.DeviceEntry
) -> None:
    """Devices of others that are connected via each other in a circle are no trap."""
    entry = await set_up(ICCID)
    devices = dr.async_get(hass)
    camera = devices.async_get_or_create(
        config_entry_id="other", identifiers={("other", "camera")}, via_device_id=router.id
    )
    devices.async_update_device(router.id, via_device_id=camera.id)

    await set_device(hass, entry, router.id)

    assert via(hass, entry) == router.id


async def test_part_of_a_device(hass: HomeAssistant, set_up: SetUp, router: dr.DeviceEntry) -> None:
    """A SIM in a part of a device is connected via the whole, as nothing can be connected via a part."""
    entry = await set_up(ICCID)
    slot = dr.async_get(hass).async_get_or_create_child(
        config_entry_id="other",
        identifiers={("other", "slot")},
        name="Slot 2",
        parent_device_id=router.id,
    )

    await set_device(hass, entry, slot.id)

    assert via(hass, entry) == router.id
    assert suggested(await open_settings(hass, entry)) == {"installed_in": slot.id}


async def test_device_removed(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, router: dr.DeviceEntry
) -> None:
    """Without the device the SIM is connected via its account, until the device is back."""
    entry = await set_up(ICCID)
    await set_device(hass, entry, router.id)
    portal.journal.clear()

    dr.async_get(hass).async_remove_device(router.id)

    assert via(hass, entry) == account_of(hass, entry)
    assert len(portal.journal) == 0
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert via(hass, entry) == account_of(hass, entry)
    assert state_of(hass, ICCID, "status") == "inventory"
    form = await open_settings(hass, entry)
    assert suggested(form) == {}

    # Home Assistant gives a device that comes back the ID that it had.
    assert add_router(hass).id == router.id
    assert via(hass, entry) == router.id


async def test_device_chosen_again(
    hass: HomeAssistant, set_up: SetUp, router: dr.DeviceEntry
) -> None:
    """A device is followed no longer once another one is chosen, or none."""
    entry = await set_up(ICCID)
    await set_device(hass, entry, router.id)
    dr.async_get(hass).async_remove_device(router.id)
    camera = dr.async_get(hass).async_get_or_create(
        config_entry_id="other", identifiers={("other", "camera")}
    )

    await set_device(hass, entry, camera.id)
    add_router(hass)

    assert via(hass, entry) == camera.id
    await save(hass, await open_settings(hass, entry))
    await set_device(hass, entry, router.id)
    assert via(hass, entry) == router.id


async def test_device_gets_behind_the_sim(
    hass: HomeAssistant, set_up: SetUp, router: dr.DeviceEntry
) -> None:
    """A SIM leaves a device that another integration connects via this SIM."""
    entry = await set_up(ICCID)
    await set_device(hass, entry, router.id)

    dr.async_get(hass).async_update_device(router.id, via_device_id=device_id(hass, entry, ICCID))

    assert via(hass, entry) == account_of(hass, entry)


async def test_changed_while_unloaded(
    hass: HomeAssistant, set_up: SetUp, router: dr.DeviceEntry
) -> None:
    """What changes while the account is unloaded applies once it is loaded, even if no entity of the SIM is enabled."""
    entry = await set_up(ICCID)
    await hass.config_entries.async_unload(entry.entry_id)
    registry = dr.async_get(hass)
    sim = device_id(hass, entry, ICCID)
    registry.async_update_device(sim, disabled_by=dr.DeviceEntryDisabler.USER)
    await set_device(hass, entry, router.id)
    assert via(hass, entry) == account_of(hass, entry)

    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert via(hass, entry) == router.id
    assert await hass.config_entries.async_unload(entry.entry_id)
    registry.async_remove_device(router.id)
    assert via(hass, entry) is None
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert via(hass, entry) == account_of(hass, entry)
    assert registry.async_get_device_by_identifier((DOMAIN, ICCID), entry.entry_id) is not None

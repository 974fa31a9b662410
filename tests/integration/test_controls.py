"""Entities with controls: button, notify entity and switch; and the session's binary sensor."""

import asyncio
from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.const import (
    ATTR_DEVICE_ID,
    ATTR_ENTITY_ID,
    SERVICE_TURN_OFF,
    SERVICE_TURN_ON,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    label_registry as lr,
)
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import call_action, poll, record_events, state_of, wait_for_requests, wait_for_sums


def device_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the ID of the device of an entity."""
    entity = er.async_get(hass).async_get(entity_id)
    assert entity is not None
    assert entity.device_id is not None
    return entity.device_id


async def test_refresh(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """The button reads the SIM at once."""
    await set_up(ICCID)
    portal.sims[ICCID].set_status("ACTIVATED")

    await hass.services.async_call(
        "button",
        "press",
        {ATTR_ENTITY_ID: f"button.sim_{ICCID}_refresh"},
        blocking=True,
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert state_of(hass, ICCID, "status") == "activated"


async def test_refresh_keeps_nobody_waiting(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A refresh that the portal is slow to answer does not delay the stop of Home Assistant."""
    assert await async_setup_component(hass, "homeassistant", {})
    await set_up(ICCID)
    update = {ATTR_ENTITY_ID: f"sensor.sim_{ICCID}_status"}
    await hass.services.async_call("homeassistant", "update_entity", update, blocking=True)
    portal.faults.add("delay", route="ctdUsage", seconds=2)
    portal.journal.clear()
    # The second refresh follows some seconds after the first.
    await hass.services.async_call("homeassistant", "update_entity", update, blocking=True)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=11))
    await wait_for_requests(portal, f"GET /ctdUsage/{ICCID}")

    async with asyncio.timeout(1):
        await hass.async_block_till_done()

    await hass.async_block_till_done(wait_background_tasks=True)


async def test_refresh_ends_with_the_account(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Presses that the portal never answers end when the account is unloaded, as when Home Assistant stops."""
    entry = await set_up(ICCID, OTHER_ICCID)
    portal.faults.add("hang", route="ctdUsage")
    portal.journal.clear()
    buttons = [f"button.sim_{iccid}_refresh" for iccid in (ICCID, OTHER_ICCID)]
    presses = hass.async_create_task(
        hass.services.async_call("button", "press", {ATTR_ENTITY_ID: buttons}, blocking=True)
    )
    await wait_for_requests(portal, f"GET /ctdUsage/{ICCID}")

    assert await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(asyncio.CancelledError):
        await presses
    await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "status", "status": 404}, "The IoT Portal does not know SIM …3632"),
        ({"kind": "status", "status": 500}, "with an error: HTTP status 500"),
        ({"kind": "reset_before_read"}, "could not be reached"),
        ({"kind": "rate_limited"}, "is receiving too many requests"),
    ],
)
async def test_refresh_fails(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, fault: dict[str, Any], says: str
) -> None:
    """Each press that cannot read the SIM says why, as the actions do, and the next one may succeed."""
    await set_up(ICCID)
    press = {ATTR_ENTITY_ID: f"button.sim_{ICCID}_refresh"}
    for route in ("ctdUsage", "getStatus"):
        portal.faults.add(route=route, **fault)

    for _ in range(3):
        with pytest.raises(HomeAssistantError) as raised:
            await hass.services.async_call("button", "press", press, blocking=True)
        assert says in str(raised.value)
    with pytest.raises(HomeAssistantError) as raised:
        await call_action(hass, "get_sim", {ATTR_DEVICE_ID: device_of(hass, press[ATTR_ENTITY_ID])})
    assert says in str(raised.value)

    portal.faults.clear()
    await hass.services.async_call("button", "press", press, blocking=True)
    assert state_of(hass, ICCID, "status") == "inventory"


async def test_refresh_with_a_revoked_key(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Refresh says that the key is refused, and a new one is asked for."""
    await set_up(ICCID)
    portal.state.accounts["demo-client"].secret_key = "another"
    portal.state.revoke_tokens()

    for _ in range(3):
        with pytest.raises(HomeAssistantError, match="demo-client"):
            await hass.services.async_call(
                "button", "press", {ATTR_ENTITY_ID: f"button.sim_{ICCID}_refresh"}, blocking=True
            )

    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == "reauth"


async def test_update_entity_fails(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """Home Assistant has no error for an update that fails: the entities become unavailable."""
    assert await async_setup_component(hass, "homeassistant", {})
    await set_up(ICCID)
    portal.faults.add("status", status=500)
    status = f"sensor.sim_{ICCID}_status"

    await hass.services.async_call(
        "homeassistant", "update_entity", {ATTR_ENTITY_ID: status}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert hass.states.is_state(status, STATE_UNAVAILABLE)


async def test_notify(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """The notify entity sends an SMS; a failure is raised."""
    await set_up(ICCID)
    data = {ATTR_ENTITY_ID: f"notify.sim_{ICCID}_send_sms", "message": "Hello"}

    await hass.services.async_call("notify", "send_message", data, blocking=True)

    (sent,) = portal.journal.find("PUT", f"/SendSMS/{ICCID}/1")
    assert sent.body == {"messageText": "Hello"}

    body = {"errorMessage": "This cannot be done"}
    portal.faults.add("status", route="SendSMS", status=403, body=body)
    with pytest.raises(HomeAssistantError, match="does not allow this"):
        await hass.services.async_call("notify", "send_message", data, blocking=True)


async def test_during_an_outage(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Controls stay available while a SIM cannot be read, and their errors say what is wrong."""
    await set_up(ICCID)
    portal.faults.add("status", status=500)
    await poll(hass, freezer)
    assert state_of(hass, ICCID, "status") == STATE_UNAVAILABLE

    with pytest.raises(HomeAssistantError, match="there was no clear answer: HTTP status 500"):
        await hass.services.async_call(
            "notify",
            "send_message",
            {ATTR_ENTITY_ID: f"notify.sim_{ICCID}_send_sms", "message": "Hello"},
            blocking=True,
        )
    portal.faults.clear()
    await hass.services.async_call(
        "button", "press", {ATTR_ENTITY_ID: f"button.sim_{ICCID}_refresh"}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert state_of(hass, ICCID, "status") == "inventory"


async def test_switch(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    all_entities: None,
) -> None:
    """The switch requests a status and shows the status that the portal reports."""
    await set_up(ICCID)
    switch = f"switch.sim_{ICCID}_active"
    assert hass.states.is_state(switch, STATE_OFF)

    for action, expected in ((SERVICE_TURN_ON, STATE_ON), (SERVICE_TURN_OFF, STATE_OFF)):
        await hass.services.async_call("switch", action, {ATTR_ENTITY_ID: switch}, blocking=True)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert hass.states.is_state(switch, expected)

    portal.dialects["status_change"] = "never"
    await hass.services.async_call(
        "switch", SERVICE_TURN_ON, {ATTR_ENTITY_ID: switch}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert hass.states.is_state(switch, STATE_OFF)


@pytest.mark.parametrize("domain", ["switch", "homeassistant"])
@pytest.mark.parametrize("target", ["area_id", "floor_id", "device_id", "label_id"])
async def test_switch_is_not_reached_by_accident(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    all_entities: None,
    domain: str,
    target: str,
) -> None:
    """Turning off an area, a floor, or what has a label deactivates no SIM in it."""
    assert await async_setup_component(hass, "homeassistant", {})
    await set_up(OTHER_ICCID)
    switch = f"switch.sim_{OTHER_ICCID}_active"
    assert hass.states.is_state(switch, STATE_ON)
    device_id = device_of(hass, switch)
    floor = fr.async_get(hass).async_create("Ground floor")
    label = lr.async_get(hass).async_create("At night")
    area = ar.async_get(hass).async_create("Pump house", floor_id=floor.floor_id)
    dr.async_get(hass).async_update_device(device_id, area_id=area.id, labels={label.label_id})
    targets = {
        "area_id": area.id,
        "floor_id": floor.floor_id,
        "device_id": device_id,
        "label_id": label.label_id,
    }
    portal.journal.clear()

    await hass.services.async_call(
        domain, SERVICE_TURN_OFF, {target: targets[target]}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    portal.journal.assert_not_called("PUT", f"/RequestStatusChange/{OTHER_ICCID}")
    assert hass.states.is_state(switch, STATE_ON)


async def test_switch_and_assist(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, all_entities: None
) -> None:
    """Assist does not find the switch, by its name or in its area."""
    for component in ("homeassistant", "conversation", "intent"):
        assert await async_setup_component(hass, component, {})
    await set_up(OTHER_ICCID)
    switch = f"switch.sim_{OTHER_ICCID}_active"
    area = ar.async_get(hass).async_create("Pump house")
    dr.async_get(hass).async_update_device(
        device_of(hass, switch), area_id=area.id, name_by_user="Pump house"
    )
    await hass.async_block_till_done()
    portal.journal.clear()

    for text in ("turn off Pump house active", "turn off the switches in the Pump house"):
        await hass.services.async_call(
            "conversation", "process", {"text": text}, blocking=True, return_response=True
        )
        await hass.async_block_till_done(wait_background_tasks=True)

    assert not async_should_expose(hass, "conversation", switch)
    assert len(portal.journal) == 0


async def test_data_session(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """An open session is shown as connected."""
    portal.sims[OTHER_ICCID].open_session()
    await set_up(ICCID, OTHER_ICCID)

    assert hass.states.is_state(f"binary_sensor.sim_{OTHER_ICCID}_data_session", STATE_ON)
    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_data_session", STATE_OFF)


@pytest.mark.parametrize(
    ("word", "is_on", "activated"),
    [
        ("Active", STATE_ON, "1"),
        ("Live", STATE_ON, "1"),
        ("ENABLED", STATE_ON, "1"),
        ("Suspended", STATE_OFF, "0"),
        ("Activo", STATE_UNKNOWN, "0"),
    ],
)
async def test_words_of_other_networks(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
    word: str,
    is_on: str,
    activated: str,
) -> None:
    """What means activated counts as activated; the word itself is shown as it is."""
    portal.sims[OTHER_ICCID].status = word
    await set_up(OTHER_ICCID)
    await wait_for_sums(hass, freezer)

    assert state_of(hass, OTHER_ICCID, "status") == word
    assert hass.states.is_state(f"switch.sim_{OTHER_ICCID}_active", is_on)
    assert hass.states.is_state("sensor.demo_client_activated_sims", activated)


@pytest.mark.parametrize(
    ("end", "data_session"),
    [
        (None, STATE_ON),
        ("null", STATE_ON),
        ("0001-01-01 00:00:00.000+0000", STATE_UNKNOWN),
        ("soon", STATE_UNKNOWN),
        ("2023-08-16 10:50:07.220+0000", STATE_OFF),
    ],
)
async def test_end_of_a_session(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    end: str | None,
    data_session: str,
) -> None:
    """A session whose end cannot be read is neither open nor over, and no event tells an end."""
    started = "2023-08-16 10:50:07.220+0000"
    body = {"iccid": ICCID, "ipAddress": "null", "dateSessionStarted": started}
    portal.faults.add("status", route="sessionInfo", status=200, body=body)
    await set_up(ICCID)
    events = record_events(hass, "sim_event")
    portal.faults.clear()
    portal.faults.add(
        "status", route="sessionInfo", status=200, body=body | {"dateSessionEnded": end}
    )

    await poll(hass, freezer)

    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_data_session", data_session)
    assert state_of(hass, ICCID, "last_ip") == STATE_UNKNOWN
    is_over = data_session == STATE_OFF
    assert state_of(hass, ICCID, "session_ended") == (
        "2023-08-16T10:50:07+00:00" if is_over else STATE_UNKNOWN
    )
    assert [kind for kind, _ in events] == (["data_session_ended"] if is_over else [])

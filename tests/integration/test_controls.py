"""Entities with controls: button, notify entity and switch; and the session's binary sensor."""

import asyncio
from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import (
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
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import poll, record_events, state_of, wait_for_requests, wait_for_sums


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
    await set_up(ICCID)
    press = {ATTR_ENTITY_ID: f"button.sim_{ICCID}_refresh"}
    await hass.services.async_call("button", "press", press, blocking=True)
    portal.faults.add("delay", route="ctdUsage", seconds=2)
    portal.journal.clear()
    # The second refresh follows some seconds after the first.
    await hass.services.async_call("button", "press", press, blocking=True)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=11))
    await wait_for_requests(portal, f"GET /ctdUsage/{ICCID}")

    async with asyncio.timeout(1):
        await hass.async_block_till_done()

    await hass.async_block_till_done(wait_background_tasks=True)


async def test_notify(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """The notify entity sends an SMS; a failure is raised."""
    await set_up(ICCID)
    data = {ATTR_ENTITY_ID: f"notify.sim_{ICCID}_sms", "message": "Hello"}

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

    with pytest.raises(HomeAssistantError, match="no clear answer came back: HTTP status 500"):
        await hass.services.async_call(
            "notify",
            "send_message",
            {ATTR_ENTITY_ID: f"notify.sim_{ICCID}_sms", "message": "Hello"},
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


async def test_in_session(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """An open session is shown as connected."""
    portal.sims[OTHER_ICCID].open_session()
    await set_up(ICCID, OTHER_ICCID)

    assert hass.states.is_state(f"binary_sensor.sim_{OTHER_ICCID}_in_session", STATE_ON)
    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_in_session", STATE_OFF)


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
    ("end", "in_session"),
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
    in_session: str,
) -> None:
    """A session whose end cannot be read is neither open nor over, and no event tells an end."""
    started = "2023-08-16 10:50:07.220+0000"
    body = {"iccid": ICCID, "ipAddress": "null", "dateSessionStarted": started}
    portal.faults.add("status", route="sessionInfo", status=200, body=body)
    await set_up(ICCID)
    events = record_events(hass, "lifecycle")
    portal.faults.clear()
    portal.faults.add(
        "status", route="sessionInfo", status=200, body=body | {"dateSessionEnded": end}
    )

    await poll(hass, freezer)

    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_in_session", in_session)
    assert state_of(hass, ICCID, "last_ip") == STATE_UNKNOWN
    is_over = in_session == STATE_OFF
    assert state_of(hass, ICCID, "session_ended") == (
        "2023-08-16T10:50:07+00:00" if is_over else STATE_UNKNOWN
    )
    assert [kind for kind, _ in events] == (["session_ended"] if is_over else [])

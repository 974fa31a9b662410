"""What a person sees while the portal asks for a pause or many requests wait, by a clock that the test advances."""

import asyncio
from datetime import timedelta
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, State
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.script import Script
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import get_system_health_info

from custom_components.iot_portal import client_factory
from custom_components.iot_portal.api.pacing import Pacer
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.diagnostics import async_get_config_entry_diagnostics
from mock_portal import MockPortal
from tests.faults.clock import WallClock

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import (
    device_id,
    log_messages,
    open_sim_dialog,
    send_sms,
    state_of,
    submit_sim_form_to_end,
)

A_DAY = {"Retry-After": "86400"}
A_POLL = timedelta(minutes=23)
PORTAL = "binary_sensor.demo_client_portal"
REFRESH = f"button.sim_{ICCID}_refresh"
SENDERS = {ICCID: f"notify.sim_{ICCID}_send_sms", OTHER_ICCID: f"notify.sim_{OTHER_ICCID}_send_sms"}


@pytest.fixture(autouse=True)
def pacer(integration: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pace the requests as usual, but fast enough for a test."""
    monkeypatch.setattr(
        client_factory,
        "Pacer",
        lambda max_concurrent=3, **_: Pacer(rate=200, max_concurrent=max_concurrent),
    )


@pytest.fixture(autouse=True)
def clock(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """Return the clock."""
    hass.loop.set_debug(False)
    return WallClock(hass, monkeypatch)


def portal_state(hass: HomeAssistant) -> State:
    """Return the state of the entity Portal."""
    state = hass.states.get(PORTAL)
    assert state is not None
    return state


async def pause(hass: HomeAssistant, portal: MockPortal, clock: WallClock, **headers: str) -> None:
    """Make the portal ask one poll for a pause; it is well again afterwards."""
    fault = portal.faults.add("status", status=503, headers=headers or A_DAY, times=1)
    await clock.advance(A_POLL)
    await until(lambda: fault.fired)
    await until(lambda: portal_state(hass).attributes["paused_until"])
    portal.journal.clear()


async def pass_time(clock: WallClock, time: timedelta) -> None:
    """Advance the time in steps, so that an idle connection ends before it is used."""
    end = dt_util.utcnow() + time
    while (left := end - dt_util.utcnow()) > timedelta():
        await clock.advance(min(left, timedelta(minutes=5)))
        await asyncio.sleep(0.005)


async def until(condition: Any) -> None:
    """Wait for something that needs a socket."""
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


async def press(hass: HomeAssistant, entity_id: str = REFRESH) -> None:
    """Press a button."""
    await hass.services.async_call("button", "press", {"entity_id": entity_id}, blocking=True)


async def notify(hass: HomeAssistant, iccid: str) -> None:
    """Send an SMS by the entity of a SIM."""
    await hass.services.async_call(
        "notify",
        "send_message",
        {"entity_id": SENDERS[iccid], "message": "Hello"},
        blocking=True,
    )


async def test_paused(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """After "not before tomorrow" an SMS fails at once and says until when; after an hour all goes on by itself."""
    entry = await set_up(ICCID, OTHER_ICCID)
    assert await async_setup_component(hass, "system_health", {})
    assert portal_state(hass).attributes["paused_until"] is None
    await pause(hass, portal, clock)

    with pytest.raises(HomeAssistantError) as raised:
        await send_sms(hass, entry)

    until_when = portal_state(hass).attributes["paused_until"]
    hour = timedelta(hours=1)
    assert timedelta(seconds=-5) < until_when - dt_util.utcnow() - hour < timedelta(seconds=5)
    assert str(raised.value) == (
        f"Nothing was sent for SIM …{OTHER_ICCID[-4:]} because the IoT Portal asked for a pause. "
        f"Try again after {dt_util.as_local(until_when):%H:%M:%S}"
    )
    assert portal_state(hass).attributes["pause_reason"] == "unavailable"
    told = await async_get_config_entry_diagnostics(hass, entry)
    assert told["pause"] == {"until": until_when, "reason": "unavailable"}
    assert not entry.runtime_data.account.pending_writes.of(OTHER_ICCID).sent_sms
    assert not list(portal.journal)
    health = await get_system_health_info(hass, DOMAIN)
    assert await health["can_reach_portal"] == "ok"
    assert health["paused_until"] == until_when

    await pass_time(clock, hour + timedelta(seconds=1))

    assert portal_state(hass).attributes["paused_until"] is None
    assert portal_state(hass).attributes["pause_reason"] is None
    # Each SIM has its place in the interval.
    await pass_time(clock, A_POLL)
    await until(lambda: portal.journal.find("GET", f"/ctdUsage/{ICCID}"))
    await until(lambda: portal.journal.find("GET", f"/ctdUsage/{OTHER_ICCID}"))
    portal.journal.assert_not_called("PUT", f"/SendSMS/{OTHER_ICCID}/1")
    assert (await send_sms(hass, entry))["sims"][0]["sms_id"]


async def test_refresh_while_paused(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """Refresh fails at once; what is known stays available, and the next poll reads everything."""
    await set_up(ICCID, OTHER_ICCID)
    await pause(hass, portal, clock, **{"Retry-After": "2400"})
    shown = state_of(hass, ICCID, "status")

    with pytest.raises(HomeAssistantError, match="asked for a pause"):
        await press(hass)

    assert state_of(hass, ICCID, "status") == shown
    assert portal_state(hass).state == STATE_ON
    assert not list(portal.journal)
    await pass_time(clock, timedelta(minutes=35))
    for _ in range(5):
        await clock.advance(timedelta(minutes=6))
        # Another step would end what is under way by its timeout.
        await hass.async_block_till_done(wait_background_tasks=True)
    assert portal.journal.find("GET", f"/GetDevice/{ICCID}")
    assert not portal.journal.find("GET", f"/GetDevice/{OTHER_ICCID}")


async def test_refresh_after_a_pause(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """Refresh works again once the pause that ended the last one is over, before any poll."""
    entry = await set_up(ICCID)
    pacer = entry.runtime_data.account.client.pacer
    pacer.back_off(20)
    pressing = hass.async_create_task(press(hass))
    await clock.advance(timedelta())
    pacer.back_off(40)
    with pytest.raises(HomeAssistantError, match="asked for a pause"):
        await pressing
    await clock.advance(timedelta(seconds=41))
    portal.journal.clear()

    await press(hass)

    portal.journal.assert_called_once("GET", f"/GetDevice/{ICCID}")


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unavailable"])
async def test_pause_begins_during_refresh(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock, is_known: bool
) -> None:
    """A Refresh that waits when a long pause begins fails and changes no state; the next poll reads everything."""
    entry = await set_up(ICCID)
    (sim,) = entry.runtime_data.sims.values()
    if not is_known:
        portal.faults.add("status", route="ctdUsage", status=500, times=1)
        await sim.async_refresh()
    shown = state_of(hass, ICCID, "status")
    assert (shown != STATE_UNAVAILABLE) is is_known
    portal.journal.clear()
    sim.client.pacer.back_off(20)
    pressing = hass.async_create_task(press(hass))
    await clock.advance(timedelta())

    sim.client.pacer.back_off(2400)

    with pytest.raises(HomeAssistantError, match="asked for a pause"):
        await pressing
    assert state_of(hass, ICCID, "status") == shown
    assert not list(portal.journal)
    await clock.advance(timedelta(minutes=41))
    await until(lambda: portal.journal.find("GET", f"/GetDevice/{ICCID}"))


async def test_effect_of_a_write_is_read_before_polls(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """What a write has changed is read before the SIMs whose polls wait already."""
    entry = await set_up(ICCID, OTHER_ICCID)
    sim, other = entry.runtime_data.sims.values()
    assert sim.iccid == ICCID
    portal.journal.clear()
    sim.client.pacer.back_off(20)
    reads = [
        hass.async_create_task(other.async_refresh()),
        hass.async_create_task(sim.async_read_soon()),
    ]
    await clock.advance(timedelta())

    await clock.advance(timedelta(seconds=21))
    await asyncio.gather(*reads)

    paths = [call.path for call in portal.journal]
    assert paths[0] == f"/ctdUsage/{ICCID}"
    assert f"/ctdUsage/{OTHER_ICCID}" in paths


async def test_reload_while_paused(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """A reload starts afresh, also where another entry of the account has to wait."""
    entry = await set_up(ICCID)
    other = await set_up(OTHER_ICCID)
    await pause(hass, portal, clock)

    async with asyncio.timeout(60):
        assert await hass.config_entries.async_reload(entry.entry_id)

    assert entry.state is ConfigEntryState.LOADED
    assert other.state is ConfigEntryState.LOADED
    assert portal.journal.find("POST", "/Login")


async def test_set_up_while_paused(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """A set-up fails at once and says until when; its retries wait for the end, and a reload does not."""
    first = await set_up(ICCID)
    await pause(hass, portal, clock)

    entry = await set_up(OTHER_ICCID)

    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert "asked for a pause" in (entry.reason or "")
    await clock.advance(timedelta(minutes=2))
    await hass.async_block_till_done()
    assert not list(portal.journal)
    assert "asked for a pause" in (entry.reason or "")

    # It succeeds only when the account is loaded.
    assert await hass.config_entries.async_reload(entry.entry_id)

    assert first.state is ConfigEntryState.LOADED
    assert portal_state(hass).attributes["paused_until"] is None


async def test_removal_while_requests_wait(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """An account whose polls wait for the end of a pause is removed at once."""
    entry = await set_up(ICCID, OTHER_ICCID)
    await pause(hass, portal, clock)
    await clock.advance(A_POLL)
    before = hass.loop.time()

    await hass.config_entries.async_remove(entry.entry_id)

    assert hass.loop.time() - before < 60
    await pass_time(clock, timedelta(hours=2))
    assert not list(portal.journal)


async def test_dialogs_while_paused(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    clock: WallClock,
    account: dict[str, str],
) -> None:
    """The dialogs of an account and of its SIMs say at once that nothing was sent, and until when."""
    entry = await set_up(ICCID)
    await pause(hass, portal, clock)
    until_when = f"{dt_util.as_local(portal_state(hass).attributes['paused_until']):%H:%M:%S}"

    flow = await entry.start_reconfigure_flow(hass)
    asked = await hass.config_entries.flow.async_configure(
        flow["flow_id"],
        {
            "environment": "custom",
            "client_id": account["client_id"],
            "secret_key": account["secret_key"],
            "other": {"base_url": account["base_url"]},
        },
    )
    added = await submit_sim_form_to_end(
        hass, await open_sim_dialog(hass, entry.entry_id), OTHER_ICCID
    )

    for result in (asked, added):
        assert result["type"] is FlowResultType.FORM
        assert result["errors"] == {"base": "portal_paused"}
        assert (result["description_placeholders"] or {})["until"] == until_when
    assert not list(portal.journal)


async def test_hanging_sim(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """While one SIM hangs in polls and for a person, an SMS to another goes out at once."""
    await set_up(ICCID, OTHER_ICCID)
    portal.faults.add("hang", iccid=ICCID)
    await clock.advance(A_POLL)
    await until(
        lambda: any(
            call.iccid == ICCID for call in portal.journal.find("GET", f"/ctdUsage/{ICCID}")
        )
    )
    hanging = hass.async_create_task(notify(hass, ICCID))
    await until(lambda: portal.journal.find("PUT", f"/SendSMS/{ICCID}/1"))
    before = hass.loop.time()

    await notify(hass, OTHER_ICCID)

    assert hass.loop.time() - before < 60
    portal.journal.assert_called_once("PUT", f"/SendSMS/{OTHER_ICCID}/1")
    assert not hanging.done()
    await clock.advance(timedelta(seconds=31))
    with pytest.raises(HomeAssistantError, match="may have been carried out"):
        await hanging


async def test_refresh_of_a_sim_that_is_removed(
    hass: HomeAssistant, set_up: SetUp, clock: WallClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A refresh whose SIM is removed while it waits ends without an error, shown or logged."""
    entry = await set_up(ICCID, OTHER_ICCID)
    pacer = entry.runtime_data.account.client.pacer
    pacer.back_off(25)
    pressing = hass.async_create_task(press(hass))
    await clock.advance(timedelta(seconds=5))
    removed = next(sub for sub in entry.subentries.values() if sub.unique_id == ICCID)

    hass.config_entries.async_remove_subentry(entry, removed.subentry_id)
    await until(lambda: removed.subentry_id not in entry.runtime_data.sims)
    pacer.back_off(3600)
    await pressing

    assert not log_messages(caplog)


async def test_refresh_that_cannot_start_moves_no_poll(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """A SIM is polled at its usual time after a refresh that was not sent."""
    entry = await set_up(ICCID)
    await clock.advance(timedelta(minutes=1))
    account = entry.runtime_data.account
    account.client.pacer.back_off(25)
    pressing = hass.async_create_task(press(hass))
    await clock.advance(timedelta(seconds=5))
    account.client.pacer.back_off(40)
    with pytest.raises(HomeAssistantError, match="asked for a pause"):
        await pressing
    (sim,) = entry.runtime_data.sims.values()
    usual = timedelta(seconds=account.seconds_until_poll(sim))
    portal.journal.clear()

    await pass_time(clock, usual - timedelta(seconds=5))
    assert not list(portal.journal)
    await clock.advance(timedelta(seconds=10))

    await until(lambda: portal.journal.find("GET", f"/ctdUsage/{ICCID}"))


@pytest.mark.parametrize("route", ["GetSMS", "getStatus"])
async def test_hanging_checks(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock, route: str
) -> None:
    """While the checks of earlier writes hang, an SMS goes out at once: the last place is kept for people."""
    entry = await set_up(ICCID, OTHER_ICCID, options={"max_concurrent_requests": 2})
    portal.dialects["status_change"] = "never"
    portal.faults.add("hang", route=route)
    for iccid in (ICCID, OTHER_ICCID):
        target = {"device_id": device_id(hass, entry, iccid)}
        action, data = (
            ("send_sms", {"message": "Hello"})
            if route == "GetSMS"
            else ("request_status_change", {"status": "activated"})
        )
        await hass.services.async_call(DOMAIN, action, target | data, blocking=True)
    await clock.advance(timedelta(seconds=6))
    await until(lambda: portal.journal.find(route=route))
    await asyncio.sleep(0.05)
    assert len(portal.journal.find(route=route)) == 1
    portal.journal.clear()

    hass.async_create_task(notify(hass, OTHER_ICCID))

    await until(lambda: portal.journal.find("PUT", f"/SendSMS/{OTHER_ICCID}/1"))


async def test_stopped_script(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, clock: WallClock
) -> None:
    """What a stopped script was waiting to send is never sent."""
    entry = await set_up(ICCID, OTHER_ICCID)
    await pause(hass, portal, clock, **{"Retry-After": "25"})
    script = Script(
        hass,
        cv.SCRIPT_SCHEMA(
            [
                {
                    "action": f"{DOMAIN}.send_sms",
                    "data": {"device_id": device_id(hass, entry, OTHER_ICCID), "message": "Hello"},
                }
            ]
        ),
        "Hello",
        DOMAIN,
    )
    running = hass.async_create_task(script.async_run(context=None))
    await clock.advance(timedelta(seconds=5))
    assert not running.done()

    await script.async_stop()
    await clock.wait(timedelta(minutes=1))

    assert running.done()
    portal.journal.assert_not_called("PUT", f"/SendSMS/{OTHER_ICCID}/1")

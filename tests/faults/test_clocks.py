"""The system clock is set forward or back: there is no burst of requests, polling goes on, each write ends once."""

from datetime import timedelta
from typing import Any

from homeassistant.core import HomeAssistant
import pytest

from custom_components.iot_portal.api.pacing import Pacer
from custom_components.iot_portal.evidence import MAX_REFUSED_INTERVAL
from mock_portal import MockPortal
from tests.integration.conftest import ICCID, OTHER_ICCID
from tests.integration.helpers import state_of

from .clock import WallClock
from .harness import A_POLL, FaultHarness

AHEAD_AND_BACK = [timedelta(days=9), timedelta(days=-9), timedelta(days=800), timedelta(days=-800)]
ROUTES_OF_A_POLL = ["ctdUsage", "sessionInfo"]


@pytest.fixture(params=AHEAD_AND_BACK, ids=lambda jump: f"{jump.days}d")
def jump(request: pytest.FixtureRequest) -> timedelta:
    """Return how far the clock is set."""
    jump: timedelta = request.param
    return jump


def asked(portal: MockPortal, iccid: str = ICCID) -> list[str | None]:
    """Return the requests for a SIM since the last call."""
    routes = [call.route for call in portal.journal if call.iccid == iccid]
    portal.journal.clear()
    return routes


async def test_polls(harness: FaultHarness, portal: MockPortal, jump: timedelta) -> None:
    """The SIMs are still polled once an interval; data read every few hours may be read at once."""
    await harness.set_up({})
    asked(portal)
    harness.clock.jump(jump)
    await harness.hass.async_block_till_done(wait_background_tasks=True)
    assert not asked(portal)

    await harness.clock.wait(A_POLL)
    first = asked(portal)
    await harness.clock.wait(A_POLL)

    assert first in (ROUTES_OF_A_POLL, [*ROUTES_OF_A_POLL, "GetDevice"])
    assert asked(portal) == ROUTES_OF_A_POLL
    assert not harness.log()
    await harness.unload()


async def test_seldom_reads_go_on(
    harness: FaultHarness, portal: MockPortal, jump: timedelta
) -> None:
    """Plan and owner are read within the usual hours, whatever the clock showed before."""
    await harness.set_up({})
    harness.clock.jump(jump)
    portal.sims[ICCID].device["ratePlan"] = "Another"

    await harness.poll()

    assert state_of(harness.hass, ICCID, "rate_plan") == "Another"


async def test_refusals_end(harness: FaultHarness, portal: MockPortal, jump: timedelta) -> None:
    """A refused route is tried again after a day at the latest, whatever the clock showed before."""
    portal.sims[ICCID].refused_routes = frozenset({"sessionInfo"})
    await harness.set_up({})
    portal.sims[ICCID].refused_routes = frozenset()
    harness.clock.jump(jump)

    harness.clock.jump(MAX_REFUSED_INTERVAL)
    await harness.clock.wait(A_POLL)

    assert state_of(harness.hass, ICCID, "last_ip") == "100.126.61.98"


async def test_token_ends(harness: FaultHarness, portal: MockPortal, jump: timedelta) -> None:
    """A token that the portal holds for an hour is renewed when the portal refuses it."""
    portal.dialects["token_life"] = "one_hour"
    await harness.set_up({})
    harness.clock.jump(jump)
    portal.clock.advance(3700)
    portal.journal.clear()

    await harness.clock.wait(A_POLL)

    assert portal.journal.logins == 1
    assert state_of(harness.hass, ICCID, "status") == "inventory"
    assert not harness.log_in_requests


async def test_pending_change_that_comes(
    harness: FaultHarness, portal: MockPortal, jump: timedelta
) -> None:
    """A status change in progress is confirmed by one event."""
    portal.dialects["status_change"] = "after_seconds"
    await harness.set_up({})
    assert await harness.act("request_status_change", {"status": "activated"}) is None
    harness.clock.jump(jump)
    portal.clock.advance(60)

    for _ in range(3):
        await harness.clock.wait(A_POLL)

    assert harness.events == ["status_change_confirmed"]
    await harness.unload()


@pytest.mark.parametrize("action", ["request_status_change", "send_sms"])
async def test_pending_write_that_never_ends(
    harness: FaultHarness, portal: MockPortal, jump: timedelta, action: str
) -> None:
    """A write without a result times out once, after a day at the latest, without a burst of requests."""
    portal.dialects["status_change"] = "never"
    portal.state.timings.sms_seconds = 10**8
    data: dict[str, Any] = {"message": "Hello"} if action == "send_sms" else {"status": "activated"}
    await harness.set_up({})
    assert await harness.act(action, data) is None
    harness.events.clear()
    portal.journal.clear()
    harness.clock.jump(jump)

    for _ in range(30):
        await harness.clock.wait(timedelta(hours=1))

    assert harness.events == [
        "sms_unconfirmed" if action == "send_sms" else "status_change_timed_out"
    ]
    looks = [call for call in portal.journal if call.route in {"getStatus", "GetSMS"}]
    assert len(looks) < 40
    await harness.unload()


async def test_sms_that_is_delivered_late(
    harness: FaultHarness, portal: MockPortal, jump: timedelta
) -> None:
    """After the quick checks the polls check an SMS, also one that was sent in the future of the clock."""
    portal.state.timings.sms_seconds = 3600
    # The documented SIM takes no SMS before it is activated.
    portal.sims[ICCID].set_status("ACTIVATED")
    await harness.set_up({})
    assert await harness.act("send_sms", {"message": "Hello"}) is None
    harness.events.clear()
    harness.clock.jump(jump)
    for _ in range(10):
        await harness.clock.wait(timedelta(minutes=2))

    portal.clock.advance(3600)
    await harness.clock.wait(A_POLL)

    assert harness.events == ["sms_delivered"]
    await harness.unload()


async def test_restart_with_another_clock(
    harness: FaultHarness, portal: MockPortal, jump: timedelta
) -> None:
    """After a restart with a wrong clock a status change still ends once."""
    portal.dialects["status_change"] = "never"
    await harness.set_up({})
    assert await harness.act("request_status_change", {"status": "activated"}) is None
    harness.clock.jump(jump)
    await harness.reload()

    for _ in range(30):
        await harness.clock.wait(timedelta(hours=1))

    assert harness.events == ["status_change_timed_out"]
    assert state_of(harness.hass, OTHER_ICCID, "status") == "activated"


async def test_bulk_edit_without_a_report(
    harness: FaultHarness, portal: MockPortal, jump: timedelta
) -> None:
    """After a restart with a wrong clock a bulk edit times out after a day at the latest."""
    portal.dialects["bulk_webhook"] = "silent"
    harness.hass.config.external_url = "https://home.example"
    await harness.set_up({})
    assert await harness.act("bulk_edit_devices", {"changes": {"simNotes": "Spare"}}) is None
    harness.clock.jump(jump)
    await harness.reload()

    for _ in range(30):
        await harness.clock.wait(timedelta(hours=1))

    state = harness.hass.states.get("event.demo_client_bulk_edit")
    assert state is not None
    assert state.attributes["event_type"] == "timed_out"


async def test_hour_meter(hass: HomeAssistant, clock: WallClock) -> None:
    """The counter for requests in the last hour keeps counting correctly."""
    pacer = Pacer()
    pacer.record_request()
    for jump in AHEAD_AND_BACK:
        clock.jump(jump)
        pacer.record_request()

    assert pacer.requests_in_last_hour == 1 + len(AHEAD_AND_BACK)

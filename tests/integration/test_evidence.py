"""What only an intermediary may have said is not believed until it has repeated."""

from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.iot_portal.api import IotPortalAuthenticationError
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.reauthentication import async_record_refused_login
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import advance_time, exists, find_issue, poll, state_of

PAGE = "<html><body><h1>Access denied</h1></body></html>"
CODE = {"errorCode": "10000001", "errorMessage": "Invalid clientId or secretKey"}


def weak(status: int) -> dict[str, Any]:
    """Return a fault that a firewall could be."""
    return {"kind": "status", "status": status, "body": PAGE}


def reauthentications(hass: HomeAssistant) -> int:
    """Return how many dialogs ask for new credentials."""
    return len(hass.config_entries.flow.async_progress_by_handler(DOMAIN))


@pytest.mark.parametrize("status", [403, 404, 405, 501])
@pytest.mark.parametrize("route", ["ctdUsage", "sessionInfo", "GetDevice", None])
async def test_one_poll_behind_a_page(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    route: str | None,
    status: int,
) -> None:
    """A firewall's page for one poll costs that poll; no route is called refused, no SIM gone."""
    entry = await set_up(ICCID, OTHER_ICCID)
    freezer.tick(timedelta(hours=7))
    portal.faults.add(**weak(status), route=route)
    await poll(hass, freezer)
    portal.faults.clear()

    await poll(hass, freezer)

    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 1.5
    assert state_of(hass, ICCID, "last_ip") == "100.126.61.98"
    assert state_of(hass, ICCID, "rate_plan") != STATE_UNAVAILABLE
    assert not [issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN]
    assert entry.state is ConfigEntryState.LOADED


async def test_refusal_that_stays(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A route that has worked is called refused after hours of refusals, and is asked less and less often."""
    entry = await set_up(ICCID)
    portal.faults.add(**weak(403), route="ctdUsage")
    for _ in range(3):
        await poll(hass, freezer)
    assert find_issue(hass, "route_refused", entry) is None
    portal.journal.clear()

    for _ in range(60):
        await poll(hass, freezer)

    assert find_issue(hass, "route_refused", entry) is not None
    assert state_of(hass, ICCID, "status") == "inventory"
    asked = len(portal.journal.find("GET", route="ctdUsage"))
    assert 3 <= asked <= 8

    portal.faults.clear()
    await hass.services.async_call(
        "button", "press", {"entity_id": f"button.sim_{ICCID}_refresh"}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert float(state_of(hass, ICCID, "data_usage")) == 0
    assert find_issue(hass, "route_refused", entry) is None


async def test_refusal_from_the_start(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A route that has never worked is called refused with the second refusal."""
    portal.faults.add(**weak(403), route="sessionInfo")
    entry = await set_up(ICCID)
    assert find_issue(hass, "route_refused", entry) is None

    await poll(hass, freezer)

    assert find_issue(hass, "route_refused", entry) is not None
    assert not exists(hass, ICCID, "last_ip")


async def test_refusal_in_a_read_that_fails(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A route that the portal itself refuses is not asked again, also when the rest of the read failed."""
    portal.sims[ICCID].refused_routes = frozenset({"ctdUsage"})
    portal.faults.add("status", route="getStatus", status=500)
    entry = await set_up(ICCID)
    assert find_issue(hass, "route_refused", entry) is not None
    portal.journal.clear()

    await poll(hass, freezer)

    assert {call.route for call in portal.journal} == {"getStatus"}


async def test_part_that_keeps_failing(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A part that answers with errors only is asked once an hour at most; it is no refusal."""
    entry = await set_up(OTHER_ICCID)
    portal.sims[OTHER_ICCID].open_session("10.1.2.3")
    portal.faults.add("status", status=500, route="sessionInfo")
    for _ in range(8):
        await poll(hass, freezer)
    portal.journal.clear()

    for _ in range(12):
        await poll(hass, freezer)

    assert len(portal.journal.find("GET", route="sessionInfo")) <= 12 * 24 // 60 + 1
    assert find_issue(hass, "route_refused", entry) is None
    portal.faults.clear()
    for _ in range(3):
        await poll(hass, freezer)
    assert state_of(hass, OTHER_ICCID, "last_ip") == "10.1.2.3"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 403, "body": PAGE},
        {"status": 401, "body": PAGE},
        {"status": 401},
        {"status": 400, "body": {"message": "Bad request"}},
        {"status": 200, "body": PAGE},
        {"status": 200, "body": {"success": False}},
    ],
    ids=str,
)
async def test_log_in_behind_a_page(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    answer: dict[str, Any],
) -> None:
    """A log-in that something refuses for a while asks nobody for a secret, and works again by itself."""
    await set_up(ICCID, OTHER_ICCID)
    portal.state.revoke_tokens()
    portal.faults.add("status", route="Login", **answer)
    await poll(hass, freezer)
    assert state_of(hass, ICCID, "status") == STATE_UNAVAILABLE
    assert reauthentications(hass) == 0

    portal.faults.clear()
    await poll(hass, freezer)

    assert state_of(hass, ICCID, "status") == "inventory"
    assert state_of(hass, OTHER_ICCID, "status") == "activated"
    assert reauthentications(hass) == 0


async def test_log_in_refused_for_hours(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """After hours a person is asked for the secret; the dialog closes when the old one works again."""
    await set_up(ICCID)
    portal.state.revoke_tokens()
    portal.faults.add("status", route="Login", status=401)
    for _ in range(2):
        await poll(hass, freezer)
    assert reauthentications(hass) == 0

    for _ in range(4):
        await poll(hass, freezer)
    assert reauthentications(hass) == 1
    portal.faults.clear()
    await poll(hass, freezer)
    await poll(hass, freezer)

    assert state_of(hass, ICCID, "status") == "inventory"
    assert reauthentications(hass) == 0
    assert not [key for key in ir.async_get(hass).issues if "reauth" in key[1]]


@pytest.mark.parametrize(
    ("refusals", "minutes", "is_asked"),
    [(2, 120, False), (3, 59, False), (3, 60, True), (4, 75, True)],
)
async def test_log_in_refused_often_enough(
    hass: HomeAssistant,
    set_up: SetUp,
    freezer: FrozenDateTimeFactory,
    refusals: int,
    minutes: int,
    is_asked: bool,
) -> None:
    """A person is asked for the secret after 3 refusals by anybody, an hour after the first."""
    entry = await set_up()
    error = IotPortalAuthenticationError("HTTP status 401", status=401)
    for _ in range(refusals - 1):
        async_record_refused_login(hass, entry, error)
    freezer.tick(timedelta(minutes=minutes))

    async_record_refused_login(hass, entry, error)
    await hass.async_block_till_done()

    assert reauthentications(hass) == is_asked


@pytest.mark.parametrize(
    ("sims", "times", "over", "is_gone"),
    [
        ([ICCID, OTHER_ICCID], 3, timedelta(days=2), False),
        ([ICCID, OTHER_ICCID], 4, timedelta(hours=5.9), False),
        ([ICCID, OTHER_ICCID], 4, timedelta(hours=6), True),
        ([ICCID], 3, timedelta(days=2), False),
        ([ICCID], 4, timedelta(hours=23.9), False),
        ([ICCID], 4, timedelta(days=1), True),
    ],
)
async def test_sim_missing_often_enough(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    sims: list[str],
    times: int,
    over: timedelta,
    is_gone: bool,
) -> None:
    """A SIM is called gone after 4 polls without it: in 6 hours if another was read meanwhile, else in a day."""
    entry = await set_up(*sims)
    portal.faults.add(**weak(404), iccid=ICCID)
    await poll(hass, freezer)
    for _ in range(times - 2):
        await advance_time(hass, freezer, timedelta(minutes=30))

    await advance_time(hass, freezer, over - (times - 2) * timedelta(minutes=30))

    assert (find_issue(hass, "sim_gone", entry) is not None) == is_gone


async def test_log_in_refused_by_the_portal(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The portal's own word is believed at once, and the secret is not tried again."""
    await set_up(ICCID)
    portal.state.revoke_tokens()
    portal.faults.add("status", route="Login", status=403, body=CODE)

    await poll(hass, freezer)

    assert reauthentications(hass) == 1
    portal.journal.clear()
    await poll(hass, freezer)
    assert len(portal.journal) == 0


@pytest.mark.parametrize("status", [401, 403])
async def test_start_behind_a_page(
    hass: HomeAssistant,
    portal: MockPortal,
    account: dict[str, str],
    freezer: FrozenDateTimeFactory,
    status: int,
) -> None:
    """An account that starts behind a page is tried again by Home Assistant."""
    portal.faults.add(**weak(status), route="Login")
    entry = MockConfigEntry(domain=DOMAIN, title="demo-client", data=account)
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    assert (entry.state, reauthentications(hass)) == (ConfigEntryState.SETUP_RETRY, 0)

    portal.faults.clear()
    freezer.tick(timedelta(seconds=30))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert entry.state is ConfigEntryState.LOADED


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("body", [PAGE, ""], ids=["page", "empty"])
async def test_portal_behind_a_page_for_a_day(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    status: int,
    body: str,
) -> None:
    """When everything is answered like that for a day, no SIM is gone and no route refused; all is back at once."""
    await set_up(ICCID, OTHER_ICCID)
    portal.faults.add("status", status=status, body=body)
    for _ in range(13):
        freezer.tick(timedelta(hours=2))
        await poll(hass, freezer)
    assert state_of(hass, ICCID, "status") == STATE_UNAVAILABLE
    assert not [issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN]

    portal.faults.clear()
    await poll(hass, freezer)
    await poll(hass, freezer)
    await poll(hass, freezer)

    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 1.5
    assert state_of(hass, ICCID, "last_ip") == "100.126.61.98"

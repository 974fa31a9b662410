"""The entities of an account, and its repair issues."""

import asyncio
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.repairs import DOMAIN as REPAIRS_DOMAIN
from homeassistant.config_entries import (
    RELOAD_AFTER_UPDATE_DELAY,
    ConfigEntryState,
    ConfigSubentry,
)
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED, STATE_OFF, STATE_ON
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.translation import async_get_translations
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    get_system_health_info,
)

from custom_components.iot_portal import account, async_remove_config_entry_device, slices
from custom_components.iot_portal.api import (
    IotPortalConnectionError,
    IotPortalError,
    IotPortalInputError,
    IotPortalLoginError,
    IotPortalNotFoundError,
    IotPortalPausedError,
    IotPortalTimeoutError,
)
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.errors import error_kind
from custom_components.iot_portal.evidence import MAX_REFUSED_INTERVAL
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import (
    add_sims,
    call_action,
    device_id,
    find_issue,
    log_messages,
    poll,
    record_events,
    state_of,
    wait_for_sums,
)

GONE: dict[str, Any] = {"kind": "status", "status": 404, "body": {"errorCode": "20000001"}}
FLEET = [f"89310800000000001{number:02}" for number in range(5)]


def account_state(hass: HomeAssistant, entry: MockConfigEntry, platform: str, key: str) -> str:
    """Return the state of an entity of an account."""
    entity_id = er.async_get(hass).async_get_entity_id(platform, DOMAIN, f"{entry.entry_id}_{key}")
    assert entity_id is not None
    state = hass.states.get(entity_id)
    assert state is not None
    return state.state


# The entities of each SIM of a large fleet.
ESSENTIAL = (
    *("status", "data_usage", "allowance_used", "last_ip", "data_session", "projected_overage"),
    *("sim_event", "sms_event", "send_sms"),
)


def registered(hass: HomeAssistant, iccid: str) -> dict[str, bool]:
    """Return the keys of the registered entities of a SIM, and whether each is enabled."""
    return {
        item.unique_id.removeprefix(f"{iccid}_"): item.disabled_by is None
        for item in er.async_get(hass).entities.values()
        if item.unique_id.startswith(f"{iccid}_")
    }


@pytest.fixture
def fleet(portal: MockPortal) -> list[str]:
    """Add five active SIMs to the portal, and return their ICCIDs."""
    portal.load({"extends": "documented", "sims": {iccid: {} for iccid in FLEET}})
    return FLEET


async def test_sums(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
) -> None:
    """The sums follow the usage, the statuses and the removal of SIMs."""
    entry = await set_up(ICCID, OTHER_ICCID)
    await wait_for_sums(hass, freezer)
    assert account_state(hass, entry, "sensor", "sims") == "2"
    assert account_state(hass, entry, "sensor", "sims_active") == "1"
    assert float(account_state(hass, entry, "sensor", "data_usage_total")) == 0.0015
    assert account_state(hass, entry, "sensor", "requests_per_hour") == str(len(portal.journal))

    portal.sims[ICCID].set_status("ACTIVATED")
    portal.sims[ICCID].data_usage = 2_000_000
    await poll(hass, freezer)
    await wait_for_sums(hass, freezer)
    assert account_state(hass, entry, "sensor", "sims_active") == "2"
    assert float(account_state(hass, entry, "sensor", "data_usage_total")) == 0.0035

    (gone,) = [sub for sub in entry.subentries.values() if sub.unique_id == OTHER_ICCID]
    hass.config_entries.async_remove_subentry(entry, gone.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert account_state(hass, entry, "sensor", "sims") == "1"
    assert account_state(hass, entry, "sensor", "sims_active") == "1"
    assert float(account_state(hass, entry, "sensor", "data_usage_total")) == 0.002


async def test_sums_on_demand(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, all_entities: None
) -> None:
    """A requested update of a sum adds up known data, without a request to the portal."""
    assert await async_setup_component(hass, "homeassistant", {})
    entry = await set_up(ICCID, OTHER_ICCID)
    requests = len(portal.journal)

    await hass.services.async_call(
        "homeassistant",
        "update_entity",
        {"entity_id": "sensor.demo_client_requests_in_the_last_hour"},
        blocking=True,
    )

    assert account_state(hass, entry, "sensor", "requests_per_hour") == str(requests)
    assert len(portal.journal) == requests


async def test_portal_goes_away_and_comes_back(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    fleet: list[str],
) -> None:
    """An outage of the portal is logged once for the account, not once for each SIM; so is its end."""
    entry = await set_up(*fleet)
    assert account_state(hass, entry, "binary_sensor", "portal") == STATE_ON
    portal.faults.add("reset_after_read")

    for _ in range(3):
        await poll(hass, freezer)
    await wait_for_sums(hass, freezer)

    assert account_state(hass, entry, "binary_sensor", "portal") == STATE_OFF
    assert len(log_messages(caplog)) == 1
    assert log_messages(caplog)[0].startswith(
        "No SIM of demo-client can be read: the connection was lost"
    )

    portal.faults.clear()
    await poll(hass, freezer)
    await poll(hass, freezer)
    await wait_for_sums(hass, freezer)

    assert account_state(hass, entry, "binary_sensor", "portal") == STATE_ON
    assert log_messages(caplog)[1:] == ["The IoT Portal answers again for demo-client"]
    assert {state_of(hass, iccid, "status") for iccid in fleet} == {"activated"}


async def test_outage_makes_no_sim_wait(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    fleet: list[str],
) -> None:
    """After an outage of many polls every SIM is read within one."""
    await set_up(*fleet)
    portal.faults.add("status", status=500)
    for _ in range(10):
        await poll(hass, freezer)
    portal.faults.clear()
    portal.journal.clear()

    await poll(hass, freezer)

    assert {state_of(hass, iccid, "status") for iccid in fleet} == {"activated"}


async def test_portal_comes_back_without_the_sim(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A portal that answers counts as reachable, even when it no longer knows the only SIM."""
    entry = await set_up(ICCID)
    portal.faults.add("reset_after_read")
    await poll(hass, freezer)
    await wait_for_sums(hass, freezer)
    assert account_state(hass, entry, "binary_sensor", "portal") == STATE_OFF

    portal.faults.clear()
    portal.faults.add(**GONE)
    await poll(hass, freezer)
    await wait_for_sums(hass, freezer)

    assert account_state(hass, entry, "binary_sensor", "portal") == STATE_ON


async def test_one_sim_that_fails(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    fleet: list[str],
) -> None:
    """A single SIM that keeps failing is logged once, and the portal counts as reachable."""
    entry = await set_up(*fleet)
    portal.faults.add("status", status=500, iccid=fleet[0])

    for _ in range(5):
        await poll(hass, freezer)
    await wait_for_sums(hass, freezer)

    assert account_state(hass, entry, "binary_sensor", "portal") == STATE_ON
    (said,) = log_messages(caplog)
    # Logs are shared, so they only hold the end of an ICCID in a title.
    assert said == f"SIM …{fleet[0][-4:]} cannot be read, while others can: HTTP status 500"

    portal.faults.clear()
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert log_messages(caplog)[1:] == [f"SIM …{fleet[0][-4:]} can be read again"]


async def test_sim_that_keeps_failing(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    fleet: list[str],
) -> None:
    """A SIM that keeps failing is polled less often, but at once on request, and as usual after a success."""
    await set_up(*fleet)
    portal.faults.add(**GONE, iccid=fleet[0])

    async def polls_in(hours: int) -> tuple[int, int]:
        """Return how often the failing SIM and another one are read in a time."""
        portal.journal.clear()
        for _ in range(hours * 60 // 5):
            freezer.tick(timedelta(minutes=5))
            async_fire_time_changed(hass)
            await hass.async_block_till_done(wait_background_tasks=True)
        failing, other = (portal.journal.find("GET", f"/ctdUsage/{iccid}") for iccid in fleet[:2])
        return len(failing), len(other)

    await polls_in(hours=4)
    failing, other = await polls_in(hours=6)
    assert failing in (5, 6)
    assert other > 2 * failing

    portal.faults.clear()
    portal.journal.clear()
    await hass.services.async_call(
        "button", "press", {"entity_id": f"button.sim_{fleet[0]}_refresh"}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, fleet[0], "status") == "activated"
    failing, other = await polls_in(hours=3)
    assert abs(failing - other) <= 1


async def test_credentials_refused(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    fleet: list[str],
) -> None:
    """Refused credentials are logged once and start a reauthentication, which a new secret ends."""
    entry = await set_up(*fleet)
    portal.state.accounts["demo-client"].secret_key = "changed"
    portal.state.revoke_tokens()

    await poll(hass, freezer)

    assert len(log_messages(caplog)) == 1
    reauth = ("homeassistant", f"config_entry_reauth_{DOMAIN}_{entry.entry_id}")
    assert reauth in ir.async_get(hass).issues

    (flow,) = hass.config_entries.flow.async_progress()
    await hass.config_entries.flow.async_configure(flow["flow_id"], {"secret_key": "changed"})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert entry.state is ConfigEntryState.LOADED
    assert reauth not in ir.async_get(hass).issues
    assert state_of(hass, fleet[0], "status") == "activated"


async def test_sim_gone(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM that the portal does not know twice in a row has a repair issue until it is back."""
    entry = await set_up(ICCID, OTHER_ICCID)
    portal.faults.add(**GONE, iccid=ICCID)

    await poll(hass, freezer)
    assert find_issue(hass, "sim_gone", entry) is None
    await poll(hass, freezer)
    found = find_issue(hass, "sim_gone", entry)
    assert found is not None
    assert found.is_fixable

    portal.faults.clear()
    await poll(hass, freezer)
    assert find_issue(hass, "sim_gone", entry) is None


async def test_sim_gone_is_told_once(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM that is gone causes one event, also over a restart, and another when it is gone again."""
    entry = await set_up(ICCID, OTHER_ICCID)
    events = record_events(hass, "sim_event")
    portal.faults.add(**GONE, iccid=ICCID)

    await poll(hass, freezer)
    assert not events
    for _ in range(3):
        await poll(hass, freezer)
    await hass.config_entries.async_reload(entry.entry_id)
    for _ in range(3):
        await poll(hass, freezer)
    assert [event for event, _ in events] == ["gone"]

    portal.faults.clear()
    for _ in range(2):
        await poll(hass, freezer)
    portal.faults.add(**GONE, iccid=ICCID)
    for _ in range(3):
        await poll(hass, freezer)
    assert [event for event, _ in events] == ["gone", "gone"]


async def test_label_in_a_repair(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Nothing in the name of a SIM is rendered on the page of repairs."""
    entry = await set_up(ICCID, OTHER_ICCID)
    (sim,) = [sub for sub in entry.subentries.values() if sub.unique_id == ICCID]
    hass.config_entries.async_update_subentry(entry, sim, title="![x](https://x.example) **<b>**")
    portal.faults.add(**GONE, iccid=ICCID)

    await poll(hass, freezer)
    await poll(hass, freezer)

    found = find_issue(hass, "sim_gone", entry)
    assert found is not None
    assert found.translation_placeholders is not None
    name = found.translation_placeholders["sim"]
    assert not [mark for mark in ("![", "](", "https:", "**", " <b") if mark in name]


# Without a code of the portal's it takes hours to be believed.
@pytest.mark.parametrize(
    ("unknown", "polls"), [("404", 2), ("400", 2), ("404_html", 20), ("200_empty", 20)]
)
async def test_remove_the_sim_that_is_gone(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    unknown: str,
    polls: int,
) -> None:
    """The repair flow removes the SIM with its entities, whichever way the portal reports it as unknown."""
    assert await async_setup_component(hass, REPAIRS_DOMAIN, {})
    portal.dialects["unknown_iccid"] = unknown
    entry = await set_up(ICCID, OTHER_ICCID)
    portal.load({"extends": "documented", "dialects": {"unknown_iccid": unknown}})
    await poll(hass, freezer)
    assert find_issue(hass, "sim_gone", entry) is None
    for _ in range(polls - 1):
        await poll(hass, freezer)
    found = find_issue(hass, "sim_gone", entry)
    assert found is not None

    flows = hass.data[REPAIRS_DOMAIN]["flow_manager"]
    result = await flows.async_init(DOMAIN, data={"issue_id": found.issue_id})
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "confirm"
    texts = await async_get_translations(hass, "en", "issues", [DOMAIN])
    text = texts[f"component.{DOMAIN}.issues.sim_gone.fix_flow.step.confirm.description"]
    assert f"does not know SIM …{OTHER_ICCID[-4:]}" in text.format(
        **result["description_placeholders"]
    )
    assert OTHER_ICCID in {sub.unique_id for sub in entry.subentries.values()}

    result = await flows.async_configure(result["flow_id"], {})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert {sub.unique_id for sub in entry.subentries.values()} == {ICCID}
    assert find_issue(hass, "sim_gone", entry) is None
    assert er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{OTHER_ICCID}_status") is None


async def test_route_refused_for_all(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A route that is refused for every SIM has a repair issue until it is allowed."""
    account = portal.state.accounts["demo-client"]
    account.refused_routes = frozenset({"sessionInfo"})
    entry = await set_up(ICCID, OTHER_ICCID)

    found = find_issue(hass, "route_refused", entry)
    assert found is not None
    assert found.translation_placeholders == {"account": "demo-client", "route": "sessionInfo"}
    assert not found.is_fixable
    assert account_state(hass, entry, "binary_sensor", "portal") == STATE_ON

    account.refused_routes = frozenset()
    freezer.tick(MAX_REFUSED_INTERVAL)
    await poll(hass, freezer)
    assert find_issue(hass, "route_refused", entry) is None


async def test_repairs_go_with_their_account(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A removed account has no repair issues."""
    portal.state.accounts["demo-client"].refused_routes = frozenset({"sessionInfo"})
    entry = await set_up(ICCID)
    assert find_issue(hass, "route_refused", entry) is not None

    await hass.config_entries.async_remove(entry.entry_id)

    assert find_issue(hass, "route_refused", entry) is None


async def test_route_refused_for_one(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A route that is refused for some networks only has no repair issue."""
    portal.sims[ICCID].refused_routes = frozenset({"sessionInfo"})
    entry = await set_up(ICCID, OTHER_ICCID)

    assert find_issue(hass, "route_refused", entry) is None


async def test_interval_too_short(
    hass: HomeAssistant, set_up: SetUp, freezer: FrozenDateTimeFactory, fleet: list[str]
) -> None:
    """An interval that is too short for the fleet is stretched, with a repair issue until it is long enough."""
    assert await async_setup_component(hass, "system_health", {})
    entry = await set_up(*fleet, options={"poll_interval": 0.1, "request_rate": 1})

    found = find_issue(hass, "interval_stretched", entry)
    assert found is not None
    assert found.translation_placeholders == {
        "account": "demo-client",
        "sims": "5",
        "wanted": "0.1",
        "interval": "1",
        "rate": "1",
    }
    info = await get_system_health_info(hass, DOMAIN)
    assert info["poll_intervals"] == "1 min"
    assert await info["can_reach_portal"] == "ok"

    hass.config_entries.async_update_entry(entry, options={"poll_interval": 5})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert find_issue(hass, "interval_stretched", entry) is None
    info = await get_system_health_info(hass, DOMAIN)
    assert info["poll_intervals"] == "5 min"
    assert await info["can_reach_portal"] == "ok"


async def test_interval_follows_the_requests(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    fleet: list[str],
) -> None:
    """SIMs that take more requests lengthen the interval, and removed SIMs shorten it."""
    entry = await set_up(*fleet, options={"poll_interval": 0.14, "request_rate": 1})
    await wait_for_sums(hass, freezer)
    assert find_issue(hass, "interval_stretched", entry) is None

    for iccid in fleet:
        portal.sims[iccid].open_session()
    await poll(hass, freezer)
    await wait_for_sums(hass, freezer)
    assert find_issue(hass, "interval_stretched", entry) is not None

    for subentry_id in list(entry.subentries)[:3]:
        hass.config_entries.async_remove_subentry(entry, subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert find_issue(hass, "interval_stretched", entry) is None


async def test_large_fleet(
    hass: HomeAssistant, set_up: SetUp, monkeypatch: pytest.MonkeyPatch, fleet: list[str]
) -> None:
    """A SIM that is added to a large fleet has only some entities; existing SIMs keep theirs."""
    monkeypatch.setattr(account, "LARGE_FLEET", len(fleet) - 1)
    entry = await set_up(*fleet[:-1])
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=MappingProxyType({"iccid": fleet[-1]}),
            subentry_type="sim",
            title="Late",
            unique_id=fleet[-1],
        ),
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert len(registered(hass, fleet[0])) > len(ESSENTIAL)
    assert registered(hass, fleet[-1]) == dict.fromkeys(ESSENTIAL, True)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(registered(hass, fleet[0])) > len(ESSENTIAL)
    assert registered(hass, fleet[-1]) == dict.fromkeys(ESSENTIAL, True)


async def test_all_details(
    hass: HomeAssistant, set_up: SetUp, monkeypatch: pytest.MonkeyPatch, fleet: list[str]
) -> None:
    """A person asks for all entities of one SIM of a large fleet, then of all SIMs, and removes them again."""
    small = await set_up(*fleet)
    everything = registered(hass, fleet[0])
    await hass.config_entries.async_remove(small.entry_id)
    monkeypatch.setattr(account, "LARGE_FLEET", len(fleet) - 1)
    entry = await set_up(*fleet)
    essential = dict.fromkeys(ESSENTIAL, True)
    assert registered(hass, fleet[0]) == essential

    async def set_details(is_on: bool) -> None:
        data = {"device_id": [device_id(hass, entry, fleet[0])], "all_details": is_on}
        await call_action(hass, "set_sim_settings", data)
        await hass.async_block_till_done(wait_background_tasks=True)

    await set_details(True)
    assert registered(hass, fleet[0]) == everything
    assert state_of(hass, fleet[0], "rate_plan") == "Mock EU 500MB"
    assert registered(hass, fleet[1]) == essential

    for is_on, others in ((True, everything), (False, essential)):
        hass.config_entries.async_update_entry(entry, options={"all_details": is_on})
        await hass.async_block_till_done(wait_background_tasks=True)
        assert registered(hass, fleet[0]) == everything
        assert registered(hass, fleet[1]) == others

    await set_details(False)
    assert registered(hass, fleet[0]) == essential
    assert state_of(hass, fleet[0], "status") == "activated"


async def test_large_fleet_added_at_once(
    hass: HomeAssistant, set_up: SetUp, monkeypatch: pytest.MonkeyPatch, fleet: list[str]
) -> None:
    """Of the SIMs of a list that makes an account large, none gets more entities than the others."""
    monkeypatch.setattr(account, "LARGE_FLEET", len(fleet) - 1)
    entry = await set_up()

    await add_sims(hass, entry.entry_id, "\n".join(fleet))

    for iccid in fleet:
        assert registered(hass, iccid) == dict.fromkeys(ESSENTIAL, True)


async def test_details_of_an_account_that_grows_again(
    hass: HomeAssistant, set_up: SetUp, monkeypatch: pytest.MonkeyPatch, fleet: list[str]
) -> None:
    """SIMs that have all entities because their account is small keep them when it grows."""
    monkeypatch.setattr(account, "LARGE_FLEET", len(fleet) - 1)
    entry = await set_up(*fleet, options={"all_details": True})
    everything = registered(hass, fleet[0])
    hass.config_entries.async_remove_subentry(entry, list(entry.subentries)[-1])
    await hass.async_block_till_done(wait_background_tasks=True)
    hass.config_entries.async_update_entry(entry, options={"all_details": False})
    await hass.async_block_till_done(wait_background_tasks=True)

    await add_sims(hass, entry.entry_id, fleet[-1])

    assert registered(hass, fleet[0]) == everything
    assert registered(hass, fleet[-1]) == dict.fromkeys(ESSENTIAL, True)


@pytest.mark.parametrize("last", [True, False])
async def test_details_are_changed_meanwhile(
    hass: HomeAssistant,
    set_up: SetUp,
    monkeypatch: pytest.MonkeyPatch,
    fleet: list[str],
    last: bool,
) -> None:
    """What was chosen last applies to all SIMs, also if it was chosen while details were being removed."""
    monkeypatch.setattr(account, "LARGE_FLEET", len(fleet) - 1)
    monkeypatch.setattr(slices, "SLICE", 0)
    entry = await set_up(*fleet, options={"all_details": True})
    everything = registered(hass, fleet[0])
    for is_on in (False, True, last):
        hass.config_entries.async_update_entry(entry, options={"all_details": is_on})
        for _ in range(10):
            await asyncio.sleep(0)
    await hass.async_block_till_done(wait_background_tasks=True)

    expected = everything if last else dict.fromkeys(ESSENTIAL, True)
    for iccid in fleet:
        assert registered(hass, iccid) == expected


async def test_account_is_removed_while_details_are(
    hass: HomeAssistant, set_up: SetUp, monkeypatch: pytest.MonkeyPatch, fleet: list[str]
) -> None:
    """An account that is removed in the meantime is not reloaded, which would be an error in the log."""
    monkeypatch.setattr(account, "LARGE_FLEET", len(fleet) - 1)
    monkeypatch.setattr(slices, "SLICE", 0)
    entry = await set_up(*fleet, options={"all_details": True})
    everything = registered(hass, fleet[1])
    hass.config_entries.async_update_entry(entry, options={"all_details": False})
    async with asyncio.timeout(10):
        while registered(hass, fleet[1]) == everything:  # noqa: ASYNC110  nothing else would notice in the same turn
            await asyncio.sleep(0)

    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    # The fixture of Home Assistant raises the error of a task that nobody waited for.
    assert not hass.config_entries.async_entries(DOMAIN)


async def test_details_of_a_small_fleet(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, fleet: list[str]
) -> None:
    """In a small fleet, in which each SIM has all entities, asking for them or not changes nothing."""
    entry = await set_up(*fleet)
    everything = registered(hass, fleet[0])
    portal.journal.clear()

    for is_on in (True, False):
        hass.config_entries.async_update_entry(entry, options={"all_details": is_on})
        await hass.async_block_till_done(wait_background_tasks=True)
        assert registered(hass, fleet[0]) == everything

    assert not list(portal.journal)


async def test_large_fleet_does_not_hold_up_the_start(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
    fleet: list[str],
) -> None:
    """A large fleet is set up and read after Home Assistant has started, a small one during the start."""
    monkeypatch.setattr(account, "LARGE_FLEET", len(fleet) - 1)
    hass.set_state(CoreState.not_running)
    entry = await set_up(*fleet)
    assert [call.route for call in portal.journal] == ["Login"]
    portal.journal.clear()

    removed, *_ = entry.subentries
    hass.config_entries.async_remove_subentry(entry, removed)
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert {call.iccid for call in portal.journal} == {*fleet[1:]}
    assert state_of(hass, fleet[1], "status") == "activated"


async def test_enabled_later(
    hass: HomeAssistant, set_up: SetUp, freezer: FrozenDateTimeFactory
) -> None:
    """An entity that a user enables is available after the reload that follows."""
    entry = await set_up(OTHER_ICCID)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    entities = er.async_get(hass)
    entity_id = entities.async_get_entity_id("sensor", DOMAIN, f"{OTHER_ICCID}_imsi")
    assert entity_id is not None
    assert hass.states.get(entity_id) is None

    entities.async_update_entity(entity_id, disabled_by=None)
    freezer.tick(RELOAD_AFTER_UPDATE_DELAY + 1)
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert state_of(hass, OTHER_ICCID, "imsi").isdecimal()


async def test_system_health(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """The system health page sums up all accounts."""
    assert await async_setup_component(hass, "system_health", {})
    await set_up(ICCID, OTHER_ICCID)
    portal.faults.add("status", status=500, route="ctdUsage")
    with pytest.raises(HomeAssistantError, match="HTTP status 500"):
        await hass.services.async_call(
            "button", "press", {"entity_id": f"button.sim_{ICCID}_refresh"}, blocking=True
        )
    await hass.async_block_till_done(wait_background_tasks=True)
    requests = len(portal.journal)

    info = await get_system_health_info(hass, DOMAIN)

    assert await info.pop("can_reach_portal") == "ok"
    assert info == {
        "accounts": 1,
        "sims": 2,
        "requests_per_hour": requests,
        "paused_until": "-",
        "poll_intervals": "15 min",
        "last_error": "error of the portal (HTTP status 500)",
    }


@pytest.mark.parametrize(
    ("err", "words"),
    [
        (IotPortalTimeoutError("no answer"), "no answer in time"),
        (IotPortalConnectionError("refused"), "no connection"),
        (IotPortalNotFoundError("SIM 4711", status=404), "SIM not found (HTTP status 404)"),
        (IotPortalLoginError("busy", status=500), "log-in failed (HTTP status 500)"),
        (IotPortalPausedError("later", seconds=1), "pause requested by the portal"),
        (IotPortalInputError("no ICCID"), "request not sent"),
    ],
    ids=repr,
)
def test_error_kind(err: IotPortalError, words: str) -> None:
    """The last error is told in words and without what the portal says, which may name a SIM."""
    assert error_kind(err) == words


async def test_system_health_of_one_account_twice(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """The requests of two entries of one account of the portal are counted once."""
    assert await async_setup_component(hass, "system_health", {})
    await set_up(ICCID)
    await set_up(OTHER_ICCID)
    requests = len(portal.journal)

    info = await get_system_health_info(hass, DOMAIN)

    assert await info["can_reach_portal"] == "ok"
    assert info["accounts"] == 2
    assert info["requests_per_hour"] == requests


async def test_system_health_without_a_portal(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """The system health page shows a portal that cannot be reached."""
    assert await async_setup_component(hass, "system_health", {})
    await set_up(ICCID)
    await portal.stop()

    info = await get_system_health_info(hass, DOMAIN)

    assert await info["can_reach_portal"] == {"type": "failed", "error": "unreachable"}


async def test_remove_a_device(hass: HomeAssistant, set_up: SetUp) -> None:
    """Only a device that belongs to no account or SIM can be deleted alone."""
    entry = await set_up(ICCID)
    devices = dr.async_get(hass)
    orphan = devices.async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, "8931080000000000777")}
    )

    allowed = {
        device.name: await async_remove_config_entry_device(hass, entry, device)
        for device in dr.async_entries_for_config_entry(devices, entry.entry_id)
    }

    assert allowed == {"demo-client": False, f"SIM {ICCID}": False, orphan.name: True}

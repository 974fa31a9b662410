"""The sensors of a SIM, and when they change."""

from datetime import date, timedelta
import logging
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.sensor import ATTR_OPTIONS
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.iot_portal.const import (
    DEVICE_INTERVAL,
    DOMAIN,
)
from custom_components.iot_portal.evidence import MAX_REFUSED_INTERVAL
from custom_components.iot_portal.sensor import SENSORS, IotPortalSensor
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import (
    advance_time,
    exists,
    log_messages,
    poll,
    record_events,
    state_of,
    wait_for_sums,
)


async def test_documented_sim(hass: HomeAssistant, set_up: SetUp) -> None:
    """The documented SIM is in inventory, has no usage and had an address."""
    await set_up(ICCID)

    assert state_of(hass, ICCID, "status") == "inventory"
    assert float(state_of(hass, ICCID, "data_usage")) == 0
    assert state_of(hass, ICCID, "last_ip") == "100.126.61.98"


async def test_read_before_it_is_added(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A sensor shows what was read after it was created and before Home Assistant has added it."""
    entry = await set_up(OTHER_ICCID)
    (sim,) = entry.runtime_data.sims.values()
    sensor = IotPortalSensor(sim, next(each for each in SENSORS if each.key == "status"))
    portal.sims[OTHER_ICCID].set_status("DEACTIVATED")
    await poll(hass, freezer)
    assert sensor.native_value == "activated"

    sensor.hass = hass
    await sensor.async_added_to_hass()

    assert sensor.native_value == "deactivated"


async def test_units(hass: HomeAssistant, set_up: SetUp) -> None:
    """Bytes are shown as megabytes of a million bytes."""
    await set_up(OTHER_ICCID)

    entity_id = er.async_get(hass).async_get_entity_id(
        "sensor", DOMAIN, f"{OTHER_ICCID}_data_usage"
    )
    assert entity_id is not None
    state = hass.states.get(entity_id)
    assert state is not None
    assert float(state.state) == 1.5
    assert state.attributes["unit_of_measurement"] == "MB"
    assert state.attributes["device_class"] == "data_size"
    assert state.attributes["state_class"] == "total_increasing"
    assert state.name == f"SIM {OTHER_ICCID} Data usage"


async def test_units_of_large_numbers(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
) -> None:
    """Seconds of voice are shown as minutes, and the bytes of an account as gigabytes."""
    portal.sims[OTHER_ICCID].voice_usage = 150
    portal.sims[OTHER_ICCID].data_usage = 14_453_000_000
    await set_up(OTHER_ICCID)
    await wait_for_sums(hass, freezer)

    voice = hass.states.get(f"sensor.sim_{OTHER_ICCID}_voice_usage")
    total = hass.states.get("sensor.demo_client_data_usage_of_all_sims")
    assert voice is not None
    assert total is not None
    assert (float(voice.state), voice.attributes["unit_of_measurement"]) == (2.5, "min")
    assert (float(total.state), total.attributes["unit_of_measurement"]) == (14.453, "GB")


async def test_follows_the_portal(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A poll shows what has changed."""
    await set_up(ICCID)
    portal.sims[ICCID].set_status("ACTIVATED")

    await poll(hass, freezer)

    assert state_of(hass, ICCID, "status") == "activated"


async def test_status_of_another_network(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An unknown status is shown as it is and logged once."""
    entry = await set_up(ICCID)
    portal.sims[ICCID].status = "Half open"

    await poll(hass, freezer)
    await poll(hass, freezer)

    assert state_of(hass, ICCID, "status") == "Half open"
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{ICCID}_status")
    assert entity_id is not None
    state = hass.states.get(entity_id)
    assert state is not None
    assert "Half open" in state.attributes[ATTR_OPTIONS]
    assert "inventory" in state.attributes[ATTR_OPTIONS]
    assert caplog.text.count("not known: Half open") == 1
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, ICCID, "status") == "Half open"


async def test_session_that_is_not_found_for_a_while(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The last session stays the last one while the portal does not find it."""
    await set_up(ICCID)
    ended = state_of(hass, ICCID, "session_ended")
    assert ended not in (STATE_UNAVAILABLE, STATE_UNKNOWN)
    portal.faults.add("status", route="sessionInfo", status=404, body={"errorCode": "900100"})

    await hass.services.async_call(
        "button", "press", {"entity_id": f"button.sim_{ICCID}_refresh"}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert portal.journal.find("GET", f"/sessionInfo/{ICCID}")[-1].status == 404
    assert state_of(hass, ICCID, "session_ended") == ended


@pytest.mark.parametrize("seconds", ["0", "1"])
async def test_pause_without_length(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    seconds: str,
) -> None:
    """A portal that asks for a pause of no time is not polled over and over."""
    await set_up(ICCID)
    portal.faults.add("status", status=429, headers={"Retry-After": seconds})
    await poll(hass, freezer)
    portal.journal.clear()

    for _ in range(10):
        freezer.tick(timedelta(seconds=5))
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)

    assert not list(portal.journal)


async def test_renamed_sim_in_the_log(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log calls a SIM by the name that it has now."""
    entry = await set_up(ICCID)
    (subentry,) = entry.subentries.values()
    hass.config_entries.async_update_subentry(entry, subentry, title="Pump house")
    await hass.async_block_till_done(wait_background_tasks=True)
    portal.faults.add("status", status=404, body={"errorCode": "20000001"})

    await poll(hass, freezer)

    assert any(
        text.startswith("Error fetching iot_portal Pump house") for text in log_messages(caplog)
    )


async def test_after_a_pause(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM is read again when the pause ends that the portal asked for, not sooner, and not a whole poll later."""
    await set_up(ICCID)
    portal.faults.add("status", status=429, headers={"Retry-After": "120"}, times=1)
    await poll(hass, freezer)
    assert state_of(hass, ICCID, "status") == STATE_UNAVAILABLE
    portal.journal.clear()

    await advance_time(hass, freezer, timedelta(seconds=115))
    assert not list(portal.journal)
    await advance_time(hass, freezer, timedelta(seconds=10))

    assert state_of(hass, ICCID, "status") == "inventory"


@pytest.mark.parametrize(
    ("fault", "says", "says_again"),
    [
        ({"kind": "status", "status": 500}, "No SIM of demo-client", "answers again"),
        ({"kind": "reset_after_read"}, "No SIM of demo-client", "answers again"),
        (
            {"kind": "status", "status": 429, "headers": {"Retry-After": "60"}},
            "No SIM of demo-client",
            "answers again",
        ),
        (
            {"kind": "status", "status": 404, "body": {"errorCode": "20000001"}},
            "does not know SIM",
            "recovered",
        ),
    ],
    ids=["server error", "no connection", "rate limit", "gone"],
)
async def test_outage(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
    says: str,
    says_again: str,
) -> None:
    """Sensors are unavailable during an outage and recover; it is logged once."""
    await set_up(ICCID)
    portal.faults.add(**fault)

    await poll(hass, freezer)
    await poll(hass, freezer)

    assert state_of(hass, ICCID, "status") == STATE_UNAVAILABLE
    portal.faults.clear()
    await poll(hass, freezer)
    await poll(hass, freezer)

    ours = [
        record.message
        for record in caplog.records
        if record.name == "custom_components.iot_portal" and record.levelno >= logging.INFO
    ]
    assert len(ours) == 2
    assert says in ours[0]
    assert says_again in ours[1]

    assert state_of(hass, ICCID, "status") == "inventory"


async def test_unavailable_from_the_start(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM that could not be read yet has no sensors, and does not delay the other ones."""
    portal.faults.add("status", iccid=ICCID, status=500)
    await set_up(ICCID, OTHER_ICCID)

    assert not exists(hass, ICCID, "status")
    assert state_of(hass, OTHER_ICCID, "status") == "activated"

    portal.faults.clear()
    await poll(hass, freezer)

    assert state_of(hass, ICCID, "status") == "inventory"


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 500}, {"kind": "rate_limited"}, {"kind": "garbage"}]
)
async def test_part_that_fails(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    fault: dict[str, Any],
) -> None:
    """If a session cannot be read, only its own sensors are unavailable."""
    await set_up(ICCID)
    portal.faults.add(route="sessionInfo", **fault)

    await poll(hass, freezer)

    assert state_of(hass, ICCID, "last_ip") == STATE_UNAVAILABLE
    assert state_of(hass, ICCID, "status") == "inventory"

    portal.faults.clear()
    await poll(hass, freezer)

    assert state_of(hass, ICCID, "last_ip") == "100.126.61.98"


async def test_secret_refused_by_a_part(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Refused credentials start a reauthentication, whichever request meets them first."""
    await set_up(ICCID)
    portal.faults.add("status", route="sessionInfo", status=401)
    portal.faults.add("status", route="Login", status=401, body={"errorCode": "10000001"})

    await poll(hass, freezer)

    assert len(hass.config_entries.flow.async_progress()) == 1


async def test_refused_usage(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Without a usage route the status is read from its own route; usage is tried daily."""
    portal.sims[ICCID].refused_routes = frozenset({"ctdUsage", "sessionInfo"})
    await set_up(ICCID)

    assert state_of(hass, ICCID, "status") == "inventory"
    assert not exists(hass, ICCID, "data_usage")
    assert not exists(hass, ICCID, "last_ip")
    portal.journal.clear()

    await poll(hass, freezer)

    assert [call.route for call in portal.journal] == ["getStatus"]

    portal.sims[ICCID].refused_routes = frozenset()
    freezer.tick(MAX_REFUSED_INTERVAL)
    await poll(hass, freezer)

    assert float(state_of(hass, ICCID, "data_usage")) == 0
    assert state_of(hass, ICCID, "last_ip") == "100.126.61.98"


async def test_unknown_values(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """Empty values of the portal are unknown, not unavailable."""
    portal.faults.add("status", route="ctdUsage", status=200, body=[{"iccid": ICCID}])
    portal.faults.add("status", route="sessionInfo", status=200, body={"iccid": ICCID})
    await set_up(ICCID)

    assert state_of(hass, ICCID, "data_usage") == STATE_UNKNOWN
    assert state_of(hass, ICCID, "last_ip") == STATE_UNKNOWN
    assert state_of(hass, ICCID, "status") == "inventory"


async def test_session_is_read_only_when_it_can_have_changed(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An idle SIM costs one request a poll."""
    portal.sims[OTHER_ICCID].session_count = 3
    portal.sims[OTHER_ICCID].open_session()
    portal.sims[OTHER_ICCID].close_session()
    await set_up(OTHER_ICCID)
    portal.journal.clear()

    await poll(hass, freezer)

    assert [call.route for call in portal.journal] == ["ctdUsage"]

    portal.sims[OTHER_ICCID].open_session("10.1.2.3")
    await poll(hass, freezer)

    assert state_of(hass, OTHER_ICCID, "last_ip") == "10.1.2.3"


@pytest.mark.parametrize(
    ("options", "dates"),
    [
        ({}, ("2026-04-01", "2026-05-01")),
        ({"billing_day": 31}, ("2026-03-31", "2026-04-30")),
        ({"cycle_days": 28, "cycle_start": "2026-02-01"}, ("2026-03-29", "2026-04-26")),
    ],
    ids=["first of the month", "last of the month", "28 days"],
)
async def test_next_billing_date(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    options: dict[str, Any],
    dates: tuple[str, str],
) -> None:
    """The date changes at local midnight of the billing day, without a request."""
    await hass.config.async_set_time_zone("Europe/Berlin")
    midnight = dt_util.start_of_local_day(date.fromisoformat(dates[0]))
    freezer.move_to(midnight - timedelta(days=2))
    await set_up(OTHER_ICCID, options=options)
    assert state_of(hass, OTHER_ICCID, "next_billing_date") == dates[0]
    freezer.move_to(midnight - timedelta(seconds=1))
    await advance_time(hass, freezer, timedelta())
    portal.journal.clear()

    assert state_of(hass, OTHER_ICCID, "next_billing_date") == dates[0]
    await advance_time(hass, freezer, timedelta(seconds=1))

    assert state_of(hass, OTHER_ICCID, "next_billing_date") == dates[1]
    assert not portal.journal


async def test_next_billing_date_follows_the_settings(
    hass: HomeAssistant, set_up: SetUp, freezer: FrozenDateTimeFactory
) -> None:
    """A billing day that is changed shows at once."""
    freezer.move_to("2026-03-16T09:00:00+00:00")
    entry = await set_up(OTHER_ICCID)
    assert state_of(hass, OTHER_ICCID, "next_billing_date") == "2026-04-01"
    (sim,) = entry.subentries.values()

    hass.config_entries.async_update_subentry(entry, sim, data={**sim.data, "billing_day": 20})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert state_of(hass, OTHER_ICCID, "next_billing_date") == "2026-03-20"


async def test_budget(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Usage is compared with the allowance from the portal."""
    freezer.move_to("2026-03-16T00:00:00+00:00")
    portal.sims[OTHER_ICCID].data_usage = 100_000_000
    await set_up(OTHER_ICCID, options={"plan_unit": "decimal"})

    # 500 MB, of which 100 MB are used in half of the month.
    assert float(state_of(hass, OTHER_ICCID, "data_remaining")) == 400
    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == 20
    assert hass.states.is_state(f"binary_sensor.sim_{OTHER_ICCID}_projected_overage", "off")

    portal.sims[OTHER_ICCID].data_usage = 300_000_000
    await poll(hass, freezer)

    assert hass.states.is_state(f"binary_sensor.sim_{OTHER_ICCID}_projected_overage", "on")

    portal.sims[OTHER_ICCID].data_usage = 600_000_000
    await poll(hass, freezer)

    assert float(state_of(hass, OTHER_ICCID, "data_remaining")) == 0
    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == 120


@pytest.mark.parametrize(
    ("size", "own", "unit", "remaining"),
    [
        ("MB", {}, None, 500 * 1.048576),
        ("MB", {}, "decimal", 500),
        ("GB", {}, "binary", 500 * 1073.741824),
        ("GB", {}, "decimal", 500_000),
        ("B", {}, "binary", 0.0005),
        ("MB", {"allowance": 100}, "binary", 104.8576),
        ("MB", {"allowance": 100}, "decimal", 100),
        ("MB", {"plan_unit": "decimal"}, "binary", 500),
    ],
)
async def test_megabyte_of_a_plan(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    size: str,
    own: dict[str, Any],
    unit: str | None,
    remaining: float,
) -> None:
    """A plan's MB are as large as the user says, for the portal's allowance and for the user's own."""
    sim = portal.sims[OTHER_ICCID]
    sim.data_usage = 0
    sim.device |= {"dataquantity": "500", "datasize": size}
    entry = await set_up(OTHER_ICCID, options={"plan_unit": unit} if unit else {})
    (subentry,) = entry.subentries.values()
    hass.config_entries.async_update_subentry(entry, subentry, data={**subentry.data, **own})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert float(state_of(hass, OTHER_ICCID, "data_remaining")) == pytest.approx(remaining)
    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == 0


async def test_details(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    all_entities: None,
) -> None:
    """All data of the portal about a SIM can be shown."""
    await set_up(ICCID)

    assert {key: state_of(hass, ICCID, key) for key in DETAILS} == DETAILS


DETAILS = {
    "communication_plan": "Pangea EU (pkp18-inet) DATA SMS Voice",
    "customer": "#8941 Pangea Retired",
    "projected_usage": "0.0",
    "data_remaining": "1073.741824",
    "date_activated": "2023-06-23T11:14:37+00:00",
    "fixed_ip": STATE_UNKNOWN,
    "imei": "8613300585142338",
    "imsi": "204080823514892",
    "msisdn": "3197044863841",
    "rate_plan": "Pangea EU Economy 300MB",
    "session_count": STATE_UNKNOWN,
    "session_ended": "2023-08-16T10:50:07+00:00",
    "session_started": "2023-08-16T10:50:07+00:00",
    "sms_usage": "0",
    "voice_usage": "0.0",
}


async def test_device_is_read_seldom(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Plan and owner are read every few hours, and sooner after a failure."""
    portal.faults.add("status", route="GetDevice", status=500)
    await set_up(ICCID)
    assert not exists(hass, ICCID, "rate_plan")

    portal.faults.clear()
    await poll(hass, freezer)
    assert state_of(hass, ICCID, "rate_plan") == "Pangea EU Economy 300MB"

    portal.sims[ICCID].device["ratePlan"] = "Another"
    await poll(hass, freezer)
    assert state_of(hass, ICCID, "rate_plan") == "Pangea EU Economy 300MB"

    freezer.tick(DEVICE_INTERVAL)
    await poll(hass, freezer)
    assert state_of(hass, ICCID, "rate_plan") == "Another"


async def test_fraction_of_a_megabyte(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A network that counts in megabytes has fractions of them."""
    body = [{"iccid": OTHER_ICCID, "status": "ACTIVATED", "ctdDataUsage": 0.73}]
    portal.faults.add("status", route="ctdUsage", status=200, body=body)
    await set_up(OTHER_ICCID, options={"data_unit": "megabytes"})

    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 0.73


async def test_unit_that_the_portal_names(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A counter that names its unit is read in it, whatever unit is set."""
    body = [{"iccid": OTHER_ICCID, "status": "ACTIVATED", "ctdDataUsage": "1.5 GB"}]
    portal.faults.add("status", route="ctdUsage", status=200, body=body)
    await set_up(OTHER_ICCID, options={"data_unit": "kilobytes"})

    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 1500


async def test_placeholder_imei(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM whose IMEI becomes a placeholder has not moved to another device."""
    await set_up(ICCID)
    events = record_events(hass, "sim_event")
    imei = portal.sims[ICCID].imei

    for placeholder in ("000000000000000", "N/A", imei):
        portal.sims[ICCID].imei = placeholder
        await poll(hass, freezer)

    assert events == []


async def test_long_and_broken_texts(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    all_entities: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Texts of the portal fit into states, whatever they hold."""
    device = portal.sims[ICCID].device
    device["ratePlan"] = "p" * 300
    device["customer"] = "A\r\nB\x00\u202eC" * 999
    device["communicationPlan"] = "\x00\n"
    await set_up(ICCID)

    assert len(state_of(hass, ICCID, "rate_plan")) == 255
    assert state_of(hass, ICCID, "customer").startswith("A BCA BC")
    assert state_of(hass, ICCID, "communication_plan") == STATE_UNKNOWN
    assert "exceeds" not in caplog.text
    assert "Error" not in caplog.text

"""The conditions, in a real automation: when each lets it run."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.condition import async_validate_condition_config
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from mock_portal import MockPortal

from .automations import automate, runs
from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import advance_time, device_id, name_sim, poll, request_status_change

OLD_IMEI = "3569380100000018"
NEW_IMEI = "8613300585142338"
# The allowance of the mock portal's SIMs is 500 MB of 1,024 x 1,024 bytes.
PERCENT = 5 * 1024**2


type Check = Callable[[], Coroutine[Any, Any, bool]]


async def watch(
    hass: HomeAssistant, kind: str, target: dict[str, Any], options: dict[str, Any] | None = None
) -> Check:
    """Set up an automation with a condition; return what tells whether it runs now."""
    condition = {"condition": f"iot_portal.{kind}", "target": target, "options": options or {}}
    ran = await automate(hass, {"trigger": "event", "event_type": "now"}, [condition])

    async def check() -> bool:
        ran.clear()
        hass.bus.async_fire("now")
        await hass.async_block_till_done()
        return bool(ran)

    return check


def devices(hass: HomeAssistant, entry: MockConfigEntry, *iccids: str) -> dict[str, Any]:
    """Return a target that names SIMs by their devices."""
    return {"device_id": [device_id(hass, entry, iccid) for iccid in iccids]}


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ("activated", True),
        (["deactivated", "ACTIVATED"], True),
        ([" Activated "], True),
        (["Active"], True),
        (["deactivated"], False),
    ],
)
async def test_status(
    hass: HomeAssistant, set_up: SetUp, statuses: str | list[str], expected: bool
) -> None:
    """The status is one of those given, in any case, and in any of the networks' words for activated."""
    entry = await set_up(OTHER_ICCID)
    target = devices(hass, entry, OTHER_ICCID)

    check = await watch(hass, "status_is", target, {"status": statuses})
    assert await check() is expected


@pytest.mark.parametrize("options", [{"status": []}, {"status": None}, {}])
async def test_no_status(hass: HomeAssistant, options: dict[str, Any]) -> None:
    """A condition without a status, which would never pass, is refused."""
    condition = {"condition": "iot_portal.status_is", "target": {"label_id": "a"}}

    with pytest.raises(vol.Invalid, match=r"choose a status|required key not provided"):
        await async_validate_condition_config(hass, condition | {"options": options})


@pytest.mark.parametrize("behavior", ["any", "all"])
async def test_behavior(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, behavior: str
) -> None:
    """Any SIM is enough, or all are needed."""
    entry = await set_up(ICCID, OTHER_ICCID)
    target = devices(hass, entry, ICCID, OTHER_ICCID)
    options = {"status": "activated", "behavior": behavior}

    check = await watch(hass, "status_is", target, options)
    assert await check() is (behavior == "any")


async def test_all(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """All SIMs that meet the condition let it pass."""
    entry = await set_up(ICCID, OTHER_ICCID)
    target = devices(hass, entry, ICCID, OTHER_ICCID)
    options = {"status": ["activated", "inventory"], "behavior": "all"}

    check = await watch(hass, "status_is", target, options)
    assert await check()


@pytest.mark.parametrize("behavior", ["any", "all"])
@pytest.mark.parametrize("reason", ["an outage", "no SIM", "nothing read"])
async def test_nothing_known(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    behavior: str,
    reason: str,
) -> None:
    """Without a SIM of which enough is known the condition is not met."""
    if reason == "nothing read":
        portal.faults.add("status", route="sessionInfo", status=403)
    entry = await set_up(ICCID, OTHER_ICCID)
    for sim in portal.sims.values():
        sim.open_session()
    if reason != "nothing read":
        await poll(hass, freezer)
    target = devices(hass, entry, ICCID, OTHER_ICCID)
    options = {"behavior": behavior}
    if reason == "no SIM":
        target = {"label_id": "nothing"}
    check = await watch(hass, "data_session_is_open", target, options)
    if reason == "an outage":
        assert await check()
        portal.faults.add("status", status=503)
        await poll(hass, freezer)

    assert not await check()


async def test_data_session(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A data session is open until it ends."""
    portal.sims[OTHER_ICCID].open_session()
    entry = await set_up(OTHER_ICCID)
    target = devices(hass, entry, OTHER_ICCID)

    check = await watch(hass, "data_session_is_open", target)
    assert await check()
    portal.sims[OTHER_ICCID].close_session()
    await poll(hass, freezer)
    assert not await check()


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        ({"type": "above", "value": {"number": 60, "unit_of_measurement": "%"}}, True),
        ({"type": "above", "value": {"number": 61, "unit_of_measurement": "%"}}, False),
        ({"type": "below", "value": {"number": 60, "unit_of_measurement": "%"}}, False),
        ({"type": "below", "value": {"number": 1, "unit_of_measurement": "GB"}}, True),
        (
            {
                "type": "between",
                "value_min": {"number": 100, "unit_of_measurement": "MiB"},
                "value_max": {"number": 300, "unit_of_measurement": "MiB"},
            },
            True,
        ),
        ({"type": "above", "value": {"entity": "input_number.limit"}}, True),
        ({"type": "above", "value": {"entity": "input_number.gone"}}, False),
    ],
)
async def test_data_used(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    threshold: dict[str, Any],
    expected: bool,
) -> None:
    """The data used is compared in per cent of the allowance, or in a unit of data."""
    hass.states.async_set("input_number.limit", "50", {"unit_of_measurement": "%"})
    portal.sims[OTHER_ICCID].data_usage = 60 * PERCENT
    entry = await set_up(OTHER_ICCID)
    target = devices(hass, entry, OTHER_ICCID)

    check = await watch(hass, "data_used_is", target, {"threshold": threshold})
    assert await check() is expected


async def test_projected_overage(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An overage is projected as long as the use goes beyond the pace."""
    freezer.move_to("2026-07-06 12:00:00+00:00")
    portal.sims[OTHER_ICCID].data_usage = 40 * PERCENT
    entry = await set_up(OTHER_ICCID)
    target = devices(hass, entry, OTHER_ICCID)

    check = await watch(hass, "overage_is_projected", target)
    assert await check()
    freezer.move_to("2026-07-26 12:00:00+00:00")
    await poll(hass, freezer)
    assert not await check()


async def test_status_change_pending(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A status change is pending from the request until the portal reports the status."""
    portal.dialects["status_change"] = "after_seconds"
    entry = await set_up(ICCID)
    target = devices(hass, entry, ICCID)

    check = await watch(hass, "status_change_is_pending", target)
    assert not await check()
    await request_status_change(hass, entry)
    assert await check()
    portal.clock.advance(portal.state.timings.status_seconds + 1)
    await advance_time(hass, freezer, timedelta(minutes=30))
    assert not await check()


@pytest.mark.parametrize("status", ["activated", "inventory"])
@pytest.mark.parametrize(
    "kind", ["entity", "device", "area", "floor", "label", "label of an entity", "account"]
)
async def test_target(hass: HomeAssistant, set_up: SetUp, kind: str, status: str) -> None:
    """A condition is about the SIMs that its target names, and about all SIMs of an account that it names."""
    entry = await set_up(ICCID, OTHER_ICCID)
    if kind == "account":
        target = {"device_id": device_id(hass, entry, entry.entry_id)}
    else:
        target = name_sim(hass, entry, OTHER_ICCID, kind)

    check = await watch(hass, "status_is", target, {"status": status})

    assert await check() is (kind == "account" or status == "activated")


@pytest.mark.parametrize("trigger", ["iot_portal.moved_to_another_device", "event"])
async def test_only_the_sim_that_triggered(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    trigger: str,
) -> None:
    """A condition on the whole fleet can look at the SIM that triggered the automation alone."""
    entry = await set_up(ICCID, OTHER_ICCID)
    sims = devices(hass, entry, ICCID, OTHER_ICCID)
    for sim in portal.sims.values():
        sim.imei = OLD_IMEI
        sim.close_session()
    portal.sims[OTHER_ICCID].open_session()
    await poll(hass, freezer)
    condition = {
        "condition": "iot_portal.data_session_is_open",
        "target": sims,
        "options": {"only_triggering_sim": True},
    }
    of_sims = {"trigger": trigger, "target": sims}
    other = {"trigger": "event", "event_type": "now"}
    ran = await automate(hass, of_sims if trigger != "event" else other, [condition])

    for iccid in (ICCID, OTHER_ICCID):
        portal.sims[iccid].swap_imei(NEW_IMEI)
    await poll(hass, freezer)
    hass.bus.async_fire("now", {"device_id": device_id(hass, entry, OTHER_ICCID)})
    await hass.async_block_till_done()

    expected = [] if trigger == "event" else [OTHER_ICCID[-4:]]
    assert [run["iccid_last_digits"] for run in runs(ran)] == expected


@pytest.mark.parametrize(
    "config",
    [
        {"target": {}, "options": {"status": "activated"}},
        {"options": {"status": "activated"}},
        {"target": {"device_id": "a"}},
        {"target": {"device_id": "a"}, "options": {"status": "activated", "behavior": "some"}},
    ],
)
async def test_bad_config(
    hass: HomeAssistant, set_up: SetUp, caplog: pytest.LogCaptureFixture, config: dict[str, Any]
) -> None:
    """A condition that cannot work is refused when the automation is set up."""
    await set_up(OTHER_ICCID)
    trigger = {"trigger": "event", "event_type": "now"}

    with pytest.raises(AssertionError):
        await automate(hass, trigger, [{"condition": "iot_portal.status_is", **config}])

    assert "failed to setup conditions" in caplog.text

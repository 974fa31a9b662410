"""Counters that fall: what is a new cycle, and what a SIM's entities and events make of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from hypothesis import given, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal.api import IotPortalClient, Usage
from custom_components.iot_portal.counters import Count, CounterHistory, Counters, count_day
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import poll, record_events, state_of, wait_for_sums

POLL = timedelta(minutes=15)
MIDDLE = datetime(2026, 3, 15, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 15, tzinfo=UTC)
CYCLE = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
PROJECTED_OVERAGE = f"binary_sensor.sim_{OTHER_ICCID}_projected_overage"


def follow(
    *readings: Counters | Count | None,
    start: datetime = MIDDLE,
    history: CounterHistory | None = None,
) -> tuple[CounterHistory, list[Count | None], list[Count | None]]:
    """Return the history after readings, the data of the cycles that ended, and the data that was shown."""
    history = history or CounterHistory()
    ends, shown = [], []
    for number, item in enumerate(readings):
        reading = item if isinstance(item, Counters) else Counters(data=item)
        history, ended = history.after(reading, start + number * POLL, CYCLE)
        shown.append(history.shown(reading).data)
        if ended is not None:
            ends.append(ended.data)
    return history, ends, shown


@pytest.mark.parametrize(
    ("readings", "ends", "last"),
    [
        pytest.param([400, 399, 410], [], 410, id="correction"),
        pytest.param([400, 361, 330, 300], [], 300, id="corrections one after the other"),
        pytest.param([410, 0, 415], [], 415, id="zero for a poll"),
        pytest.param([410, 260, 415], [], 415, id="fall for a poll"),
        pytest.param([410, 2, 415], [], 415, id="large fall for a poll"),
        pytest.param([300, 412, 300, 415, 300, 416], [], 416, id="older answers by turns"),
        pytest.param([410, 260, 260, 260, 411], [], 411, id="low for an hour"),
        pytest.param([410, None, None, 412], [], 412, id="missing"),
        pytest.param([410, 0, None, 412], [], 412, id="missing in a fall"),
        pytest.param([410, 2, 3], [410], 3, id="reset"),
        pytest.param([410, None, 2, None, 3], [410], 3, id="reset while much is missing"),
        pytest.param([410, 0, 0, 1], [410], 1, id="reset to zero"),
        pytest.param([410, 0, 3, 4, 3.9, 60], [410], 60, id="reset and a jump"),
        pytest.param([410, 0, 0, 410, 410, 2, 4], [410], 4, id="old count after the reset"),
        pytest.param([410, *[0] * 30, 412, 415, 2, 3], [410, 415], 3, id="zeros, then a reset"),
        pytest.param([410, *[0] * 9, 412, 413, *[0] * 9, 414], [410], 414, id="zeros twice"),
        pytest.param([4294967295, 120, 121], [], 121, id="a number that stands for none"),
        pytest.param([410, *[250] * 12], [410], 250, id="lower for hours"),
    ],
)
def test_cycles(readings: list[Count | None], ends: list[Count], last: Count) -> None:
    """A cycle ends once, when its counter has fallen for good."""
    usages = [Counters.of(Usage.from_answer([{"ctdDataUsage": n}])) for n in readings]
    _, ended, shown = follow(*usages)

    assert ended == ends
    assert shown[-1] == last


def test_zeros_are_not_shown_at_once() -> None:
    """A zero holds the last count; the second one in the middle of a cycle is not known, at its turn it is zero."""
    assert follow(410, 0, 0, 0)[2] == [410, 410, None, None]
    assert follow(410, 0, 0, 0, start=CYCLE[0])[2] == [410, 410, 0, 0]
    history, _, _ = follow(410, 0, 0)
    assert follow(0, start=MIDDLE + timedelta(days=2), history=history)[2] == [0]


@pytest.mark.parametrize(
    ("readings", "ends"),
    [
        ([Counters(data=410, sms=5), Counters(data=411, sms=4), Counters(data=412, sms=4)], []),
        ([Counters(data=0, sms=5), Counters(data=0, sms=0), Counters(data=0, sms=1)], [0]),
        (
            [
                Counters(data=10, sms=5, sessions=30),
                Counters(data=12, sms=1, sessions=3),
                Counters(data=13, sms=1, sessions=3),
            ],
            [10],
        ),
        ([Counters(sms=5), Counters(sms=0), Counters(sms=0)], [None]),
        ([Counters(data=10, sms=5), Counters(data=0), Counters(sms=5), Counters(data=11)], []),
    ],
    ids=["one corrected", "SMS only", "most of them", "no data counted", "by turns"],
)
def test_several_counters(readings: list[Counters], ends: list[Count | None]) -> None:
    """Most of the counters decide, and the data before all others."""
    assert follow(*readings)[1] == ends


MISHAPS = st.lists(
    st.one_of(
        st.integers(0, 40),
        st.none(),
        st.just("correction"),
        st.just("zero"),
    ),
    max_size=12,
)


def read_with(steps: list[Any]) -> tuple[list[Count | None], int]:
    """Return the readings of a count that begins at 400, and the last count."""
    readings: list[Count | None] = [400]
    used, was_zero = 400, False
    for step in steps:
        if step == "zero" and not was_zero:
            readings.append(0)
            was_zero = True
            continue
        if step == "correction":
            used -= used // 50
        elif isinstance(step, int):
            used += step
        readings.append(None if step is None and not was_zero else used)
        was_zero = False
    return readings, used


@given(MISHAPS)
def test_no_cycle_ends_by_mishaps(steps: list[Any]) -> None:
    """Corrections, single zeros and missing values end no cycle, and a true end is told once with its last count."""
    readings, used = read_with(steps)

    assert follow(*readings)[1] == []
    assert follow(*readings, used, 1, 2, 3)[1] == [used]


@given(MISHAPS)
def test_use_of_a_day_with_mishaps(steps: list[Any]) -> None:
    """What a day has used never falls, is no more than the count has grown by, and goes on in a new cycle."""
    readings, used = read_with(steps)
    history, day, uses = CounterHistory(), None, []
    for number, count in enumerate([*readings, used, 1, 2, 3]):
        now = MIDDLE + number * POLL
        after, _ = history.after(Counters(data=count), now, CYCLE)
        day = count_day(day, history, after, MIDNIGHT, now)
        history = after
        uses.append(0 if day is None else day.used)

    in_cycle = uses[len(readings)]
    assert uses == sorted(uses)
    assert used - 400 <= in_cycle <= sum(step for step in steps if isinstance(step, int))
    assert uses[-1] in (in_cycle, used - 400 + 3)


async def read(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, *answers: list[dict[str, Any]]
) -> None:
    """Poll once for each answer of ctdUsage."""
    for answer in answers:
        with patch.object(
            IotPortalClient, "get_usage", lambda *_, a=answer, **__: _returned(Usage.from_answer(a))
        ):
            await poll(hass, freezer)


async def _returned(usage: Usage) -> Usage:
    """Return usage as a request does."""
    return usage


def answer(**fields: Any) -> list[dict[str, Any]]:
    """Return an answer of ctdUsage."""
    return [{"iccid": OTHER_ICCID, "status": "ACTIVATED", **fields}]


async def test_empty_answer_ends_the_cycle(
    hass: HomeAssistant, set_up: SetUp, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM without usage in the new cycle ends the last one with its counters, and counts no more in the sum."""
    await set_up(ICCID, OTHER_ICCID)
    happened = record_events(hass, "sim_event", OTHER_ICCID)
    total = "sensor.demo_client_data_usage_of_all_sims"
    await read(hass, freezer, answer(ctdDataUsage=300_000_000, ctdSMSUsage=4))
    await read(hass, freezer, [])
    assert happened == []
    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 300

    # Each SIM is read by this: the sum has both.
    await read(hass, freezer, [])
    await wait_for_sums(hass, freezer)

    assert [(event, data["data_usage"], data["sms_usage"]) for event, data in happened] == [
        ("billing_cycle_ended", 300_000_000, 4)
    ]
    state = hass.states.get(total)
    assert state is not None
    assert state.state == "unknown"
    await read(hass, freezer, answer(ctdDataUsage=2_000_000, ctdSMSUsage=0))
    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 2
    assert len(happened) == 1


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland", "UTC"]
)
@pytest.mark.parametrize("late_by", [timedelta(), timedelta(hours=11)])
async def test_turn_of_the_month(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    zone: str,
    late_by: timedelta,
) -> None:
    """A counter of the last cycle alarms nobody, in whatever zone the portal begins the next one."""
    await hass.config.async_set_time_zone(zone)
    turn = datetime(2026, 11, 1, tzinfo=UTC) + late_by
    freezer.move_to(turn - timedelta(hours=30))
    sim = portal.sims[OTHER_ICCID]
    sim.data_usage = 440_000_000
    await set_up(OTHER_ICCID)
    seen = set()
    for _ in range(200):
        freezer_now = datetime.now(UTC)
        if freezer_now > turn + timedelta(hours=36):
            break
        if freezer_now >= turn and sim.data_usage > 100_000_000:
            sim.data_usage = 0
        sim.data_usage += 100_000
        await poll(hass, freezer)
        state = hass.states.get(PROJECTED_OVERAGE)
        assert state is not None
        seen.add(state.state)

    assert "on" not in seen
    assert hass.states.is_state(PROJECTED_OVERAGE, "off")


async def test_imei_and_status_across_gaps(
    hass: HomeAssistant, set_up: SetUp, freezer: FrozenDateTimeFactory
) -> None:
    """A value that is missing for a while is compared with the last one known."""
    entry: MockConfigEntry = await set_up(OTHER_ICCID)
    one, other = "356938035643809", "861330058514233"
    await read(hass, freezer, answer(imei=one))
    happened = record_events(hass, "sim_event", OTHER_ICCID)
    await read(hass, freezer, answer(imei=None), answer(imei=one))
    assert happened == []

    await read(hass, freezer, answer(imei=None))
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await read(hass, freezer, answer(imei=None), answer(imei=other), answer(imei=other))

    moves = [
        (data["from"], data["to"]) for event, data in happened if event == "moved_to_another_device"
    ]
    # The reload has read the IMEI of the mock portal in between.
    assert [to for _, to in moves].count(other) == 1
    assert moves[-1][1] == other

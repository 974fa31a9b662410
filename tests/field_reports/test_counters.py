"""Counters and billing cycles: falls, zeros, gaps, corrections, and what they must not cause."""

from datetime import timedelta
from typing import Any

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.util import dt as dt_util
import pytest

from .home import ICCID, MB, OTHER_ICCID, Home
from .odd_portal import page, says

NOTHING = (STATE_UNAVAILABLE, STATE_UNKNOWN)
GIGABYTE_PLAN = {"allowance": 1000}


async def read_all(home: Home, *readings: float) -> None:
    """Report one reading after the other, a poll each."""
    for megabytes in readings:
        home.use(megabytes)
        await home.poll()


def resets(home: Home) -> list[float]:
    """Return the data usage of each billing cycle that ended, in megabytes."""
    return [told["data_usage"] / MB for kind, told in home.told if kind == "billing_cycle_ended"]


# --- Falls ------------------------------------------------------------------------------------------------------------


async def test_correction_downwards(home: Home) -> None:
    """A correction is not a new cycle.

    Case: 400,000,000, then 399,999,000, then 410,000,000 bytes
    Source: home-assistant/core 162935, 102915, PR 55153
    """
    home.use(400)
    await home.start()

    await read_all(home, 399.999, 410, 405, 395, 412)

    assert resets(home) == []
    assert home.megabytes() == 412


@pytest.mark.parametrize("megabytes", [390, 370, 361])
async def test_correction_by_less_than_a_tenth(home: Home, megabytes: float) -> None:
    """It is not a new cycle, however long it lasts, and the lower value is shown.

    Case: the count falls by less than a tenth and stays there
    Source: home-assistant/core 162935, 102915, PR 55153
    """
    home.use(400)
    await home.start()

    await read_all(home, megabytes, megabytes, megabytes + 1, megabytes + 2)

    assert resets(home) == []
    assert home.megabytes() == megabytes + 2


async def test_zero_for_one_poll(home: Home) -> None:
    """The zero is not a new cycle, and it is not shown.

    Case: 410 MB, 0, 415 MB
    Source: home-assistant/core 182493; meinvodafone 6
    """
    home.use(410)
    await home.start()
    home.use(0)
    await home.poll()
    assert home.shows("data_usage") != "0.0"

    await read_all(home, 415)

    assert resets(home) == []
    assert home.megabytes() == 415


async def test_zero_for_hours(home: Home) -> None:
    """At most one cycle is reported, and none for the return of the count.

    Case: 410 MB, 0 at thirty polls, 412 MB, 415 MB
    Source: home-assistant/core 67366, 59279, 56500; StephanJoubert/home_assistant_solarman 35
    """
    home.use(410)
    await home.start()

    await read_all(home, *[0] * 30, 412, 415)
    await read_all(home, 0, 416)

    assert len(resets(home)) <= 1
    assert home.megabytes() == 416


async def test_new_cycle(home: Home) -> None:
    """A count that starts over and stays low is a new cycle, reported once with the last count.

    Case: 410 MB, 1 MB, 2 MB
    Source: docs/api.md, Usage
    """
    home.use(410)
    await home.start()

    await read_all(home, 1, 2, 3)

    assert resets(home) == [410]
    assert home.megabytes() == 3


async def test_new_cycle_that_starts_with_zero(home: Home) -> None:
    """A second reading of zero confirms the cycle.

    Case: 410 MB, 0, 0, 3 MB
    Source: docs/api.md, Usage
    """
    home.use(410)
    await home.start()

    await read_all(home, 0, 0, 3)

    assert resets(home) == [410]
    assert home.megabytes() == 3


async def test_older_answer_between_newer_ones(home: Home) -> None:
    """A fall that the next poll takes back is ignored.

    Case: 300, 412, 300, 415 MB in turn, from servers with different data
    Source: andreadegiovine/homeassistant-stellantis-vehicles 488 and PR 492; Hyundai-Kia-Connect/kia_uvo 931
    """
    home.use(300)
    await home.start()

    await read_all(home, 412, 300, 415, 300, 416)

    assert resets(home) == []
    assert home.megabytes() == 416


async def test_lower_for_a_while(home: Home) -> None:
    """If the count returns above the old one, at most one cycle was reported.

    Case: 410 MB, 260 MB at four polls, 411 MB
    Source: TimSoethout/goodwe-sems-home-assistant PR 76; magico13/ha-emporia-vue 398
    """
    home.use(410)
    await home.start()

    await read_all(home, 260, 260, 260, 260, 411, 412)

    assert len(resets(home)) <= 1
    assert home.megabytes() == 412


async def test_old_count_after_the_reset(home: Home) -> None:
    """One cycle is reported, with the count at its end.

    Case: 950 MB, 0 at two polls, 950 MB at three polls, 2 MB, 4 MB
    Source: joyfulhouse/eg4_web_monitor PR 40
    """
    home.freezer.move_to("2026-10-31 23:30:00+00:00")
    home.use(950)
    await home.start()

    await read_all(home, 0, 0, 950, 950, 950, 2, 4, 5)

    assert resets(home) == [950]
    assert home.megabytes() == 5


async def test_sliding_window(home: Home) -> None:
    """It never ends a cycle.

    Case: the usage is that of the last 30 days and falls a little each hour
    Source: OutlineFoundation/outline-server 1349
    """
    home.use(71.011551)
    await home.start()

    await read_all(home, 70.983093, 70.965150, 70.968885, 70.956670, 70.1, 69.5, 69, 68.2)

    assert resets(home) == []


async def test_counter_of_32_bits(home: Home) -> None:
    """A counter that overflows or is full does not end a cycle by itself, and a negative one is unknown.

    Case: 4,294,967,295 at every poll; 2,147,480,000, then -2,147,483,000
    Source: home-assistant/core 31404, 92109; Vaskivskyi/ha-asusrouter 557; StevenLooman/async_upnp_client PR 296
    """
    home.portal.set(ICCID, ctdDataUsage=2_147_480_000)
    await home.start()
    home.portal.set(ICCID, ctdDataUsage=-2_147_483_000)
    await home.poll()
    assert home.shows("data_usage") in {"2147.48", *NOTHING}
    home.portal.set(ICCID, ctdDataUsage=4_294_967_295)
    await home.poll(3)

    assert resets(home) == []


async def test_counter_that_wraps(home: Home) -> None:
    """An overflow looks like a new cycle: it is reported as one, once, and the statistics continue.

    Case: 4,294,900,000, then 5, 6, 7 MB in the middle of a cycle
    Source: home-assistant/core 31404; Vaskivskyi/ha-asusrouter 557
    """
    home.use(4294.9)
    await home.start()

    await read_all(home, 5, 6, 7)

    assert resets(home) == [4294.9]
    assert home.megabytes() == 7


async def test_counter_with_unit(home: Home) -> None:
    """The count continues: 1.01 GB is more than 999 MB.

    Case: `"950 MB"`, `"999 MB"`, `"1.01 GB"`, `"1.02 GB"`, then 1,030,000,000
    Source: developer.cisco.com, SD-WAN, Get Device Data Usage; similar to myTselection/telenet_telemeter 6
    """
    home.portal.set(ICCID, ctdDataUsage="950 MB")
    await home.start()

    for usage in ("999 MB", "1.01 GB", "1.02 GB", "1,02 GB", 1_030_000_000, 1_031_000_000):
        home.portal.set(ICCID, ctdDataUsage=usage)
        await home.poll()

    assert resets(home) == []
    assert home.megabytes() == 1031


async def test_no_reading_between_two(home: Home) -> None:
    """The count is unknown, which is not a fall to zero.

    Case: -1 or null between two readings
    Source: jkaberg/hass-byd-vehicle PR 148; skodaconnect/homeassistant-skodaconnect 298; homeassistant-myskoda PR 827
    """
    home.use(300)
    await home.start()
    for nothing in (-1, None, "--"):
        home.portal.set(ICCID, ctdDataUsage=nothing)
        await home.poll()
        assert home.shows("data_usage") in {"300.0", *NOTHING}
        await read_all(home, 301)

    assert resets(home) == []
    assert home.megabytes() == 301


async def test_fall_over_a_null(home: Home) -> None:
    """A cycle that ends while the usage is unknown is reported when the new count is read.

    Case: 300 MB, null, 2 MB
    Source: home-assistant/core PR 20933
    """
    home.use(300)
    await home.start()
    home.portal.set(ICCID, ctdDataUsage=None)
    await home.poll()

    await read_all(home, 2, 3)

    assert resets(home) == [300]


async def test_empty_list_at_the_start_of_a_cycle(home: Home) -> None:
    """The cycle ended with 300 MB, and the total of all SIMs does not include them.

    Case: 300 MB, `[]`, 2 MB
    Source: homeassistant_veolia 9; docs/api.md, A5 `empty_array`
    """
    home.use(300)
    home.use(10, OTHER_ICCID)
    await home.start(ICCID, OTHER_ICCID)
    home.portal.always(f"ctdUsage/{ICCID}", says([]))
    await home.poll(2)
    assert float(await home.total("data_usage_total")) == 0.01
    home.portal.well()

    await read_all(home, 2, 3)

    assert resets(home) == [300]
    assert float(await home.total("data_usage_total")) == 0.013


async def test_fall_of_other_counters(home: Home) -> None:
    """A small correction of other counters is not a new cycle either.

    Case: the number of SMS falls by one, the data continues
    Source: home-assistant/core 162935
    """
    home.portal.set(ICCID, ctdDataUsage=300 * MB, ctdSMSUsage=40, ctdVoiceUsage=600)
    await home.start()

    for changes in ({"ctdSMSUsage": 39}, {"ctdVoiceUsage": 599}, {"ctdSMSUsage": 41}):
        home.portal.set(ICCID, **changes)
        await home.poll()

    assert resets(home) == []


# --- Gaps and restarts ------------------------------------------------------------------------------------------------


async def test_cycle_ends_while_unloaded(home: Home) -> None:
    """The end of the cycle is reported once, after the account is loaded.

    Case: the account is unloaded; when it is loaded, the counters are lower
    Source: home-assistant/core PR 20933
    """
    home.use(300)
    await home.start()
    await home.unload()
    home.use(2)
    await home.load()

    await read_all(home, 2, 3)
    await home.reload()
    await home.poll()

    assert resets(home) == [300]


async def test_device_and_status_change_while_unloaded(home: Home) -> None:
    """Both are reported once, after the account is loaded.

    Case: when the account is loaded, the SIM is in another device and has another status
    Source: home-assistant/core PR 20933
    """
    home.portal.set(ICCID, imei="352099001761481")
    await home.start()
    await home.unload()
    home.portal.set(ICCID, imei="490154203237518", status="DEACTIVATED")
    await home.load()

    await home.poll(2)
    await home.reload()

    assert sorted(home.kinds) == ["moved_to_another_device", "status_changed"]


async def test_reload_between_the_two_readings(home: Home) -> None:
    """The cycle is reported once, even if the second reading comes after a restart.

    Case: 410 MB, 0, restart, 0, 1 MB
    Source: home-assistant/core PR 20933; home-assistant/core 182493
    """
    home.use(410)
    await home.start()
    await read_all(home, 0)
    await home.reload()

    await read_all(home, 0, 1, 2)
    await home.reload()

    assert resets(home) == [410]


@pytest.mark.parametrize("stored", [4_294_967_295, 9_200_000_000_000_000_000])
async def test_bad_value_on_the_disk(home: Home, hass_storage: dict[str, Any], stored: int) -> None:
    """The right value is shown at the first poll, and no cycle ends with the wrong one.

    Case: an earlier release has stored a number that means "no reading"
    Source: its-me-prash/vwgroup-connect-ha PR 1159
    """
    home.use(120)
    await home.start()
    await home.unload()
    key = f"iot_portal.{home.entry.entry_id}.snapshots"
    hass_storage[key]["data"][ICCID]["usage"]["ctdDataUsage"] = stored
    await home.load()

    await read_all(home, 121, 122)

    assert home.megabytes() == 122
    assert all(megabytes < 1000 for megabytes in resets(home))


async def test_pages_at_the_end_of_a_cycle(home: Home) -> None:
    """The cycle is reported when the portal works again.

    Case: the portal is down at the end of a cycle
    Source: home-assistant/core PR 20933; hass-WEM-Portal 68
    """
    home.use(300)
    await home.start()
    home.portal.always("*", page(503))
    await home.poll(3)
    home.portal.well()
    home.use(2)
    await home.wait(timedelta(hours=1))

    await read_all(home, 3, 4)

    assert resets(home) == [300]


# --- The clock of the cycle -------------------------------------------------------------------------------------------


async def test_portal_has_another_zone(home: Home) -> None:
    """No overage is projected while the counter is still that of the old cycle.

    Case: 15 MB a day of 1 GB; the counter starts over at 00:00 UTC, Home Assistant is in Europe/Berlin
    Source: vscode 264320; callmeter 6
    """
    await home.hass.config.async_set_time_zone("Europe/Berlin")
    home.freezer.move_to("2026-10-31 22:40:00+00:00")
    home.use(465)
    await home.start(settings=GIGABYTE_PLAN)

    for _ in range(4):
        await home.poll()
        assert home.shows("binary_sensor.projected_overage") != "on"


async def test_records_a_day_late(home: Home) -> None:
    """No overage is projected until the counter has started over, and the cycle ends with the last count.

    Case: the counter of the old cycle keeps growing, and starts over on the 2nd at 18:00
    Source: Twilio, SIM UsageRecords
    """
    home.freezer.move_to("2026-10-31 20:00:00+00:00")
    home.use(900)
    await home.start(settings=GIGABYTE_PLAN)

    for step in range(1, 116):
        home.use(min(900 + step, 955))
        await home.poll()
        assert home.shows("binary_sensor.projected_overage") != "on", dt_util.utcnow()
    await read_all(home, 3, 4, 5)

    assert resets(home) == [955]
    assert home.shows("binary_sensor.projected_overage") == "off"


async def test_no_alarm_in_the_first_days(home: Home) -> None:
    """Usage is projected again once the counter has started over.

    Case: the counter starts over at the beginning of the cycle, and grows too fast for the plan
    Source: vscode 264320; callmeter 6
    """
    home.freezer.move_to("2026-10-31 23:30:00+00:00")
    home.use(465)
    await home.start(settings=GIGABYTE_PLAN)
    await read_all(home, 1, 2)
    home.freezer.move_to("2026-11-03 00:00:00+00:00")

    await read_all(home, 200, 201)

    assert home.shows("binary_sensor.projected_overage") == "on"


@pytest.mark.parametrize(
    ("quantity", "unit"), [("0", "GB"), ("-1", "GB"), ("Unlimited", "GB"), (None, "GB"), ("1", "")]
)
async def test_plan_without_a_limit(home: Home, quantity: str | None, unit: str) -> None:
    """There is no overage and nothing remaining. The usage is still shown.

    Case: for a plan without a limit, the allowance is 0, -1, a word or null
    Source: robert-alfaro/xfinity-usage 3; home-assistant/core 12953; hiddify/hiddify-app PR 1988; python-hologram-api
    """
    home.portal.set(ICCID, dataquantity=quantity, datasize=unit)
    home.use(300)
    await home.start()

    for key in ("allowance_used", "data_remaining", "binary_sensor.projected_overage"):
        assert home.shows(key) in NOTHING
    assert home.megabytes() == 300
    assert home.tracebacks == []


async def test_fraction_of_a_megabyte(home: Home) -> None:
    """The fraction is kept.

    Case: the network counts in megabytes, `"ctdDataUsage": 0.73`
    Source: stiebel_eltron_isg 199
    """
    home.portal.set(ICCID, ctdDataUsage=0.73)
    await home.start(settings={"data_unit": "megabytes"})
    assert home.megabytes() == pytest.approx(0.73)

    home.portal.set(ICCID, ctdDataUsage="1.25")
    await home.poll()

    assert home.megabytes() == pytest.approx(1.25)

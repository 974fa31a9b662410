"""Identities, statuses, dates and settings: what is a value, and which changes are reported."""

from datetime import UTC, datetime, timedelta
import json
from typing import Any

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
import pytest

from .home import ICCID, MB, OTHER_ICCID, Home
from .odd_portal import page, raw, says

NOTHING = (STATE_UNAVAILABLE, STATE_UNKNOWN)
IMEI = "352099001761481"
OTHER_IMEI = "490154203237518"
ZEROS = "000000000000000"


async def read_all(home: Home, **readings: list[Any]) -> None:
    """Report one value after the other in a field, a poll each."""
    for name, values in readings.items():
        for value in values:
            home.portal.set(ICCID, **{name: value})
            await home.poll()


# --- Devices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [ZEROS, "n/a", None, "", "--", "999999999999999"])
async def test_placeholder_device(home: Home, nothing: str | None) -> None:
    """A placeholder is not a move to another device, and neither is the return of the IMEI.

    Case: the IMEI becomes `"000000000000000"` and then returns
    Source: free-ran-ue PR 290; gtplib PR 49
    """
    home.portal.set(ICCID, imei=IMEI)
    await home.start()

    await read_all(home, imei=[nothing, nothing, IMEI, nothing, IMEI])

    assert home.told == []
    assert home.shows("imei") == IMEI


async def test_move_over_a_null(home: Home) -> None:
    """A move to another device is reported once, compared with the last known device.

    Case: IMEI A, null, B
    Source: home-assistant/core PR 20933
    """
    home.portal.set(ICCID, imei=IMEI)
    await home.start()

    await read_all(home, imei=[None, OTHER_IMEI, None, OTHER_IMEI, ZEROS, OTHER_IMEI])

    assert [(kind, told["from"], told["to"]) for kind, told in home.told] == [
        ("moved_to_another_device", IMEI, OTHER_IMEI)
    ]


async def test_one_device_in_other_spellings(home: Home) -> None:
    """The first 14 digits identify the device, whatever follows them.

    Case: 15 digits with the check digit or 0, 16 with the software version, 14 with neither
    Source: wmnsk/go-gtp PR 178; CAMARA Mobile Device Identifier API; gtplib PR 49
    """
    home.portal.set(ICCID, imei=IMEI)
    await home.start()
    device = IMEI[:14]

    await read_all(home, imei=[f"{device}0", f"{device}23", f"{device}24", device, IMEI])

    assert home.told == []


async def test_imei_as_a_number(home: Home) -> None:
    """It is the same device, or unknown.

    Case: identities are JSON numbers, so a leading zero is lost
    Source: universam1/iSpindel 111; dralshehri/luhncheck 3
    """
    home.portal.set(ICCID, imei="012345678901234")
    await home.start()

    await read_all(home, imei=[12345678901234, "012345678901234"])

    assert home.told == []


# --- ICCIDs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "8931082322089353632F",
        "8931082322089353632f",
        "8931 0823 2208 9353 632",
        "8931-0823-2208-9353-632",
        "89-31-08-23-22-08-93-53-63-2",
    ],
)
async def test_pasted_iccid(home: Home, typed: str) -> None:
    """It is accepted, and it is one card.

    Case: an ICCID as a modem prints it, with a trailing `F`, or as it is printed on a card, in groups
    Source: openpilot PR 38021, 38735; ostelco PR 579
    """
    await home.start(OTHER_ICCID)

    await home.add_sims(typed)

    assert home.iccids == [OTHER_ICCID, ICCID]


async def test_several_pasted_iccids(home: Home) -> None:
    """Each line is a card.

    Case: several ICCIDs in groups, one in each line
    Source: openpilot PR 38021, 38735; ostelco PR 579
    """
    await home.start(OTHER_ICCID)
    third = "8931080000000000029"
    home.portal.set(third)

    await home.add_sims("8931 0823 2208 9353 632\n8931 0800 0000 0000 029")

    assert sorted(home.iccids) == sorted([OTHER_ICCID, ICCID, third])


def check_digit(digits: str) -> int:
    """Return the digit that completes an ICCID."""
    doubled = [int(digit) * (2 - index % 2) for index, digit in enumerate(reversed(digits))]
    return -sum(value // 10 + value % 10 for value in doubled) % 10


@pytest.mark.parametrize("filler", ["", "F"])
async def test_card_already_added(home: Home, filler: str) -> None:
    """It is not added a second time.

    Case: a SIM was added with 19 digits; its 20 digits are entered, and the portal answers with the 19
    Source: ubxlib 48; emnify schema
    """
    await home.start()
    longer = f"{ICCID}{check_digit(ICCID)}"
    home.portal.always(f"GetDevice/{longer}", says(home.portal.example("GetDevice", ICCID)))

    await home.add_sims(longer + filler)

    assert home.iccids == [ICCID]


async def test_letters_in_an_iccid(home: Home) -> None:
    """It is accepted once, or refused with a reason, and never added twice.

    Case: a letter in the middle of an ICCID, in upper or lower case
    Source: bifravst/e118-iin-list 65
    """
    letters = "898604B7192271001234"
    await home.start(OTHER_ICCID)
    for spelling in (letters, letters.lower()):
        home.portal.set(spelling)
        await home.add_sims(spelling)

    assert len(home.iccids) <= 2
    assert home.tracebacks == []


# --- Words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    ["Active", "ACTIVE", "active", "Activated", "activated", " ACTIVATED ", "activated\u00a0"],
)
async def test_other_word_for_activated(home: Home, word: str) -> None:
    """It counts as activated.

    Case: the status is "Active"
    Source: Telnyx, Soracom, 1NCE and emnify documents
    """
    home.portal.set(ICCID, status=word)
    home.portal.set(OTHER_ICCID, status="INVENTORY")
    await home.start(ICCID, OTHER_ICCID)

    assert home.shows("switch.active") == "on"
    assert await home.total("sims_active") == "1"


@pytest.mark.parametrize(
    "word", ["READY", "Suspended", "WINTER_SLEEP", "Activo", "Deactivating", "6"]
)
async def test_other_word(home: Home, word: str) -> None:
    """It is shown as it is, and no error is logged.

    Case: statuses of other networks, transitional ones, numbers
    Source: Telnyx, SIM lifecycle; Twilio Super SIM; BassXT/buderus 7; npm m2m-status; developer.tuya.com
    """
    home.portal.set(ICCID, status=word)
    await home.start()

    assert home.shows("status") == word
    assert home.shows("switch.active") != "on"
    assert await home.total("sims_active") == "0"
    assert home.tracebacks == []


@pytest.mark.parametrize("word", ["--", "N/A", "null", "", None])
async def test_placeholder_for_a_status(home: Home, word: str | None) -> None:
    """A placeholder is not a change of status, and neither is the return of the status.

    Case: the status becomes `--` and then returns
    Source: Philra94/homeassistant-hoymiles-cloud PR 13; MarcinG81/SunSynk_HA_Integration PR 7
    """
    await home.start()
    home.portal.always("getStatus", raw("" if word is None else word))

    await read_all(home, status=[word, "ACTIVATED", word, word, "ACTIVATED"])

    assert home.told == []
    assert home.shows("status") == "activated"


async def test_change_over_a_null(home: Home) -> None:
    """A change of status is reported once, compared with the last known status.

    Case: ACTIVATED, null, DEACTIVATED
    Source: home-assistant/core PR 20933
    """
    await home.start()
    home.portal.always("getStatus", page())

    await read_all(home, status=[None, "DEACTIVATED", None, "DEACTIVATED"])

    assert [(kind, told["from"], told["to"]) for kind, told in home.told] == [
        ("status_changed", "activated", "deactivated")
    ]


async def test_same_status_in_another_spelling(home: Home) -> None:
    """It is not a change of status.

    Case: the usage has `ACTIVATED`, the next answer `activated`
    Source: npm m2m-status; Telnyx, Soracom, 1NCE and emnify documents
    """
    await home.start()

    await read_all(home, status=["activated", "Activated", " ACTIVATED", "ACTIVATED"])

    assert home.told == []


# --- Dates ------------------------------------------------------------------------------------------------------------


async def start_session(home: Home, started: str | None, ended: str | None) -> None:
    """Report a session, and poll."""
    home.portal.set(ICCID, dateSessionStarted=started, dateSessionEnded=ended, ctdSessionCount=None)
    await home.poll()


@pytest.mark.parametrize(
    "nothing",
    ["0001-01-01 00:00:00.000+0000", "0000-00-00 00:00:00", "1970-01-01 00:00:00.000+0000"],
)
async def test_impossible_end(home: Home, nothing: str) -> None:
    """It is not shown as the end of the session, and no end is reported.

    Case: `dateSessionEnded: "0001-01-01 00:00:00.000+0000"`
    Source: OSGP PR 926; lorawan-stack 4766; iamkun/dayjs 2069; lbbrhzn/ocpp 1767
    """
    home.portal.set(ICCID, ctdSessionCount=None)
    await home.start()
    home.told.clear()

    await start_session(home, "2026-11-14 12:01:00.000+0000", nothing)

    assert home.shows("session_ended") in NOTHING
    assert "data_session_ended" not in home.kinds


@pytest.mark.parametrize("end", ["yesterday", "14/11/2026 12:05", "12:05"])
async def test_unreadable_end(home: Home, end: str) -> None:
    """It is unknown whether the session has ended, so it is not shown as open.

    Case: an end in another format
    Source: OSGP PR 926; lorawan-stack 4766
    """
    home.portal.set(ICCID, ctdSessionCount=None)
    await home.start()

    await start_session(home, "2026-11-14 12:01:00.000+0000", end)

    assert home.shows("binary_sensor.data_session") in NOTHING
    assert "data_session_ended" not in home.kinds


async def test_local_time_without_offset(home: Home) -> None:
    """No session starts in the future.

    Case: the portal writes the time of its own time zone, without an offset
    Source: Philra94/homeassistant-hoymiles-cloud 15 and PR 16; home-assistant/core 88827; SunStrong-Management/pvs-hass 9
    """
    home.portal.set(ICCID, ctdSessionCount=None)
    await home.start()
    in_two_hours = datetime.now(UTC) + timedelta(hours=2)

    await start_session(home, f"{in_two_hours:%Y-%m-%d %H:%M:%S}", None)

    shown = home.shows("session_started")
    assert shown in NOTHING or datetime.fromisoformat(shown) <= datetime.now(UTC)


async def test_end_before_the_start(home: Home) -> None:
    """An end before the start is not reported.

    Case: the end of a session is an hour before its start
    Source: SAIC-iSmart-API/saic-python-mqtt-gateway PR 211
    """
    home.portal.set(ICCID, ctdSessionCount=None)
    await home.start()

    await start_session(home, "2026-11-14 12:10:00.000+0000", "2026-11-14 11:00:00.000+0000")

    assert "data_session_ended" not in home.kinds


async def test_start_days_ahead(home: Home) -> None:
    """It is not shown as a start.

    Case: a session starts three days in the future
    Source: SAIC-iSmart-API/saic-python-mqtt-gateway PR 211
    """
    home.portal.set(ICCID, ctdSessionCount=None)
    await home.start()

    await start_session(home, "2026-11-17 12:10:00.000+0000", None)

    assert not home.shows("session_started").startswith("2026-11-17")


async def test_start_that_jitters(home: Home) -> None:
    """It is one session, reported once.

    Case: the start is computed again at each poll and differs by a second
    Source: HarvsG/ha-glinet4-integration PR 148; home-assistant/core 101690; astrandb/miele 107
    """
    home.portal.set(ICCID, ctdSessionCount=None)
    await home.start()

    for second in ("00.120", "01.004", "00.500", "00.900"):
        await start_session(home, f"2026-11-14 12:01:{second}+0000", None)

    assert home.kinds.count("data_session_started") == 1


async def test_end_known_a_day_late(home: Home) -> None:
    """The end is reported once, with the portal's time.

    Case: a session counts as open until its end becomes known 40 hours later
    Source: 1NCE, Get SIM Status
    """
    home.portal.set(ICCID, ctdSessionCount=None)
    await home.start()
    await start_session(home, "2026-11-14 12:01:00.000+0000", None)
    assert home.shows("binary_sensor.data_session") == "on"
    await home.hours(40)

    await start_session(home, "2026-11-14 12:01:00.000+0000", "2026-11-14 14:00:00.000+0000")
    await home.poll(3)

    assert home.kinds == ["data_session_started", "data_session_ended"]
    assert home.told[1][1]["ended"] == datetime(2026, 11, 14, 14, tzinfo=UTC)


async def test_address_null(home: Home) -> None:
    """The text is not shown as an address.

    Case: `"ipAddress": "null"`, `"dateSessionEnded": "null"`
    Source: developer.cisco.com, Get Session Details
    """
    home.portal.set(ICCID, ipAddress="null", dateSessionEnded="null", fixedIPAddress="null")
    await home.start()

    assert home.shows("last_ip") in NOTHING
    assert home.shows("fixed_ip") in NOTHING
    assert home.shows("binary_sensor.data_session") == "on"


# --- SMS --------------------------------------------------------------------------------------------------------------


async def test_sms_reported_once(home: Home) -> None:
    """An SMS is reported once, whatever order or gaps the list has, even across a restart.

    Case: the list is in reverse order, empty once, null once
    Source: home-assistant/core 40462; textbee/textbee 159; home-assistant/core 179668
    """
    await home.start(options={"watch_sms": True})
    sms = {"iccid": ICCID, "msgType": "MO", "status": "Received"}
    home.portal.sms |= {str(index): sms | {"messageText": f"No. {index}"} for index in (1, 2, 3)}
    await home.poll()
    lists: list[Any] = [[3, 2, 1], [], None, [1, 2, 3], ["1", "2"], [1, 2, 3]]
    for listed in lists:
        home.portal.once("GetSMSIds", says({"smsMsgIds": listed, "lastPage": True}))
        await home.poll()
    await home.reload()
    await home.poll()

    assert [told["message"] for _, told in home.told] == ["No. 1", "No. 2", "No. 3"]


async def test_more_pages_of_sms(home: Home) -> None:
    """The log says once that there are more SMS than can be read.

    Case: `{"smsMsgIds": [...], "pageNumber": 1, "lastPage": false}`
    Source: the platform's own paging; firstof9/openevse PR 16 for `"false"`
    """
    await home.start(options={"watch_sms": True})
    for last_page in (False, "false", False):
        answer = {"smsMsgIds": [], "pageNumber": 1, "lastPage": last_page}
        home.portal.once("GetSMSIds", says(answer))
        await home.poll()

    assert len([line for line in home.log() if "SMS" in line]) == 1


async def test_unreadable_sms(home: Home) -> None:
    """The other SMS are reported.

    Case: one SMS of the list is a page, one has no text, one is null
    Source: 4IceG/luci-app-sms-tool-js 9; mrhaav/openwrt 11
    """
    await home.start(options={"watch_sms": True})
    sms = {"iccid": ICCID, "msgType": "MO", "status": "Received", "messageText": "Hello"}
    home.portal.sms |= {"1": sms, "2": sms, "3": sms, "4": sms}
    home.portal.always("GetSMS/1", page())
    home.portal.always("GetSMS/2", says({"smsMsgId": 2, "msgType": "MO", "ucs-2": "0020"}))
    home.portal.always("GetSMS/3", says(None))

    await home.poll(6)

    assert sorted(str(told["message"]) for _, told in home.told) == ["Hello", "None"]
    assert home.tracebacks == []


async def test_status_of_an_sms_in_other_words(home: Home) -> None:
    """The word is shown, and no error is logged.

    Case: an unknown status of an SMS
    Source: BassXT/buderus 7; Telnyx, SIM lifecycle
    """
    await home.start()
    home.portal.sms["4711"] = {"iccid": ICCID, "status": "Queued\nfor later"}

    await home.act("send_sms", message="Hello")
    await home.hours(3)

    assert home.tracebacks == []
    assert "\n" not in home.shows("last_sent_sms")


# --- Settings ---------------------------------------------------------------------------------------------------------


async def test_allowance_in_other_units(home: Home) -> None:
    """The binary units are known.

    Case: a plan of "1 GiB" or "1024 MiB"
    Source: Soracom, 1 MB is 1,024 x 1,024 bytes; public clients of the platform
    """
    home.use(100)
    for quantity, unit in (("1", "GiB"), ("1024", "MiB"), ("1048576", "KiB")):
        home.portal.set(ICCID, dataquantity=quantity, datasize=unit)
        if hasattr(home, "entry"):
            await home.reload()
            await home.wait(timedelta(hours=7))
        else:
            await home.start()
        assert home.megabytes(key="data_remaining") == pytest.approx((2**30 - 100 * MB) / MB)


@pytest.mark.parametrize(("plan_unit", "allowance"), [("binary", 2**30), ("decimal", 10**9)])
@pytest.mark.parametrize("where", ["account", "SIM"])
async def test_unit_of_a_plan(home: Home, plan_unit: str, allowance: int, where: str) -> None:
    """The user can choose 1000 x 1000 or 1024 x 1024 bytes for a MB of the plan, for the account or the SIM.

    Case: a plan of 1 GB
    Source: public clients of the platform divide by 1024 x 1024; Soracom and Olivia Wireless documents
    """
    home.use(100)
    chosen = {"plan_unit": plan_unit}
    await home.start(
        options=chosen if where == "account" else {}, settings=chosen if where == "SIM" else {}
    )

    assert home.megabytes(key="data_remaining") == pytest.approx((allowance - 100 * MB) / MB)


@pytest.mark.parametrize(("days", "projected_overage"), [(28, "off"), (None, "on")])
async def test_plan_of_days(home: Home, days: int | None, projected_overage: str) -> None:
    """A cycle can have 28 or 30 days from a date, and the projected usage uses it.

    Case: a plan of 28 days, which began on 20 October
    Source: GrapheneOS os-issue-tracker 6488
    """
    cycle = {} if days is None else {"cycle_days": days, "cycle_start": "2026-10-20"}
    home.use(600)
    await home.start(settings={"allowance": 1000} | cycle)

    await home.poll()

    assert home.shows("binary_sensor.projected_overage") == projected_overage


async def test_diagnostics_show_no_objects(home: Home) -> None:
    """Diagnostics show nothing of what the portal sent instead of a word.

    Case: an object or digits instead of a word
    Source: our own trial with an unusual test portal
    """
    from custom_components.iot_portal.diagnostics import (  # noqa: PLC0415  loads much
        async_get_config_entry_diagnostics,
    )

    secret = "447700900123"
    home.portal.always(
        "GetDevice",
        says(
            home.portal.example(
                "GetDevice",
                ICCID,
                status={"iccid": ICCID, "msisdn": secret},
                globalSimType=[secret],
                commsplan={"number": secret},
                isshared=secret,
            )
        ),
    )
    home.portal.set(ICCID, status=secret)
    await home.start()

    shown = json.dumps(await async_get_config_entry_diagnostics(home.hass, home.entry), default=str)

    assert secret not in shown
    assert ICCID not in shown


# --- Changes between servers of different age -------------------------------------------------------------------------

DEVICES = ("352099001761481", "490154203237518")


@pytest.mark.parametrize("turns", [[1, 0, 1, 0, 1, 0, 1], [1, 1, 0, 1, 1, 1, 0, 1]])
@pytest.mark.parametrize(
    ("field", "values", "event"),
    [
        ("status", ("ACTIVATED", "DEACTIVATED"), "status_changed"),
        ("imei", DEVICES, "moved_to_another_device"),
    ],
)
async def test_values_that_alternate(
    home: Home, field: str, values: tuple[str, str], event: str, turns: list[int]
) -> None:
    """A change is reported once, however often an old answer comes in between.

    Case: status or IMEI A, B, A, B from servers with different data
    Source: andreadegiovine/homeassistant-stellantis-vehicles 488 and PR 492; Hyundai-Kia-Connect/kia_uvo 931
    """
    home.portal.set(ICCID, **{field: values[0]})
    await home.start()

    for turn in turns:
        home.portal.set(ICCID, **{field: values[turn]})
        await home.poll()

    assert home.kinds == [event]


async def test_changes_are_reported_at_once(home: Home) -> None:
    """A change is reported by the poll that reads it, unless it undoes the last change.

    Case: ACTIVATED, DEACTIVATED, RETIRED, and a day later ACTIVATED
    Source: similar to andreadegiovine/homeassistant-stellantis-vehicles 488
    """
    await home.start()

    for number, status in enumerate(("DEACTIVATED", "RETIRED", "ACTIVATED"), 1):
        home.portal.set(ICCID, status=status)
        await home.poll()
        assert home.kinds == ["status_changed"] * number


async def test_change_back(home: Home) -> None:
    """A change back is reported with the second reading, even across a restart.

    Case: ACTIVATED, DEACTIVATED, then permanently ACTIVATED
    Source: similar to andreadegiovine/homeassistant-stellantis-vehicles 488
    """
    await home.start()
    home.portal.set(ICCID, status="DEACTIVATED")
    await home.poll()
    home.portal.set(ICCID, status="ACTIVATED")
    await home.poll()
    assert home.kinds == ["status_changed"]
    await home.reload()

    assert [told["to"] for _, told in home.told] == ["deactivated", "activated"]


async def test_outdated_usage_after_a_request(home: Home) -> None:
    """The request is confirmed at once, and the old status in the usage is not a change.

    Case: a requested status is in effect, while the usage reports the old one once more
    Source: similar to Hyundai-Kia-Connect/kia_uvo 931
    """
    await home.start()
    home.portal.set(ICCID, status="DEACTIVATED")
    behind = home.portal.example("ctdUsage", ICCID, status="ACTIVATED")
    home.portal.always("ctdUsage", says(behind))

    await home.act("request_status_change", status="deactivated")
    assert home.kinds == ["status_change_confirmed"]
    await home.poll()
    home.portal.well()
    await home.poll(3)

    assert home.kinds == ["status_change_confirmed"]


async def test_one_number_in_other_spellings(home: Home) -> None:
    """It is always shown in the same way, and nothing is reported.

    Case: `447700900123`, `+44 7700 900123` and `00447700900123` in successive polls
    Source: OpenMobileAlliance/OMA_LwM2M_for_Developers 148; catamphetamine/libphonenumber-js 185; jlippold/WifiSMS 19
    """
    home.portal.set(ICCID, msisdn="447700900123")
    await home.start()

    for number in ("+44 7700 900123", "00447700900123"):
        home.portal.set(ICCID, msisdn=number)
        await home.poll()
        assert home.shows("msisdn") == "447700900123"

    assert home.told == []


async def test_plan_that_contradicts_itself(home: Home) -> None:
    """The fields are used, and the user can set another allowance.

    Case: `ratePlan: "10 MB/Month"`, `dataquantity: "10000"`, `datasize: "MB"`
    Source: developer.tuya.com, Query IoT SIM Card Data
    """
    home.portal.set(ICCID, ratePlan="10 MB/Month", dataquantity="10000", datasize="MB")
    home.use(5)
    await home.start(ICCID, settings={"plan_unit": "decimal"})
    assert float(home.shows("allowance_used")) == pytest.approx(0.05)

    entry, subentry = home.entry, next(iter(home.entry.subentries.values()))
    home.hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, "allowance": 10}
    )
    await home.settle()

    assert float(home.shows("allowance_used")) == pytest.approx(50)


async def test_field_missing_for_a_day(home: Home) -> None:
    """It is unknown meanwhile, nothing is reported, and then it continues.

    Case: after an update of the portal, `ctdDataUsage` has another name for a day
    Source: home-assistant/core 54888
    """
    home.use(300)
    await home.start()
    record = {"iccid": ICCID, "status": "ACTIVATED", "usageInBytes": 301}
    home.portal.always("ctdUsage", says([record]))
    await home.hours(24)
    assert home.shows("data_usage") in NOTHING
    home.portal.well()

    home.use(310)
    await home.poll()

    assert home.megabytes() == 310
    assert home.told == []
    assert home.repairs == []


async def test_unreadable_list_of_sms(home: Home) -> None:
    """SMS from before are not reported as new when the list can be read.

    Case: `GetSMSIds` answers with `{}` at first, and then with the list
    Source: similar to home-assistant/core 179668
    """
    home.portal.sms = {"4711": {"messageText": "old", "msgType": "MO", "iccid": ICCID}}
    home.portal.always("GetSMSIds", says({}))
    await home.start(options={"watch_sms": True})
    await home.poll()
    home.portal.well()

    await home.poll(2)

    assert home.told == []

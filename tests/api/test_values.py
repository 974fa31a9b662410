"""What has not the form of a value is none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from custom_components.iot_portal.api import (
    Device,
    IotPortalResponseError,
    Session,
    Sms,
    Usage,
    is_activated,
)
from custom_components.iot_portal.api.models import login_token, sms_id, sms_ids, status_word

IMEI = "352099001761481"
STARTED = "2023-08-16 10:50:07.220+0000"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (IMEI, IMEI),
        (int(IMEI), IMEI),
        ("35-209900-176148-1", IMEI),
        ("35209900176148", "35209900176148"),
        ("8613300585142338", "8613300585142338"),
        ("35209900176148F", "35209900176148"),
        ("000000000000000", None),
        ("0000000000000018", None),
        ("111111111111111", None),
        ("FFFFFFFFFFFFFFF", None),
        ("N/A", None),
        ("--", None),
        ("null", None),
        ("35209900176148121", None),
        ("352099", None),
        ("unknown device 1", None),
        # A number lost its leading zero, or its last digits.
        (12345678901234, None),
        (3.52099001761481e14, None),
        (0, None),
        (["352099001761481"], None),
    ],
)
def test_imei(value: Any, expected: str | None) -> None:
    """A placeholder is no IMEI."""
    assert Usage.from_answer({"imei": value}).imei == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("204080823514892", "204080823514892"),
        ("000000000000000", None),
        ("None", None),
        ("12345", None),
    ],
)
def test_imsi(value: Any, expected: str | None) -> None:
    """A placeholder is no IMSI."""
    assert Usage.from_answer({"imsi": value}).imsi == expected


@pytest.mark.parametrize(
    "value", ["447700900123", "+44 7700 900123", "00447700900123", "+44-7700-900123", 447700900123]
)
def test_msisdn(value: Any) -> None:
    """One phone number is shown in one way."""
    assert Usage.from_answer({"msisdn": value}).msisdn == "447700900123"


@pytest.mark.parametrize("value", ["0", "000000000000", "n/a", "unassigned", 0, 4.4e11, "+"])
def test_no_msisdn(value: Any) -> None:
    """A placeholder is no phone number."""
    assert Usage.from_answer({"msisdn": value}).msisdn is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("100.126.61.98", "100.126.61.98"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("2605:9780:309e::1", "2605:9780:309e::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("0.0.0.0", None),  # noqa: S104  an address that is none
        ("::", None),
        ("::ffff:0.0.0.0", None),
        ("127.0.0.1", None),
        ("255.255.255.255", None),
        ("null", None),
        ("NULL", None),
    ],
)
def test_addresses(value: str, expected: str | None) -> None:
    """An address that no SIM can have is none."""
    assert Session.from_answer({"ipAddress": value}).ip_address == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.73, 0.73),
        ("0.73", 0.73),
        ("22706.0", 22706),
        ("272,90", 272.9),
        ("1,234,567", 1234567),
        ("1.234.567", 1234567),
        ("1,234.50", 1234.5),
        ("1.234,50", 1234.5),
        ("1 234 567", 1234567),
        ("1'234'567", 1234567),
        ("0,123", 0.123),
        ("1.5e3", 1500),
        # It could be 1.234 as well as 1234.
        ("1,234", None),
        ("1_000", None),
        ("--", None),
        ("N/A", None),
        ("", None),
        (-1, None),
        ("-1", None),
        (-2147483648, None),
        (2147483647, None),
        (4294967295, None),
        (9223372036854775807, None),
        ("9" * 5000, None),
        ("1e400", None),
        (float("nan"), None),
        ("nan", None),
        ("inf", None),
        ({"value": 1}, None),
    ],
)
def test_counters(value: Any, expected: float | None) -> None:
    """A counter keeps its fractions; what can be read in two ways is unknown."""
    assert Usage.from_answer({"ctdDataUsage": value}).data_bytes == expected


@pytest.mark.parametrize("key", ["ctdSMSUsage", "ctdSessionCount"])
def test_sentinel_of_16_bits(key: str) -> None:
    """No SIM has exactly as many SMS or sessions as 16 bits hold; that number says "no reading"."""
    usage = Usage.from_answer({key: 65535, "ctdDataUsage": 65535})

    assert (usage.sms_count, usage.session_count, usage.data_bytes) == (None, None, 65535)


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("10MB", 10**7),
        ("1.5 GB", 1_500_000_000),
        ("3 MiB", 3 * 2**20),
        ("12 B", 12),
        ("1,5 GB", 1_500_000_000),
        ("12 apples", None),
        ("1,234 MB", None),
        ("99999 PB", None),
    ],
)
def test_counter_with_a_unit(value: str, amount: float | None) -> None:
    """A counter of data that names its unit is read in bytes."""
    usage = Usage.from_answer({"ctdDataUsage": value})

    assert (usage.data_bytes, usage.is_in_bytes) == (amount, True)


@pytest.mark.parametrize(
    ("quantity", "unit", "expected"),
    [
        ("1", "GiB", 2**30),
        ("1 GiB", "", 2**30),
        ("1024 MiB", None, 2**30),
        ("1024", "mebibytes", None),
        ("500", "megabytes", 5 * 10**8),
        ("1 GB", "GB", 10**9),
        ("1 GB", "MB", None),
        ("272,90", "MB", 272_900_000),
        ("1,000", "MB", None),
        ("0", "GB", None),
        ("-1", "GB", None),
        ("Unlimited", "GB", None),
        ("999999", "GB", None),
        ("1e308", "TB", None),
    ],
)
def test_allowances(quantity: Any, unit: Any, expected: int | None) -> None:
    """Binary units have 1,024; an allowance without a limit is none."""
    device = Device.from_answer({"dataquantity": quantity, "datasize": unit})

    assert (device.allowance and device.allowance.in_bytes()) == expected


def test_kilobytes_of_1024() -> None:
    """What a portal's MB means can be chosen; a MiB is always the same."""
    decimal = Device.from_answer({"dataquantity": "1", "datasize": "GB"}).allowance
    binary = Device.from_answer({"dataquantity": "1", "datasize": "GiB"}).allowance

    assert decimal is not None
    assert binary is not None
    assert (decimal.in_bytes(), decimal.in_bytes(1024)) == (10**9, 2**30)
    assert binary.in_bytes() == binary.in_bytes(1024) == 2**30


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1687518877998, datetime(2023, 6, 23, 11, 14, 37, 998000, UTC)),
        ("1687518877", datetime(2023, 6, 23, 11, 14, 37, tzinfo=UTC)),
        (1687518877.5, datetime(2023, 6, 23, 11, 14, 37, 500000, UTC)),
        ("2023-06-23 11:14:37.9+0000", datetime(2023, 6, 23, 11, 14, 37, 900000, UTC)),
        ("2023-06-23T11:14:37.998Z", datetime(2023, 6, 23, 11, 14, 37, 998000, UTC)),
        ("2023-06-23 11:14:37 +0000", datetime(2023, 6, 23, 11, 14, 37, tzinfo=UTC)),
        ("2023-06-23 11:14:37 UTC", datetime(2023, 6, 23, 11, 14, 37, tzinfo=UTC)),
        ("Fri, 23 Jun 2023 11:14:37 GMT", datetime(2023, 6, 23, 11, 14, 37, tzinfo=UTC)),
        ("/Date(1687518877000)/", datetime(2023, 6, 23, 11, 14, 37, tzinfo=UTC)),
        ("0001-01-01 00:00:00.000+0000", None),
        ("0000-00-00 00:00:00", None),
        ("1970-01-01 00:00:00.000+0000", None),
        ("9999-12-31 23:59:59.000+0000", None),
        ("2023-06-23 11:14:60", None),
        ("2025-00-15", None),
        ("23/06/2023", None),
        (0, None),
        (-1, None),
        (16875188779980, None),
        (1e300, None),
        (True, None),
        ({}, None),
    ],
)
def test_moments(value: Any, expected: datetime | None) -> None:
    """An impossible date and a placeholder are no dates."""
    assert Device.from_answer({"dateActivated": value}).date_activated == expected


def test_local_time_in_the_future() -> None:
    """A time without an offset that is ahead of now is the local time of an unknown place."""
    ahead = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S")

    assert Session.from_answer({"dateSessionStarted": ahead}).started is None
    assert Session.from_answer({"dateSessionStarted": f"{ahead}+0200"}).started is not None


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (STARTED, None, True),
        (STARTED, "", True),
        (STARTED, "null", True),
        (STARTED, "--", True),
        (STARTED, STARTED, False),
        (None, STARTED, False),
        (None, None, False),
        (STARTED, "0001-01-01 00:00:00.000+0000", None),
        (STARTED, "0000-00-00 00:00:00", None),
        (STARTED, "soon", None),
        (STARTED, {"date": 1}, None),
        (STARTED, 0, None),
        ("soon", None, None),
        (STARTED, "2023-08-16 09:50:07.220+0000", None),
    ],
)
def test_is_open(start: Any, end: Any, expected: bool | None) -> None:
    """A session whose end cannot be read is neither open nor over."""
    session = Session.from_answer({"dateSessionStarted": start, "dateSessionEnded": end})

    assert session.is_open is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("ACTIVATED", True),
        ("Activated", True),
        ("active", True),
        ("LIVE", True),
        ("Active.Live", True),
        ("ACTIVE (LIVE)", True),
        ("Enabled", True),
        ("INVENTORY", False),
        ("Test Ready", False),
        ("Deactivated", False),
        ("inactive", False),
        ("Suspended", False),
        ("PAUSED-USER", False),
        ("READY", None),
        ("Activo", None),
        ("6", None),
        (None, None),
    ],
)
def test_activated_words(status: str | None, expected: bool | None) -> None:
    """What means activated counts as activated in any spelling; a word that says neither is unknown."""
    assert is_activated(status) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Activated", "ACTIVATED"),
        ("test-ready", "TEST_READY"),
        (" ACTIVATED\u00a0", "ACTIVATED"),
        ("\ufeffACTIVATED\u200b", "ACTIVATED"),
        ("WINTER_SLEEP", "WINTER_SLEEP"),
        ("Active (suspended)", "Active (suspended)"),
        ("6", "6"),
        (6, "6"),
        (404, None),
        ("8931082322089353632", None),
        ("SIM 8931082322089353632", None),
        ({"iccid": "8931082322089353632"}, None),
        (["ACTIVATED"], None),
        (True, None),
        ("--", None),
        ("N/A", None),
        ("OK", None),
        ("error", None),
        ("a\nb" * 100, None),
    ],
)
def test_words(value: Any, expected: str | None) -> None:
    """A status is a word; digits of an identity, objects and placeholders are none."""
    assert Usage.from_answer({"status": value}).status == expected


@pytest.mark.parametrize(
    "page", ["Service under maintenance", "Please log in", "502 Bad Gateway", "Access denied", "OK"]
)
def test_sentence_instead_of_status(page: str) -> None:
    """A sentence about the portal is no status of a SIM."""
    assert status_word(page) is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("OK", None),
        ("Success", None),
        ({"smsMsgId": "OK"}, None),
        ({"smsMsgId": 0}, None),
        ({"smsMsgId": "null", "smsMessageId": 7}, "7"),
        ({"smsMsgId": 9007199254740993}, "9007199254740993"),
        ({"smsMsgId": 9.007199254740993e15}, None),
        ({"smsMsgId": "9f3c-11ee"}, "9f3c-11ee"),
    ],
)
def test_sms_ids_have_digits(answer: Any, expected: str | None) -> None:
    """A word is no id of an SMS."""
    assert sms_id(answer) == expected


@pytest.mark.parametrize("answer", [{"smsMsgIds": 4711}, 4711, {"smsMsgIds": [4711]}])
def test_list_of_one_sms(answer: Any) -> None:
    """A list of one may come as its item."""
    assert sms_ids(answer) == ["4711"]


@pytest.mark.parametrize("token", ['{"data":{"token":"T"}}', "[1]", "null", '"T"'])
def test_no_token(token: str) -> None:
    """A piece of JSON is no token."""
    assert login_token(token) is None


def test_text_of_an_sms() -> None:
    """The text of an SMS is one line that fits into an event; any word is a text."""
    sms = Sms.from_answer({"messageText": "a\x11b\nc" + "x" * 900_000, "status": "S\x00ent"})

    assert sms.text is not None
    assert sms.text.startswith("ab cxxx")
    assert len(sms.text) == 2000
    assert sms.status == "Sent"
    assert Sms.from_answer({"status": "Unknown"}).status == "Unknown"
    assert Sms.from_answer({"messageText": "Unknown"}).text == "Unknown"
    assert Sms.from_answer({"messageText": "\n"}).text is None


@pytest.mark.parametrize(("kind", "incoming"), [("mo", True), ("MT", False), ("x", None)])
def test_sms_kind(kind: str, incoming: bool | None) -> None:
    """A kind that is not known says nothing."""
    assert Sms.from_answer({"msgType": kind}).is_incoming is incoming


def test_names() -> None:
    """Names are one line, and so long as what shows them can take."""
    device = Device.from_answer(
        {"ratePlan": "p" * 300, "deviceID": "Pump\n\n# house\x00" * 100, "customer": "--"}
    )

    assert device.rate_plan is not None
    assert device.label is not None
    assert len(device.rate_plan) == 255
    assert device.label.startswith("Pump # house")
    assert len(device.label) == 100
    assert device.customer is None


@pytest.mark.parametrize("kind", [Usage, Device, Session, Sms])
@pytest.mark.parametrize("answer", [{"success": False, "message": "ICCID not found"}, [None], None])
def test_nothing_of_its_kind(kind: Any, answer: Any) -> None:
    """An answer without a field of its kind says nothing."""
    assert not kind.from_answer(answer)


@pytest.mark.parametrize("answer", [{"smsMsgIds": None, "lastPage": True}, {"data": None}])
def test_list_of_sms_that_is_null(answer: Any) -> None:
    """A list that is null is not known, and is no empty one."""
    with pytest.raises(IotPortalResponseError):
        sms_ids(answer)

"""The models, in all the formats that the portal may use."""

from datetime import UTC, datetime
from typing import Any

import pytest

from custom_components.iot_portal.api import IotPortalResponseError
from custom_components.iot_portal.api.models import (
    Device,
    Session,
    Sms,
    Usage,
    error_code,
    error_message,
    login_token,
    sms_id,
    sms_ids,
    status_word,
)

USAGE: dict[str, Any] = {"iccid": "8931082322089353632", "status": "ACTIVATED", "ctdDataUsage": 12}


@pytest.mark.parametrize("answer", [[USAGE], USAGE, {"data": [USAGE]}, {"data": USAGE}])
def test_wrappings(answer: Any) -> None:
    """An array of one, an object and `data` around either are read alike."""
    usage = Usage.from_answer(answer)

    assert (usage.iccid, usage.status, usage.data_bytes) == ("8931082322089353632", "ACTIVATED", 12)
    assert usage


@pytest.mark.parametrize("answer", [[], {}, {"data": []}, [1, "x"]])
def test_empty_answer(answer: Any) -> None:
    """An empty answer is falsy."""
    assert not Usage.from_answer(answer)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        ("12", 12),
        (" 12 ", 12),
        ("12.0", 12),
        (3.9, 3),
        (None, None),
        ("", None),
        ("many", None),
        (-1, None),
        (True, None),
        ([1], None),
        (10**30, None),
        (float("inf"), None),
        (float("nan"), None),
    ],
)
def test_counts(value: Any, expected: int | None) -> None:
    """A count is read from a number or a text; anything else is None and affects no other field."""
    usage = Usage.from_answer([{**USAGE, "ctdSessionCount": value}])

    assert usage.session_count == expected
    assert usage.data_bytes == 12


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2023-06-23 11:14:37.998+0000", datetime(2023, 6, 23, 11, 14, 37, 998000, UTC)),
        ("2023-06-23T13:14:37+02:00", datetime(2023, 6, 23, 11, 14, 37, tzinfo=UTC)),
        ("2023-06-23 11:14:37", datetime(2023, 6, 23, 11, 14, 37, tzinfo=UTC)),
        ("0001-01-01 00:00:00.000+1400", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1687518877, datetime(2023, 6, 23, 11, 14, 37, tzinfo=UTC)),
    ],
)
def test_timestamps(value: Any, expected: datetime | None) -> None:
    """A timestamp is timezone-aware; anything else is None."""
    assert Device.from_answer({"dateActivated": value}).date_activated == expected


@pytest.mark.parametrize(
    ("quantity", "unit", "expected"),
    [
        ("1", "GB", 10**9),
        ("300", "MB", 3 * 10**8),
        (1.5, "gb", 1_500_000_000),
        (2, "TB", 2 * 10**12),
        ("1", "", None),
        ("1", None, None),
        ("", "GB", None),
        ("lots", "GB", None),
        ("-1", "GB", None),
        ("1e400", "GB", None),
        (None, "GB", None),
        ([1], "GB", None),
    ],
)
def test_allowance(quantity: Any, unit: Any, expected: int | None) -> None:
    """The allowance in bytes is read from a quantity and a unit."""
    device = Device.from_answer({"dataquantity": quantity, "datasize": unit})

    assert (device.allowance and device.allowance.in_bytes()) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("INVENTORY", "INVENTORY"),
        ("Ready to use", "Ready to use"),
        ({"status": "ACTIVATED"}, "ACTIVATED"),
        ([{"status": "ACTIVATED"}], "ACTIVATED"),
        ({"simStatus": "Active"}, "Active"),
        ({"data": {"status": "Active"}}, "Active"),
        ("", None),
        ("<html>", None),
        ("x" * 100, None),
        ({}, None),
        ({"status": 5}, "5"),
        (None, None),
    ],
)
def test_status_word(answer: Any, expected: str | None) -> None:
    """A status is a short text, bare or in an object."""
    assert status_word(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (4711, "4711"),
        ("4711", "4711"),
        (4711.0, "4711"),
        ({"smsMsgId": 4711}, "4711"),
        ({"smsMsgId": "4711"}, "4711"),
        ({"smsMessageId": 4711}, "4711"),
        ({"data": {"smsMsgId": 4711}}, "4711"),
        ({}, None),
        ("", None),
        ("it was sent", None),
        (4711.5, None),
        (True, None),
        (None, None),
    ],
)
def test_sms_id(answer: Any, expected: str | None) -> None:
    """The id of an SMS is read from a number, a text, or an object around it."""
    assert sms_id(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        {"smsMsgIds": [1, 2], "pageNumber": 1, "lastPage": True},
        [1, 2],
        [{"smsMsgId": 1}, {"smsMsgId": 2}],
        {"data": [1, 2]},
        {"data": {"smsMsgIds": ["1", "2"]}},
        [1, None, 2],
    ],
)
def test_sms_ids(answer: Any) -> None:
    """The ids are read from every known shape of the list."""
    assert sms_ids(answer) == ["1", "2"]


@pytest.mark.parametrize("answer", [{}, None, "x", {"data": {"x": 1}}, [None], [{"id": 4}]])
def test_unknown_sms_ids(answer: Any) -> None:
    """An answer without a list of ids is no empty list: nothing is known."""
    with pytest.raises(IotPortalResponseError):
        sms_ids(answer)


@pytest.mark.parametrize("answer", [[], {"smsMsgIds": []}, {"data": []}, {"Items": []}])
def test_no_sms_ids(answer: Any) -> None:
    """An empty list has no ids."""
    assert sms_ids(answer) == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"data": {"token": "abc"}}, "abc"),
        ({"token": "abc"}, "abc"),
        ("abc", "abc"),
        ({"data": {}}, None),
        ("<html>", None),
        ("please log in", None),
        ("a\r\nX-Evil: 1", None),
        ({"token": ["abc"]}, None),
    ],
)
def test_login_token(answer: Any, expected: str | None) -> None:
    """A token is only accepted when it fits into a header."""
    assert login_token(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"errorMessage": "No", "errorCode": "1"}, ("No", "1")),
        ({"message": "No", "code": 1}, ("No", "1")),
        ({"data": {"error": "No", "errorCode": "1"}}, ("No", "1")),
        ("No", ("No", None)),
        ("<html>No</html>", (None, None)),
        ("", (None, None)),
        ([], (None, None)),
        (None, (None, None)),
    ],
)
def test_error_details(answer: Any, expected: tuple[str | None, str | None]) -> None:
    """Message and code of an error are found under every known key."""
    assert (error_message(answer), error_code(answer)) == expected


@pytest.mark.parametrize("ended", [{"dateSessionEnded": None}, {"dateSessionEnded": ""}, {}])
def test_open_session(ended: dict[str, Any]) -> None:
    """A session is open when its end is null, blank or missing."""
    session = Session.from_answer({"dateSessionStarted": "2023-08-16 10:50:07.220+0000", **ended})

    assert session.is_open


@pytest.mark.parametrize("address", ["", None, "300.1.1.1", 5])
def test_invalid_ip_address(address: Any) -> None:
    """An invalid IP address is None."""
    assert Session.from_answer({"ipAddress": address}).ip_address is None


@pytest.mark.parametrize(("kind", "incoming"), [("MO", True), ("MT", False), (None, None)])
def test_sms_direction(kind: str | None, incoming: bool | None) -> None:
    """The type of an SMS says whether it comes from the SIM."""
    assert Sms.from_answer({"msgType": kind}).is_incoming is incoming


def test_no_identifiers_in_repr() -> None:
    """The repr of a model does not contain the numbers of the SIM."""
    assert "893108" not in repr(Usage.from_answer([USAGE]))

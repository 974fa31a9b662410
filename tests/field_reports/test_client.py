"""Odd answers through the client: what it reads, and that it raises its own exceptions only."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from custom_components.iot_portal.api import (
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalError,
    IotPortalNotFoundError,
    IotPortalOutcomeUnknownError,
    IotPortalRateLimitError,
)

from .home import ICCID, OTHER_ICCID
from .odd_portal import OddPortal, dropped, page, raw, says

HOUR = 60 * 60
SMS_ID = "4711"
READS = ("ctdUsage", "GetDevice", "sessionInfo", "getStatus", "GetSMSIds", "GetSMS")


async def read(client: IotPortalClient, route: str) -> Any:
    """Read by the name of a route."""

    async def get_sms_ids(iccid: str) -> list[str]:
        return (await client.get_sms_list(iccid)).ids

    methods: dict[str, Callable[[str], Awaitable[Any]]] = {
        "ctdUsage": client.get_usage,
        "GetDevice": client.get_device,
        "sessionInfo": client.get_session,
        "getStatus": client.get_status,
        "GetSMSIds": get_sms_ids,
        "GetSMS": client.get_sms,
    }
    return await methods[route](SMS_ID if route == "GetSMS" else ICCID)


async def read_usage(client: IotPortalClient, portal: OddPortal, **fields: Any) -> Any:
    """Return the usage of the SIM when the portal answers these fields."""
    portal.once("ctdUsage", says(portal.example("ctdUsage", ICCID, **fields)))
    return await client.get_usage(ICCID)


async def read_device(client: IotPortalClient, portal: OddPortal, **fields: Any) -> Any:
    """Return the device of the SIM when the portal answers these fields."""
    portal.once("GetDevice", says(portal.example("GetDevice", ICCID, **fields)))
    return await client.get_device(ICCID)


async def read_session(client: IotPortalClient, portal: OddPortal, **fields: Any) -> Any:
    """Return the session of the SIM when the portal answers these fields."""
    portal.once("sessionInfo", says(portal.example("sessionInfo", ICCID, **fields)))
    return await client.get_session(ICCID)


async def read_or_refuse(client: IotPortalClient, route: str) -> Any:
    """Return what is read, or None after an error of the client."""
    try:
        return await read(client, route)
    except IotPortalError:
        return None


def utc(*parts: int) -> datetime:
    """Return a time in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


# --- Pauses -----------------------------------------------------------------------------------------------------------


async def test_pause_until_a_date_without_zone(client: IotPortalClient, portal: OddPortal) -> None:
    """The date is read as UTC or ignored, and only the client's own exceptions are raised.

    Case: `Retry-After` with a date that ends in `-0000`
    Source: docling PR 3786; pydantic-ai 7677
    """
    portal.always("ctdUsage", says({}, status=429, Retry_After="Thu, 26 Nov 2026 03:30:22 -0000"))

    with pytest.raises(IotPortalRateLimitError):
        await client.get_usage(ICCID)


@pytest.mark.parametrize(
    "pause", ["9999999999", "9" * 400, "Fri, 31 Dec 99999 23:59:59 GMT", "43200"]
)
async def test_pause_of_centuries(client: IotPortalClient, portal: OddPortal, pause: str) -> None:
    """The pause is an hour at most.

    Case: `Retry-After` of centuries
    Source: urllib3/urllib3 PR 3743; anthropics/anthropic-sdk-python PR 1827; waynerobinson/xeroizer PR 585
    """
    portal.always("ctdUsage", says({}, status=429, Retry_After=pause))

    with pytest.raises(IotPortalRateLimitError) as caught:
        await client.get_usage(ICCID)

    assert 0 <= (caught.value.retry_after or 0) <= HOUR


@pytest.mark.parametrize("pause", ["0.493", "-3", "+3", "1.5", "0", "", "120, 120", "²", "soon"])
async def test_unusual_pause(client: IotPortalClient, portal: OddPortal, pause: str) -> None:
    """A value that cannot be read means no pause, and a fraction is not read as a year.

    Case: `Retry-After` with a fraction, a sign, nothing, a list or a word
    Source: SpaceTradersAPI/api-docs 24; mastra-ai/mastra 23778; alisaifee/flask-limiter 62
    """
    portal.always("ctdUsage", says({}, status=429, Retry_After=pause))

    with pytest.raises(IotPortalRateLimitError) as caught:
        await client.get_usage(ICCID)

    assert 0 <= (caught.value.retry_after or 0) <= 120


# --- Encodings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("charset", ["", "; charset=utf-8"])
async def test_byte_order_mark(client: IotPortalClient, portal: OddPortal, charset: str) -> None:
    """The byte order mark is not part of the answer.

    Case: every answer begins with the bytes EF BB BF
    Source: home-assistant/core 48032
    """
    kind = f"application/json{charset}"
    usage = says(portal.example("ctdUsage", ICCID)).body
    portal.always("ctdUsage", raw(b"\xef\xbb\xbf" + usage, Content_Type=kind))
    portal.always("getStatus", raw(b"\xef\xbb\xbfACTIVATED", Content_Type=kind))
    portal.always("Login", raw(b'\xef\xbb\xbf{"data": {"token": "token-1"}}', Content_Type=kind))

    assert (await client.get_usage(ICCID)).iccid == ICCID
    assert await client.get_status(ICCID) == "ACTIVATED"


async def test_two_byte_order_marks(client: IotPortalClient, portal: OddPortal) -> None:
    """No byte order mark is part of the answer, neither at its beginning nor at its end.

    Case: the bytes EF BB BF twice, and once after a bare word
    Source: ActiveCampaign/activecampaign-api-php 114
    """
    usage = says(portal.example("ctdUsage", ICCID)).body
    portal.always("ctdUsage", raw(b"\xef\xbb\xbf" * 2 + usage))
    portal.always("getStatus", raw(b"\xef\xbb\xbfACTIVATED\xef\xbb\xbf\r\n"))

    assert (await client.get_usage(ICCID)).iccid == ICCID
    assert await client.get_status(ICCID) == "ACTIVATED"


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("", "latin-1"), ("; charset=iso-8859-1", "latin-1"), ("; charset=utf8mb4", "utf-8")],
)
async def test_other_charset(
    client: IotPortalClient, portal: OddPortal, charset: str, encoding: str
) -> None:
    """The record is read. A letter may be lost, but nothing else.

    Case: bytes in ISO-8859-1, declared or not, and an unknown charset
    Source: razem-io/ha-bayrol-cloud 28; mollie/mollie-api-python PR 64
    """
    body = f'{{"iccid": "{ICCID}", "deviceID": "Gewölbe", "ratePlan": "EU"}}'.encode(encoding)
    portal.always("GetDevice", raw(body, Content_Type=f"application/json{charset}"))

    device = await client.get_device(ICCID)

    assert device.rate_plan == "EU"
    assert device.label in {"Gewölbe", "Gew\N{REPLACEMENT CHARACTER}lbe"}


async def test_half_an_emoji(client: IotPortalClient, portal: OddPortal) -> None:
    r"""Every text that was read can be written again.

    Case: `"Pump \ud83d"`, which is valid JSON but not a character
    Source: home-assistant/core 170101 and PR 172545; core 75621; wdoekes/asterisk-chan-dongle 8
    """
    portal.always("GetSMS", raw(rf'{{"smsMsgId": {SMS_ID}, "messageText": "Fire \ud83d"}}'))
    portal.always(
        "GetDevice",
        raw(rf'{{"iccid": "{ICCID}", "deviceID": "Pump \ud83d", "simNotes": "\udd25"}}'),
    )

    sms, device = await client.get_sms(SMS_ID), await client.get_device(ICCID)

    assert str(sms.text).encode().startswith(b"Fire")
    assert str(device.label).encode().startswith(b"Pump")


async def test_control_characters_in_a_string(client: IotPortalClient, portal: OddPortal) -> None:
    """The SMS is read without them.

    Case: a raw byte 0x11 and a raw line break inside a JSON string
    Source: 4IceG/luci-app-sms-tool-js 9
    """
    body = b'{"smsMsgId": 4711, "sentFrom": "DIT\x11Log", "messageText": "pump\x11 off\nnow"}'
    portal.always("GetSMS", raw(body))

    text = (await client.get_sms(SMS_ID)).text

    assert text is not None
    assert text.startswith("pump")
    assert "\x11" not in text


# --- Pages and other forms of an answer -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 401, 403, 405, 429, 500, 501, 502, 503, 504])
@pytest.mark.parametrize("route", READS)
async def test_page_in_place_of_an_answer(
    client: IotPortalClient, portal: OddPortal, route: str, status: int
) -> None:
    """A page is never read as a value, and only the client's own exceptions are raised.

    Case: any read is answered with an HTML page, with any status
    Source: TecharoHQ/anubis 473; microlinkhq/is-antibot PR 60; hubmapconsortium/portal-ui 1854
    """
    portal.always(route, page(status))

    with pytest.raises(IotPortalError):
        await read(client, route)


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/json"])
@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE html><html><body>Back soon</body></html>",
        "Service under maintenance",
        "The portal is being updated, please try again later.",
    ],
)
async def test_page_in_place_of_a_token(
    client: IotPortalClient, portal: OddPortal, kind: str, text: str
) -> None:
    """No token is read from it, and the credentials do not count as wrong.

    Case: `Login` is answered with 200 and a page or a sentence
    Source: opencart-ce 17; microlinkhq/is-antibot PR 60; TecharoHQ/anubis 473
    """
    portal.always("Login", raw(text, Content_Type=kind))

    with pytest.raises(IotPortalError) as caught:
        await client.login()

    assert not isinstance(caught.value, IotPortalAuthenticationError)


@pytest.mark.parametrize(
    "text", ["Service under maintenance", "Back in 5 minutes", "Please try again later"]
)
async def test_sentence_in_place_of_a_status(
    client: IotPortalClient, portal: OddPortal, text: str
) -> None:
    """A sentence is not a status.

    Case: `getStatus` is answered with 200, text/plain and a sentence without any tag
    Source: hubmapconsortium/portal-ui 1854
    """
    portal.always("getStatus", raw(text, Content_Type="text/plain"))

    assert await read_or_refuse(client, "getStatus") is None


@pytest.mark.parametrize("status", [302, 303, 307])
async def test_redirect_to_a_log_in_page(
    client: IotPortalClient, portal: OddPortal, status: int
) -> None:
    """The redirect is not followed, and no page becomes a status.

    Case: an expired session is answered with a redirect to a page
    Source: VirtoCommerce/vc-platform PR 3093; opensearch-project/OpenSearch-Dashboards PR 11649; MarkUsProject/Markus 764
    """
    portal.always("getStatus", raw(b"", status=status, Location=f"{portal.url}/Account"))
    portal.always("Account", page())

    with pytest.raises(IotPortalError) as caught:
        await client.get_status(ICCID)

    assert not isinstance(caught.value, IotPortalAuthenticationError)
    assert not portal.count("Account")


@pytest.mark.parametrize(
    "body", ["<br />\n<b>Warning</b>: old <br />\nACTIVATED", "ACTIVATED<!-- -->"]
)
async def test_warning_before_a_word(client: IotPortalClient, portal: OddPortal, body: str) -> None:
    """The warning is not a status.

    Case: the server's own warning is before or after the answer
    Source: kalkun-sms/Kalkun 252; Dolibarr/dolibarr 37445; Piwigo/Piwigo 1566
    """
    portal.always("getStatus", raw(body))

    assert await read_or_refuse(client, "getStatus") in {None, "ACTIVATED"}


async def test_error_page_with_success_false(client: IotPortalClient, portal: OddPortal) -> None:
    """This is an error, never a SIM without data.

    Case: every read is answered with 200 and `{"success": false, "message": "ICCID not found"}`
    Source: WindowsDevicePortalWrapper 129; eSIM-Tools PR 60
    """
    for route in READS:
        portal.always(route, says({"success": False, "message": "ICCID not found"}))

        with pytest.raises(IotPortalError):
            await read(client, route)


async def test_json_in_a_string(client: IotPortalClient, portal: OddPortal) -> None:
    """JSON in a string is read or refused, but never becomes a token or a status.

    Case: the answer is a JSON string that contains JSON
    Source: tdorssers/TeslaPy 174
    """
    portal.always("Login", says('{"data":{"token":"inner"}}'))
    portal.always("getStatus", says('{"status":"ACTIVATED"}'))

    assert await read_or_refuse(client, "getStatus") in {None, "ACTIVATED"}
    assert set(portal.tokens) <= {None, "inner"}


@pytest.mark.parametrize("route", READS)
@pytest.mark.parametrize("value", [None, [None], {"data": None}, {}, []])
async def test_null_where_an_object_was(
    client: IotPortalClient, portal: OddPortal, route: str, value: Any
) -> None:
    """Nothing is read, and only the client's own exceptions are raised.

    Case: `null`, `[null]` or `{"data": null}` instead of an answer
    Source: home-assistant/core 179668; marq24/ha-evcc PR 296
    """
    portal.always(route, says(value))

    assert not await read_or_refuse(client, route)
    portal.always("GetSMSIds", says({"smsMsgIds": None, "lastPage": True}))
    assert not await read_or_refuse(client, "GetSMSIds")


@pytest.mark.parametrize("value", [None, {}, [], {"data": None}])
async def test_sms_that_is_null(client: IotPortalClient, portal: OddPortal, value: Any) -> None:
    """The SMS is not found, and the error does not blame the address of the portal.

    Case: `GetSMS` of an unknown ID is answered with `null`
    Source: our own trial with an unusual test portal
    """
    portal.always("GetSMS", says(value))

    with suppress(IotPortalNotFoundError):
        assert not await client.get_sms(SMS_ID)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"smsMsgIds": 4711, "pageNumber": 1, "lastPage": true}', ["4711"]),
        ('{"smsMsgIds": [4711, 4712]}', ["4711", "4712"]),
        ('{"smsMsgIds": "4711"}', ["4711"]),
    ],
)
async def test_list_of_one(
    client: IotPortalClient, portal: OddPortal, body: str, expected: list[str]
) -> None:
    """A single ID is a list of one.

    Case: `GetSMSIds` answers with the ID itself instead of a list with one entry
    Source: w3c/w3c-api 20; uwaterloo/OpenData 2; open-horizon/exchange-api 480
    """
    portal.always("GetSMSIds", raw(body))

    assert (await client.get_sms_list(ICCID)).ids == expected


# --- Writes -----------------------------------------------------------------------------------------------------------


async def test_page_in_place_of_an_acknowledgement(
    client: IotPortalClient, portal: OddPortal
) -> None:
    """The outcome of the write is unknown, and the client says so.

    Case: `SendSMS` and `RequestStatusChange` are answered with 200 and an HTML page
    Source: ZTE_API_and_Hack 2, 3; textbelt 44
    """
    portal.always("SendSMS", page())
    portal.always("RequestStatusChange", page())

    with pytest.raises(IotPortalOutcomeUnknownError):
        await client.send_sms(ICCID, "Hello")
    with pytest.raises(IotPortalOutcomeUnknownError):
        await client.request_status_change(ICCID, "ACTIVATED")


@pytest.mark.parametrize("body", ["OK", '"OK"', "Sent", '{"status": "OK"}', "queued", "true"])
async def test_word_in_place_of_an_id(
    client: IotPortalClient, portal: OddPortal, body: str
) -> None:
    """A word is not an ID: the SMS was sent, and its ID is unknown.

    Case: `SendSMS` is answered with `OK`
    Source: ZTE_API_and_Hack 2, 3; textbelt 44
    """
    portal.always("SendSMS", raw(body))

    assert await client.send_sms(ICCID, "Hello") is None


# --- Whom it is about -------------------------------------------------------------------------------------------------


async def test_second_object_is_the_right_one(client: IotPortalClient, portal: OddPortal) -> None:
    """The requested SIM is found in the list.

    Case: `ctdUsage` answers with two objects, the requested SIM second
    Source: cordova-plugin-sim 30
    """
    own = portal.example("ctdUsage", ICCID, ctdDataUsage=7)
    other = portal.example("ctdUsage", OTHER_ICCID, ctdDataUsage=1)
    portal.always("ctdUsage", says(other + own))

    assert (await client.get_usage(ICCID)).data_bytes == 7


@pytest.mark.parametrize("route", ["ctdUsage", "GetDevice", "sessionInfo", "getStatus"])
async def test_answer_about_another_sim(
    client: IotPortalClient, portal: OddPortal, route: str
) -> None:
    """An answer that names another SIM is not used.

    Case: well-formed answers that are about other SIMs
    Source: home-assistant/core 181420; cordova-plugin-sim 30
    """
    other = {"iccid": OTHER_ICCID, "status": "RETIRED"}
    answer = other if route == "getStatus" else portal.example(route, OTHER_ICCID)
    portal.always(route, says(answer))

    assert await read_or_refuse(client, route) is None


@pytest.mark.parametrize(
    "given", [ICCID, f"{ICCID}5", f"{ICCID}F", int(ICCID), "8931 0823 2208 9353 632"]
)
async def test_one_card_in_other_spellings(
    client: IotPortalClient, portal: OddPortal, given: object
) -> None:
    """All spellings of its number mean the same card.

    Case: the answer has the ICCID with its check digit, with a trailing F, or as a number
    Source: ubxlib 48; emnify schema; openpilot PR 38021; universam1/iSpindel 111
    """
    if given == f"{ICCID}5":
        given = f"{ICCID}{luhn(ICCID)}"

    assert (await read_usage(client, portal, iccid=given, ctdDataUsage=7)).data_bytes == 7


def luhn(digits: str) -> int:
    """Return the check digit."""
    doubled = [int(digit) * (2 - index % 2) for index, digit in enumerate(reversed(digits))]
    return -sum(value // 10 + value % 10 for value in doubled) % 10


async def test_rounded_iccid(client: IotPortalClient, portal: OddPortal) -> None:
    """An ICCID that lost its last digits is neither the requested one nor another one.

    Case: the ICCID is a JSON number with an exponent
    Source: universam1/iSpindel 111; dralshehri/luhncheck 3
    """
    body = f'[{{"iccid": {float(ICCID)!r}, "ctdDataUsage": 7}}]'
    portal.always("ctdUsage", raw(body))

    assert (await client.get_usage(ICCID)).data_bytes == 7


# --- Values -----------------------------------------------------------------------------------------------------------


async def test_word_null(client: IotPortalClient, portal: OddPortal) -> None:
    """The text means the same as `null`.

    Case: `"ipAddress": "null"`, `"dateSessionEnded": "null"`, `"username": "NULL"`
    Source: developer.cisco.com, Get Session Details
    """
    session = await read_session(
        client,
        portal,
        ipAddress="null",
        ipv6Address="2605:9780:309e::/64",
        dateSessionStarted="2016-07-06 01:31:00.000+0000",
        dateSessionEnded="null",
    )
    device = await read_device(client, portal, fixedIPAddress="null", deviceID="NULL")

    assert session.ip_address is None
    assert session.is_open
    assert device.fixed_ip is None
    assert device.label is None


@pytest.mark.parametrize("word", ["--", "-", "N/A", "n/a", "None", "", "null"])
async def test_placeholder(client: IotPortalClient, portal: OddPortal, word: str) -> None:
    """A placeholder is not a value, and it affects no other field.

    Case: `--`, `N/A` or `None` instead of a number, a date, an IMEI or a status
    Source: Philra94/homeassistant-hoymiles-cloud PR 13; JortvanSchijndel/FusionSolarPlus 64; ciejer/metservice-weather 136
    """
    usage = await read_usage(
        client, portal, ctdDataUsage=word, ctdSessionCount=word, imei=word, ctdSMSUsage=2
    )
    device = await read_device(client, portal, dateActivated=word, status=word)

    assert (usage.data_bytes, usage.session_count, usage.imei) == (None, None, None)
    assert (device.date_activated, device.status) == (None, None)
    assert usage.sms_count == 2


@pytest.mark.parametrize(
    "imei", ["000000000000000", "0000000000000000", "0", "111111111111111", "999999999999999"]
)
async def test_placeholder_imei(client: IotPortalClient, portal: OddPortal, imei: str) -> None:
    """A repeated digit is not a device.

    Case: the IMEI becomes fifteen zeros
    Source: free-ran-ue PR 290; gtplib PR 49
    """
    assert (await read_usage(client, portal, imei=imei)).imei is None


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "255.255.255.255", "N/A"])  # noqa: S104  no binding
async def test_placeholder_address(
    client: IotPortalClient, portal: OddPortal, address: str
) -> None:
    """An address that no device can have is not an address.

    Case: `0.0.0.0` for a session without an address
    Source: developer.cisco.com, Get Session Details; free-ran-ue PR 290
    """
    assert (await read_session(client, portal, ipAddress=address)).ip_address is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("22706.0", 22706), (" 22706 ", 22706), ("1,234,567", (1234567, None)), ("1,234", None)],
)
async def test_formatted_number(
    client: IotPortalClient, portal: OddPortal, text: str, number: Any
) -> None:
    """A number is read if it has one meaning, and unknown if it has two.

    Case: `"22706.0"`, `"1,234,567"`, `"1,234"`
    Source: myTselection/telenet_telemeter 6; singer-io/tap-bing-ads PR 9; Philra94/homeassistant-hoymiles-cloud PR 13
    """
    usage = await read_usage(client, portal, ctdDataUsage=text)

    assert usage.data_bytes in (number if isinstance(number, tuple) else (number,))


@pytest.mark.parametrize("number", [-1, -2147483648, "-1", True, "1e400", "1031166852574e229"])
async def test_no_reading(client: IotPortalClient, portal: OddPortal, number: Any) -> None:
    """An impossible count is unknown, not 0.

    Case: -1 or the smallest number if there is no reading, and numbers that overflow
    Source: jkaberg/hass-byd-vehicle PR 148; its-me-prash/vwgroup-connect-ha PR 734; dimagi/commcare-hq PR 19852
    """
    usage = await read_usage(client, portal, ctdDataUsage=number, ctdSMSUsage=2)

    assert (usage.data_bytes, usage.sms_count) == (None, 2)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "1e400", "9" * 400, "-0.0", f'"{"9" * 5000}"']
)
async def test_not_a_number(client: IotPortalClient, portal: OddPortal, number: str) -> None:
    """At most the field itself is unknown.

    Case: bare `NaN`, `Infinity` and numbers with thousands of digits in the body
    Source: switchdoclabs/OurWeatherWeatherPlus 21; jbuehl/solaredge 48; binsentsu/home-assistant-solaredge-modbus 379
    """
    body = f'[{{"iccid": "{ICCID}", "ctdDataUsage": {number}, "ctdSMSUsage": 2}}]'
    portal.always("ctdUsage", raw(body))

    usage = await client.get_usage(ICCID)

    assert not usage.data_bytes
    assert usage.sms_count == 2


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [("0", "GB"), ("-1", "GB"), ("Unlimited", "GB"), (None, "GB"), ("1", ""), ("1e309", "GB")],
)
async def test_no_limit(
    client: IotPortalClient, portal: OddPortal, quantity: str | None, unit: str
) -> None:
    """There is no allowance.

    Case: for a plan without a limit, the allowance is 0, -1, a word or null
    Source: robert-alfaro/xfinity-usage 3; home-assistant/core 12953; hiddify/hiddify-app PR 1988; myTselection/telenet_telemeter 6
    """
    device = await read_device(client, portal, dataquantity=quantity, datasize=unit)

    assert not device.allowance


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01 00:00:00.000+0000",
        "0000-00-00 00:00:00",
        "1970-01-01 00:00:00.000+0000",
        "2025-00-15 00:00:00.000+0000",
        "9999-12-31 23:59:59.000+0000",
        "yesterday",
    ],
)
async def test_impossible_date(client: IotPortalClient, portal: OddPortal, text: str) -> None:
    """An impossible date is not a date. An end that cannot be read is unknown, not "still in session".

    Case: year 1, year 0, the epoch and words instead of a date
    Source: OSGP PR 926; lorawan-stack 4766; iamkun/dayjs 2069; lbbrhzn/ocpp 1767
    """
    session = await read_session(client, portal, dateSessionEnded=text)
    device = await read_device(client, portal, dateActivated=text)

    assert session.ended is None
    assert device.date_activated is None
    if text == "yesterday":
        assert not session.is_open


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2023-06-23 11:14:37.99+0000", 990000),
        ("2023-06-23 11:14:37.9+0000", 900000),
        ("2023-06-23 11:14:37+0000", 0),
        ("2023-06-23 11:14:37.9979999+00:00", 997999),
        ("2023-06-23T11:14:37.998Z", 998000),
        ("2023-06-23 12:14:37.998+0100", 998000),
    ],
)
async def test_fraction_of_a_second(
    client: IotPortalClient, portal: OddPortal, text: str, microsecond: int
) -> None:
    """A fraction of a second may have any number of digits.

    Case: trailing zeros of the fraction are left out
    Source: epam/ai-dial-analytics-realtime 14; nyaruka/rapidpro PR 1740; jquense/yup PR 2340
    """
    device = await read_device(client, portal, dateActivated=text)

    assert device.date_activated == utc(2023, 6, 23, 11, 14, 37, microsecond)


@pytest.mark.parametrize(
    "text", ["2026-11-12 24:00:00.000+0000", "2026-11-12 23:59:60.000+0000", "2026-03-29 02:30:00"]
)
async def test_time_that_does_not_exist(
    client: IotPortalClient, portal: OddPortal, text: str
) -> None:
    """It is read as the next day or ignored, and the rest of the answer is shown.

    Case: 24:00, the second 60, and the hour that a change of clocks skips
    Source: SEED-platform/seed 4293; dsmrreader/dsmr-reader 943; uvejota/python-edata 21
    """
    device = await read_device(client, portal, dateActivated=text, ratePlan="EU")

    assert device.rate_plan == "EU"


@pytest.mark.parametrize("number", [1687518877, 1687518877998, "1687518877", 1687518877.998])
async def test_seconds_since_1970(
    client: IotPortalClient, portal: OddPortal, number: object
) -> None:
    """A number is a date of this century, or none.

    Case: Unix times in seconds and milliseconds
    Source: vinteo/hass-opensprinkler 220; tolwi/hassio-ecoflow-cloud 72; cliviu74/wallbox PR 19
    """
    activated = (await read_device(client, portal, dateActivated=number)).date_activated

    assert activated is None or activated.year == 2023


@pytest.mark.parametrize("word", [1, 6, "1", True, False, ["ACTIVATED"], {"a": 1}])
async def test_numeric_status(client: IotPortalClient, portal: OddPortal, word: object) -> None:
    """A number is shown as a text. What is not a text is unknown.

    Case: other networks have numbers for their statuses
    Source: developer.tuya.com, Query IoT SIM Card Status; Acceleronix cmp-mcp-server
    """
    usage = await read_usage(client, portal, status=word, ctdSMSUsage=2)

    assert usage.status in {None, "1", "6"}
    assert usage.sms_count == 2


async def test_sms_text_in_another_field(client: IotPortalClient, portal: OddPortal) -> None:
    """The name of the field is the encoding, so the text is decoded. It is never the word "None".

    Case: the text is hexadecimal, in a field named `ucs-2`
    Source: mrhaav/openwrt 11; esphome/issues 1865
    """
    portal.always("GetSMS", says({"smsMsgId": 4711, "ucs-2": "00200070", "msgType": "MO"}))

    sms = await client.get_sms(SMS_ID)

    assert (sms.text, sms.is_incoming) == ("p", True)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"messageText": "004800e9", "encoding": "UCS-2"}, "Hé"),
        ({"messageText": "4869", "encoding": "hex"}, "Hi"),
        ({"messageText": "SGnDqQ==", "messageEncoding": "BASE64"}, "Hié"),
        ({"messageText": "0048", "encoding": "LITERAL"}, "0048"),
        ({"messageText": "4869"}, "4869"),
        ({"messageText": "Hello", "encoding": "ucs-2"}, "Hello"),
        ({"messageText": "0001", "encoding": "ucs-2"}, "0001"),
        ({"messageText": "Hello!", "encoding": "base64"}, "Hello!"),
    ],
)
async def test_encoded_sms_text(
    client: IotPortalClient, portal: OddPortal, fields: dict[str, Any], text: str
) -> None:
    """It is decoded if the answer names the encoding, and otherwise shown as received.

    Case: the text of an SMS in hex or base64
    Source: mrhaav/openwrt 11; esphome/issues 1865; developer.cisco.com, Send SMS Message
    """
    portal.always("GetSMS", says({"smsMsgId": 4711, **fields}))

    assert (await client.get_sms(SMS_ID)).text == text


# --- Keys and wrappers ------------------------------------------------------------------------------------------------

RECORD = {"iccid": ICCID, "ctdDataUsage": 7, "status": "ACTIVATED"}
OTHER_RECORD = {"iccid": OTHER_ICCID, "ctdDataUsage": 9}


@pytest.mark.parametrize(
    "answer",
    [
        {"ICCID": ICCID, "CtdDataUsage": 7, "Status": "ACTIVATED"},
        [{"iccid": ICCID, "ctddatausage": 7, "status": "ACTIVATED"}],
        [{"iccid": ICCID, "ctd_data_usage": 7, "sim_status": "ACTIVATED"}],
        {"iccid": ICCID, "ctdDataUsage": 7, "ctd_data_usage": 8, "status": "ACTIVATED"},
    ],
)
async def test_keys_in_another_spelling(
    client: IotPortalClient, portal: OddPortal, answer: Any
) -> None:
    """If the documented key is missing, case and underscores do not matter.

    Case: `ICCID`, `CtdDataUsage`, `ctddatausage`, `ctd_data_usage`
    Source: home-assistant/core 54888; natekspencer/ha-pura 9
    """
    portal.always("ctdUsage", says(answer))

    usage = await client.get_usage(ICCID)

    assert (usage.iccid, usage.data_bytes, usage.status) == (ICCID, 7, "ACTIVATED")


@pytest.mark.parametrize(
    "answer",
    [
        {"Data": [RECORD]},
        {"result": RECORD},
        {"items": [OTHER_RECORD, RECORD], "total": 2},
        {"data": {"content": [OTHER_RECORD, RECORD], "last": True}},
        {ICCID: RECORD},
        {OTHER_ICCID: {"ctdDataUsage": 9}, ICCID: {"ctdDataUsage": 7, "status": "ACTIVATED"}},
        [[RECORD]],
    ],
)
async def test_other_wrappers(client: IotPortalClient, portal: OddPortal, answer: Any) -> None:
    """The record is found, and among several that of the requested SIM.

    Case: records in `Data`, `result`, `items` or `content`, or each under its ICCID
    Source: erelke/ha-esolar 48; similar to cordova-plugin-sim 30
    """
    portal.always("ctdUsage", says(answer))

    assert (await client.get_usage(ICCID)).data_bytes == 7


@pytest.mark.parametrize(
    "answer",
    [
        {"ICCID": OTHER_ICCID, "ctdDataUsage": 9},
        {"iccid": OTHER_ICCID, "data": {"ctdDataUsage": 9}},
        {OTHER_ICCID: {"ctdDataUsage": 9}},
        {"result": [{"Iccid": OTHER_ICCID, "ctdDataUsage": 9}]},
    ],
)
async def test_other_sim_in_other_wrappers(
    client: IotPortalClient, portal: OddPortal, answer: Any
) -> None:
    """It is still about another SIM, so it is not used.

    Case: the other SIM is named by `ICCID`, around the record, or as its key
    Source: similar to home-assistant/core 181420 and cordova-plugin-sim 30
    """
    portal.always("ctdUsage", says(answer))

    with pytest.raises(IotPortalError, match="another SIM"):
        await client.get_usage(ICCID)


@pytest.mark.parametrize(
    "answer",
    [
        {"Data": {"Token": "a-token"}},
        {"data": {"accessToken": "a-token"}},
        {"access_token": "a-token", "token_type": "Bearer"},
        {"token": None, "result": {"token": "a-token"}},
    ],
)
async def test_token_under_another_key(
    client: IotPortalClient, portal: OddPortal, answer: Any
) -> None:
    """The token is found.

    Case: `Login` is answered with `{"Data": {"Token": ...}}` or with an `accessToken`
    Source: natekspencer/ha-pura 9; erelke/ha-esolar 48
    """
    portal.always("Login", says(answer))

    await client.get_usage(ICCID)

    assert portal.tokens[-1] == "a-token"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("1", "1"),
        ('["ACTIVATED"]', "ACTIVATED"),
        ('{"data": "ACTIVATED"}', "ACTIVATED"),
        ('{"result": {"Status": "ACTIVATED"}}', "ACTIVATED"),
        ("true", None),
        ('{"result": "OK"}', None),
    ],
)
async def test_wrapped_status(
    client: IotPortalClient, portal: OddPortal, answer: str, word: str | None
) -> None:
    """A number or a wrapped word is the status. An acknowledgement is not.

    Case: `getStatus` is answered with `1`, `["ACTIVATED"]`, `{"data": "ACTIVATED"}` or `{"result": "OK"}`
    Source: developer.tuya.com, Query IoT SIM Card Status; erelke/ha-esolar 48
    """
    portal.always("getStatus", raw(answer))

    assert await client.get_status(ICCID) == word


@pytest.mark.parametrize(
    "answer", [{}, [None], [{"id": 4}], {"smsMsgIds": "1,2"}, {"success": True}, {"data": {"x": 1}}]
)
async def test_no_list_of_sms(client: IotPortalClient, portal: OddPortal, answer: Any) -> None:
    """The list of SMS is unknown, which is not the same as empty.

    Case: `GetSMSIds` answers with `{}`, `[null]`, or IDs in an unknown format
    Source: similar to home-assistant/core 179668
    """
    portal.always("GetSMSIds", says(answer))

    with pytest.raises(IotPortalError):
        await client.get_sms_list(ICCID)


@pytest.mark.parametrize(
    ("fields", "is_complete"),
    [
        ({"lastPage": "0"}, False),
        ({"LastPage": "No"}, False),
        ({"last": False}, False),
        ({"hasMore": "1"}, False),
        ({"lastPage": 1}, True),
        ({"lastPage": "maybe"}, True),
    ],
)
async def test_other_signs_of_a_page(
    client: IotPortalClient, portal: OddPortal, fields: dict[str, Any], is_complete: bool
) -> None:
    """Yes and no are understood in every spelling.

    Case: `lastPage: "0"`, `"No"`, `last: false`, `hasMore: "1"`
    Source: firstof9/openevse PR 16; DeerMaximum/Technische-Alternative-CMI 181; home-assistant/core PR 172234
    """
    portal.always("GetSMSIds", says({"smsMsgIds": [1]} | fields))

    assert (await client.get_sms_list(ICCID)).is_complete is is_complete


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": "no such thing", "code": "20000001"}},
        {"errors": [{"message": "no such thing", "code": 20000001}]},
        {"ErrorMessage": "no such thing", "ErrorCode": "20000001"},
        [{"error_message": "no such thing", "error_code": "20000001"}],
    ],
)
async def test_other_envelopes(client: IotPortalClient, portal: OddPortal, answer: Any) -> None:
    """The code and the text are found.

    Case: an error in an object, in a list, or under differently spelled keys
    Source: similar to natekspencer/ha-pura 9
    """
    portal.always("ctdUsage", says(answer, status=400))

    with pytest.raises(IotPortalNotFoundError, match="no such thing"):
        await client.get_usage(ICCID)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "error", "message": "no"},
        {"status": "fail", "data": {"iccid": "not found"}},
        {"Success": "0"},
        {"ok": False},
        {"error": "no"},
        {"errors": [{"message": "no"}]},
    ],
)
async def test_other_words_for_failed(
    client: IotPortalClient, portal: OddPortal, answer: Any
) -> None:
    """This is an error, never a SIM without data or a status.

    Case: any read is answered with 200 and `{"status": "error"}`, `{"Success": "0"}` or `{"error": "..."}`
    Source: similar to WindowsDevicePortalWrapper 129; eSIM-Tools PR 60
    """
    portal.always("*", says(answer))
    portal.always("Login", says({"token": "a-token"}))

    for route in READS:
        with pytest.raises(IotPortalError):
            await read(client, route)


@pytest.mark.parametrize("extra", [{"error": None}, {"errors": []}, {"error": "0"}, {"error": ""}])
async def test_no_error(client: IotPortalClient, portal: OddPortal, extra: dict[str, Any]) -> None:
    """This is a good answer.

    Case: a good answer with `"error": null`, `"errors": []` or `"error": "0"`
    Source: similar to WindowsDevicePortalWrapper 129
    """
    portal.always("ctdUsage", says({"data": [RECORD]} | extra))

    assert (await client.get_usage(ICCID)).data_bytes == 7


# --- More forms of values ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("\uff11\uff12\uff13", 123),
        ("7\u200b", 7),
        ("\ufeff7", 7),
        ("1e6", 10**6),
        ("1.234,5", 1234.5),
        ("1 234 567", 1234567),
        ("0x1f", None),
        ("1_000", None),
        ("²", None),
        ("-0", 0),
        (True, None),
        (False, None),
        ([5], None),
        ({"value": 5}, None),
        (9007199254740991, None),
        (9007199254740993.0, None),
        ("12 MB/month", None),
        ("12 Mbit", None),
    ],
)
async def test_number_in_other_forms(
    client: IotPortalClient, portal: OddPortal, given: Any, number: float | None
) -> None:
    """A number is read if it has one meaning. A boolean, a list and the largest integer of JavaScript are unknown.

    Case: full-width digits, `"1e6"`, `"1.234,5"`, `"0x1f"`, `true`, `[5]`, 9007199254740991
    Source: similar to myTselection/telenet_telemeter 6 and its-me-prash/vwgroup-connect-ha PR 734
    """
    assert (await read_usage(client, portal, ctdDataUsage=given)).data_bytes == number


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("2026/11/20 10:00:00", utc(2026, 11, 20, 10)),
        ("2026-11-20T11:00:00+01:00[Europe/Paris]", utc(2026, 11, 20, 10)),
        ("2026-11-20t10:00:00z", utc(2026, 11, 20, 10)),
        ("/Date(1763632800000+0000)/", utc(2025, 11, 20, 10)),
        ("20.11.2026 10:00", None),
        ("11/12/2026 10:00:00", None),
        ("2026-11-20 10:00:00 CET", None),
        ("20261120100000", None),
        (1763632800000000, None),
        ([2026, 11, 20], None),
        ({"$date": 1763632800000}, None),
        (True, None),
    ],
)
async def test_date_in_other_forms(
    client: IotPortalClient, portal: OddPortal, given: Any, moment: datetime | None
) -> None:
    """A date is read if it has one meaning.

    Case: `2026/11/20`, an offset with `[Europe/Paris]`, lower case letters, `11/12/2026`, a time zone by its letters
    Source: similar to OSGP PR 926 and lorawan-stack 4766
    """
    assert (await read_device(client, portal, dateActivated=given)).date_activated == moment


@pytest.mark.parametrize("given", ["447700900123.0", "+44 7700 900123", "00447700900123"])
async def test_phone_number(client: IotPortalClient, portal: OddPortal, given: str) -> None:
    """The number is the same in each spelling.

    Case: `+44 7700 900123`, `0044...`, and with a `.0` that a program added
    Source: OpenMobileAlliance/OMA_LwM2M_for_Developers 148; catamphetamine/libphonenumber-js 185; jlippold/WifiSMS 19
    """
    assert (await read_usage(client, portal, msisdn=given)).msisdn == "447700900123"


async def test_iccid_with_a_point(client: IotPortalClient, portal: OddPortal) -> None:
    """The `.0` is not part of the number.

    Case: `"iccid": "8931082322089353632.0"`, as a spreadsheet writes it
    Source: similar to universam1/iSpindel 111
    """
    assert (await read_usage(client, portal, iccid=f"{ICCID}.0")).iccid == ICCID


# --- Connections ------------------------------------------------------------------------------------------------------


async def test_connection_closed_by_the_server(
    client: IotPortalClient, portal: OddPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read is repeated over another connection.

    Case: an idle connection is closed without a byte at the moment it is used
    Source: home-assistant/core 85415; StevenLooman/async_upnp_client PR 93
    """
    monkeypatch.setattr("custom_components.iot_portal.api.client.READ_ATTEMPTS", 2)
    await client.get_usage(ICCID)
    portal.once("ctdUsage", dropped())

    assert (await client.get_usage(ICCID)).iccid == ICCID

"""Whom an answer is about, and in which encoding it comes."""

import json
from typing import Any

from aiohttp import ClientSession, web
import pytest

from custom_components.iot_portal.api import (
    Credentials,
    IotPortalClient,
    IotPortalError,
    IotPortalNotFoundError,
    IotPortalResponseError,
)
from tests.common import UnlimitedPacer, serving

CARD = "8988303000000614227"
CHECKED = f"{CARD}4"
OTHER = "8931080000000000011"


async def ask(session: ClientSession, method: str, argument: str, body: Any, **headers: str) -> Any:
    """Return what the client makes of an answer to one of its methods."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def handle(request: web.Request) -> web.Response:
        if request.path.endswith("/Login"):
            return web.json_response({"data": {"token": "T1"}})
        return web.Response(body=content, headers={"Content-Type": "application/json"} | headers)

    async with serving(handle) as url:
        client = IotPortalClient(
            session,
            url,
            Credentials(client_id="a", secret_key="b"),
            pacer=UnlimitedPacer(),
            retry_wait=0,
        )
        return await getattr(client, method)(argument)


async def test_asked_sim_among_others(session: ClientSession) -> None:
    """The asked SIM is found in an array, wherever it stands."""
    body = [{"iccid": OTHER, "ctdDataUsage": 1}, {"iccid": CARD, "ctdDataUsage": 2}]

    assert (await ask(session, "get_usage", CARD, body)).data_bytes == 2
    assert (await ask(session, "get_usage", CARD, {"data": body})).data_bytes == 2


@pytest.mark.parametrize("method", ["get_usage", "get_device", "get_session", "get_status"])
async def test_another_sim(session: ClientSession, method: str) -> None:
    """An answer about another SIM is none, and its number is not in the message."""
    body = {"iccid": OTHER, "status": "ACTIVATED"}

    for answer in (body, [body], {"data": body}):
        with pytest.raises(IotPortalResponseError) as raised:
            await ask(session, method, CARD, answer)
        assert type(raised.value) is IotPortalResponseError
        assert raised.value.status == 200
        assert OTHER not in str(raised.value)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (CARD, CHECKED),
        (CHECKED, CARD),
        (CARD, f"{CARD}F"),
        (CARD, int(CARD)),
        # A number that was rounded, and what is no ICCID, name no SIM.
        (CARD, float(OTHER)),
        (CARD, "n/a"),
        (CARD, ""),
        (CARD, "8931080000…"),
        (CARD, None),
    ],
)
async def test_asked_sim(session: ClientSession, asked: str, named: Any) -> None:
    """Every spelling of the asked card is accepted, and so is an answer that names none."""
    usage = await ask(session, "get_usage", asked, {"iccid": named, "ctdDataUsage": 5})

    assert usage.data_bytes == 5


async def test_sms_of_others(session: ClientSession) -> None:
    """The asked SMS is found in an array; an answer about another SMS is none."""
    body = [{"smsMsgId": 1, "status": "Sent"}, {"smsMsgId": "2", "status": "Delivered"}]

    assert (await ask(session, "get_sms", "2", body)).status == "Delivered"
    with pytest.raises(IotPortalResponseError, match="another SMS"):
        await ask(session, "get_sms", "3", body)


@pytest.mark.parametrize("body", [None, [], {}, [None], {"data": None}])
async def test_unknown_sms(session: ClientSession, body: Any) -> None:
    """An SMS of which nothing is said is not found."""
    with pytest.raises(IotPortalNotFoundError) as raised:
        await ask(session, "get_sms", "4711", body)
    assert raised.value.status == 200


GOOD = json.dumps({"iccid": CARD, "deviceID": "Gewölbe"}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (GOOD.encode(), "application/json"),
        (GOOD.encode("utf-8-sig"), "application/json"),
        (b"\xef\xbb\xbf" + GOOD.encode("utf-8-sig"), "application/json"),
        (GOOD.encode("utf-16"), "application/json"),
        (GOOD.encode("utf-16-le"), "application/json; charset=UTF-16LE"),
        (GOOD.encode("latin-1"), "application/json; charset=ISO-8859-1"),
        (GOOD.encode("latin-1"), 'text/plain; charset="iso-8859-1"'),
        (GOOD.encode("latin-1"), "application/json"),
        (GOOD.encode(), "application/json; charset=iso-8859-1"),
        (GOOD.encode(), "application/json; charset=utf8mb4"),
        (GOOD.encode(), "application/json; charset=base64"),
        (GOOD.encode() + b"\0\0", "application/json"),
        (json.dumps(GOOD).encode() + b"\n", "application/json"),
        (b"\r\n\t" + GOOD.encode(), "application/json"),
    ],
)
async def test_encodings(session: ClientSession, body: bytes, content_type: str) -> None:
    """A label is read whatever encoding is declared or used."""
    device = await ask(session, "get_device", CARD, body, **{"Content-Type": content_type})

    assert device.label == "Gewölbe"


async def test_broken_letter(session: ClientSession) -> None:
    """One broken byte among letters in UTF-8 costs that letter only."""
    body = GOOD.encode().replace(b"lbe", b"l\xffbe")

    assert (await ask(session, "get_device", CARD, body)).label == "Gewöl\ufffdbe"


async def test_raw_control_characters(session: ClientSession) -> None:
    """Control characters that a server does not escape do not spoil the answer."""
    body = b'{"smsMsgId": 4711, "messageText": "a\x11b\nc"}'

    assert (await ask(session, "get_sms", "4711", body)).text == "ab c"


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf"])
async def test_status_between_marks(session: ClientSession, mark: bytes) -> None:
    """A bare status word has no unseen characters."""
    body = mark + b"ACTIVATED" + mark + b"\r\n"

    assert await ask(session, "get_status", CARD, body) == "ACTIVATED"


@pytest.mark.parametrize(
    "message", ["first\r\nERROR forged line", "first\u2028ERROR forged line", "a\x1b[31mb" * 900]
)
async def test_message_in_one_line(session: ClientSession, message: str) -> None:
    """A message of the portal cannot forge a line of the log."""
    with pytest.raises(IotPortalError) as raised:
        await ask(session, "get_usage", CARD, {"errorMessage": message, "errorCode": "20000001"})

    text = str(raised.value)
    assert text.isprintable()
    assert len(text) <= 200

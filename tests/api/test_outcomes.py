"""The outcome of a write: done, refused, or unknown; docs/api.md has the table."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientSession, web
import pytest

from custom_components.iot_portal.api import (
    IotPortalClient,
    IotPortalError,
    IotPortalLoginError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalOutcomeUnknownError,
    IotPortalRateLimitError,
    IotPortalResponseError,
)
from custom_components.iot_portal.api.pacing import Pacer
from mock_portal import MockPortal
from tests.common import UnlimitedPacer, serving

from .conftest import CREDENTIALS, ICCID, MakeClient

OTHER = "8931080000000000011"
WRITES: dict[str, Callable[[IotPortalClient], Awaitable[Any]]] = {
    "SendSMS": lambda client: client.send_sms(ICCID, "Hello"),
    "RequestStatusChange": lambda client: client.request_status_change(ICCID, "ACTIVATED"),
    "EditDevice": lambda client: client.edit_device(ICCID, {"simNotes": "Spare"}),
    "BulkEditDevice": lambda client: client.bulk_edit_devices([ICCID], {"status": "ACTIVATED"}),
    "RuleUpdate": lambda client: client.update_rule({"name": "Cap"}),
}
PAGE = "<html>Please wait</html>"
ENVELOPE = {"errorMessage": "this cannot be done", "errorCode": "10000050"}
MESSAGE_ONLY = {"message": "this cannot be done"}
KNOWN = {
    "10000030": IotPortalNotAvailableError,
    "20000001": IotPortalNotFoundError,
    "900100": IotPortalNotFoundError,
    "40000029": IotPortalRateLimitError,
}
type Body = Any
ENVELOPES: list[Body] = [ENVELOPE, MESSAGE_ONLY, {"data": {"error": "no"}}, {"code": "7"}]
NO_ENVELOPES: list[Body] = ["", PAGE, "Sorry", {}, [], "null", {"iccid": ICCID}]
CLIENT_ERRORS = (400, 402, 403, 404, 405, 409, 413, 415, 418, 422, 429, 451, 499)
OTHER_ERRORS = (300, 301, 302, 303, 307, 308, 500, 501, 502, 503, 504, 520, 599)

REFUSED: list[tuple[int, Body, type[IotPortalError]]] = [
    *((status, body, IotPortalResponseError) for status in CLIENT_ERRORS for body in ENVELOPES),
    *(
        (status, {"errorCode": code}, kind)
        for status in (200, 202, *OTHER_ERRORS, *CLIENT_ERRORS)
        for code, kind in KNOWN.items()
    ),
    *(
        (status, [{"errorCode": code}], kind)
        for status in (200, 500)
        for code, kind in KNOWN.items()
    ),
    *((status, [ENVELOPE], IotPortalResponseError) for status in CLIENT_ERRORS),
]
UNKNOWN: list[tuple[int, Body]] = [
    *((status, body) for status in (*OTHER_ERRORS, *CLIENT_ERRORS) for body in NO_ENVELOPES),
    *((status, body) for status in OTHER_ERRORS for body in ENVELOPES),
    (500, {"errorMessage": "Unknown server error", "errorCode": "30000001"}),
    (401, PAGE),
    (200, PAGE),
    (200, {"success": False}),
    (200, {"data": {"success": "false", "message": "no"}}),
    (200, ENVELOPE),
    (304, ""),
]
ACKNOWLEDGEMENTS: list[Body] = ["", "OK", {}, [], {"iccid": ICCID}, {"message": "OK", "code": "0"}]
DONE: list[tuple[int, Body]] = [
    *((status, body) for status in (200, 201, 202, 299) for body in ACKNOWLEDGEMENTS),
    (204, ""),
]


async def outcome(
    client: IotPortalClient, portal: MockPortal, route: str, status: int, body: Body
) -> IotPortalError | None:
    """Make a write that gets an answer; return the error. It must be sent once."""
    portal.journal.clear()
    portal.faults.clear()
    portal.faults.add("status", route=route, status=status, body=body)
    try:
        await WRITES[route](client)
    except IotPortalError as err:
        return err
    finally:
        assert len(portal.journal.find("PUT")) == 1
    return None


@pytest.mark.parametrize("route", WRITES)
async def test_done(client: IotPortalClient, portal: MockPortal, route: str) -> None:
    """A write is done when a good answer came."""
    for status, body in DONE:
        assert await outcome(client, portal, route, status, body) is None, (status, body)


@pytest.mark.parametrize("route", WRITES)
async def test_refused(client: IotPortalClient, portal: MockPortal, route: str) -> None:
    """A code that we know refuses a write under any status, and an envelope under 4xx."""
    for status, body, kind in REFUSED:
        err = await outcome(client, portal, route, status, body)
        assert isinstance(err, kind), (status, body)


@pytest.mark.parametrize("route", WRITES)
async def test_unknown(client: IotPortalClient, portal: MockPortal, route: str) -> None:
    """After any other answer the outcome is unknown, and the write is not sent again."""
    for status, body in UNKNOWN:
        err = await outcome(client, portal, route, status, body)
        assert isinstance(err, IotPortalOutcomeUnknownError), (status, body, err)


@pytest.mark.parametrize(
    "route", ["SendSMS", "RequestStatusChange", "EditDevice", "BulkEditDevice"]
)
async def test_another_sim(client: IotPortalClient, portal: MockPortal, route: str) -> None:
    """An answer about another SIM says nothing of the asked one."""
    bodies: list[Body] = [{"iccid": OTHER}, [{"iccid": OTHER}], {"data": {"iccid": OTHER}}]
    for body in bodies:
        err = await outcome(client, portal, route, 200, body)
        assert isinstance(err, IotPortalOutcomeUnknownError), body


@pytest.mark.parametrize("body", ["", "Unauthorized", {}, ENVELOPE], ids=str)
@pytest.mark.parametrize("route", WRITES)
async def test_rejected_token(
    client: IotPortalClient, portal: MockPortal, route: str, body: Any
) -> None:
    """A token that is rejected in no page is renewed, and the write sent once more."""
    await client.login()
    portal.faults.add("status", route=route, status=401, body=body, times=1)

    await WRITES[route](client)

    assert [call.status for call in portal.journal.find("PUT")] == [401, 200]
    assert portal.journal.logins == 2


@pytest.mark.parametrize("route", WRITES)
async def test_rejected_new_token(client: IotPortalClient, portal: MockPortal, route: str) -> None:
    """A write whose new token is rejected too was refused; it is not sent a third time."""
    portal.faults.add("status", route=route, status=401)

    with pytest.raises(IotPortalLoginError):
        await WRITES[route](client)

    assert len(portal.journal.find("PUT")) == 2


@pytest.mark.parametrize("route", WRITES)
async def test_page_that_rejects_the_token(
    client: IotPortalClient, portal: MockPortal, route: str
) -> None:
    """A page with 401 leaves the outcome unknown, and the next request logs in."""
    await client.login()
    portal.faults.add("status", route=route, status=401, body=PAGE, times=1)

    with pytest.raises(IotPortalOutcomeUnknownError):
        await WRITES[route](client)

    assert len(portal.journal.find("PUT")) == 1
    assert portal.journal.logins == 1
    assert await client.get_usage(ICCID)
    assert portal.journal.logins == 2


async def test_page_about_an_old_token(session: ClientSession) -> None:
    """A page about a token that was renewed in the meantime does not end the new one."""
    logins = 0
    asked, renewed = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        nonlocal logins
        if request.path.endswith("/Login"):
            logins += 1
            return web.json_response({"data": {"token": f"T{logins}"}})
        if request.method == "PUT":
            asked.set()
            await renewed.wait()
            return web.Response(status=401, text=PAGE)
        return web.json_response([{"iccid": ICCID}])

    async with serving(answer) as url:
        client = IotPortalClient(session, url, CREDENTIALS, pacer=UnlimitedPacer())
        sending = asyncio.create_task(client.send_sms(ICCID, "Hello"))
        await asked.wait()
        await client.login()
        renewed.set()
        with pytest.raises(IotPortalOutcomeUnknownError):
            await sending
        await client.get_usage(ICCID)

    assert logins == 2


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("body", ["", PAGE, MESSAGE_ONLY, {"errorCode": "40000029"}], ids=str)
async def test_retry_after(
    make_client: MakeClient,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: Any,
) -> None:
    """The account waits as long as the portal asks for, whatever has become of the write."""
    waits: list[float | None] = []
    monkeypatch.setattr(Pacer, "back_off", lambda _, seconds, _reason: waits.append(seconds))
    portal.faults.add(
        "status", route="SendSMS", status=status, body=body, headers={"Retry-After": "7"}
    )

    with pytest.raises(IotPortalError):
        await make_client().send_sms(ICCID, "Hello")

    assert waits == [7]


async def test_words_of_the_portal(client: IotPortalClient, portal: MockPortal) -> None:
    """The error says what the portal said, without secrets."""
    body = {"message": "demo-secret is out of order"}
    err = await outcome(client, portal, "SendSMS", 500, body)

    assert str(err) == "*** is out of order"

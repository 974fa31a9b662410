"""Every variant of every dialect, as a client sees it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import json
from pathlib import Path
import re
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
import pytest

from mock_portal import DIALECTS, Dialects, SetupError

from .conftest import ACTIVE, DOCUMENTED, Answer, Caller, eventually

API = Path(__file__).parents[2] / "docs" / "api.md"
ABZORB = "8944100000000000018"

type Probe = Callable[[Caller], Awaitable[Any]]


def _seen(answer: Answer) -> tuple[int, Any]:
    """Return the status, and the body as JSON where it is JSON."""
    try:
        return answer.status, answer.json
    except json.JSONDecodeError:
        return answer.status, answer.text


async def _wrong_login(caller: Caller) -> Any:
    """Log in with a wrong key."""
    answer = await caller.call("POST", "/Login", {"clientId": "x", "secretKey": "y"})
    body = _seen(answer)[1]
    return answer.status, body.get("errorCode"), body.get("data")


async def _login(caller: Caller) -> Any:
    """Log in, and return the answer with the token replaced by T."""
    answer = await caller.call(
        "POST", "/Login", {"clientId": "demo-client", "secretKey": "demo-secret"}
    )
    token = list(caller.portal.state.tokens)[-1]
    return answer.text.replace(token, "T").replace("\n", "").replace(" ", ""), answer.is_assumed


async def _old_token(caller: Caller) -> Any:
    """Return the status for a token after a hundred calls, after an hour, and after a newer log-in."""
    lives = []
    caller.token = await caller.login()
    for _ in range(100):
        await caller.get(f"/getStatus/{DOCUMENTED}")
    lives.append((await caller.get(f"/getStatus/{DOCUMENTED}")).status)
    token = await caller.login()
    caller.portal.clock.advance(3600)
    lives.append((await caller.get(f"/getStatus/{DOCUMENTED}")).status)
    token = await caller.login()
    await caller.login()
    caller.token = token
    lives.append((await caller.get(f"/getStatus/{DOCUMENTED}")).status)
    return lives


async def _unknown_token(caller: Caller) -> Any:
    """Send a request with an unknown token."""
    caller.token = "nonsense"
    answer = await caller.get(f"/getStatus/{DOCUMENTED}")
    return answer.status, "10000001" in answer.text, bool(answer.text)


async def _usage(caller: Caller) -> Any:
    """Read the usage of the documented SIM, reduced to three fields, and of a used SIM."""

    def cut(value: Any) -> Any:
        if isinstance(value, list):
            return [cut(item) for item in value]
        if "data" in value:
            return {"data": cut(value["data"])}
        return [value[key] for key in ("iccid", "ctdDataUsage", "ctdSessionCount")]

    used = await caller.get(f"/ctdUsage/{ACTIVE}")
    return cut((await caller.get(f"/ctdUsage/{DOCUMENTED}")).json), bool(used.json), used.is_assumed


async def _status(caller: Caller) -> Any:
    """Read the status of the documented SIM."""
    answer = await caller.get(f"/getStatus/{DOCUMENTED}")
    return answer.text if answer.text == "INVENTORY" else answer.json, answer.is_assumed


async def _open_session(caller: Caller) -> Any:
    """Read an open session, and return its end."""
    caller.portal.sims[ACTIVE].open_session()
    return (await caller.get(f"/sessionInfo/{ACTIVE}")).json.get("dateSessionEnded", "missing")


async def _send(caller: Caller) -> Any:
    """Send a text message."""
    return (await caller.put(f"/SendSMS/{ACTIVE}/1", {"messageText": "Hello"})).json


async def _sms_ids(caller: Caller) -> Any:
    """List two text messages."""
    caller.portal.state.receive_sms(ACTIVE, "one")
    caller.portal.state.receive_sms(ACTIVE, "two")
    return (await caller.get(f"/GetSMSIds/{ACTIVE}")).json


async def _sms(caller: Caller) -> Any:
    """Read a text message, and return its text."""
    body = (await caller.get(f"/GetSMS/{caller.portal.state.receive_sms(ACTIVE, 'one').id}")).json
    outer = "array" if isinstance(body, list) else "data" if "data" in body else "object"
    inner = {"array": lambda: body[0], "data": lambda: body["data"], "object": lambda: body}[
        outer
    ]()
    return outer, inner["messageText"]


async def _sms_status(caller: Caller) -> Any:
    """Read the status of a pending, a delivered and a failed text message."""
    await _send(caller)
    words = [(await caller.get("/GetSMS/4711")).json["status"]]
    caller.portal.clock.advance(5)
    words.append((await caller.get("/GetSMS/4711")).json["status"])
    caller.portal.sims[ACTIVE].set_status("DEACTIVATED")
    await _send(caller)
    caller.portal.clock.advance(5)
    return [*words, (await caller.get("/GetSMS/4712")).json["status"]]


async def _write(caller: Caller) -> Any:
    """Change a SIM, and update a rule."""
    edit = await caller.put(f"/EditDevice/{ACTIVE}", {"customer": "Anna"})
    return _seen(edit), _seen(await caller.put("/RuleUpdate", {}))


async def _change_status(caller: Caller) -> Any:
    """Request a status, and return the reported one at once, after four reads and after 30 s."""
    answer = await caller.put(f"/RequestStatusChange/{ACTIVE}", {"status": "DEACTIVATED"})
    reads = [(await caller.get(f"/getStatus/{ACTIVE}")).text[0] for _ in range(4)]
    caller.portal.clock.advance(30)
    return answer.status, "".join(reads), (await caller.get(f"/getStatus/{ACTIVE}")).text[0]


async def _unknown_iccid(caller: Caller) -> Any:
    """Ask for a SIM that does not exist, on three routes."""
    usage, device, status = [
        await caller.get(f"/{route}/1") for route in ("ctdUsage", "GetDevice", "getStatus")
    ]
    html = "<html>" in usage.text and "text/html" in usage.headers["Content-Type"]
    code = "20000001" in usage.text
    empty = (usage.text, device.text, status.text) if usage.status == 200 else None
    return usage.status, code, html, empty


async def _refused(caller: Caller) -> Any:
    """Call a refused route."""
    caller.portal.sims[ACTIVE].refused_routes = frozenset({"ctdUsage"})
    answer = await caller.get(f"/ctdUsage/{ACTIVE}")
    return answer.status, answer.json.get("errorCode")


async def _hurry(caller: Caller) -> Any:
    """Make six requests within a second, and one more a second later."""
    answers = [await caller.get(f"/getStatus/{DOCUMENTED}") for _ in range(6)]
    caller.portal.clock.advance(1)
    later = await caller.get(f"/getStatus/{DOCUMENTED}")
    codes = "40000029" in answers[5].text
    return (
        [a.status for a in answers[4:]],
        answers[5].headers.get("Retry-After"),
        codes,
        later.status,
    )


async def _abzorb(caller: Caller) -> Any:
    """Read status, usage and session of a SIM of the Abzorb network."""
    await caller.control(
        "POST", "scenario", {"extends": "abzorb", "dialects": dict(caller.portal.dialects)}
    )
    await caller.login()
    usage, session, device = [
        (await caller.get(f"/{route}/{ABZORB}")).status
        for route in ("ctdUsage", "sessionInfo", "GetDevice")
    ]
    return _seen(await caller.get(f"/getStatus/{ABZORB}"))[1], [usage, session, device]


async def _error(caller: Caller) -> Any:
    """Send an invalid request, and return the envelope of the error."""
    answer = await caller.put(f"/RequestStatusChange/{ACTIVE}", {})
    message = "Parameter status is missing"
    text = answer.text.replace("\n", "").replace("    ", "").replace(message, "M")
    return "html" if "<html>" in text and "M" in text else text, answer.headers["Content-Type"]


async def _never_session(caller: Caller) -> Any:
    """Read the session of a SIM that never had one."""
    caller.portal.sims[ACTIVE].session_started = None
    answer = await caller.get(f"/sessionInfo/{ACTIVE}")
    return answer.status, answer.json.get("errorCode", [*answer.json.values()][1:])


RECORD = {"iccid": DOCUMENTED, "status": "INVENTORY"}
OUTCOMES: dict[str, tuple[Probe, dict[str, Any]]] = {
    "login_failure": (
        _wrong_login,
        {
            "401": (401, "10000001", None),
            "403": (403, "10000001", None),
            "400": (400, "10000001", None),
            "200_no_token": (200, None, {}),
        },
    ),
    "login_answer": (
        _login,
        {
            "data_token": ('{"data":{"token":"T"}}', False),
            "token": ('{"token":"T"}', True),
            "quoted": ('"T"', True),
            "bare": ("T", True),
        },
    ),
    "token_life": (
        _old_token,
        {
            "forever": [200, 200, 200],
            "one_hour": [200, 401, 200],
            "hundred_calls": [401, 200, 200],
            "newest_only": [200, 200, 401],
        },
    ),
    "token_refused": (
        _unknown_token,
        {
            "401": (401, True, True),
            "401_empty": (401, False, False),
            "403_code": (403, True, True),
            "400_code": (400, True, True),
        },
    ),
    "usage_body": (
        _usage,
        {
            "array": ([[DOCUMENTED, 0, None]], True, False),
            "object": ([DOCUMENTED, 0, None], True, True),
            "data": ({"data": [[DOCUMENTED, 0, None]]}, True, True),
            "text_numbers": ([[DOCUMENTED, "0", None]], True, True),
            "empty_array": ([], True, True),
        },
    ),
    "status_body": (
        _status,
        {
            "bare": ("INVENTORY", False),
            "quoted": ("INVENTORY", True),
            "object": (RECORD, True),
            "array": ([RECORD], True),
        },
    ),
    "open_session": (_open_session, {"null": None, "empty": "", "missing": "missing"}),
    "sms_id": (
        _send,
        {
            "smsMsgId": {"smsMsgId": 4711},
            "text": {"smsMsgId": "4711"},
            "smsMessageId": {"smsMessageId": 4711},
            "data": {"data": {"smsMsgId": 4711}},
            "bare": 4711,
            "none": {},
        },
    ),
    "sms_list": (
        _sms_ids,
        {
            "smsMsgIds": {"smsMsgIds": [4711, 4712], "pageNumber": 1, "lastPage": True},
            "bare": [4711, 4712],
            "objects": [{"smsMsgId": 4711}, {"smsMsgId": 4712}],
            "data": {"data": [4711, 4712]},
            "text": {"smsMsgIds": ["4711", "4712"]},
        },
    ),
    "sms_body": (
        _sms,
        {"object": ("object", "one"), "array": ("array", "one"), "data": ("data", "one")},
    ),
    "sms_status": (
        _sms_status,
        {
            "title": ["Pending", "Delivered", "Failed"],
            "upper": ["PENDING", "DELIVERED", "FAILED"],
            "in_log": ["Pending", "Delivered-InLog", "Failed"],
        },
    ),
    "write_answer": (
        _write,
        {
            "iccid": ((200, {"iccid": ACTIVE}), (200, {})),
            "empty": ((200, ""), (200, "")),
            "text": ((200, "OK"), (200, "OK")),
            "queued": ((202, {"data": {"queued": True}}),) * 2,
        },
    ),
    "status_change": (
        _change_status,
        {
            "immediate": (200, "DDDD", "D"),
            "after_seconds": (200, "AAAA", "D"),
            "after_reads": (200, "AAAD", "D"),
            "never": (200, "AAAA", "A"),
            "refused": (400, "AAAA", "A"),
        },
    ),
    "unknown_iccid": (
        _unknown_iccid,
        {
            "404": (404, True, False, None),
            "400": (400, True, False, None),
            "404_html": (404, False, True, None),
            "200_empty": (200, False, False, ("[]", "{}", "")),
        },
    ),
    "route_refused": (
        _refused,
        {"400_code": (400, "10000030"), "403": (403, None), "404": (404, None), "501": (501, None)},
    ),
    "rate_limit": (
        _hurry,
        {
            "off": ([200, 200], None, False, 200),
            "429_retry_after": ([200, 429], "1", True, 200),
            "429": ([200, 429], None, True, 200),
            "503": ([200, 503], "1", True, 200),
            "400_code": ([200, 400], None, True, 200),
        },
    ),
    "abzorb": (
        _abzorb,
        {
            "same": ("ACTIVATED", [200, 200, 200]),
            "object": ({"iccid": ABZORB, "simStatus": "Active"}, [200, 200, 200]),
            "nested": ({"data": {"status": "Active"}}, [200, 200, 200]),
            "no_usage": ("ACTIVATED", [400, 400, 200]),
        },
    ),
    "error_envelope": (
        _error,
        {
            "cisco": ('{"errorMessage": "M","errorCode": "10000028"}', "application/json"),
            "message": ('{"message": "M","code": "10000028"}', "application/json"),
            "data_error": (
                '{"data": {"error": "M","errorCode": "10000028"}}',
                "application/json",
            ),
            "plain": ("M", "application/json"),
            "html": ("html", "text/html;charset=iso-8859-1"),
        },
    ),
    "never_session": (
        _never_session,
        {
            "nulls": (200, [None, None, None]),
            "empty": (200, ["", "", ""]),
            "iccid_only": (200, []),
            "404": (404, "900100"),
        },
    ),
}


@pytest.mark.parametrize(
    ("dialect", "variant"),
    [(dialect, variant) for dialect, (_, outcomes) in OUTCOMES.items() for variant in outcomes],
)
async def test_variant(caller: Caller, dialect: str, variant: str) -> None:
    """The portal behaves as the variant says."""
    probe, outcomes = OUTCOMES[dialect]
    caller.portal.dialects[dialect] = variant
    assert await probe(caller) == outcomes[variant]


@pytest.fixture
async def webhook() -> AsyncIterator[tuple[str, asyncio.Queue[tuple[str, str, str]]]]:
    """Return the URL of a webhook, and the calls it gets: method, path with query, body."""
    calls: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()

    async def take(request: web.BaseRequest) -> web.Response:
        await calls.put((request.method, request.raw_path, await request.text()))
        return web.Response()

    server = TestServer(web.Application())
    server.app.router.add_route("*", "/{tail:.*}", take)
    async with server:
        yield str(server.make_url("/ping?from=here")), calls


WEBHOOKS: dict[str, tuple[str, str, Any]] = {
    "summary": ("POST", "/ping?from=here", {"queueId": "7", "status": "COMPLETED"}),
    "per_sim": (
        "POST",
        "/ping?from=here",
        {
            "queueId": "7",
            "status": "COMPLETED",
            "results": [{"iccid": ACTIVE, "success": True}, {"iccid": "1", "success": False}],
        },
    ),
    "get": ("GET", "/ping?from=here&queueId=7", None),
}


@pytest.mark.parametrize("variant", [*WEBHOOKS, "silent"])
async def test_bulk_webhook(
    caller: Caller, webhook: tuple[str, asyncio.Queue[tuple[str, str, str]]], variant: str
) -> None:
    """When a bulk edit ends, the portal calls the webhook as the variant says."""
    url, calls = webhook
    caller.portal.dialects["bulk_webhook"] = variant
    body = {"update": {"status": "DEACTIVATED"}, "queueId": "7", "webhookUrl": url}
    await caller.put("/BulkEditDevice", body | {"iccids": [ACTIVE, "1"]})
    assert (await caller.get(f"/getStatus/{ACTIVE}")).text == "ACTIVATED"
    caller.portal.clock.advance(10)
    assert (await caller.get(f"/getStatus/{ACTIVE}")).text == "DEACTIVATED"
    await eventually(lambda: not caller.portal.state.is_busy)
    if variant == "silent":
        assert calls.empty()
        return
    method, path, text = await calls.get()
    assert (method, path, json.loads(text) if text else None) == WEBHOOKS[variant]


async def test_webhook_that_nobody_answers(caller: Caller) -> None:
    """The journal shows the outcome of a webhook."""
    body = {"update": {}, "webhookUrl": "http://127.0.0.1:9/ping", "iccids": [ACTIVE]}
    await caller.put("/BulkEditDevice", body)
    caller.portal.clock.advance(10)
    await eventually(lambda: bool(caller.portal.journal.webhooks))
    assert caller.portal.journal.webhooks[0].outcome == "ClientConnectorError"


def test_every_variant_is_tested() -> None:
    """Every variant has a test."""
    tested = {name: set(outcomes) for name, (_, outcomes) in OUTCOMES.items()}
    tested["bulk_webhook"] = {*WEBHOOKS, "silent"}
    assert tested == {
        name: {variant.name for variant in dialect.variants} for name, dialect in DIALECTS.items()
    }


def test_table_is_that_of_the_contract() -> None:
    """docs/api.md has the same variants in the same order, with the same words and marks."""
    page = API.read_text(encoding="utf-8")
    row = re.compile(r"\| (A\d+) \| `(\w+)` \| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)
    contract = [
        (
            number,
            name,
            variant,
            description.replace("`", ""),
            mark in {"documented", "documented (prose)"},
        )
        for number, name, variant, description, mark in row.findall(page)
    ]
    assert contract == [
        (dialect.number, dialect.name, variant.name, variant.description, variant.documented)
        for dialect in DIALECTS.values()
        for variant in dialect.variants
    ]
    assert f"{len(DIALECTS)} dialects, {len(contract)} variants" in page


def test_unknown_names() -> None:
    """The error for a misspelt dialect or variant suggests the right one, and nothing is switched."""
    dialects = Dialects()
    with pytest.raises(SetupError, match=r"did you mean usage_body\?"):
        dialects.update({"sms_id": "bare", "usage_bdy": "object"})
    with pytest.raises(SetupError, match="there are login_failure, login_answer"):
        dialects.update({"zzzzzz": "object"})
    with pytest.raises(SetupError, match="has no variant 'objct'; it has array, object"):
        dialects["usage_body"] = "objct"
    assert dialects["sms_id"] == "smsMsgId"
    assert len(dialects) == len(DIALECTS)

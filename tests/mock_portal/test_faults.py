"""Every kind of fault on a real socket, and which requests faults hit."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http.client import HTTPConnection
import json
import time
from typing import Any

from aiohttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
)
import pytest

from mock_portal import FaultKind, MockPortal, SetupError

from .conftest import ACTIVE, DOCUMENTED, Caller

USAGE = f"/ctdUsage/{DOCUMENTED}"
SMS = f"/SendSMS/{ACTIVE}/1"


async def _delay(caller: Caller) -> None:
    """Expect the right answer, late."""
    caller.portal.faults.add("delay", seconds=0.2)
    start = time.monotonic()
    assert (await caller.get(USAGE)).json[0]["iccid"] == DOCUMENTED
    assert time.monotonic() - start >= 0.2


async def _status(caller: Caller) -> None:
    """Expect the status, body and headers of the fault, and no effect."""
    faults = caller.portal.faults
    faults.add("status", status=503, body={"errorMessage": "busy"}, times=1)
    faults.add("status", status=302, body="moved", headers={"Location": "/x"}, times=1)
    faults.add("status", times=1)
    answers = [await caller.put(SMS, {"messageText": "Hello"}) for _ in range(4)]
    assert [answer.status for answer in answers] == [503, 302, 500, 200]
    assert answers[0].json == {"errorMessage": "busy"}
    assert (answers[1].text, answers[1].headers["Location"]) == ("moved", "/x")
    assert answers[2].text == ""
    assert [sms.text for sms in caller.portal.state.sms.values()] == ["Hello"]


async def _rate_limited(caller: Caller) -> None:
    """Expect 429, with Retry-After if it is set."""
    caller.portal.faults.add("rate_limited", times=1)
    caller.portal.faults.add("rate_limited", retry_after=7, times=1)
    answers = [await caller.get(USAGE) for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == [None, "7", None]


async def _empty_body(caller: Caller) -> None:
    """Expect 200 with an empty body."""
    caller.portal.faults.add("empty_body")
    answer = await caller.get(USAGE)
    assert (answer.status, answer.text, answer.is_assumed) == (200, "", True)


async def _truncated_body(caller: Caller) -> None:
    """Expect half of the body, and then the end of the connection."""
    caller.portal.faults.add("truncated_body")
    with pytest.raises(ClientPayloadError):
        await caller.get(USAGE)


async def _garbage(caller: Caller) -> None:
    """Expect bytes that are not text, the same for the same seed."""
    caller.portal.faults.add("garbage", size=100, seed=3)
    first, second = await caller.get(USAGE), await caller.get(USAGE)
    assert first.text == second.text
    assert first.text.startswith("\N{REPLACEMENT CHARACTER}")
    assert first.headers["Content-Type"] == "application/json"


async def _wrong_content_type(caller: Caller) -> None:
    """Expect the right body with another content type."""
    caller.portal.faults.add("wrong_content_type")
    answer = await caller.get(USAGE)
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.json[0]["iccid"] == DOCUMENTED


async def _wrong_json_type(caller: Caller) -> None:
    """Expect valid JSON that is not a list."""
    caller.portal.faults.add("wrong_json_type", times=1)
    caller.portal.faults.add("wrong_json_type", body=[0], times=1)
    assert (await caller.get(USAGE)).json is True
    assert (await caller.get(USAGE)).json == [0]


def _send_once(url: str, token: str) -> None:
    """Send a text message with a client that, unlike aiohttp, never repeats a PUT by itself."""
    address, _, prefix = url.removeprefix("http://").partition("/")
    connection = HTTPConnection(address)
    body = json.dumps({"messageText": "Hello"})
    connection.request("PUT", f"/{prefix}{SMS}", body, {"Authorization": token})
    connection.getresponse()


async def _status_afterwards(caller: Caller) -> None:
    """Expect an error, although the text message was sent."""
    caller.portal.faults.add("status_afterwards", status=520, body="<html>Sorry</html>")
    answer = await caller.put(SMS, {"messageText": "Hello"})
    assert (answer.status, answer.text, answer.is_assumed) == (520, "<html>Sorry</html>", True)
    assert len(caller.portal.state.sms) == 1


async def _reset_before_read(caller: Caller) -> None:
    """Expect a reset of the connection, and no effect."""
    caller.portal.faults.add("reset_before_read")
    with pytest.raises(ConnectionResetError):
        await asyncio.to_thread(_send_once, caller.portal.url, str(caller.token))
    assert not caller.portal.state.sms


async def _reset_after_read(caller: Caller) -> None:
    """Expect a reset of the connection, although the text message was sent."""
    caller.portal.faults.add("reset_after_read")
    with pytest.raises(ConnectionResetError):
        await asyncio.to_thread(_send_once, caller.portal.url, str(caller.token))
    assert len(caller.portal.state.sms) == 1
    assert caller.portal.journal.exchanges[-1].status is None


async def _slow_drip(caller: Caller) -> None:
    """Expect the bare word letter by letter."""
    caller.portal.faults.add("slow_drip", seconds=0.02)
    start = time.monotonic()
    assert (await caller.get(f"/getStatus/{DOCUMENTED}")).text == "INVENTORY"
    assert time.monotonic() - start >= 9 * 0.02


async def _hang(caller: Caller) -> None:
    """Expect no answer until the portal stops."""
    caller.portal.faults.add("hang")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(caller.get(USAGE), 0.2)
    waiting = asyncio.create_task(caller.get(USAGE))
    await asyncio.sleep(0.05)
    await caller.portal.stop()
    with pytest.raises(ClientConnectionError):
        await waiting


async def _oversized_body(caller: Caller) -> None:
    """Expect a valid body of a huge size."""
    caller.portal.faults.add("oversized_body", size=3_000_000)
    answer = await caller.get(USAGE)
    assert len(answer.text) == 3_000_000
    assert answer.json[0]["iccid"] == DOCUMENTED


async def _maintenance_page(caller: Caller) -> None:
    """Expect a page from every route, the log-in included, and no effect."""
    faults = caller.portal.faults
    faults.add("maintenance_page", times=3)
    answers = [await caller.get(USAGE), await caller.put(SMS, {"messageText": "Hello"})]
    answers.append(await caller.call("POST", "/Login", {}))
    assert [answer.status for answer in answers] == [503, 503, 503]
    faults.add("maintenance_page", status=200, headers={"Retry-After": "60"})
    answers.append(await caller.get("/nowhere"))
    assert (answers[3].status, answers[3].headers["Retry-After"]) == (200, "60")
    for answer in answers:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.text.startswith("<!DOCTYPE html>")
    assert not caller.portal.state.sms


async def _wrong_sim(caller: Caller) -> None:
    """Expect answers about another SIM, and the right ones where no SIM is named."""
    portal = caller.portal
    portal.faults.add("wrong_sim")
    portal.state.receive_sms(ACTIVE, "Hello")
    assert (await caller.get(USAGE)).json[0]["iccid"] == "8931080000000099993"
    assert (await caller.get("/GetSMS/4711")).json["iccid"] == "8931080000000099993"
    assert (await caller.get(f"/getStatus/{DOCUMENTED}")).text == "INVENTORY"
    portal.faults.clear()
    portal.faults.add("wrong_sim", other_iccid=ACTIVE)
    answer = await caller.get(f"/GetDevice/{DOCUMENTED}")
    assert (answer.json["iccid"], answer.json["imsi"]) == (ACTIVE, portal.sims[DOCUMENTED].imsi)


EXPERIENCES: dict[str, Callable[[Caller], Awaitable[None]]] = {
    kind: globals()[f"_{kind}"] for kind in FaultKind
}


@pytest.mark.parametrize("kind", EXPERIENCES)
async def test_kind(caller: Caller, kind: str) -> None:
    """A client sees the effect of each kind of fault."""
    await EXPERIENCES[kind](caller)


async def _statuses(caller: Caller, *paths: str, count: int = 1) -> list[int]:
    """Return the statuses of some reads."""
    return [(await caller.get(path)).status for _ in range(count) for path in paths]


@pytest.mark.parametrize(
    ("aim", "hit"),
    [
        ({}, [500, 500, 500]),
        ({"route": "ctdUsage"}, [500, 200, 200]),
        ({"iccid": ACTIVE}, [200, 200, 500]),
        ({"method": "GET"}, [500, 500, 500]),
        ({"method": "PUT"}, [200, 200, 200]),
        ({"route": "ctdUsage", "iccid": ACTIVE}, [200, 200, 200]),
    ],
)
async def test_aim(caller: Caller, aim: dict[str, Any], hit: list[int]) -> None:
    """A fault hits only its route, method and SIM."""
    caller.portal.faults.add("status", **aim)
    paths = (USAGE, f"/getStatus/{DOCUMENTED}", f"/getStatus/{ACTIVE}")
    assert await _statuses(caller, *paths) == hit


async def test_count(caller: Caller) -> None:
    """A fault can skip some requests, and then hit a number of them."""
    caller.portal.faults.add("status", after=2, times=2)
    assert await _statuses(caller, USAGE, count=6) == [200, 200, 500, 500, 200, 200]


async def test_probability(caller: Caller) -> None:
    """A fault hits at random, and in the same way for the same seed."""
    runs = []
    for seed in (1, 1, 2):
        caller.portal.faults.clear()
        caller.portal.faults.add("status", probability=0.5, seed=seed)
        runs.append(await _statuses(caller, USAGE, count=20))
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {200, 500}


async def test_first_fault_counts(caller: Caller) -> None:
    """Of two faults the older one applies; once it is removed, the newer one."""
    older = caller.portal.faults.add("status", status=501)
    caller.portal.faults.add("status", status=502)
    assert await _statuses(caller, USAGE) == [501]
    caller.portal.faults.remove(older.id)
    assert await _statuses(caller, USAGE) == [502]
    assert [(fault.id, fault.seen, fault.fired) for fault in caller.portal.faults] == [
        ("fault-2", 1, 1)
    ]


async def test_unknown_routes_can_fail_too(caller: Caller) -> None:
    """A fault without filters hits unknown routes as well."""
    caller.portal.faults.add("status", status=502)
    assert (await caller.get("/nowhere")).status == 502


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "explode"}, "expected one of delay, status"),
        ({"kind": "delay", "second": 1}, "there is no 'second'; did you mean seconds"),
        ({"kind": "delay", "size": 1}, "A delay fault has no size; its details: seconds"),
        ({"kind": "hang", "seconds": 1}, "A hang fault has no seconds; its details: none"),
        ({"kind": "delay", "seconds": "soon"}, "expected a number, not 'soon'"),
        ({"kind": "delay", "seconds": float("nan")}, "nan is not between 0 and"),
        ({"kind": "status", "status": 99}, "99 is not between 200 and 599"),
        ({"kind": "status", "status": 200.5}, "expected a number, not 200.5"),
        ({"kind": "delay", "probability": 2}, "2.0 is not between 0 and 1"),
        ({"kind": "delay", "route": "GetStatus"}, "did you mean getStatus?"),
        ({"kind": "delay", "route": "zzz"}, "there are Login, ctdUsage"),
        ({"kind": "status", "status": 100}, "100 is not between 200 and 599"),
        ({"kind": "status", "status": 600}, "600 is not between 200 and 599"),
        ({"kind": "status", "status": 204, "body": "x"}, "the status 204 has no body"),
        ({"kind": "status_afterwards", "status": 304, "body": {}}, "the status 304 has no body"),
        ({"kind": "maintenance_page", "status": 204}, "the status 204 has no body"),
        ({"kind": "status", "headers": {"X": "a\r\nY: b"}}, "'a\\r\\nY: b' cannot be the value"),
        ({"kind": "status", "headers": {"X": "a\x00"}}, "cannot be the value of a header"),
        ({"kind": "status", "headers": {"X": "\ud83d"}}, "cannot be the value of a header"),
        ({"kind": "status", "headers": {"X\n": "a"}}, "cannot be the name of a header"),
        ({"kind": "status", "headers": {"X Y": "a"}}, "cannot be the name of a header"),
        ({"kind": "status", "headers": {"": "a"}}, "'' cannot be the name of a header"),
        ({"kind": "status", "headers": {"Ä": "a"}}, "cannot be the name of a header"),
        ({"kind": "status", "headers": {"content-length": "5"}}, "follows from the body"),
        ({"kind": "maintenance_page", "headers": {"Transfer-Encoding": "x"}}, "cannot be set"),
        ({"kind": "status", "headers": {"X": None}}, "expected a text, not None"),
        ({"kind": "status", "headers": ["X"]}, "expected a mapping"),
        ({"kind": "rate_limited", "retry_after": "1\n2"}, "fault.retry_after: '1\\n2' cannot be"),
        ({"kind": "wrong_content_type", "content_type": "a\rb"}, "fault.content_type: 'a\\rb'"),
        ({"kind": "wrong_json_type", "body": {1, 2}}, "expected JSON of at most 50 levels"),
    ],
)
async def test_a_fault_that_makes_no_sense(
    caller: Caller, options: dict[str, Any], message: str
) -> None:
    """An invalid fault is refused with the reason."""
    with pytest.raises(SetupError) as refused:
        caller.portal.faults.add(**options)
    assert message in str(refused.value)
    assert len(caller.portal.faults) == 0


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (204, {}),
        (304, {"ETag": '"1"'}),
        (299, {"X": "Grüße\t☃"}),
        (500, {"content-type": "a/b", "DATE": "x"}),
    ],
)
async def test_unusual_answers(caller: Caller, status: int, headers: dict[str, str]) -> None:
    """What HTTP can carry arrives as it was given."""
    caller.portal.faults.add("status", status=status, headers=headers, body="")
    for _ in range(2):
        answer = await caller.get(USAGE)
        assert (answer.status, answer.text) == (status, "")
        for name, value in headers.items():
            assert [v for k, v in answer.headers.items() if k.lower() == name.lower()] == [value]


async def test_an_empty_object(caller: Caller) -> None:
    """An empty object is a body, unlike none."""
    caller.portal.faults.add("status", status=502, body={}, times=1)
    assert (await caller.get(USAGE)).text == "{}"
    caller.portal.faults.add("status", status=502)
    assert (await caller.get(USAGE)).text == ""


@pytest.mark.parametrize("other", ["\\1", '1", "x": "', "\ud83d"])
async def test_an_odd_other_sim(caller: Caller, other: str) -> None:
    """The name of the other SIM is any text."""
    caller.portal.faults.add("wrong_sim", other_iccid=other)
    assert (await caller.get(USAGE)).json[0]["iccid"] == other


async def test_removing_what_is_not_there(caller: Caller) -> None:
    """The error for an unknown id names the known ones."""
    with pytest.raises(SetupError, match="there are none"):
        caller.portal.faults.remove("fault-9")


async def test_a_restart_closes_connections(caller: Caller) -> None:
    """A portal that stops refuses connections, and can come back at the same address."""
    url = caller.portal.url
    await caller.portal.stop()
    with pytest.raises(ClientConnectionError):
        await caller.get(USAGE)
    await caller.portal.start()
    assert caller.portal.url == url
    assert (await caller.get(USAGE)).status == 200


async def test_stopping_cuts_a_delay_short(caller: Caller) -> None:
    """A portal that stops does not wait for its own delays."""
    caller.portal.faults.add("delay", seconds=60)
    waiting = asyncio.create_task(caller.get(USAGE))
    await asyncio.sleep(0.05)
    start = time.monotonic()
    await caller.portal.stop()
    assert time.monotonic() - start < 1
    with suppress(ServerDisconnectedError):
        await waiting


async def test_hanging_ends_with_the_client(socket_enabled: None) -> None:
    """A hanging request that the client gave up no longer counts as in flight."""
    async with MockPortal() as portal, ClientSession() as session:
        portal.faults.add("hang", times=1)
        with pytest.raises(TimeoutError):
            await session.get(f"{portal.url}/getStatus/1", timeout=ClientTimeout(total=0.1))
        await asyncio.sleep(0.2)

        async with session.get(f"{portal.url}/getStatus/1"):
            pass

        assert portal.journal.peak_width == 1

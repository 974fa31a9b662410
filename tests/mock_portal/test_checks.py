"""Checks of the requests, in Python and over HTTP: how often, how fast, in which order."""

import asyncio
from typing import Any

import pytest

from mock_portal import MockPortal, Portal, Request, SetupError

from .conftest import ACTIVE, DOCUMENTED, Caller

STATUS = f"/getStatus/{DOCUMENTED}"
SMS = f"/SendSMS/{ACTIVE}/1"
READ = {"method": "GET", "path": "/getStatus/*"}
SEND = {"method": "PUT", "route": "SendSMS"}
EDIT = {"method": "PUT", "path": "/EditDevice/*"}

# After a log-in, a read, an SMS and another read.
HOLD: list[tuple[dict[str, Any], dict[str, int]]] = [
    ({}, {"found": 4, "peak_rate": 4}),
    (READ, {"found": 2, "peak_rate": 2}),
    (READ | {"times": 2}, {"found": 2, "peak_rate": 2}),
    (READ | {"at_least": 2}, {"found": 2, "peak_rate": 2}),
    (READ | {"at_least": 1, "at_most": 2}, {"found": 2, "peak_rate": 2}),
    (READ | {"at_most": 3}, {"found": 2, "peak_rate": 2}),
    (READ | {"max_rate": 2, "at_least": 2}, {"found": 2, "peak_rate": 2}),
    (EDIT | {"times": 0}, {"found": 0, "peak_rate": 0}),
    (EDIT | {"at_most": 1}, {"found": 0, "peak_rate": 0}),
    (EDIT | {"max_rate": 1}, {"found": 0, "peak_rate": 0}),
    (SEND | {"iccid": ACTIVE, "times": 1}, {"found": 1, "peak_rate": 1}),
    ({"iccid": "9" * 19, "unknown_sim": True, "times": 0}, {"found": 0, "peak_rate": 0}),
    ({"order": [READ, SEND, READ]}, {"found": 3}),
    ({"order": [{"path": "/Login"}, SEND]}, {"found": 2}),
]
FAIL: list[tuple[dict[str, Any], str]] = [
    (EDIT, "PUT /EditDevice/*: expected at least once, was called 0 times."),
    (SEND | {"times": 2}, "PUT route SendSMS: expected 2 times, was called 1 times."),
    (SEND | {"times": 0}, "expected 0 times, was called 1 times."),
    (READ | {"at_least": 3}, "expected at least 3 times, was called 2 times."),
    (READ | {"at_most": 1}, "expected at most 1 times, was called 2 times."),
    (READ | {"at_least": 3, "at_most": 4}, "expected 3 to 4 times, was called 2 times."),
    ({"max_rate": 3}, "any request: expected at most 3 within a second, there were 4."),
    ({"order": [SEND, SEND]}, "PUT route SendSMS: expected after PUT route SendSMS, was not"),
    ({"order": [SEND, {"path": "/Login"}]}, "/Login: expected after PUT route SendSMS, was not"),
    ({"order": [EDIT, READ]}, "PUT /EditDevice/*: expected, was not called there."),
]
REFUSED: list[tuple[Any, str]] = [
    ([], "expected a mapping"),
    ({"path": "SendSMS/*", "times": 0}, "did you mean '/SendSMS/*'?"),
    ({"method": "put"}, "did you mean PUT?"),
    ({"order": [READ, {"path": "/editDevice/*"}]}, "did you mean '/EditDevice/*'?"),
    ({"order": [READ, {"paht": "/EditDevice/*"}]}, "body.order[1]: there is no 'paht'"),
    ({"order": [READ]}, "order names two requests or more"),
    ({"order": []}, "order names two requests or more"),
    ({"order": [READ, SEND], "times": 1}, "stands alone"),
    ({"order": [READ, SEND], "method": "GET"}, "stands alone"),
    ({"time": 1}, "there is no 'time'; did you mean times?"),
    ({"times": -1}, "body.times: -1 is not between"),
    ({"times": True}, "expected a number, not True"),
    ({"times": "1"}, "expected a number, not '1'"),
    ({"times": 1.5}, "expected a number, not 1.5"),
    ({"at_least": 0}, "0 is not between 1"),
    ({"max_rate": 0}, "0 is not between 1"),
    ({"times": 1, "at_most": 1}, "times stands without at_least and at_most"),
    ({"at_least": 2, "at_most": 1}, "at_least 2 is more than at_most 1"),
]


@pytest.fixture
async def client(caller: Caller) -> Caller:
    """Return a client that has logged in, read, sent and read again."""
    await caller.get(STATUS)
    await caller.put(SMS, {"messageText": "Hello"})
    await caller.get(STATUS)
    return caller


@pytest.mark.parametrize(("check", "counts"), HOLD)
async def test_holds(client: Caller, check: dict[str, Any], counts: dict[str, int]) -> None:
    """A check that holds answers 200 with the counts."""
    answer = await client.control("POST", "verify", check)
    assert (answer.status, answer.json) == (200, {"ok": True, **counts})


@pytest.mark.parametrize(("check", "part"), FAIL)
async def test_fails(client: Caller, check: dict[str, Any], part: str) -> None:
    """A check that does not hold answers 409 with the calls, so that `curl --fail` fails."""
    answer = await client.control("POST", "verify", check)
    assert answer.status == 409
    error = answer.json["error"]
    assert part in error
    assert error.endswith(
        f" Calls:\n  POST /Login -> 200\n  GET {STATUS} -> 200\n  PUT {SMS} -> 200\n"
        f"  GET {STATUS} -> 200"
    )


@pytest.mark.parametrize(("check", "part"), REFUSED)
async def test_refused(client: Caller, check: Any, part: str) -> None:
    """A check that makes no sense, or that nothing can match, answers 400."""
    answer = await client.control("POST", "verify", check)
    assert answer.status == 400
    assert part in answer.json["error"]


async def test_in_python(client: Caller) -> None:
    """The same checks exist in Python."""
    journal = client.portal.journal
    journal.assert_called("GET", "/getStatus/*", at_least=2)
    journal.assert_called("GET", "/getStatus/*", 2)
    journal.assert_called("GET", at_most=2, route="getStatus")
    journal.assert_called_once("PUT", iccid=ACTIVE)
    journal.assert_not_called("GET", iccid="9" * 19, unknown_sim=True)
    journal.assert_order(("GET", STATUS), ("PUT", SMS), ("GET", "/getStatus/*"))
    journal.assert_max_rate(2, "GET", STATUS)
    journal.assert_max_rate(4)
    with pytest.raises(AssertionError, match="expected at most 1 times, was called 2"):
        journal.assert_called("GET", STATUS, at_most=1)
    with pytest.raises(AssertionError, match=r"GET .*: expected after PUT .*, GET .*, was not"):
        journal.assert_order(("PUT", SMS), ("GET", STATUS), ("GET", STATUS))
    with pytest.raises(AssertionError, match="expected at most 3 within a second, there were 4"):
        journal.assert_max_rate(3)
    with pytest.raises(SetupError, match="there is no 'atleast'; did you mean at_least"):
        journal.assert_called("GET", STATUS, atleast=1)
    for calls in (("PUT", SMS), (("PUT",), ("GET", STATUS)), ("PU", "GE")):
        with pytest.raises(SetupError, match=r"A call is a method and a path|no method|the method"):
            journal.assert_order(*calls)


async def test_rate_over_time(portal: MockPortal) -> None:
    """The rate counts the requests within any second, even while the clock is frozen."""
    for _ in range(3):
        portal.handle(Request(method="GET", path=f"/api{STATUS}"))
        portal.clock.advance(0.4)
    portal.clock.advance(5)
    portal.handle(Request(method="GET", path=f"/api{STATUS}"))
    portal.journal.assert_max_rate(3)
    with pytest.raises(AssertionError, match="there were 3"):
        portal.journal.assert_max_rate(2)


async def test_too_many_requests_to_tell() -> None:
    """A check that needs requests which the journal no longer has is refused."""
    portal = Portal("demo")
    portal.handle(Request(method="PUT", path=f"/api{SMS}"))
    for _ in range(10_000):
        portal.handle(Request(method="GET", path=f"/api{STATUS}"))
        await asyncio.sleep(0)
    journal = portal.journal
    assert (len(journal), journal.total) == (10_000, 10_001)
    journal.assert_called("GET", STATUS)
    for times in (0, 1):
        with pytest.raises(SetupError, match="keeps the last 10000 requests of 10001"):
            journal.assert_called("PUT", "/SendSMS/*", times)
    with pytest.raises(SetupError, match="clear the journal before"):
        journal.assert_called("PUT", "/SendSMS/*")
    journal.clear()
    journal.assert_not_called("PUT", "/SendSMS/*")

"""The journal, and its checks."""

import asyncio

import pytest

from mock_portal import MockPortal, Request

from .conftest import ACTIVE, DOCUMENTED, Caller

STATUS = f"/getStatus/{DOCUMENTED}"


async def test_exchange(caller: Caller) -> None:
    """An exchange shows request and answer without secrets."""
    await caller.get(STATUS)
    login, read = caller.portal.journal
    assert (login.method, login.path, login.route, login.status) == ("POST", "/Login", "Login", 200)
    assert login.body == {"clientId": "demo-client", "secretKey": "***"}
    assert (read.route, read.iccid, read.status, read.fault) == ("getStatus", DOCUMENTED, 200, None)
    assert read.time == caller.portal.clock.now()
    assert str(read) == f"GET {STATUS} -> 200"
    assert read.headers["Authorization"] == f"sha256:{read.token}"
    assert str(caller.token) not in str(read.as_dict())


@pytest.mark.parametrize(
    ("body", "shown"),
    [(b'{"secretKey": "x"', "***"), (b"Hello", "Hello"), (b"[1]", [1]), (b"", "")],
)
async def test_bodies(caller: Caller, body: bytes, shown: object) -> None:
    """A body other than a JSON object is shown unchanged, unless it may contain a secret."""
    await caller.call("PUT", "/RuleUpdate", body)
    assert caller.portal.journal.exchanges[-1].body == shown


async def test_fingerprints_tell_tokens_apart(caller: Caller) -> None:
    """Equal tokens have equal fingerprints; different tokens have different ones."""
    await caller.get(STATUS)
    await caller.get(STATUS)
    await caller.login()
    await caller.get(STATUS)
    first, second, third = [exchange.token for exchange in caller.portal.journal.find(path=STATUS)]
    assert first == second != third
    assert caller.portal.journal.logins == 2


async def test_checks(caller: Caller) -> None:
    """Checks count the calls of a path; a star matches anything."""
    journal = caller.portal.journal
    await caller.get(STATUS)
    await caller.put(f"/SendSMS/{ACTIVE}/1", {"messageText": "Hello"})
    journal.assert_called_once("PUT", f"/SendSMS/{ACTIVE}/1")
    journal.assert_called("GET", "/getStatus/*")
    journal.assert_called("GET", f"/api{STATUS}", times=1)
    journal.assert_not_called("PUT", "/EditDevice/*")
    assert len(journal.find(iccid=ACTIVE)) == 1
    with pytest.raises(AssertionError) as failed:
        journal.assert_called("PUT", "/EditDevice/*")
    assert str(failed.value).split("\n") == [
        "PUT /EditDevice/*: expected at least once, was called 0 times. Calls:",
        "  POST /Login -> 200",
        f"  GET {STATUS} -> 200",
        f"  PUT /SendSMS/{ACTIVE}/1 -> 200",
    ]
    with pytest.raises(AssertionError, match="expected 0 times, was called 1 times"):
        journal.assert_not_called("PUT", "/SendSMS/*")
    with pytest.raises(AssertionError, match="expected 1 times, was called 0 times"):
        journal.assert_called_once("GET", "/sessionInfo/*")


async def test_a_failed_check_shows_near_misses(caller: Caller) -> None:
    """A failed check mentions a similar call."""
    await caller.get("/GetStatus/1")
    with pytest.raises(AssertionError, match="Near misses:\n  No route GET /api/GetStatus/1"):
        caller.portal.journal.assert_called("GET", STATUS)


async def test_a_failed_check_of_nothing(portal: MockPortal) -> None:
    """A failed check says that nothing was called."""
    with pytest.raises(AssertionError, match="Nothing was called"):
        portal.journal.assert_called("GET", STATUS)


async def test_width(caller: Caller) -> None:
    """The journal has the highest number of requests at once."""
    caller.portal.faults.add("delay", seconds=0.1)
    await asyncio.gather(*(caller.get(STATUS) for _ in range(3)))
    assert caller.portal.journal.peak_width == 3
    caller.portal.journal.clear()
    await caller.get(STATUS)
    assert caller.portal.journal.peak_width == 1


async def test_rate(caller: Caller) -> None:
    """The journal has the most requests within any second, even while the clock is frozen."""
    journal, clock = caller.portal.journal, caller.portal.clock
    journal.clear()
    for _ in range(3):
        await caller.get(STATUS)
    clock.advance(1)
    await caller.get(STATUS)
    assert (journal.peak_rate, journal.total) == (3, 4)


async def test_unanswered(caller: Caller) -> None:
    """A request without an answer is in the journal, with its fault."""
    caller.portal.faults.add("hang", times=1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(caller.get(STATUS), 0.05)
    unanswered = caller.portal.journal.find("GET", STATUS)[0]
    assert (unanswered.status, unanswered.fault) == (None, "hang")
    assert str(unanswered) == f"GET {STATUS} -> no answer"


async def test_is_bounded(portal: MockPortal) -> None:
    """The journal keeps the last ten thousand exchanges."""
    for number in range(10_001):
        portal.handle(Request(method="GET", path=f"/api/{number}"))
    assert len(portal.journal) == len(portal.journal.near_misses) == 10_000
    assert portal.journal.exchanges[0].path == "/1"

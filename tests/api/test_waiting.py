"""A person's request starts within 30 seconds or fails, by a clock that the test advances."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from aiohttp import ClientSession
import pytest

from custom_components.iot_portal.api import (
    IotPortalBusyError,
    IotPortalClient,
    IotPortalError,
    IotPortalOutcomeUnknownError,
    IotPortalPausedError,
    IotPortalTimeoutError,
)
from custom_components.iot_portal.api.pacing import (
    DEFAULT_MAX_CONCURRENT,
    Pacer,
    PauseReason,
    Priority,
    priority,
    start_in_time,
)
from mock_portal import MockPortal

from .conftest import CREDENTIALS, ICCID

SMS = f"/SendSMS/{ICCID}/1"
STATUS = f"/getStatus/{ICCID}"

type Make = Callable[..., Coroutine[Any, Any, IotPortalClient]]

# Seconds of a poll's timeout, where a test needs one that outlasts a person's patience.
LONG = 100


class Clock:
    """The monotonic clock of the event loop, which a test can advance."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Show the real time until the test advances it."""
        loop = asyncio.get_running_loop()
        # It warns of callbacks that take long by this clock.
        loop.set_debug(False)
        steady = loop.time
        self._passed = 0.0
        monkeypatch.setattr(loop, "time", lambda: steady() + self._passed)

    async def advance(self, seconds: float) -> None:
        """Advance the time, and run the timers that are due and what follows from them."""
        self._passed += seconds
        for _ in range(10):
            await asyncio.sleep(0)


class Tasks:
    """Requests under way; those left at the end of the test are cancelled."""

    def __init__(self) -> None:
        """Start without requests."""
        self._tasks: list[asyncio.Task[Any]] = []

    async def start[T](
        self, request: Coroutine[Any, Any, T], importance: Priority = Priority.USER
    ) -> asyncio.Task[T]:
        """Start a request and let it come as far as it can without an answer."""
        with priority(importance):
            task = asyncio.create_task(request)
        self._tasks.append(task)
        await asyncio.sleep(0)
        return task

    async def cancel(self) -> None:
        """Cancel what is left."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError, IotPortalError):
                await task


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock."""
    return Clock(monkeypatch)


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """Return requests under way."""
    tasks = Tasks()
    yield tasks
    await tasks.cancel()


@pytest.fixture
def make(portal: MockPortal, session: ClientSession, clock: Clock) -> Make:
    """Return a factory of clients at the usual pace, which are logged in unless the test says otherwise."""

    async def make(
        *, max_concurrent: int = DEFAULT_MAX_CONCURRENT, is_logged_in: bool = True, **waits: float
    ) -> IotPortalClient:
        pacer = Pacer(max_concurrent=max_concurrent)
        client = IotPortalClient(
            session, portal.url, CREDENTIALS, write_session=session, pacer=pacer, **waits
        )
        if is_logged_in:
            await client.login()
            await clock.advance(1)
            portal.journal.clear()
        return client

    return make


@pytest.fixture
async def client(make: Make) -> IotPortalClient:
    """Return a client with the usual timeouts."""
    return await make()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that needs a socket."""
    async with asyncio.timeout(1000):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def _has_received(portal: MockPortal, reads: int) -> bool:
    """Return whether the portal has received so many reads."""
    return len(portal.journal.find("GET", STATUS)) == reads


async def fill(client: IotPortalClient, portal: MockPortal, tasks: Tasks, clock: Clock) -> None:
    """Fill all places with people's reads that hang."""
    portal.faults.add("hang", route="getStatus")
    for number in range(1, client.pacer.max_concurrent + 1):
        await tasks.start(client.get_status(ICCID))
        await clock.advance(0.3)
        await until(partial(_has_received, portal, number))


@pytest.mark.parametrize("header", ["86400", "40"])
async def test_paused(
    client: IotPortalClient, portal: MockPortal, clock: Clock, header: str
) -> None:
    """After "not before tomorrow" a person's write, read and log-in fail at once; polls go on after an hour."""
    portal.faults.add("status", status=503, headers={"Retry-After": header}, times=1)
    with priority(Priority.POLL), pytest.raises(IotPortalError):
        await client.get_status(ICCID)
    portal.journal.clear()
    pause = min(int(header), 3600)

    for request in (
        client.send_sms(ICCID, "Hello"),
        client.get_usage(ICCID),
        client.login(),
    ):
        with pytest.raises(IotPortalPausedError) as raised:
            await request
        assert raised.value.seconds == pytest.approx(pause, abs=3)
    with priority(Priority.LOOK_UP), pytest.raises(IotPortalPausedError):
        await client.get_device(ICCID)
    assert not list(portal.journal)
    assert client.pacer.pause_reason is PauseReason.UNAVAILABLE

    with priority(Priority.POLL):
        poll = asyncio.create_task(client.get_status(ICCID))
    await clock.advance(pause - 4)
    assert not list(portal.journal)
    await clock.advance(5)
    assert await poll == "INVENTORY"
    await clock.advance(6)
    assert await client.send_sms(ICCID, "Hello")


async def test_nothing_is_sent_after_the_portal_asked_for_a_pause(
    make: Make, portal: MockPortal, clock: Clock, tasks: Tasks
) -> None:
    """The request that is next does not slip out between the answer that asks for a pause and the pause."""
    client = await make(max_concurrent=1)
    portal.faults.add("status", status=429, headers={"Retry-After": "25"}, times=1)
    for _ in range(3):
        await tasks.start(client.get_status(ICCID), Priority.POLL)
    await clock.advance(1)
    await until(lambda: client.pacer.seconds_paused)
    await asyncio.sleep(0.1)

    assert len(portal.journal.find("GET", STATUS)) == 1


async def test_short_pause(client: IotPortalClient, portal: MockPortal, clock: Clock) -> None:
    """A person's request waits for the end of a pause that ends in time."""
    client.pacer.back_off(20)
    sending = asyncio.create_task(client.send_sms(ICCID, "Hello"))

    await clock.advance(19)
    assert not list(portal.journal)
    await clock.advance(2)

    assert await sending
    portal.journal.assert_called_once("PUT", SMS)


async def test_pause_begins_while_waiting(
    client: IotPortalClient, portal: MockPortal, clock: Clock, tasks: Tasks
) -> None:
    """A waiting request fails as soon as it is known that it cannot start in time, and is never sent."""
    client.pacer.back_off(20)
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))
    in_time = await tasks.start(client.get_usage(ICCID), Priority.POLL)
    await clock.advance(10)
    later = await tasks.start(client.get_device(ICCID))

    # It begins within the bound of the request, and ends after it.
    client.pacer.back_off(25)
    await clock.advance(0)

    with pytest.raises(IotPortalPausedError):
        await sending
    await clock.advance(26)
    await later
    await clock.advance(14)
    await in_time
    portal.journal.assert_not_called("PUT", SMS)


async def test_pause_that_ends_with_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that could start just when its 30 s are over fails at once, before the pause or during it."""
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 1000.0)
    pacer = Pacer()

    async def take_slot() -> None:
        with start_in_time():
            async with pacer.slot():
                pass

    pacer.back_off(29)
    waiting = asyncio.create_task(take_slot())
    await asyncio.sleep(0)
    pacer.back_off(30)

    with pytest.raises(IotPortalPausedError):
        await waiting
    with pytest.raises(IotPortalPausedError):
        await take_slot()


async def test_pause_begins_as_a_wait_ends(
    client: IotPortalClient, clock: Clock, tasks: Tasks
) -> None:
    """Another pause that begins just as a request has waited too long is known to all who show it."""
    told: list[float] = []
    client.pacer.back_off(29)
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))
    client.pacer.listen_to_pauses(lambda: told.append(client.pacer.seconds_paused))
    loop = asyncio.get_running_loop()
    await clock.advance(28)
    client.pacer.back_off(1.9)
    told.clear()
    # Behind the end of the wait, in the same turn of the event loop.
    loop.call_at(loop.time() + 2.1, client.pacer.back_off, 60)
    await clock.advance(3)

    with pytest.raises(IotPortalPausedError):
        await sending
    assert told == [pytest.approx(60, abs=1)]


async def test_places_are_taken(make: Make, portal: MockPortal, clock: Clock, tasks: Tasks) -> None:
    """A request behind others fails when the 30 s are over, is not sent later, and leaves no place taken."""
    client = await make(timeout=LONG)
    await fill(client, portal, tasks, clock)
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))

    await clock.advance(29)
    assert not sending.done()
    await clock.advance(1)
    assert sending.done()

    with pytest.raises(IotPortalBusyError) as raised:
        await sending
    assert not isinstance(raised.value, IotPortalPausedError)
    portal.faults.clear()
    await clock.advance(LONG)
    assert await client.get_status(ICCID) == "INVENTORY"
    portal.journal.assert_not_called("PUT", SMS)


async def test_cancelled_while_waiting(
    make: Make, portal: MockPortal, clock: Clock, tasks: Tasks
) -> None:
    """What is cancelled while it waits is never sent, and leaves no place taken."""
    client = await make(timeout=LONG)
    await fill(client, portal, tasks, clock)
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))
    await clock.advance(6)

    sending.cancel()
    await clock.advance(LONG)

    assert sending.cancelled()
    portal.faults.clear()
    assert await client.get_status(ICCID) == "INVENTORY"
    portal.journal.assert_not_called("PUT", SMS)


@pytest.mark.parametrize("importance", [p for p in Priority if p is not Priority.USER])
async def test_a_place_is_kept_for_people(
    client: IotPortalClient, portal: MockPortal, clock: Clock, tasks: Tasks, importance: Priority
) -> None:
    """However many others hang, a person's request goes out at once."""
    portal.faults.add("hang", route="getStatus")
    for _ in range(5):
        await tasks.start(client.get_status(ICCID), importance)
        await clock.advance(1)
    await until(lambda: len(portal.journal.find("GET", STATUS)) == 2)

    assert await client.send_sms(ICCID, "Hello")
    assert len(portal.journal.find("GET", STATUS)) == 2


async def test_one_request_at_a_time(
    make: Make, portal: MockPortal, clock: Clock, tasks: Tasks
) -> None:
    """With a single place a person waits for the timeout of one poll, and goes ahead of the others."""
    client = await make(max_concurrent=1)
    portal.faults.add("hang", route="getStatus")
    for _ in range(5):
        await tasks.start(client.get_status(ICCID), Priority.POLL)
    await until(lambda: portal.journal.find("GET", STATUS))
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))

    await clock.advance(9)
    portal.journal.assert_not_called("PUT", SMS)
    # aiohttp rounds up to a whole second.
    await clock.advance(2)

    assert await sending
    assert len(portal.journal.find("GET", STATUS)) == 1


async def test_log_in_of_a_poll_is_paused(
    make: Make, portal: MockPortal, clock: Clock, tasks: Tasks
) -> None:
    """A person does not wait for a poll whose log-in waits for the end of a pause."""
    client = await make(is_logged_in=False)
    client.pacer.back_off(20)
    await tasks.start(client.get_status(ICCID), Priority.POLL)
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))
    await clock.advance(5)
    assert not sending.done()

    client.pacer.back_off(3600)
    await clock.advance(0)

    with pytest.raises(IotPortalPausedError):
        await sending
    with pytest.raises(IotPortalPausedError):
        await client.login()
    assert not list(portal.journal)


async def test_log_in_of_a_poll_hangs(
    make: Make, portal: MockPortal, clock: Clock, tasks: Tasks
) -> None:
    """A person who waits for the log-in of a poll is told after 30 s, and nothing is sent later."""
    client = await make(is_logged_in=False, poll_timeout=LONG)
    portal.faults.add("hang", route="Login")
    await tasks.start(client.get_status(ICCID), Priority.POLL)
    await until(lambda: portal.journal.find("POST", "/Login"))
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))

    await clock.advance(29)
    assert not sending.done()
    await clock.advance(1)
    assert sending.done()

    with pytest.raises(IotPortalBusyError):
        await sending
    portal.faults.clear()
    await clock.advance(LONG)
    assert await client.get_status(ICCID) == "INVENTORY"
    portal.journal.assert_not_called("PUT", SMS)


async def test_cancelled_during_the_log_in_of_a_poll(
    make: Make, portal: MockPortal, clock: Clock, tasks: Tasks
) -> None:
    """What is cancelled while it waits for the log-in of a poll is never sent."""
    client = await make(is_logged_in=False)
    portal.faults.add("hang", route="Login", times=1)
    await tasks.start(client.get_status(ICCID), Priority.POLL)
    await until(lambda: portal.journal.find("POST", "/Login"))
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))
    await clock.advance(1)

    sending.cancel()
    await clock.advance(11)

    assert await client.get_status(ICCID) == "INVENTORY"
    portal.journal.assert_not_called("PUT", SMS)


async def test_own_log_in_takes_the_time(
    make: Make, portal: MockPortal, clock: Clock, tasks: Tasks
) -> None:
    """Waiting for the log-in of a poll and the own log-in take 30 s together, not each."""
    client = await make(is_logged_in=False, poll_timeout=20)
    portal.faults.add("hang", route="Login")
    await tasks.start(client.get_status(ICCID), Priority.POLL)
    await until(lambda: portal.journal.find("POST", "/Login"))
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))
    # aiohttp rounds timeouts up to a whole second.
    await clock.advance(21)
    await until(lambda: len(portal.journal.find("POST", "/Login")) == 2)
    await clock.advance(7)
    assert not sending.done()

    await clock.advance(3)

    with pytest.raises(IotPortalTimeoutError):
        await sending
    portal.journal.assert_not_called("PUT", SMS)


async def test_late_own_log_in(
    make: Make, portal: MockPortal, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log-in that begins just before the 30 s are over has a second for its answer, or it could never succeed."""
    client = await make(is_logged_in=False, poll_timeout=29)
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    portal.faults.add("hang", route="Login")

    async def until_received(logins: int) -> None:
        while len(portal.journal.find("POST", "/Login")) < logins:  # noqa: ASYNC110  timers stand still
            await asyncio.sleep(0)

    await tasks.start(client.get_status(ICCID), Priority.POLL)
    await until_received(1)
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))
    now += 29.9
    await until_received(2)

    now += 0.9
    for _ in range(10):
        await asyncio.sleep(0)
    assert not sending.done()
    now += 0.2

    with pytest.raises(IotPortalTimeoutError):
        await sending


async def test_connecting_takes_half_of_the_time(
    session: ClientSession, deaf_url: str, clock: Clock, tasks: Tasks
) -> None:
    """What nobody accepts fails after half of the timeout, as a connection that was not made."""
    client = IotPortalClient(session, deaf_url, CREDENTIALS, timeout=20)
    logging_in = await tasks.start(client.login())
    await asyncio.sleep(0.05)

    await clock.advance(9)
    assert not logging_in.done()
    # aiohttp rounds up to a whole second.
    await clock.advance(2)

    with pytest.raises(IotPortalTimeoutError, match="could not be established in time"):
        await logging_in


async def test_answer_takes_its_own_time(
    client: IotPortalClient, portal: MockPortal, clock: Clock, tasks: Tasks
) -> None:
    """However long a write has waited, the portal has the whole timeout to answer it."""
    client.pacer.back_off(25)
    portal.faults.add("hang", route="SendSMS")
    sending = await tasks.start(client.send_sms(ICCID, "Hello"))
    await clock.advance(26)
    await until(lambda: portal.journal.find("PUT", SMS))

    await clock.advance(28)
    await asyncio.sleep(0.05)
    assert not sending.done()
    # aiohttp rounds up to a whole second.
    await clock.advance(3)

    with pytest.raises(IotPortalOutcomeUnknownError):
        await sending


async def test_repeated_read(make: Make, portal: MockPortal, clock: Clock, tasks: Tasks) -> None:
    """What a person reads is not repeated when the 30 s are over."""
    client = await make(retry_wait=LONG)
    portal.faults.add("status", route="getStatus", status=500, times=1)
    reading = await tasks.start(client.get_status(ICCID))
    await until(lambda: portal.journal.find("GET", STATUS))
    await asyncio.sleep(0.1)

    await clock.advance(2 * LONG)

    with pytest.raises(IotPortalBusyError):
        await reading
    portal.journal.assert_called_once("GET", STATUS)


@pytest.mark.parametrize(("bound", "waits"), [(min, (10, 20)), (max, (30, 60))])
async def test_waits_between_repetitions(
    make: Make,
    portal: MockPortal,
    clock: Clock,
    tasks: Tasks,
    monkeypatch: pytest.MonkeyPatch,
    bound: Callable[[float, float], float],
    waits: tuple[int, int],
) -> None:
    """A read is repeated after half to one and a half of the wait, and a second time after twice as long."""
    monkeypatch.setattr("custom_components.iot_portal.api.client.uniform", bound)
    client = await make(retry_wait=20)
    portal.faults.add("status", route="getStatus", status=500)
    reading = await tasks.start(client.get_status(ICCID), Priority.POLL)
    for reads, wait in enumerate(waits, start=1):
        await until(partial(_has_received, portal, reads))
        await asyncio.sleep(0.05)
        await clock.advance(wait - 2)
        await asyncio.sleep(0.05)
        assert _has_received(portal, reads)
        await clock.advance(2)

    await until(partial(_has_received, portal, 3))
    with pytest.raises(IotPortalError):
        await reading

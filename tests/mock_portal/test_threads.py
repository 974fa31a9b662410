"""All parts of a portal may be used from any thread while it serves in another."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
import json
import sys
from threading import Event
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from mock_portal import MockPortal, Portal, Request, Sim
from mock_portal.scenario import iccid

from .conftest import ACTIVE, DOCUMENTED

CLIENTS = 3
SECONDS = 0.4
# The journal keeps ten thousand requests.
MOST = 3000
PATHS = (
    ("GET", f"/ctdUsage/{ACTIVE}", b""),
    ("GET", f"/getStatus/{DOCUMENTED}", b""),
    ("GET", "/GetStatus/1", b""),
    ("PUT", f"/SendSMS/{ACTIVE}/1", b'{"messageText": "Hello"}'),
    ("PUT", "/BulkEditDevice", json.dumps({"update": {}, "iccids": [ACTIVE]}).encode()),
)


@pytest.fixture(autouse=True)
def switches() -> Iterator[None]:
    """Switch between threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def _converse(portal: Portal, stop: Event) -> int:
    """Log in and send requests until the end, and return how many they were."""
    sent = 0
    while not stop.is_set() and sent < MOST:
        body = b'{"clientId": "demo-client", "secretKey": "demo-secret"}'
        answer = portal.handle(Request(method="POST", path="/api/Login", body=body))
        token = json.loads(answer.body)["data"]["token"]
        for method, path, content in PATHS:
            portal.handle(
                Request(
                    method=method,
                    path=f"/api{path}",
                    headers={"Authorization": token},
                    body=content,
                )
            )
        sent += 1 + len(PATHS)
    return sent


@contextmanager
def _busy(portal: Portal) -> Iterator[list[Future[int]]]:
    """Run clients of a portal in other threads while the context lasts."""
    stop = Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(_converse, portal, stop) for _ in range(CLIENTS)]
        try:
            yield clients
        finally:
            stop.set()


def _iterate(portal: Portal) -> None:
    """Iterate over everything."""
    state, journal = portal.state, portal.journal
    for part in (
        *(journal, journal.exchanges, journal.near_misses, journal.webhooks),
        *(portal.sims, portal.sims.values(), portal.dialects, portal.faults),
        *(state.accounts, state.tokens, state.networks, state.sms, state.bulk_edits),
    ):
        for each in part:
            assert each is not None


def _check(portal: Portal) -> None:
    """Ask the journal."""
    portal.journal.assert_not_called("PUT", "/EditDevice/*")
    portal.journal.assert_max_rate(10**9)
    portal.journal.find("GET", "/getStatus/*")


def _change(portal: Portal) -> None:
    """Change every part."""
    portal.dialects["usage_body"] = "object"
    portal.dialects["usage_body"] = "array"
    fault = portal.faults.add("delay", route="RuleUpdate")
    portal.faults.remove(fault.id)
    portal.clock.freeze()
    portal.clock.advance(1)
    portal.clock.unfreeze()
    sim = portal.sims[ACTIVE]
    sim.open_session()
    sim.close_session(after=3)
    portal.state.receive_sms(ACTIVE, "Hello")
    portal.state.add_sim(Sim(iccid=iccid(len(portal.sims))))


def _save(portal: Portal) -> None:
    """Save everything."""
    assert portal.snapshot()["accounts"]


@pytest.mark.parametrize("act", [_iterate, _check, _change, _save])
def test_beside_busy_clients(act: Callable[[Portal], None]) -> None:
    """Whatever a test does beside three busy clients succeeds, and so do their requests."""
    portal = Portal("demo")
    with _busy(portal) as clients:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            act(portal)
    assert portal.journal.total == sum(client.result() for client in clients)
    assert list(portal.state.sms) == list(range(4711, 4711 + len(portal.state.sms)))


def test_loads_beside_busy_clients() -> None:
    """A scenario is replaced in one step."""
    portal = Portal("demo")
    snapshot = portal.snapshot()
    with _busy(portal) as clients:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            portal.restore(snapshot)
            portal.reset()
            assert len(portal.sims) == 4
    assert all(client.result() for client in clients)


def test_an_iterator_keeps_what_it_began_with() -> None:
    """An iteration goes on over what there was at its start."""
    portal = Portal("demo")
    login = Request(method="POST", path="/api/Login", body=b'{"apiToken": "demo-token"}')
    portal.handle(login)
    parts: list[Any] = [portal.journal, portal.faults, portal.state.tokens, portal.sims]
    portal.faults.add("delay", route="ctdUsage")
    iterators = [iter(part) for part in parts]
    portal.handle(login)
    portal.faults.clear()
    portal.state.add_sim(Sim(iccid=iccid(1)))
    assert [len(list(iterator)) for iterator in iterators] == [1, 1, 1, 4]


def test_several_changes_at_once(socket_enabled: None) -> None:
    """While a test holds the lock no request is handled; the loop goes on afterwards."""

    def health(portal: MockPortal) -> int:
        connection = HTTPConnection(urlsplit(portal.url).netloc, timeout=5)
        with closing(connection):
            connection.request("GET", "/_mock/health")
            return connection.getresponse().status

    with MockPortal.in_thread("demo") as portal, ThreadPoolExecutor(1) as pool:
        with portal.lock:
            asked = pool.submit(health, portal)
            portal.dialects["usage_body"] = "object"
            time.sleep(0.1)
            portal.clock.advance(60)
            assert not asked.done()
        assert asked.result(5) == 200

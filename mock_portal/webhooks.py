"""Calls of webhooks, by default only on this machine: the published example names a stranger's."""

import asyncio
from dataclasses import replace
from ipaddress import IPv6Address, ip_address
import socket

from aiohttp import (
    AddrInfoType,
    ClientError,
    ClientSession,
    ClientTimeout,
    TCPConnector,
    ThreadedResolver,
)
from yarl import URL

from .errors import SetupError
from .exchange import WebhookCall
from .portal import Portal

LOOPBACK, ANYWHERE = "loopback", "anywhere"

_TIMEOUT = ClientTimeout(total=5)
_PAUSE = 0.05


class _Guard:
    """Opens sockets to this machine, and refuses others."""

    def __init__(self) -> None:
        """Start without a refusal."""
        self.refused: set[str] = set()

    def open(self, address: AddrInfoType) -> socket.socket:
        """Return a socket for an address, as names are looked up by then and cannot change."""
        family, kind, protocol, _, where = address
        host = str(where[0])
        if not _is_loopback(host):
            self.refused.add(host)
            msg = f"{host} is not this machine"
            raise OSError(msg)
        return socket.socket(family, kind, protocol)


def check(where: str) -> None:
    """Raise an error unless this says where webhooks may be called."""
    if where not in {LOOPBACK, ANYWHERE}:
        msg = f"Webhooks are called on {LOOPBACK} or {ANYWHERE}, not {where!r}"
        raise SetupError(msg)


async def call_due(portal: Portal, where: str) -> None:
    """Call the webhooks of a portal, and record the outcomes, until no bulk edit is left."""
    # Another bulk edit may arrive while the session is being closed.
    while portal.state.is_busy:
        guard = _Guard()
        connector = TCPConnector(
            # aiohttp may prefer a resolver that does not know the names of this machine.
            resolver=ThreadedResolver(),
            socket_factory=guard.open if where == LOOPBACK else None,
        )
        async with ClientSession(timeout=_TIMEOUT, connector=connector) as session:
            while portal.state.is_busy:
                for call in portal.take_webhooks():
                    await _call(portal, session, guard, call)
                await asyncio.sleep(_PAUSE)


async def _call(portal: Portal, session: ClientSession, guard: _Guard, call: WebhookCall) -> None:
    """Call one webhook, and record its outcome; passwords stay out of the journal."""
    guard.refused.clear()
    try:
        url = URL(call.url)
    except ValueError:
        portal.journal.record_webhook(call, "not called: this is no URL")
        return
    outcome = await _outcome(session, url, call.body)
    if guard.refused and not outcome.isdigit():
        outcome = (
            f"not called: {url.host} is {', '.join(sorted(guard.refused))}, which is no loopback "
            f'address; --webhooks {ANYWHERE}, or webhooks="{ANYWHERE}" in Python, allows it'
        )
    shown = url.with_password("***") if url.password else url
    portal.journal.record_webhook(replace(call, url=str(shown)), outcome)


async def _outcome(session: ClientSession, url: URL, body: bytes | None) -> str:
    """Call a URL, and return the status of its answer, or the name of the error."""
    if url.scheme not in {"http", "https"} or not url.host:
        return "not called: a webhook has an http or https URL"
    method = "GET" if body is None else "POST"
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        async with session.request(
            method, url, data=body, headers=headers, allow_redirects=False
        ) as response:
            return str(response.status)
    except (ClientError, TimeoutError, OSError, ValueError) as err:
        return type(err).__name__


def _is_loopback(host: str) -> bool:
    """Return whether this is a loopback address, also one of IPv4 in the form of IPv6."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback

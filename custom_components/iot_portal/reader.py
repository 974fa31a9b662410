"""Reads the parts of one SIM that a poll is to read; a part that fails spoils no other."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from .account import IotPortalAccount
from .api import (
    IotPortalAuthenticationError,
    IotPortalError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    Session,
    Usage,
)
from .const import REFUSED_INTERVAL
from .context import SimContext
from .log import LOGGER
from .plan import poll_plan
from .reads import Part, SimReads

type PartRead[T] = Callable[[str], Coroutine[Any, Any, T]]


class SimReader:
    """Asks the portal about one SIM and remembers what it said, and what it refuses to say."""

    def __init__(self, sim: SimContext, account: IotPortalAccount) -> None:
        """Start with nothing known."""
        self._sim = sim
        self._account = account
        self._client = sim.client
        self.known = SimReads()
        # Of the last poll, but for what is read every few hours only.
        self.requests = 0

    @property
    def refused_routes(self) -> list[Part]:
        """Return what the portal refuses for this SIM and is not asked for at present."""
        now = dt_util.utcnow()
        return [part for part in self.known.refused_until if self.known.is_refused(part, now)]

    async def async_read(self) -> SimReads:
        """Read the parts that can have changed; usage or status decides about the SIM."""
        self.requests = 0
        now = dt_util.utcnow()
        usage = await self._unless_refused(Part.USAGE, self._client.get_usage)
        plan = poll_plan(self.known, now, usage)
        status = None if usage is None else usage.status
        if Part.STATUS in plan:
            status = await self._status(usage)
        if status is None and not usage:
            msg = "nothing is known of it"
            raise IotPortalNotFoundError(msg, status=200)
        session = self.known.session
        if Part.SESSION in plan:
            session = await self.async_part(Part.SESSION, self._session)
        device, device_read_at = self.known.device, self.known.device_read_at
        if Part.DEVICE in plan:
            device = await self.async_part(Part.DEVICE, self._client.get_device)
            device_read_at = now
        self.known = SimReads(
            status=status,
            usage=usage,
            session=session,
            device=device,
            device_read_at=device_read_at,
            refused_until=self.known.refused_until,
        )
        return self.known

    @callback
    def async_resume(self) -> None:
        """Recall what was read before Home Assistant was started, and tell the account what was refused."""
        self.known = self._account.reads.async_recall(self._sim.iccid)
        for part in self.refused_routes:
            self._account.async_note_route(self._sim.iccid, part, is_refused=True)

    def doubt(self) -> None:
        """Ask with the next poll also for what is refused, and for what is read every few hours only."""
        self.known = replace(self.known, device_read_at=None, refused_until={})

    async def async_part[T](self, part: Part, read: PartRead[T]) -> T | None:
        """Return a part, or None when it alone could not be read."""
        try:
            return await self._unless_refused(part, read)
        except IotPortalAuthenticationError:
            raise
        except IotPortalError as err:
            LOGGER.debug("A part of %s could not be read: %s", self._sim.title, err)
            return None

    async def _status(self, usage: Usage | None) -> str | None:
        """Return the status by itself, which some networks tell in this way only."""
        if usage:
            return await self.async_part(Part.STATUS, self._client.get_status)
        # Nothing else tells whether the SIM is there.
        self.requests += 1
        return await self._client.get_status(self._sim.iccid)

    async def _session(self, iccid: str) -> Session:
        """Return the last session; a SIM that the portal knows none of has an empty one.

        One that has ended stays the last one: it must not look new when the portal finds it again.
        """
        try:
            return await self._client.get_session(iccid)
        except IotPortalNotFoundError:
            known = self.known.session
            return Session() if known is None or known.is_open else known

    async def _unless_refused[T](self, part: Part, read: PartRead[T]) -> T | None:
        """Return what was read, or None where it is refused for this SIM; ask again daily."""
        now = dt_util.utcnow()
        if self.known.is_refused(part, now):
            return None
        if part is not Part.DEVICE:
            self.requests += 1
        try:
            answer = await read(self._sim.iccid)
        except IotPortalNotAvailableError:
            refused = {**self.known.refused_until, part: now + REFUSED_INTERVAL}
            self.known = replace(self.known, refused_until=refused)
            self._account.async_note_route(self._sim.iccid, part, is_refused=True)
            return None
        self._account.async_note_route(self._sim.iccid, part, is_refused=False)
        return answer

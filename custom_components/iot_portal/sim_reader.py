"""Reading a SIM: which endpoints are due, and asking them."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any

from homeassistant.util import dt as dt_util

from .api import (
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    Session,
    Usage,
)
from .clock import is_within
from .const import DEVICE_INTERVAL, LOGGER
from .models import Endpoint, SimData

type EndpointRead[T] = Callable[[str], Coroutine[Any, Any, T]]


def due_endpoints(known: SimData, now: datetime, usage: Usage | None) -> list[Endpoint]:
    """Return the endpoints to read after the usage, which is read first and decides about the others.

    `known` is from the poll before; `usage` is None where the portal refuses it.
    """
    may_have_changed = {
        Endpoint.STATUS: usage is None or usage.status is None,
        Endpoint.SESSION: _may_have_new_session(known, usage),
        Endpoint.DEVICE: known.device is None
        or known.device_read_at is None
        or not is_within(known.device_read_at, DEVICE_INTERVAL, now),
    }
    return [
        endpoint
        for endpoint, may in may_have_changed.items()
        if may and not known.is_refused(endpoint, now)
    ]


def _may_have_new_session(known: SimData, usage: Usage | None) -> bool:
    """Return whether the session may have changed: sessions are counted, and an open one can end."""
    return (
        known.session is None
        or known.session.is_open
        or known.usage is None
        or usage is None
        or usage.session_count is None
        or usage.session_count != known.usage.session_count
    )


class SimReader:
    """Reads one SIM once.

    `answered` and `refused` have the endpoints that were, also after a failed read. `requests` counts all but the
    one for the device, which is made every few hours only.
    """

    def __init__(self, client: IotPortalClient, iccid: str, known: SimData) -> None:
        """Start from what is known from the last read."""
        self._client = client
        self._iccid = iccid
        self._known = known
        self._now = dt_util.utcnow()
        self.answered: set[Endpoint] = set()
        self.refused: set[Endpoint] = set()
        self.requests = 0

    @property
    def refused_at(self) -> dict[Endpoint, datetime]:
        """Return when each endpoint was refused that is not asked at present."""
        return {
            endpoint: refused_at
            for endpoint, refused_at in self._known.refused_at.items()
            if self._known.is_refused(endpoint, self._now)
        } | dict.fromkeys(self.refused, self._now)

    async def async_read(self) -> SimData:
        """Read what is due, and return it with the rest of what is known.

        Raises IotPortalError when neither usage nor status can be read.
        """
        usage = await self._unless_refused(Endpoint.USAGE, self._client.get_usage)
        due = due_endpoints(self._known, self._now, usage)
        status = usage.status if usage is not None else None
        if Endpoint.STATUS in due:
            status = await self._read_status(usage)
        if status is None and not usage:
            msg = "nothing is known of it"
            raise IotPortalNotFoundError(msg, status=200)
        data = replace(self._known, status=status, usage=usage)
        if Endpoint.SESSION in due:
            session = await self.async_read_part(Endpoint.SESSION, self._read_session)
            data = replace(data, session=session)
        if Endpoint.DEVICE in due:
            device = await self.async_read_part(Endpoint.DEVICE, self._client.get_device)
            data = replace(data, device=device, device_read_at=self._now)
        return data

    async def async_read_part[T](self, endpoint: Endpoint, read: EndpointRead[T]) -> T | None:
        """Return what an endpoint answers, or None when it alone cannot be read."""
        try:
            return await self._unless_refused(endpoint, read)
        except IotPortalAuthenticationError:
            raise
        except IotPortalError as err:
            LOGGER.debug("%s of %s could not be read: %s", endpoint, self._iccid, err)
            return None

    async def _read_status(self, usage: Usage | None) -> str | None:
        """Return the status by itself, which some networks report in this way only."""
        if usage:
            return await self.async_read_part(Endpoint.STATUS, self._client.get_status)
        # Nothing else tells whether the SIM exists, so a failure is one of the whole read.
        self.requests += 1
        return await self._client.get_status(self._iccid)

    async def _read_session(self, iccid: str) -> Session:
        """Return the last session; one without data if the portal knows none.

        One that has ended stays the last one: it must not look new when the portal finds it again.
        """
        try:
            return await self._client.get_session(iccid)
        except IotPortalNotFoundError:
            known = self._known.session
            return Session() if known is None or known.is_open else known

    async def _unless_refused[T](self, endpoint: Endpoint, read: EndpointRead[T]) -> T | None:
        """Return what an endpoint answers, or None while it is refused."""
        if self._known.is_refused(endpoint, self._now):
            return None
        if endpoint is not Endpoint.DEVICE:
            self.requests += 1
        try:
            answer = await read(self._iccid)
        except IotPortalNotAvailableError:
            self.refused.add(endpoint)
            return None
        self.answered.add(endpoint)
        return answer

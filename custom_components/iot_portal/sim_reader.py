"""Reading a SIM: which endpoints are due, and asking them."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any

from homeassistant.util import dt as dt_util

from .api import (
    IotPortalAuthenticationError,
    IotPortalBusyError,
    IotPortalClient,
    IotPortalError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalResponseError,
    Session,
    Usage,
)
from .clock import is_within
from .const import DEVICE_INTERVAL, LOGGER
from .evidence import EndpointFailure
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
        if may and known.is_due(endpoint, now)
    ]


def _may_have_new_session(known: SimData, usage: Usage | None) -> bool:
    """Return whether the session may have changed: sessions are counted, and an open one can end."""
    return (
        known.session is None
        or known.session.is_open is not False
        or known.usage is None
        or usage is None
        or usage.session_count is None
        or usage.session_count != known.usage.session_count
    )


class SimReader:
    """Reads one SIM once.

    `answered` has the endpoints that were, `failures` the errors of the others, also after a failed read. `requests`
    counts all but the one for the device, which is made every few hours only.
    """

    def __init__(self, client: IotPortalClient, iccid: str, known: SimData) -> None:
        """Start from what is known from the last read."""
        self._client = client
        self._iccid = iccid
        self._known = known
        self._now = dt_util.utcnow()
        self.answered: set[Endpoint] = set()
        self.failures: dict[Endpoint, IotPortalError] = {}
        self.requests = 0

    def failing(self, *, is_sim_read: bool) -> dict[Endpoint, EndpointFailure]:
        """Return the endpoints that fail now; weak evidence counts only if the rest of the SIM could be read."""
        failing = {e: f for e, f in self._known.failing.items() if e not in self.answered}
        for endpoint, err in self.failures.items():
            is_strong_refusal = isinstance(err, IotPortalNotAvailableError) and err.is_strong
            if is_strong_refusal or is_sim_read:
                failing[endpoint] = self._failure(endpoint, err)
        return failing

    def _failure(self, endpoint: Endpoint, err: IotPortalError) -> EndpointFailure:
        """Return the failure of an endpoint, with what is known of it from before."""
        is_refusal = isinstance(err, IotPortalNotAvailableError)
        is_strong = isinstance(err, IotPortalResponseError) and err.is_strong
        if (before := self._known.failing.get(endpoint)) is not None:
            return before.again(self._now, is_refusal=is_refusal, is_strong=is_strong)
        return EndpointFailure(
            since=self._now,
            last=self._now,
            is_refusal=is_refusal,
            is_strong=is_strong,
            has_worked=self._known.has_part(endpoint),
        )

    async def async_read(self) -> SimData:
        """Read what is due, and return it with the rest of what is known.

        Raises IotPortalError when neither usage nor status can be read.
        """
        usage = await self._unless_refused(
            Endpoint.USAGE, partial(self._client.get_usage, known=self._known.usage)
        )
        due = due_endpoints(self._known, self._now, usage)
        status = usage.status if usage is not None else None
        if Endpoint.STATUS in due:
            status = await self._read_status(usage)
        if status is None and not usage:
            msg = "nothing is known of it"
            raise IotPortalNotFoundError(msg, status=200)
        data = self._known.with_parts(status=status, usage=usage)
        if Endpoint.SESSION in due:
            session = await self.async_read_part(Endpoint.SESSION, self._read_session)
            data = data.with_parts(session=session)
        if Endpoint.DEVICE in due:
            device = await self.async_read_part(Endpoint.DEVICE, self._client.get_device)
            data = data.with_parts(device=device, device_read_at=self._now)
        return data

    async def async_read_part[T](self, endpoint: Endpoint, read: EndpointRead[T]) -> T | None:
        """Return what an endpoint answers, or None when it alone cannot be read."""
        try:
            return await self._unless_refused(endpoint, read)
        except IotPortalAuthenticationError, IotPortalBusyError:
            # They concern every endpoint.
            raise
        except IotPortalError as err:
            LOGGER.debug("%s of %s could not be read: %s", endpoint, self._iccid, err)
            self.failures[endpoint] = err
            self.requests += err.attempts - 1
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
        known = self._known.session
        try:
            return await self._client.get_session(iccid, known)
        except IotPortalNotFoundError:
            return known if known is not None and known.is_open is False else Session()

    async def _unless_refused[T](self, endpoint: Endpoint, read: EndpointRead[T]) -> T | None:
        """Return what an endpoint answers, or None while it is refused or not asked again yet."""
        if not self._known.is_due(endpoint, self._now):
            return None
        if endpoint is not Endpoint.DEVICE:
            self.requests += 1
        try:
            answer = await read(self._iccid)
        except IotPortalNotAvailableError as err:
            self.failures[endpoint] = err
            return None
        self.answered.add(endpoint)
        return answer

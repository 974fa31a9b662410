"""Requests for another status of a SIM: recorded before they are sent, sent once, followed to their end."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from homeassistant.core import Context, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from .api import IotPortalError, IotPortalNotAvailableError, SimStatus
from .api.pacing import Priority, priority
from .clock import elapsed_since
from .const import DOMAIN, LOGGER
from .errors import status_name
from .follow_up import QUICK_CHECKS, FollowUp, TrackedSim, may_have_been_sent
from .issues import Issue, async_clear_issue, async_raise_issue
from .models import SimEvent, SimEventType, StatusRequest, normalize_status
from .storage import PendingWritesStore


class StatusRequests:
    """Requests statuses of one SIM, and publishes their outcome."""

    def __init__(self, sim: TrackedSim) -> None:
        """Start with what an earlier run has left."""
        self._sim = sim
        # A person may request another status before this one is resumed.
        self._left_over = sim.data.writes.status_request
        self._follow_up: FollowUp | None = None
        self._has_stopped = False

    @callback
    def async_resume(self) -> None:
        """Resume what was pending when Home Assistant stopped."""
        request = self._left_over
        if request is None:
            return
        if not request.is_overdue:
            self.async_follow(request)
        elif request is self._sim.data.writes.status_request:
            self._raise_issue(request)

    @callback
    def async_stop(self) -> None:
        """Stop checking, also after a request still under way; what is pending stays stored."""
        self._has_stopped = True
        self._stop_follow_up()

    async def async_request(self, status: str, context: Context | None = None) -> None:
        """Request a status, and check whether it is there already."""
        hass = self._sim.hass
        # By name, and by the word that the action takes.
        known = ", ".join(f"{status_name(hass, each)} ({each.lower()})" for each in SimStatus)
        async with tracked_request([self], status, self._sim.pending_writes, context=context):
            with self._sim.translated_errors(
                otherwise="status_refused", status=status_name(hass, status), known=known
            ):
                await self._sim.client.request_status_change(self._sim.iccid, status)
        # The request has been answered; a read that hangs must not delay the caller.
        self._sim.config_entry.async_create_background_task(
            self._sim.hass, self.async_check(), f"{DOMAIN} check of a status request"
        )

    async def async_edit_device(
        self, changes: Mapping[str, Any], context: Context | None = None
    ) -> object:
        """Change fields of the SIM and return the portal's answer; a status among them is followed."""
        status = requested_status(changes)
        async with tracked_request([self], status, self._sim.pending_writes, context=context):
            with self._sim.translated_errors():
                return await self._sim.client.edit_device(self._sim.iccid, changes)

    async def async_check(self) -> None:
        """Read the status, or the whole SIM where the portal does not report the status by itself."""
        try:
            with priority(Priority.CONFIRMATION):
                status = await self._sim.client.get_status(self._sim.iccid)
        except IotPortalNotAvailableError:
            await self._sim.async_read_soon()
        except IotPortalError as err:
            LOGGER.debug("The status of %s could not be read: %s", self._sim.iccid, err)
        else:
            if status is not None:
                self._sim.async_set_status(status)

    @callback
    def async_confirm(self, status: str | None) -> bool:
        """End the request for a status that was read; return whether it was confirmed in time."""
        request = self._sim.data.writes.status_request
        if request is None or not request.is_met_by(status):
            return False
        self._stop_follow_up()
        self._clear_issue()
        self._replace(None, request.context)
        if request.is_overdue:
            return False
        self._publish(SimEventType.STATUS_CHANGE_CONFIRMED, request, to=status)
        return True

    @callback
    def async_record(
        self, status: str, *, in_bulk: bool, context: Context | None = None
    ) -> StatusRequest:
        """Record a request that is about to be sent, with the one that it replaces."""
        self._sim.async_recall()
        writes = self._sim.data.writes
        request = StatusRequest(
            status=status,
            previous=self._sim.data.last_known_status,
            requested_at=dt_util.utcnow(),
            in_bulk=in_bulk,
            replaces=writes.status_request,
            context=context,
        )
        self._stop_follow_up()
        writes.status_request = request
        return request

    @callback
    def async_follow(self, request: StatusRequest) -> None:
        """Follow a request that was sent, instead of the one before it."""
        self._clear_issue()
        before = request.replaces
        # A poll may have read the status before the request was answered, or a person requested another.
        if (pending := self._sim.data.writes.status_request) is not None:
            if pending.is_same(request):
                before = pending.replaces
            self._replace(
                pending.changed(request, lambda sent: replace(sent, replaces=None)), request.context
            )
            if pending.is_same(request):
                self._start_follow_up(replace(pending, replaces=None))
        self._end_replaced(before, request)

    @callback
    def async_roll_back(self, request: StatusRequest) -> None:
        """Return to the request before one that was refused or not sent."""
        pending = self._sim.data.writes.status_request
        if pending is None or not pending.contains(request):
            # One that was requested later was answered first.
            self._end_replaced(request.replaces, pending or request)
            return
        self._replace(pending.changed(request, lambda refused: refused.replaces), request.context)
        awaited = self._sim.data.writes.awaited_status
        if pending.is_same(request) and awaited is not None:
            self._start_follow_up(awaited)

    def _end_replaced(self, before: StatusRequest | None, by: StatusRequest) -> None:
        """Publish the end of a request that another replaced before it was fulfilled."""
        if before is not None and not before.is_overdue and not before.is_met_by(by.status):
            ended = replace(before, context=by.context)
            self._publish(SimEventType.STATUS_CHANGE_REPLACED, ended, replaced_by=by.status)

    def _replace(self, request: StatusRequest | None, context: Context | None) -> None:
        """Replace the pending request, because of a call with that context."""
        self._sim.data.writes.status_request = request
        self._sim.async_writes_changed(context)

    def _start_follow_up(self, request: StatusRequest) -> None:
        """Check the status until it is the requested one; requests in bulk are left to the polls."""
        self._stop_follow_up()
        if self._has_stopped:
            return
        self._follow_up = FollowUp(
            self._sim,
            request.requested_at,
            checks=() if request.in_bulk else QUICK_CHECKS,
            check=self.async_check,
            give_up=partial(self._give_up, request),
        )

    def _stop_follow_up(self) -> None:
        """Stop checking the status."""
        if self._follow_up is not None:
            self._follow_up.stop()

    def _give_up(self, request: StatusRequest) -> None:
        """Publish that the portal never reported the status."""
        self._raise_issue(request)
        # It stays stored, but who requested it is shown only now.
        self._replace(replace(request, is_overdue=True, context=None), request.context)
        self._publish(
            SimEventType.STATUS_CHANGE_TIMED_OUT, request, still=self._sim.data.last_known_status
        )

    def _raise_issue(self, request: StatusRequest) -> None:
        """Create the repair issue for a status that the portal never reported."""
        async_raise_issue(
            self._sim.hass,
            Issue.STATUS_CHANGE_TIMED_OUT,
            self._sim.config_entry.entry_id,
            self._sim.subentry.subentry_id,
            {
                "sim": self._sim.title,
                "status": status_name(self._sim.hass, request.status),
                "requested_at": dt_util.as_local(request.requested_at).strftime("%Y-%m-%d %H:%M"),
            },
        )

    def _clear_issue(self) -> None:
        """Clear that repair issue."""
        async_clear_issue(
            self._sim.hass,
            Issue.STATUS_CHANGE_TIMED_OUT,
            self._sim.config_entry.entry_id,
            self._sim.subentry.subentry_id,
        )

    def _publish(
        self, event_type: SimEventType, request: StatusRequest, **statuses: str | None
    ) -> None:
        """Publish the outcome of a request."""
        self._sim.events.async_publish(
            SimEvent(
                event_type=event_type,
                attributes={
                    "from": normalize_status(request.previous),
                    "requested_status": normalize_status(request.status),
                    "requested_at": request.requested_at,
                    "took_seconds": round(elapsed_since(request.requested_at).total_seconds()),
                    **{name: normalize_status(status) for name, status in statuses.items()},
                },
                context=request.context,
            )
        )


def requested_status(changes: Mapping[str, Any]) -> str | None:
    """Return the status that changes of a SIM request, if that is certain: one word under the portal's own name."""
    status = changes.get("status")
    return status if isinstance(status, str) else None


@asynccontextmanager
async def tracked_request(
    sims: Iterable[StatusRequests],
    status: str | None,
    store: PendingWritesStore,
    *,
    in_bulk: bool = False,
    context: Context | None = None,
) -> AsyncIterator[None]:
    """Record the request for a status on the disk before it is sent; follow it unless it was not carried out."""
    recorded = (
        []
        if status is None
        else [
            (sim, sim.async_record(str(status), in_bulk=in_bulk, context=context)) for sim in sims
        ]
    )
    was_sent = False
    try:
        await store.async_save_request()
        was_sent = True
        yield
    except (HomeAssistantError, asyncio.CancelledError) as err:
        was_sent = may_have_been_sent(err)
        raise
    finally:
        for sim, request in recorded:
            if was_sent:
                sim.async_follow(request)
            else:
                sim.async_roll_back(request)

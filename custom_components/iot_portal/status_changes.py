"""Status changes of a SIM: asked for once, on the disk before on the wire, followed to their end."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from .api import IotPortalError, IotPortalNotAvailableError, SimStatus
from .api.pacing import Priority, priority
from .context import SimContext
from .happenings import Happening, Happenings, Lifecycle
from .issues import Issue, async_clear_issue, async_raise_issue
from .log import LOGGER
from .pursuit import QUICK_LOOKS, Look, Pursuit, is_outcome_unknown, seconds_since
from .sim import StatusChange, shown_status
from .store import AccountMemory


class StatusChanges:
    """Asks for statuses of one SIM and tells when they are there."""

    def __init__(
        self,
        sim: SimContext,
        happenings: Happenings,
        *,
        current: Callable[[], str | None],
        take_status: Callable[[str], None],
        read_all: Look,
        show: Callable[[], None],
    ) -> None:
        """Work for whoever reads the SIM: it tells the current status and takes the one that was read."""
        self._sim = sim
        self._happenings = happenings
        self._current = current
        self._take_status = take_status
        self._read_all = read_all
        self._show = show
        # A person may ask for another before this one is gone on with.
        self._left_over = sim.memory.change
        self._pursuit: Pursuit | None = None
        self._has_stopped = False

    @property
    def pending(self) -> StatusChange | None:
        """Return the change that is waited for."""
        change = self._sim.memory.change
        return None if change is None or change.is_overdue else change

    @callback
    def async_resume(self) -> None:
        """Go on with what was under way when Home Assistant ended."""
        change = self._left_over
        if change is None or change is not self._sim.memory.change:
            return
        if change.is_overdue:
            self._ask_for_a_person(change)
        else:
            self.async_follow(change)

    @callback
    def async_stop(self) -> None:
        """Look no more, not even after a request that is still under way; what is waited for stays in memory."""
        self._has_stopped = True
        self._stop_looking()

    async def async_request(self, status: str) -> None:
        """Ask for another status, and look whether it is there already."""
        known = ", ".join(SimStatus)
        async with followed([self], status, self._sim.account_memory):
            with self._sim.translated_errors(
                otherwise="status_refused", status=status, known=known
            ):
                await self._sim.client.request_status_change(self._sim.iccid, status)
        await self.async_look()

    async def async_edit(self, changes: Mapping[str, Any]) -> object:
        """Change fields of the SIM and return the portal's answer; a status among them is followed."""
        async with followed([self], changes.get("status"), self._sim.account_memory):
            with self._sim.translated_errors():
                return await self._sim.client.edit_device(self._sim.iccid, changes)

    @callback
    def async_note(self, before: str | None, status: str | None) -> None:
        """Compare a status that was read with the one before and with what was asked for."""
        change = self._sim.memory.change
        if change is not None and change.is_met_by(status):
            self._stop_looking()
            self._sim.memory.change = None
            self._sim.account_memory.async_save_soon()
            self._take_repair_back()
            if not change.is_overdue:
                self._tell(Lifecycle.STATUS_CHANGE_CONFIRMED, change, to=status)
                return
        if None not in (before, status) and before != status:
            self._happenings.async_tell(
                Happening(
                    event=Lifecycle.STATUS_CHANGED,
                    attributes={"from": shown_status(before), "to": shown_status(status)},
                )
            )

    async def async_look(self) -> None:
        """Read the status, and everything where the portal does not tell the status alone."""
        try:
            with priority(Priority.CONFIRMATION):
                status = await self._sim.client.get_status(self._sim.iccid)
        except IotPortalNotAvailableError:
            await self._read_all()
        except IotPortalError as err:
            LOGGER.debug("The status of %s could not be read: %s", self._sim.title, err)
        else:
            if status is not None:
                self._take_status(status)

    @callback
    def async_ask(self, status: str, *, in_bulk: bool = False) -> StatusChange:
        """Keep in mind that a status is asked for, and what was waited for until then."""
        before = self._sim.memory.change
        change = StatusChange(
            status=status,
            previous=self._current(),
            requested_at=dt_util.utcnow(),
            in_bulk=in_bulk,
            replaces=before and replace(before, replaces=None),
        )
        self._stop_looking()
        self._sim.memory.change = change
        return change

    @callback
    def async_follow(self, change: StatusChange) -> None:
        """Follow what was asked for from now on, instead of what was before."""
        self._take_repair_back()
        # A poll can have seen the status while its request was still under way, or a person asked for another.
        if self._sim.memory.change is change:
            self._sim.memory.change = replace(change, replaces=None)
            self._sim.account_memory.async_save_soon()
            self._pursue(self._sim.memory.change)
        self._show()
        before, status = change.replaces, change.status
        if before is not None and not before.is_overdue and not before.is_met_by(status):
            self._tell(Lifecycle.STATUS_CHANGE_SUPERSEDED, before, superseded_by=status)

    @callback
    def async_take_back(self, change: StatusChange) -> None:
        """Go on with what was before, because the portal has refused what was asked for."""
        if self._sim.memory.change is not change:
            return
        self._sim.memory.change = change.replaces
        self._sim.account_memory.async_save_soon()
        if self.pending is not None:
            self._pursue(self.pending)

    def _pursue(self, change: StatusChange) -> None:
        """Look for a status until it is there; the polls do it for many SIMs, one by one would cost too much."""
        if self._has_stopped:
            return
        self._pursuit = Pursuit(
            self._sim,
            change.requested_at,
            looks=() if change.in_bulk else QUICK_LOOKS,
            look=self.async_look,
            give_up=partial(self._give_up, change),
        )

    def _stop_looking(self) -> None:
        """Look for a status no more."""
        if self._pursuit is not None:
            self._pursuit.stop()
            self._pursuit = None

    def _give_up(self, change: StatusChange) -> None:
        """Say that a status has not come in all the time."""
        self._stop_looking()
        self._sim.memory.change = replace(change, is_overdue=True)
        self._sim.account_memory.async_save_soon()
        self._ask_for_a_person(change)
        self._show()
        self._tell(Lifecycle.STATUS_CHANGE_TIMED_OUT, change, still=self._current())

    def _ask_for_a_person(self, change: StatusChange) -> None:
        """Raise a repair because a status has not come."""
        async_raise_issue(
            self._sim.hass,
            Issue.STATUS_CHANGE_TIMED_OUT,
            self._sim.entry.entry_id,
            self._sim.subentry.subentry_id,
            {
                "sim": self._sim.title,
                "status": change.status,
                "requested_at": dt_util.as_local(change.requested_at).strftime("%Y-%m-%d %H:%M"),
            },
        )

    def _take_repair_back(self) -> None:
        """Clear that repair, if there is one."""
        async_clear_issue(
            self._sim.hass,
            Issue.STATUS_CHANGE_TIMED_OUT,
            self._sim.entry.entry_id,
            self._sim.subentry.subentry_id,
        )

    def _tell(self, event: Lifecycle, change: StatusChange, **statuses: str | None) -> None:
        """Tell what became of a change, and in which statuses that is."""
        self._happenings.async_tell(
            Happening(
                event=event,
                attributes={
                    "from": shown_status(change.previous),
                    "requested_status": shown_status(change.status),
                    "requested_at": change.requested_at,
                    "took_seconds": seconds_since(change.requested_at),
                    **{name: shown_status(status) for name, status in statuses.items()},
                },
            )
        )


@asynccontextmanager
async def followed(
    sims: Iterable[StatusChanges],
    status: object | None,
    memory: AccountMemory,
    *,
    in_bulk: bool = False,
) -> AsyncIterator[None]:
    """Have on the disk that a status is asked for, before it is; follow it unless it is refused."""
    asked = (
        []
        if status is None
        else [(sim, sim.async_ask(str(status), in_bulk=in_bulk)) for sim in sims]
    )
    await memory.async_save()
    was_refused = False
    try:
        yield
    except HomeAssistantError as err:
        was_refused = not is_outcome_unknown(err)
        raise
    finally:
        for sim, change in asked:
            if was_refused:
                sim.async_take_back(change)
            else:
                sim.async_follow(change)

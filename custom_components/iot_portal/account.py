"""What the SIMs of an account share: whether the portal is reachable, and their sums."""

import asyncio
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator
from homeassistant.util import dt as dt_util

from .account_names import async_name_account
from .api import (
    Device,
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalError,
    IotPortalNotFoundError,
    is_activated,
)
from .api.pacing import PauseReason
from .const import CONF_POLL_INTERVAL, DEFAULT_POLL_INTERVAL, DOMAIN, LOGGER
from .errors import error_kind
from .event_feed import ACCOUNT_EVENT, EventFeed
from .evidence import ENOUGH_MISSING, MISSING_ALONE_FOR, MISSING_FOR, WeakEvidence
from .follow_up import TrackedSim
from .issues import Issue, async_clear_issue, async_raise_issue
from .models import Endpoint
from .outages import OUTAGES, is_portal_failure
from .poll_schedule import PollSchedule
from .reauthentication import async_record_login, async_record_refused_login
from .storage import HistoryStore, PendingWritesStore, SnapshotStore

# The portal counts as unreachable when so many SIMs in a row cannot be read, or all where there are fewer.
UNREACHABLE_SIMS: Final = 3
# A single SIM is logged when it fails again while others can be read.
LOGGED_FAILURE: Final = 2
# One such answer may be a mishap of the portal; the next comes a whole poll later.
POLLS_UNTIL_GONE: Final = 2
# Home Assistant takes 10,000 enabled entities of an account: the SIMs of a larger fleet start with fewer each.
LARGE_FLEET: Final = 100
# So many reads begin in one turn of the event loop; a thousand at once would hold up everything else.
READS_PER_TURN: Final = 10
# A fleet is read SIM by SIM; the sums are updated once for all that are read within these seconds.
UPDATE_DELAY: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """A pause that the portal asked for: nothing is sent for the account until it ends."""

    until: datetime
    reason: PauseReason


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountData:
    """An account at a glance; `data_used` is bytes since the billing cycle of each SIM began."""

    sims: int = 0
    sims_active: int = 0
    data_used: int | None = None
    requests_per_hour: int = 0
    is_connected: bool = True
    pause: Pause | None = None


@dataclass(kw_only=True, slots=True)
class SimFailures:
    """The failures of a SIM since it was last read."""

    while_reachable: int = 0
    missing: int = 0
    doubtfully_missing: WeakEvidence = field(default_factory=WeakEvidence)
    is_portal_failure: bool = False


def is_large_fleet(sims: Sized) -> bool:
    """Return whether there are too many SIMs for each to have all entities."""
    return len(sims) > LARGE_FLEET


class IotPortalAccount(DataUpdateCoordinator[AccountData]):
    """Sums up an account and notices when the portal is unreachable; it makes no requests."""

    config_entry: ConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        client: IotPortalClient,
        *,
        pending_writes: PendingWritesStore,
        snapshots: SnapshotStore,
        histories: HistoryStore,
        sims: Mapping[str, TrackedSim],
    ) -> None:
        """Start connected, as the account has just logged in. `sims` is a live view of the tracked SIMs."""
        self.client = client
        self.pending_writes = pending_writes
        self.snapshots = snapshots
        self.histories = histories
        self.schedule = PollSchedule(wanted=_wanted_interval(entry), pacer=client.pacer)
        self.events = EventFeed[ConfigEntry](hass, entry, ACCOUNT_EVENT)
        self._outages = hass.data[OUTAGES]
        self.last_error: str | None = None
        self.is_connected = True
        self._sims = sims
        self._last_read_at: datetime | None = None
        self._unreachable_sims: set[str] = set()
        self._failures: dict[str, SimFailures] = {}
        self._allowed_endpoints: set[Endpoint] = set()
        self._reported_interval: float | None = None
        self._cancel_update: CALLBACK_TYPE | None = None
        self._pause: Pause | None = None
        self._cancel_pause_end: CALLBACK_TYPE | None = None
        self._turn = asyncio.Semaphore(READS_PER_TURN)
        super().__init__(hass, LOGGER, config_entry=entry, name=f"{DOMAIN} {entry.title}")
        self.data = AccountData()
        entry.async_on_unload(self._async_cancel_update)
        entry.async_on_unload(client.pacer.listen_to_pauses(self._async_pause_changed))
        entry.async_on_unload(self._async_forget_pause)
        self._async_keep_pause()

    @property
    def is_large(self) -> bool:
        """Return whether SIMs have fewer entities unless a person asks for all details."""
        # Not the tracked SIMs: of many that are added together, each has to count all.
        return is_large_fleet(self.config_entry.subentries)

    @callback
    def async_apply_options(self) -> None:
        """Apply options that the user has changed; the repair issue names some of them."""
        self.schedule.wanted = _wanted_interval(self.config_entry)
        self._reported_interval = None

    @callback
    def async_add_sim(self, iccid: str) -> None:
        """Add a SIM to the schedule."""
        self.schedule.add(iccid)
        # Its first success clears the issues that an earlier set-up may have left.
        self._failures[iccid] = SimFailures()

    @callback
    def async_remove_sim(self, iccid: str) -> None:
        """Forget a SIM that was removed."""
        self._unreachable_sims.discard(iccid)
        self._failures.pop(iccid, None)
        self.pending_writes.async_forget(iccid)
        self.snapshots.async_forget(iccid)
        self.histories.async_forget(iccid)
        self.schedule.remove(iccid)

    @callback
    def async_stop_saving(self) -> None:
        """Schedule no more saves of the files of the account."""
        for store in (self.pending_writes, self.snapshots, self.histories):
            store.async_stop_saving()

    async def async_close_stores(self) -> None:
        """Write the files of the account for the last time."""
        for store in (self.pending_writes, self.snapshots, self.histories):
            await store.async_close()

    def seconds_until_poll(self, sim: TrackedSim) -> float:
        """Return the seconds until the next poll of a SIM.

        One that fails while others can be read is asked less often; after an outage of the portal all return at once.
        """
        failures = self._failures.get(sim.iccid)
        return self.schedule.seconds_until_poll(
            sim.iccid,
            self.hass.loop.time(),
            failures=failures.while_reachable if failures else 0,
        )

    async def async_take_turn(self) -> None:
        """Wait for a turn of the event loop in which few other reads begin."""
        async with self._turn:
            await asyncio.sleep(0)

    @callback
    def async_name_after(self, device: Device | None) -> None:
        """Name the account after what the portal reports, if the user has not named it."""
        if device is not None:
            async_name_account(self.hass, self.config_entry, device)

    @callback
    def async_record_success(self, sim: TrackedSim) -> bool:
        """Record that a SIM was read; return whether its last failure was one of the portal."""
        self._record_answer()
        self._last_read_at = dt_util.utcnow()
        if (failures := self._failures.pop(sim.iccid, None)) is None:
            return False
        async_clear_issue(
            self.hass, Issue.SIM_GONE, self.config_entry.entry_id, sim.subentry.subentry_id
        )
        if failures.is_portal_failure and failures.while_reachable >= LOGGED_FAILURE:
            LOGGER.info("%s can be read again", sim.title)
        return failures.is_portal_failure

    @callback
    def async_record_failure(self, sim: TrackedSim, err: IotPortalError) -> bool:
        """Record that a SIM could not be read; return whether that is a failure of the portal.

        Such a failure is logged here, once for the account instead of once for each SIM.
        """
        self.last_error = error_kind(err)
        failures = self._failures.setdefault(sim.iccid, SimFailures())
        failures.is_portal_failure = is_portal_failure(err)
        if failures.is_portal_failure:
            self._record_unreachable(sim, err)
        else:
            self._record_answer()
        if self.is_connected:
            failures.while_reachable += 1
            if failures.is_portal_failure and failures.while_reachable == LOGGED_FAILURE:
                LOGGER.warning("%s cannot be read, while others can: %s", sim.title, err)
        if isinstance(err, IotPortalNotFoundError):
            self._record_missing(sim, failures, err)
        if isinstance(err, IotPortalAuthenticationError) and not err.is_strong:
            async_record_refused_login(self.hass, self.config_entry, err)
        return failures.is_portal_failure

    def _record_unreachable(self, sim: TrackedSim, err: IotPortalError) -> None:
        """Record a failure of the portal; it is unreachable when enough SIMs in a row cannot be read."""
        self._unreachable_sims.add(sim.iccid)
        is_refused = isinstance(err, IotPortalAuthenticationError)
        enough = min(UNREACHABLE_SIMS, len(self._sims))
        if self.is_connected and (is_refused or len(self._unreachable_sims) >= enough):
            self.is_connected = False
            LOGGER.error("No SIM of %s can be read: %s", self.config_entry.title, err)
            self._outages.async_begin(self.config_entry)
        self.async_schedule_update()

    def _record_answer(self) -> None:
        """Record that the portal answered, whatever it said."""
        self._unreachable_sims.clear()
        # It may have begun before a restart.
        self._outages.async_end(self.config_entry)
        if not self.is_connected:
            self.is_connected = True
            async_record_login(self.hass, self.config_entry)
            LOGGER.info("The IoT Portal answers again for %s", self.config_entry.title)
        self.async_schedule_update()

    def _record_missing(
        self, sim: TrackedSim, failures: SimFailures, err: IotPortalNotFoundError
    ) -> None:
        """Create the repair issue for a SIM that the portal does not know, poll after poll."""
        if err.is_strong:
            failures.missing += 1
        else:
            failures.doubtfully_missing.add(dt_util.utcnow())
        if failures.missing >= POLLS_UNTIL_GONE or self._is_gone(failures.doubtfully_missing):
            async_raise_issue(
                self.hass,
                Issue.SIM_GONE,
                self.config_entry.entry_id,
                sim.subentry.subentry_id,
                {"sim": sim.title, "account": self.config_entry.title},
            )
            sim.async_record_gone()

    def _is_gone(self, missing: WeakEvidence) -> bool:
        """Return whether weak evidence that a SIM is missing is believed: others could be read meanwhile."""
        now = dt_util.utcnow()
        if len(self._sims) == 1:
            return missing.is_enough(ENOUGH_MISSING, MISSING_ALONE_FOR, now)
        if (
            missing.since is None
            or self._last_read_at is None
            or self._last_read_at < missing.since
        ):
            return False
        return missing.is_enough(ENOUGH_MISSING, MISSING_FOR, now)

    @callback
    def async_record_endpoints(
        self, answered: Iterable[Endpoint], failing: Iterable[Endpoint]
    ) -> None:
        """Record which endpoints the portal answered for a SIM, and which failed."""
        for endpoint in answered:
            if endpoint not in self._allowed_endpoints:
                self._allowed_endpoints.add(endpoint)
                async_clear_issue(
                    self.hass, Issue.ROUTE_REFUSED, self.config_entry.entry_id, endpoint
                )
        for endpoint in failing:
            if self._is_refused_for_all(endpoint):
                self._allowed_endpoints.discard(endpoint)
                async_raise_issue(
                    self.hass,
                    Issue.ROUTE_REFUSED,
                    self.config_entry.entry_id,
                    endpoint,
                    {"account": self.config_entry.title, "route": endpoint},
                )

    def _is_refused_for_all(self, endpoint: Endpoint) -> bool:
        """Return whether the portal refuses an endpoint for every SIM."""
        return all(sim.data.is_refused(endpoint) for sim in self._sims.values())

    @callback
    def async_schedule_update(self) -> None:
        """Update the sums in a moment, once for all that is recorded until then."""
        if self._cancel_update is None:
            job = HassJob(self.async_update, cancel_on_shutdown=True)
            self._cancel_update = async_call_later(self.hass, UPDATE_DELAY, job)

    @callback
    def async_update(self, *_: object) -> None:
        """Update the sums, and whether the interval is too short for the fleet."""
        self._async_cancel_update()
        self._update_interval_issue()
        data = self._sums()
        if data != self.data:
            self.async_set_updated_data(data)

    def _update_interval_issue(self) -> None:
        """Create or clear the stretched-interval repair issue."""
        interval = self.schedule.interval
        if interval == self._reported_interval:
            return
        self._reported_interval = interval
        entry = self.config_entry
        if not self.schedule.is_stretched:
            async_clear_issue(
                self.hass, Issue.INTERVAL_STRETCHED, entry.entry_id, CONF_POLL_INTERVAL
            )
            return
        async_raise_issue(
            self.hass,
            Issue.INTERVAL_STRETCHED,
            entry.entry_id,
            CONF_POLL_INTERVAL,
            {
                "account": entry.title,
                "sims": str(len(self._sims)),
                "wanted": f"{self.schedule.wanted / 60:g}",
                "interval": f"{interval / 60:g}",
                "rate": f"{self.client.pacer.full_rate:g}",
            },
        )

    @override
    async def _async_update_data(self) -> AccountData:
        """Return the sums as they are, to whoever requests an update."""
        return self._sums()

    def _sums(self) -> AccountData:
        """Return the sums over all SIMs."""
        known = [sim.data for sim in self._sims.values()]
        used = [data.data_used for data in known if data.data_used is not None]
        return AccountData(
            sims=len(known),
            sims_active=sum(is_activated(data.status) is True for data in known),
            data_used=sum(used) if used else None,
            requests_per_hour=self.client.pacer.requests_in_last_hour,
            is_connected=self.is_connected,
            pause=self._pause,
        )

    @callback
    def _async_pause_changed(self, *_: object) -> None:
        """Show the pause that has begun or ended."""
        self._async_keep_pause()
        self.async_update()

    @callback
    def _async_keep_pause(self) -> None:
        """Keep the pause of the pacer by the wall clock, and schedule an update at its end."""
        self._async_forget_pause()
        pacer = self.client.pacer
        seconds = pacer.seconds_paused
        if not seconds or pacer.pause_reason is None:
            return
        until = dt_util.utcnow() + timedelta(seconds=ceil(seconds))
        self._pause = Pause(until=until.replace(microsecond=0), reason=pacer.pause_reason)
        job = HassJob(self._async_pause_changed, cancel_on_shutdown=True)
        self._cancel_pause_end = async_call_later(self.hass, seconds, job)

    @callback
    def _async_forget_pause(self) -> None:
        """Forget the pause that has ended or changed."""
        self._pause = None
        if self._cancel_pause_end is not None:
            self._cancel_pause_end()
            self._cancel_pause_end = None

    @callback
    def _async_cancel_update(self) -> None:
        """Cancel the update that is scheduled."""
        if self._cancel_update is not None:
            self._cancel_update()
            self._cancel_update = None


def _wanted_interval(entry: ConfigEntry) -> float:
    """Return the user's poll interval in seconds."""
    minutes: float = entry.options.get(CONF_POLL_INTERVAL, DEFAULT_POLL_INTERVAL)
    return minutes * 60

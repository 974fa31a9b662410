"""What the SIMs of an account share: how the portal is doing for them, and what they come to together."""

from collections import Counter
from dataclasses import dataclass
from typing import Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .api import (
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalConnectionError,
    IotPortalError,
    IotPortalLoginError,
    IotPortalRateLimitError,
    IotPortalResponseError,
    SimStatus,
)
from .const import CONF_POLL_INTERVAL, DEFAULT_POLL_INTERVAL, DOMAIN
from .context import SimContext
from .happenings import Happenings
from .issues import Issue, async_clear_issue, async_raise_issue
from .log import LOGGER
from .reads import AccountReads
from .schedule import PollSchedule
from .sim import SimData
from .store import AccountMemory

# The portal counts as away when so many SIMs in a row cannot be read, or all where there are fewer.
AWAY_AFTER: Final = 3
# A single SIM is only worth a line in the log when it fails again.
LONE_FAILURES: Final = 2
# Home Assistant takes 10,000 enabled entities of an account: the SIMs of a larger fleet start with fewer each.
LARGE_FLEET: Final = 100
# A fleet is read SIM by SIM; the sums are shown once for all that come within these seconds.
SHOW_DELAY: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountData:
    """An account at a glance; `data_used` is bytes since the billing cycle of each SIM began."""

    sims: int = 0
    sims_active: int = 0
    data_used: int | None = None
    requests_per_hour: int = 0
    is_connected: bool = True


class IotPortalAccount(DataUpdateCoordinator[AccountData]):
    """Keeps the sums of an account and notices when the portal goes away; it asks the portal nothing."""

    config_entry: ConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        client: IotPortalClient,
        memory: AccountMemory,
        reads: AccountReads,
    ) -> None:
        """Start without SIMs, connected: the account has just logged in."""
        self.client = client
        self.memory = memory
        self.reads = reads
        self.schedule = PollSchedule(
            wanted=entry.options.get(CONF_POLL_INTERVAL, DEFAULT_POLL_INTERVAL) * 60,
            rate=client.pacer.full_rate,
        )
        self.bulk_edits = Happenings()
        self.last_error: str | None = None
        self._is_connected = True
        self._active: set[str] = set()
        self._data_used: dict[str, int] = {}
        self._data_used_total = 0
        self._sims: set[str] = set()
        self._silent: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._refused: dict[str, set[str]] = {}
        self._working: set[str] = set()
        self._shown_interval: float | None = None
        self._show_later: CALLBACK_TYPE | None = None
        super().__init__(hass, LOGGER, config_entry=entry, name=f"{DOMAIN} {entry.title}")
        self.data = AccountData()
        entry.async_on_unload(self._async_cancel_show)

    @property
    def is_connected(self) -> bool:
        """Tell whether the portal is there, as far as the polls so far tell."""
        return self._is_connected

    @property
    def is_large(self) -> bool:
        """Tell whether there are so many SIMs that each has to do with fewer entities."""
        return len(self._sims) > LARGE_FLEET

    @callback
    def async_add_sim(self, iccid: str) -> None:
        """Count a SIM in."""
        self._sims.add(iccid)
        self.schedule.add(iccid)

    @callback
    def async_drop_sim(self, iccid: str) -> None:
        """Count a SIM out and forget what was kept of it."""
        self._sims.discard(iccid)
        self._silent.discard(iccid)
        self._failures.pop(iccid, None)
        self._active.discard(iccid)
        self._data_used_total -= self._data_used.pop(iccid, 0)
        for refused in self._refused.values():
            refused.discard(iccid)
        self.memory.async_forget(iccid)
        self.reads.async_forget(iccid)
        self.schedule.drop(iccid)

    @callback
    def async_note_data(self, iccid: str, data: SimData) -> None:
        """Take what is known of a SIM into the sums; nothing here grows with the number of SIMs."""
        if data.status == SimStatus.ACTIVATED:
            self._active.add(iccid)
        else:
            self._active.discard(iccid)
        if data.data_used is not None:
            self._data_used_total += data.data_used - self._data_used.get(iccid, 0)
            self._data_used[iccid] = data.data_used
        self._async_show_soon()

    @callback
    def async_note_success(self, sim: SimContext) -> None:
        """Note that a SIM was read."""
        if self._failures.pop(sim.iccid, 0) >= LONE_FAILURES:
            LOGGER.info("%s can be read again", sim.title)
        self._note_answer()

    @callback
    def async_note_failure(self, sim: SimContext, err: IotPortalError) -> bool:
        """Note that a SIM could not be read; tell whether that is for the account to log.

        What is wrong with the whole portal is logged once, not once for each SIM.
        """
        self.last_error = type(err).__name__.removeprefix("IotPortal").removesuffix("Error")
        if not _concerns_the_portal(err):
            self._note_answer()
            return False
        self._async_show_soon()
        self._silent.add(sim.iccid)
        if not self._is_connected:
            return True
        is_refused = isinstance(err, IotPortalAuthenticationError)
        if is_refused or len(self._silent) >= min(AWAY_AFTER, len(self._sims)):
            self._is_connected = False
            LOGGER.error("No SIM of %s can be read: %s", self.config_entry.title, err)
            return True
        self._failures[sim.iccid] += 1
        if self._failures[sim.iccid] == LONE_FAILURES:
            LOGGER.warning("%s cannot be read, while others can: %s", sim.title, err)
        return True

    def _note_answer(self) -> None:
        """Note that the portal is there, whatever it said."""
        self._silent.clear()
        if not self._is_connected:
            self._is_connected = True
            LOGGER.info("The IoT Portal answers again for %s", self.config_entry.title)
        self._async_show_soon()

    @callback
    def async_note_route(self, iccid: str, route: str, *, is_refused: bool) -> None:
        """Ask for a person when a route is refused for every SIM, until it works for one."""
        if iccid not in self._sims:
            # Removed while it was read.
            return
        refused = self._refused.setdefault(route, set())
        if not is_refused:
            refused.discard(iccid)
            if route not in self._working:
                self._working.add(route)
                async_clear_issue(self.hass, Issue.ROUTE_REFUSED, self.config_entry.entry_id, route)
            return
        refused.add(iccid)
        if len(refused) == len(self._sims):
            self._working.discard(route)
            async_raise_issue(
                self.hass,
                Issue.ROUTE_REFUSED,
                self.config_entry.entry_id,
                route,
                {"account": self.config_entry.title, "route": route},
            )

    @callback
    def _async_show_soon(self) -> None:
        """Show the sums in a moment, once for all that is noted until then."""
        if self._show_later is None:
            job = HassJob(self.async_show, cancel_on_shutdown=True)
            self._show_later = async_call_later(self.hass, SHOW_DELAY, job)

    @callback
    def async_show(self, *_: object) -> None:
        """Show the sums, where they changed."""
        self._async_cancel_show()
        self._async_tell_interval()
        data = self._sums()
        if data != self.data:
            self.async_set_updated_data(data)

    @callback
    def _async_tell_interval(self) -> None:
        """Ask for a person while the interval is too short for the fleet, and say what it is instead."""
        interval = self.schedule.interval
        if interval == self._shown_interval:
            return
        self._shown_interval = interval
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
        """Return the sums as they are, to whoever asks for an update."""
        return self._sums()

    def _sums(self) -> AccountData:
        """Return what has been noted."""
        return AccountData(
            sims=len(self._sims),
            sims_active=len(self._active),
            data_used=self._data_used_total if self._data_used else None,
            requests_per_hour=self.client.pacer.requests_in_last_hour,
            is_connected=self._is_connected,
        )

    @callback
    def _async_cancel_show(self) -> None:
        """Show nothing any more."""
        if self._show_later is not None:
            self._show_later()
            self._show_later = None


def _concerns_the_portal(err: IotPortalError) -> bool:
    """Tell whether an error says something of the portal as a whole, not of one SIM."""
    if isinstance(err, IotPortalConnectionError | IotPortalRateLimitError | IotPortalLoginError):
        return True
    return isinstance(err, IotPortalAuthenticationError) or (
        # An error of the server, or an answer that is not the portal's.
        type(err) is IotPortalResponseError and (err.status >= 500 or err.status == 200)  # noqa: PLR2004
    )

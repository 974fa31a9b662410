"""Coordinators of the IoT Portal integration: one for each SIM."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, override

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.update_coordinator import (
    REQUEST_REFRESH_DEFAULT_COOLDOWN,
    REQUEST_REFRESH_DEFAULT_IMMEDIATE,
    DataUpdateCoordinator,
    UpdateFailed,
)
from homeassistant.util import dt as dt_util

from .account import IotPortalAccount
from .api import (
    Device,
    IotPortalAuthenticationError,
    IotPortalError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalRateLimitError,
    Usage,
)
from .api.pacing import Priority, priority
from .billing import Cycle
from .bulk_edit import BulkEdits
from .const import (
    CONF_ALLOWANCE,
    CONF_BILLING_DAY,
    CONF_DATA_UNIT,
    CONF_ICCID,
    CONF_WATCH_SMS,
    DATA_UNITS,
    DEFAULT_BILLING_DAY,
    DEFAULT_DATA_UNIT,
    DOMAIN,
    MEGABYTE,
    SUBENTRY_TYPE_SIM,
)
from .context import SimContext
from .errors import invalid_input, translate
from .happenings import Happenings
from .issues import Issue, async_clear_issue, async_clear_sim, async_raise_issue
from .log import LOGGER
from .messages import Messages
from .reader import SimReader
from .reads import Part, SimReads
from .sim import Budget, SimData, happened_between
from .status_changes import StatusChanges

type IotPortalConfigEntry = ConfigEntry[IotPortalData]
type SimAddedCallback = Callable[[IotPortalSimCoordinator], None]

# One answer may be a mishap of the portal's; the next comes a whole poll later.
POLLS_UNTIL_GONE = 2


def _background_debouncer(hass: HomeAssistant) -> Debouncer[Coroutine[Any, Any, None]]:
    """Return what keeps refreshes apart, without keeping Home Assistant from stopping until the portal answers."""
    return Debouncer(
        hass,
        LOGGER,
        cooldown=REQUEST_REFRESH_DEFAULT_COOLDOWN,
        immediate=REQUEST_REFRESH_DEFAULT_IMMEDIATE,
        background=True,
    )


class IotPortalSimCoordinator(DataUpdateCoordinator[SimData]):
    """Reads one SIM; what is written to it goes through `changes` and `messages`."""

    config_entry: IotPortalConfigEntry

    _status: str | None = None
    _importance = Priority.FIRST_READ
    # Before the first read nobody knows whether a repair is left from an earlier run.
    _missing_polls: int | None = None
    _account_has_logged = False
    _looks = 0
    _own_failures = 0
    _recalled: SimData | None = None

    def __init__(
        self,
        hass: HomeAssistant,
        entry: IotPortalConfigEntry,
        subentry: ConfigSubentry,
        account: IotPortalAccount,
    ) -> None:
        """Tie a SIM to its account."""
        self.account = account
        self.client = account.client
        self.iccid: str = subentry.data[CONF_ICCID]
        self.subentry = subentry
        self.lifecycle = Happenings()
        self.sms = Happenings()
        self._context = SimContext(
            hass=hass,
            entry=entry,
            subentry=subentry,
            client=account.client,
            account_memory=account.memory,
            memory=account.memory.of(self.iccid),
        )
        self.changes = StatusChanges(
            self._context,
            self.lifecycle,
            current=lambda: self._status,
            take_status=self._async_take_status,
            read_all=self._async_read_soon,
            show=self._async_show_writes,
        )
        self.messages = Messages(self._context, self.sms, show=self._async_show_writes)
        self.reader = SimReader(self._context, account)
        # Home Assistant changes a subentry in place, so what it was has to be remembered.
        self._shown = (subentry.title, subentry.data)
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {subentry.title}",
            update_interval=timedelta(seconds=account.schedule.interval),
            request_refresh_debouncer=_background_debouncer(hass),
            always_update=False,
        )

    @callback
    def async_start(self) -> None:
        """Show what is known, go on with what was under way, and read the SIM in the background."""
        self.reader.async_resume()
        if self.reader.known != SimReads():
            self._recalled = self._describe(self.reader.known)
        self.async_update_listeners()
        self.changes.async_resume()
        self.messages.async_resume()
        self.config_entry.async_create_background_task(
            self.hass, self.async_refresh(), f"{DOMAIN} first read of {self.subentry.title}"
        )

    @override
    async def async_shutdown(self) -> None:
        """Read no more, and look after no write."""
        self.changes.async_stop()
        self.messages.async_stop()
        await super().async_shutdown()

    @property
    def has_other_settings(self) -> bool:
        """Tell whether the user has changed the name or the settings of the SIM."""
        return self._shown != (self.subentry.title, self.subentry.data)

    async def async_follow_subentry(self) -> None:
        """Show the name and the settings that the user has given the SIM."""
        self._shown = (self.subentry.title, self.subentry.data)
        self.name = f"{DOMAIN} {self.subentry.title}"
        registry = dr.async_get(self.hass)
        device = registry.async_get_device_by_identifier(
            (DOMAIN, self.iccid), self.config_entry.entry_id
        )
        if device is not None:
            registry.async_update_device(device.id, name=self.subentry.title)
        await self.async_read_now()

    def _setting[T](self, key: str, default: T) -> T:
        """Return what the user set for this SIM, or else for all SIMs of the account."""
        value: T = self.subentry.data.get(key, self.config_entry.options.get(key, default))
        return value

    @property
    def has_been_read(self) -> bool:
        """Tell whether there is data; the base class has none before the first read."""
        return self.data is not None

    @property
    def known(self) -> SimData | None:
        """Return what was read last, if need be before Home Assistant was started."""
        return self.data if self.has_been_read else self._recalled

    @override
    async def _async_update_data(self) -> SimData:
        """Read the SIM, in as few requests as it takes."""
        importance, self._importance = self._importance, Priority.POLL
        looks = self._looks
        try:
            with priority(importance):
                reads = await self.reader.async_read()
                await self._read_messages()
        except IotPortalError as err:
            self._end_if_removed()
            raise self._failed(err) from err
        self._end_if_removed()
        self._succeeded()
        self.account.reads.async_keep(self.iccid, reads)
        data = self._describe(reads)
        if self._looks != looks and self.has_been_read:
            # A look at the status has overtaken this read, which may have begun before a change.
            data = replace(data, status=self.data.status)
        return self._take(data)

    def _end_if_removed(self) -> None:
        """Keep nothing of a SIM that was removed while it was read."""
        if self._shutdown_requested:
            # Nothing that the log should tell of.
            self.last_update_success = False
            raise UpdateFailed

    def _failed(self, err: IotPortalError) -> UpdateFailed | ConfigEntryAuthFailed:
        """Note a failure where it belongs, and return what Home Assistant is told of it."""
        if self.account.async_note_failure(self._context, err):
            # The base class would log it too, for each SIM: it does so when a success is followed by a failure.
            self.last_update_success = False
            self._account_has_logged = True
        if isinstance(err, IotPortalNotFoundError):
            self._note_missing()
        if self.account.is_connected:
            self._own_failures += 1
        self._plan_next_poll()
        if isinstance(err, IotPortalAuthenticationError):
            return ConfigEntryAuthFailed(**translate(err, self.config_entry.title))
        retry_after = err.retry_after if isinstance(err, IotPortalRateLimitError) else None
        return UpdateFailed(**translate(err, self.subentry.title), retry_after=retry_after)

    def _plan_next_poll(self) -> None:
        """Set the wait until the next poll; one after failures of the whole portal is not put off."""
        self.update_interval = timedelta(
            seconds=self.account.schedule.wait(
                self.iccid, self.hass.loop.time(), failures=self._own_failures
            )
        )

    def _note_missing(self) -> None:
        """Ask for a person when the portal does not know the SIM, twice in a row."""
        self._missing_polls = (self._missing_polls or 0) + 1
        if self._missing_polls == POLLS_UNTIL_GONE:
            async_raise_issue(
                self.hass,
                Issue.SIM_GONE,
                self.config_entry.entry_id,
                self.subentry.subentry_id,
                {"sim": self.subentry.title, "account": self.config_entry.title},
            )

    def _succeeded(self) -> None:
        """Note that the SIM is there, and so is the portal."""
        self.account.async_note_success(self._context)
        if self._missing_polls != 0:
            async_clear_issue(
                self.hass, Issue.SIM_GONE, self.config_entry.entry_id, self.subentry.subentry_id
            )
        self._missing_polls = 0
        self._own_failures = 0
        if self.has_been_read:
            # The first read took more than the polls will.
            self.account.schedule.note(self.iccid, self.reader.requests)
        self._plan_next_poll()
        if self._account_has_logged:
            self.last_update_success = True
            self._account_has_logged = False

    def _take(self, data: SimData) -> SimData:
        """Note what happened since the read before, and return the data with what is under way.

        It is told once the entities show the data.
        """
        before = self.data if self.has_been_read else SimData()
        self.lifecycle.async_hold()
        self._note_status(data.status)
        for happening in happened_between(before, data):
            self.lifecycle.async_tell(happening)
        self.account.async_note_data(self.iccid, data)
        return self._with_writes(data)

    def _with_writes(self, data: SimData) -> SimData:
        """Return the data with what is under way."""
        change, last_sms = self.changes.pending, self.messages.last_sent
        if data.change is change and data.last_sms is last_sms:
            return data
        return replace(data, change=change, last_sms=last_sms)

    def _note_status(self, status: str | None) -> None:
        """Compare the status with the one before, also where nothing else of the SIM is known yet."""
        before, self._status = self._status, status
        self.changes.async_note(before, status)

    @callback
    @override
    def async_update_listeners(self) -> None:
        """Let the entities show what is known, and then tell what happened."""
        super().async_update_listeners()
        self.lifecycle.async_release()

    @callback
    def _async_take_status(self, status: str) -> None:
        """Take in a status that was read by itself."""
        self._looks += 1
        if self._shutdown_requested:
            return
        if self.has_been_read:
            self.data = self._take(replace(self.data, status=status))
            self.async_update_listeners()
        else:
            self._note_status(status)

    @callback
    def _async_show_writes(self) -> None:
        """Show what has become of the writes, also of one that was under way when the SIM was removed."""
        if self.has_been_read and not self._shutdown_requested:
            self.data = self._with_writes(self.data)
            self.async_update_listeners()

    def _describe(self, reads: SimReads) -> SimData:
        """Return what the parts come to, by what the user has set."""
        used = self._bytes_used(reads.usage)
        forecast = self._forecast(used)
        return SimData(
            status=reads.status,
            usage=reads.usage,
            session=reads.session,
            device=reads.device,
            data_used=used,
            forecast=forecast,
            budget=self._budget(used, reads.device, forecast),
        )

    async def _read_messages(self) -> None:
        """Look at the SMS on their way, and for new ones where the user wants to know of them."""
        await self.messages.async_look_at_old_ones()
        if self.config_entry.options.get(CONF_WATCH_SMS, False):
            listed = await self.reader.async_part(Part.SMS_IDS, self.client.get_sms_ids)
            if listed is not None:
                await self.messages.async_look_for_new_ones(listed)

    def _bytes_used(self, usage: Usage | None) -> int | None:
        """Return the data use in bytes, whatever the SIM's network counts in."""
        if usage is None or usage.data_bytes is None:
            return None
        return usage.data_bytes * DATA_UNITS[self._setting(CONF_DATA_UNIT, DEFAULT_DATA_UNIT)]

    def _forecast(self, used: int | None) -> int | None:
        """Return the data use to the end of the billing cycle, in bytes."""
        if used is None:
            return None
        now = dt_util.now()
        cycle = Cycle.around(now, int(self._setting(CONF_BILLING_DAY, DEFAULT_BILLING_DAY)))
        # Whole megabytes, so that an idle SIM does not look different at every poll.
        return round(cycle.forecast(used, now) / MEGABYTE) * MEGABYTE

    def _budget(
        self, used: int | None, device: Device | None, forecast: int | None
    ) -> Budget | None:
        """Return how the use stands against the user's own allowance, or that of the portal."""
        allowance = device.allowance_bytes if device is not None else None
        if megabytes := self._setting(CONF_ALLOWANCE, 0):
            allowance = round(megabytes * MEGABYTE)
        if not allowance or used is None or forecast is None:
            return None
        return Budget(used=used, allowance=allowance, forecast=forecast)

    async def async_read_now(self) -> None:
        """Read the SIM because a person asked for it."""
        self._importance = Priority.USER
        self.reader.doubt()
        await self.async_request_refresh()

    async def _async_read_soon(self) -> None:
        """Read the SIM to see what came of a write."""
        self._importance = Priority.CONFIRMATION
        await self.async_refresh()

    async def async_edit_device(self, changes: Mapping[str, Any]) -> object:
        """Change fields of the SIM, look soon what came of it, and return the portal's answer."""
        answer = await self.changes.async_edit(changes)
        self.reader.doubt()
        await self._async_read_soon()
        return answer

    async def async_get_sim(self) -> dict[str, object]:
        """Return all that the portal tells of the SIM now, under the portal's own names."""
        read = self.reader.async_part
        with self._context.translated_errors():
            parts = {
                "usage": await read(Part.USAGE, self.client.get_usage),
                "session": await read(Part.SESSION, self.client.get_session),
                "device": await read(Part.DEVICE, self.client.get_device),
            }
            try:
                status = await self.client.get_status(self.iccid)
            except IotPortalNotAvailableError:
                # Not every network tells the status by itself.
                status = usage.status if isinstance(usage := parts["usage"], Usage) else None
        return {"status": status} | {key: part.raw if part else None for key, part in parts.items()}

    async def async_get_sms(self, identifier: str) -> object:
        """Return an SMS and how far it got, under the portal's own names."""
        with self._context.translated_errors():
            try:
                return (await self.client.get_sms(identifier)).raw
            except IotPortalNotFoundError as err:
                raise invalid_input(
                    key="sms_not_found", sms_id=identifier, error=str(err).rstrip(". ")
                ) from err

    async def async_list_sms(self) -> list[str]:
        """Return the ids of the SMS of the SIM, in the portal's order."""
        with self._context.translated_errors():
            return await self.client.get_sms_ids(self.iccid)


@dataclass(kw_only=True)
class IotPortalData:
    """What belongs to a loaded account: its sums, its options and its SIMs by subentry id."""

    account: IotPortalAccount
    options: Mapping[str, Any]
    bulk_edits: BulkEdits = field(init=False)
    sims: dict[str, IotPortalSimCoordinator] = field(default_factory=dict)
    _sim_added: list[SimAddedCallback] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Let edits of many SIMs find each of them."""
        self.bulk_edits = BulkEdits(
            self.account.hass,
            self.account,
            lambda: {sim.iccid: sim.changes for sim in self.sims.values()},
        )

    @callback
    def async_for_each_sim(self, sim_added: SimAddedCallback) -> CALLBACK_TYPE:
        """Call back for every SIM, now and whenever one is added; return how to stop that."""
        self._sim_added.append(sim_added)
        for coordinator in self.sims.values():
            sim_added(coordinator)
        return lambda: self._sim_added.remove(sim_added)

    @callback
    def async_add_sims(
        self, hass: HomeAssistant, entry: IotPortalConfigEntry
    ) -> list[IotPortalSimCoordinator]:
        """Take in the SIMs that are new, and return them; they have yet to be started."""
        added = []
        for subentry in entry.get_subentries_of_type(SUBENTRY_TYPE_SIM):
            if subentry.subentry_id not in self.sims:
                coordinator = IotPortalSimCoordinator(hass, entry, subentry, self.account)
                self.sims[subentry.subentry_id] = coordinator
                self.account.async_add_sim(coordinator.iccid)
                added.append(coordinator)
        self.account.async_show()
        for coordinator in added:
            for sim_added in self._sim_added:
                sim_added(coordinator)
        return added

    async def async_start(self, sims: Iterable[IotPortalSimCoordinator]) -> None:
        """Start SIMs one after the other; whatever else Home Assistant has to do comes in between."""
        for sim in sims:
            if sim.subentry.subentry_id in self.sims:
                sim.async_start()
                await asyncio.sleep(0)

    async def async_follow_subentries(
        self, hass: HomeAssistant, entry: IotPortalConfigEntry
    ) -> None:
        """Take in the SIMs that were added or changed and let go of those that were removed."""
        for gone in self.sims.keys() - entry.subentries.keys():
            coordinator = self.sims.pop(gone)
            await coordinator.async_shutdown()
            self.account.async_drop_sim(coordinator.iccid)
            async_clear_sim(hass, entry.entry_id, gone)
        for coordinator in [sim for sim in self.sims.values() if sim.has_other_settings]:
            await coordinator.async_follow_subentry()
        await self.async_start(self.async_add_sims(hass, entry))

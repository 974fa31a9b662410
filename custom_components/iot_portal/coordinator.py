"""Coordinators of the IoT Portal integration: one for each SIM."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, override

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .account import IotPortalAccount
from .api import (
    Credentials,
    Device,
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalRateLimitError,
    Usage,
)
from .api.pacing import DEFAULT_RATE, DEFAULT_WIDTH, Pacer, Priority, priority
from .billing import Cycle
from .bulk_edit import BulkEdits
from .const import (
    CONF_ALLOWANCE,
    CONF_API_TOKEN,
    CONF_BASE_URL,
    CONF_BILLING_DAY,
    CONF_CLIENT_ID,
    CONF_DATA_UNIT,
    CONF_ICCID,
    CONF_POLL_INTERVAL,
    CONF_REQUEST_RATE,
    CONF_REQUEST_WIDTH,
    CONF_SECRET_KEY,
    CONF_WATCH_SMS,
    DATA_UNITS,
    DEFAULT_BILLING_DAY,
    DEFAULT_DATA_UNIT,
    DEFAULT_POLL_INTERVAL,
    DEVICE_INTERVAL,
    DOMAIN,
    LOGGER,
    MEGABYTE,
    REFUSED_INTERVAL,
    SUBENTRY_TYPE_SIM,
)
from .context import SimContext
from .errors import invalid_input, translate
from .happenings import Happenings
from .issues import Issue, async_clear_issue, async_clear_sim, async_raise_issue
from .messages import Messages
from .sim import Budget, SimData, happened_between
from .status_changes import StatusChanges

type IotPortalConfigEntry = ConfigEntry[IotPortalData]
type SimRead[T] = Callable[[str], Coroutine[Any, Any, T]]
type SimAddedCallback = Callable[[IotPortalSimCoordinator], None]

# What the portal calls the requests that can be refused by themselves.
ROUTES = {
    "get_usage": "ctdUsage",
    "get_session": "sessionInfo",
    "get_device": "GetDevice",
    "get_sms_ids": "GetSMSIds",
}
# A SIM that fails by itself is asked as often as the others so many times, then ever more seldom.
PATIENT_POLLS = 3
SLOWEST_INTERVAL = timedelta(hours=1)
# One answer may be a mishap of the portal's; the next comes a whole poll later.
POLLS_UNTIL_GONE = 2


class IotPortalSimCoordinator(DataUpdateCoordinator[SimData]):
    """Reads one SIM; what is written to it goes through `changes` and `messages`."""

    config_entry: IotPortalConfigEntry

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
        self._status: str | None = None
        # Home Assistant changes a subentry in place, so what it was has to be remembered.
        self._shown = (subentry.title, subentry.data)
        self._importance = Priority.FIRST_READ
        self._device_due = dt_util.utcnow()
        self._refused_until: dict[str, datetime] = {}
        # Before the first read nobody knows whether a repair is left from an earlier run.
        self._missing_polls: int | None = None
        self._account_has_logged = False
        self._looks = 0
        self._own_failures = 0
        self._usual_interval = timedelta(
            minutes=entry.options.get(CONF_POLL_INTERVAL, DEFAULT_POLL_INTERVAL)
        )
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {subentry.title}",
            update_interval=self._usual_interval,
            always_update=False,
        )

    @callback
    def async_start(self) -> None:
        """Go on with what was under way, and read the SIM in the background: nobody waits for a fleet."""
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
    def refused_routes(self) -> list[str]:
        """Return what the portal has refused for this SIM and is not asked for at present."""
        now = dt_util.utcnow()
        return [ROUTES[name] for name, until in self._refused_until.items() if until > now]

    @override
    async def _async_update_data(self) -> SimData:
        """Read the SIM, in as few requests as it takes."""
        importance, self._importance = self._importance, Priority.POLL
        looks = self._looks
        try:
            with priority(importance):
                data = await self._read()
                await self._read_messages()
        except IotPortalError as err:
            raise self._failed(err) from err
        self._succeeded()
        if self._looks != looks and self.has_been_read:
            # A look at the status has overtaken this read, which may have begun before a change.
            data = replace(data, status=self.data.status)
        return self._take(data)

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
            self.update_interval = self._interval_after_failures()
        if isinstance(err, IotPortalAuthenticationError):
            return ConfigEntryAuthFailed(**translate(err, self.config_entry.title))
        retry_after = err.retry_after if isinstance(err, IotPortalRateLimitError) else None
        return UpdateFailed(**translate(err, self.subentry.title), retry_after=retry_after)

    def _interval_after_failures(self) -> timedelta:
        """Return when to ask again for a SIM that fails while others do not: ever later, up to an hour."""
        doublings = max(self._own_failures - PATIENT_POLLS, 0)
        # Far fewer than that many lead to the hour, whatever the interval.
        stretched = self._usual_interval * (1 << min(doublings, 8))
        return max(self._usual_interval, min(stretched, SLOWEST_INTERVAL))

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
        self.update_interval = self._usual_interval
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
        return replace(data, change=self.changes.pending, last_sms=self.messages.last_sent)

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
            self.data = replace(
                self.data, change=self.changes.pending, last_sms=self.messages.last_sent
            )
            self.async_update_listeners()

    async def _read(self) -> SimData:
        """Read the parts that can have changed; usage decides about the SIM, the others stand alone."""
        known = self.data if self.has_been_read else SimData()
        usage = await self._unless_refused(self.client.get_usage)
        status = usage.status if usage is not None else None
        if status is None:
            status = await self.client.get_status(self.iccid)
        if status is None and not usage:
            msg = "nothing is known of it"
            raise IotPortalNotFoundError(msg, status=200)
        session, device = known.session, known.device
        if _session_can_have_changed(known, usage):
            session = await self._part(self.client.get_session)
        if device is None or self._device_due <= dt_util.utcnow():
            device = await self._part(self.client.get_device)
            self._device_due = dt_util.utcnow() + DEVICE_INTERVAL
        used = self._bytes_used(usage)
        forecast = self._forecast(used)
        return SimData(
            status=status,
            usage=usage,
            session=session,
            device=device,
            data_used=used,
            forecast=forecast,
            budget=self._budget(used, device, forecast),
        )

    async def _read_messages(self) -> None:
        """Look at the SMS on their way, and for new ones where the user wants to know of them."""
        await self.messages.async_look_at_old_ones()
        if self.config_entry.options.get(CONF_WATCH_SMS, False):
            listed = await self._part(self.client.get_sms_ids)
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

    async def _part[T](self, read: SimRead[T]) -> T | None:
        """Return a part, or None when it alone could not be read."""
        try:
            return await self._unless_refused(read)
        except IotPortalAuthenticationError:
            raise
        except IotPortalError as err:
            LOGGER.debug("A part of %s could not be read: %s", self.subentry.title, err)
            return None

    async def _unless_refused[T](self, read: SimRead[T]) -> T | None:
        """Return what was read, or None where the route is refused for this SIM; ask again daily."""
        name, now = read.__name__, dt_util.utcnow()
        if self._refused_until.get(name, now) > now:
            return None
        try:
            answer = await read(self.iccid)
        except IotPortalNotAvailableError:
            self._refused_until[name] = now + REFUSED_INTERVAL
            self.account.async_note_route(self.iccid, ROUTES[name], is_refused=True)
            return None
        self.account.async_note_route(self.iccid, ROUTES[name], is_refused=False)
        return answer

    async def async_read_now(self) -> None:
        """Read the SIM because a person asked for it."""
        self._importance = Priority.USER
        await self.async_request_refresh()

    async def _async_read_soon(self) -> None:
        """Read the SIM to see what came of a write."""
        self._importance = Priority.CONFIRMATION
        await self.async_refresh()

    async def async_edit_device(self, changes: Mapping[str, Any]) -> object:
        """Change fields of the SIM, look soon what came of it, and return the portal's answer."""
        answer = await self.changes.async_edit(changes)
        self._device_due = dt_util.utcnow()
        await self._async_read_soon()
        return answer

    async def async_get_sim(self) -> dict[str, object]:
        """Return all that the portal tells of the SIM now, under the portal's own names."""
        reads = {
            "usage": self.client.get_usage,
            "session": self.client.get_session,
            "device": self.client.get_device,
        }
        with self._context.translated_errors():
            parts = {key: await self._part(read) for key, read in reads.items()}
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
                for sim_added in self._sim_added:
                    sim_added(coordinator)
        return added

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
        for coordinator in self.async_add_sims(hass, entry):
            coordinator.async_start()


@callback
def async_create_client(
    hass: HomeAssistant, data: Mapping[str, Any], options: Mapping[str, Any] | None = None
) -> IotPortalClient:
    """Return a client for the account that an entry's data and options describe."""
    options = options or {}
    return IotPortalClient(
        async_get_clientsession(hass),
        data[CONF_BASE_URL],
        Credentials(
            client_id=data.get(CONF_CLIENT_ID),
            secret_key=data.get(CONF_SECRET_KEY),
            api_token=data.get(CONF_API_TOKEN),
        ),
        pacer=Pacer(
            rate=options.get(CONF_REQUEST_RATE, DEFAULT_RATE),
            width=int(options.get(CONF_REQUEST_WIDTH, DEFAULT_WIDTH)),
        ),
    )


def _session_can_have_changed(known: SimData, usage: Usage | None) -> bool:
    """Tell whether the session of a SIM can be another than the one we know."""
    return (
        known.session is None
        or known.session.is_open
        or known.usage is None
        or usage is None
        or usage.session_count is None
        or usage.session_count != known.usage.session_count
    )

"""The coordinator of one SIM."""

from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.update_coordinator import (
    REQUEST_REFRESH_DEFAULT_COOLDOWN,
    REQUEST_REFRESH_DEFAULT_IMMEDIATE,
    DataUpdateCoordinator,
    UpdateFailed,
)
from homeassistant.util import dt as dt_util

from .account import IotPortalAccount
from .api import (
    IotPortalAuthenticationError,
    IotPortalBusyError,
    IotPortalClient,
    IotPortalError,
    IotPortalRateLimitError,
)
from .api.pacing import Priority, priority, start_in_time
from .const import CONF_WATCH_SMS, DOMAIN, LOGGER
from .errors import translate
from .event_feed import EventFeed, async_call_when_heard
from .evidence import EndpointFailure
from .follow_up import SIM_EVENT, SIM_READ, TrackedSim
from .models import (
    Endpoint,
    History,
    SimData,
    SimEvent,
    SimSettings,
    tell_gone,
    tell_read,
    tell_status,
)
from .sim_reader import SimReader
from .sms import SmsMessages
from .status_requests import StatusRequests
from .storage import PendingWritesStore

# In seconds; a poll is not repeated sooner, whatever the portal says.
MIN_RETRY_AFTER: Final = 60


def _background_debouncer(hass: HomeAssistant) -> Debouncer[Coroutine[Any, Any, None]]:
    """Return the usual debouncer of refreshes, but one that does not delay the stop of Home Assistant."""
    return Debouncer(
        hass,
        LOGGER,
        cooldown=REQUEST_REFRESH_DEFAULT_COOLDOWN,
        immediate=REQUEST_REFRESH_DEFAULT_IMMEDIATE,
        background=True,
    )


class IotPortalSimCoordinator(DataUpdateCoordinator[SimData], TrackedSim):
    """Reads one SIM; `status_requests` and `sms` write to it."""

    config_entry: ConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        subentry: ConfigSubentry,
        account: IotPortalAccount,
    ) -> None:
        """Start with nothing known."""
        self.account = account
        self.subentry = subentry
        self.events = EventFeed[TrackedSim](hass, self, SIM_EVENT)
        self.has_been_read = False
        self._is_recalled = False
        # That of the call whose effect the entities are being updated with.
        self.context: Context | None = None
        self._next_priority = Priority.FIRST_READ
        # What a person has asked for is still to be read after a failure.
        self._must_read_all = False
        self._busy: IotPortalBusyError | None = None
        # Before the base class, which registers the coordinator: stored settings may be damaged.
        settings = SimSettings.from_options(entry.options, subentry.data)
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {self.title}",
            request_refresh_debouncer=_background_debouncer(hass),
        )
        self.data = SimData(settings=settings, writes=account.pending_writes.of(self.iccid))
        # Later changes apply with a reload.
        self.shows_details = settings.all_details
        self.status_requests = StatusRequests(self)
        self.sms = SmsMessages(self)

    @property
    @override
    def client(self) -> IotPortalClient:
        """Return the client of the account."""
        return self.account.client

    @property
    @override
    def pending_writes(self) -> PendingWritesStore:
        """Return the store of the pending writes of the account."""
        return self.account.pending_writes

    @property
    def is_current(self) -> bool:
        """Return whether the data is that of the last poll, not what an earlier one or an earlier run has read."""
        return self.last_update_success and self.has_been_read

    def _settings(self) -> SimSettings:
        """Return what the user set for this SIM, or else for all SIMs of the account."""
        return SimSettings.from_options(self.config_entry.options, self.subentry.data)

    @callback
    def async_start(self) -> None:
        """Recall what an earlier run read, resume its writes, and read the SIM in the background."""
        self.async_recall()
        self.account.async_record_endpoints((), self.data.failing)
        self.async_update_listeners()
        self.status_requests.async_resume()
        self.sms.async_resume()
        self.async_read_in_background()

    @callback
    def async_read_in_background(self) -> None:
        """Read the SIM ahead of its next poll."""
        self.config_entry.async_create_background_task(
            self.hass, self.async_refresh(), f"{DOMAIN} read of {self.title}"
        )

    @callback
    def async_reschedule(self) -> None:
        """Move the next poll to its place in a changed interval; a read under way does that at its end."""
        if self._unsub_refresh is not None:
            self._schedule_next_poll()
            self._schedule_refresh()

    @callback
    @override
    def async_recall(self) -> None:
        """Recall what an earlier run read of the SIM; a write may need it before the SIM is started."""
        if self._is_recalled:
            return
        self._is_recalled = True
        snapshot = self.account.snapshots.async_recall(self.iccid)
        history = self.account.histories.async_recall(self.iccid, snapshot.history)
        data = replace(
            snapshot, settings=self.data.settings, writes=self.data.writes, history=history
        )
        self.data = data.with_projected_usage(dt_util.now())

    @override
    async def async_shutdown(self) -> None:
        """Stop polling and following writes."""
        self.status_requests.async_stop()
        self.sms.async_stop()
        await super().async_shutdown()

    @callback
    def async_apply_subentry(self) -> None:
        """Apply the title and the settings that the user may have changed."""
        self.name = f"{DOMAIN} {self.title}"
        if (settings := self._settings()) != self.data.settings:
            before = self.data.history
            self.data = (
                replace(self.data, settings=settings).with_projected_usage(dt_util.now()).with_use()
            )
            self.async_update_listeners()
            self._async_publish_reading(before)

    @override
    async def _async_update_data(self) -> SimData:
        """Read what may have changed, in as few requests as possible; for a person read everything."""
        self.async_recall()
        # After the first read the entities become available, even if the portal reports what an earlier run read.
        self.always_update = not self.has_been_read
        requested, self._next_priority = self._next_priority, Priority.POLL
        reads_all = self._must_read_all
        known = self.data
        reader = SimReader(self.client, self.iccid, known.invalidate() if reads_all else known)
        try:
            with priority(requested):
                data = await self._async_read(reader)
        except IotPortalBusyError as err:
            self._raise_if_removed()
            return self._keep_data(err)
        except IotPortalError as err:
            self._raise_if_removed()
            self.data = replace(self.data, failing=reader.failing(is_sim_read=False))
            self.account.async_record_endpoints(reader.answered, reader.failures)
            raise self._handle_error(err) from err
        self._raise_if_removed()
        if self.data.status != known.status:
            # It was read by itself meanwhile; this read may have begun before it changed.
            data = replace(data, status=self.data.status)
        if reads_all:
            self._must_read_all = False
        await self._apply_read(data, reader.failing(is_sim_read=True))
        self.account.async_record_endpoints(reader.answered, reader.failures)
        self._handle_success(reader)
        return self.data

    async def _async_read(self, reader: SimReader) -> SimData:
        """Read the SIM, and check its SMS."""
        data = await reader.async_read()
        await self.sms.async_check_old()
        if self.config_entry.options.get(CONF_WATCH_SMS, False):
            listed = await reader.async_read_part(Endpoint.SMS_IDS, self.client.get_sms_list)
            if listed is not None:
                await self.sms.async_check_new(listed)
        return data

    def _raise_if_removed(self) -> None:
        """Raise if the SIM was removed while it was read, without a line in the log."""
        if self._shutdown_requested:
            self.last_update_success = False
            raise UpdateFailed

    def _keep_data(self, err: IotPortalBusyError) -> SimData:
        """Return the data as it was, for a read that a person has asked for and that was not sent."""
        self._busy = err
        self._schedule_next_poll()
        if not self.last_update_success:
            raise UpdateFailed(**translate(self.hass, err, self.title)) from err
        return self.data

    def _handle_error(self, err: IotPortalError) -> UpdateFailed | ConfigEntryAuthFailed:
        """Return the error for Home Assistant, and schedule the next poll."""
        if self.account.async_record_failure(self, err):
            # The account has logged it once for all SIMs; the base class logs a failure after a success.
            self.last_update_success = False
        self._schedule_next_poll()
        if isinstance(err, IotPortalAuthenticationError) and err.is_strong:
            return ConfigEntryAuthFailed(**translate(self.hass, err, self.config_entry.title))
        retry_after = err.retry_after if isinstance(err, IotPortalRateLimitError) else None
        if retry_after is not None:
            # Zero seconds, or a date in the past, would poll without end.
            retry_after = max(retry_after, MIN_RETRY_AFTER)
        return UpdateFailed(**translate(self.hass, err, self.title), retry_after=retry_after)

    def _handle_success(self, reader: SimReader) -> None:
        """Keep what was read, and schedule the next poll."""
        if self.account.async_record_success(self):
            # The account has logged the end of it as well.
            self.last_update_success = True
        self.account.async_name_after(self.data.device)
        self.account.snapshots.async_keep(self.iccid, self.data)
        if self.has_been_read:
            # The first read took more requests than the polls will.
            self.account.schedule.record_requests(self.iccid, reader.requests)
        self.has_been_read = True
        self._schedule_next_poll()

    def _schedule_next_poll(self) -> None:
        """Set the wait until the next poll."""
        self.update_interval = timedelta(seconds=self.account.seconds_until_poll(self))

    async def _apply_read(self, read: SimData, failing: Mapping[Endpoint, EndpointFailure]) -> None:
        """Replace the data, and publish what happened since the last known values."""
        before, now = self.data.history, dt_util.now()
        # The settings may have changed since the read began.
        read = read.with_parts(failing=failing, settings=self.data.settings)
        history, events = tell_read(before, read, now)
        history, status_events, context = self._tell_status(history, read.status)
        data = replace(read, history=history).with_projected_usage(now)
        self.data = data if data == self.data else data.with_use()
        if context is not None or status_events:
            # Before anything else can update the entities, in another context.
            self._async_update_in(context)
        await self._async_publish(status_events + events, before)
        self._async_publish_reading(before)

    @callback
    def _async_publish_reading(self, before: History) -> None:
        """Pass on what was read."""
        async_call_when_heard(
            self.hass, async_dispatcher_send, self.hass, SIM_READ, self, before, self.data
        )

    def _tell_status(
        self, history: History, status: str | None
    ) -> tuple[History, list[SimEvent], Context | None]:
        """End the request for a status that was read.

        Return the history, a change that nobody requested, and the context of one that somebody did.
        """
        request = self.data.writes.awaited_status
        is_requested = self.status_requests.async_confirm(status)
        now = dt_util.utcnow()
        history, events = tell_status(history, status, now, is_requested=is_requested)
        return history, events, request.context if request and is_requested else None

    @callback
    def _async_update_in(self, context: Context | None) -> None:
        """Update the entities; those that show writes are in the context of the call that the change comes of."""
        self.context = context
        try:
            self.async_update_listeners()
        finally:
            self.context = None

    async def _async_publish(self, events: list[SimEvent], before: History) -> None:
        """Publish what happened once it is on the disk: a crash in between loses it, but nothing is told twice.

        If the disk is full, it is told all the same.
        """
        if self.data.history.told != before.told:
            await self.account.histories.async_keep(self.iccid, self.data.history)
        for event in events:
            self.events.async_publish(event)

    @override
    async def async_record_told(self) -> None:
        """Record that an automation is told of what was read; it is on the disk when this returns."""
        history = self.data.history
        self.data = replace(self.data, history=replace(history, told=history.told + 1))
        await self.account.histories.async_keep(self.iccid, self.data.history)

    @callback
    @override
    def async_set_status(self, status: str) -> None:
        """Use a status that was read by itself."""
        if self._shutdown_requested:
            return
        before = self.data.history
        history, events, context = self._tell_status(before, status)
        self.data = replace(self.data, status=status, history=history)
        self.account.async_schedule_update()
        self._async_update_in(context)
        self._async_publish_soon(events, before)

    @callback
    @override
    def async_record_gone(self) -> None:
        """Publish that the portal no longer knows the SIM, unless that was published before."""
        before = self.data.history
        history, events = tell_gone(before)
        self.data = replace(self.data, history=history)
        self._async_publish_soon(events, before)

    @callback
    def _async_publish_soon(self, events: list[SimEvent], before: History) -> None:
        """Publish what happened, from a callback."""
        if self.data.history.told != before.told:
            self.config_entry.async_create_task(
                self.hass, self._async_publish(events, before), f"{DOMAIN} events of {self.title}"
            )

    @callback
    @override
    def async_writes_changed(self, context: Context | None = None) -> None:
        """Save the pending writes, and update the entities that show them, in the context of the call behind it."""
        self.pending_writes.async_schedule_save()
        # A write may end after its SIM was removed.
        if not self._shutdown_requested:
            self._async_update_in(context)

    async def async_read_now(self) -> None:
        """Read everything for a person; raise the error if that fails, and end when Home Assistant stops."""
        await self.account.async_take_turn()
        await self.config_entry.async_create_background_task(
            self.hass, self._async_read_for_person(), f"{DOMAIN} read of {self.title} for a person"
        )

    async def _async_read_for_person(self) -> None:
        """Read everything, once a poll under way has ended."""
        self._must_read_all = True
        self._busy = None
        with self.translated_errors(), start_in_time():
            async with self.client.pacer.bounded_wait(), self._debounced_refresh.async_lock():
                # A poll under way, which may wait for the end of a pause, has ended.
                self._next_priority = Priority.USER
        await self.async_refresh()
        if self._busy is not None:
            raise HomeAssistantError(**translate(self.hass, self._busy, self.title)) from self._busy
        if not (self.last_update_success or self._shutdown_requested) and self.last_exception:
            raise self.last_exception

    @override
    async def async_read_soon(self) -> None:
        """Read the SIM to see the effect of a write."""
        self._next_priority = Priority.CONFIRMATION
        await self.async_refresh()

    async def async_edit_device(
        self, changes: Mapping[str, Any], context: Context | None = None
    ) -> object:
        """Change fields of the SIM, and return the portal's answer; their effect is read in the background."""
        answer = await self.status_requests.async_edit_device(changes, context)
        # What was changed may be in the part that is read seldom.
        self.data = replace(self.data, device_read_at=None)
        self.config_entry.async_create_background_task(
            self.hass, self.async_read_soon(), f"{DOMAIN} read after an edit of {self.title}"
        )
        return answer

"""Coordinators of the IoT Portal integration: one for each SIM."""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, override

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .api import (
    Credentials,
    Device,
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalError,
    IotPortalNotAvailableError,
    IotPortalRateLimitError,
    Session,
    SimStatus,
    Usage,
)
from .api.pacing import DEFAULT_RATE, DEFAULT_WIDTH, Pacer, Priority, priority
from .billing import Cycle
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
from .errors import check_message, translate

type IotPortalConfigEntry = ConfigEntry[IotPortalData]
type SimRead[T] = Callable[[str], Coroutine[Any, Any, T]]
type SimAddedCallback = Callable[[IotPortalSimCoordinator], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How a SIM's data use stands against its allowance, in bytes."""

    used: int
    allowance: int
    forecast: int

    @property
    def remaining(self) -> int:
        """Return what is left of the allowance."""
        return max(self.allowance - self.used, 0)

    @property
    def used_percent(self) -> float:
        """Return how much of the allowance is used."""
        return 100 * self.used / self.allowance

    @property
    def is_over_pace(self) -> bool:
        """Tell whether the allowance will not last to the end of the cycle at this pace."""
        return self.forecast > self.allowance


@dataclass(frozen=True, kw_only=True, slots=True)
class SimData:
    """What is known of a SIM; a part that could not be read is None."""

    status: str | None = None
    usage: Usage | None = None
    session: Session | None = None
    device: Device | None = None
    forecast: int | None = None
    budget: Budget | None = None


class IotPortalSimCoordinator(DataUpdateCoordinator[SimData]):
    """Reads one SIM, and writes to it."""

    config_entry: IotPortalConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: IotPortalConfigEntry,
        subentry: ConfigSubentry,
        client: IotPortalClient,
    ) -> None:
        """Tie a SIM to the client of its account."""
        self.client = client
        self.iccid: str = subentry.data[CONF_ICCID]
        self.subentry = subentry
        # Home Assistant changes a subentry in place, so what it was has to be remembered.
        self._shown = (subentry.title, subentry.data)
        self._importance = Priority.FIRST_READ
        self._device_due = dt_util.utcnow()
        self._refused_until: dict[str, datetime] = {}
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {subentry.title}",
            update_interval=timedelta(
                minutes=entry.options.get(CONF_POLL_INTERVAL, DEFAULT_POLL_INTERVAL)
            ),
            always_update=False,
        )

    async def async_follow_subentry(self) -> None:
        """Show another name or other settings of the SIM, where the user changed them."""
        before, self._shown = self._shown, (self.subentry.title, self.subentry.data)
        if self._shown == before:
            return
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

    @override
    async def _async_update_data(self) -> SimData:
        """Read the SIM, in as few requests as it takes."""
        importance, self._importance = self._importance, Priority.POLL
        try:
            with priority(importance):
                return await self._read()
        except IotPortalAuthenticationError as err:
            raise ConfigEntryAuthFailed(**translate(err, self.config_entry.title)) from err
        except IotPortalRateLimitError as err:
            raise UpdateFailed(
                **translate(err, self.subentry.title), retry_after=err.retry_after
            ) from err
        except IotPortalError as err:
            raise UpdateFailed(**translate(err, self.subentry.title)) from err

    async def _read(self) -> SimData:
        """Read the parts that can have changed; usage decides about the SIM, the others stand alone."""
        known = self.data if self.has_been_read else SimData()
        usage = await self._unless_refused(self.client.get_usage)
        if usage is not None and usage.data_bytes is not None:
            factor = DATA_UNITS[self._setting(CONF_DATA_UNIT, DEFAULT_DATA_UNIT)]
            usage = replace(usage, data_bytes=usage.data_bytes * factor)
        status = usage.status if usage is not None else None
        if status is None:
            status = await self.client.get_status(self.iccid)
        session, device = known.session, known.device
        if _session_can_have_changed(known, usage):
            session = await self._part(self.client.get_session)
        if device is None or self._device_due <= dt_util.utcnow():
            device = await self._part(self.client.get_device)
            self._device_due = dt_util.utcnow() + DEVICE_INTERVAL
        forecast = self._forecast(usage)
        return SimData(
            status=status,
            usage=usage,
            session=session,
            device=device,
            forecast=forecast,
            budget=self._budget(usage, device, forecast),
        )

    def _forecast(self, usage: Usage | None) -> int | None:
        """Return the data use to the end of the billing cycle, in bytes."""
        if usage is None or usage.data_bytes is None:
            return None
        now = dt_util.now()
        cycle = Cycle.around(now, int(self._setting(CONF_BILLING_DAY, DEFAULT_BILLING_DAY)))
        # Whole megabytes, so that an idle SIM does not look different at every poll.
        return round(cycle.forecast(usage.data_bytes, now) / MEGABYTE) * MEGABYTE

    def _budget(
        self, usage: Usage | None, device: Device | None, forecast: int | None
    ) -> Budget | None:
        """Return how the use stands against the user's own allowance, or that of the portal."""
        allowance = device.allowance_bytes if device is not None else None
        if megabytes := self._setting(CONF_ALLOWANCE, 0):
            allowance = round(megabytes * MEGABYTE)
        if not allowance or usage is None or usage.data_bytes is None or forecast is None:
            return None
        return Budget(used=usage.data_bytes, allowance=allowance, forecast=forecast)

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
            return await read(self.iccid)
        except IotPortalNotAvailableError:
            self._refused_until[name] = now + REFUSED_INTERVAL
            return None

    async def async_read_now(self) -> None:
        """Read the SIM because a person asked for it."""
        self._importance = Priority.USER
        await self.async_request_refresh()

    async def async_send_sms(self, message: str) -> str | None:
        """Send an SMS to the SIM and return its id, where the portal tells it."""
        check_message(message)
        with self._translated_errors():
            return await self.client.send_sms(self.iccid, message)

    async def async_request_status_change(self, status: str) -> None:
        """Ask for another status and look soon whether it is there."""
        known = ", ".join(SimStatus)
        with self._translated_errors(otherwise="status_refused", status=status, known=known):
            await self.client.request_status_change(self.iccid, status)
        self._importance = Priority.CONFIRMATION
        await self.async_refresh()

    async def async_edit_device(self, changes: Mapping[str, Any]) -> object:
        """Change fields of the SIM, look soon what came of it, and return the portal's answer."""
        with self._translated_errors():
            answer = await self.client.edit_device(self.iccid, changes)
        self._device_due = dt_util.utcnow()
        await self.async_refresh()
        return answer

    async def async_get_sim(self) -> dict[str, object]:
        """Return all that the portal tells of the SIM now, under the portal's own names."""
        reads = {
            "usage": self.client.get_usage,
            "session": self.client.get_session,
            "device": self.client.get_device,
        }
        with self._translated_errors():
            parts = {key: await self._part(read) for key, read in reads.items()}
            status = await self.client.get_status(self.iccid)
        return {"status": status} | {key: part.raw if part else None for key, part in parts.items()}

    async def async_get_sms(self, identifier: str) -> object:
        """Return an SMS and how far it got, under the portal's own names."""
        with self._translated_errors():
            return (await self.client.get_sms(identifier)).raw

    async def async_list_sms(self) -> list[str]:
        """Return the ids of the SMS of the SIM, in the portal's order."""
        with self._translated_errors():
            return await self.client.get_sms_ids(self.iccid)

    @contextmanager
    def _translated_errors(
        self, *, otherwise: str = "portal_error", **placeholders: str
    ) -> Iterator[None]:
        """Tell the user what went wrong with a write; refused credentials are asked for again."""
        try:
            yield
        except IotPortalAuthenticationError as err:
            self.config_entry.async_start_reauth(self.hass)
            raise HomeAssistantError(**translate(err, self.config_entry.title)) from err
        except IotPortalError as err:
            raise HomeAssistantError(
                **translate(err, self.subentry.title, otherwise=otherwise, **placeholders)
            ) from err


@dataclass(kw_only=True)
class IotPortalData:
    """What belongs to a loaded account: its client, its options and its SIMs by subentry id."""

    client: IotPortalClient
    options: Mapping[str, Any]
    sims: dict[str, IotPortalSimCoordinator] = field(default_factory=dict)
    _sim_added: list[SimAddedCallback] = field(default_factory=list)

    @callback
    def async_for_each_sim(self, sim_added: SimAddedCallback) -> CALLBACK_TYPE:
        """Call back for every SIM, now and whenever one is added; return how to stop that."""
        self._sim_added.append(sim_added)
        for coordinator in self.sims.values():
            sim_added(coordinator)
        return lambda: self._sim_added.remove(sim_added)

    async def async_follow_subentries(
        self, hass: HomeAssistant, entry: IotPortalConfigEntry
    ) -> None:
        """Take in the SIMs that were added or changed and let go of those that were removed."""
        subentries = {
            sub.subentry_id: sub for sub in entry.get_subentries_of_type(SUBENTRY_TYPE_SIM)
        }
        for gone in self.sims.keys() - subentries.keys():
            await self.sims.pop(gone).async_shutdown()
        for subentry_id, subentry in subentries.items():
            if (coordinator := self.sims.get(subentry_id)) is None:
                self._async_add_sim(hass, entry, subentry)
            else:
                await coordinator.async_follow_subentry()

    @callback
    def _async_add_sim(
        self, hass: HomeAssistant, entry: IotPortalConfigEntry, subentry: ConfigSubentry
    ) -> None:
        """Start to follow a SIM; it is first read in the background, so nobody waits for a fleet."""
        coordinator = IotPortalSimCoordinator(hass, entry, subentry, self.client)
        self.sims[subentry.subentry_id] = coordinator
        for sim_added in self._sim_added:
            sim_added(coordinator)
        entry.async_create_background_task(
            hass, coordinator.async_refresh(), f"{DOMAIN} first read of {subentry.title}"
        )


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

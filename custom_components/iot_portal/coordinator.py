"""Coordinators of the IoT Portal integration: one for each SIM."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import override

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .api import (
    Credentials,
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalError,
    IotPortalNotAvailableError,
    IotPortalRateLimitError,
    Session,
    SimStatus,
    Usage,
)
from .const import (
    CONF_API_TOKEN,
    CONF_BASE_URL,
    CONF_CLIENT_ID,
    CONF_ICCID,
    CONF_SECRET_KEY,
    DOMAIN,
    LOGGER,
    SUBENTRY_TYPE_SIM,
    UPDATE_INTERVAL,
)
from .errors import translate

type IotPortalConfigEntry = ConfigEntry[IotPortalData]
type SimAddedCallback = Callable[[IotPortalSimCoordinator], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class SimData:
    """What is known of a SIM; a part that could not be read is None."""

    status: str | None
    usage: Usage | None
    session: Session | None


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
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {subentry.title}",
            update_interval=UPDATE_INTERVAL,
            always_update=False,
        )

    @property
    def has_been_read(self) -> bool:
        """Tell whether there is data; the base class has none before the first read."""
        return self.data is not None

    @override
    async def _async_update_data(self) -> SimData:
        """Read the SIM, each part in as few requests as it takes."""
        try:
            usage = await _unless_refused(self.client.get_usage(self.iccid))
            status = usage.status if usage is not None else None
            if status is None:
                status = await self.client.get_status(self.iccid)
            return SimData(status=status, usage=usage, session=await self._read_session(usage))
        except IotPortalAuthenticationError as err:
            raise ConfigEntryAuthFailed(**translate(err, self.config_entry.title)) from err
        except IotPortalRateLimitError as err:
            raise UpdateFailed(
                **translate(err, self.subentry.title), retry_after=err.retry_after
            ) from err
        except IotPortalError as err:
            raise UpdateFailed(**translate(err, self.subentry.title)) from err

    async def _read_session(self, usage: Usage | None) -> Session | None:
        """Read the last session, where it can have changed since it was read."""
        if self.has_been_read and not _session_can_have_changed(self.data, usage):
            return self.data.session
        try:
            return await self.client.get_session(self.iccid)
        except IotPortalAuthenticationError:
            raise
        except IotPortalError as err:
            LOGGER.debug("The session of %s could not be read: %s", self.subentry.title, err)
            return None

    async def async_send_sms(self, message: str) -> str | None:
        """Send an SMS to the SIM and return its id, where the portal tells it."""
        with self._translated_errors():
            return await self.client.send_sms(self.iccid, message)

    async def async_request_status_change(self, status: str) -> None:
        """Ask for another status and look soon whether it is there."""
        known = ", ".join(SimStatus)
        with self._translated_errors(otherwise="status_refused", status=status, known=known):
            await self.client.request_status_change(self.iccid, status)
        await self.async_request_refresh()

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
    """What belongs to a loaded account: its client and its SIMs by subentry id."""

    client: IotPortalClient
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
        """Take in the SIMs that were added and let go of those that were removed."""
        subentries = {
            sub.subentry_id: sub for sub in entry.get_subentries_of_type(SUBENTRY_TYPE_SIM)
        }
        for gone in self.sims.keys() - subentries.keys():
            await self.sims.pop(gone).async_shutdown()
        for subentry_id, subentry in subentries.items():
            if subentry_id not in self.sims:
                self._async_add_sim(hass, entry, subentry)

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
def async_create_client(hass: HomeAssistant, data: Mapping[str, str]) -> IotPortalClient:
    """Return a client for the account that an entry's data describe."""
    return IotPortalClient(
        async_get_clientsession(hass),
        data[CONF_BASE_URL],
        Credentials(
            client_id=data.get(CONF_CLIENT_ID),
            secret_key=data.get(CONF_SECRET_KEY),
            api_token=data.get(CONF_API_TOKEN),
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


async def _unless_refused[T](read: Awaitable[T]) -> T | None:
    """Return what was read, or None where the route is refused for this SIM."""
    try:
        return await read
    except IotPortalNotAvailableError:
        return None

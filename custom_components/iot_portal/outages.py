"""Outages of the portal: each is published once, and so is its end, also over a restart."""

from contextlib import suppress
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store
from homeassistant.util.hass_dict import HassKey
import voluptuous as vol

from .api import (
    Evidence,
    IotPortalAuthenticationError,
    IotPortalConnectionError,
    IotPortalError,
    IotPortalLoginError,
    IotPortalRateLimitError,
    IotPortalResponseError,
)
from .const import DOMAIN
from .event_feed import ACCOUNT_EVENT, EventFeed
from .models import AccountEventType, SimEvent
from .storage import STORAGE_VERSION, UNREADABLE

# In seconds; at a start the network of the house may come up later than Home Assistant.
SET_UP_PATIENCE: Final = 120

_CONTENT: Final = vol.Schema({vol.Required("accounts"): [str]}, extra=vol.REMOVE_EXTRA)


class Outages:
    """The accounts for which an outage was published but not its end, by the ids of their entries."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Open the file; nothing is loaded yet."""
        self._hass = hass
        self._store = Store[dict[str, list[str]]](
            hass, STORAGE_VERSION, f"{DOMAIN}.outages", private=True, atomic_writes=True
        )
        self._published: set[str] = set()
        # By the monotonic clock.
        self._failing_since: dict[str, float] = {}

    async def async_load(self) -> None:
        """Load the file; without a readable one an outage may be published again."""
        with suppress(*UNREADABLE):
            if (stored := await self._store.async_load()) is not None:
                self._published = set(_CONTENT(stored)["accounts"])

    @callback
    def async_begin(self, entry: ConfigEntry) -> None:
        """Publish an outage, unless that was done before."""
        if entry.entry_id not in self._published:
            self._published.add(entry.entry_id)
            self._save_and_publish(entry, AccountEventType.PORTAL_UNREACHABLE)

    @callback
    def async_end(self, entry: ConfigEntry) -> None:
        """Publish the end of an outage that was published."""
        if entry.entry_id in self._published:
            self._published.remove(entry.entry_id)
            self._save_and_publish(entry, AccountEventType.PORTAL_BACK)

    @callback
    def async_set_up_failed(self, entry: ConfigEntry, err: IotPortalError) -> None:
        """Publish an outage if set-ups have failed for a while, or if there will be no further one."""
        now = self._hass.loop.time()
        since = self._failing_since.setdefault(entry.entry_id, now)
        is_refused = isinstance(err, IotPortalAuthenticationError) and err.is_strong
        if is_refused or (is_portal_failure(err) and now - since >= SET_UP_PATIENCE):
            self.async_begin(entry)

    @callback
    def async_set_up_ended(self, entry: ConfigEntry) -> None:
        """Forget the set-ups that have failed in a row."""
        self._failing_since.pop(entry.entry_id, None)

    @callback
    def async_forget(self, entry: ConfigEntry) -> None:
        """Forget an account that was removed."""
        if entry.entry_id in self._published:
            self._published.remove(entry.entry_id)
            self._save()

    def _save_and_publish(self, entry: ConfigEntry, event_type: AccountEventType) -> None:
        """Save what was published, and publish it."""
        self._save()
        feed = EventFeed[ConfigEntry](self._hass, entry, ACCOUNT_EVENT)
        feed.async_publish(SimEvent(event_type=event_type))

    def _save(self) -> None:
        """Write the file."""
        content = {"accounts": sorted(self._published)}
        self._hass.async_create_task(self._store.async_save(content), f"save {self._store.key}")


# The outages of all accounts.
OUTAGES: Final = HassKey[Outages](f"{DOMAIN}_outages")


def is_portal_failure(err: IotPortalError) -> bool:
    """Return whether an error concerns the portal as a whole, not one SIM."""
    if isinstance(err, IotPortalConnectionError | IotPortalRateLimitError | IotPortalLoginError):
        return True
    return isinstance(err, IotPortalAuthenticationError) or (
        # A page instead of an answer, an error of the server, or an answer that is not the portal's.
        isinstance(err, IotPortalResponseError)
        and (
            err.evidence is Evidence.PAGE
            or (
                type(err) is IotPortalResponseError and (err.status >= 500 or err.status == 200)  # noqa: PLR2004
            )
        )
    )

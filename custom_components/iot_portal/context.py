"""What everything that is about one SIM works with."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant

from .api import IotPortalClient
from .const import CONF_ICCID
from .errors import translated_errors
from .store import AccountMemory, SimMemory


@dataclass(frozen=True, kw_only=True, slots=True)
class SimContext:
    """One SIM, its account, and the way to the portal."""

    hass: HomeAssistant
    entry: ConfigEntry
    subentry: ConfigSubentry
    client: IotPortalClient
    account_memory: AccountMemory
    memory: SimMemory

    @property
    def iccid(self) -> str:
        """Return what the portal knows the SIM by."""
        iccid: str = self.subentry.data[CONF_ICCID]
        return iccid

    @property
    def title(self) -> str:
        """Return what the user knows the SIM by."""
        return self.subentry.title

    def translated_errors(
        self, *, otherwise: str = "portal_error", **placeholders: str
    ) -> AbstractContextManager[None]:
        """Tell the user what went wrong with a request about this SIM."""
        return translated_errors(
            self.hass, self.entry, self.title, otherwise=otherwise, **placeholders
        )

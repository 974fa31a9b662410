"""What an account must not forget over a restart: what was asked of the portal and has not ended."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .const import DOMAIN, LOGGER
from .sim import SentSms, StatusChange

STORAGE_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkEdit:
    """An edit of many SIMs whose end the portal is to report to a webhook."""

    queue_id: str
    webhook_id: str
    iccids: list[str]
    requested_at: datetime


@dataclass(kw_only=True, slots=True)
class SimMemory:
    """What was asked for a SIM, and which of its SMS have been seen; None before the first look."""

    change: StatusChange | None = None
    messages: list[SentSms] = field(default_factory=list)
    seen_sms: list[str] | None = None


_INSTANT = vol.All(cv.datetime, dt_util.as_utc)
_CHANGE = vol.Schema(
    vol.All(
        {
            vol.Required("status"): str,
            vol.Required("previous"): vol.Any(None, str),
            vol.Required("requested_at"): _INSTANT,
            vol.Required("is_overdue"): bool,
        },
        lambda kept: StatusChange(**kept),
    )
)
_SMS = vol.Schema(
    vol.All(
        {
            vol.Required("sent_at"): _INSTANT,
            vol.Required("sms_id"): vol.Any(None, str),
            vol.Required("status"): vol.Any(None, str),
            vol.Required("has_ended"): bool,
        },
        lambda kept: SentSms(**kept),
    )
)
_SIM = vol.Schema(
    vol.All(
        {
            vol.Required("change"): vol.Any(None, _CHANGE),
            vol.Required("messages"): [_SMS],
            vol.Required("seen_sms"): vol.Any(None, [str]),
        },
        lambda kept: SimMemory(**kept),
    )
)
_BULK_EDIT = vol.Schema(
    vol.All(
        {
            vol.Required("queue_id"): str,
            vol.Required("webhook_id"): str,
            vol.Required("iccids"): [str],
            vol.Required("requested_at"): _INSTANT,
        },
        lambda kept: BulkEdit(**kept),
    )
)
_ACCOUNT = vol.Schema({vol.Required("sims"): {str: _SIM}, vol.Required("bulk_edits"): [_BULK_EDIT]})


class AccountMemory:
    """The memory of one account: of its SIMs by ICCID, and of bulk edits by webhook id."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start with nothing in mind."""
        self._store: Store[dict[str, Any]] = Store(
            hass, STORAGE_VERSION, f"{DOMAIN}.{entry_id}", private=True, atomic_writes=True
        )
        self._is_closed = False
        self._sims: dict[str, SimMemory] = {}
        self.bulk_edits: dict[str, BulkEdit] = {}

    async def async_load(self) -> None:
        """Remember what was kept; a file that makes no sense is left behind."""
        kept = await self._store.async_load()
        if kept is None:
            return
        try:
            account: Mapping[str, Any] = _ACCOUNT(kept)
        except vol.Invalid as err:
            LOGGER.warning("What was kept of an account cannot be read and is forgotten: %s", err)
            return
        self._sims = account["sims"]
        self.bulk_edits = {edit.webhook_id: edit for edit in account["bulk_edits"]}

    def of(self, iccid: str) -> SimMemory:
        """Return the memory of a SIM, to be changed in place and saved."""
        return self._sims.setdefault(iccid, SimMemory())

    @callback
    def async_forget(self, iccid: str) -> None:
        """Forget a SIM that was removed."""
        if self._sims.pop(iccid, None) is not None:
            self.async_save_soon()

    async def async_save(self) -> None:
        """Write everything to the disk, and return when it is there."""
        if not self._is_closed:
            await self._store.async_save(self._as_dict())

    async def async_close(self) -> None:
        """Write everything to the disk, and nothing after that: the next memory of the account reads it."""
        await self.async_save()
        self._is_closed = True

    @callback
    def async_save_soon(self) -> None:
        """Write everything to the disk soon, without keeping anybody waiting."""
        if self._is_closed:
            return
        self._store.async_delay_save(self._as_dict)

    async def async_remove(self) -> None:
        """Take the file away with its account."""
        await self._store.async_remove()

    def _as_dict(self) -> dict[str, Any]:
        """Return what the file holds."""
        return {
            "sims": {iccid: asdict(sim) for iccid, sim in self._sims.items() if sim != SimMemory()},
            "bulk_edits": [asdict(edit) for edit in self.bulk_edits.values()],
        }

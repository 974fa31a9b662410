"""What an account must not forget over a restart: what was asked of the portal and has not ended."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .const import DOMAIN
from .log import LOGGER
from .records import INSTANT, UNREADABLE, record
from .sim import SentSms, StatusChange

STORAGE_VERSION = 1

KEPT_ASIDE: Final = 3


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


# After the clock was put back, what is kept may lie in the future.
_INSTANT = vol.All(INSTANT, lambda instant: min(instant, dt_util.utcnow()))


_CHANGE: Final = {
    "status": str,
    "previous": vol.Any(None, str),
    "requested_at": _INSTANT,
    "is_overdue": bool,
    vol.Optional("in_bulk"): bool,
}
_CHANGES = record(
    StatusChange,
    _CHANGE | {vol.Optional("replaces"): vol.Any(None, record(StatusChange, _CHANGE))},
)
_SMS = record(
    SentSms,
    {
        "sent_at": _INSTANT,
        "sms_id": vol.Any(None, str),
        "status": vol.Any(None, str),
        "has_ended": bool,
    },
)
_SIM = record(
    SimMemory,
    {
        "change": vol.Any(None, _CHANGES),
        "messages": [_SMS],
        "seen_sms": vol.Any(None, [str]),
    },
)
_BULK_EDIT = record(
    BulkEdit,
    {"queue_id": str, "webhook_id": str, "iccids": [str], "requested_at": _INSTANT},
)
_ACCOUNT = record(dict, {"sims": {str: _SIM}, "bulk_edits": [_BULK_EDIT]})


class AccountMemory:
    """The memory of one account: of its SIMs by ICCID, and of bulk edits by webhook id."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start with nothing in mind."""
        self._hass = hass
        self._store: Store[dict[str, Any]] = Store(
            hass, STORAGE_VERSION, f"{DOMAIN}.{entry_id}", private=True, atomic_writes=True
        )
        self._is_closed = False
        self._sims: dict[str, SimMemory] = {}
        self.bulk_edits: dict[str, BulkEdit] = {}

    async def async_load(self) -> str | None:
        """Remember what was kept; return where a file was set aside to that cannot be read."""
        try:
            if (kept := await self._store.async_load()) is None:
                return None
            account: Mapping[str, Any] = _ACCOUNT(kept)
        except UNREADABLE as err:
            return await self._async_set_aside(err)
        self._sims = account["sims"]
        self.bulk_edits = {edit.webhook_id: edit for edit in account["bulk_edits"]}
        return None

    async def _async_set_aside(self, err: Exception) -> str:
        """Keep what cannot be read from being written over."""
        file = Path(self._store.path)
        try:
            aside = await self._hass.async_add_executor_job(_set_aside, file)
        except OSError:
            self._store.make_read_only()
            aside = str(file)
        LOGGER.warning("What was kept of an account cannot be read, see %s: %s", aside, err)
        return aside

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
        await self._hass.async_add_executor_job(_remove_aside, Path(self._store.path))

    def _as_dict(self) -> dict[str, Any]:
        """Return what the file holds."""
        return {
            "sims": {iccid: asdict(sim) for iccid, sim in self._sims.items() if sim != SimMemory()},
            "bulk_edits": [asdict(edit) for edit in self.bulk_edits.values()],
        }


def _set_aside(file: Path) -> str:
    """Rename a file as Home Assistant does with those that are no JSON; of old ones, a few are kept."""
    aside = file.with_name(f"{file.name}.corrupt.{dt_util.utcnow().isoformat()}")
    file.rename(aside)
    for old in sorted(file.parent.glob(f"{file.name}.corrupt.*"))[:-KEPT_ASIDE]:
        old.unlink()
    return str(aside)


def _remove_aside(file: Path) -> None:
    """Remove what was set aside of the files of an account, by us or by Home Assistant."""
    for aside in file.parent.glob(f"{file.name}.*corrupt.*"):
        aside.unlink()

"""What was read of the SIMs of an account, kept so that a restart need not ask for it again."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store
import voluptuous as vol

from .api import Device, Session, Usage
from .const import DOMAIN, REFUSED_INTERVAL
from .log import LOGGER
from .records import INSTANT, UNREADABLE, record

STORAGE_VERSION: Final = 1
# A power cut costs some requests, not more; writing seldom spares the disk.
SAVE_DELAY: Final = timedelta(minutes=15).total_seconds()


class Part(StrEnum):
    """What can be read of a SIM by itself, under the portal's name of the request."""

    USAGE = "ctdUsage"
    STATUS = "getStatus"
    SESSION = "sessionInfo"
    DEVICE = "GetDevice"
    SMS_IDS = "GetSMSIds"


@dataclass(frozen=True, kw_only=True, slots=True)
class SimReads:
    """The parts of a SIM as they were read last, and until when which are refused."""

    status: str | None = None
    usage: Usage | None = None
    session: Session | None = None
    device: Device | None = None
    device_read_at: datetime | None = None
    refused_until: Mapping[Part, datetime] = field(default_factory=dict)

    def is_refused(self, part: Part, now: datetime) -> bool:
        """Tell whether it makes no sense to ask for a part at present."""
        until = self.refused_until.get(part)
        # Longer is from before the clock was set back.
        return until is not None and now < until <= now + REFUSED_INTERVAL

    def as_kept(self) -> dict[str, Any]:
        """Return what the file holds of a SIM."""
        return {
            "status": self.status,
            "usage": None if self.usage is None else self.usage.raw,
            "session": None if self.session is None else self.session.raw,
            "device": None if self.device is None else self.device.raw,
            "device_read_at": self.device_read_at,
            "refused_until": self.refused_until,
        }


_SIM = record(
    SimReads,
    {
        "status": vol.Any(None, str),
        "usage": vol.Any(None, vol.All(dict, Usage.from_answer)),
        "session": vol.Any(None, vol.All(dict, Session.from_answer)),
        "device": vol.Any(None, vol.All(dict, Device.from_answer)),
        "device_read_at": vol.Any(None, INSTANT),
        "refused_until": {vol.Coerce(Part): INSTANT},
    },
)


class AccountReads:
    """What was read of the SIMs of one account, by ICCID."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start with nothing read."""
        self._store: Store[dict[str, Any]] = Store(
            hass,
            STORAGE_VERSION,
            f"{DOMAIN}.{entry_id}.reads",
            private=True,
            atomic_writes=True,
            # A fleet fills megabytes.
            serialize_in_event_loop=False,
        )
        # As the file has it, of SIMs that nobody has asked for yet: to read thousands takes a while.
        self._kept: dict[str, Any] = {}
        self._sims: dict[str, SimReads] = {}
        self._is_to_be_saved = False
        self._is_closed = False

    async def async_load(self) -> None:
        """Open the file; one that makes no sense is left behind, it can all be read again."""
        with suppress(*UNREADABLE):
            kept = await self._store.async_load()
            self._kept = kept if isinstance(kept, dict) else {}

    @callback
    def async_recall(self, iccid: str) -> SimReads:
        """Return what was read of a SIM before Home Assistant was started."""
        if (kept := self._kept.pop(iccid, None)) is not None:
            try:
                self._sims[iccid] = _SIM(kept)
            except UNREADABLE as err:
                LOGGER.debug("What was read of a SIM cannot be recalled: %s", err)
        return self._sims.get(iccid) or SimReads()

    @callback
    def async_keep(self, iccid: str, reads: SimReads) -> None:
        """Keep what was read of a SIM."""
        if self._sims.get(iccid) != reads:
            self._sims[iccid] = reads
            self._async_save_soon()

    @callback
    def async_forget(self, iccid: str) -> None:
        """Forget a SIM that was removed."""
        for sims in (self._kept, self._sims):
            if sims.pop(iccid, None) is not None:
                self._async_save_soon()

    async def async_close(self) -> None:
        """Write everything to the disk, and nothing after that."""
        self._is_closed = True
        await self._store.async_save(self._as_dict())

    async def async_remove(self) -> None:
        """Take the file away with its account."""
        await self._store.async_remove()

    @callback
    def _async_save_soon(self) -> None:
        """Write everything to the disk in a while; the store would put it off with every call."""
        if not self._is_to_be_saved and not self._is_closed:
            self._is_to_be_saved = True
            self._store.async_delay_save(self._as_dict, SAVE_DELAY)

    def _as_dict(self) -> dict[str, Any]:
        """Return what the file holds; runs in another thread, on a copy of its own."""
        self._is_to_be_saved = False
        read = {iccid: reads.as_kept() for iccid, reads in self._sims.copy().items()}
        return self._kept | read

"""What is kept of an account over a restart: pending writes, what was read last, and what was told of it."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.json import json_bytes
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
from homeassistant.util.file import WriteError
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.json import json_loads_object
import voluptuous as vol

from .api import Device, Session, Usage
from .const import DOMAIN, LOGGER
from .counters import Carried, CounterHistory, Counters, DailyUse, Fall
from .evidence import EndpointFailure
from .issues import Issue, async_clear_issue, async_raise_issue
from .models import (
    Endpoint,
    History,
    KnownUse,
    LastSession,
    PendingWrites,
    ReceivedSms,
    SentSms,
    SimData,
    StatusRequest,
)
from .settled import Settled

STORAGE_VERSION: Final = 1
# What was read can be read again, so a power cut costs a few requests at most; writing seldom spares the disk.
SNAPSHOT_SAVE_DELAY: Final = timedelta(minutes=15).total_seconds()
# After a failed save, for example on a full disk.
SAVE_RETRY_DELAY: Final = timedelta(minutes=5).total_seconds()
MAX_CORRUPT_FILES: Final = 3
# What could not be saved when an account was unloaded, by the key of the file.
UNSAVED: Final[HassKey[dict[str, dict[str, Any]]]] = HassKey(f"{DOMAIN}.unsaved")

# What Home Assistant's Store raises for a file of a newer version, for one that cannot be opened, and for JSON that
# is no file of a Store; and what the schemas below raise for its content.
UNREADABLE: Final = (
    HomeAssistantError,
    vol.Invalid,
    ArithmeticError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkEdit:
    """An edit of many SIMs whose end the portal will report to a webhook."""

    queue_id: str
    webhook_id: str
    iccids: list[str]
    requested_at: datetime
    context: Context | None = None


def dataclass_schema(kind: type[Any], fields: Mapping[Any, Any]) -> vol.Schema:
    """Return the schema that reads a dataclass; fields that a newer version added are dropped."""
    values = vol.Schema(
        {
            name if isinstance(name, vol.Optional) else vol.Required(name): value
            for name, value in fields.items()
        },
        extra=vol.REMOVE_EXTRA,
    )
    return vol.Schema(vol.All(values, lambda valid: kind(**valid)))


_INSTANT: Final = vol.All(cv.datetime, dt_util.as_utc)
_OF_CONTEXT: Final = {
    vol.Optional("context"): vol.Any(
        None,
        dataclass_schema(
            Context, {"id": str, "parent_id": vol.Any(None, str), "user_id": vol.Any(None, str)}
        ),
    )
}
_STATUS_REQUEST_FIELDS: Final = _OF_CONTEXT | {
    "status": str,
    "previous": vol.Any(None, str),
    "requested_at": _INSTANT,
    "is_overdue": bool,
    "in_bulk": bool,
}
_STATUS_REQUEST: Final = dataclass_schema(
    StatusRequest,
    _STATUS_REQUEST_FIELDS
    | {"replaces": vol.Any(None, dataclass_schema(StatusRequest, _STATUS_REQUEST_FIELDS))},
)
_SENT_SMS: Final = dataclass_schema(
    SentSms,
    _OF_CONTEXT
    | {
        "sent_at": _INSTANT,
        "sms_id": vol.Any(None, str),
        "status": vol.Any(None, str),
        "has_ended": bool,
    },
)
_RECEIVED_SMS: Final = dataclass_schema(
    ReceivedSms,
    {
        "sms_id": str,
        "status": vol.Any(None, str),
        "text": vol.Any(None, str),
        "received_at": vol.Any(None, _INSTANT),
    },
)
_PENDING_WRITES: Final = dataclass_schema(
    PendingWrites,
    {
        "status_request": vol.Any(None, _STATUS_REQUEST),
        "sent_sms": [_SENT_SMS],
        "seen_sms_ids": vol.Any(None, [str]),
        "last_received_sms": vol.Any(None, _RECEIVED_SMS),
    },
)
_BULK_EDIT: Final = dataclass_schema(
    BulkEdit,
    _OF_CONTEXT | {"queue_id": str, "webhook_id": str, "iccids": [str], "requested_at": _INSTANT},
)
_ACCOUNT_WRITES: Final = dataclass_schema(
    dict, {"sims": {str: _PENDING_WRITES}, "bulk_edits": [_BULK_EDIT]}
)


def _sparse_schema(kind: type[Any], fields: Mapping[Any, Any]) -> vol.Schema:
    """Return the schema that reads a dataclass of which only what is not the default was stored."""
    values = vol.Schema(
        {vol.Optional(name): value for name, value in fields.items()}, extra=vol.REMOVE_EXTRA
    )
    return vol.Schema(vol.All(values, lambda valid: kind(**valid)))


def _sparse(value: Any) -> Any:
    """Return what such a schema reads again: a dataclass without all that is None or False.

    Other values are not copied, as `asdict` does: copies of moments took most of the time of saving a fleet.
    """
    if not is_dataclass(value):
        return value
    named = ((field.name, getattr(value, field.name)) for field in fields(value))
    return {name: _sparse(item) for name, item in named if item is not None and item is not False}


_COUNT: Final = vol.Any(int, float)
_COUNTERS: Final = _sparse_schema(
    Counters, {"data": _COUNT, "sms": _COUNT, "voice": _COUNT, "sessions": _COUNT}
)
_SETTLED: Final = _sparse_schema(
    Settled, {"value": str, "before": str, "changed_at": _INSTANT, "has_returned": bool}
)
_HISTORY: Final = _sparse_schema(
    History,
    {
        "told": int,
        "status": _SETTLED,
        "imei": _SETTLED,
        "is_gone": bool,
        "day": _sparse_schema(DailyUse, {"midnight": _INSTANT, "baseline": _COUNT, "used": _COUNT}),
        "session": _sparse_schema(LastSession, {"started": _INSTANT, "ended": _INSTANT}),
        "session_checked_at": _INSTANT,
        "use": _sparse_schema(
            KnownUse,
            {
                "used": int,
                "peak": int,
                "allowance": int,
                "cycle_seen_at": _INSTANT,
                "was_overage_projected": bool,
            },
        ),
        "counters": _sparse_schema(
            CounterHistory,
            {
                "known": _COUNTERS,
                "peak": _COUNT,
                "fall": _sparse_schema(
                    Fall, {"lowest": _COUNTERS, "since": _INSTANT, "is_expected": bool}
                ),
                "ended": _COUNTERS,
                "ended_at": _INSTANT,
                "returned_at": _INSTANT,
                "is_doubted": bool,
                "has_mistaken_zeros": bool,
                "carried": _sparse_schema(Carried, {"data": _COUNT, "read_at": _INSTANT}),
                "read_at": _INSTANT,
            },
        ),
    },
)
_SNAPSHOT: Final = dataclass_schema(
    SimData,
    {
        "status": vol.Any(None, str),
        "usage": vol.Any(None, vol.All(dict, Usage.from_answer)),
        "session": vol.Any(None, vol.All(dict, Session.from_answer)),
        "device": vol.Any(None, vol.All(dict, Device.from_answer)),
        "device_read_at": vol.Any(None, _INSTANT),
        "failing": {
            vol.Coerce(Endpoint): dataclass_schema(
                EndpointFailure,
                {
                    "count": int,
                    "since": _INSTANT,
                    "last": _INSTANT,
                    "is_refusal": bool,
                    "is_strong": bool,
                    "has_worked": bool,
                },
            )
        },
        "history": _HISTORY,
    },
)


class VerifiedStore(Store[dict[str, Any]]):
    """Home Assistant's Store, which only logs a failed write, with the outcome of the last write."""

    is_saved = False
    on_success: Callable[[], None]
    on_failure: Callable[[], None]

    @override
    async def _async_write_data(self, data: dict[str, Any]) -> None:
        """Write the file, and flush it to the disk."""
        self.is_saved = False
        try:
            await super()._async_write_data(data)
        except (HomeAssistantError, OSError) as err:
            self.on_failure()
            # The base class catches no other error, and a folder that cannot be created raises OSError.
            raise WriteError(str(err)) from err
        self.is_saved = True
        self.on_success()


class AccountStore(ABC):
    """A file of one account in Home Assistant's storage."""

    def __init__(
        self,
        hass: HomeAssistant,
        key: str,
        *,
        save_delay: float = 0,
        serialize_in_event_loop: bool = True,
    ) -> None:
        """Open the file of that key; nothing is loaded yet."""
        self._hass = hass
        self._store = VerifiedStore(
            hass,
            STORAGE_VERSION,
            f"{DOMAIN}.{key}",
            private=True,
            atomic_writes=True,
            serialize_in_event_loop=serialize_in_event_loop,
        )
        self._store.on_success = self._async_saved
        self._store.on_failure = self._async_save_failed
        self._save_delay = save_delay
        self._is_save_scheduled = False
        self._is_closed = False

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """Return the content of the file; may run in another thread."""

    async def _async_content(self) -> dict[str, Any]:
        """Return the content of the file."""
        return self._content()

    async def async_save(self) -> bool:
        """Write the file now, and return whether it is on the disk."""
        return not self._is_closed and await self._async_write()

    @callback
    def async_schedule_save(self) -> None:
        """Write the file after the delay; the Store would start the delay again at every call."""
        if self._is_closed or self._is_save_scheduled:
            return
        self._is_save_scheduled = True
        self._store.async_delay_save(self._scheduled_content, self._save_delay)

    def _scheduled_content(self) -> dict[str, Any]:
        """Return the content of the file, and allow the next save to be scheduled."""
        self._is_save_scheduled = False
        return self._content()

    @callback
    def async_stop_saving(self) -> None:
        """Schedule no more saves."""
        self._is_closed = True

    async def async_close(self) -> None:
        """Write the file for the last time: the next store of the account will read it."""
        self._is_closed = True
        await self._async_write()

    async def _async_write(self) -> bool:
        """Write the file now, instead of what is scheduled, and return whether it is on the disk."""
        # A write goes on in its thread when the caller is cancelled: no later one may overtake it.
        return await asyncio.shield(
            self._hass.async_create_task(self._async_write_now(), f"save {self._store.key}")
        )

    async def _async_write_now(self) -> bool:
        """Write the file now, and return whether it is on the disk."""
        content = await self._async_content()
        self._is_save_scheduled = False
        # While Home Assistant stops, and for a read-only file, the Store writes nothing.
        self._store.is_saved = False
        await self._store.async_save(content)
        return self._store.is_saved

    async def _async_load_stored(self) -> dict[str, Any] | None:
        """Return what was stored, or what could not be saved when the account was unloaded."""
        unsaved = self._hass.data.get(UNSAVED, {}).pop(self._store.key, None)
        if unsaved is None:
            return await self._store.async_load()
        self._async_save_failed()
        return unsaved

    @callback
    def _async_saved(self) -> None:
        """Forget what could not be saved before."""
        self._hass.data.get(UNSAVED, {}).pop(self._store.key, None)

    @callback
    def _async_save_failed(self) -> None:
        """Try again later, or leave the content to the next store of the account."""
        if self._is_closed:
            # As the file would have it.
            content = json_loads_object(json_bytes(self._content()))
            self._hass.data.setdefault(UNSAVED, {})[self._store.key] = content
        elif not self._is_save_scheduled:
            self._store.async_delay_save(self._scheduled_content, SAVE_RETRY_DELAY)

    async def async_remove(self) -> None:
        """Remove the file with its account."""
        self._hass.data.get(UNSAVED, {}).pop(self._store.key, None)
        await self._store.async_remove()


class PendingWritesStore(AccountStore):
    """The pending writes of an account: of its SIMs by ICCID, and bulk edits by webhook id."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Start without pending writes."""
        super().__init__(hass, entry.entry_id)
        self._entry = entry
        self._sims: dict[str, PendingWrites] = {}
        self.bulk_edits: dict[str, BulkEdit] = {}

    async def async_load(self) -> str | None:
        """Load the file; return the new name of a file that cannot be read and was set aside."""
        try:
            if (stored := await self._async_load_stored()) is None:
                return None
            account: Mapping[str, Any] = _ACCOUNT_WRITES(stored)
        except UNREADABLE as err:
            return await self._async_set_aside(err)
        self._sims = account["sims"]
        self.bulk_edits = {edit.webhook_id: edit for edit in account["bulk_edits"]}
        return None

    async def _async_set_aside(self, err: Exception) -> str:
        """Protect a file that cannot be read from being overwritten."""
        file = Path(self._store.path)
        try:
            aside = await self._hass.async_add_executor_job(_set_aside, file)
        except OSError:
            self._store.make_read_only()
            aside = str(file)
        LOGGER.warning("The stored writes of an account cannot be read, see %s: %s", aside, err)
        return aside

    def of(self, iccid: str) -> PendingWrites:
        """Return the pending writes of a SIM, to be changed in place and saved."""
        return self._sims.setdefault(iccid, PendingWrites())

    @callback
    def async_forget(self, iccid: str) -> None:
        """Forget a SIM that was removed."""
        if self._sims.pop(iccid, None) is not None:
            self.async_schedule_save()

    async def async_save_request(self) -> None:
        """Save a request that is about to be sent; raise if it is not on the disk."""
        if not await self.async_save():
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="cannot_be_saved",
                translation_placeholders={"account": self._entry.title},
            )

    @callback
    @override
    def _async_saved(self) -> None:
        """Clear the repair issue for a file that cannot be written."""
        super()._async_saved()
        async_clear_issue(self._hass, Issue.CANNOT_SAVE, self._entry.entry_id, "pending_writes")

    @callback
    @override
    def _async_save_failed(self) -> None:
        """Create that repair issue, and try again later."""
        super()._async_save_failed()
        async_raise_issue(
            self._hass,
            Issue.CANNOT_SAVE,
            self._entry.entry_id,
            "pending_writes",
            {"account": self._entry.title, "file": self._store.path},
        )

    @override
    async def async_remove(self) -> None:
        """Remove the file with its account, and what was set aside of it."""
        await super().async_remove()
        await self._hass.async_add_executor_job(_remove_corrupt_files, Path(self._store.path))

    @override
    def _content(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {
            "sims": {
                iccid: asdict(writes)
                for iccid, writes in self._sims.items()
                if writes != PendingWrites()
            },
            "bulk_edits": [asdict(edit) for edit in self.bulk_edits.values()],
        }


class SnapshotStore(AccountStore):
    """What was read last of the SIMs of an account, so that a restart need not read it again."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start with nothing read."""
        super().__init__(
            hass,
            f"{entry_id}.snapshots",
            save_delay=SNAPSHOT_SAVE_DELAY,
            # A fleet fills megabytes.
            serialize_in_event_loop=False,
        )
        # As the file has it, for SIMs not yet recalled: parsing thousands takes a while.
        self._stored: dict[str, Any] = {}
        self._snapshots: dict[str, SimData] = {}

    async def async_load(self) -> None:
        """Load the file; one that cannot be read is ignored, as it can all be read again."""
        with suppress(*UNREADABLE):
            stored = await self._async_load_stored()
            self._stored = stored if isinstance(stored, dict) else {}

    @callback
    def async_recall(self, iccid: str) -> SimData:
        """Return what was read last of a SIM, before this run if need be."""
        if (stored := self._stored.pop(iccid, None)) is not None:
            try:
                self._snapshots[iccid] = _SNAPSHOT(stored)
            except UNREADABLE as err:
                LOGGER.debug("The stored snapshot of %s cannot be read: %s", iccid, err)
        return self._snapshots.get(iccid) or SimData()

    @callback
    def async_keep(self, iccid: str, snapshot: SimData) -> None:
        """Keep what was read of a SIM."""
        if self._snapshots.get(iccid) != snapshot:
            self._snapshots[iccid] = snapshot
            self.async_schedule_save()

    @callback
    def async_forget(self, iccid: str) -> None:
        """Forget a SIM that was removed."""
        for sims in (self._stored, self._snapshots):
            if sims.pop(iccid, None) is not None:
                self.async_schedule_save()

    @override
    async def _async_content(self) -> dict[str, Any]:
        """Return the content of the file, put together in a thread: a fleet would hold up everything else."""
        return await self._hass.async_add_executor_job(self._content)

    @override
    def _content(self) -> dict[str, Any]:
        """Return the content of the file, from a copy of its own."""
        return self._stored | {
            iccid: _snapshot_content(snapshot) for iccid, snapshot in self._snapshots.copy().items()
        }


class HistoryStore(AccountStore):
    """What was told last of the SIMs of an account, saved before it is told.

    The snapshots have it too, but are written seldom.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start with nothing told."""
        super().__init__(hass, f"{entry_id}.history", serialize_in_event_loop=False)
        # As the file has them: one event of a SIM must not take the time of a fleet.
        self._stored: dict[str, Any] = {}
        self._saving = asyncio.Lock()
        self._changes = self._saved_changes = 0

    async def async_load(self) -> None:
        """Load the file; of one that cannot be read the snapshots have most."""
        with suppress(*UNREADABLE):
            stored = await self._async_load_stored()
            self._stored = stored if isinstance(stored, dict) else {}

    @callback
    def async_recall(self, iccid: str, snapshot: History) -> History:
        """Return what was told last of a SIM: by this file, or by its snapshot when that is newer."""
        try:
            stored: History = _HISTORY(self._stored.get(iccid, {}))
        except UNREADABLE as err:
            LOGGER.debug("What was told of %s cannot be read: %s", iccid, err)
            return snapshot
        return stored if stored.told > snapshot.told else snapshot

    async def async_keep(self, iccid: str, history: History) -> None:
        """Keep what is about to be told of a SIM, on the disk when this returns; SIMs at once share a write."""
        self._stored[iccid] = _sparse(history)
        self._changes += 1
        change = self._changes
        async with self._saving:
            if self._saved_changes < change:
                self._saved_changes = self._changes
                await self.async_save()

    @callback
    def async_forget(self, iccid: str) -> None:
        """Forget a SIM that was removed."""
        if self._stored.pop(iccid, None) is not None:
            self.async_schedule_save()

    @override
    def _content(self) -> dict[str, Any]:
        """Return the content of the file, from a copy of its own."""
        return self._stored.copy()


def _snapshot_content(snapshot: SimData) -> dict[str, Any]:
    """Return what the file holds of a SIM: the portal's answers, as they came."""
    return {
        "status": snapshot.status,
        "usage": None if snapshot.usage is None else snapshot.usage.raw,
        "session": None if snapshot.session is None else snapshot.session.raw,
        "device": None if snapshot.device is None else snapshot.device.raw,
        "device_read_at": snapshot.device_read_at,
        "failing": {endpoint: asdict(failure) for endpoint, failure in snapshot.failing.items()},
        "history": _sparse(snapshot.history),
    }


def _set_aside(file: Path) -> str:
    """Rename a file as Home Assistant does with invalid JSON, and keep the last few of them."""
    aside = file.with_name(f"{file.name}.corrupt.{dt_util.utcnow().isoformat()}")
    file.rename(aside)
    for old in sorted(file.parent.glob(f"{file.name}.corrupt.*"))[:-MAX_CORRUPT_FILES]:
        old.unlink()
    return str(aside)


def _remove_corrupt_files(file: Path) -> None:
    """Remove the corrupt files of an account that were set aside, by us or by Home Assistant."""
    for aside in file.parent.glob(f"{file.name}.*corrupt.*"):
        aside.unlink()

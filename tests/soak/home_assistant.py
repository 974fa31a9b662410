"""A Home Assistant that can be started from its files and stopped repeatedly in one process."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
import errno
from functools import _lru_cache_wrapper
import gc
import json
from pathlib import Path
import socket
from types import CodeType, CoroutineType
from typing import Any, Final
import weakref

from aiohttp import ThreadedResolver
from homeassistant import bootstrap, loader
from homeassistant.auth import auth_manager_from_config
from homeassistant.config_entries import ConfigEntries, ConfigEntry
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HassJob, HomeAssistant, State, callback
from homeassistant.helpers import aiohttp_client, entity_registry as er, storage
from homeassistant.setup import async_setup_component
from homeassistant.util import file as file_util
from homeassistant.util.async_ import (
    _SHUTDOWN_RUN_CALLBACK_THREADSAFE,
    get_scheduled_timer_handles,
)

from custom_components.iot_portal.const import DOMAIN
from scripts.hass_process import listening

from .promises import Promise, Promises

type EventListener = Callable[[str, str, State], None]

PACKAGES: Final = ("homeassistant", "custom_components")
CACHE_MODULES: Final = (
    *("homeassistant.helpers.", "homeassistant.components.", "aiohttp.web_app"),
    "mock_portal.",
)
# Home Assistant does not cancel the ten-second cooldown of a requested refresh.
COOLDOWN_MODULE: Final = "/homeassistant/helpers/debounce.py"


class SoakHomeAssistant:
    """Home Assistant with one configuration folder."""

    hass: HomeAssistant

    def __init__(self, folder: Path, url: str, promises: Promises, on_event: EventListener) -> None:
        """Store the folder, the URL and the listener for events of event entities."""
        self._folder = folder
        self._promises = promises
        self._on_event = on_event
        self._last: dict[str, str] = {}
        self._stopped: list[weakref.ref[HomeAssistant]] = []
        self._is_power_cut = False
        self._url = url
        self.restarts = 0
        self.power_cuts = 0

    @property
    def entry(self) -> ConfigEntry[Any]:
        """Return the config entry of the account."""
        (entry,) = self.hass.config_entries.async_entries(DOMAIN)
        return entry

    async def start(self) -> None:
        """Start Home Assistant from its files."""
        self.hass = hass = HomeAssistant(str(self._folder))
        loader.async_setup(hass)
        hass.config_entries = ConfigEntries(hass, {})
        # Home Assistant's own resolver uses the network; the portal has no name to resolve.
        data: dict[Any, Any] = hass.data
        data[aiohttp_client.DATA_RESOLVER] = ThreadedResolver()
        await loader.async_get_custom_components(hass)
        await bootstrap.async_load_base_functionality(hass)
        hass.auth = await auth_manager_from_config(hass, [], [])
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._async_state_changed)
        # The address for the webhooks of bulk edits.
        hass.config.external_url = self._url
        await async_setup_component(hass, DOMAIN, {})
        await hass.async_start()

    async def cut_power(self, calls: set[asyncio.Task[None]]) -> None:
        """Stop as a power cut would: restore the files as they are now, and report no further events."""
        loop = asyncio.get_running_loop()
        self._is_power_cut = True
        on_disk = await loop.run_in_executor(None, _read_files, self._folder)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await self.stop(set())
        await loop.run_in_executor(None, _write_files, on_disk)
        self._is_power_cut = False
        self.power_cuts += 1

    async def stop(self, calls: set[asyncio.Task[None]]) -> None:
        """Stop Home Assistant, and cancel the calls in progress, as the end of its process would."""
        stopped = weakref.ref(self.hass)
        await self.hass.async_stop()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        timers = _cancel_timers()
        del self.hass
        with suppress(AttributeError):
            # This attribute tells threads that the loop has ended; here the next Home Assistant reuses it.
            delattr(asyncio.get_running_loop(), _SHUTDOWN_RUN_CALLBACK_THREADSAFE)
        # The portal closes the connections.
        await asyncio.sleep(120)
        for left in (*timers, *_tasks()):
            self._promises.mark_broken(Promise.NOTHING_LEAKS, f"left after a stop: {left}")
        clear_caches()
        gc.collect()
        # Home Assistant itself keeps a reference to the one that was stopped last.
        for old in self._stopped:
            if old() is not None:
                self._promises.mark_broken(
                    Promise.NOTHING_LEAKS, "a stopped Home Assistant is still held"
                )
        self._stopped = [stopped]
        self.restarts += 1

    @callback
    def _async_state_changed(self, event: Event[EventStateChangedData]) -> None:
        """Pass on events of event entities, but not the last ones, which are restored at a start."""
        state = event.data["new_state"]
        if (
            self._is_power_cut
            or state is None
            or state.domain != "event"
            or state.state in ("unknown", "unavailable")
        ):
            return
        if state.state <= self._last.get(state.entity_id, ""):
            return
        self._last[state.entity_id] = state.state
        entity = er.async_get(self.hass).async_get(state.entity_id)
        assert entity is not None
        owner, _, key = entity.unique_id.partition("_")
        self._on_event(owner, key, state)

    def state(self, domain: str, iccid: str, key: str) -> str | None:
        """Return the state of an entity of a SIM."""
        entity_id = er.async_get(self.hass).async_get_entity_id(domain, DOMAIN, f"{iccid}_{key}")
        state = self.hass.states.get(entity_id) if entity_id else None
        return state.state if state else None

    def sims(self) -> dict[str, str]:
        """Return the subentry IDs by ICCID."""
        return {sub.data["iccid"]: sub.subentry_id for sub in self.entry.subentries.values()}


@contextmanager
def full_disk() -> Iterator[None]:
    """Fail every write of a file of the integration while the context lasts."""
    write: Any = file_util.write_utf8_file_atomic

    def refuse(filename: str, *args: Any, **options: Any) -> None:
        if f"/{DOMAIN}." in filename:
            raise file_util.WriteError(OSError(errno.ENOSPC, "No space left on device"))
        write(filename, *args, **options)

    setattr(storage, write.__name__, refuse)
    try:
        yield
    finally:
        setattr(storage, write.__name__, write)


def prepare(folder: Path) -> str:
    """Bind Home Assistant's server, which receives the portal's reports, to this machine, and return its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    content = {
        "key": "http",
        "version": 2,
        "minor_version": 2,
        "data": listening("127.0.0.1", port),
    }
    storage = folder / ".storage"
    storage.mkdir()
    (storage / "http").write_text(json.dumps(content), encoding="utf-8")
    return f"http://127.0.0.1:{port}"


def _read_files(folder: Path) -> dict[Path, bytes]:
    """Return the files of Home Assistant's storage."""
    return {file: file.read_bytes() for file in (folder / ".storage").iterdir()}


def _write_files(files: dict[Path, bytes]) -> None:
    """Restore the files, and delete any others."""
    for file in next(iter(files)).parent.iterdir():
        if file not in files:
            file.unlink()
    for file, content in files.items():
        file.write_bytes(content)


def clear_caches() -> None:
    """Clear the caches that hold a Home Assistant or the portal's paths, as the end of a process would."""
    for thing in gc.get_objects():
        if type(thing) is _lru_cache_wrapper and thing.__module__.startswith(CACHE_MODULES):
            thing.cache_clear()


def _tasks() -> list[str]:
    """Return the unfinished tasks of Home Assistant and the integration."""
    return [
        repr(task)
        for task in asyncio.all_tasks()
        if isinstance(coroutine := task.get_coro(), CoroutineType) and _is_ours(coroutine.cr_code)
    ]


def _cancel_timers() -> list[str]:
    """Cancel all timers, and return those that should not be left at the end of the process.

    Home Assistant does not cancel timers marked `cancel_on_shutdown` before its process ends.
    """
    left = []
    for handle in get_scheduled_timer_handles(asyncio.get_running_loop()):
        alarm: Any = handle
        code: CodeType | None = getattr(alarm._callback, "__code__", None)  # noqa: SLF001
        if handle.cancelled() or code is None or not _is_ours(code):
            continue
        job = alarm._args[-1] if alarm._args else None  # noqa: SLF001
        may_be_left = isinstance(job, HassJob) and job.cancel_on_shutdown
        if not may_be_left and not code.co_filename.endswith(COOLDOWN_MODULE):
            left.append(f"{handle!r} {job}")
        handle.cancel()
    return left


def _is_ours(code: CodeType) -> bool:
    """Return whether code belongs to Home Assistant or the integration."""
    return any(f"/{name}/" in code.co_filename for name in PACKAGES)

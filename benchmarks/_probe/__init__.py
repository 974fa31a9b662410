"""Measure Home Assistant from within; the benchmarks call its actions."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
import gc
from pathlib import Path
import time
from typing import Any

from homeassistant.const import (
    EVENT_STATE_CHANGED,
    EVENT_STATE_REPORTED,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.json import json_bytes
from homeassistant.helpers.start import async_at_started
from homeassistant.helpers.typing import ConfigType
from homeassistant.util.event_type import EventType
from homeassistant.util.hass_dict import HassKey

DOMAIN = "bench_probe"
CONFIG_SCHEMA = cv.empty_config_schema(DOMAIN)
# The file with the start time, for benchmarks that have no user yet.
STARTED_FILE = "bench_started"
NAP = 0.005
_MEASUREMENT: HassKey[_Measurement] = HassKey(DOMAIN)


async def async_setup(hass: HomeAssistant, _: ConfigType) -> bool:
    """Record when Home Assistant has started, and register the actions."""

    async def note_start(_: HomeAssistant) -> None:
        """Write the current time to a file."""
        file, now = Path(hass.config.path(STARTED_FILE)), time.time()
        await hass.async_add_executor_job(file.write_text, str(now))

    async_at_started(hass, note_start)
    for action in (poll, look, begin, end, dashboard, change_options):
        hass.services.async_register(
            DOMAIN, action.__name__, action, supports_response=SupportsResponse.ONLY
        )
    return True


async def look(call: ServiceCall) -> ServiceResponse:
    """Return the number of entities with a state, and the sensors with a name suffix that have been read."""
    read = [
        state.entity_id
        for state in call.hass.states.async_all("sensor")
        if state.entity_id.endswith(call.data["ending"])
        and state.state not in {STATE_UNAVAILABLE, STATE_UNKNOWN}
    ]
    return {"entities": call.hass.states.async_entity_ids_count(), "read": [*read]}


async def poll(call: ServiceCall) -> ServiceResponse:
    """Update sensors and return what it cost."""
    measurement = _Measurement(call.hass)
    await call.hass.services.async_call(
        "homeassistant", "update_entity", {"entity_id": call.data["sensors"]}, blocking=True
    )
    result = measurement.stop()
    # An entity that is told to update writes its state once more, which a poll does not.
    result["reports"] -= len(call.data["sensors"])
    return {**result}


async def begin(call: ServiceCall) -> ServiceResponse:
    """Begin to measure whatever happens until the action `end`."""
    call.hass.data[_MEASUREMENT] = _Measurement(call.hass)
    return {}


async def end(call: ServiceCall) -> ServiceResponse:
    """Return what has happened since the action `begin`."""
    return {**call.hass.data.pop(_MEASUREMENT).stop()}


async def dashboard(call: ServiceCall) -> ServiceResponse:
    """Generate the dashboard for an administrator, and return what it cost and its bytes as JSON."""
    # Here, because other benchmarks run without the integration.
    from custom_components.iot_portal.dashboard import async_generate  # noqa: PLC0415

    owner = next(user for user in await call.hass.auth.async_get_users() if user.is_owner)
    measurement = _Measurement(call.hass)
    config = await async_generate(call.hass, call.hass.config.language, owner)
    size = len(json_bytes(config))
    # What was begun in the same turn of the event loop ends with it.
    await asyncio.sleep(NAP)
    return {"cost": {**measurement.stop()}, "bytes": size}


async def change_options(call: ServiceCall) -> ServiceResponse:
    """Change options of all accounts, as the dialog of each would."""
    for entry in call.hass.config_entries.async_entries("iot_portal"):
        call.hass.config_entries.async_update_entry(
            entry, options={**entry.options, **call.data["options"]}
        )
    return {}


class _Measurement:
    """What Home Assistant has done since the measurement began."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin."""
        self._counts: dict[EventType[Any], int] = {EVENT_STATE_CHANGED: 0, EVENT_STATE_REPORTED: 0}
        self._stops = [_count(hass, kind, self._counts) for kind in self._counts]
        self._longest = _Longest()
        self._watch = hass.async_create_background_task(_watch(self._longest), DOMAIN)
        self._cpu, self._began = time.process_time(), time.perf_counter()

    def stop(self) -> dict[str, float]:
        """Stop, and return what was measured; times are in seconds."""
        seconds = time.perf_counter() - self._began
        cpu = time.process_time() - self._cpu
        self._watch.cancel()
        for stop in self._stops:
            stop()
        return {
            "cpu": cpu,
            "seconds": seconds,
            "stall": self._longest.stall,
            "busy": self._longest.busy,
            "collector": self._longest.collector,
            "changes": self._counts[EVENT_STATE_CHANGED],
            "reports": self._counts[EVENT_STATE_REPORTED],
        }


def _count(
    hass: HomeAssistant, kind: EventType[Any], counts: dict[EventType[Any], int]
) -> CALLBACK_TYPE:
    """Count events of a type, and return a function that stops counting.

    The filter counts and rejects every event, so that counting creates no event objects.
    """

    @callback
    def count(_: Any) -> bool:
        counts[kind] += 1
        return False

    @callback
    def ignore(_: Event[Any]) -> None:
        """Do nothing; the filter rejects every event."""

    return hass.bus.async_listen(kind, ignore, event_filter=count)


@dataclass
class _Longest:
    """The longest delay of the event loop, the longest work in one, and the longest run of the garbage collector.

    Work is in seconds of CPU of the loop's thread, without the garbage collector: that looks at all objects of Home
    Assistant, whoever made the last one.
    """

    stall: float = 0.0
    busy: float = 0.0
    collector: float = 0.0


class _Collector:
    """The seconds of CPU that the garbage collector has used in a thread."""

    def __init__(self) -> None:
        """Start counting."""
        self.seconds = self.longest = 0.0
        self._began = 0.0
        gc.callbacks.append(self._count)

    def stop(self) -> None:
        """Stop counting."""
        gc.callbacks.remove(self._count)

    def _count(self, phase: str, _: Mapping[str, int]) -> None:
        """Add the time from a start to its end."""
        now = time.thread_time()
        if phase == "start":
            self._began = now
            return
        self.seconds += now - self._began
        self.longest = max(self.longest, now - self._began)


async def _watch(longest: _Longest) -> None:
    """Record the longest delay of the event loop."""
    collector = _Collector()
    try:
        while True:
            before, cpu = time.perf_counter(), time.thread_time() - collector.seconds
            await asyncio.sleep(NAP)
            longest.stall = max(longest.stall, time.perf_counter() - before - NAP)
            longest.busy = max(longest.busy, time.thread_time() - collector.seconds - cpu)
            longest.collector = collector.longest
    finally:
        collector.stop()

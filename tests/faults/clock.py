"""A settable wall clock beside the monotonic clock of timers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest


class WallClock:
    """A wall clock that can be set, and a way to advance both clocks."""

    def __init__(self, hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
        """Show the real time, and keep it running, unlike freezegun, because sockets need it."""
        self._hass = hass
        self._offset = timedelta()
        self._passed = 0.0
        steady = hass.loop.time
        monkeypatch.setattr(hass.loop, "time", lambda: steady() + self._passed)
        monkeypatch.setattr(dt_util, "utcnow", self._utcnow)
        monkeypatch.setattr(dt_util, "now", self._now)

    def jump(self, time: timedelta) -> None:
        """Set the wall clock forward or back; timers do not notice."""
        self._offset += time

    async def advance(self, time: timedelta) -> None:
        """Advance both clocks; each timer that is due fires once."""
        self.jump(time)
        self._passed += time.total_seconds()
        # The loop checks its timers once an iteration.
        for _ in range(3):
            await asyncio.sleep(0)

    async def wait(self, time: timedelta) -> None:
        """Advance both clocks, and wait for what follows."""
        await self.advance(time)
        await self._hass.async_block_till_done(wait_background_tasks=True)

    def _utcnow(self) -> datetime:
        """Return the time of the wall clock."""
        return datetime.now(UTC) + self._offset

    def _now(self, time_zone: Any = None) -> datetime:
        """Return the time of the wall clock in a time zone."""
        return self._utcnow().astimezone(time_zone or dt_util.get_default_time_zone())

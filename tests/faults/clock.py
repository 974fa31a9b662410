"""Two clocks: one on the wall, which can be set, and that of timers, which only ever goes on."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest


class WallClock:
    """The clock on the wall, and a way to let time pass by both."""

    def __init__(self, hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
        """Show the real time. Sockets need it to go on, which freezegun would prevent."""
        self._hass = hass
        self._offset = timedelta()
        self._passed = 0.0
        steady = hass.loop.time
        monkeypatch.setattr(hass.loop, "time", lambda: steady() + self._passed)
        monkeypatch.setattr(dt_util, "utcnow", self._utcnow)
        monkeypatch.setattr(dt_util, "now", self._now)

    def jump(self, time: timedelta) -> None:
        """Show another time at once; no time passes."""
        self._offset += time

    async def wait(self, time: timedelta) -> None:
        """Let time pass: what is due within it comes once."""
        self.jump(time)
        self._passed += time.total_seconds()
        # The loop looks at its timers once a round.
        for _ in range(3):
            await asyncio.sleep(0)
        await self._hass.async_block_till_done(wait_background_tasks=True)

    def _utcnow(self) -> datetime:
        """Return the time that is shown."""
        return datetime.now(UTC) + self._offset

    def _now(self, time_zone: Any = None) -> datetime:
        """Return it as it is read somewhere."""
        return self._utcnow().astimezone(time_zone or dt_util.get_default_time_zone())

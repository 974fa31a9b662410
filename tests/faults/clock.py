"""A clock on the wall that can jump."""

from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed


class WallClock:
    """The clock on the wall, which can be moved; timers and the sockets go by another one."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Show the real time."""
        self._hass = hass
        self._offset = timedelta()

    def utcnow(self) -> datetime:
        """Return the time that is shown."""
        return datetime.now(UTC) + self._offset

    def now(self, time_zone: Any = None) -> datetime:
        """Return it as it is read somewhere."""
        return self.utcnow().astimezone(time_zone or dt_util.get_default_time_zone())

    def jump(self, time: timedelta) -> None:
        """Show another time at once; no time passes."""
        self._offset += time

    async def wait(self, time: timedelta) -> None:
        """Let time pass: what is due within it comes once."""
        self.jump(time)
        async_fire_time_changed(self._hass, datetime.now(UTC) + time)
        await self._hass.async_block_till_done(wait_background_tasks=True)

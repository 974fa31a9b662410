"""What tests of several parts share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import override

from custom_components.iot_portal.api.pacing import Pacer


class TirelessPacer(Pacer):
    """A pacer that holds nobody up, for tests that move the portal's clock or stop the real one."""

    @override
    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Go."""
        self.count()
        yield

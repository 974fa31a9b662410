"""A Home Assistant with a probe, for the benchmarks."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
import shutil
import time
from typing import Any, Self

from aiohttp.test_utils import unused_port

from scripts.hass_process import HomeAssistantProcess

from ._machine import memory_bytes
from ._probe import DOMAIN, STARTED_FILE
from ._report import BenchmarkError

VERSIONS = {"Home Assistant": version("homeassistant")}
PROBE = Path(__file__).parent / "_probe"

START_SECONDS = 600
LOOK_SECONDS = 0.25
READ_SECONDS = 180
# Until what an action has started in the background is done.
SETTLING_SECONDS = 3
# Home Assistant delays update requests that follow each other sooner than this.
PAUSE = 11


@dataclass(frozen=True, kw_only=True)
class Poll:
    """The cost of a poll, or of anything else: CPU seconds, elapsed seconds, longest stall in seconds, state writes.

    `busy` is the CPU that the event loop used in one stall at most, without the garbage collector: unlike its length,
    it does not depend on what else the machine does. `collector` is the CPU of the garbage collector's longest run.
    """

    cpu: float
    seconds: float
    stall: float
    busy: float
    collector: float
    changes: float
    reports: float


@dataclass(frozen=True, kw_only=True)
class Holding:
    """The memory of Home Assistant in bytes, and the number of entities with a state."""

    memory: float
    entities: float

    def minus(self, other: Self) -> Self:
        """Return the difference from another measurement."""
        return replace(
            self, memory=self.memory - other.memory, entities=self.entities - other.entities
        )


class ProbedHomeAssistant(HomeAssistantProcess):
    """Home Assistant in its own process, measured from within."""

    def __init__(self, config_dir: Path) -> None:
        """Create the process object for a configuration folder."""
        super().__init__(config_dir, port=unused_port())
        self._has_user = False

    def prepare_probed(
        self, *, accounts: Iterable[dict[str, Any]] = (), configuration: str = ""
    ) -> None:
        """Create the configuration folder with the probe, accounts and further configuration."""
        self.prepare(f"config:\n{DOMAIN}:\n{configuration}")
        shutil.copytree(
            PROBE,
            self.config_dir / "custom_components" / DOMAIN,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        if entries := list(accounts):
            self.store("core.config_entries", 1, 5, {"entries": entries})

    @asynccontextmanager
    async def started(self) -> AsyncIterator[float]:
        """Run Home Assistant, and yield the seconds that its start took."""
        file = self.config_dir / STARTED_FILE
        file.unlink(missing_ok=True)
        began = time.time()
        try:
            await self.start()
            seconds = await _number_in(file) - began
            # Not earlier, as it would add to the measured start.
            await self._log_in()
            yield seconds
        finally:
            await self.stop()

    async def _log_in(self) -> None:
        """Create a user once, with a token that is valid for longer than any benchmark runs."""
        if not self._has_user:
            await self.create_user("demo", "demo")
            self._token = await self.command(
                "auth/long_lived_access_token", client_name="bench", lifespan=1
            )
            self._has_user = True

    async def read_sensors(self, ending: str) -> list[str]:
        """Return the sensors that have been read and whose names end in a suffix."""
        look = await self.call_action(DOMAIN, "look", {"ending": ending})
        read: list[str] = look["read"]
        return read

    async def until_read(
        self, ending: str, wanted: int, seconds: float = READ_SECONDS
    ) -> list[str]:
        """Wait until a number of sensors whose names end in a suffix have been read, and return them."""
        until = time.monotonic() + seconds
        while len(read := await self.read_sensors(ending)) < wanted:
            if time.monotonic() > until:
                msg = f"only {len(read)} of {wanted} sensors were read within {seconds:.0f} s"
                raise BenchmarkError(msg)
            await asyncio.sleep(LOOK_SECONDS)
        return read

    async def holding(self) -> Holding:
        """Return what Home Assistant holds once it is idle."""
        await asyncio.sleep(PAUSE)
        look = await self.call_action(DOMAIN, "look", {"ending": "_"})
        return Holding(memory=memory_bytes(self.pid), entities=look["entities"])

    async def poll(self, sensors: list[str]) -> Poll:
        """Update sensors and return what it cost."""
        return Poll(**await self.call_action(DOMAIN, "poll", {"sensors": sensors}))

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[list[Poll]]:
        """Measure what happens within the context, and until Home Assistant is idle; it is added to the list."""
        measured: list[Poll] = []
        await self.call_action(DOMAIN, "begin", {})
        yield measured
        await asyncio.sleep(SETTLING_SECONDS)
        measured.append(Poll(**await self.call_action(DOMAIN, "end", {})))

    async def generate_dashboard(self) -> tuple[Poll, int]:
        """Generate the dashboard, and return what it cost and its bytes."""
        generated = await self.call_action(DOMAIN, "dashboard", {})
        return Poll(**generated["cost"]), generated["bytes"]

    async def change_options(self, options: dict[str, Any]) -> None:
        """Change options of all accounts."""
        await self.call_action(DOMAIN, "change_options", {"options": options})


async def _number_in(file: Path) -> float:
    """Wait until a file holds a number, and return the number."""
    until = time.monotonic() + START_SECONDS
    while not (text := _read(file)):
        if time.monotonic() > until:
            msg = f"Home Assistant was not started within {START_SECONDS} s"
            raise BenchmarkError(msg)
        await asyncio.sleep(LOOK_SECONDS)
    return float(text)


def _read(file: Path) -> str:
    """Return the content of a file, or an empty string if there is none."""
    return file.read_text(encoding="utf-8") if file.exists() else ""

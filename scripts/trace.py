"""Prints which functions of the integration run on one path, as a tree of calls, and how many they are.

A Home Assistant in virtual time reads one idle SIM from the mock portal. After some polls one path is recorded:

  poll      one more poll of the SIM; not the sums of the account, which follow seconds later
  change    the action request_status_change, until the status is confirmed after 30 s
  send_sms  the action send_sms, until the SMS is sent

Every task and every timer has a tree of its own. Depth is the number of functions on the way from the first
one of a task to the innermost, those that wait for another one included.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import State
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr

from mock_portal import MockPortal
from tests.soak.home_assistant import SoakHomeAssistant, prepare
from tests.soak.promises import Promises
from tests.soak.virtual import VirtualLoop, virtual_time

from .call_tree import CallTree
from .hass_process import INTEGRATION

DOMAIN = INTEGRATION.name
START = datetime(2026, 1, 20, tzinfo=UTC)
ICCID = "8931080000000000011"
SCENARIO = {
    "accounts": {"demo-client": {"secret_key": "demo-secret", "api_token": "demo-token"}},
    "sims": {
        ICCID: {
            "data_usage": 1_500_000,
            "session_count": 3,
            "session_started": "-3h",
            "session_ended": "-2h",
        }
    },
    "dialects": {"status_change": "after_seconds"},
}
POLLS_BEFORE = 2
# In virtual seconds: the longest wait for anything, and how long what follows the polls before may take.
PATIENCE = 3600
REST = 60


class Stage:
    """Home Assistant with one SIM, and the portal that it reads."""

    def __init__(self, folder: Path, url: str, portal: MockPortal) -> None:
        """Prepare a Home Assistant with its files in a folder and its server at a URL."""
        loop = asyncio.get_running_loop()
        promises = Promises(clock=lambda: START + timedelta(seconds=loop.time()))
        self._portal = portal
        self._events: dict[str, asyncio.Event] = {}
        self._home = SoakHomeAssistant(folder, url, promises, self._note_event)

    async def start(self) -> None:
        """Add the account and the SIM, and wait for the polls before the path."""
        await self._home.start()
        entries = self._home.hass.config_entries
        account = {
            "environment": "custom",
            "client_id": "demo-client",
            "secret_key": "demo-secret",
            "other": {"base_url": self._portal.url},
        }
        await entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER}, data=account)
        flow = await entries.subentries.async_init(
            (self._home.entry.entry_id, "sim"), context={"source": SOURCE_USER}
        )
        step = await entries.subentries.async_configure(flow["flow_id"], {"iccids": ICCID})
        while step["type"] is FlowResultType.SHOW_PROGRESS:
            await asyncio.sleep(1)
            step = await entries.subentries.async_configure(flow["flow_id"])
        await entries.subentries.async_configure(flow["flow_id"], {"iccids": ICCID})
        await asyncio.sleep(REST)
        for _ in range(POLLS_BEFORE):
            await self.poll()
            await asyncio.sleep(REST)

    async def stop(self) -> None:
        """Stop Home Assistant."""
        await self._home.hass.async_stop()

    def _note_event(self, _owner: str, _key: str, state: State) -> None:
        """Note what an event entity shows."""
        self._event(state.attributes["event_type"]).set()

    def _event(self, event_type: str) -> asyncio.Event:
        """Return what is set once an event entity has shown an event."""
        return self._events.setdefault(event_type, asyncio.Event())

    async def poll(self) -> None:
        """Wait for the next poll; a poll of one request takes no virtual time."""
        before = len(self._portal.journal)
        async with asyncio.timeout(PATIENCE):
            while len(self._portal.journal) == before:  # noqa: ASYNC110  a journal notifies nobody
                await asyncio.sleep(1)
        # It may have begun in the same moment.
        await asyncio.sleep(1)

    async def change(self) -> None:
        """Change the status and wait until it is confirmed."""
        await self._act("request_status_change", {"status": "deactivated"})
        await self._wait_for("status_change_confirmed")

    async def send_sms(self) -> None:
        """Send an SMS."""
        await self._act("send_sms", {"message": "Restart"})
        await self._wait_for("sms_sent")

    async def _act(self, action: str, data: dict[str, Any]) -> None:
        """Call an action on the SIM."""
        hass = self._home.hass
        devices = dr.async_entries_for_config_entry(dr.async_get(hass), self._home.entry.entry_id)
        target = {ATTR_DEVICE_ID: [each.id for each in devices if each.serial_number == ICCID]}
        await hass.services.async_call(DOMAIN, action, target | data, blocking=True)

    async def _wait_for(self, event_type: str) -> None:
        """Wait until an event entity shows an event."""
        async with asyncio.timeout(PATIENCE):
            await self._event(event_type).wait()


PATHS: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "poll": Stage.poll,
    "change": Stage.change,
    "send_sms": Stage.send_sms,
}


async def _trace(path: str, folder: Path, url: str) -> CallTree:
    """Return the calls on a path."""
    tree = CallTree(INTEGRATION)
    async with MockPortal(SCENARIO) as portal:
        stage = Stage(folder, url, portal)
        await stage.start()
        with tree.recording():
            await PATHS[path](stage)
        await stage.stop()
    return tree


def main() -> None:
    """Trace a path and print it."""
    parser = ArgumentParser(
        prog="scripts/trace", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("path", choices=PATHS)
    parser.add_argument("--summary", action="store_true", help="print the figures only")
    options = parser.parse_args()
    # Home Assistant warns of every integration that is not its own.
    logging.getLogger().setLevel(logging.ERROR)
    loop = VirtualLoop()
    with TemporaryDirectory() as name:
        folder = Path(name)
        url = prepare(folder)
        with (
            virtual_time(loop, START),
            asyncio.Runner(loop_factory=lambda: loop) as runner,
        ):
            tree = runner.run(_trace(options.path, folder, url))
    if not options.summary:
        print(tree)
    print(f"{options.path}: {tree.figures}")


if __name__ == "__main__":
    main()

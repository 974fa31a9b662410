"""Run the mock portal and a real Home Assistant with a demo account."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
import shutil
import signal
import socket
import sys
import time
from typing import Any

from aiohttp import ClientError, ClientSession

from scripts.hass_process import (
    POLL_INTERVAL,
    REPOSITORY,
    HomeAssistantError,
    HomeAssistantProcess,
)

CLIENT_ID = "demo-client"
SECRET_KEY = "demo-secret"  # noqa: S105
USER = PASSWORD = "demo"  # noqa: S105
STATES_TIMEOUT = 60


class DemoError(Exception):
    """The demo cannot continue; the message says what to do."""


class PortalProcess:
    """The mock portal in its own process."""

    def __init__(self, port: int, scenario: str = "demo") -> None:
        """Store the port and the scenario."""
        self._scenario = scenario
        self.root = f"http://127.0.0.1:{port}"
        self.base_url = f"{self.root}/api"
        self.port = port

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the portal for as long as the context lasts."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mock_portal", "serve"),
            *("--port", str(self.port), "--scenario", self._scenario),
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            await self._wait_until_ready(process)
            yield
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the portal answers."""
        while process.returncode is None:
            with suppress(ClientError):
                await self.control("health")
                return
            await asyncio.sleep(0.1)
        msg = "the mock portal did not start"
        raise DemoError(msg)

    async def clear_journal(self) -> None:
        """Clear the portal's journal."""
        async with ClientSession() as session:
            await session.delete(f"{self.root}/_mock/journal")

    async def replace_faults(self, *faults: dict[str, Any]) -> None:
        """Remove all faults of the portal, and add others."""
        url = f"{self.root}/_mock/faults"
        async with ClientSession(raise_for_status=True) as session:
            await session.delete(url)
            for fault in faults:
                await session.post(url, json=fault)

    async def control(self, path: str) -> Any:
        """Return the response of the portal's control interface."""
        async with ClientSession() as session, session.get(f"{self.root}/_mock/{path}") as response:
            return await response.json()


def require_free(port: int, option: str) -> None:
    """Raise an error if the port is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as err:
            msg = f"port {port} is in use; stop the program that uses it, or choose another with {option}"
            raise DemoError(msg) from err


def show_progress(seconds: float) -> None:
    """Print every five seconds that Home Assistant is still starting."""
    if seconds >= POLL_INTERVAL and seconds % 5 < POLL_INTERVAL:
        print(f"    still starting ({seconds:.0f} s)", flush=True)


async def set_up(hass: HomeAssistantProcess, portal: PortalProcess) -> tuple[str, list[str]]:
    """Add the demo account and its SIMs as a user would; return the entry ID and the ICCIDs."""
    await hass.create_user(USER, PASSWORD)
    print("==> Adding the demo account and its SIMs", flush=True)
    account = await hass.add_account(
        portal.base_url, client_id=CLIENT_ID, secret_key=SECRET_KEY, name="Demo"
    )
    iccids = list(await portal.control("sims"))
    entry_id: str = account["result"]["entry_id"]
    await hass.add_sims(entry_id, iccids)
    return entry_id, iccids


async def wait_for_states(hass: HomeAssistantProcess, iccids: list[str]) -> dict[str, Any]:
    """Wait until every SIM has been read, and return the states."""
    until = time.monotonic() + STATES_TIMEOUT
    sims: dict[str, Any] = {}
    while time.monotonic() < until:
        sims = await hass.states()
        if all(
            sims.get(iccid, {}).get("status", {}).get("state", "unavailable") != "unavailable"
            for iccid in iccids
        ):
            return sims
        await asyncio.sleep(0.5)
    msg = f"the SIMs were not read within {STATES_TIMEOUT} s: {sims}"
    raise DemoError(msg)


def print_states(owners: dict[str, Any]) -> None:
    """Print a table with a column for each SIM or account and a row for each entity with a state."""
    keys = sorted({key for states in owners.values() for key in states})
    rows = [["", *owners]]
    rows += [[key, *(_shown(states.get(key)) for states in owners.values())] for key in keys]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        if row is rows[0] or any(cell != "unknown" for cell in row[1:]):
            cells = zip(row, widths, strict=True)
            print("    " + "  ".join(cell.ljust(width) for cell, width in cells))


def _shown(state: dict[str, Any] | None) -> str:
    """Return a state with its unit, or the last event type of an event entity."""
    if state is None:
        return ""
    attributes = state["attributes"]
    told = attributes.get("event_type") or state["state"]
    return " ".join(filter(None, (told, attributes.get("unit_of_measurement"))))


async def check(
    hass: HomeAssistantProcess, portal: PortalProcess, entry_id: str, iccids: list[str]
) -> None:
    """Send an SMS and change a status, and check that the portal's journal has both."""
    await print_everything(hass, entry_id, iccids)
    devices = await hass.device_ids()
    sim = iccids[1]
    print(f"==> Sending an SMS to {sim} and asking for another status of it", flush=True)
    sent = await hass.call_action(
        "iot_portal", "send_sms", {"device_id": devices[sim], "message": "Hello"}
    )
    print(f"    the portal gave the SMS the id {sent['sims'][0]['sms_id']}")
    await _wait_for(hass, sim, "sms_event", "sms_delivered")
    await hass.call_action(
        "iot_portal",
        "request_status_change",
        {"device_id": devices[sim], "status": "deactivated"},
    )
    await _wait_for(hass, sim, "status", "deactivated")
    await _wait_for(hass, sim, "sim_event", "status_change_confirmed")
    journal = (await portal.control("journal"))["exchanges"]
    print("==> What the portal saw")
    for path in (f"/SendSMS/{sim}/1", f"/RequestStatusChange/{sim}"):
        seen = [item for item in journal if item["method"] == "PUT" and item["path"].endswith(path)]
        if len(seen) != 1:
            msg = f"PUT {path} is in the portal's journal {len(seen)} times instead of once"
            raise DemoError(msg)
        print(f"    PUT {seen[0]['path']} {seen[0]['body']} -> {seen[0]['status']}")
    print(f"==> All is well: the SMS was delivered, and {sim} is now deactivated in Home Assistant")


async def print_everything(hass: HomeAssistantProcess, entry_id: str, iccids: list[str]) -> None:
    """Print the states of the SIMs and, once its sums are updated, of the account."""
    states = await wait_for_states(hass, iccids)
    print_states({iccid: states[iccid] for iccid in iccids})
    await _wait_for(hass, entry_id, "sims_active", "3")
    print_states({"account": (await hass.states())[entry_id]})


async def _wait_for(hass: HomeAssistantProcess, owner: str, key: str, shown: str) -> None:
    """Wait until an entity of a SIM or an account has a state or event type."""
    until = time.monotonic() + STATES_TIMEOUT
    while True:
        state = (await hass.states())[owner][key]
        if shown in (state["state"], state["attributes"].get("event_type")):
            return
        if time.monotonic() > until:
            msg = f"{key} of {owner} did not become {shown} within {STATES_TIMEOUT} s: {state}"
            raise DemoError(msg)
        await asyncio.sleep(0.5)


async def run(options: argparse.Namespace) -> None:
    """Start the portal and Home Assistant, and stop both at the end."""
    require_free(options.port, "--port")
    require_free(options.portal_port, "--portal-port")
    folder = REPOSITORY / ".demo" / str(options.port)
    shutil.rmtree(folder, ignore_errors=True)
    hass = HomeAssistantProcess(folder, port=options.port, host=options.host)
    hass.prepare((REPOSITORY / "config" / "configuration.yaml").read_text())
    portal = PortalProcess(options.portal_port)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print("==> Starting the mock portal and Home Assistant", flush=True)
    async with portal.running():
        try:
            await _until_stopped(_main_job(hass, portal, options), stopped)
        finally:
            await hass.stop()


async def _until_stopped(job: Any, stopped: asyncio.Event) -> None:
    """Run the main job until it ends or the user presses Ctrl-C."""
    tasks = [asyncio.create_task(job), asyncio.create_task(stopped.wait())]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


async def _main_job(
    hass: HomeAssistantProcess, portal: PortalProcess, options: argparse.Namespace
) -> None:
    """Start Home Assistant with the demo account; then check it, or wait for Ctrl-C."""
    await hass.start(show_progress)
    entry_id, iccids = await set_up(hass, portal)
    if options.check:
        await check(hass, portal, entry_id, iccids)
        return
    await print_everything(hass, entry_id, iccids)
    print(f"==> Home Assistant: {hass.url}  (user {USER}, password {PASSWORD})")
    print(f"    Mock portal:    {portal.base_url}  (control: {portal.root}/_mock/)")
    print(f"    Log:            {Path(hass.log_file).relative_to(REPOSITORY)}")
    print("    Press Ctrl-C to end both.", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Parse the options and run the demo."""
    parser = argparse.ArgumentParser(
        prog="scripts/develop",
        description="Starts the mock portal and a real Home Assistant with a demo account "
        "already set up. Each start is a fresh one.",
    )
    parser.add_argument("--check", action="store_true", help="do the main job once and exit")
    parser.add_argument("--host", default="127.0.0.1", help="where Home Assistant listens")
    parser.add_argument("--port", type=int, default=8123, help="port of Home Assistant")
    parser.add_argument("--portal-port", type=int, default=8642, help="port of the mock portal")
    try:
        asyncio.run(run(parser.parse_args()))
    except (DemoError, HomeAssistantError) as err:
        sys.exit(f"develop: {err}")


if __name__ == "__main__":
    main()

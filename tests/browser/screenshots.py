"""Take the screenshots of the README and the docs in light and dark: the demo SIMs after a month, and a fleet.

With `--sims` only the dashboard is taken, of as many SIMs, on a desktop and on a phone; with `--mock-page`
only the page of the mock portal.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
import sys
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientSession
from aiohttp.test_utils import unused_port
from PIL import Image
from playwright.async_api import expect

from mock_portal import MockPortal
from scripts.develop import wait_for_states
from scripts.hass_process import REPOSITORY, HomeAssistantProcess
from tests.e2e.common import add_demo, read_again

from .browser import NO_CHROMIUM, Visit, find_chromium, visiting
from .pages import Dialog, IntegrationPage

FOLDER = REPOSITORY / "docs" / "pictures"
THEMES = ("light", "dark")
SCALE = 1.5
NO_SIDEBAR = "localStorage.setItem('dockedSidebar', '\"always_hidden\"')"

WEATHER_STATION, PUMP_HOUSE = "8931082322204500018", "8931082322204500026"
BOAT_TRACKER, GATEWAY = "8931082322204500034", "8931082322204500042"
SPARE = "8931082322089353632"
UNKNOWN, MALFORMED = "8931082322204500059", "893108232220450006X"
SCENARIO: dict[str, Any] = {
    "extends": "demo",
    "timings": {"status_seconds": 3600, "sms_seconds": 1},
    "sims": {
        GATEWAY: {"status": "ACTIVATED", "device": {"deviceID": "Gateway"}},
        SPARE: {
            "device": {"deviceID": "Spare card"},
            "session_started": "-40d",
            "session_ended": "-40d",
        },
    },
}
ACCOUNT = "My SIMs"
DASHBOARD = "sim-cards"
DAYS = 30
FLEET = 64
DESKTOP = (1280, 900)
PHONE = (390, 844)
MOCK_PAGE = (1280, 1180)
PLACES = ("Pump", "Weather station", "Vending machine", "Tracker", "Gate", "Water meter", "Camera")


async def set_up(hass: HomeAssistantProcess, portal: MockPortal) -> None:
    """Add the demo SIMs with a month of statistics, and a dashboard."""
    sims = [iccid for iccid in portal.sims if iccid != GATEWAY]
    await add_demo(hass, portal, *sims, name=ACCOUNT)
    states = await wait_for_states(hass, sims)
    for iccid in sims:
        usage = states[iccid]["data_usage"]
        await import_month_of_statistics(hass, usage["entity_id"], float(usage["state"]))
    await add_form_for_sms(hass)
    await make_dashboard(hass)
    await cause_events(hass, portal)


async def set_up_fleet(hass: HomeAssistantProcess, portal: MockPortal) -> None:
    """Add a fleet of which some SIMs need attention, and a dashboard."""
    await add_demo(hass, portal, *portal.sims, name=ACCOUNT)
    await wait_for_states(hass, list(portal.sims))
    await make_dashboard(hass)


def fleet_scenario(count: int) -> dict[str, Any]:
    """Return a scenario with many SIMs, of which some have left their allowance, their status or their sessions."""
    random = Random(count)  # noqa: S311  the same fleet each time
    sims: dict[str, Any] = {SPARE: {"device": {"deviceID": "Spare card"}}}
    while len(sims) < count:
        number = len(sims)
        status = random.choices(("ACTIVATED", "INVENTORY", "DEACTIVATED"), (20, 1, 1))[0]
        started, *ended = random.choices((("-3h", "-1h"), ("-3h",), ("-5d", "-4d")), (12, 12, 1))[0]
        if status != "ACTIVATED":
            started, *ended = "-40d", "-39d"
        # The allowance of the published example is 500 MB.
        sims[f"89310823222{number:07d}0"] = {
            "status": status,
            "data_usage": int(520 * random.random() ** 3) * 1024**2 * (status == "ACTIVATED"),
            "session_count": 3,
            "session_started": started,
            "session_ended": next(iter(ended), None),
            "device": {"deviceID": f"{random.choice(PLACES)} {number}"},
        }
    return {"extends": "documented", "sims": sims}


async def cause_events(hass: HomeAssistantProcess, portal: MockPortal) -> None:
    """Cause events: a SIM in another device, a session, an SMS, a pending status change."""
    portal.sims[PUMP_HOUSE].swap_imei("3569380012345678")
    portal.sims[WEATHER_STATION].open_session("100.126.61.101")
    for name in ("pump_house", "weather_station"):
        await read_again(hass, f"sensor.{name}_status")
    devices = await hass.device_ids()
    await hass.call_action(
        "iot_portal", "send_sms", {"device_id": devices[WEATHER_STATION], "message": "reboot"}
    )
    portal.dialects["status_change"] = "after_seconds"
    await hass.call_action(
        "iot_portal",
        "request_status_change",
        {"device_id": devices[BOAT_TRACKER], "status": "deactivated"},
    )


async def import_month_of_statistics(
    hass: HomeAssistantProcess, entity_id: str, usage: float
) -> None:
    """Import a month of statistics, in which the usage grew to its current value."""
    random = Random(entity_id)  # noqa: S311  the same month each time
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    grown = [0.0]
    for _ in range(DAYS * 24):
        grown.append(grown[-1] + random.random())
    await hass.command(
        "recorder/import_statistics",
        metadata={
            "has_sum": True,
            "mean_type": 0,
            "name": None,
            "source": "recorder",
            "statistic_id": entity_id,
            "unit_class": "information",
            "unit_of_measurement": "MB",
        },
        stats=[
            {
                "start": (hour - timedelta(hours=len(grown) - number)).isoformat(),
                "state": (value := usage * step / grown[-1]),
                "sum": value,
            }
            for number, step in enumerate(grown)
        ],
    )


async def add_form_for_sms(hass: HomeAssistantProcess) -> None:
    """Create a script from the blueprint, as a user who has followed the link on the dashboard."""
    path = Path("iot_portal", "send_sms.yaml")
    copy = hass.config_dir / "blueprints" / "script" / path
    copy.parent.mkdir(parents=True)
    copy.write_text((REPOSITORY / "blueprints" / "script" / path).read_text())
    script = {"alias": "Send an SMS", "use_blueprint": {"path": path.as_posix(), "input": {}}}
    await hass.request("POST", "/api/config/script/config/send_an_sms", script)


async def make_dashboard(hass: HomeAssistantProcess) -> None:
    """Create the dashboard as docs/dashboard.md describes it."""
    await hass.command(
        "lovelace/dashboards/create", url_path=DASHBOARD, title="SIM cards", icon="mdi:sim"
    )
    config = {"strategy": {"type": "custom:iot-portal"}}
    await hass.command("lovelace/config/save", url_path=DASHBOARD, config=config)


# --- The screenshots


async def show_sims(visit: Visit) -> None:
    """Show the account and its SIMs."""
    await visit.open(IntegrationPage.PATH)
    await expect(IntegrationPage(visit.page).sims).to_have_count(4)


async def show_sim(visit: Visit) -> None:
    """Show one SIM."""
    await show_sims(visit)
    device = await IntegrationPage(visit.page).open_device("Weather station")
    await device.expect(Status="Activated", Data_session="Connected")
    await expect(visit.page.get_by_text("Delivered").first).to_be_visible()


async def show_dashboard(visit: Visit) -> None:
    """Show the dashboard."""
    await visit.open(f"/{DASHBOARD}")
    await expect(visit.page.get_by_text("Change to Deactivated pending")).to_be_visible()
    await expect(visit.page.locator("ha-chart-base canvas")).to_have_count(2)


async def show_fleet(visit: Visit) -> None:
    """Show the dashboard of a fleet."""
    await visit.open(f"/{DASHBOARD}")
    await expect(visit.page.get_by_text("Needs attention: ")).to_be_visible()


async def show_account_dialog(visit: Visit) -> None:
    """Show the dialog that adds an account."""
    await visit.open(IntegrationPage.PATH)
    await visit.page.get_by_role("button", name="Add account").click()
    dialog = Dialog(visit.page)
    await dialog.fill("Client ID", "my-client")
    await dialog.fill("Secret key", "my-secret-key")


async def show_summary(visit: Visit) -> None:
    """Show the summary for SIMs that cannot all be added."""
    await visit.open(IntegrationPage.PATH)
    await visit.page.get_by_role("button", name="Add SIMs").click()
    dialog = Dialog(visit.page)
    await dialog.fill("SIMs", f"{GATEWAY}\n{PUMP_HOUSE}\n{UNKNOWN}\n{MALFORMED}")
    await dialog.press("Submit")
    await dialog.expect("Check the SIMs")


type Picture = tuple[Callable[[Visit], Awaitable[None]], int, int]

# The function that shows each, and the size of the window.
PICTURES: Mapping[str, Picture] = {
    "dashboard": (show_dashboard, 1280, 1100),
    "sims": (show_sims, 1140, 850),
    "sim": (show_sim, 1140, 880),
    "add_account": (show_account_dialog, 800, 720),
    "add_sims": (show_summary, 800, 720),
}
FLEET_PICTURES: Mapping[str, Picture] = {
    "fleet": (show_fleet, *DESKTOP),
    "fleet_phone": (show_fleet, *PHONE),
}


async def take_pictures(
    hass: HomeAssistantProcess, chromium: str, folder: Path, pictures: Mapping[str, Picture]
) -> None:
    """Take screenshots in each theme."""
    for theme in THEMES:
        async with visiting(
            hass.url, chromium, folder, color_scheme=theme, device_scale_factor=SCALE
        ) as visit:
            await visit.page.add_init_script(NO_SIDEBAR)
            await visit.log_in("demo", "demo")
            for name, (show, width, height) in pictures.items():
                await visit.page.set_viewport_size({"width": width, "height": height})
                await show(visit)
                # Charts are drawn with a delay.
                await visit.page.wait_for_timeout(1500)
                await visit.look(f"{name}-{theme}")
                shrink(folder / f"{name}-{theme}.png")


def shrink(path: Path) -> None:
    """Reduce the file size of a screenshot."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(
            256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        ).save(path, optimize=True)


@asynccontextmanager
async def running(
    scenario: dict[str, Any],
) -> AsyncIterator[tuple[HomeAssistantProcess, MockPortal]]:
    """Run Home Assistant, and the portal with a scenario."""
    with TemporaryDirectory() as config:
        hass = HomeAssistantProcess(Path(config) / "config", port=unused_port())
        hass.prepare((REPOSITORY / "config" / "configuration.yaml").read_text())
        async with MockPortal(scenario) as portal, hass:
            yield hass, portal


async def take_fleet(chromium: str, folder: Path, sims: int = FLEET) -> None:
    """Take the screenshots of the dashboard of a fleet."""
    async with running(fleet_scenario(sims)) as (hass, portal):
        await set_up_fleet(hass, portal)
        await take_pictures(hass, chromium, folder, FLEET_PICTURES)


async def take_mock_page(chromium: str, folder: Path) -> None:
    """Take the screenshots of the page of the mock portal, after some requests."""
    width, height = MOCK_PAGE
    window = {"viewport": {"width": width, "height": height}, "device_scale_factor": SCALE}
    async with MockPortal("demo") as portal:
        await send_requests(portal)
        root = portal.page_url.rstrip("/")
        for theme in THEMES:
            async with visiting(root, chromium, folder, color_scheme=theme, **window) as visit:
                await visit.open("/")
                await expect(visit.page.get_by_text("Near miss:")).to_be_visible()
                # Not visit.look(), to which the path of a route looks like a placeholder.
                path = folder / f"mock_page-{theme}.png"
                await visit.page.screenshot(path=path, animations="disabled")
                shrink(path)


async def send_requests(portal: MockPortal) -> None:
    """Send requests of which one meets a fault, and one has a mistake in its path."""
    portal.faults.add("rate_limited", route="ctdUsage", times=1, retry_after="30")
    portal.faults.add("delay", route="GetDevice", seconds=0.1)
    portal.dialects["status_body"] = "object"
    async with ClientSession(f"{portal.url}/") as session:
        body = {"clientId": "demo-client", "secretKey": "demo-secret"}
        async with session.post("Login", json=body) as answer:
            headers = {"Authorization": (await answer.json())["data"]["token"]}
        for path in ("ctdUsage", "ctdUsage", "sessionInfo", "GetDevice", "GetStatus", "getStatus"):
            async with session.get(f"{path}/{WEATHER_STATION}", headers=headers) as answer:
                await answer.read()
        message = {"messageText": "reboot"}
        async with session.put(f"SendSMS/{PUMP_HOUSE}/1", headers=headers, json=message) as answer:
            await answer.read()
    portal.clock.advance(5)
    portal.state.receive_sms(BOAT_TRACKER, "52.3702 N, 4.8952 E")


async def take_all(chromium: str, folder: Path) -> None:
    """Take all screenshots."""
    await take_mock_page(chromium, folder)
    async with running(SCENARIO) as (hass, portal):
        await set_up(hass, portal)
        await take_pictures(hass, chromium, folder, PICTURES)
    await take_fleet(chromium, folder)


async def main() -> None:
    """Take the screenshots that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, help="only the dashboard, of so many SIMs")
    parser.add_argument("--mock-page", action="store_true", help="only the page of the mock portal")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to put them")
    options = parser.parse_args()
    chromium = find_chromium() or sys.exit(NO_CHROMIUM)
    if options.sims:
        await take_fleet(chromium, options.folder, options.sims)
    elif options.mock_page:
        await take_mock_page(chromium, options.folder)
    else:
        await take_all(chromium, options.folder)


if __name__ == "__main__":
    asyncio.run(main())

"""The first steps of a new user, in a real browser with a real Home Assistant."""

from collections.abc import AsyncIterator
import json
from pathlib import Path
import re
from typing import NamedTuple

from aiohttp import web
from aiohttp.test_utils import unused_port
from playwright.async_api import expect
import pytest

from mock_portal import MockPortal
from scripts.hass_process import REPOSITORY, HomeAssistantProcess
from tests.common import serving
from tests.e2e.common import complaints

from .browser import Visit, visiting
from .pages import (
    ActionsPage,
    BlueprintsPage,
    DashboardsPage,
    DevicePage,
    Dialog,
    IntegrationPage,
    IntegrationsPage,
    choose_target,
)

WEATHER_STATION, PUMP_HOUSE = "8931082322204500018", "8931082322204500026"
BOAT_TRACKER, MISTYPED = "8931082322204500034", "8931082322204500043"
MALFORMED = "893108232220450006X"
NEW_SECRET = "another-secret"
SCENARIO = {
    "extends": "demo",
    "dialects": {"status_change": "after_seconds"},
    # Long enough to open the device page while the change is pending.
    "timings": {"status_seconds": 8, "sms_seconds": 2},
}

# Whose SIMs they are: the name of an account to which the user gives none.
CUSTOMER = "Mock customer"


class Journey(NamedTuple):
    """The values that all steps share."""

    visit: Visit
    portal: MockPortal
    blueprints: str


@pytest.fixture
async def blueprints(socket_enabled: None) -> AsyncIterator[str]:
    """Serve the blueprints at their paths in the repository, and return the URL of their folder."""

    async def file(request: web.Request) -> web.Response:
        path = REPOSITORY / request.path.removeprefix("/api/")
        return web.Response(text=path.read_text())

    async with serving(file) as url:
        yield f"{url}/blueprints"


async def gets_the_key_wrong(journey: Journey) -> None:
    """Add the integration with a wrong key, which is reported."""
    visit = journey.visit
    await visit.open(IntegrationsPage.PATH)
    dialog = await IntegrationsPage(visit.page).add("IoT Portal")
    await dialog.expect("Add an IoT Portal account")
    await visit.look("add_account")
    await dialog.choose("Environment", "Custom")
    await dialog.open_section("Custom address or API token")
    await dialog.fill("Custom address", journey.portal.url)
    await dialog.fill("Client ID", "demo-client")
    await dialog.fill("Secret key", "demo-sercet")
    await visit.look("add_account_filled")
    await dialog.press("Submit")
    await dialog.expect("The IoT Portal refused these credentials")
    await visit.look("add_account_refused")


async def adds_the_account(journey: Journey) -> None:
    """Correct the key, after which the dialog for SIMs follows."""
    dialog = Dialog(journey.visit.page)
    await dialog.fill("Secret key", "demo-secret")
    await dialog.press("Submit")
    await dialog.expect("Add SIMs", "18 to 22 digits")
    await journey.visit.look("add_sims")


async def mistypes_an_iccid(journey: Journey) -> None:
    """Choose a file and enter two ICCIDs, both wrong, which is reported."""
    dialog = Dialog(journey.visit.page)
    await dialog.fill("SIMs", f"{MISTYPED}\n{MALFORMED}")
    await dialog.choose_file("sims.csv", f"Name;ICCID\n;{WEATHER_STATION}\n;{PUMP_HOUSE}\n")
    await dialog.press("Submit")
    await dialog.expect("Checking the SIMs")
    await journey.visit.look("add_sims_progress")
    await dialog.expect(
        *("Check the SIMs", f"1 ({MISTYPED})", "Correct or remove these entries"),
        *("Letters in the number", f"1 ({MALFORMED})"),
    )
    await expect(dialog.field("SIMs and their names")).to_have_value(
        f"{WEATHER_STATION}, Weather station\n{PUMP_HOUSE}, Pump house\n{MISTYPED}\n{MALFORMED}"
    )
    await journey.visit.look("add_sims_summary")


async def adds_the_sims(journey: Journey) -> None:
    """Correct the ICCID, after which all three SIMs are added."""
    dialog = Dialog(journey.visit.page)
    text = await dialog.field("SIMs and their names").input_value()
    await dialog.fill("SIMs and their names", text.split(MISTYPED)[0] + BOAT_TRACKER)
    await dialog.press("Submit")
    await dialog.expect("SIMs added: 3")
    await journey.visit.look("add_sims_done")
    await dialog.close("Finish")


async def sees_the_devices(journey: Journey) -> None:
    """Find the SIMs on the page of the integration."""
    await journey.visit.open(IntegrationPage.PATH)
    page = IntegrationPage(journey.visit.page)
    await expect(page.account).to_contain_text(CUSTOMER)
    for name in ("Weather station", "Pump house", "Boat tracker"):
        await expect(page.sim(name)).to_be_visible()
    await journey.visit.look("sims")


async def reads_the_sensors(journey: Journey) -> None:
    """Open a SIM, and read the data from the portal."""
    device = await IntegrationPage(journey.visit.page).open_device("Pump house")
    await device.expect(
        Status="Activated",
        Data_usage="480.0 MB",
        Allowance_used="92%",
        Data_remaining="44.3 MB",
        Projected_overage="Yes",
        Data_session="Disconnected",
        Change_pending="Nothing pending",
        Last_IP_address="100.126.61.102",
    )
    await journey.visit.look("device")


async def sends_an_sms(journey: Journey) -> None:
    """Send an SMS, and get the ID from the portal."""
    await journey.visit.open(ActionsPage.PATH)
    page = ActionsPage(journey.visit.page)
    await page.choose_action("Send SMS")
    await page.choose_sim("Pump house")
    await page.write("Hello")
    await journey.visit.look("send_sms")
    answer = await page.perform()
    assert re.search(f"iccid: .{PUMP_HOUSE}", answer)
    assert "sms_id:" in answer
    await journey.visit.look("send_sms_answer")
    journey.portal.journal.assert_called_once("PUT", f"/SendSMS/{PUMP_HOUSE}/1")


async def changes_the_status(journey: Journey) -> None:
    """Request a status, and see that it is pending and then confirmed."""
    await journey.visit.open(ActionsPage.PATH)
    page = ActionsPage(journey.visit.page)
    await page.choose_action("Request status change")
    await page.choose_sim("Pump house")
    await page.choose_option("Deactivated")
    await journey.visit.look("request_status_change")
    assert "status: DEACTIVATED" in await page.perform()
    await open_device(journey, "Pump house")
    device = DevicePage(journey.visit.page)
    await device.expect(Change_pending="Pending")
    await journey.visit.look("device_pending")
    await device.expect(Change_pending="Nothing pending", Status="Deactivated")
    await device.expect(SIM_event="Status change confirmed", SMS_event="SMS delivered")
    await journey.visit.look("device_confirmed")


async def open_device(journey: Journey, name: str) -> DevicePage:
    """Open the device page of a SIM."""
    await journey.visit.open(IntegrationPage.PATH)
    return await IntegrationPage(journey.visit.page).open_device(name)


async def logs_in_again(journey: Journey) -> None:
    """Revoke the key, see that nothing can be read, and enter first a wrong and then the new key."""
    device = await open_device(journey, "Weather station")
    await device.expect(Status="Activated")
    journey.portal.state.accounts["demo-client"].secret_key = NEW_SECRET
    journey.portal.state.revoke_tokens()
    await device.press("Refresh")
    refused = journey.visit.page.get_by_text(
        f"The IoT Portal refused the credentials of {CUSTOMER}"
    )
    await expect(refused.first).to_be_visible()
    await device.expect(Status="Unavailable")
    await journey.visit.look("device_unavailable")

    await journey.visit.open(IntegrationsPage.PATH)
    dialog = await IntegrationsPage(journey.visit.page).reauthenticate()
    await dialog.expect("Log in to the IoT Portal again", journey.portal.url, CUSTOMER)
    await journey.visit.look("log_in_again")
    await dialog.fill("Secret key", "another-sercet")
    await dialog.press("Submit")
    await dialog.expect("The IoT Portal refused these credentials")
    await journey.visit.look("log_in_again_refused")
    await dialog.fill("Secret key", NEW_SECRET)
    await dialog.press("Submit")
    await dialog.expect("Re-authentication was successful")
    await journey.visit.look("log_in_again_done")
    await dialog.close("Close")

    device = await open_device(journey, "Weather station")
    await device.expect(Status="Activated")


async def changes_options(journey: Journey) -> None:
    """Poll the SIMs more often, find the setting stored, and set an allowance of one SIM."""
    await journey.visit.open(IntegrationPage.PATH)
    page = IntegrationPage(journey.visit.page)
    dialog = await page.configure(page.account, "Configure")
    await dialog.expect("Polling and defaults", "Poll interval")
    await journey.visit.look("options")
    await dialog.fill("Poll interval", "10")
    await dialog.press("Submit")
    await dialog.expect("Options successfully saved")
    await journey.visit.look("options_done")
    await dialog.close("Finish")

    dialog = await page.configure(page.account, "Configure")
    await expect(dialog.field("Poll interval")).to_have_value("10")
    await dialog.close("Close")


async def gives_a_sim_an_allowance(journey: Journey) -> None:
    """Set the plan of a SIM where the portal does not know it."""
    page = IntegrationPage(journey.visit.page)
    dialog = await page.configure(page.sim("Weather station"), "Change SIM settings")
    await dialog.expect("Settings of Weather station")
    await journey.visit.look("sim_settings")
    await dialog.fill("Allowance", "1000")
    await dialog.press("Submit")
    await dialog.expect("Reconfiguration was successful")
    await journey.visit.look("sim_settings_done")
    await dialog.close("Close")


async def gives_many_sims_an_allowance(journey: Journey) -> None:
    """Set the plan of two SIMs at once, and find it in the settings of the second."""
    await journey.visit.open(ActionsPage.PATH)
    page = ActionsPage(journey.visit.page)
    await page.choose_action("Set SIM settings")
    await page.choose_sim("Weather station")
    await page.choose_sim("Boat tracker")
    await page.turn_on("Allowance", "1000")
    await journey.visit.look("set_sim_settings")
    assert (await page.perform()).count("allowance: 1000") == 2
    await journey.visit.look("set_sim_settings_answer")

    await journey.visit.open(IntegrationPage.PATH)
    sims = IntegrationPage(journey.visit.page)
    dialog = await sims.configure(sims.sim("Boat tracker"), "Change SIM settings")
    await expect(dialog.field("Allowance")).to_have_value("1000")
    await dialog.close("Close")


async def downloads_diagnostics(journey: Journey) -> None:
    """Download the diagnostics, which hold no personal data."""
    download = await IntegrationPage(journey.visit.page).download_diagnostics()
    text = (await download.path()).read_text()
    assert len(json.loads(text)["data"]["sims"]) == 3
    for secret in (NEW_SECRET, "demo-secret", WEATHER_STATION, PUMP_HOUSE, BOAT_TRACKER):
        assert secret not in text


async def imports_a_blueprint(journey: Journey) -> None:
    """Import the data allowance guard by its URL, and create an automation from it."""
    await journey.visit.open(BlueprintsPage.PATH)
    page = BlueprintsPage(journey.visit.page)
    await page.preview(f"{journey.blueprints}/automation/iot_portal/data_allowance_guard.yaml")
    await journey.visit.look("import_blueprint")
    await page.import_previewed()
    automation = await page.create("IoT Portal: data allowance guard")
    # The account stands for its SIMs.
    await choose_target(journey.visit.page, CUSTOMER)
    await automation.save()
    await journey.visit.look("automation")


async def is_warned(journey: Journey) -> None:
    """Use nine tenths of an allowance, and get a warning from the automation."""
    device = await open_device(journey, "Weather station")
    journey.portal.sims[WEATHER_STATION].data_usage = 900 * 1024**2
    await device.press("Refresh")
    await device.expect(Allowance_used="90%")
    await journey.visit.page.get_by_role("button", name="Notifications").click()
    warning = journey.visit.page.locator("notification-drawer").get_by_text(
        "Weather station has used"
    )
    await expect(warning).to_be_visible()
    await journey.visit.look("warning")


async def adds_the_dashboard(journey: Journey) -> None:
    """Add the suggested dashboard, and see which SIM needs attention."""
    await journey.visit.open(DashboardsPage.PATH)
    page = DashboardsPage(journey.visit.page)
    await page.offer()
    await journey.visit.look("add_dashboard")
    await page.add("SIM cards")
    dashboard = await page.open("SIM cards")
    # In order of urgency; the time of the month decides whether the first two have a projected overage.
    for place, shown in enumerate(
        (
            r"Pump house.*Deactivated\s· 480 MB used\s· 92% of allowance\s· Last session 2\d hours ago",
            r"Weather station.*Activated\s· 944 MB used\s· 90% of allowance",
            r"Boat tracker.*Activated\s· .* MB used\s· 1% of allowance\s· In a session now",
        )
    ):
        await expect(dashboard.entries.nth(place)).to_have_text(re.compile(shown))
    await journey.visit.look("dashboard")


async def sends_an_sms_from_the_dashboard(journey: Journey) -> None:
    """Create a script from the blueprint for SMS, and find its form on the dashboard."""
    visit, name = journey.visit, "IoT Portal: send an SMS"
    path = await visit.page.get_by_role("link", name="import the blueprint").get_attribute("href")
    assert path is not None
    # Instead of the link, which leads to the internet.
    await visit.open(BlueprintsPage.PATH)
    page = BlueprintsPage(visit.page)
    await page.preview(f"{journey.blueprints}{path.partition('/blueprints')[2]}")
    await page.import_previewed()
    script = await page.create(name)
    await script.save()

    await visit.open(DashboardsPage.PATH)
    dashboard = await DashboardsPage(visit.page).open("SIM cards")
    await dashboard.send_sms(name, "Boat tracker", "position?")
    sent = visit.page.get_by_role("button", name="Boat tracker SMS sent")
    await expect(
        sent.or_(visit.page.get_by_role("button", name="Boat tracker SMS delivered"))
    ).to_be_visible()
    await visit.look("sms_form")
    journey.portal.journal.assert_called_once("PUT", f"/SendSMS/{BOAT_TRACKER}/1")


async def removes_a_sim(journey: Journey) -> None:
    """Remove a SIM, after which its device is gone."""
    await journey.visit.open(IntegrationPage.PATH)
    page = IntegrationPage(journey.visit.page)
    await page.choose(page.sim("Boat tracker"), "Delete")
    await journey.visit.look("remove_sim")
    await page.confirm()
    await expect(page.sim("Boat tracker")).to_have_count(0)
    await expect(page.sims).to_have_count(2)
    await expect(journey.visit.page.get_by_role("link", name="2 devices")).to_be_visible()


async def removes_the_account(journey: Journey) -> None:
    """Remove the account, after which no entity of it is left."""
    page = IntegrationPage(journey.visit.page)
    await page.choose(page.account, "Delete")
    await journey.visit.look("remove_account")
    await page.confirm()
    await expect(page.account).to_have_count(0)
    # The page counted the entities during the removal, and still shows that count.
    await journey.visit.open(IntegrationPage.PATH)
    await expect(journey.visit.page.get_by_text("No entries")).to_be_visible()
    await expect(journey.visit.page.get_by_text("entities")).to_have_count(0)
    await journey.visit.look("removed")


STEPS = (
    gets_the_key_wrong,
    adds_the_account,
    mistypes_an_iccid,
    adds_the_sims,
    sees_the_devices,
    reads_the_sensors,
    sends_an_sms,
    changes_the_status,
    logs_in_again,
    changes_options,
    gives_a_sim_an_allowance,
    gives_many_sims_an_allowance,
    downloads_diagnostics,
    imports_a_blueprint,
    is_warned,
    adds_the_dashboard,
    sends_an_sms_from_the_dashboard,
    removes_a_sim,
    removes_the_account,
)


@pytest.mark.timeout(900)  # the first run may install another Home Assistant
async def test_journey(tmp_path: Path, chromium: str, blueprints: str, python: Path) -> None:
    """A user finds and does everything step by step, without errors."""
    hass = HomeAssistantProcess(tmp_path / "config", port=unused_port(), python=python)
    hass.prepare((REPOSITORY / "config" / "configuration.yaml").read_text())
    async with MockPortal(SCENARIO) as portal, hass:
        await hass.create_user("demo", "demo")
        async with visiting(hass.url, chromium, tmp_path / "pictures") as visit:
            await visit.log_in("demo", "demo")
            for step in STEPS:
                try:
                    await step(Journey(visit, portal, blueprints))
                except BaseException as error:
                    error.add_note(f"in the step {step.__name__}")
                    await visit.page.screenshot(path=tmp_path / "pictures" / "failed.png")
                    raise
        assert await hass.states() == {}
        assert await hass.command("config_entries/get", domain="iot_portal") == []
    errors = [line for line in complaints(hass, "") if " ERROR " in line]
    # Home Assistant logs the error of an action that a person sees.
    (seen,) = [line for line in errors if "websocket_api" in line]
    assert f"refused the credentials of {CUSTOMER}" in seen
    errors.remove(seen)
    assert errors == (said := complaints(hass, "iot_portal"))
    assert [line.partition("] ")[2] for line in said] == [
        f"No SIM of {CUSTOMER} can be read: Invalid clientId or secretKey"
    ]

"""An automation for all SIMs with a label, made by clicks in a real browser with a real Home Assistant."""

from pathlib import Path
import time
from typing import NamedTuple

from aiohttp.test_utils import unused_port
from playwright.async_api import expect
import pytest

from mock_portal import MockPortal
from scripts.hass_process import REPOSITORY, HomeAssistantProcess
from tests.e2e.common import add_demo, complaints

from .browser import Visit, visiting
from .pages import AutomationPage, AutomationsPage, DevicePage, Dialog, IntegrationPage

WEATHER_STATION, PUMP_HOUSE = "8931082322204500018", "8931082322204500026"
BOAT_TRACKER = "8931082322204500034"
SCENARIO = {
    "extends": "demo",
    "timings": {"sms_seconds": 1},
    "sims": {PUMP_HOUSE: {"data_usage": 0}},
}
MINUTES_OF_CLICKS = 2
LABEL = "cameras"
TEXT = "Send fewer pictures"
TRIGGERS = (
    *("Billing cycle ended", "Bulk edit ended", "Data session ended", "Data session started"),
    *("Data used crossed threshold", "No data session for some time", "Overage projected"),
    *("Portal reachable again", "Portal unreachable", "Requested status change ended", "SIM gone"),
    *("SIM moved to another device", "SIM status changed", "SMS received from SIM"),
    "SMS to SIM delivered or failed",
)
CONDITIONS = (
    *("Data session is open", "Data used", "Overage is projected", "SIM status"),
    "Status change is pending",
)
ACTIONS = (
    *("Bulk edit devices", "Edit device", "Get SIM", "Get SMS", "List SMS"),
    *("Request status change", "Send SMS"),
)


class Journey(NamedTuple):
    """The values that all steps share."""

    visit: Visit
    portal: MockPortal


async def label(journey: Journey, name: str) -> DevicePage:
    """Give a SIM the label on its device page."""
    await journey.visit.open(IntegrationPage.PATH)
    device = await IntegrationPage(journey.visit.page).open_device(name)
    await device.add_label(LABEL)
    return device


async def labels_a_sim(journey: Journey) -> None:
    """Give the label to one of two SIMs."""
    await label(journey, "Weather station")


async def makes_the_automation(journey: Journey) -> None:
    """Make and save the automation in less than two minutes."""
    began = time.monotonic()
    await journey.visit.open(AutomationsPage.PATH)
    editor = await AutomationsPage(journey.visit.page).create()
    for add in (adds_the_trigger, adds_the_condition, adds_the_action):
        await add(journey.visit, editor)
    await editor.save_as("Cameras over 80 percent")
    assert time.monotonic() - began < MINUTES_OF_CLICKS * 60
    await expect(editor.row("Data session is open")).to_be_visible()
    await journey.visit.look("automation_saved")


async def adds_the_trigger(visit: Visit, editor: AutomationPage) -> None:
    """Choose 80 % of the allowance for the label."""
    offered = await editor.offer("trigger", LABEL)
    for name in TRIGGERS:
        await expect(offered.item(name)).to_be_visible()
    await visit.look("triggers")
    await offered.choose("Data used crossed threshold")
    await editor.set_number("80")
    await expect(editor.row("Data used crossed threshold")).to_contain_text("above 80%")
    await visit.look("trigger")
    await editor.close_form()


async def adds_the_condition(visit: Visit, editor: AutomationPage) -> None:
    """Choose the open session of the SIM that triggered."""
    offered = await editor.offer("condition", LABEL)
    for name in CONDITIONS:
        await expect(offered.item(name)).to_be_visible()
    await visit.look("conditions")
    await offered.choose("Data session is open")
    await editor.turn_on()
    await visit.look("condition")
    await editor.close_form()


async def adds_the_action(visit: Visit, editor: AutomationPage) -> None:
    """Choose an SMS to the SIM that triggered."""
    offered = await editor.offer("action", LABEL)
    for name in ACTIONS:
        await expect(offered.item(name)).to_be_visible()
    await visit.look("actions")
    await offered.choose("Send SMS")
    await editor.write(TEXT)
    await editor.turn_on()
    await visit.look("action")
    await editor.close_form()


async def adds_a_sim(journey: Journey) -> None:
    """Add another SIM, and give it the label."""
    page = journey.visit.page
    await journey.visit.open(IntegrationPage.PATH)
    await page.get_by_role("button", name="Add SIMs").click()
    dialog = Dialog(page)
    await dialog.fill("SIMs", BOAT_TRACKER)
    await dialog.press("Submit")
    await dialog.expect("Check the SIMs")
    await dialog.press("Submit")
    await dialog.expect("SIMs added: 1")
    await dialog.close("Finish")
    await label(journey, "Boat tracker")
    await journey.visit.look("device_labelled")


async def is_sent_one_sms(journey: Journey) -> None:
    """Cross the threshold with the new SIM and one without the label: the new one alone gets an SMS."""
    for iccid, name in ((PUMP_HOUSE, "Pump house"), (BOAT_TRACKER, "Boat tracker")):
        journey.portal.sims[iccid].open_session()
        journey.portal.sims[iccid].data_usage = 450 * 1024**2
        await journey.visit.open(IntegrationPage.PATH)
        device = await IntegrationPage(journey.visit.page).open_device(name)
        await device.press("Refresh")
        await device.expect(Allowance_used="90%")
    await DevicePage(journey.visit.page).expect(SMS_event="SMS delivered")
    await journey.visit.look("device_sms")
    journey.portal.journal.assert_called_once("PUT", "/SendSMS/*")
    journey.portal.journal.assert_called_once("PUT", f"/SendSMS/{BOAT_TRACKER}/1")


STEPS = (labels_a_sim, makes_the_automation, adds_a_sim, is_sent_one_sms)


@pytest.mark.timeout(900)  # the first run may install another Home Assistant
@pytest.mark.parametrize("width", [1280, 390])
async def test_automation_for_a_label(
    tmp_path: Path, chromium: str, socket_enabled: None, python: Path, width: int
) -> None:
    """When a SIM with a label has used 80 % and its session is open, that SIM gets an SMS, also one added later."""
    hass = HomeAssistantProcess(tmp_path / "config", port=unused_port(), python=python)
    hass.prepare((REPOSITORY / "config" / "configuration.yaml").read_text())
    pictures = tmp_path / "pictures"
    async with MockPortal(SCENARIO) as portal, hass:
        await add_demo(hass, portal, WEATHER_STATION, PUMP_HOUSE)
        await hass.command("config/label_registry/create", name=LABEL, icon="mdi:cctv")
        async with visiting(
            hass.url, chromium, pictures, viewport={"width": width, "height": 900}
        ) as visit:
            await visit.log_in("demo", "demo")
            for step in STEPS:
                try:
                    await step(Journey(visit, portal))
                except BaseException as error:
                    error.add_note(f"in the step {step.__name__}")
                    await visit.page.screenshot(path=pictures / "failed.png")
                    raise
    assert not complaints(hass, "iot_portal")

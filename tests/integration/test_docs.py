"""The automations in README.md, written by hand: Home Assistant takes them, and they do what is said of them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
import re

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_get_persistent_notifications
import yaml

from mock_portal import MockPortal

from .conftest import ICCID, SetUp
from .test_config_flow import add_sims
from .test_following import wait
from .test_sensor import poll

README = (Path(__file__).parents[2] / "README.md").read_text()
# What an example does, as the line before it says, and the example.
EXAMPLES = dict(
    re.findall(r"^(\S[^\n]*):\n\n```yaml\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
)
AUTOMATION = "automation.example"
# What an example takes of a user's own.
PING = "binary_sensor.router_ping"
MB = 1_000_000


@pytest.fixture
async def portal() -> AsyncIterator[MockPortal]:
    """Return the portal that scripts/develop starts, with the SIM of the examples in use."""
    async with MockPortal("demo") as portal:
        portal.sims[ICCID].set_status("ACTIVATED")
        yield portal


@pytest.fixture
async def demo(hass: HomeAssistant, portal: MockPortal, set_up: SetUp) -> None:
    """Set up the account and the SIMs of scripts/develop, as it does, and a router that answers."""
    entry = await set_up()
    await add_sims(hass, entry.entry_id, " ".join(portal.sims))
    await hass.async_block_till_done(wait_background_tasks=True)
    hass.states.async_set(PING, STATE_ON)


async def automate(hass: HomeAssistant, does: str) -> None:
    """Set up the example that does this."""
    (text,) = (text for words, text in EXAMPLES.items() if words.startswith(does))
    config = {"id": "example", "alias": "Example", **yaml.safe_load(text)}
    assert await async_setup_component(hass, "persistent_notification", {})
    assert await async_setup_component(hass, "automation", {"automation": config})
    # One that Home Assistant does not take is unavailable.
    assert hass.states.is_state(AUTOMATION, STATE_ON)


def notes(hass: HomeAssistant) -> list[str]:
    """Return the messages of the notifications."""
    return [note["message"] for note in async_get_persistent_notifications(hass).values()]


async def use(
    hass: HomeAssistant, portal: MockPortal, freezer: FrozenDateTimeFactory, megabytes: int
) -> None:
    """Let the SIM have used so much, and be polled."""
    portal.sims[ICCID].data_usage = megabytes * MB
    await poll(hass, freezer)


def test_examples_are_tried() -> None:
    """Every example of the README has its test below."""
    assert [words.split()[0] for words in EXAMPLES] == ["Warn", "Restart", "Deactivate", "Tell"]
    assert README.count("```yaml") == len(EXAMPLES)


@pytest.mark.parametrize("does", EXAMPLES)
async def test_names(hass: HomeAssistant, demo: None, does: str) -> None:
    """Home Assistant takes the example, and the demo has all entities that it names."""
    await automate(hass, does)
    named = set(re.findall(r"\b(?:sensor|binary_sensor|event|switch)\.\w+", EXAMPLES[does]))
    assert named
    assert {entity_id for entity_id in named if hass.states.get(entity_id) is None} == set()


async def test_warn(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM that has used more than 450 MB is told of once."""
    await automate(hass, "Warn")
    await use(hass, portal, freezer, 450)
    assert notes(hass) == []
    await use(hass, portal, freezer, 451)
    await use(hass, portal, freezer, 460)
    assert notes(hass) == ["The router has used 451.0 MB."]


async def test_restart(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A router that has not answered for ten minutes gets its SMS."""
    await automate(hass, "Restart")
    hass.states.async_set(PING, STATE_OFF)
    await wait(hass, freezer, timedelta(minutes=9))
    assert portal.journal.find("PUT", f"/SendSMS/{ICCID}/1") == []
    await wait(hass, freezer, timedelta(minutes=1))
    (sent,) = portal.journal.find("PUT", f"/SendSMS/{ICCID}/1")
    assert sent.body == {"messageText": "reboot"}


async def test_deactivate(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM that has used more than 490 MB is deactivated, and one that is so already is not asked for again."""
    await automate(hass, "Deactivate")
    await use(hass, portal, freezer, 490)
    assert portal.sims[ICCID].status == "ACTIVATED"
    await use(hass, portal, freezer, 491)
    assert portal.sims[ICCID].status == "DEACTIVATED"
    await use(hass, portal, freezer, 0)
    await use(hass, portal, freezer, 500)
    portal.journal.assert_called_once("PUT", f"/RequestStatusChange/{ICCID}")


async def test_tell(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An SMS that has failed is told of, with its id; one that is delivered is not."""
    await automate(hass, "Tell")
    for status in ("ACTIVATED", "DEACTIVATED"):
        portal.sims[ICCID].set_status(status)
        await hass.services.async_call(
            "notify",
            "send_message",
            {"entity_id": "notify.pangea_test_sim_sms", "message": "Hello"},
            blocking=True,
        )
        portal.clock.advance(60)
        await wait(hass, freezer, timedelta(seconds=60))
    assert notes(hass) == ["SMS 4712 has not arrived: failed."]

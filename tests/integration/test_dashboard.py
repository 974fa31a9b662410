"""The dashboard of docs/dashboard.yaml: what it names exists, and it shows the demo's SIMs."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
import re
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from hass_frontend import where
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.template import Template
from homeassistant.setup import async_setup_component
from homeassistant.util import slugify
import pytest
import yaml

from mock_portal import MockPortal

from .conftest import SetUp
from .test_config_flow import add_sims
from .test_sensor import poll

FILE = Path(__file__).parents[2] / "docs" / "dashboard.yaml"
TEXT = FILE.read_text()
# The comment at the top tells how to use the file, and which script a user can create.
HEAD = TEXT.partition("\n\n")[0]
BODY = TEXT.removeprefix(HEAD)
HELPER = "script.write_an_sms"

TITLES = ["Boat tracker", "Pangea test SIM", "Pump house", "Weather station"]
PUMP_HOUSE = "8931082322204500026"


@pytest.fixture
async def portal(freezer: FrozenDateTimeFactory) -> AsyncIterator[MockPortal]:
    """Return the portal that scripts/develop starts, in the middle of a billing cycle."""
    freezer.move_to(datetime(2026, 11, 16, 12, tzinfo=UTC))
    async with MockPortal("demo") as portal:
        yield portal


@pytest.fixture
async def demo(hass: HomeAssistant, portal: MockPortal, set_up: SetUp) -> None:
    """Set up the account and the SIMs of scripts/develop, as it does."""
    entry = await set_up()
    await add_sims(hass, entry.entry_id, " ".join(portal.sims))
    assert sorted(sim.title for sim in entry.subentries.values()) == TITLES


def entities() -> set[str]:
    """Return all that looks like an entity id."""
    domains = "|".join([*Platform, "script", "input_[a-z]+"])
    return set(re.findall(rf"\b(?:{domains})\.[a-z0-9_]+\b", BODY))


def cards(part: Any) -> Iterator[dict[str, Any]]:
    """Yield all cards, those in other cards too."""
    for card in [*part.get("cards", []), *([part["card"]] if "card" in part else [])]:
        yield card
        yield from cards(card)


def all_cards() -> list[dict[str, Any]]:
    """Return all cards of all sections."""
    views = yaml.safe_load(TEXT)["views"]
    return [card for view in views for section in view["sections"] for card in cards(section)]


def own_cards() -> set[str]:
    """Return the types of card that the installed frontend has, which stand together in its code."""
    pattern = re.compile(r'new Set\((\["entity","entities",[^]]*\])\),\w+=\{([^{}]*)\}')
    for file in sorted((Path(where()) / "frontend_latest").glob("*.js")):
        if found := pattern.search(file.read_text()):
            always, lazily = found.groups()
            return set(re.findall(r'"([a-z-]+)"', always)) | set(
                re.findall(r'(?:^|,)"?([a-z-]+)"?:\(\)=>', lazily)
            )
    pytest.fail("the frontend has other code than it had; look there for its types of card")


def fleet_table(hass: HomeAssistant) -> list[list[str]]:
    """Return the rows of the fleet table, rendered as strictly as the frontend asks for."""
    (content,) = [card["content"] for card in all_cards() if card["type"] == "markdown"]
    table = Template(content, hass).async_render(parse_result=False, strict=True)
    rows = [re.findall(r"<td>(?:<a [^>]*>)?\s*([^<]*)", row) for row in table.split("<tr>")]
    return [row for row in rows if row]


async def test_entities_exist(hass: HomeAssistant, demo: None) -> None:
    """Every entity exists, but for the script that the user is told how to create; no SIM is left out."""
    named = entities()

    assert HELPER in named
    assert HELPER in HEAD
    assert {entity for entity in named if hass.states.get(entity) is None} == {HELPER}
    for sim in map(slugify, TITLES):
        assert {f"sensor.{sim}_data_used", f"sensor.{sim}_data_usage", f"event.{sim}_sms"} <= named
    for sim in (*map(slugify, TITLES), "demo_client"):
        assert sim in HEAD


def test_cards_are_home_assistants_own() -> None:
    """Every card is one that comes with Home Assistant, and so nothing has to be installed."""
    types = {card["type"] for card in all_cards()}

    assert types <= own_cards()
    assert {"tile", "markdown", "statistics-graph", "history-graph", "logbook"} <= types


@pytest.mark.parametrize(("language", "status"), [("en", "Activated"), ("de", "Aktiviert")])
async def test_fleet_table(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp, language: str, status: str
) -> None:
    """The table finds the SIMs by itself, also where entity ids are those of another language."""
    hass.config.language = language
    entry = await set_up()
    await add_sims(hass, entry.entry_id, " ".join(list(portal.sims)[1:]))

    assert fleet_table(hass) == [
        ["Boat tracker", status, "1 %", "now", "no"],
        ["Pump house", status, "96 %", "23 hours ago", "⚠️&nbsp;yes"],
        ["Weather station", status, "12 %", "20 minutes ago", "no"],
    ]


async def test_fleet_table_without_answers(
    hass: HomeAssistant, demo: None, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The table claims nothing of SIMs that cannot be read."""
    portal.faults.add("status", status=500)
    await poll(hass, freezer)

    assert fleet_table(hass) == [[title, "-", "-", "-", "-"] for title in TITLES]


async def test_script(hass: HomeAssistant, demo: None, portal: MockPortal) -> None:
    """The script of the comment is one, gets the id that the dashboard looks for, and sends an SMS."""
    code = "\n".join(line[4:] for line in HEAD.splitlines() if line.startswith("#   "))
    script = yaml.safe_load(code[code.index("alias:") :])
    assert f"script.{slugify(script['alias'])}" == HELPER
    assert await async_setup_component(
        hass, "script", {"script": {HELPER.removeprefix("script."): script}}
    )

    domain, name = HELPER.split(".")
    await hass.services.async_call(
        domain,
        name,
        {"sims": ["notify.pump_house_sms"], "message": "Restart"},
        blocking=True,
    )

    portal.journal.assert_called_once("PUT", f"/SendSMS/{PUMP_HOUSE}/1")

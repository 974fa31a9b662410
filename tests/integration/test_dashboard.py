"""The dashboard: it is suggested, generated from the entities, and shows which SIMs need attention."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
import html
import json
from pathlib import Path
import re
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from hass_frontend import where
from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.template import Template
from homeassistant.loader import async_get_integration
from homeassistant.setup import async_setup_component
from homeassistant.util import slugify
import pytest
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    WebSocketGenerator,
)
from yarl import URL

from custom_components.iot_portal.account import LARGE_FLEET
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.dashboard import COMMAND, MAX_CARDS
from mock_portal import MockPortal

from .conftest import OTHER_ICCID, SetUp
from .helpers import add_sims, poll

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "dashboard.md"
MODULE = REPOSITORY / "custom_components" / "iot_portal" / "frontend" / "dashboard.js"
TRANSLATIONS = MODULE.parents[1] / "translations"

TITLES = ["Boat tracker", "Pangea test SIM", "Pump house", "Weather station"]
PUMP_HOUSE = "8931082322204500026"
ENTITY_ID = re.compile(rf"\b(?:{'|'.join([*Platform, 'script'])})\.[a-z0-9_]+\b")

type Ask = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


@pytest.fixture
async def portal(freezer: FrozenDateTimeFactory) -> AsyncIterator[MockPortal]:
    """Return the portal of scripts/develop in the middle of a billing cycle."""
    freezer.move_to(datetime(2026, 11, 16, 12, tzinfo=UTC))
    async with MockPortal("demo") as portal:
        yield portal


@pytest.fixture
async def demo(hass: HomeAssistant, portal: MockPortal, set_up: SetUp) -> str:
    """Set up the account and the SIMs of scripts/develop; return the entry ID."""
    entry = await set_up()
    await add_sims(hass, entry.entry_id, " ".join(portal.sims))
    assert sorted(sim.title for sim in entry.subentries.values()) == TITLES
    entry_id: str = entry.entry_id
    return entry_id


@pytest.fixture
def ask(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Ask:
    """Return a function that requests the dashboard as the frontend does."""

    async def ask(token: str | None = None, **fields: str) -> dict[str, Any]:
        assert await async_setup_component(hass, DOMAIN, {})
        client = await (hass_ws_client(hass, token) if token else hass_ws_client())
        await client.send_json_auto_id({"type": COMMAND, **fields})
        answer = await client.receive_json()
        assert answer["success"], answer
        config: dict[str, Any] = answer["result"]
        return config

    return ask


def cards(config: dict[str, Any], kind: str = "") -> list[dict[str, Any]]:
    """Return all cards, or those of a type."""
    return [
        card
        for view in config["views"]
        for section in (*view["sections"], *view.get("sidebar", {}).get("sections", ()))
        for card in section["cards"]
        if kind in ("", card["type"])
    ]


def headings(config: dict[str, Any]) -> list[str]:
    """Return the headings of all sections."""
    return [card["heading"] for card in cards(config, "heading")]


def texts(part: Any) -> Iterator[str]:
    """Yield all texts of a part of the dashboard."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict | list):
        for item in part.values() if isinstance(part, dict) else part:
            yield from texts(item)


def named(config: dict[str, Any]) -> set[str]:
    """Return everything that looks like an entity ID, except in links."""
    return {
        found
        for text in texts(config)
        if "blueprint_url=" not in text
        for found in ENTITY_ID.findall(text)
    }


def own_cards() -> set[str]:
    """Return the card types of the installed frontend, which its code lists in one place."""
    pattern = re.compile(r'new Set\((\["entity","entities",[^]]*\])\),\w+=\{([^{}]*)\}')
    for file in sorted((Path(where()) / "frontend_latest").glob("*.js")):
        if found := pattern.search(file.read_text()):
            always, lazily = found.groups()
            return set(re.findall(r'"([a-z-]+)"', always)) | set(
                re.findall(r'(?:^|,)"?([a-z-]+)"?:\(\)=>', lazily)
            )
    pytest.fail("the frontend has other code than it had; look there for its types of card")


def shown(hass: HomeAssistant, config: dict[str, Any], kind: str) -> list[str]:
    """Return the entities of conditional cards of a type that are currently shown."""
    entities = []
    for card in cards(config, kind):
        for condition in card.get("visibility", ()):
            assert (condition["condition"], condition["entity"]) == ("state", card["entity"])
            state = hass.states.get(card["entity"])
            assert state is not None
            is_met = state.state == condition.get("state", state.state)
            if is_met and state.state != condition.get("state_not"):
                entities.append(card["entity"])
    return entities


def rendered(hass: HomeAssistant, config: dict[str, Any]) -> str:
    """Return the rendered list of a dashboard with one account, with strict templates as in the frontend."""
    (card,) = [card for card in cards(config, "markdown") if "from_json" in card["content"]]
    shown: str = Template(card["content"], hass).async_render(parse_result=False, strict=True)
    # Which only keeps a line from beginning with the dot.
    return shown.replace("&nbsp;·", " ·")


def listed(hass: HomeAssistant, config: dict[str, Any]) -> list[str]:
    """Return the lines of the list: what stands above it, and each SIM, those in a coloured box with its kind."""
    return [
        (f"{kind}: " if kind else "") + re.sub(r"<br>", " / ", re.sub(r"</?[ab]\b[^>]*>", "", text))
        for kind, text in re.findall(
            r'<(?:p|ha-alert alert-type="(\w+)")>(.*?)</(?:p|ha-alert)>', rendered(hass, config)
        )
    ]


async def test_demo(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """The dashboard has all entities of the demo's SIMs, and all of its entities exist."""
    config = await ask()

    assert config["title"] == "SIM cards"
    (view,) = config["views"]
    assert (view["title"], view["type"]) == ("SIM cards", "sections")
    assert [badge["entity"] for badge in view["badges"]] == [
        "sensor.demo_client_sims",
        "sensor.demo_client_activated_sims",
        "sensor.demo_client_data_usage_of_all_sims",
    ]
    assert headings(config) == ["SIMs", "SMS", "Activity"]
    sims = [slugify(title) for title in TITLES]
    for key in ("allowance_used", "data_usage", "status"):
        assert {f"sensor.{sim}_{key}" for sim in sims} < named(config)
    (log,) = cards(config, "logbook")
    assert log["target"]["entity_id"] == [
        f"event.{sim}_{key}" for sim in sims for key in ("sim_event", "sms_event")
    ]
    assert {entity for entity in named(config) if hass.states.get(entity) is None} == set()


async def test_sections_leave_no_gaps(demo: str, ask: Ask) -> None:
    """The list has two of three columns; what has happened is beside it, and on a phone on a tab of its own."""
    (view,) = (await ask())["views"]

    assert view["max_columns"] == 3
    assert [section["column_span"] for section in view["sections"]] == [2]
    sidebar = view["sidebar"]
    assert (sidebar["content_label"], sidebar["sidebar_label"]) == ("SIMs", "Activity")
    assert [section["cards"][0]["heading"] for section in sidebar["sections"]] == [
        "SMS",
        "Activity",
    ]


async def test_cards_are_home_assistants_own(demo: str, ask: Ask) -> None:
    """Every card is part of Home Assistant, so nothing else must be installed."""
    types = {card["type"] for card in cards(await ask())}

    assert types <= own_cards()
    assert {"alert", "logbook", "markdown", "tile"} <= types
    assert "statistics-graph" in own_cards()
    assert "empty-state" in own_cards()


async def test_list(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """SIMs that need attention come first, with the reason in words."""
    config = await ask()

    assert listed(hass, config) == [
        "Needs attention: 1 of 4",
        (
            "warning: Pump house · Projected to exceed its allowance"
            " / Activated · 480 MB used · 92% of allowance · Last session 23 hours ago"
        ),
        "Pangea test SIM / Inventory · 0 kB used · 0% of allowance · Last session 3 years ago",
        "Weather station / Activated · 61 MB used · 12% of allowance · Last session 20 minutes ago",
        "Boat tracker / Activated · 7.3 MB used · 1% of allowance · In a session now",
    ]
    assert shown(hass, config, "alert") == []
    assert shown(hass, config, "tile") == []


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("0", "0 kB"),
        ("0.4", "400 kB"),
        ("7.31", "7.3 MB"),
        ("12.04", "12 MB"),
        ("480.4", "480 MB"),
        ("14453", "14.5 GB"),
        ("2000000", "2 TB"),
    ],
)
async def test_amounts(hass: HomeAssistant, demo: str, ask: Ask, state: str, text: str) -> None:
    """An amount has the unit in which it is easy to read, whatever the unit of the sensor."""
    config = await ask()
    for unit, factor in (("MB", 1), ("kB", 1000)):
        hass.states.async_set(
            "sensor.pump_house_data_usage",
            str(float(state) * factor),
            {"unit_of_measurement": unit},
        )
        assert f"Activated · {text} used · " in listed(hass, config)[1]


@pytest.mark.parametrize(
    ("minutes", "language", "text"),
    [
        (0, "en", "1 minute ago"),
        (59, "en", "59 minutes ago"),
        (61, "en", "1 hour ago"),
        (23 * 60, "en", "23 hours ago"),
        (24 * 60, "en", "1 day ago"),
        (44 * 60, "en", "2 days ago"),
        (40 * 24 * 60, "en", "1 month ago"),
        (200 * 24 * 60, "en", "7 months ago"),
        (370 * 24 * 60, "en", "1 year ago"),
        (1198 * 24 * 60, "en", "3 years ago"),
        (1198 * 24 * 60, "de", "vor 3 Jahren"),
        (1198 * 24 * 60, "pl", "3 lata temu"),
        (5 * 365 * 24 * 60, "pl", "5 lat temu"),
        (22 * 60, "pl", "22 godziny temu"),
        (12 * 60, "pl", "12 godzin temu"),
    ],
)
async def test_ages(
    hass: HomeAssistant,
    demo: str,
    ask: Ask,
    freezer: FrozenDateTimeFactory,
    minutes: int,
    language: str,
    text: str,
) -> None:
    """An age is in whole words, in the form that the language has for the number."""
    config = await ask(language=language)
    ended = datetime.now(UTC) - timedelta(minutes=minutes)
    hass.states.async_set("sensor.pump_house_session_started", ended.isoformat())
    hass.states.async_set("sensor.pump_house_session_ended", ended.isoformat())

    assert listed(hass, config)[1].endswith(f" {text}")


async def test_over(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """A SIM that has used up its allowance comes before one that is projected to."""
    config = await ask()
    hass.states.async_set("sensor.boat_tracker_allowance_used", "100.0")

    assert [line.split(" / ")[0] for line in listed(hass, config)[1:3]] == [
        "error: Boat tracker · Has exceeded its allowance",
        "warning: Pump house · Projected to exceed its allowance",
    ]


async def test_nothing_needs_attention(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """Where no SIM needs attention the list says so."""
    config = await ask()
    hass.states.async_set("binary_sensor.pump_house_projected_overage", "off")

    assert listed(hass, config)[0] == "success: No SIM needs attention"
    assert len(listed(hass, config)) == 5


@pytest.mark.parametrize("server", ["en", "de"])
async def test_language(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp, ask: Ask, server: str
) -> None:
    """The texts are in the user's language, whatever the language of the server and of entity IDs."""
    hass.config.language = server
    entry = await set_up()
    await add_sims(hass, entry.entry_id, PUMP_HOUSE)

    config = await ask(language="de")

    assert config["title"] == "SIM-Karten"
    assert headings(config) == ["SIMs", "SMS", "Aktivität"]
    assert listed(hass, config) == [
        "Benötigt Aufmerksamkeit: 1 von 1",
        (
            "warning: Pump house · Wird ihr Inklusivvolumen voraussichtlich überschreiten"
            " / Aktiviert · 480 MB verbraucht · 92\u00a0% des Inklusivvolumens · Letzte Sitzung vor 23 Stunden"
        ),
    ]
    german = {entity for entity in named(config) if "verbrauch" in entity}
    assert bool(german) == (server == "de")


async def test_language_of_the_server(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """Without a language the texts are in the server's."""
    hass.config.language = "nl"
    assert (await ask())["title"] == "Simkaarten"


async def test_unknown_language(
    hass: HomeAssistant, demo: str, hass_ws_client: WebSocketGenerator
) -> None:
    """Only the code of a language is used in a file name."""
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": COMMAND, "language": "../manifest"})
    assert (await client.receive_json())["error"]["code"] == "invalid_format"


async def test_without_answers(
    hass: HomeAssistant,
    demo: str,
    ask: Ask,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """SIMs that cannot be read have no values, and the portal is shown as disconnected."""
    config = await ask()
    portal.faults.add("status", status=500)
    await poll(hass, freezer)
    # The sums of an account are updated with a delay.
    await poll(hass, freezer)

    assert listed(hass, config) == [f"{title} / Waiting for the portal" for title in TITLES]
    assert shown(hass, config, "alert") == ["binary_sensor.demo_client_portal"]

    # As if the portal answered for other SIMs.
    hass.states.async_set("binary_sensor.demo_client_portal", "on")
    assert listed(hass, config) == [
        "Needs attention: 4 of 4",
        *(f"error: {title} · Cannot be read at the moment" for title in TITLES),
    ]


async def test_pending(hass: HomeAssistant, demo: str, ask: Ask, portal: MockPortal) -> None:
    """A SIM with a pending status is marked, and those with a projected overage still come first."""
    portal.dialects["status_change"] = "never"
    (device,) = [
        device.id
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), demo)
        if device.name == "Weather station"
    ]
    await hass.services.async_call(
        DOMAIN,
        "request_status_change",
        {"device_id": device, "status": "deactivated"},
        blocking=True,
    )
    config = await ask()

    assert [line.split(" / ")[0] for line in listed(hass, config)[1:3]] == [
        "warning: Pump house · Projected to exceed its allowance",
        "info: Weather station · Change to Deactivated pending",
    ]


async def test_no_recent_session(
    hass: HomeAssistant, demo: str, ask: Ask, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM without a session in the last day is marked, without a new dashboard."""
    config = await ask()
    freezer.tick(timedelta(hours=24) - timedelta(minutes=21))
    usual = "Weather station / Activated · 61 MB used · 12% of allowance · Last session 1 day ago"
    assert listed(hass, config)[3] == usual

    freezer.tick(timedelta(minutes=2))
    assert listed(hass, config)[2:] == [
        (
            "warning: Weather station · Last session 1 day ago"
            " / Activated · 61 MB used · 12% of allowance"
        ),
        "Pangea test SIM / Inventory · 0 kB used · 0% of allowance · Last session 3 years ago",
        "Boat tracker / Activated · 7.3 MB used · 1% of allowance · In a session now",
    ]
    freezer.tick(timedelta(days=1))
    assert "Last session 2 days ago" in listed(hass, config)[2]


async def test_no_session(hass: HomeAssistant, set_up: SetUp, ask: Ask) -> None:
    """A SIM that never had a session is marked as well."""
    sims = {OTHER_ICCID: {"status": "ACTIVATED"}}
    async with MockPortal({"extends": "documented", "sims": sims}) as portal:
        await set_up(OTHER_ICCID, base_url=portal.url)
        config = await ask()

    assert listed(hass, config)[1:] == [
        f"warning: SIM {OTHER_ICCID} · No session yet / Activated · 0 kB used · 0% of allowance"
    ]


@pytest.mark.parametrize("is_set_up", [False, True], ids=["no account", "no SIM"])
async def test_nothing_yet(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp, ask: Ask, is_set_up: bool
) -> None:
    """An account without SIMs shows where to add some."""
    if is_set_up:
        await set_up()

    config = await ask()

    (card,) = cards(config)
    assert card["type"] == "empty-state"
    assert card["title"] == "Nothing to show yet"
    (button,) = card["buttons"]
    assert button["tap_action"]["navigation_path"] == "/config/integrations/integration/iot_portal"
    assert len(config["views"][0]["badges"]) == (3 if is_set_up else 0)


async def test_sim_without_parts(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp, ask: Ask
) -> None:
    """Data that the portal refuses for a SIM are omitted; the SIM is shown."""
    portal.faults.add("status", status=403, route="sessionInfo")
    portal.faults.add("status", status=403, route="GetDevice")
    await set_up(PUMP_HOUSE)

    config = await ask()

    assert listed(hass, config)[1:] == [f"SIM {PUMP_HOUSE} / Activated · 480 MB used"]
    assert headings(config) == ["SIMs", "SMS", "Activity"]
    assert {entity for entity in named(config) if hass.states.get(entity) is None} == set()


async def test_disabled_and_hidden(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """Disabled and hidden entities do not appear, and the list works without them."""
    registry = er.async_get(hass)
    registry.async_update_entity(
        "sensor.pump_house_allowance_used", disabled_by=er.RegistryEntryDisabler.USER
    )
    registry.async_update_entity(
        "sensor.boat_tracker_data_usage", hidden_by=er.RegistryEntryHider.USER
    )
    await hass.async_block_till_done()

    config = await ask()

    assert not named(config) & {
        "sensor.pump_house_allowance_used",
        "sensor.boat_tracker_data_usage",
    }
    assert "sensor.boat_tracker_allowance_used" in named(config)
    assert listed(hass, config)[1] == (
        "warning: Pump house · Projected to exceed its allowance"
        " / Activated · 480 MB used · Last session 23 hours ago"
    )


async def test_renamed(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """Names and entity IDs are those that the user chose, whatever characters they contain."""
    name = "A \"1\" \\ {{ 1 }} %} <b>'é' 😀"
    registry = er.async_get(hass)
    pump_house = registry.async_get("sensor.pump_house_status")
    assert pump_house is not None
    assert pump_house.device_id is not None
    dr.async_get(hass).async_update_device(pump_house.device_id, name_by_user=name)
    registry.async_update_entity(pump_house.entity_id, new_entity_id="sensor.other")
    await hass.async_block_till_done()

    config = await ask()

    escaped = "A &#34;1&#34; \\ {{ 1 }} %} &lt;b&gt;&#39;é&#39; 😀"
    assert listed(hass, config)[1] == (
        f"warning: {escaped} · Projected to exceed its allowance"
        " / Activated · 480 MB used · 92% of allowance · Last session 23 hours ago"
    )
    assert f'<a href="/config/devices/device/{pump_house.device_id}">{escaped}</a>' in rendered(
        hass, config
    )
    assert "sensor.other" in named(config)


async def test_many_sims(hass: HomeAssistant, set_up: SetUp, ask: Ask) -> None:
    """The list has every SIM once, those with the highest usage first."""
    sims = {
        f"89310823222{n:07d}0": {"status": "ACTIVATED", "data_usage": n * 10**6} for n in range(50)
    }
    async with MockPortal({"extends": "documented", "sims": sims}) as portal:
        await set_up(*sims, base_url=portal.url)
        config = await ask()

    names = re.findall(r"SIM (\d+)", rendered(hass, config))
    assert names == list(reversed(sims))


async def test_large_fleet(hass: HomeAssistant, set_up: SetUp, ask: Ask) -> None:
    """A large fleet has the list only, with the hundred SIMs that need attention or use the most."""
    sims = {
        f"89310823222{n:07d}0": {"status": "ACTIVATED", "data_usage": n * 4 * 10**6}
        for n in range(LARGE_FLEET + 2)
    }
    async with MockPortal({"extends": "documented", "sims": sims}) as portal:
        await set_up(*sims, base_url=portal.url)
        # Of the SIMs with the lowest usage one needs attention.
        first, second, third, *_ = sims
        overage = f"binary_sensor.sim_{first}_projected_overage"
        hass.states.async_set(overage, "on")
        config = await ask()

    assert [card["type"] for card in cards(config)] == ["heading", "alert", "markdown"]
    assert "sidebar" not in config["views"][0]
    lines = listed(hass, config)
    assert lines[0].endswith(f" of {len(sims)}")
    assert lines[-1] == "Not shown: 2"
    assert len(lines) == 1 + LARGE_FLEET + 1
    assert lines[1].startswith("warning: ")
    # Its session sensors are disabled, so the last session is unknown.
    facts = "Activated · 0 kB used · 0% of allowance"
    assert f"warning: SIM {first} · Projected to exceed its allowance / {facts}" in lines
    assert second not in rendered(hass, config)
    assert third not in rendered(hass, config)
    assert {entity for entity in named(config) if hass.states.get(entity) is None} == set()


async def test_two_accounts(hass: HomeAssistant, demo: str, set_up: SetUp, ask: Ask) -> None:
    """Each account has a view of its own, with its own SIMs."""
    async with MockPortal({"extends": "documented", "sims": {OTHER_ICCID: {}}}) as other:
        entry = await set_up(OTHER_ICCID, base_url=other.url)
        hass.config_entries.async_update_entry(entry, title="Another account")
        config = await ask()

    another, first = config["views"]
    assert (another["title"], first["title"]) == ("Another account", "demo-client")
    assert f"sensor.sim_{OTHER_ICCID}_data_usage" in named({"views": [another]})
    assert "sensor.pump_house_data_usage" in named({"views": [first]})
    assert named({"views": [another]}) & named({"views": [first]}) == set()
    assert config["title"] == "SIM cards"

    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    (first,) = (await ask())["views"]
    assert "sensor.pump_house_data_usage" in named({"views": [first]})


async def test_account_that_is_not_loaded(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """While an account is not loaded its SIMs stay in the dashboard."""
    await hass.config_entries.async_unload(demo)

    assert listed(hass, await ask()) == [f"{title} / Not read yet" for title in TITLES]


async def test_not_read_yet(
    hass: HomeAssistant, set_up: SetUp, ask: Ask, portal: MockPortal
) -> None:
    """A SIM that was just added and not read yet is none that cannot be read."""
    for route in ("getStatus", "ctdUsage", "sessionInfo", "GetDevice"):
        portal.faults.add("status", status=500, route=route)
    await set_up(PUMP_HOUSE)

    config = await ask()

    assert listed(hass, config) == [f"SIM {PUMP_HOUSE} / Not read yet"]


async def test_everybody(
    hass: HomeAssistant, demo: str, ask: Ask, hass_read_only_access_token: str
) -> None:
    """Every user can see the dashboard; links to pages for administrators are shown to them only."""
    config = await ask()
    assert "/config/devices/device/" in rendered(hass, config)
    assert "/config/" in how_to_get_the_form(config)

    config = await ask(hass_read_only_access_token)
    assert "/config/" not in rendered(hass, config)
    assert how_to_get_the_form(config) == ""
    assert listed(hass, config)[1].startswith("warning: Pump house · ")


BLUEPRINT = "blueprints/script/iot_portal/send_sms.yaml"


def how_to_get_the_form(config: dict[str, Any]) -> str:
    """Return the text of the card that leads to the blueprint for SMS, if there is one."""
    return "".join(
        card["content"] for card in cards(config, "markdown") if "from_json" not in card["content"]
    )


async def test_way_to_the_script(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """Without a script one sentence leads to the dialog that imports the blueprint, which is where its source says."""
    (path,) = re.findall(
        r"^To send SMS from here, \[import the blueprint\]\((\S+)\) and .*\.$",
        how_to_get_the_form(await ask()),
    )

    url = URL(path)
    assert url.path == "/config/blueprint/dashboard/import"
    assert any(
        f'redirect:"{url.path}",params:{{blueprint_url:"url"}}' in file.read_text()
        for file in (Path(where()) / "frontend_latest").glob("*.js")
    )
    blueprint = (REPOSITORY / BLUEPRINT).read_text()
    assert f"\n  source_url: {url.query['blueprint_url']}\n" in blueprint


@pytest.mark.parametrize("folder", ["iot_portal", "seed-8fbb6451"], ids=["copied", "imported"])
async def test_script(
    hass: HomeAssistant,
    demo: str,
    ask: Ask,
    portal: MockPortal,
    hass_read_only_access_token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
) -> None:
    """Every script that is made from the blueprint stands in the place of the link, whatever it is called, and no other."""
    other = {"alias": "Other", "sequence": []}
    path = f"{folder}/send_sms.yaml"
    own = {"alias": "Message", "use_blueprint": {"path": path}}
    await add_scripts(hass, tmp_path, monkeypatch, path, {"any_name": own, "other": other})

    for config in (await ask(), await ask(hass_read_only_access_token)):
        scripts = [card["entity"] for card in cards(config, "tile")]
        assert [entity for entity in scripts if entity.startswith("script.")] == ["script.any_name"]
        assert how_to_get_the_form(config) == ""
    config = await ask()
    sims = {"entity_id": ["notify.pump_house_send_sms"]}
    await hass.services.async_call(
        "script", "any_name", {"sims": sims, "message": "Restart"}, blocking=True
    )
    portal.journal.assert_called_once("PUT", f"/SendSMS/{PUMP_HOUSE}/1")

    assert shown(hass, config, "tile") == ["event.pump_house_sms_event"]
    sms = [card["entity"] for card in cards(await ask(), "tile") if "visibility" in card]
    assert sms[0] == "event.pump_house_sms_event"
    assert len(sms) == len(TITLES)


async def test_script_of_another_blueprint(
    hass: HomeAssistant, demo: str, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script from somebody else's blueprint of the same name is not offered, nor does a broken blueprint hurt."""
    path = "another/send_sms.yaml"
    script = {"alias": "Message", "use_blueprint": {"path": path}}
    text = (REPOSITORY / BLUEPRINT).read_text().replace("blueprints/script/iot_portal", "another")
    (tmp_path / "blueprints" / "script").mkdir(parents=True)
    (tmp_path / "blueprints" / "script" / "broken.yaml").write_text("blueprint: {}")
    await add_scripts(hass, tmp_path, monkeypatch, path, {"any_name": script}, text)

    assert how_to_get_the_form(await ask()) != ""


async def add_scripts(
    hass: HomeAssistant,
    config_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    scripts: dict[str, Any],
    text: str | None = None,
) -> None:
    """Store the blueprint for SMS, or another text in its place, and set up scripts."""
    blueprint = config_dir / "blueprints" / "script" / path
    blueprint.parent.mkdir(parents=True)
    blueprint.write_text(text or (REPOSITORY / BLUEPRINT).read_text())
    monkeypatch.setattr(hass.config, "config_dir", str(config_dir))
    assert await async_setup_component(hass, "script", {"script": scripts})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert {hass.states.is_state(f"script.{name}", "off") for name in scripts} == {True}


async def test_page(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """The documentation names each reason of the list, and each section of the dashboard."""
    page = PAGE.read_text()
    words = json.loads((TRANSLATIONS / "en.json").read_text())["common"]

    for heading in headings(await ask()):
        assert f"\n| {heading} | " in page
    for reason in ("over", "projected", "unreadable", "not_read", "away", "no_session"):
        assert f"*{words[reason]}*" in page
    for graph in ("daily_usage", "billing_cycle"):
        assert f"*{words[graph]}*" in page
    assert f"of more than {LARGE_FLEET} SIMs" in page
    assert f"more than {MAX_CARDS} SIMs" in page


# --- The JavaScript module


async def test_module(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> None:
    """The frontend loads the script from a URL that changes with the version."""
    assert await async_setup_component(hass, "frontend", {})
    assert await async_setup_component(hass, DOMAIN, {})
    client = await hass_client()

    version = (await async_get_integration(hass, DOMAIN)).version
    address = f"/iot_portal/dashboard.js?v={version}"
    assert address in hass.data[DATA_EXTRA_MODULE_URL].urls

    response = await client.get(address)
    assert response.status == 200
    assert response.content_type == "text/javascript"
    assert "max-age" in response.headers["Cache-Control"]
    script = await response.text()
    assert script == MODULE.read_text()
    assert f'"{COMMAND}"' in script
    # From here on the script asks for another list when a projected overage begins or ends.
    assert f"length > {LARGE_FLEET} " in script


async def test_without_frontend(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """Without the frontend everything else works."""
    assert "frontend" not in hass.config.components
    assert (await ask())["title"] == "SIM cards"


NASTY = "**Pump** [x](http://x.example) ![y](z)\n\n# <img src=x onerror=y> `a` | _b_\x00"


async def test_text_of_the_portal(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp, ask: Ask
) -> None:
    """A label is shown as it is: it breaks no list, and nothing in it is rendered."""
    portal.sims[PUMP_HOUSE].device["deviceID"] = NASTY
    entry = await set_up()
    await add_sims(hass, entry.entry_id, PUMP_HOUSE)

    shown = rendered(hass, await ask())

    assert not re.search(r"\n\s*\n", shown)
    (row,) = re.findall(r"<b><a [^>]*>(.*?)</a></b>", shown)
    assert not set("<>[]()*_`|!\n") & set(row)
    expected = "**Pump** [x](http://x.example) ![y](z) # <img src=x onerror=y> `a` | _b_"
    assert html.unescape(row) == expected


@pytest.mark.parametrize(
    ("word", "needs_attention"),
    [("Active", True), ("LIVE", True), ("Suspended", False), ("Activo", False)],
)
async def test_words_of_other_networks(
    hass: HomeAssistant,
    portal: MockPortal,
    set_up: SetUp,
    ask: Ask,
    word: str,
    needs_attention: bool,
) -> None:
    """A SIM of a network with another word for activated is expected to have sessions."""
    portal.sims[PUMP_HOUSE].status = word
    portal.sims[PUMP_HOUSE].session_started = portal.sims[PUMP_HOUSE].session_ended = None
    portal.sims[PUMP_HOUSE].data_usage = 0
    entry = await set_up()
    await add_sims(hass, entry.entry_id, PUMP_HOUSE)

    line = listed(hass, await ask())[1]

    facts = f"{word} · 0 kB used · 0% of allowance"
    assert line == (
        f"warning: Pump house · No session yet / {facts}"
        if needs_attention
        else f"Pump house / {facts} · No session yet"
    )

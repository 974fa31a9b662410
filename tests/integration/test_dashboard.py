"""The dashboard: it is suggested, generated from the entities, and shows which SIMs need attention."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
import html
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
        for section in view["sections"]
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
    """Return the rendered table of a dashboard with one account, with strict templates as in the frontend."""
    (card,) = [card for card in cards(config, "markdown") if "<table" in card["content"]]
    shown: str = Template(card["content"], hass).async_render(parse_result=False, strict=True)
    return shown


def table(hass: HomeAssistant, config: dict[str, Any]) -> list[list[str]]:
    """Return the rows of the table."""
    rows = re.findall(r"<tr>(.*?)</tr>", rendered(hass, config), re.DOTALL)
    return [
        [
            re.sub(r"<[^>]*>", "", cell).replace("&nbsp;", " ")
            for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)
        ]
        for row in rows
    ]


async def test_demo(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """The dashboard has all entities of the demo's SIMs, and all of its entities exist."""
    config = await ask()

    assert config["title"] == "SIM cards"
    (view,) = config["views"]
    assert (view["title"], view["type"]) == ("SIM cards", "sections")
    assert [badge["entity"] for badge in view["badges"]] == [
        "binary_sensor.demo_client_portal",
        "sensor.demo_client_sims",
        "sensor.demo_client_activated_sims",
        "sensor.demo_client_data_usage_of_all_sims",
    ]
    assert headings(config) == [
        "Fleet",
        "Usage against allowance",
        "Data usage",
        "SMS",
        "What happened",
    ]
    bars = [card["entity"] for card in cards(config, "tile") if "features" in card]
    assert bars == [
        f"sensor.{sim}_allowance_used"
        for sim in ("pump_house", "weather_station", "boat_tracker", "pangea_test_sim")
    ]
    sims = [slugify(title) for title in TITLES]
    for kind in ("statistics-graph", "history-graph"):
        (graph,) = cards(config, kind)
        shown = {item["entity"] for item in graph["entities"]}
        assert shown == {f"sensor.{sim}_data_usage" for sim in sims}
    (log,) = cards(config, "logbook")
    assert log["target"]["entity_id"] == [
        f"event.{sim}_{key}" for sim in sims for key in ("sim_event", "sms_event")
    ]
    assert {entity for entity in named(config) if hass.states.get(entity) is None} == set()


async def test_sections_leave_no_gaps(demo: str, ask: Ask) -> None:
    """Sections with a table or graph are wide, and narrow sections stand side by side."""
    (view,) = (await ask())["views"]

    assert [section["column_span"] for section in view["sections"]] == [2, 1, 2, 1]
    assert view["dense_section_placement"]


async def test_cards_are_home_assistants_own(demo: str, ask: Ask) -> None:
    """Every card is part of Home Assistant, so nothing else must be installed."""
    types = {card["type"] for card in cards(await ask())}

    assert types <= own_cards()
    assert {"alert", "logbook", "markdown", "statistics-graph", "tile"} <= types
    assert "empty-state" in own_cards()


async def test_table(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """SIMs that need attention come first, with a mark that says why."""
    config = await ask()

    assert table(hass, config) == [
        ["SIM", "Status", "Allowance used", "Last contact"],
        ["⚠️ Pump house", "Activated", "92 %", "23 h ago"],
        ["⏸️ Pangea test SIM", "Inventory", "0 %", "1188 d ago"],
        ["✅ Boat tracker", "Activated", "1 %", "now"],
        ["✅ Weather station", "Activated", "12 %", "20 min ago"],
    ]
    assert shown(hass, config, "alert") == ["binary_sensor.pump_house_projected_overage"]
    assert shown(hass, config, "tile") == []


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
    assert headings(config)[:2] == ["Flotte", "Verbrauch des Inklusivvolumens"]
    assert table(hass, config) == [
        ["SIM", "Status", "Verbrauchtes Inklusivvolumen", "Letzter Kontakt"],
        ["⚠️ Pump house", "Aktiviert", "92 %", "vor 23 h"],
    ]
    german = {entity for entity in named(config) if "verbrauch" in entity}
    assert bool(german) == (server == "de")


async def test_language_of_the_server(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """Without a language the texts are in the server's."""
    hass.config.language = "nl"
    assert (await ask())["title"] == "SIM-kaarten"


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

    assert table(hass, config)[1:] == [[f"❔ {title}", "-", "-", "-"] for title in TITLES]
    assert shown(hass, config, "alert") == ["binary_sensor.demo_client_portal"]


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

    assert [row[0] for row in table(hass, config)[1:3]] == ["⚠️ Pump house", "⏳ Weather station"]
    assert shown(hass, config, "alert")[1:] == ["binary_sensor.weather_station_change_pending"]


async def test_no_recent_session(
    hass: HomeAssistant, demo: str, ask: Ask, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A SIM without a session in the last day is marked, without a new dashboard."""
    config = await ask()
    freezer.tick(timedelta(hours=24) - timedelta(minutes=21))
    assert table(hass, config)[-1] == ["✅ Weather station", "Activated", "12 %", "24 h ago"]

    freezer.tick(timedelta(minutes=2))
    assert table(hass, config)[3:] == [
        ["💤 Weather station", "Activated", "12 %", "24 h ago"],
        ["✅ Boat tracker", "Activated", "1 %", "now"],
    ]
    freezer.tick(timedelta(days=1))
    assert table(hass, config)[3][3] == "2 d ago"


async def test_no_session(hass: HomeAssistant, set_up: SetUp, ask: Ask) -> None:
    """A SIM that never had a session is marked as well."""
    sims = {OTHER_ICCID: {"status": "ACTIVATED"}}
    async with MockPortal({"extends": "documented", "sims": sims}) as portal:
        await set_up(OTHER_ICCID, base_url=portal.url)
        config = await ask()

    assert table(hass, config)[1:] == [[f"💤 SIM {OTHER_ICCID}", "Activated", "0 %", "never"]]


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
    assert len(config["views"][0]["badges"]) == (4 if is_set_up else 0)


async def test_sim_without_parts(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp, ask: Ask
) -> None:
    """Data that the portal refuses for a SIM are omitted; the SIM is shown."""
    portal.faults.add("status", status=403, route="sessionInfo")
    portal.faults.add("status", status=403, route="GetDevice")
    await set_up(PUMP_HOUSE)

    config = await ask()

    assert table(hass, config)[1:] == [[f"✅ SIM {PUMP_HOUSE}", "Activated", "480.0 MB", "-"]]
    assert headings(config) == ["Fleet", "Data usage", "SMS", "What happened"]
    assert {entity for entity in named(config) if hass.states.get(entity) is None} == set()


async def test_disabled_and_hidden(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """Disabled and hidden entities do not appear, and the table works without them."""
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
    assert table(hass, config)[1] == ["⚠️ Pump house", "Activated", "480.0 MB", "23 h ago"]


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
    assert table(hass, config)[1] == [f"⚠️ {escaped}", "Activated", "92 %", "23 h ago"]
    assert f'<a href="/config/devices/device/{pump_house.device_id}">{escaped}</a>' in rendered(
        hass, config
    )
    assert "sensor.other" in named(config)


async def test_many_sims(hass: HomeAssistant, set_up: SetUp, ask: Ask) -> None:
    """Of many SIMs only those with the highest usage have cards; the table has all."""
    sims = {f"89310823222{n:07d}0": {"data_usage": n * 10**6} for n in range(50)}
    async with MockPortal({"extends": "documented", "sims": sims}) as portal:
        await set_up(*sims, base_url=portal.url)
        config = await ask()

    bars = [card["entity"] for card in cards(config, "tile") if "features" in card]
    assert bars == [f"sensor.sim_{iccid}_allowance_used" for iccid in reversed(sims)][:MAX_CARDS]
    for kind in ("statistics-graph", "history-graph"):
        assert len(cards(config, kind)[0]["entities"]) == MAX_CARDS
    assert len(table(hass, config)) == 1 + len(sims)


async def test_large_fleet(hass: HomeAssistant, set_up: SetUp, ask: Ask) -> None:
    """A large fleet has a table but no cards for SIMs; the table has all SIMs with a projected overage."""
    sims = {
        f"89310823222{n:07d}0": {"status": "ACTIVATED", "data_usage": n * 10**7}
        for n in range(LARGE_FLEET + 1)
    }
    async with MockPortal({"extends": "documented", "sims": sims}) as portal:
        await set_up(*sims, base_url=portal.url)
        config = await ask()

    assert [card["type"] for card in cards(config)] == ["heading", "alert", "markdown"]
    rows = table(hass, config)
    assert len(rows) == 1 + 100 + 1
    assert rows[1][0].startswith("⚠️")
    assert rows[-1] == ["+ 1"]
    # Its session sensors are disabled, so the last session is unknown.
    quiet = f"SIM {next(iter(sims))}"
    assert [f"✅ {quiet}", "Activated", "0 %", "-"] in rows
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

    rows = table(hass, await ask())

    assert rows[1:] == [[f"❔ {title}", "-", "-", "-"] for title in TITLES]


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
    assert table(hass, config)[1][0] == "⚠️ Pump house"


BLUEPRINT = "blueprints/script/iot_portal/send_sms.yaml"


def how_to_get_the_form(config: dict[str, Any]) -> str:
    """Return the text of the card that leads to the blueprint for SMS, if there is one."""
    return "".join(
        card["content"] for card in cards(config, "markdown") if "<table" not in card["content"]
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
    """The documentation names each mark of the table, and each section of the dashboard."""
    page = PAGE.read_text()
    config = await ask()
    card = cards(config, "markdown")[0]
    (marks,) = re.findall(r"set marks = \[(.*?)\]", card["content"])

    assert re.findall(r"^\| (\S{1,2}) \| ", page, re.MULTILINE) == re.findall(r"'(.+?)'", marks)
    for heading in headings(config):
        assert f"\n| {heading} | " in page
    assert f"of more than {LARGE_FLEET} SIMs" in page
    assert f"Of more than {MAX_CARDS} SIMs" in page


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


async def test_without_frontend(hass: HomeAssistant, demo: str, ask: Ask) -> None:
    """Without the frontend everything else works."""
    assert "frontend" not in hass.config.components
    assert (await ask())["title"] == "SIM cards"


NASTY = "**Pump** [x](http://x.example) ![y](z)\n\n# <img src=x onerror=y> `a` | _b_\x00"


async def test_text_of_the_portal(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp, ask: Ask
) -> None:
    """A label is shown as it is: it breaks no table, and nothing in it is rendered."""
    portal.sims[PUMP_HOUSE].device["deviceID"] = NASTY
    entry = await set_up()
    await add_sims(hass, entry.entry_id, PUMP_HOUSE)

    shown = rendered(hass, await ask())

    assert not re.search(r"\n\s*\n", shown)
    (row,) = re.findall(r"<td>[^<]*<a [^>]*>(.*?)</a></td>", shown)
    assert not set("<>[]()*_`|!\n") & set(row)
    expected = "**Pump** [x](http://x.example) ![y](z) # <img src=x onerror=y> `a` | _b_"
    assert html.unescape(row) == expected


@pytest.mark.parametrize(
    ("word", "mark"), [("Active", "💤"), ("LIVE", "💤"), ("Suspended", "⏸️"), ("Activo", "⏸️")]
)
async def test_words_of_other_networks(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp, ask: Ask, word: str, mark: str
) -> None:
    """A SIM of a network with another word for activated is none that needs a look."""
    portal.sims[PUMP_HOUSE].status = word
    portal.sims[PUMP_HOUSE].session_started = portal.sims[PUMP_HOUSE].session_ended = None
    portal.sims[PUMP_HOUSE].data_usage = 0
    entry = await set_up()
    await add_sims(hass, entry.entry_id, PUMP_HOUSE)

    (_, row) = table(hass, await ask())

    assert row[0].startswith(mark)
    assert row[1] == word

"""The blueprints: what a user notices of each, and what must not happen."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import timedelta
import logging
from pathlib import Path
import shutil
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.auth.permissions import PolicyType
from homeassistant.components.automation.config import AUTOMATION_BLUEPRINT_SCHEMA
from homeassistant.components.blueprint import importer
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.components.blueprint.schemas import BLUEPRINT_SCHEMA
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import Context, CoreState, Event, HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import (
    config_validation as cv,
    entity_registry as er,
)
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import parse_yaml
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_get_persistent_notifications,
    mock_restore_cache,
)
from pytest_homeassistant_custom_component.test_util.aiohttp import AiohttpClientMocker

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import (
    add_sims,
    advance_time,
    call_action,
    device_id,
    name_sim,
    poll,
    state_of,
    user_with,
)

REPOSITORY = Path(__file__).parents[2]
FOLDER = Path("blueprints/automation/iot_portal")
FILES = (
    "data_allowance_guard.yaml",
    "imei_changed.yaml",
    "monthly_report.yaml",
    "no_session.yaml",
    "sms_reboot.yaml",
)
SCRIPT = Path("blueprints/script/iot_portal/send_sms.yaml")
PATHS = (*(FOLDER / name for name in FILES), SCRIPT)
SOURCE = "https://github.com/seed-8fbb6451/ha-iot-portal/blob/main"
AUTOMATION = "automation.guard"
# The allowance of the mock portal's SIMs is 500 MB of 1,024 x 1,024 bytes.
PERCENT = 5 * 1024**2
# The event of an additional action of the user.
TOLD = "told"

type Automate = Callable[..., Coroutine[Any, Any, None]]


def show_variables(**variables: str) -> list[dict[str, Any]]:
    """Return an additional action that fires an event with variables of the blueprint."""
    return [
        {"event": TOLD, "event_data": {key: f"{{{{ {name} }}}}" for key, name in variables.items()}}
    ]


def shown_variables(events: list[Event]) -> list[dict[str, Any]]:
    """Return the data of the fired events."""
    return [dict(event.data) for event in events]


def notes(hass: HomeAssistant) -> list[str]:
    """Return the messages of the blueprints' notifications."""
    return [
        note["message"]
        for key, note in async_get_persistent_notifications(hass).items()
        if key.startswith(DOMAIN)
    ]


async def dismiss(hass: HomeAssistant) -> None:
    """Dismiss all notifications, as a user does who has read them."""
    await hass.services.async_call("persistent_notification", "dismiss_all", blocking=True)


def entity(hass: HomeAssistant, platform: str, key: str, iccid: str = OTHER_ICCID) -> str:
    """Return the entity ID of a SIM's entity."""
    entity_id = er.async_get(hass).async_get_entity_id(platform, DOMAIN, f"{iccid}_{key}")
    assert entity_id is not None
    return entity_id


def fleet(hass: HomeAssistant, *iccids: str) -> dict[str, list[str]]:
    """Return the target of a blueprint that names SIMs by their devices."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    return {"device_id": [device_id(hass, entry, iccid) for iccid in iccids or (OTHER_ICCID,)]}


async def run_by_hand(hass: HomeAssistant) -> None:
    """Run the automation by hand."""
    await hass.services.async_call(
        "automation", "trigger", {"entity_id": AUTOMATION}, blocking=True
    )


@pytest.fixture(autouse=True)
def complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that templates and automations log no warnings, except for failed actions."""
    yield
    names = tuple(
        f"homeassistant.{name}"
        for name in ("components.automation", "components.blueprint", "helpers.template")
    )
    assert [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.WARNING
        and record.name.startswith(names)
        and "Error for call_service" not in record.getMessage()
    ] == []


@pytest.fixture
async def automate(
    hass: HomeAssistant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Automate]:
    """Return a function that sets up an automation from a copied blueprint."""
    shutil.copytree(REPOSITORY / FOLDER, tmp_path / FOLDER)
    monkeypatch.setattr(hass.config, "config_dir", str(tmp_path))

    async def automate(blueprint: str, **inputs: Any) -> None:
        config = {
            "id": "guard",
            "alias": "Guard",
            "use_blueprint": {"path": f"iot_portal/{blueprint}.yaml", "input": inputs},
        }
        assert await async_setup_component(hass, "persistent_notification", {})
        assert await async_setup_component(hass, "automation", {"automation": config})
        await hass.async_block_till_done(wait_background_tasks=True)
        assert hass.states.is_state(AUTOMATION, STATE_ON)

    yield automate
    await hass.services.async_call(
        "automation", "turn_off", {"entity_id": AUTOMATION}, blocking=True
    )


# --- All blueprints


def read(text: str) -> Blueprint:
    """Read a blueprint as Home Assistant does."""
    data = parse_yaml(text)
    assert isinstance(data, dict)
    domain = data["blueprint"]["domain"]
    schema = AUTOMATION_BLUEPRINT_SCHEMA if domain == "automation" else BLUEPRINT_SCHEMA
    return Blueprint(data, expected_domain=domain, schema=schema)


def fields(blueprint: Blueprint) -> list[dict[str, Any]]:
    """Return what a blueprint asks for: the inputs of an automation, the fields of a script."""
    inputs: dict[str, Any] = blueprint.inputs or blueprint.data["fields"]
    return list(inputs.values())


def test_none_is_left_out() -> None:
    """Every blueprint is tested, and in the folder of its domain."""
    assert sorted(PATHS) == sorted(
        path.relative_to(REPOSITORY) for path in REPOSITORY.glob("blueprints/**/*.yaml")
    )
    for path in PATHS:
        assert read((REPOSITORY / path).read_text()).domain == path.parts[1]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
async def test_blueprint(
    hass: HomeAssistant, aioclient_mock: AiohttpClientMocker, path: Path
) -> None:
    """A blueprint can be imported from its source URL, and describes itself and its inputs."""
    text = (REPOSITORY / path).read_text()
    url = f"{SOURCE}/{path}"
    raw = url.replace("github.com", "raw.githubusercontent.com").replace("/blob/", "/")
    aioclient_mock.get(raw, text=text)

    imported = (await importer.fetch_blueprint_from_url(hass, url)).blueprint
    blueprint = read(text)

    # Home Assistant reformats an imported blueprint and adds its URL.
    assert read(imported.yaml()).data == blueprint.data
    assert blueprint.validate() is None
    assert blueprint.metadata["homeassistant"]["min_version"] == "2026.10.0"
    assert blueprint.metadata["source_url"] == url
    assert blueprint.metadata["author"]
    description = blueprint.metadata["description"]
    assert "**What it costs:**" in description
    assert "**Its limits:**" in description
    # Only what sends an SMS does not depend on data from the portal.
    assert ("every 15 minutes by default" in description) != (
        path.name in ("send_sms.yaml", "sms_reboot.yaml")
    )
    for item in fields(blueprint):
        assert item["name"]
        assert item["description"].endswith(".")
        assert item["selector"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_documented(path: Path) -> None:
    """The documentation has the import URL of each blueprint, and each input with its default."""
    blueprint = read((REPOSITORY / path).read_text())
    title = blueprint.name.removeprefix("IoT Portal: ")
    sections = (REPOSITORY / "docs" / "blueprints.md").read_text().split("\n## ")
    (section,) = [part for part in sections if part.casefold().startswith(title.casefold())]

    assert f"`{blueprint.metadata['source_url']}`" in section
    rows = {cells[1].strip(): cells[2].strip() for cells in _table(section)}
    assert rows.keys() - {"input", "field", "---"} == {item["name"] for item in fields(blueprint)}
    for item in fields(blueprint):
        match item.get("default"):
            case bool(default):
                assert rows[item["name"]] == ("on" if default else "off")
            case int(default) | str(default):
                assert rows[item["name"]].split()[0].strip("`") == str(default)


@pytest.mark.parametrize("name", FILES)
async def test_offers(hass: HomeAssistant, set_up: SetUp, name: str) -> None:
    """The dialog offers SIMs and, except for SMS, their account; nothing of other integrations."""
    entry = await set_up(ICCID)
    blueprint = read((REPOSITORY / FOLDER / name).read_text())
    (wanted,) = cv.ensure_list(blueprint.inputs["sims"]["selector"]["target"]["entity"])

    offered = {
        item.device_id
        for item in er.async_get(hass).entities.values()
        if item.platform == wanted["integration"]
        and item.domain in wanted.get("domain", [item.domain])
    }

    assert wanted["integration"] == DOMAIN
    account = {device_id(hass, entry, entry.entry_id)} if name != "sms_reboot.yaml" else set()
    assert offered == {device_id(hass, entry, ICCID)} | account


def _table(section: str) -> Iterator[list[str]]:
    """Yield the rows of the table in a section."""
    return (line.split("|") for line in section.splitlines() if line.startswith("|"))


# --- Data allowance guard

ALLOWANCE_USED = f"sensor.sim_{OTHER_ICCID}_allowance_used"


async def use(
    hass: HomeAssistant, portal: MockPortal, freezer: FrozenDateTimeFactory, percent: float
) -> None:
    """Set the data usage to a percentage of the allowance, and read the SIM."""
    portal.sims[OTHER_ICCID].data_usage = round(percent * PERCENT)
    await poll(hass, freezer)


def requests(portal: MockPortal) -> int:
    """Return the number of status requests for the SIM."""
    return len(portal.journal.find("PUT", f"/RequestStatusChange/{OTHER_ICCID}"))


def last_run(hass: HomeAssistant) -> object:
    """Return the time of the automation's last run."""
    state = hass.states.get(AUTOMATION)
    assert state is not None
    return state.attributes["last_triggered"]


async def test_cap_warns_once(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Crossing the limit causes one notification a cycle, and no deactivation by default."""
    await set_up(OTHER_ICCID)
    await automate("data_allowance_guard", sims=fleet(hass))
    await use(hass, portal, freezer, 79.9)
    assert notes(hass) == []

    await use(hass, portal, freezer, 83.25)
    assert notes(hass) == [f"SIM {OTHER_ICCID} has used 83.2 % of its data allowance."]

    await dismiss(hass)
    done = last_run(hass)
    await poll(hass, freezer)
    await use(hass, portal, freezer, 90)
    await use(hass, portal, freezer, 120)
    await use(hass, portal, freezer, 1)
    assert notes(hass) == []
    # The logbook gets no further entries either.
    assert last_run(hass) == done

    await use(hass, portal, freezer, 80)
    assert notes(hass) == [f"SIM {OTHER_ICCID} has used 80.0 % of its data allowance."]
    await use(hass, portal, freezer, 2)
    await use(hass, portal, freezer, 3)
    await use(hass, portal, freezer, 130)
    assert notes(hass) == [f"SIM {OTHER_ICCID} has used 130.0 % of its data allowance."]
    assert requests(portal) == 0


async def test_cap_deactivates_once(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Crossing the limit deactivates the SIM once in each cycle, even if the user activates it again."""
    entry = await set_up(OTHER_ICCID)
    await automate("data_allowance_guard", sims=fleet(hass), deactivate=True, deactivate_percent=95)
    await use(hass, portal, freezer, 85)
    assert len(notes(hass)) == 1
    assert requests(portal) == 0

    await use(hass, portal, freezer, 95)

    (sent,) = portal.journal.find("PUT", f"/RequestStatusChange/{OTHER_ICCID}")
    assert "DEACTIVATED" in str(sent.body)
    assert state_of(hass, OTHER_ICCID, "status") == "deactivated"
    # The notification replaces the warning.
    assert notes(hass) == [
        f"SIM {OTHER_ICCID} has used 95.0 % of its data allowance. It was asked to be deactivated."
    ]

    # A SIM that the user activates again stays active.
    portal.sims[OTHER_ICCID].set_status("ACTIVATED")
    await poll(hass, freezer)
    await use(hass, portal, freezer, 110)
    assert requests(portal) == 1

    # In the next cycle an earlier request of the user changes nothing.
    await use(hass, portal, freezer, 0)
    sim = device_id(hass, entry, OTHER_ICCID)
    await call_action(hass, "request_status_change", {"device_id": sim, "status": "activated"})
    await use(hass, portal, freezer, 96)
    assert requests(portal) == 3
    assert state_of(hass, OTHER_ICCID, "status") == "deactivated"


@pytest.mark.parametrize(
    "readings",
    [
        [101, 99.9, 100.1, 99, 102],
        [101, 0, 102],
        [101, 30, 102],
        [101, 75, 102],
    ],
    ids=["corrections", "zero", "older answer", "low"],
)
async def test_cap_of_a_count_that_falls(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    readings: list[float],
) -> None:
    """A count that the portal corrects, or that is gone for a while, is no new cycle: the limit is not crossed again."""
    freezer.move_to("2026-03-16T00:00:00+00:00")
    await set_up(OTHER_ICCID)
    await automate("data_allowance_guard", sims=fleet(hass), deactivate=True)
    await use(hass, portal, freezer, 95)
    for percent in readings:
        await use(hass, portal, freezer, percent)
        # The user wants it to go on.
        if portal.sims[OTHER_ICCID].status == "DEACTIVATED":
            portal.sims[OTHER_ICCID].set_status("ACTIVATED")

    assert requests(portal) == 1
    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == readings[-1]


async def test_cap_of_a_sim_that_the_user_took_off(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Usage that is reported after the user deactivated the SIM causes no notification."""
    await set_up(OTHER_ICCID)
    await automate("data_allowance_guard", sims=fleet(hass), deactivate=True)
    await use(hass, portal, freezer, 85)
    await dismiss(hass)
    portal.sims[OTHER_ICCID].set_status("DEACTIVATED")

    await use(hass, portal, freezer, 101)

    assert notes(hass) == []
    assert requests(portal) == 0


async def test_cap_after_a_jump_over_a_reset(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Falling usage starts a new cycle, and crossing both limits at once causes one notification."""
    portal.sims[OTHER_ICCID].data_usage = 150 * PERCENT
    await set_up(OTHER_ICCID)
    await automate("data_allowance_guard", sims=fleet(hass), deactivate=True)
    assert requests(portal) == 0

    await use(hass, portal, freezer, 1)
    assert requests(portal) == 0
    await use(hass, portal, freezer, 105)

    assert requests(portal) == 1
    (note,) = notes(hass)
    assert "It was asked to be deactivated" in note


@pytest.mark.parametrize(("before", "expected"), [(70, 1), (110, 0)], ids=["crossed", "was over"])
@pytest.mark.parametrize("is_reload", [False, True], ids=["outage", "reload"])
async def test_cap_after_an_outage(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    before: float,
    expected: int,
    is_reload: bool,
) -> None:
    """A limit that was crossed during an outage counts; one that was crossed before does not count again."""
    entry = await set_up(OTHER_ICCID)
    await use(hass, portal, freezer, before)
    await automate("data_allowance_guard", sims=fleet(hass), deactivate=True)

    if is_reload:
        portal.sims[OTHER_ICCID].data_usage = 111 * PERCENT
        await hass.config_entries.async_reload(entry.entry_id)
    else:
        portal.faults.add("status", status=500)
        await use(hass, portal, freezer, 111)
        assert state_of(hass, OTHER_ICCID, "allowance_used") == STATE_UNAVAILABLE
        assert requests(portal) == 0
        assert notes(hass) == []
        portal.faults.clear()
    await poll(hass, freezer)
    await poll(hass, freezer)

    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == 111
    assert requests(portal) == expected
    assert len(notes(hass)) == expected


@pytest.mark.parametrize("is_read_before", [True, False])
async def test_cap_at_start(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    is_read_before: bool,
) -> None:
    """A limit that was crossed while Home Assistant was not running counts once the usage is known; an older one does not."""
    entry = await set_up(OTHER_ICCID)
    portal.sims[OTHER_ICCID].data_usage = 120 * PERCENT
    if is_read_before:
        await poll(hass, freezer)
    await hass.config_entries.async_unload(entry.entry_id)
    hass.set_state(CoreState.not_running)
    await automate("data_allowance_guard", sims=fleet(hass), deactivate=True)

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert requests(portal) == 0
    assert notes(hass) == []
    await hass.async_start()
    await hass.async_block_till_done(wait_background_tasks=True)

    expected = 0 if is_read_before else 1
    assert requests(portal) == expected
    assert len(notes(hass)) == expected
    await poll(hass, freezer)
    assert requests(portal) == expected


async def test_cap_at_start_of_a_sim_that_is_off(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A SIM that is already deactivated gets no status request, but a notification."""
    portal.sims[OTHER_ICCID].set_status("DEACTIVATED")
    entry = await set_up(OTHER_ICCID)
    await automate("data_allowance_guard", sims=fleet(hass), deactivate=True)
    await hass.config_entries.async_unload(entry.entry_id)
    portal.sims[OTHER_ICCID].data_usage = 120 * PERCENT

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert requests(portal) == 0
    assert notes(hass) == [f"SIM {OTHER_ICCID} has used 120.0 % of its data allowance."]


@pytest.mark.parametrize(
    ("status", "says"),
    [("deactivated", "allowance."), ("test_ready", "because a change to test ready is pending.")],
)
async def test_cap_while_a_change_is_pending(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    status: str,
    says: str,
) -> None:
    """A pending status change is not replaced, also after a restart; one to another status is reported."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(OTHER_ICCID)
    await automate("data_allowance_guard", sims=fleet(hass), deactivate=True)
    await call_action(hass, "request_status_change", {**fleet(hass), "status": status})
    await hass.config_entries.async_unload(entry.entry_id)
    portal.sims[OTHER_ICCID].data_usage = 120 * PERCENT

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert requests(portal) == 1
    (note,) = notes(hass)
    assert note.endswith(says)


@pytest.mark.parametrize("fault", [{"kind": "reset_after_read"}, {"kind": "status", "status": 403}])
async def test_cap_that_cannot_be_enforced(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    fault: dict[str, Any],
) -> None:
    """A failed deactivation is reported, also to the user's actions, and is not repeated."""
    portal.faults.add(route="RequestStatusChange", **fault)
    events = async_capture_events(hass, TOLD)
    await set_up(OTHER_ICCID)
    await automate(
        "data_allowance_guard",
        sims=fleet(hass),
        deactivate=True,
        deactivate_actions=show_variables(
            message="message", used="trigger.used_percent", is_asked="is_asked"
        ),
    )

    await use(hass, portal, freezer, 101)
    await poll(hass, freezer)
    await use(hass, portal, freezer, 102)

    assert requests(portal) == 1
    ((shown),) = shown_variables(events)
    assert "The request to deactivate it failed" in shown["message"]
    assert shown["used"] == 101
    assert shown["is_asked"] is False


async def test_cap_by_hand(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A run by hand does nothing: no SIM has triggered it, and a limit that was crossed before is not told again."""
    portal.sims[OTHER_ICCID].data_usage = 120 * PERCENT
    await set_up(OTHER_ICCID)
    await automate("data_allowance_guard", sims=fleet(hass), deactivate=True)

    await run_by_hand(hass)
    await poll(hass, freezer)

    assert notes(hass) == []
    assert requests(portal) == 0


async def test_cap_of_a_fleet(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """One automation for an account guards all its SIMs, also those added later, and acts on the one that crosses the limit."""
    entry = await set_up(ICCID)
    await automate("data_allowance_guard", sims=fleet(hass, entry.entry_id), deactivate=True)
    await add_sims(hass, entry.entry_id, OTHER_ICCID)

    await use(hass, portal, freezer, 101)

    assert requests(portal) == 1
    portal.journal.assert_not_called("PUT", f"/RequestStatusChange/{ICCID}")
    (note,) = notes(hass)
    assert note.endswith("It was asked to be deactivated.")


# --- Reboot by SMS

PING = "binary_sensor.router_ping"


def sent_messages(portal: MockPortal) -> list[Any]:
    """Return the bodies of all SMS to the SIM that the portal received, including failed ones."""
    return [request.body for request in portal.journal.find("PUT", f"/SendSMS/{OTHER_ICCID}/1")]


async def fail(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, minutes: float = 10, state: str = STATE_OFF
) -> None:
    """Report the router as online and then as offline for some minutes."""
    hass.states.async_set(PING, STATE_ON)
    await hass.async_block_till_done()
    hass.states.async_set(PING, state)
    await advance_time(hass, freezer, timedelta(minutes=minutes))


async def test_reboot(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """An SMS is sent when the router has been offline for long enough, and again only after the cool-down."""
    events = async_capture_events(hass, TOLD)
    await set_up(OTHER_ICCID)
    await automate(
        "sms_reboot",
        watched=PING,
        cool_down=2,
        sims=fleet(hass),
        text="RESTART 1234",
        result_actions=show_variables(
            message="message", is_sent="is_sent", sms_id="sims[0].sms_id"
        ),
    )

    await fail(hass, freezer, minutes=9)
    await fail(hass, freezer, minutes=30, state=STATE_UNAVAILABLE)
    assert sent_messages(portal) == []

    await fail(hass, freezer)
    assert sent_messages(portal) == [{"messageText": "RESTART 1234"}]
    assert shown_variables(events) == [
        {"message": "The SMS was sent.", "is_sent": True, "sms_id": 4711}
    ]
    assert notes(hass) == []

    await fail(hass, freezer)
    await fail(hass, freezer, minutes=90)
    assert len(sent_messages(portal)) == 1
    # While it stays offline no further SMS is sent, not even after the cool-down.
    await advance_time(hass, freezer, timedelta(hours=3))
    assert len(sent_messages(portal)) == 1

    await fail(hass, freezer)
    assert len(sent_messages(portal)) == 2
    assert len(events) == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset_after_read"},
        {"kind": "status", "status": 504},
        {"kind": "status", "status": 403},
        {"kind": "rate_limited"},
    ],
    ids=lambda fault: str(fault.get("status", fault["kind"])),
)
async def test_reboot_fails(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    fault: dict[str, Any],
) -> None:
    """An SMS that failed or has an unknown outcome is reported and never repeated automatically."""
    portal.faults.add(route="SendSMS", **fault)
    events = async_capture_events(hass, TOLD)
    await set_up(OTHER_ICCID)
    await automate(
        "sms_reboot",
        watched=PING,
        sims=fleet(hass),
        result_actions=show_variables(is_sent="is_sent", sims="sims"),
    )

    await fail(hass, freezer)

    assert sent_messages(portal) == [{"messageText": "reboot"}]
    (note,) = notes(hass)
    assert note.startswith("The SMS failed;")
    assert "not repeated" in note
    assert shown_variables(events) == [{"is_sent": False, "sims": []}]

    portal.faults.clear()
    await fail(hass, freezer)
    await advance_time(hass, freezer, timedelta(hours=12))
    assert len(sent_messages(portal)) == 1
    assert len(events) == 1


@pytest.mark.parametrize(("hours", "expected"), [(5, 0), (6, 1)])
async def test_reboot_after_a_restart(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    hours: float,
    expected: int,
) -> None:
    """The cool-down continues after a restart of Home Assistant."""
    last = dt_util.utcnow() - timedelta(hours=hours)
    mock_restore_cache(hass, [State(AUTOMATION, STATE_ON, {"last_triggered": last.isoformat()})])
    await set_up(OTHER_ICCID)
    await automate("sms_reboot", watched=PING, sims=fleet(hass))

    await fail(hass, freezer)

    assert len(sent_messages(portal)) == expected


async def test_reboot_with_a_text_that_is_too_long(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A text that is too long for an SMS is reported when it is to be sent."""
    await set_up(OTHER_ICCID)
    await automate("sms_reboot", watched=PING, sims=fleet(hass), text="x" * 161)

    await fail(hass, freezer)

    assert sent_messages(portal) == []
    assert len(notes(hass)) == 1


async def test_reboot_fails_for_one(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Of several SIMs the notification names the one that got no SMS."""
    portal.faults.add("status", status=403, route="SendSMS", iccid=ICCID)
    events = async_capture_events(hass, TOLD)
    await set_up(ICCID, OTHER_ICCID)
    await automate(
        "sms_reboot",
        watched=PING,
        sims=fleet(hass, ICCID, OTHER_ICCID),
        result_actions=show_variables(is_sent="is_sent", sms_id="sims[1].sms_id"),
    )

    await fail(hass, freezer)

    assert len(sent_messages(portal)) == 1
    (note,) = notes(hass)
    assert note.startswith(f"The SMS failed for SIM {ICCID}; ")
    assert OTHER_ICCID not in note
    assert shown_variables(events) == [{"is_sent": False, "sms_id": 4711}]


# --- SIM moved to another device

OLD_IMEI = "3569380100000018"
NEW_IMEI = "8613300585142338"


@pytest.fixture
def moving_sim(portal: MockPortal) -> None:
    """Return a SIM whose IMEI is known."""
    portal.sims[OTHER_ICCID].imei = OLD_IMEI


async def test_moved(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    moving_sim: None,
) -> None:
    """A move is reported once, even as the first event of a SIM; nothing is deactivated by default."""
    entry = await set_up(OTHER_ICCID)
    lifecycle = entity(hass, "event", "sim_event")
    await automate("imei_changed", sims=fleet(hass))
    assert hass.states.is_state(lifecycle, STATE_UNKNOWN)

    # New software in the same device, and another change.
    portal.sims[OTHER_ICCID].swap_imei(OLD_IMEI[:-1] + "9")
    await poll(hass, freezer)
    assert notes(hass) == []
    portal.sims[OTHER_ICCID].swap_imei(NEW_IMEI)
    await poll(hass, freezer)

    (note,) = notes(hass)
    moved = f"was in the device with the IMEI …{OLD_IMEI[-4:-1]}9 and is in …{NEW_IMEI[-4:]} now."
    assert note == f"SIM {OTHER_ICCID} {moved}"

    # There is nothing to tell whoever runs it by hand.
    await dismiss(hass)
    await hass.services.async_call(
        "automation", "trigger", {"entity_id": AUTOMATION}, blocking=True
    )
    await poll(hass, freezer)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    state = hass.states.get(lifecycle)
    assert state is not None
    assert state.attributes["event_type"] == "moved_to_another_device"
    portal.sims[OTHER_ICCID].set_status("TEST_READY")
    await poll(hass, freezer)
    assert notes(hass) == []
    assert requests(portal) == 0


@pytest.mark.parametrize(
    ("imeis", "moves"),
    [(["", OLD_IMEI], 0), (["", NEW_IMEI], 1), ([NEW_IMEI, "", NEW_IMEI], 1)],
    ids=["missing", "missing in a move", "missing after a move"],
)
async def test_imei_that_is_missing(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    moving_sim: None,
    imeis: list[str],
    moves: int,
) -> None:
    """An IMEI that is missing for a while is no move, and hides none."""
    await set_up(OTHER_ICCID)
    await automate("imei_changed", sims=fleet(hass), deactivate=True)

    for imei in imeis:
        portal.sims[OTHER_ICCID].imei = imei
        await poll(hass, freezer)

    assert requests(portal) == moves
    assert len(notes(hass)) == moves


async def test_moved_and_deactivated(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    moving_sim: None,
) -> None:
    """A SIM that has moved is deactivated once, if the user wants that."""
    await set_up(ICCID, OTHER_ICCID)
    await automate("imei_changed", sims=fleet(hass, ICCID, OTHER_ICCID), deactivate=True)

    portal.sims[OTHER_ICCID].swap_imei(NEW_IMEI)
    await poll(hass, freezer)

    (note,) = notes(hass)
    assert note.endswith("It was asked to be deactivated.")
    assert state_of(hass, OTHER_ICCID, "status") == "deactivated"
    portal.sims[OTHER_ICCID].swap_imei(OLD_IMEI)
    # The way back could be an old answer, so it is believed when it has been read twice.
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert requests(portal) == 1
    (note,) = notes(hass)
    assert note.endswith(f"is in …{OLD_IMEI[-4:]} now.")
    portal.journal.assert_not_called("PUT", f"/RequestStatusChange/{ICCID}")


@pytest.mark.parametrize("is_there", [False, True], ids=["pending", "confirmed"])
async def test_moved_while_a_change_is_pending(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    moving_sim: None,
    is_there: bool,
) -> None:
    """A pending status change is not replaced, but one that the same poll confirms is no longer pending."""
    portal.dialects["status_change"] = "never"
    portal.sims[OTHER_ICCID].set_status("TEST_READY")
    entry = await set_up(OTHER_ICCID)
    sim = device_id(hass, entry, OTHER_ICCID)
    await call_action(hass, "request_status_change", {"device_id": sim, "status": "activated"})
    await automate("imei_changed", sims=fleet(hass), deactivate=True)

    portal.sims[OTHER_ICCID].swap_imei(NEW_IMEI)
    if is_there:
        portal.sims[OTHER_ICCID].set_status("ACTIVATED")
    await poll(hass, freezer)

    (note,) = notes(hass)
    if is_there:
        assert requests(portal) == 2
        assert note.endswith("It was asked to be deactivated.")
    else:
        assert requests(portal) == 1
        assert note.endswith("because a change to activated is pending.")


async def test_moved_and_not_deactivated(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    moving_sim: None,
) -> None:
    """A failed deactivation is reported and not repeated."""
    portal.dialects["status_change"] = "refused"
    events = async_capture_events(hass, TOLD)
    await set_up(OTHER_ICCID)
    await automate(
        "imei_changed",
        sims=fleet(hass),
        deactivate=True,
        warn_actions=show_variables(
            message="message", old="trigger.from", new="trigger.to", asked="is_asked"
        ),
    )

    portal.sims[OTHER_ICCID].swap_imei(NEW_IMEI)
    await poll(hass, freezer)
    await poll(hass, freezer)

    assert requests(portal) == 1
    (shown,) = shown_variables(events)
    assert "The request to deactivate it failed" in shown.pop("message")
    assert shown == {"old": int(OLD_IMEI), "new": int(NEW_IMEI), "asked": False}


# --- No data session


async def watch(hass: HomeAssistant, automate: Automate, hours: float = 2) -> None:
    """Set up the automation for the SIM."""
    await automate("no_session", sims=fleet(hass), hours=hours)


@pytest.fixture
def idle_sim(portal: MockPortal) -> None:
    """Close the session of the SIM at the current time."""
    portal.sims[OTHER_ICCID].session_count = 0
    portal.sims[OTHER_ICCID].open_session()
    portal.sims[OTHER_ICCID].close_session()


async def test_no_session(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle_sim: None,
) -> None:
    """Missing sessions are reported once, and the notification disappears when a session starts."""
    await set_up(OTHER_ICCID)
    await watch(hass, automate)
    ended = dt_util.as_local(portal.sims[OTHER_ICCID].session_ended or dt_util.utcnow())
    await advance_time(hass, freezer, timedelta(minutes=100))
    assert notes(hass) == []

    await advance_time(hass, freezer, timedelta(minutes=36))
    warning = f"SIM {OTHER_ICCID} has had no data session since {ended:%Y-%m-%d %H:%M}."
    assert notes(hass) == [warning]

    await dismiss(hass)
    for _ in range(3):
        await advance_time(hass, freezer, timedelta(minutes=30))
    assert notes(hass) == []


async def test_session_starts_again(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle_sim: None,
) -> None:
    """A session dismisses the warning, and a later lack of sessions is reported again."""
    await set_up(OTHER_ICCID)
    await watch(hass, automate)
    await advance_time(hass, freezer, timedelta(minutes=136))
    assert len(notes(hass)) == 1

    portal.sims[OTHER_ICCID].open_session()
    await poll(hass, freezer)
    assert hass.states.is_state(entity(hass, "binary_sensor", "data_session"), STATE_ON)
    assert notes(hass) == []
    await advance_time(hass, freezer, timedelta(hours=5))
    assert notes(hass) == []

    portal.sims[OTHER_ICCID].close_session()
    await poll(hass, freezer)
    assert notes(hass) == []
    await advance_time(hass, freezer, timedelta(hours=3))
    assert len(notes(hass)) == 1

    # A session that started and ended between two polls counts, too.
    portal.sims[OTHER_ICCID].open_session()
    portal.sims[OTHER_ICCID].close_session()
    await poll(hass, freezer)
    assert notes(hass) == []


async def test_session_starts_again_in_an_outage(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle_sim: None,
) -> None:
    """An outage neither causes nor dismisses a warning; a session after it counts."""
    await set_up(OTHER_ICCID)
    await watch(hass, automate)
    await advance_time(hass, freezer, timedelta(minutes=136))
    assert len(notes(hass)) == 1

    for expected in (1, 0):
        portal.faults.add("status", status=500)
        await poll(hass, freezer)
        portal.faults.clear()
        await poll(hass, freezer)
        assert len(notes(hass)) == expected
        await dismiss(hass)


async def test_session_starts_again_after_an_outage(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle_sim: None,
) -> None:
    """A session that starts during an outage or while Home Assistant is stopped dismisses the warning."""
    entry = await set_up(OTHER_ICCID)
    await watch(hass, automate)
    for is_stopped in (False, True):
        await advance_time(hass, freezer, timedelta(hours=3))
        assert len(notes(hass)) == 1
        # There is nothing to tell whoever runs it by hand.
        await run_by_hand(hass)

        if is_stopped:
            await hass.config_entries.async_unload(entry.entry_id)
            portal.sims[OTHER_ICCID].open_session()
            await hass.config_entries.async_setup(entry.entry_id)
            await hass.async_block_till_done(wait_background_tasks=True)
        else:
            portal.faults.add("status", status=500)
            await poll(hass, freezer)
            assert len(notes(hass)) == 1
            portal.faults.clear()
            portal.sims[OTHER_ICCID].open_session()
            await poll(hass, freezer)
        assert notes(hass) == []

        portal.sims[OTHER_ICCID].close_session()
        await poll(hass, freezer)


async def test_no_session_while_nothing_is_known(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle_sim: None,
) -> None:
    """Unavailable or unknown sensors cause no warning, however long; afterwards the lack of sessions is reported."""
    await set_up(OTHER_ICCID)
    await watch(hass, automate)
    fault = portal.faults.add("status", status=500)
    await poll(hass, freezer)
    for _ in range(3):
        await advance_time(hass, freezer, timedelta(hours=1))
    assert state_of(hass, OTHER_ICCID, "session_ended") == STATE_UNAVAILABLE
    assert notes(hass) == []

    portal.faults.clear()
    portal.sims[OTHER_ICCID].session_count = None
    portal.faults.add("status", route="sessionInfo", status=200, body={"iccid": OTHER_ICCID})
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert state_of(hass, OTHER_ICCID, "session_ended") == STATE_UNKNOWN
    assert notes(hass) == []
    assert fault.fired

    portal.faults.clear()
    await poll(hass, freezer)
    await poll(hass, freezer)
    assert len(notes(hass)) == 1


async def test_no_session_before_the_automation(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle_sim: None,
) -> None:
    """A lack of sessions that is older than the automation is not reported."""
    await set_up(OTHER_ICCID)
    await advance_time(hass, freezer, timedelta(hours=3))
    await watch(hass, automate)
    await advance_time(hass, freezer, timedelta(hours=3))
    assert notes(hass) == []


@pytest.mark.parametrize("is_warned", [True, False], ids=["warned", "not warned"])
async def test_no_session_after_a_restart(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    idle_sim: None,
    is_warned: bool,
) -> None:
    """A warning from before a restart is not repeated after it; what became due meanwhile is reported."""
    entry = await set_up(OTHER_ICCID)
    await watch(hass, automate)
    if is_warned:
        await advance_time(hass, freezer, timedelta(hours=3))
        assert len(notes(hass)) == 1
        await dismiss(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    freezer.tick(timedelta(hours=10))

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await poll(hass, freezer)

    assert len(notes(hass)) == (0 if is_warned else 1)


# --- Monthly report


async def test_report(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The end of a cycle is reported once for each SIM, with the portal's data."""
    entry = await set_up(ICCID, OTHER_ICCID)
    await automate("monthly_report", sims=fleet(hass, ICCID, OTHER_ICCID))
    portal.sims[ICCID].data_usage = 1_049_999
    sim = portal.sims[OTHER_ICCID]
    sim.data_usage, sim.sms_usage, sim.voice_usage, sim.session_count = 123_456_789, 4, 61, 12
    await poll(hass, freezer)
    assert notes(hass) == []

    portal.clock.advance(timedelta(days=31).total_seconds())
    await poll(hass, freezer)
    assert notes(hass) == []
    await poll(hass, freezer)

    reports = {
        ICCID: "1.0 MB of data, 0 SMS, 0 s of voice.",
        OTHER_ICCID: "123.5 MB of data, 4 SMS, 61 s of voice, 12 sessions.",
    }
    assert sorted(notes(hass)) == sorted(
        f"SIM {iccid} in the billing cycle that has ended: {used}"
        for iccid, used in reports.items()
    )

    # There is nothing to tell whoever runs it by hand.
    await dismiss(hass)
    await hass.services.async_call(
        "automation", "trigger", {"entity_id": AUTOMATION}, blocking=True
    )
    portal.sims[ICCID].swap_imei(NEW_IMEI)
    await poll(hass, freezer)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await poll(hass, freezer)
    assert notes(hass) == []


async def test_report_of_the_users_own(
    hass: HomeAssistant,
    set_up: SetUp,
    automate: Automate,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The user's additional actions get the numbers, for the chosen SIMs only."""
    events = async_capture_events(hass, TOLD)
    portal.sims[ICCID].data_usage = portal.sims[OTHER_ICCID].data_usage = 2_960_000
    await set_up(ICCID, OTHER_ICCID)
    await automate(
        "monthly_report",
        sims=fleet(hass, ICCID),
        report_actions=show_variables(
            name="trigger.sim_name",
            megabytes="trigger.used_mb",
            sms="trigger.sms_usage",
            voice="trigger.voice_usage",
            sessions="trigger.session_count",
        ),
    )

    portal.sims[ICCID].data_usage = portal.sims[OTHER_ICCID].data_usage = 0
    await poll(hass, freezer)
    await poll(hass, freezer)

    assert shown_variables(events) == [
        {"name": f"SIM {ICCID}", "megabytes": 3.0, "sms": 0, "voice": 0, "sessions": None}
    ]
    assert notes(hass) == []


# --- Send an SMS


@pytest.fixture
async def form(
    hass: HomeAssistant, set_up: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set up a script from the blueprint, and two SIMs."""
    path = tmp_path / "blueprints" / "script" / "iot_portal" / "send_sms.yaml"
    path.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / SCRIPT, path)
    monkeypatch.setattr(hass.config, "config_dir", str(tmp_path))
    await set_up(ICCID, OTHER_ICCID)
    script = {"alias": "SMS", "use_blueprint": {"path": "iot_portal/send_sms.yaml"}}
    assert await async_setup_component(hass, "script", {"script": {"sms": script}})


async def fill_in(
    hass: HomeAssistant, sims: dict[str, Any], context: Context | None = None
) -> None:
    """Fill in the form, and send it."""
    data = {"sims": sims, "message": "Hello\nthere"}
    await hass.services.async_call("script", "sms", data, blocking=True, context=context)


@pytest.mark.parametrize("kind", ["device", "entity", "area", "label"])
async def test_form(hass: HomeAssistant, portal: MockPortal, form: None, kind: str) -> None:
    """The SMS goes to the chosen SIMs only, whichever way they are chosen."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)

    await fill_in(hass, name_sim(hass, entry, OTHER_ICCID, kind))

    assert sent_messages(portal) == [{"messageText": "Hello\nthere"}]
    portal.journal.assert_not_called("PUT", f"/SendSMS/{ICCID}/1")


@pytest.mark.parametrize("sims", ["some", "none"])
async def test_form_that_fails(
    hass: HomeAssistant, portal: MockPortal, form: None, sims: str
) -> None:
    """An SMS that fails, or that is for no SIM, is an error for whoever sent it, and is not repeated."""
    portal.faults.add("status", status=403, route="SendSMS")

    with pytest.raises(HomeAssistantError):
        await fill_in(hass, fleet(hass) if sims == "some" else {"label_id": ["unknown"]})

    assert len(sent_messages(portal)) == (1 if sims == "some" else 0)


@pytest.mark.parametrize("may_control", [True, False])
async def test_form_for_everybody(
    hass: HomeAssistant, portal: MockPortal, form: None, may_control: bool
) -> None:
    """Whoever may control a SIM can send it an SMS, nobody else."""
    allowed: PolicyType = {"domains": {"script": True}}
    if may_control:
        allowed = {"all": True}
    user = user_with(hass, allowed)

    sent = fill_in(hass, fleet(hass), Context(user_id=user.id))
    if may_control:
        await sent
    else:
        with pytest.raises(Unauthorized):
            await sent

    assert len(sent_messages(portal)) == (1 if may_control else 0)

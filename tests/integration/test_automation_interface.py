"""Each use of Home Assistant's interface for triggers, conditions and targets, which it may still change.

Home Assistant's developer documentation calls this interface one that may change. The docstrings say what a user
would notice. tests/e2e/test_automations.py tries the same on the next version.
"""

import ast
import importlib
from pathlib import Path
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import CONF_EXCLUDE
from homeassistant.core import Context, Event, HomeAssistant, callback
from homeassistant.helpers import condition, config_validation as cv, selector, trigger
from homeassistant.helpers.area_registry import EVENT_AREA_REGISTRY_UPDATED
from homeassistant.helpers.automation import ThresholdConfig
from homeassistant.helpers.device_registry import EVENT_DEVICE_REGISTRY_UPDATED
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.iot_portal.condition import CONDITIONS
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.targets import Target
from custom_components.iot_portal.trigger import TRIGGERS
from mock_portal import MockPortal
from scripts.hass_process import INTEGRATION
from tests.automation_interface import SIM_ACTIONS, USES, ours

from .automations import automate, runs
from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import device_id, name_sim, poll

MEGABYTE_FIELDS = {"number": 400, "unit_of_measurement": "MB"}


async def ask(client: Any, kind: str, **fields: Any) -> Any:
    """Send a command of the frontend, and return its result."""
    await client.send_json_auto_id({"type": kind, **fields})
    answer = await client.receive_json()
    assert answer["success"], answer
    return answer["result"]


def test_every_use_is_listed() -> None:
    """A use that is not listed here would break an automation on an update without a test that says so."""
    found: dict[str, set[str]] = {}
    for path in Path(INTEGRATION).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in USES:
                found.setdefault(node.module, set()).update(alias.name for alias in node.names)
    assert found == USES
    for module, names in USES.items():
        assert names <= set(dir(importlib.import_module(module)))


# --- The editor


@pytest.mark.parametrize(
    "kind",
    ["entity", "device", "area", "floor", "label", "label of an entity", "account", "its entity"],
)
async def test_offered_by_target(
    hass: HomeAssistant, set_up: SetUp, hass_ws_client: WebSocketGenerator, kind: str
) -> None:
    """By target, the editor would offer nothing of this integration, or actions on accounts that always fail."""
    entry = await set_up(ICCID, OTHER_ICCID)
    if kind == "account":
        target = {"device_id": device_id(hass, entry, entry.entry_id)}
    elif kind == "its entity":
        target = {"entity_id": "sensor.demo_client_sims"}
    else:
        target = name_sim(hass, entry, OTHER_ICCID, kind)
    client = await hass_ws_client()

    offered = {
        what: ours(
            await ask(
                client,
                f"get_{what}_for_target",
                target={key: [name] for key, name in target.items()},
            )
        )
        for what in ("triggers", "conditions", "services")
    }

    assert offered == {
        "triggers": set(TRIGGERS),
        "conditions": set(CONDITIONS),
        "services": set() if kind in ("account", "its entity") else SIM_ACTIONS,
    }


@pytest.mark.parametrize("key", ["allowance_used", "data_session", "refresh", "send_sms"])
async def test_actions_offered_for_an_entity(
    hass: HomeAssistant, set_up: SetUp, hass_ws_client: WebSocketGenerator, key: str
) -> None:
    """The editor would offer no action for an entity that only SIMs have."""
    await set_up(OTHER_ICCID)
    (entity_id,) = [name for name in hass.states.async_entity_ids() if name.endswith(f"_{key}")]

    client = await hass_ws_client()
    offered = await ask(client, "get_services_for_target", target={"entity_id": [entity_id]})

    # A sensor of an account may have the class of these numbers, or none.
    assert ours(offered) == (set() if key == "allowance_used" else SIM_ACTIONS)


async def test_descriptions(
    hass: HomeAssistant, set_up: SetUp, hass_ws_client: WebSocketGenerator
) -> None:
    """The editor would show a trigger or a condition without its form, or not at all."""
    await set_up(OTHER_ICCID)
    client = await hass_ws_client()

    for what, known in (("trigger", TRIGGERS), ("condition", CONDITIONS)):
        await ask(client, f"{what}_platforms/subscribe")
        described = (await client.receive_json())["event"]
        assert ours(described) == set(known)
        assert all(
            described[f"{DOMAIN}.{name}"]["target"] == {"entity": [{"integration": DOMAIN}]}
            for name in known
        )


async def test_selectors() -> None:
    """The fields of a threshold, and of any or all SIMs, would have no form in the editor, or other values."""
    conditions = load_yaml_dict(str(INTEGRATION / "conditions.yaml"))
    fields = conditions["data_used_is"]["fields"]

    for name in ("behavior", "threshold"):
        selector.validate_selector(fields[name]["selector"])
    behavior: Any = selector.selector(fields["behavior"]["selector"])
    stored = (condition.ATTR_BEHAVIOR, condition.BEHAVIOR_ANY, condition.BEHAVIOR_ALL)
    assert stored == ("behavior", "any", "all")
    assert [behavior(name) for name in ("any", "all")] == ["any", "all"]
    threshold = {"type": "above", "value": {"active_choice": "number", **MEGABYTE_FIELDS}}
    read: Any = selector.selector(fields["threshold"]["selector"])
    chosen = read(threshold)
    assert (chosen["type"], chosen["value"].items() >= MEGABYTE_FIELDS.items()) == ("above", True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, {"result": True}), ({"only_triggering_sim": True}, {"error": "only an automation"})],
)
async def test_tested_in_the_editor(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    hass_ws_client: WebSocketGenerator,
    options: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    """The editor would not show whether a condition passes, or show that of the SIM that triggers as failed."""
    portal.sims[OTHER_ICCID].open_session()
    entry = await set_up(OTHER_ICCID)
    tested = {
        "condition": f"{DOMAIN}.data_session_is_open",
        "target": {"device_id": device_id(hass, entry, OTHER_ICCID)},
        "options": options,
    }

    client = await hass_ws_client()
    await ask(client, "subscribe_condition", condition=tested)
    event = (await client.receive_json())["event"]

    assert event.keys() == expected.keys()
    assert event.get("result") == expected.get("result")
    assert expected.get("error", "") in event.get("error", "")


# --- Triggers


async def test_attached(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """No automation would run, or none would stop, or it would lack the variables, the logged cause or its context."""
    entry = await set_up(OTHER_ICCID)
    config = await trigger.async_validate_trigger_config(
        hass,
        cv.TRIGGER_SCHEMA(
            [
                {
                    "trigger": f"{DOMAIN}.status_changed",
                    "target": {"device_id": device_id(hass, entry, OTHER_ICCID)},
                    "id": "changed",
                }
            ]
        ),
    )
    ran: list[tuple[dict[str, Any], Context | None]] = []

    async def run(variables: dict[str, Any], context: Context | None = None) -> None:
        ran.append((variables["trigger"], context))

    detach = await trigger.async_initialize_triggers(hass, config, run, DOMAIN, "test", print)
    assert detach is not None
    portal.sims[OTHER_ICCID].set_status("TEST_READY")
    await poll(hass, freezer)
    ((variables, context),) = ran
    assert variables["id"] == "changed"
    assert variables["platform"] == f"{DOMAIN}.status_changed"
    assert variables["description"] == f"status of SIM {OTHER_ICCID}"
    assert (variables["from"], variables["to"]) == ("activated", "test_ready")
    assert context is not None

    detach()
    portal.sims[OTHER_ICCID].set_status("ACTIVATED")
    await poll(hass, freezer)
    assert len(ran) == 1


async def test_context(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """An action on the SIM that triggered would refuse, and Activity would not name the automation as its cause."""
    entry = await set_up(ICCID, OTHER_ICCID)
    started: list[Event] = async_capture_events(hass, "automation_triggered")
    called: list[Event] = []

    @callback
    def note(event: Event) -> None:
        called.append(event)

    hass.bus.async_listen("call_service", note)
    sims = {"device_id": [device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID)]}
    send = [
        {
            "action": f"{DOMAIN}.send_sms",
            "target": sims,
            "data": {"message": "{{ trigger.iccid_last_digits }}", "only_triggering_sim": True},
        },
    ]
    await automate(hass, {"trigger": f"{DOMAIN}.status_changed", "target": sims}, actions=send)

    for iccid in (ICCID, OTHER_ICCID):
        portal.sims[iccid].set_status("TEST_READY")
    await poll(hass, freezer)

    for iccid in (ICCID, OTHER_ICCID):
        (sent,) = portal.journal.find("PUT", f"/SendSMS/{iccid}/1")
        assert iccid[-4:] in str(sent.body)
    sends = [event for event in called if event.data["service"] == "send_sms"]
    assert {event.context.id for event in sends} == {event.context.id for event in started}
    assert all(event.context.parent_id for event in sends)


# --- Conditions


async def test_condition_follows_its_target(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A condition would not know the SIM that triggered, or its listeners would stay behind a removed automation."""
    entry = await set_up(ICCID, OTHER_ICCID)
    sims = {"device_id": [device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID)]}
    checked = {
        "condition": f"{DOMAIN}.status_is",
        "target": sims,
        "options": {"status": "deactivated", "behavior": "all", "only_triggering_sim": True},
    }
    before = registry_listeners(hass)
    ran = await automate(hass, {"trigger": f"{DOMAIN}.status_changed", "target": sims}, [checked])
    assert registry_listeners(hass) > before

    portal.sims[OTHER_ICCID].set_status("DEACTIVATED")
    await poll(hass, freezer)
    assert [run["iccid_last_digits"] for run in runs(ran)] == [OTHER_ICCID[-4:]]

    automation = hass.data["automation"].get_entity("automation.fleet")
    assert automation is not None
    await automation.async_remove()
    assert registry_listeners(hass) == before


def registry_listeners(hass: HomeAssistant) -> int:
    """Return how many listeners follow the registries of devices and areas, which automations themselves do not."""
    listeners = hass.bus.async_listeners()
    return sum(
        listeners.get(name, 0)
        for name in (EVENT_AREA_REGISTRY_UPDATED, EVENT_DEVICE_REGISTRY_UPDATED)
    )


def test_threshold() -> None:
    """A threshold in a unit of data would be taken for another number, or that of an entity for none."""
    number = ThresholdConfig.from_config(MEGABYTE_FIELDS)
    assert number is not None
    assert (number.number, number.unit, number.entity) == (400, "MB", None)
    entity = ThresholdConfig.from_config({"entity": "input_number.limit"})
    assert entity is not None
    assert (entity.number, entity.entity) == (None, "input_number.limit")
    assert ThresholdConfig.from_config(None) is None


# --- Targets


async def test_diagnostic_entities_are_found(hass: HomeAssistant, set_up: SetUp) -> None:
    """A label on the button Refresh alone would name no SIM."""
    entry = await set_up(OTHER_ICCID)
    target = {"device_id": device_id(hass, entry, OTHER_ICCID)}

    found = async_extract_referenced_entity_ids(
        hass, TargetSelection(target), primary_entities_only=False
    )

    assert any(name.startswith("button.") for name in found.indirectly_referenced)
    assert found.referenced_devices == {target["device_id"]}


@pytest.mark.parametrize("kind", ["entity", "device", "area", "floor", "label", "account"])
@pytest.mark.parametrize("of", ["SIMs", "account"])
async def test_excluded(hass: HomeAssistant, set_up: SetUp, of: str, kind: str) -> None:
    """A SIM that the editor of a later version lets a user exclude would get an SMS all the same."""
    entry = await set_up(ICCID, OTHER_ICCID)
    devices = {iccid: device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID)}
    account = device_id(hass, entry, entry.entry_id)
    target = {"device_id": list(devices.values()) if of == "SIMs" else [account]}
    excluded = (
        {"device_id": [account]} if kind == "account" else name_sim(hass, entry, OTHER_ICCID, kind)
    )
    sims = {sim.iccid: sim for sim in entry.runtime_data.sims.values()}

    named = Target.select(hass, {**target, CONF_EXCLUDE: excluded})

    assert named.has_sim(sims[ICCID]) is (kind != "account")
    assert not named.has_sim(sims[OTHER_ICCID])
    assert named.accounts == (set() if kind == "account" else {entry.entry_id})
    assert [device.id for device in named.sims.values()] == (
        [devices[ICCID]] if of == "SIMs" and kind != "account" else []
    )

"""A real automation whose triggers, conditions and actions a test chooses."""

from pathlib import Path
import re
from typing import Any

from homeassistant.core import Event, HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util.json import json_loads_object
from pytest_homeassistant_custom_component.common import async_capture_events

PAGE = Path(__file__).parents[2] / "docs" / "automations.md"
# What every trigger of a SIM hands over, and every trigger of an account.
OF_SIM = {"device_id", "sim_name", "iccid_last_digits", "pending_status"}
OF_ACCOUNT = {"device_id", "account"}
# The event that an automation fires when it runs.
RAN = "ran"
# As JSON, in which times are texts.
VARIABLES = """
{% set ns = namespace(items=[]) %}
{% for name, value in trigger.items() %}
  {% set is_plain = value is string or value is number or value is none %}
  {% set ns.items = ns.items + [[name, value if is_plain else value | string]] %}
{% endfor %}
{{ dict(ns.items) | to_json }}
"""


async def automate(
    hass: HomeAssistant,
    triggers: list[dict[str, Any]] | dict[str, Any],
    conditions: list[dict[str, Any]] | None = None,
    actions: list[dict[str, Any]] | None = None,
) -> list[Event]:
    """Set up an automation; return a list that receives an event with the trigger's variables for each run."""
    events: list[Event] = async_capture_events(hass, RAN)
    ran = {"event": RAN, "event_data": {"trigger": VARIABLES}}
    config = {
        "id": "fleet",
        "alias": "Fleet",
        "mode": "parallel",
        "max": 1000,
        "triggers": triggers,
        "conditions": conditions or [],
        "actions": [ran, *(actions or [])],
    }
    assert await async_setup_component(hass, "automation", {"automation": config})
    await hass.async_block_till_done()
    assert hass.states.is_state("automation.fleet", "on")
    return events


def table(heading: str) -> dict[str, list[str]]:
    """Return the rows of the first table of automations.md below a heading, by the name in their first cell."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n##")[0]
    rows = [line.split(" |") for line in section.splitlines() if line.startswith("| `")]
    return {first.removeprefix("| ").strip("`"): cells[:-1] for first, *cells in rows}


def words(text: str) -> list[str]:
    """Return the words of a cell that are set as code."""
    return re.findall(r"`(\w+)`", text)


def check_variables(kind: str, variables: set[str]) -> None:
    """Check that a trigger handed over what automations.md says, and nothing else."""
    always, _, sometimes = table("Triggers")[kind][-1].partition("; sometimes ")
    common = OF_ACCOUNT if "account" in variables else OF_SIM
    assert {*words(always), *common} <= variables <= {*words(always), *words(sometimes), *common}


def runs(events: list[Event]) -> list[dict[str, Any]]:
    """Return what the trigger gave each run, without what Home Assistant adds, and forget it."""
    added = {"alias", "description", "id", "idx", "platform"}
    found = []
    for event in events:
        trigger = _read(event.data["trigger"])
        found.append({key: value for key, value in trigger.items() if key not in added})
        kind = str(trigger["platform"])
        if kind.startswith("iot_portal."):
            check_variables(kind.removeprefix("iot_portal."), set(found[-1]))
    events.clear()
    return found


def _read(trigger: Any) -> dict[str, Any]:
    """Return the variables; Home Assistant itself reads some JSON of templates."""
    variables: dict[str, Any] = json_loads_object(trigger) if isinstance(trigger, str) else trigger
    return variables

"""A real automation whose triggers, conditions and actions a test chooses."""

from typing import Any

from homeassistant.core import Event, HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util.json import json_loads_object
from pytest_homeassistant_custom_component.common import async_capture_events

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


def runs(events: list[Event]) -> list[dict[str, Any]]:
    """Return what the trigger gave each run, without what Home Assistant adds, and forget it."""
    added = {"alias", "description", "id", "idx", "platform"}
    found = [
        {key: value for key, value in _read(event.data["trigger"]).items() if key not in added}
        for event in events
    ]
    events.clear()
    return found


def _read(trigger: Any) -> dict[str, Any]:
    """Return the variables; Home Assistant itself reads some JSON of templates."""
    variables: dict[str, Any] = json_loads_object(trigger) if isinstance(trigger, str) else trigger
    return variables

"""The reference pages have every entity, event and setting under the name that Home Assistant shows."""

from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.data_entry_flow import section
from homeassistant.helpers.entity import EntityDescription
import pytest

from custom_components.iot_portal import config_flow, event, sim_flow
from custom_components.iot_portal.binary_sensor import ACCOUNT_BINARY_SENSORS, BINARY_SENSORS
from custom_components.iot_portal.button import BUTTONS
from custom_components.iot_portal.const import CONF_INSTALLED_IN
from custom_components.iot_portal.models import BulkEditEventType, SimEventType, SmsEventType
from custom_components.iot_portal.notify import NOTIFIERS
from custom_components.iot_portal.sensor import ACCOUNT_SENSORS, SENSORS
from custom_components.iot_portal.switch import SWITCHES

REPOSITORY = Path(__file__).parent.parent
TEXTS: dict[str, Any] = json.loads(
    (REPOSITORY / "custom_components/iot_portal/translations/en.json").read_text()
)
ENTITIES = (REPOSITORY / "docs" / "entities.md").read_text()
SETTINGS = (REPOSITORY / "docs" / "settings.md").read_text()
type Descriptions = dict[str, tuple[EntityDescription, ...]]
OF_SIM: Descriptions = {
    "binary_sensor": BINARY_SENSORS,
    "button": BUTTONS,
    "event": event.SIM_EVENTS,
    "notify": NOTIFIERS,
    "sensor": SENSORS,
    "switch": SWITCHES,
}
OF_ACCOUNT: Descriptions = {
    "binary_sensor": ACCOUNT_BINARY_SENSORS,
    "event": event.ACCOUNT_EVENTS,
    "sensor": ACCOUNT_SENSORS,
}


def below(page: str, heading: str) -> str:
    """Return the text of a page below a heading of the second level."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """Return the parts of the first cells of all tables, which commas separate, without what is in brackets."""
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return [part for cell in cells for part in re.sub(r" \([^)]*\)", "", cell).split(", ")]


@pytest.mark.parametrize(
    ("heading", "descriptions"),
    [("Entities of a SIM", OF_SIM), ("Entities of an account", OF_ACCOUNT)],
)
def test_entities(heading: str, descriptions: Descriptions) -> None:
    """Every entity has a row, with a mark if it is disabled by default, or in large fleets."""
    expected = {
        TEXTS["entity"][platform][each.key]["name"]
        + ("" if each.entity_registry_enabled_default else "*")
        + ("†" if getattr(each, "left_out_in_large_fleets", False) else "")
        for platform, several in descriptions.items()
        for each in several
    }
    assert set(first_cells(below(ENTITIES, heading))) - {"entity"} == expected


def test_events() -> None:
    """Every type of event is described."""
    section = below(ENTITIES, "Events")
    for kind in (*SimEventType, *SmsEventType, *BulkEditEventType):
        assert f"`{kind}`" in section


def keys_of(schema: Any) -> Iterator[str]:
    """Yield the fields of a form, those in its sections too."""
    for key, value in schema.schema.items():
        if isinstance(value, section):
            yield from keys_of(value.schema)
        else:
            yield str(key)


@pytest.mark.parametrize(
    ("heading", "texts", "schemas"),
    [
        (
            "Add an account",
            TEXTS["config"]["step"]["user"],
            [config_flow.ACCOUNT_SCHEMA, config_flow.OTHER_SCHEMA],
        ),
        (
            "Options of an account",
            TEXTS["options"]["step"]["init"],
            [config_flow.OPTIONS_SCHEMA, config_flow.ADVANCED_SCHEMA, sim_flow.DETAILS_SCHEMA],
        ),
        (
            "Settings of a SIM",
            TEXTS["config_subentries"]["sim"]["step"]["reconfigure"],
            [sim_flow.SIM_SCHEMA, sim_flow.DETAILS_SCHEMA],
        ),
    ],
)
def test_settings(heading: str, texts: dict[str, Any], schemas: list[Any]) -> None:
    """Every field of a form has a row, under its label."""
    labels = dict(texts["data"])
    for part in texts.get("sections", {}).values():
        labels |= part["data"]
    keys = {key for schema in schemas for key in keys_of(schema)}
    if heading == "Settings of a SIM":
        keys.add(CONF_INSTALLED_IN)
    shown = {part.casefold() for part in first_cells(below(SETTINGS, heading))} - {"field"}
    assert shown == {labels[key].casefold() for key in keys}

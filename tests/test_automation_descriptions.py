"""Triggers, conditions and actions are described as Home Assistant's own checks and the code expect.

Hassfest is not part of the package homeassistant, so its rules for the three files are repeated here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv, selector
from homeassistant.helpers.condition import _CONDITIONS_DESCRIPTION_SCHEMA, Condition
from homeassistant.helpers.service import _SERVICES_SCHEMA
from homeassistant.helpers.trigger import Trigger
from homeassistant.helpers.trigger.descriptions import _TRIGGERS_DESCRIPTION_SCHEMA
from homeassistant.util.yaml import load_yaml_dict
import pytest
import voluptuous as vol

from custom_components.iot_portal.condition import CONDITIONS
from custom_components.iot_portal.data_threshold import UNITS
from custom_components.iot_portal.services import ACTIONS
from custom_components.iot_portal.trigger import TRIGGERS

INTEGRATION = Path(__file__).parent.parent / "custom_components" / "iot_portal"
# What Home Assistant itself checks when it loads the files.
LOADED_WITH = {
    "conditions": _CONDITIONS_DESCRIPTION_SCHEMA,
    "services": _SERVICES_SCHEMA,
    "triggers": _TRIGGERS_DESCRIPTION_SCHEMA,
}
FILES: dict[str, dict[str, Any]] = {
    kind: load_yaml_dict(str(INTEGRATION / f"{kind}.yaml")) for kind in LOADED_WITH
}
# Keys with a dot only hold what others repeat.
DESCRIBED = {
    kind: {name: each for name, each in file.items() if not name.startswith(".")}
    for kind, file in FILES.items()
}
CODE: dict[str, Mapping[str, type[Trigger | Condition]]] = {
    "conditions": CONDITIONS,
    "triggers": TRIGGERS,
}
AUTOMATED = [(kind, name) for kind, described in CODE.items() for name in described]
TARGET = {"device_id": ["a_device"]}
# An example of each option that has to be given.
REQUIRED: dict[str, Any] = {
    "for": {"hours": 24},
    "status": ["activated"],
    "threshold": {"type": "above", "value": {"number": 80, "unit_of_measurement": "%"}},
}


def given(value: object) -> object:
    """Return a value; raise if it is empty in the file."""
    if value is None:
        message = "is empty"
        raise vol.Invalid(message)
    return value


# Further keys, which Home Assistant ignores, are refused by hassfest.
FIELD = vol.Schema(
    {
        vol.Optional("default"): given,
        vol.Optional("example"): given,
        vol.Required("required"): bool,
        vol.Required("selector"): selector.validate_selector,
    }
)
DESCRIPTION = vol.Schema(
    {
        vol.Optional("target"): selector.TargetSelector.CONFIG_SCHEMA,
        vol.Optional("fields"): {str: FIELD},
    }
)


def fields_of(kind: str, name: str) -> dict[str, dict[str, Any]]:
    """Return the described fields of a trigger, a condition or an action."""
    fields: dict[str, dict[str, Any]] = DESCRIBED[kind][name].get("fields", {})
    return fields


def required_options(kind: str, name: str) -> dict[str, Any]:
    """Return an example of each option that has to be given."""
    return {field: REQUIRED[field] for field in fields_of(kind, name) if field in REQUIRED}


async def validated(
    hass: HomeAssistant, kind: str, name: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of a trigger or a condition as the code has checked them."""
    config = {"target": TARGET, "options": dict(options)}
    valid = await CODE[kind][name].async_validate_config(hass, config)
    checked: dict[str, Any] = valid["options"]
    return checked


def offered(field: dict[str, Any]) -> Iterator[Any]:
    """Yield what a dialog offers for a field."""
    match field["selector"]:
        case {"select": {"multiple": True, "options": options}}:
            yield from ([option] for option in options)
            yield options
        case {"select": {"options": options}}:
            yield from options
        case {"automation_behavior": {"mode": "condition"}}:
            yield from ("any", "all")
        case {"boolean": _}:
            yield from (False, True)
        case {"numeric_threshold": {"unit_of_measurement": units}}:
            for unit in units:
                yield {"type": "above", "value": {"number": 80, "unit_of_measurement": unit}}
    if "default" in field:
        yield field["default"]


@pytest.mark.parametrize("kind", LOADED_WITH)
def test_schema(kind: str) -> None:
    """Home Assistant and hassfest accept each file, with every selector in it."""
    LOADED_WITH[kind](FILES[kind])
    for name, description in DESCRIBED[kind].items():
        assert cv.slug(name) == name
        DESCRIPTION(description)


def test_names() -> None:
    """Every trigger, condition and action of the code is described, and no other."""
    assert DESCRIBED["triggers"].keys() == TRIGGERS.keys()
    assert DESCRIBED["conditions"].keys() == CONDITIONS.keys()
    assert DESCRIBED["services"].keys() == ACTIONS.keys()


@pytest.mark.parametrize(("kind", "name"), AUTOMATED)
async def test_options(hass: HomeAssistant, kind: str, name: str) -> None:
    """Triggers and conditions have the options of their descriptions, with the same defaults."""
    fields = fields_of(kind, name)
    required = required_options(kind, name)

    options = await validated(hass, kind, name, required)

    assert options.keys() == fields.keys()
    for field, description in fields.items():
        assert description["required"] is (field in required or "default" in description)
        if field not in required and "default" in description:
            assert options[field] == description["default"]
    with pytest.raises(vol.Invalid):
        await validated(hass, kind, name, {**required, "another": True})
    for field in required:
        with pytest.raises(vol.Invalid):
            await validated(
                hass, kind, name, {key: each for key, each in required.items() if key != field}
            )


@pytest.mark.parametrize(("kind", "name"), AUTOMATED)
async def test_targets(hass: HomeAssistant, kind: str, name: str) -> None:
    """Triggers and conditions offer a target and require one."""
    assert DESCRIBED[kind][name]["target"] == {"entity": [{"integration": "iot_portal"}]}
    with pytest.raises(vol.Invalid):
        await CODE[kind][name].async_validate_config(
            hass, {"options": required_options(kind, name)}
        )


@pytest.mark.parametrize(("kind", "name"), AUTOMATED)
async def test_offers(hass: HomeAssistant, kind: str, name: str) -> None:
    """Triggers and conditions take everything that their dialogs offer."""
    required = required_options(kind, name)
    for field, description in fields_of(kind, name).items():
        check = vol.Schema(selector.selector(description["selector"]))
        for value in offered(description):
            check(value)
            assert field in await validated(hass, kind, name, {**required, field: value})


@pytest.mark.parametrize("name", ["bulk_edit_ended", "sms_ended", "status_change_ended"])
async def test_outcomes(hass: HomeAssistant, name: str) -> None:
    """Triggers with outcomes offer all of them, and fire for all by default."""
    outcome = fields_of("triggers", name)["outcome"]["selector"]["select"]

    options = await validated(hass, "triggers", name, {})

    assert sorted(options["outcome"]) == sorted(outcome["options"])
    with pytest.raises(vol.Invalid):
        await validated(hass, "triggers", name, {"outcome": ["another"]})


@pytest.mark.parametrize(
    ("kind", "name", "mode"),
    [("triggers", "data_used_crossed_threshold", "crossed"), ("conditions", "data_used_is", "is")],
)
def test_threshold(kind: str, name: str, mode: str) -> None:
    """Dialogs offer a threshold in every unit that the code takes."""
    threshold = fields_of(kind, name)["threshold"]["selector"]["numeric_threshold"]
    assert threshold["mode"] == mode
    assert threshold["unit_of_measurement"] == UNITS


@pytest.mark.parametrize("name", ACTIONS)
def test_actions(name: str) -> None:
    """Actions have the fields of their descriptions, and take a target if they offer one."""
    described = DESCRIBED["services"][name]
    _, schema, _, _ = ACTIONS[name]
    keys = {str(key): key for key in schema.schema}
    target = set(cv.ENTITY_SERVICE_FIELDS) & keys.keys()

    assert described["fields"].keys() == keys.keys() - target
    assert target == (set(cv.ENTITY_SERVICE_FIELDS) if "target" in described else set())
    for field, description in described["fields"].items():
        # A field without a default is empty in the dialog; one that may be left out has a checkbox.
        has_default = keys[field].default is not vol.UNDEFINED
        assert has_default is ("default" in description)
        assert description["required"] is (isinstance(keys[field], vol.Required) or has_default)
        if "default" in description:
            assert keys[field].default() == description["default"]
        check = vol.Schema(selector.selector(description["selector"]))
        for value in offered(description):
            check(value)

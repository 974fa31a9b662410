"""The tables of automations.md have every trigger, condition and action, with its options and fields."""

import json
from math import ceil
from pathlib import Path
import re
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    label_registry as lr,
)
from homeassistant.setup import async_setup_component
import pytest
import yaml

from custom_components.iot_portal.api.pacing import DEFAULT_RATE, SPACING_MARGIN
from custom_components.iot_portal.condition import CONDITIONS, SimCondition
from custom_components.iot_portal.const import CONF_ONLY_TRIGGERING_SIM
from custom_components.iot_portal.services import ACTIONS
from custom_components.iot_portal.trigger import TRIGGERS, EventDescription, TargetTrigger
from mock_portal import MockPortal

from .automations import PAGE, table, words
from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import device_id, poll

REPOSITORY = Path(__file__).parents[2]
TEXTS = REPOSITORY / "custom_components" / "iot_portal" / "translations" / "en.json"


def test_triggers() -> None:
    """Every trigger is there with its options and their outcomes."""
    rows = table("Triggers")
    assert rows.keys() == TRIGGERS.keys()
    for name, trigger in TRIGGERS.items():
        assert issubclass(trigger, TargetTrigger)
        options, _, values = rows[name][1].partition(":")
        assert set(words(options)) == {str(option) for option in trigger.options}
        description = getattr(trigger, "description", None)
        if isinstance(description, EventDescription):
            assert words(values) == description.outcomes


def test_conditions() -> None:
    """Every condition is there with the options that it has beside those of all."""
    rows = table("Conditions")
    assert rows.keys() == CONDITIONS.keys()
    for name, condition in CONDITIONS.items():
        assert issubclass(condition, SimCondition)
        options = rows[name][1].partition(":")[0]
        assert set(words(options)) == {str(option) for option in condition.options}


def test_actions() -> None:
    """Every action is there with its fields, and every field with its meaning."""
    rows = table("Actions")
    assert rows.keys() == ACTIONS.keys()
    cells = re.findall(r"^\| (`[^|]+) \|", _section("### Fields"), re.MULTILINE)
    explained = [field for cell in cells for field in words(cell)]
    target = set(map(str, cv.ENTITY_SERVICE_FIELDS))
    fields = {}
    for name, (_, schema, *_) in ACTIONS.items():
        fields[name] = {str(key) for key in schema.schema} - target
        assert set(words(rows[name][0])) == fields[name] - {CONF_ONLY_TRIGGERING_SIM}
    assert sorted(explained) == sorted(set().union(*fields.values()))


def _section(heading: str) -> str:
    """Return the text of the page below a heading."""
    return PAGE.read_text().partition(f"\n{heading}\n")[2].partition("\n##")[0]


def test_names() -> None:
    """The page has every trigger and condition under the name that the editor shows."""
    texts = json.loads(TEXTS.read_text())
    section = _section("## In the editor")
    for kind in ("triggers", "conditions"):
        for item in texts[kind].values():
            assert f"*{item['name']}*" in section


@pytest.mark.parametrize(
    ("action", "data", "answer"),
    [
        ("send_sms", {"message": "Hello"}, {"sms_id"}),
        ("request_status_change", {"status": "deactivated"}, {"status"}),
        ("edit_device", {"changes": {"simNotes": "x"}}, {"answer"}),
        ("get_sim", {}, {"status", "usage", "session", "device"}),
        ("list_sms", {}, {"sms_ids", "is_complete"}),
    ],
)
async def test_answers(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    action: str,
    data: dict[str, Any],
    answer: set[str],
) -> None:
    """An action answers for each SIM what its row says, at the requests that the page counts."""
    entry = await set_up(ICCID, OTHER_ICCID)
    sims = [device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID)]
    portal.journal.clear()

    response: Any = await hass.services.async_call(
        "iot_portal", action, {"device_id": sims, **data}, blocking=True, return_response=True
    )

    assert [sim.keys() for sim in response["sims"]] == [{"device_id", "name", "iccid"} | answer] * 2
    assert set(words(table("Actions")[action][1])) == answer
    requests, seconds = next(cells for names, cells in _costs().items() if f"`{action}`" in names)
    # What is read after a write is not a part of the action.
    sent = [each for each in portal.journal if each.method == "PUT"] or list(portal.journal)
    assert int(requests) == 60 * len(sent) / len(sims)
    assert int(seconds) == ceil(int(requests) * SPACING_MARGIN / DEFAULT_RATE)


def _costs() -> dict[str, list[str]]:
    """Return the rows of the table of costs."""
    rows = re.findall(r"^\| (`.*) \| (\d+) \| (\d+) \|$", PAGE.read_text(), re.MULTILINE)
    return {names: [requests, seconds] for names, requests, seconds in rows}


async def test_example(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The example sends an SMS to the SIM with the label that has used 80 %, and to no other."""
    (code,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    entry = await set_up(ICCID, OTHER_ICCID)
    label = lr.async_get(hass).async_create("Cameras").label_id
    for iccid in (ICCID, OTHER_ICCID):
        device = device_id(hass, entry, iccid)
        dr.async_get(hass).async_update_device(device, labels={label})
    config = {"alias": "Example", **yaml.safe_load(code)}
    assert await async_setup_component(hass, "automation", {"automation": config})

    portal.sims[OTHER_ICCID].data_usage = round(0.81 * 500 * 1024**2)
    await poll(hass, freezer)

    (sent,) = portal.journal.find(route="SendSMS")
    assert sent.iccid == OTHER_ICCID
    assert sent.body == {"messageText": "81.0 % used"}

"""What the code names has words, and no words are left over."""

import json
from pathlib import Path
import re
from string import Formatter
from typing import Any

from hass_frontend import where
import pytest
import yaml

from custom_components.iot_portal.api import SimStatus
from custom_components.iot_portal.binary_sensor import BINARY_SENSORS
from custom_components.iot_portal.button import BUTTONS
from custom_components.iot_portal.entity import IotPortalSimEntityDescription
from custom_components.iot_portal.errors import _TRANSLATION_KEYS
from custom_components.iot_portal.notify import NOTIFIERS
from custom_components.iot_portal.sensor import SENSORS
from custom_components.iot_portal.switch import SWITCHES

INTEGRATION = Path(__file__).parent.parent / "custom_components" / "iot_portal"
TEXTS: dict[str, Any] = json.loads((INTEGRATION / "translations" / "en.json").read_text())
ICONS: dict[str, Any] = json.loads((INTEGRATION / "icons.json").read_text())
SERVICES: dict[str, Any] = yaml.safe_load((INTEGRATION / "services.yaml").read_text())
PLATFORMS: dict[str, tuple[IotPortalSimEntityDescription[Any], ...]] = {
    "binary_sensor": BINARY_SENSORS,
    "button": BUTTONS,
    "notify": NOTIFIERS,
    "sensor": SENSORS,
    "switch": SWITCHES,
}
SOURCE = "\n".join(path.read_text() for path in sorted(INTEGRATION.glob("*.py")))


def test_entities() -> None:
    """Every entity has a name and an icon, and every name and icon an entity; states have words."""
    keys = {
        platform: {description.key for description in descriptions}
        for platform, descriptions in PLATFORMS.items()
    }

    assert {platform: set(texts) for platform, texts in TEXTS["entity"].items()} == keys
    assert {platform: set(icons) for platform, icons in ICONS["entity"].items()} == keys
    assert TEXTS["entity"]["sensor"]["status"]["state"].keys() == {
        status.lower() for status in SimStatus
    }
    states = ICONS["entity"]["sensor"]["status"]["state"]
    assert states.keys() <= TEXTS["entity"]["sensor"]["status"]["state"].keys()


def test_exceptions() -> None:
    """Every error that is raised has words, and all words belong to one."""
    raised = {key for _, key in _TRANSLATION_KEYS}
    raised |= set(re.findall(r'(?:key|translation_key|otherwise)(?:: str)? ?= ?"(\w+)"', SOURCE))
    raised -= {item.key for descriptions in PLATFORMS.values() for item in descriptions}
    raised -= TEXTS["selector"].keys()

    assert TEXTS["exceptions"].keys() == raised


def test_error_placeholders() -> None:
    """Words about an error of the portal use what every such error brings."""
    shared = [key for _, key in _TRANSLATION_KEYS] + ["portal_error"]
    for key in shared:
        fields = {name for _, name, _, _ in Formatter().parse(TEXTS["exceptions"][key]["message"])}
        assert fields - {None} <= {"subject", "error"}


def test_services() -> None:
    """Every action and field has a name, a description and an icon."""
    assert TEXTS["services"].keys() == SERVICES.keys() == ICONS["services"].keys()
    for name, service in SERVICES.items():
        texts = TEXTS["services"][name]
        assert texts["name"]
        assert texts["description"]
        assert texts["fields"].keys() == service["fields"].keys()
        for field in texts["fields"].values():
            assert field.keys() == {"name", "description"}


def test_selectors() -> None:
    """Every option that can be chosen has words."""
    options = SERVICES["request_status_change"]["fields"]["status"]["selector"]["select"]["options"]

    assert TEXTS["selector"]["status"]["options"].keys() == set(options)


@pytest.mark.parametrize(
    ("flow", "steps"),
    [("config", ["user", "reauth_confirm", "reconfigure"]), ("options", ["init"])],
)
def test_flow_steps(flow: str, steps: list[str]) -> None:
    """Every field of a form has a name and a description."""
    assert list(TEXTS[flow]["step"]) == steps
    for step in TEXTS[flow]["step"].values():
        assert step["data"].keys() == step["data_description"].keys()
        for section in step.get("sections", {}).values():
            assert section["data"].keys() == section["data_description"].keys()


def test_flow_errors() -> None:
    """Every error and every end of a dialog has words, and all words belong to one."""
    keys = set(re.findall(r'"([a-z]+(?:_[a-z]+)+)"', SOURCE)) | {"unknown"}
    sims = TEXTS["config_subentries"]["sim"]
    for texts in (TEXTS["config"]["error"], sims["error"], {"entry_not_loaded": None}):
        assert texts.keys() <= keys
    assert TEXTS["config"]["abort"].keys() == {"already_configured"}


def test_icons_exist() -> None:
    """Every icon is one that Home Assistant's frontend can draw."""
    drawn = {
        icon["name"]
        for icon in json.loads((Path(where()) / "static" / "mdi" / "iconList.json").read_text())
    }
    used = set(re.findall(r'"mdi:([a-z-]+)"', (INTEGRATION / "icons.json").read_text()))

    assert used <= drawn

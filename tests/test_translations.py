"""Every text that the code uses exists in every language, and no text is unused."""

import ast
from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import re
from string import Formatter
from typing import Any

from hass_frontend import where
import pytest
import yaml

from custom_components.iot_portal import config_flow, event, sim_flow
from custom_components.iot_portal.api import Reason, SimStatus, SmsStatus
from custom_components.iot_portal.api.pacing import PauseReason
from custom_components.iot_portal.binary_sensor import ACCOUNT_BINARY_SENSORS, BINARY_SENSORS
from custom_components.iot_portal.button import BUTTONS
from custom_components.iot_portal.const import CONF_INSTALLED_IN, DATA_UNITS, PLAN_UNITS
from custom_components.iot_portal.errors import _TRANSLATION_KEYS
from custom_components.iot_portal.issues import Issue
from custom_components.iot_portal.models import BulkEditEventType, SimEventType, SmsEventType
from custom_components.iot_portal.notify import NOTIFIERS
from custom_components.iot_portal.sensor import ACCOUNT_SENSORS, SENSORS
from custom_components.iot_portal.sim_list import FileProblem, Problem
from custom_components.iot_portal.switch import SWITCHES

INTEGRATION = Path(__file__).parent.parent / "custom_components" / "iot_portal"
TRANSLATIONS = INTEGRATION / "translations"
LANGUAGES = ("cs", "da", "de", "en", "es", "fr", "it", "nb", "nl", "pl", "pt-BR", "sv")
TEXTS: dict[str, Any] = json.loads((TRANSLATIONS / "en.json").read_text())
ICONS: dict[str, Any] = json.loads((INTEGRATION / "icons.json").read_text())
# Keys with a dot only hold what others repeat.
DESCRIBED: dict[str, dict[str, Any]] = {
    kind: {
        name: each
        for name, each in yaml.safe_load((INTEGRATION / f"{kind}.yaml").read_text()).items()
        if not name.startswith(".")
    }
    for kind in ("conditions", "services", "triggers")
}
ENTITIES: dict[str, set[str]] = {
    platform: {description.key for description in descriptions}
    for platform, descriptions in {
        "binary_sensor": (*BINARY_SENSORS, *ACCOUNT_BINARY_SENSORS),
        "button": BUTTONS,
        "event": (*event.SIM_EVENTS, *event.ACCOUNT_EVENTS),
        "notify": NOTIFIERS,
        "sensor": (*SENSORS, *ACCOUNT_SENSORS),
        "switch": SWITCHES,
    }.items()
}
STATES: dict[tuple[str, str], set[str]] = {
    ("binary_sensor", "change_pending"): {"on", "off"},
    ("binary_sensor", "projected_overage"): {"on", "off"},
    ("sensor", "status"): {status.lower() for status in SimStatus},
    ("sensor", "last_sent_sms"): set(SmsStatus),
}
SOURCES = {path.stem: path.read_text() for path in sorted(INTEGRATION.glob("*.py"))}
SOURCE = "\n".join(SOURCES.values())
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}
# The largest share of texts that may equal English, such as Status, SMS and IMEI.
SAME_AS_ENGLISH = 0.15


def flat(texts: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with its dotted path."""
    for key, value in texts.items():
        if isinstance(value, str):
            yield f"{path}{key}", value
        else:
            yield from flat(value, f"{path}{key}.")


def placeholders(*texts: str) -> set[str]:
    """Return the names of the placeholders in texts."""
    return {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}


def calls(function: str, *modules: str) -> Iterator[ast.Call]:
    """Yield the calls of a function or method."""
    for module in modules or TREES:
        for node in ast.walk(TREES[module]):
            if isinstance(node, ast.Call):
                called = node.func
                name = (
                    called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                )
                if name == function:
                    yield node


def names(call: ast.Call) -> set[str]:
    """Return the names of a call's keyword arguments."""
    return {keyword.arg for keyword in call.keywords if keyword.arg}


def keys(*nodes: ast.AST) -> set[str]:
    """Return the literal keys of the dicts in syntax trees."""
    return {
        str(key.value)
        for node in nodes
        for item in ast.walk(node)
        if isinstance(item, ast.Dict)
        for key in item.keys
        if isinstance(key, ast.Constant)
    }


def returned(module: str, function: str) -> set[str]:
    """Return the literal strings that a function returns, alone or at the end of a tuple."""
    (found,) = [
        node
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    values = [node.value for node in ast.walk(found) if isinstance(node, ast.Return)]
    last = [value.elts[-1] if isinstance(value, ast.Tuple) else value for value in values]
    return {str(value.value) for value in last if isinstance(value, ast.Constant) and value.value}


def test_all_languages() -> None:
    """Every language has a file, and there are no other files."""
    assert {path.stem for path in TRANSLATIONS.iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_language(language: str) -> None:
    """Every language has the same keys and placeholders as English, and its own texts."""
    english = dict(flat(TEXTS))
    texts = dict(flat(json.loads((TRANSLATIONS / f"{language}.json").read_text())))

    assert texts.keys() == english.keys()
    for path, text in texts.items():
        assert text == text.strip() != "", path
        assert placeholders(text) == placeholders(english[path]), path
        assert not re.search(r"<\w|https?://|'\{|\}'", text), path
    same = [path for path, text in texts.items() if text == english[path] and len(text) > 3]
    assert language == "en" or len(same) < SAME_AS_ENGLISH * len(english), same


def test_entities() -> None:
    """Every entity has a name and an icon, and no name or icon is unused."""
    for told in (TEXTS["entity"], ICONS["entity"]):
        assert {platform: set(entities) for platform, entities in told.items()} == ENTITIES
    assert all(text["name"] for texts in TEXTS["entity"].values() for text in texts.values())


def test_states() -> None:
    """Every state of an enumeration has a text, and every icon of a state has a state."""
    for platform, entities in TEXTS["entity"].items():
        for key, texts in entities.items():
            assert set(texts.get("state", ())) == STATES.get((platform, key), set())
            states = set(texts.get("state", ())) or {"on", "off"}
            assert set(ICONS["entity"][platform][key].get("state", ())) <= states


def test_attributes() -> None:
    """Every attribute and type of an event has a text, and no text is unused."""
    told = TEXTS["entity"]["event"]
    kinds = {"sim_event": SimEventType, "sms_event": SmsEventType, "bulk_edit": BulkEditEventType}
    given = {
        "sim_event": keys(*calls("SimEvent", "models", "status_requests"))
        | set().union(*(names(call) for call in calls("_publish", "status_requests"))),
        "sms_event": keys(*calls("SimEvent", "sms")),
        "bulk_edit": keys(*calls("SimEvent", "bulk_edit"))
        | set().union(*(names(call) for call in calls("_end", "bulk_edit"))),
    }

    for key, texts in told.items():
        attributes = texts["state_attributes"]
        assert attributes["event_type"]["state"].keys() == set(kinds[key])
        assert attributes.keys() - {"event_type"} == given[key]
    (requested,) = [
        node
        for node in ast.walk(TREES["binary_sensor"])
        if isinstance(node, ast.FunctionDef) and node.name == "_requested_status"
    ]
    pending = TEXTS["entity"]["binary_sensor"]["change_pending"]["state_attributes"]
    assert pending.keys() == keys(requested)
    (pause,) = [
        node
        for node in ast.walk(TREES["binary_sensor"])
        if isinstance(node, ast.FunctionDef) and node.name == "_pause"
    ]
    portal = TEXTS["entity"]["binary_sensor"]["portal"]["state_attributes"]
    assert portal.keys() == keys(pause)
    assert portal["pause_reason"]["state"].keys() == set(PauseReason)
    (received,) = [
        node
        for node in ast.walk(TREES["sensor"])
        if isinstance(node, ast.FunctionDef) and node.name == "_received_attributes"
    ]
    last = TEXTS["entity"]["sensor"]["last_received_sms"]["state_attributes"]
    assert last.keys() == keys(received)
    (cycle,) = [
        node
        for node in ast.walk(TREES["sensor"])
        if isinstance(node, ast.FunctionDef) and node.name == "_cycle_attributes"
    ]
    used = TEXTS["entity"]["sensor"]["allowance_used"]["state_attributes"]
    assert used.keys() == keys(cycle)


@pytest.mark.parametrize("language", LANGUAGES)
def test_statuses(language: str) -> None:
    """A status reads the same in attributes as in the entity Status."""
    entities = json.loads((TRANSLATIONS / f"{language}.json").read_text())["entity"]
    statuses = entities["sensor"]["status"]["state"]
    of_sim = entities["event"]["sim_event"]["state_attributes"]
    pending = entities["binary_sensor"]["change_pending"]["state_attributes"]

    for attribute in ("from", "to", "requested_status", "replaced_by", "still"):
        assert of_sim[attribute]["state"] == statuses
    assert pending["requested_status"]["state"] == statuses


def test_exceptions() -> None:
    """Every error has a text with its placeholders, and no text is unused."""
    shared = {"subject", "error", "until"}
    brings: dict[str, set[str]] = {key: shared for _, key in _TRANSLATION_KEYS}
    brings["portal_error"] = shared
    for call in calls("translated_errors"):
        for keyword in call.keywords:
            if keyword.arg == "otherwise" and isinstance(keyword.value, ast.Constant):
                brings[str(keyword.value.value)] = shared | names(call) - {"otherwise"}
    for call in calls("invalid_input"):
        (key,) = [keyword.value for keyword in call.keywords if keyword.arg == "key"]
        assert isinstance(key, ast.Constant)
        brings[str(key.value)] = names(call) - {"key"}
    brings |= {f"reason_{reason.name.lower()}": placeholders(reason) for reason in Reason}
    brings["reason_quoted"] = {"text"}
    # Raised by the store itself, which has no error of a request.
    brings["cannot_be_saved"] = {"account"}
    for call in calls("_try_each"):
        (key,) = [keyword.value for keyword in call.keywords if keyword.arg == "translation_key"]
        assert isinstance(key, ast.Constant)
        brings[str(key.value)] = {"failed", "total", "errors"}

    assert TEXTS["exceptions"].keys() == brings.keys()
    for key, texts in TEXTS["exceptions"].items():
        assert placeholders(texts["message"]) <= brings[key], key


def test_reasons() -> None:
    """The reasons of the client read the same in the log as in an English error."""
    for reason in Reason:
        assert TEXTS["exceptions"][f"reason_{reason.name.lower()}"]["message"] == reason


def test_issues() -> None:
    """Every repair issue has a text with its placeholders, and no text is unused."""
    assert TEXTS["issues"].keys() == set(Issue)
    for call in calls("async_raise_issue"):
        issue = call.args[1]
        assert isinstance(issue, ast.Attribute)
        texts = TEXTS["issues"][Issue[issue.attr]]
        assert placeholders(*(text for _, text in flat(texts))) == keys(call.args[-1])


def test_system_health() -> None:
    """Every line of the system health page has a text."""
    assert TEXTS["system_health"]["info"].keys() == keys(TREES["system_health"])


@pytest.mark.parametrize("kind", DESCRIBED)
def test_descriptions(kind: str) -> None:
    """Every trigger, condition and action has a name, a description and an icon; a field has no icon."""
    assert TEXTS[kind].keys() == DESCRIBED[kind].keys() == ICONS[kind].keys()
    for name, described in DESCRIBED[kind].items():
        texts = TEXTS[kind][name]
        assert texts.keys() - {"fields"} == {"name", "description"}
        assert texts.get("fields", {}).keys() == described.get("fields", {}).keys()
        for field in texts.get("fields", {}).values():
            assert field.keys() == {"name", "description"}


def test_selectors() -> None:
    """Every option of a selector has a text, and no text is unused."""
    options: dict[str, set[str]] = {
        "data_unit": set(DATA_UNITS),
        "plan_unit": set(PLAN_UNITS),
        "environment": {*config_flow.ENVIRONMENTS, config_flow.ENVIRONMENT_CUSTOM},
    }
    for described in DESCRIBED.values():
        for each in described.values():
            for field in each.get("fields", {}).values():
                if (select := field["selector"].get("select")) is not None:
                    options.setdefault(select["translation_key"], set()).update(select["options"])

    assert {key: set(texts["options"]) for key, texts in TEXTS["selector"].items()} == options


@pytest.mark.parametrize("language", LANGUAGES)
def test_words(language: str) -> None:
    """A status is named as the entity names it, and a text that tells to use a field has its name."""
    texts = json.loads((TRANSLATIONS / f"{language}.json").read_text())
    statuses = texts["entity"]["sensor"]["status"]["state"]
    options = texts["options"]["step"]["init"]["data"]
    services = texts["services"]

    assert texts["selector"]["status"]["options"].items() <= statuses.items()
    assert options["watch_sms"] in texts["triggers"]["sms_received"]["description"]
    only = {
        each["fields"]["only_triggering_sim"]["name"]
        for described in (services, texts["conditions"])
        for each in described.values()
        if "only_triggering_sim" in each["fields"]
    }
    assert len(only) == 1
    assert only.pop() in texts["exceptions"]["no_triggering_sim"]["message"]
    settings = services["set_sim_settings"]["fields"]
    named = {key: field["name"] for key, field in settings.items()}
    dialog = texts["config_subentries"]["sim"]["step"]["reconfigure"]["data"]
    assert texts["selector"]["sim_setting"]["options"].items() <= named.items()
    assert texts["selector"]["sim_setting"]["options"].items() <= dialog.items()
    for key in ("cycle_days", "cycle_start"):
        assert options[key] == dialog[key]
        assert dialog[key] in texts["exceptions"]["cycle_incomplete"]["message"]
    terminal = services["request_status_change"]["fields"]["confirm_terminal"]["name"]
    assert terminal in texts["exceptions"]["status_terminal"]["message"]


def test_common() -> None:
    """The dashboard's texts come from here, and no text is unused."""
    used = re.findall(r"\bcommon\.(\w+)", SOURCES["dashboard"])
    used += re.findall(r"\btexts\.(\w+)", SOURCES["dashboard_list"])
    used += re.findall(r"'(\w+)\.?'", SOURCES["dashboard_list"])
    used += re.findall(r'\btext\("(\w+)"', (INTEGRATION / "frontend" / "dashboard.js").read_text())
    assert TEXTS["common"].keys() - set(used) == set()


def fields_of(schema: Any) -> set[str]:
    """Return the names of the fields of a form."""
    return {str(key) for key in schema.schema}


def test_forms() -> None:
    """Every field of a form has a name and a description, and no text is unused."""
    account = fields_of(config_flow.ACCOUNT_SCHEMA)
    other = fields_of(config_flow.OTHER_SCHEMA)
    sims = TEXTS["config_subentries"]["sim"]["step"]
    expected = (
        (TEXTS["config"]["step"]["user"], account),
        (TEXTS["config"]["step"]["reconfigure"], account),
        (TEXTS["config"]["step"]["user"]["sections"]["other"], other),
        (TEXTS["config"]["step"]["reconfigure"]["sections"]["other"], other),
        (TEXTS["config"]["step"]["reauth_confirm"], {"secret_key", "api_token"}),
        (
            TEXTS["options"]["step"]["init"],
            fields_of(config_flow.OPTIONS_SCHEMA) | fields_of(sim_flow.DETAILS_SCHEMA),
        ),
        (
            TEXTS["options"]["step"]["init"]["sections"]["advanced"],
            fields_of(config_flow.ADVANCED_SCHEMA),
        ),
        (
            sims["reconfigure"],
            fields_of(sim_flow.SIM_SCHEMA)
            | fields_of(sim_flow.DETAILS_SCHEMA)
            | {CONF_INSTALLED_IN},
        ),
        *((sims[step], fields_of(schema)) for step, schema in sim_flow.SIMS_SCHEMAS.items()),
    )

    for texts, fields in expected:
        assert texts["data"].keys() == texts["data_description"].keys() == fields
    assert sims["summary"]["sections"].keys() == set(Problem)
    for key, section in sims["summary"]["sections"].items():
        assert section["name"]
        assert placeholders(section["description"]) == {key}


def test_flow_steps() -> None:
    """Every step of a dialog and every progress has a text."""
    account, options = SOURCES["config_flow"].split("class IotPortalOptionsFlow")
    sims = SOURCES["sim_flow"]
    steps = TEXTS["config_subentries"]["sim"]["step"]

    # The first step of a reauthentication and the last step of a check show no form.
    assert TEXTS["config"]["step"].keys() | {"reauth"} == set(
        re.findall(r"def async_step_(\w+)", account)
    )
    assert TEXTS["options"]["step"].keys() == set(re.findall(r"def async_step_(\w+)", options))
    assert steps.keys() | {"checked"} == set(re.findall(r"def async_step_(\w+)", sims))
    assert all(step["title"] for step in steps.values())
    assert TEXTS["config_subentries"]["sim"]["progress"].keys() == set(
        re.findall(r'progress_action="(\w+)"', sims)
    )


def test_flow_errors() -> None:
    """Every error and abort reason of a dialog has a text, and no text is unused."""
    shared = returned("errors", "form_error_key")
    sims = TEXTS["config_subentries"]["sim"]
    assigned = set(re.findall(r'self\._errors\[[^\]]+\] = "(\w+)"', SOURCES["sim_flow"]))
    assigned |= set(FileProblem)
    source = SOURCES["config_flow"] + SOURCES["sim_flow"]

    account = returned("config_flow", "_read_account") | returned("config_flow", "_address_error")
    assert TEXTS["config"]["error"].keys() == shared | account
    entered = set(re.findall(r'[^_]errors\["base"\] = "(\w+)"', SOURCES["sim_flow"]))
    fields = set(re.findall(r'[^_]errors\[CONF_\w+\] = "(\w+)"', SOURCES["sim_flow"]))
    assert sims["error"].keys() == shared | assigned | entered | fields
    assert TEXTS["options"]["error"].keys() == entered
    reasons = set(re.findall(r'reason="(\w+)"', source))
    assert TEXTS["config"]["abort"].keys() | sims["abort"].keys() == reasons
    assert sims["create_entry"].keys() == set(re.findall(r'description="(\w+)"', source))


def test_flow_gaps() -> None:
    """Texts of a dialog only have placeholders that the dialog provides."""
    filled = keys(
        *(
            keyword.value
            for call in calls("async_show_form", "config_flow", "sim_flow")
            for keyword in call.keywords
            if keyword.arg == "description_placeholders"
        )
    )
    # Failures and aborts provide their own, and Home Assistant adds the account at a reauthentication.
    filled |= {"iccid", "reason", "until", "count", "name"} | set(Problem)

    for part in ("config", "config_subentries", "options"):
        assert placeholders(*(text for _, text in flat(TEXTS[part]))) <= filled


def test_icon_keys() -> None:
    """An icon is where Home Assistant looks for it: the default one, and others by state."""
    for entities in ICONS["entity"].values():
        for icons in entities.values():
            assert "default" in icons
            assert icons.keys() <= {"default", "state"}
            # Home Assistant's own checks refuse an icon that equals the default one.
            assert icons["default"] not in icons.get("state", {}).values()
    for kind in DESCRIBED:
        assert all(icons.keys() == {kind.removesuffix("s")} for icons in ICONS[kind].values())


def test_icons_exist() -> None:
    """Every icon exists in Home Assistant's frontend."""
    drawn = {
        icon["name"]
        for icon in json.loads((Path(where()) / "static" / "mdi" / "iconList.json").read_text())
    }
    texts = (INTEGRATION / "icons.json").read_text() + SOURCE
    used = set(re.findall(r'"mdi:([^"]+)"', texts))

    assert used <= drawn

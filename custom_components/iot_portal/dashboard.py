"""The dashboard, generated from the current SIMs whenever it is opened."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import json
from typing import Any, Final

from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components import websocket_api
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http.server import StaticPathConfig
from homeassistant.components.script import scripts_with_blueprint
from homeassistant.components.script.helpers import async_get_blueprints
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.decorators import async_response, websocket_command
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.helpers.translation import async_get_translations
from homeassistant.loader import async_get_integration
from homeassistant.util import dt as dt_util
import voluptuous as vol
from yarl import URL

from .account import LARGE_FLEET
from .api import ACTIVATED_WORDS
from .const import DOMAIN
from .text import as_html

COMMAND: Final = f"{DOMAIN}/dashboard"
MODULE: Final = "frontend/dashboard.js"
MODULE_URL: Final = f"/{DOMAIN}/dashboard.js"
# Its source, wherever it was copied or imported from, ends in the path.
SMS_BLUEPRINT: Final = "blueprints/script/iot_portal/send_sms.yaml"
SMS_BLUEPRINT_URL: Final = (
    f"https://github.com/seed-8fbb6451/ha-iot-portal/blob/main/{SMS_BLUEPRINT}"
)
IMPORT_PATH: Final = "/config/blueprint/dashboard/import"

# How many SIMs a card or a section shows, those with the highest values, and how many rows the table has.
MAX_CARDS: Final = 12
MAX_ROWS: Final = 100
TEXT_CATEGORIES: Final = ("common", "config_subentries", "entity")

type Card = dict[str, Any]

WIDE: Final = {"grid_options": {"columns": 12}}
FULL: Final = {"grid_options": {"columns": "full"}}
OF_DEVICE: Final = {"name": {"type": "device"}}
OF_ENTITY: Final = {"name": {"type": "entity"}, "show_name": True}

# The entities of an account that are badges, with their colours.
BADGES: Final[dict[str, Card]] = {
    "binary_sensor.portal": {"color": "green"},
    "sensor.sims": {},
    "sensor.sims_active": {},
    "sensor.data_usage_total": {},
}
# The entities of a SIM that are alerts above the table, with their colours.
ALERTS: Final = {
    "binary_sensor.projected_overage": "orange",
    "binary_sensor.change_pending": "blue",
}
# The entities that a row of the table is made from; a list is empty where a SIM has none of them.
FACTS: Final = {
    "pace": ("binary_sensor.projected_overage",),
    "pending": ("binary_sensor.change_pending",),
    "session": ("binary_sensor.data_session",),
    "status": ("sensor.status",),
    "times": ("sensor.session_started", "sensor.session_ended"),
    "used": ("sensor.allowance_used", "sensor.data_usage"),
}
# `sims`, sorted by name and with the names as HTML, `active`, `words`, `texts` and `limit` are set before it.
# All SIMs are ranked, but only those in the table are formatted, which takes most of the time.
TABLE: Final = """\
{%- set marks = ['⚠️', '⏳', '❔', '⏸️', '💤', '✅'] %}
{%- set fleet = namespace(ranked=[]) %}
{%- for sim in sims %}
{%- set status = sim.status | select('has_value') | map('states') | join %}
{%- set session = sim.session | select('has_value') | map('states') | join %}
{%- set times = sim.times | select('has_value') | map('states') | map('as_datetime') | list %}
{%- set seconds = (now() - times | max).total_seconds() if times else none %}
{%- set rank = 0 if sim.pace | select('is_state', 'on') | list
    else 1 if sim.pending | select('is_state', 'on') | list
    else 2 if not status
    else 3 if (status | lower | regex_replace('[^a-z0-9]', '')) not in active
    else 4 if session == 'off' and sim.times and (seconds is none or seconds > 86400)
    else 5 %}
{%- set fleet.ranked = fleet.ranked + [(rank, sim, status, session, seconds)] %}
{%- endfor %}
<table width="100%">
<tr>{% for heading in texts.headings %}<th>{{ heading }}</th>{% endfor %}</tr>
{%- for rank, sim, status, session, seconds in (fleet.ranked | sort(attribute='0'))[:limit] %}
{%- set used = sim.used | select('has_value') | map('states', with_unit=true, rounded=true)
    | first | default('-', true) %}
{%- set ago = '-' if session == '' or not sim.times and session == 'off'
    else texts.now if session == 'on'
    else texts.never if seconds is none
    else texts.ago | replace('{time}', (seconds / 60) | round | int ~ ' min' if seconds < 3600
    else (seconds / 3600) | round | int ~ ' h' if seconds < 172800
    else (seconds / 86400) | round | int ~ ' d') %}
<tr>
<td>{{ marks[rank] }}&nbsp;{% if sim.link %}<a href="{{ sim.link }}">{{ sim.name }}</a>{% else %}{{ sim.name }}{% endif %}</td>
<td>{{ words.get(status, status) | escape or '-' }}</td>
<td>{{ used | replace(' ', '&nbsp;') }}</td>
<td>{{ ago | replace(' ', '&nbsp;') }}</td>
</tr>
{%- endfor %}
{%- if sims | count > limit %}
<tr><td colspan="4">+ {{ sims | count - limit }}</td></tr>
{%- endif %}
</table>
"""


async def async_setup_dashboard(hass: HomeAssistant) -> None:
    """Register the dashboard with the frontend, where there is one."""
    websocket_api.async_register_command(hass, _async_answer)
    if "frontend" not in hass.config.components:
        return
    integration = await async_get_integration(hass, DOMAIN)
    path = integration.file_path / MODULE
    await hass.http.async_register_static_paths([StaticPathConfig(MODULE_URL, str(path))])
    # Browsers cache the file for a month, so each version has its own URL.
    add_extra_js_url(hass, f"{MODULE_URL}?v={integration.version}")


@websocket_command({vol.Required("type"): COMMAND, vol.Optional("language"): cv.language})
@async_response
async def _async_answer(
    hass: HomeAssistant, connection: ActiveConnection, message: dict[str, Any]
) -> None:
    """Send the dashboard in the language of the user who opened it."""
    language = message.get("language", hass.config.language)
    config = await async_generate(hass, language, connection.user)
    connection.send_result(message["id"], config)


async def async_generate(hass: HomeAssistant, language: str, user: User) -> dict[str, Any]:
    """Return the dashboard, with a view for each account that the user may see anything of."""
    texts = await _async_texts(hass, language)
    title = texts["common.dashboard"]
    scripts = await _async_sms_scripts(hass)
    entries = hass.config_entries.async_entries(
        DOMAIN, include_ignore=False, include_disabled=False
    )
    views = [
        view
        for entry in sorted(entries, key=lambda entry: entry.title.casefold())
        if (view := AccountView(hass, entry, texts, user, scripts).view()) is not None
    ]
    if not views:
        views = [_view(title, [], [[_no_sims(texts)]])]
    if len(views) == 1:
        # The frontend shows the title of a single view as that of the dashboard.
        views[0]["title"] = title
    return {"title": title, "views": views}


async def _async_texts(hass: HomeAssistant, language: str) -> dict[str, str]:
    """Return the translations of the integration by their dotted keys."""
    texts: dict[str, str] = {}
    for category in TEXT_CATEGORIES:
        texts |= await async_get_translations(hass, language, category, {DOMAIN})
    return {key.removeprefix(f"component.{DOMAIN}."): text for key, text in texts.items()}


async def _async_sms_scripts(hass: HomeAssistant) -> list[str]:
    """Return the scripts that were made from the blueprint for sending SMS."""
    if "script" not in hass.config.components:
        return []
    blueprints = await async_get_blueprints(hass).async_get_blueprints()
    return [
        script
        for path, blueprint in blueprints.items()
        if isinstance(blueprint, Blueprint)
        and str(blueprint.metadata.get("source_url")).endswith(SMS_BLUEPRINT)
        for script in scripts_with_blueprint(hass, path)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class DashboardSim:
    """A SIM: its device, and its entities by domain and key."""

    name: str
    device_id: str
    entities: dict[str, str]


class AccountView:
    """Builds the view of one account."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        texts: dict[str, str],
        user: User,
        sms_scripts: list[str],
    ) -> None:
        """Find the entities of the account and its SIMs, and the scripts, that the user may read."""
        self._hass = hass
        self._entry = entry
        self._texts = texts
        self._user = user
        may_read = user.permissions.check_entity
        self._sms_scripts = [script for script in sms_scripts if may_read(script, POLICY_READ)]
        entities = _entities(hass, entry, user)
        self._account = entities.pop(entry.entry_id, {})
        devices = dr.async_get(hass)
        self._sims = sorted(
            (
                DashboardSim(
                    name=device.name_by_user or device.name or device.id,
                    device_id=device.id,
                    entities=known,
                )
                for device_id, known in entities.items()
                if (device := devices.async_get(device_id)) is not None
            ),
            key=lambda sim: sim.name.casefold(),
        )
        self._is_large = len(self._sims) > LARGE_FLEET

    def view(self) -> dict[str, Any] | None:
        """Return the view, None if the user may not see it; for a large fleet it has the table only."""
        if not self._sims and not self._account and not self._user.is_admin:
            return None
        if not self._sims:
            sections = [[_no_sims(self._texts)]]
        elif self._is_large:
            sections = [self._fleet()]
        else:
            sections = [self._fleet(), self._allowances(), self._usage(), self._events()]
        return _view(self._entry.title, list(self._badges()), sections)

    def _badges(self) -> Iterator[Card]:
        """Yield the badges of the account."""
        for key, color in BADGES.items():
            if entity := self._account.get(key):
                yield {"type": "entity", "entity": entity, **OF_ENTITY, **color}

    def _fleet(self) -> list[Card]:
        """Return the alerts, and the table of all SIMs."""
        return [
            _heading(self._texts["common.fleet"], "mdi:sim"),
            *self._alerts(),
            {"type": "markdown", "content": self._table(), **FULL},
        ]

    def _alerts(self) -> Iterator[Card]:
        """Yield cards that are visible only while something is wrong or pending."""
        if portal := self._account.get("binary_sensor.portal"):
            yield _alert(portal, "red", "off")
        if self._is_large:
            return
        for key, color in ALERTS.items():
            for sim in self._sims:
                if entity := sim.entities.get(key):
                    yield _alert(entity, color, "on")

    def _table(self) -> str:
        """Return the template of the table, with the variables that it uses."""
        known = {
            "sims": [self._facts(sim) for sim in self._sims],
            "active": sorted(ACTIVATED_WORDS),
            "words": self._words("entity.sensor.status.state."),
            "texts": {
                "headings": [
                    self._texts["config_subentries.sim.entry_type"],
                    self._name("sensor.status"),
                    self._name("sensor.allowance_used"),
                    self._texts["common.last_contact"],
                ],
                "now": self._texts["common.now"],
                "never": self._texts["common.never"],
                "ago": self._texts["common.ago"],
            },
            "limit": MAX_ROWS,
        }
        literals = (
            f"{{%- set {name} = {json.dumps(value, ensure_ascii=False)} %}}\n"
            for name, value in known.items()
        )
        return "".join(literals) + TABLE

    def _facts(self, sim: DashboardSim) -> dict[str, Any]:
        """Return the data of a row of the table."""
        facts = {
            name: [entity for key in keys if (entity := sim.entities.get(key))]
            for name, keys in FACTS.items()
        }
        # Only administrators may open the page of a device.
        link = f"/config/devices/device/{sim.device_id}" if self._user.is_admin else ""
        return {"name": as_html(sim.name), "link": link, **facts}

    def _allowances(self) -> list[Card]:
        """Return a bar for each SIM that has an allowance, the highest use first."""
        bar = {"features": [{"type": "bar-gauge"}], "features_position": "inline"}
        return _under(
            _heading(self._texts["common.allowances"], "mdi:gauge"),
            [
                {"type": "tile", "entity": entity, **OF_DEVICE, **bar, **WIDE}
                for entity in self._highest("sensor.allowance_used", _number)
            ],
        )

    def _usage(self) -> list[Card]:
        """Return graphs of the data use of each SIM, by day and in its billing cycle."""
        entities = [
            {"entity": entity, **OF_DEVICE}
            for entity in self._highest("sensor.data_usage", _number)
        ]
        days = {
            "type": "statistics-graph",
            "title": self._texts["common.each_day"],
            "chart_type": "bar-stack",
            "period": "day",
            "days_to_show": 30,
            "stat_types": ["change"],
            "entities": entities,
            **FULL,
        }
        cycle = {
            "type": "history-graph",
            "title": self._texts["common.in_the_cycle"],
            "hours_to_show": 168,
            "entities": entities,
            "grid_options": {"columns": "full", "rows": 5},
        }
        heading = _heading(self._name("sensor.data_usage"), "mdi:chart-bar")
        return _under(heading, [days, cycle] if entities else [])

    def _events(self) -> list[Card]:
        """Return the cards for sending an SMS, for the last SMS, and for the activity."""
        events = [
            entity
            for sim in self._sims
            for key in ("event.sim_event", "event.sms_event")
            if (entity := sim.entities.get(key))
        ]
        sms = [
            {
                "type": "tile",
                "entity": entity,
                **OF_DEVICE,
                "state_content": ["event_type", "state"],
                "visibility": [{"condition": "state", "entity": entity, "state_not": "unknown"}],
                **WIDE,
            }
            for entity in self._highest("event.sms_event", _moment)
        ]
        log = {"type": "logbook", "hours_to_show": 168, "target": {"entity_id": events}}
        return [
            *_under(
                _heading(self._texts["common.sms"], "mdi:message-text"), [*self._writers(), *sms]
            ),
            *_under(
                _heading(self._texts["common.what_happened"], "mdi:timeline-clock-outline"),
                [log] if events else [],
            ),
        ]

    def _writers(self) -> Iterator[Card]:
        """Yield the scripts for sending an SMS, or else how to get one for those who may create it."""
        for script in self._sms_scripts:
            yield {
                "type": "tile",
                "entity": script,
                "hide_state": True,
                "icon_tap_action": {"action": "more-info"},
                **WIDE,
            }
        if not self._sms_scripts and self._user.is_admin:
            path = URL(IMPORT_PATH).with_query(blueprint_url=SMS_BLUEPRINT_URL)
            text = self._texts["common.sms_script"].replace("{path}", str(path))
            yield {"type": "markdown", "content": text, **WIDE}

    def _highest(self, key: str, value_fn: Callable[[State | None], float]) -> list[str]:
        """Return the entities of the SIMs with the highest values."""
        found = [entity for sim in self._sims if (entity := sim.entities.get(key))]
        found.sort(key=lambda entity: value_fn(self._hass.states.get(entity)), reverse=True)
        return found[:MAX_CARDS]

    def _name(self, key: str) -> str:
        """Return the translated name of an entity."""
        return self._texts[f"entity.{key}.name"]

    def _words(self, prefix: str) -> dict[str, str]:
        """Return all translations below a key."""
        return {
            key.removeprefix(prefix): text
            for key, text in self._texts.items()
            if key.startswith(prefix)
        }


def _entities(hass: HomeAssistant, entry: ConfigEntry, user: User) -> dict[str, dict[str, str]]:
    """Return the entities that a user may read: of each SIM by its device, and of the account by the entry."""
    found: dict[str, dict[str, str]] = {}
    may_read = user.permissions.check_entity
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        if entity.disabled or entity.hidden or not may_read(entity.entity_id, POLICY_READ):
            continue
        # A unique id is the ICCID of a SIM or the id of the entry, and the key.
        owner, _, key = entity.unique_id.partition("_")
        place = owner if owner == entry.entry_id else entity.device_id
        if place is not None:
            found.setdefault(place, {})[f"{entity.domain}.{key}"] = entity.entity_id
    return found


def _number(state: State | None) -> float:
    """Return the number in a state, or -1 without one."""
    try:
        return float(state.state) if state else -1
    except ValueError:
        return -1


def _moment(state: State | None) -> float:
    """Return the time of an event as a timestamp, or -1 without one."""
    moment = dt_util.parse_datetime(state.state) if state else None
    return moment.timestamp() if moment else -1


def _view(title: str, badges: list[Card], sections: list[list[Card]]) -> dict[str, Any]:
    """Return a view with wide sections for graphs and tables."""
    return {
        "title": title,
        "type": "sections",
        "max_columns": 3,
        # So that narrow sections fill the gaps beside wide ones.
        "dense_section_placement": True,
        "badges": badges,
        "sections": [
            {"type": "grid", "cards": cards, "column_span": 2 if _is_wide(cards) else 1}
            for cards in sections
            if cards
        ],
    }


def _is_wide(cards: list[Card]) -> bool:
    """Return whether there are tables or graphs among the cards."""
    return any(card.get("grid_options", {}).get("columns") == "full" for card in cards)


def _heading(text: str, icon: str) -> Card:
    """Return a heading card."""
    return {"type": "heading", "heading": text, "icon": icon}


def _under(heading: Card, cards: list[Card]) -> list[Card]:
    """Return cards under their heading, or nothing without cards."""
    return [heading, *cards] if cards else []


def _alert(entity: str, color: str, state: str) -> Card:
    """Return a card that is visible while an entity has a state."""
    return {
        "type": "alert",
        "entity": entity,
        "color": color,
        "visibility": [{"condition": "state", "entity": entity, "state": state}],
        **WIDE,
    }


def _no_sims(texts: dict[str, str]) -> Card:
    """Return the card for an account without SIMs, with a link to add some."""
    return {
        "type": "empty-state",
        "icon": "mdi:sim",
        "title": texts["common.nothing_yet"],
        "content": texts["common.add_sims"],
        "buttons": [
            {
                "text": texts["config_subentries.sim.initiate_flow.user"],
                "icon": "mdi:plus",
                "tap_action": _navigate(f"/config/integrations/integration/{DOMAIN}"),
            }
        ],
        **FULL,
    }


def _navigate(path: str) -> dict[str, str]:
    """Return the tap action that opens a page of Home Assistant."""
    return {"action": "navigate", "navigation_path": path}

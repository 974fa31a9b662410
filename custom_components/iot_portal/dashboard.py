"""The dashboard, generated from the current SIMs whenever it is opened."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any, Final

from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components import websocket_api
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http.server import StaticPathConfig
from homeassistant.components.recorder.statistics import get_last_statistics
from homeassistant.components.script import scripts_with_blueprint
from homeassistant.components.script.helpers import async_get_blueprints
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.decorators import async_response, websocket_command
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_RESTORED, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.helpers.recorder import get_instance
from homeassistant.helpers.translation import async_get_translations
from homeassistant.loader import async_get_integration
from homeassistant.util import dt as dt_util
import voluptuous as vol
from yarl import URL

from .account import LARGE_FLEET
from .const import DOMAIN
from .dashboard_list import ENTITIES, sim_list_template
from .runtime_data import IotPortalData
from .slices import in_slices
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

# How many SIMs a section shows, those with the highest values; with more SIMs the graphs are beside the list.
MAX_CARDS: Final = 12
TEXT_CATEGORIES: Final = ("common", "config_subentries", "entity")

type Card = dict[str, Any]

WIDE: Final = {"grid_options": {"columns": 12}}
FULL: Final = {"grid_options": {"columns": "full"}}
OF_DEVICE: Final = {"name": {"type": "device"}}
OF_ENTITY: Final = {"name": {"type": "entity"}, "show_name": True}

# The entities of an account that are badges.
BADGES: Final = ("sensor.sims", "sensor.sims_active", "sensor.data_usage_total")
# What makes a SIM of a large fleet one of those that are listed.
ATTENTION: Final = {
    "binary_sensor.projected_overage": STATE_ON,
    "binary_sensor.change_pending": STATE_ON,
    "sensor.status": STATE_UNAVAILABLE,
}


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
    views = []
    for entry in sorted(entries, key=lambda entry: entry.title.casefold()):
        entities = await _async_entities(hass, entry, user)
        account = AccountView(hass, entry, texts, user, scripts, entities=entities)
        if (view := await account.async_view()) is not None:
            views.append(view)
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
        *,
        entities: dict[str, dict[str, str]],
    ) -> None:
        """Find the SIMs with the entities, and the scripts, that the user may read."""
        self._hass = hass
        self._entry = entry
        self._texts = texts
        self._user = user
        may_read = user.permissions.check_entity
        self._sms_scripts = [script for script in sms_scripts if may_read(script, POLICY_READ)]
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

    async def async_view(self) -> dict[str, Any] | None:
        """Return the view, None if the user may not see it; for a large fleet it has the list only."""
        if not self._sims and not self._account and not self._user.is_admin:
            return None
        if not self._sims:
            return _view(self._entry.title, list(self._badges()), [[_no_sims(self._texts)]])
        main = [self._sim_list()]
        aside: list[list[Card]] = []
        if not self._is_large:
            usage = await self._async_usage()
            # Below a long list nobody would find the graphs.
            (main if len(self._sims) <= MAX_CARDS else aside).append(usage)
            aside += [self._sms(), self._activity()]
        view = _view(self._entry.title, list(self._badges()), main)
        if any(aside):
            view["sidebar"] = {
                "content_label": self._name("sensor.sims"),
                "sidebar_label": self._texts["common.activity"],
                "sections": _sections(aside),
            }
        return view

    def _badges(self) -> Iterator[Card]:
        """Yield the badges of the account."""
        for key in BADGES:
            if entity := self._account.get(key):
                yield {"type": "entity", "entity": entity, **OF_ENTITY}

    def _sim_list(self) -> list[Card]:
        """Return the list of all SIMs, under an alert that is visible while the portal is away."""
        portal = self._account.get("binary_sensor.portal", "")
        content = sim_list_template(
            [self._facts(sim) for sim in self._listed()],
            total=len(self._sims),
            portal=portal,
            texts=self._below("common."),
            words=self._below("entity.sensor.status.state."),
        )
        return [
            _heading(self._name("sensor.sims"), "mdi:sim"),
            *([_alert(portal)] if portal else []),
            {"type": "markdown", "content": content, **FULL},
        ]

    def _listed(self) -> list[DashboardSim]:
        """Return the SIMs of the list by name: all, or in a large fleet those that need attention most now."""
        if not self._is_large:
            return self._sims
        most = set(nsmallest(LARGE_FLEET, range(len(self._sims)), key=self._urgency))
        return [sim for place, sim in enumerate(self._sims) if place in most]

    def _urgency(self, place: int) -> tuple[bool, float]:
        """Return how a SIM of a large fleet sorts: whether it needs no attention, and its use, the highest first.

        A list of all its SIMs would take Home Assistant too long to render at each change.
        """
        states = {
            key: self._hass.states.get(entity)
            for key in ATTENTION
            if (entity := self._sims[place].entities.get(key))
        }
        needs_it = any(
            state.state == ATTENTION[key] and ATTR_RESTORED not in state.attributes
            for key, state in states.items()
            if state
        )
        used = self._sims[place].entities.get("sensor.allowance_used", "")
        return not needs_it, -_number(self._hass.states.get(used))

    def _facts(self, sim: DashboardSim) -> dict[str, str]:
        """Return the data of a SIM in the list."""
        # Only administrators may open the page of a device.
        link = sim.device_id if self._user.is_admin else ""
        entities = {name: sim.entities.get(key, "") for name, key in ENTITIES.items()}
        return {"name": as_html(sim.name), "link": link, **entities}

    async def _async_usage(self) -> list[Card]:
        """Return graphs of the data use of each SIM, by day and in its billing cycle, or when there will be some."""
        entities = self._highest("sensor.data_usage", _number)
        if not entities or "recorder" not in self._hass.config.components:
            return []
        heading = _heading(self._name("sensor.data_usage"), "mdi:chart-bar")
        if not await _async_have_statistics(self._hass, entities):
            return [heading, {"type": "markdown", "content": self._texts["common.graphs_later"]}]
        graph = {
            "type": "statistics-graph",
            "entities": [{"entity": entity, **OF_DEVICE} for entity in entities],
            **FULL,
        }
        days = {
            "title": self._texts["common.daily_usage"],
            "chart_type": "bar-stack",
            "period": "day",
            "days_to_show": 30,
            "stat_types": ["change"],
        }
        cycle = {
            "title": self._texts["common.billing_cycle"],
            "chart_type": "line",
            "period": "hour",
            "days_to_show": self._days_of_cycle(),
            "stat_types": ["state"],
        }
        return [heading, graph | days, graph | cycle]

    def _days_of_cycle(self) -> int:
        """Return how many days ago the longest of the billing cycles began, 31 while the account is not loaded."""
        data = getattr(self._entry, "runtime_data", None)
        if not isinstance(data, IotPortalData) or not data.sims:
            return 31
        now = dt_util.now()
        starts = (sim.data.settings.cycle_around(now).start for sim in data.sims.values())
        return max((now - min(starts)).days, 1)

    def _sms(self) -> list[Card]:
        """Return the cards for sending an SMS, and for the last SMS of each SIM."""
        last = [
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
        return _under(
            _heading(self._texts["common.sms"], "mdi:message-text"), [*self._writers(), *last]
        )

    def _activity(self) -> list[Card]:
        """Return the card for the events of the last seven days."""
        events = [
            entity
            for sim in self._sims
            for key in ("event.sim_event", "event.sms_event")
            if (entity := sim.entities.get(key))
        ]
        log = {"type": "logbook", "hours_to_show": 168, "target": {"entity_id": events}}
        heading = _heading(self._texts["common.activity"], "mdi:timeline-clock-outline")
        return _under(heading, [log] if events else [])

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

    def _below(self, prefix: str) -> dict[str, str]:
        """Return all translations below a key."""
        return {
            key.removeprefix(prefix): text
            for key, text in self._texts.items()
            if key.startswith(prefix)
        }


async def _async_entities(
    hass: HomeAssistant, entry: ConfigEntry, user: User
) -> dict[str, dict[str, str]]:
    """Return the entities that a user may read: of each SIM by its device, and of the account by the entry."""
    found: dict[str, dict[str, str]] = {}
    may_read = user.permissions.check_entity
    async for entity in in_slices(
        er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    ):
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


async def _async_have_statistics(hass: HomeAssistant, entities: list[str]) -> bool:
    """Return whether there are long-term statistics of any of the entities."""

    def have_statistics() -> bool:
        return any(
            get_last_statistics(hass, 1, entity, convert_units=False, types={"sum"})
            for entity in entities
        )

    return await get_instance(hass).async_add_executor_job(have_statistics)


def _view(title: str, badges: list[Card], sections: list[list[Card]]) -> dict[str, Any]:
    """Return a view, with a column for a sidebar beside its sections."""
    return {
        "title": title,
        "type": "sections",
        "max_columns": 3,
        "badges": badges,
        "sections": _sections(sections, column_span=2),
    }


def _sections(sections: list[list[Card]], **options: int) -> list[Card]:
    """Return the sections that have cards."""
    return [{"type": "grid", "cards": cards, **options} for cards in sections if cards]


def _heading(text: str, icon: str) -> Card:
    """Return a heading card."""
    return {"type": "heading", "heading": text, "icon": icon}


def _under(heading: Card, cards: list[Card]) -> list[Card]:
    """Return cards under their heading, or nothing without cards."""
    return [heading, *cards] if cards else []


def _alert(portal: str) -> Card:
    """Return a card that is visible while the portal is away."""
    return {
        "type": "alert",
        "entity": portal,
        "color": "red",
        "visibility": [{"condition": "state", "entity": portal, "state": "off"}],
        **FULL,
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

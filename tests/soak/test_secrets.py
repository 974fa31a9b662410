"""Secrets and personal data do not leak, whatever happens and with all logging enabled."""

from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
import logging
from traceback import format_exception
from typing import Any

from homeassistant.components.trace.const import DATA_TRACE
from homeassistant.config_entries import SOURCE_USER, ConfigEntry
from homeassistant.const import MATCH_ALL
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import flush_store, get_system_health_info

from custom_components.iot_portal import client_factory
from custom_components.iot_portal.api import IotPortalClient
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.diagnostics import (
    async_get_config_entry_diagnostics,
    async_get_device_diagnostics,
)
from mock_portal import MockPortal
from mock_portal.faults import KINDS
from tests.integration.conftest import ICCID, OTHER_ICCID, integration
from tests.integration.helpers import device_id

from .portal_setup import CANARY, KEY, NEW_KEY, recognizable_tokens
from .watch import LOGGERS

__all__ = ["integration"]

THIRD_ICCID = "8931080000000000029"
API_TOKEN = f"{CANARY}-api-token"
TEXT = "Meet me at ten"
NUMBERS = {
    "imsi": "204080000000011",
    "msisdn": "3197000000011",
    "imei": "3569380000000011",
}
ADDRESS = "100.64.7.7"
OF_THE_PORTAL = ("aiohttp", "mock_portal")
PERSONAL = (ICCID, OTHER_ICCID, THIRD_ICCID, *NUMBERS.values(), ADDRESS, TEXT)
# In seconds: short enough for a test, and longer than any response takes.
PATIENCE = 0.25
DETAILS: Mapping[str, Mapping[str, Any]] = {
    "delay": {"seconds": 2 * PATIENCE},
    "slow_drip": {"seconds": PATIENCE},
}


class Trail(logging.Handler):
    """Everything that is logged, shown or returned, by place."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__(logging.DEBUG)
        self.formatter = logging.Formatter("%(message)s")
        self.places: dict[str, list[str]] = {}

    def add(self, place: str, *things: object) -> None:
        """Add things to a place."""
        self.places.setdefault(place, []).extend(map(str, things))

    def emit(self, record: logging.LogRecord) -> None:
        """Add a log record with its traceback."""
        text = self.format(record)
        self.add("log", text)
        # The mock portal runs in the same process.
        if record.levelno > logging.DEBUG and not record.name.startswith(OF_THE_PORTAL):
            self.add("log above debug", text)

    @callback
    def async_note(self, event: Event) -> None:
        """Add an event."""
        self.add("events", event.as_dict())

    def find(self, *words: str, places: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
        """Return the place, word and context of each occurrence of a word."""
        return [
            (place, word, text[max(0, text.index(word) - 80) :][:200])
            for place in places or self.places
            for text in self.places[place]
            for word in words
            if word in text
        ]


@pytest.fixture
def trail(hass: HomeAssistant) -> Iterator[Trail]:
    """Return a record of all logs and events."""
    trail = Trail()
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    logging.getLogger().addHandler(trail)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    hass.bus.async_listen(MATCH_ALL, trail.async_note)
    yield trail
    logging.getLogger().removeHandler(trail)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
async def portal(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MockPortal]:
    """Return a portal with recognizable secrets, and give the client short timeouts."""
    monkeypatch.setattr(
        client_factory,
        "IotPortalClient",
        partial(IotPortalClient, timeout=PATIENCE, poll_timeout=PATIENCE),
    )
    sims = {
        ICCID: {"status": "ACTIVATED", "session_started": "-1h", "ip_address": ADDRESS, **NUMBERS},
        OTHER_ICCID: {"status": "ACTIVATED"},
        THIRD_ICCID: {"status": "ACTIVATED"},
    }
    accounts = {"demo-client": {"secret_key": KEY, "api_token": API_TOKEN}}
    with recognizable_tokens():
        scenario = {"accounts": accounts, "sims": sims, "timings": {"bulk_seconds": 0}}
        async with MockPortal(scenario) as portal:
            yield portal


class Life:
    """An account, from its first log-in through all kinds of success and failure."""

    def __init__(self, hass: HomeAssistant, portal: MockPortal, trail: Trail) -> None:
        """Store the Home Assistant, the portal and the record."""
        self._hass = hass
        self._portal = portal
        self._trail = trail

    async def add_account(self, *tries: Mapping[str, str]) -> ConfigEntry[Any]:
        """Add an account, with several credentials of which the last are right."""
        flow = await self._hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_USER}
        )
        result: Any = flow
        for given in tries:
            api_token = {name: given[name] for name in given if name == "api_token"}
            form = {"environment": "custom", "other": {"base_url": self._portal.url, **api_token}}
            form |= {name: given[name] for name in given if name != "api_token"}
            result = await self._hass.config_entries.flow.async_configure(flow["flow_id"], form)
            self._trail.add("forms", result)
        entry: ConfigEntry[Any] = result["result"]
        # The flow result contains the entry itself, which Home Assistant does not show.
        self._trail.places["forms"].pop()
        return entry

    async def add_sims(self, entry: ConfigEntry[Any], *iccids: str) -> None:
        """Add SIMs to an account."""
        flows = self._hass.config_entries.subentries
        flow = await flows.async_init((entry.entry_id, "sim"), context={"source": SOURCE_USER})
        result = await flows.async_configure(flow["flow_id"], {"iccids": " ".join(iccids)})
        await self.settle()
        if result["type"] is FlowResultType.SHOW_PROGRESS:
            result = await flows.async_configure(flow["flow_id"])
        self._trail.add("forms", result)
        result = await flows.async_configure(flow["flow_id"], {"iccids": " ".join(iccids)})
        self._trail.add("forms", result)
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing is in progress."""
        await self._hass.async_block_till_done(wait_background_tasks=True)

    async def call(self, domain: str, action: str, data: Mapping[str, Any]) -> bool:
        """Call an action, record its response and return whether it succeeded."""
        try:
            answer = await self._hass.services.async_call(
                domain, action, dict(data), blocking=True, return_response=domain == DOMAIN
            )
        except HomeAssistantError as err:
            self._trail.add("exceptions", *format_exception(err), vars(err))
            return False
        self._trail.add("answers", answer)
        await self.settle()
        return True

    async def act(self, entry: ConfigEntry[Any]) -> list[bool]:
        """Call every action and press every button; return whether each succeeded."""
        sim = {"device_id": device_id(self._hass, entry, ICCID)}
        return [
            await self.call(*each)
            for each in (
                (DOMAIN, "send_sms", {**sim, "message": TEXT}),
                (DOMAIN, "request_status_change", {**sim, "status": "deactivated"}),
                (DOMAIN, "edit_device", {**sim, "changes": {"status": "ACTIVATED"}}),
                (DOMAIN, "bulk_edit_devices", {**sim, "changes": {"customer": "Anna"}}),
                (DOMAIN, "update_rule", {"config_entry_id": entry.entry_id, "rule": {"a": 1}}),
                (DOMAIN, "get_sim", sim),
                (DOMAIN, "get_sms", {**sim, "sms_id": "4711"}),
                (DOMAIN, "list_sms", sim),
                (
                    "notify",
                    "send_message",
                    {"entity_id": f"notify.sim_{ICCID[-4:]}_send_sms", "message": TEXT},
                ),
                ("button", "press", {"entity_id": f"button.sim_{ICCID[-4:]}_refresh"}),
            )
        ]

    async def read(self, entry: ConfigEntry[Any]) -> None:
        """Read all SIMs, as a poll does."""
        for coordinator in entry.runtime_data.sims.values():
            await coordinator.async_refresh()
        await self.settle()

    def details(self, kind: str, route: str, secret: str) -> Mapping[str, Any]:
        """Return the details of a fault; an error page repeats what was sent."""
        if kind != "status":
            return DETAILS.get(kind, {})
        sent = secret if route == "Login" else next(reversed(self._portal.state.tokens))
        return {
            "status": 500,
            "body": {"errorMessage": f"{sent} is not good for {' '.join(PERSONAL[:-1])}"},
        }

    async def meet_faults(
        self, entry: ConfigEntry[Any], iccid: str, secret: str, *kinds: str
    ) -> None:
        """Write, read and log in under each kind of fault."""
        sim = {"device_id": device_id(self._hass, entry, iccid)}
        # The newest token must be the one of this account.
        await self._hass.config_entries.async_reload(entry.entry_id)
        for kind in kinds:
            for route in ("SendSMS", "ctdUsage", "Login"):
                self._portal.faults.add(kind, route=route, **self.details(kind, route, secret))
            await self.call(DOMAIN, "send_sms", {**sim, "message": TEXT})
            await self.call(DOMAIN, "get_sim", sim)
            self._portal.state.revoke_tokens()
            await self.call(DOMAIN, "list_sms", sim)
            await entry.runtime_data.account.async_refresh()
            await self.read(entry)
            await self._hass.config_entries.async_reload(entry.entry_id)
            await self.settle()
            self._portal.faults.clear()
            await self._hass.config_entries.async_reload(entry.entry_id)
            await self.settle()

    async def ask_for_key(self, entry: ConfigEntry[Any]) -> None:
        """Revoke the key, and enter first a wrong and then the right one."""
        self._portal.state.accounts["demo-client"].secret_key = NEW_KEY
        self._portal.state.revoke_tokens()
        assert True not in await self.act(entry)
        await self.read(entry)
        await self.look_around(entry)
        (flow,) = self._hass.config_entries.flow.async_progress()
        self._trail.add("forms", flow)
        for key in (f"{CANARY}-wrong-key", NEW_KEY):
            result = await self._hass.config_entries.flow.async_configure(
                flow["flow_id"], {"secret_key": key}
            )
            self._trail.add("forms", result)
            await self.settle()

    async def look_around(self, entry: ConfigEntry[Any]) -> None:
        """Record everything that can be viewed or downloaded."""
        hass, add = self._hass, self._trail.add
        add("states", *(state.as_dict() for state in hass.states.async_all()))
        add("repairs", *ir.async_get(hass).issues.values())
        health = await get_system_health_info(hass, DOMAIN)
        add("system health", await health.pop("can_reach_portal"), health)
        add("diagnostics", await async_get_config_entry_diagnostics(hass, entry))
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id):
            add("diagnostics", await async_get_device_diagnostics(hass, entry, device))
        add("journal", *(exchange.as_dict() for exchange in self._portal.journal))
        add("portal", *self._portal.journal, *self._portal.journal.near_misses)
        for traces in hass.data[DATA_TRACE].values():
            add("traces", *(trace.as_extended_dict() for trace in traces.all_traces()))

    async def lose_sim(self, entry: ConfigEntry[Any]) -> None:
        """Raise the repair issues for a missing SIM and for a route that is refused for all SIMs."""
        self._portal.faults.add(
            "status",
            route="ctdUsage",
            status=404,
            body={"errorMessage": f"No SIM {' '.join(PERSONAL[:-1])}"},
        )
        self._portal.faults.add("status", route="getStatus", status=404)
        self._portal.state.accounts["demo-client"].refused_routes = frozenset({"sessionInfo"})
        for _ in range(2):
            await self.read(entry)
        await self.look_around(entry)
        self._portal.faults.clear()


async def automate(hass: HomeAssistant) -> None:
    """Set up an automation that reads a SIM, so that there is a trace of it."""
    automation = {
        "id": "read",
        "alias": "Read",
        "triggers": {"trigger": "event", "event_type": "read_it"},
        "actions": {
            "action": f"{DOMAIN}.get_sim",
            "data": {"device_id": "{{ trigger.event.data.sim }}"},
            "response_variable": "answer",
        },
    }
    assert await async_setup_component(hass, "automation", {"automation": automation})


@pytest.mark.timeout(300)
async def test_eventful_life(
    hass: HomeAssistant,
    portal: MockPortal,
    trail: Trail,
    hass_storage: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever happens, secrets are only in the file of config entries, and diagnostics hold no personal data."""
    for component in ("homeassistant", "repairs", "system_health", "diagnostics"):
        assert await async_setup_component(hass, component, {})
    await automate(hass)
    life = Life(hass, portal, trail)

    wrong = {"client_id": "demo-client", "secret_key": f"{CANARY}-wrong-key"}
    entry = await life.add_account(wrong, {**wrong, "secret_key": KEY})
    legacy = await life.add_account({"api_token": f"{CANARY}-wrong"}, {"api_token": API_TOKEN})
    await life.add_sims(entry, ICCID, OTHER_ICCID)
    await life.add_sims(legacy, THIRD_ICCID)
    assert all(await life.act(entry))
    hass.bus.async_fire("read_it", {"sim": device_id(hass, entry, ICCID)})
    await life.settle()
    await life.look_around(entry)
    await life.look_around(legacy)
    await life.meet_faults(entry, ICCID, KEY, *KINDS)
    # The portal must not send one account the secrets of another, which its client cannot know.
    await hass.config_entries.async_unload(entry.entry_id)
    await life.meet_faults(legacy, THIRD_ICCID, API_TOKEN, "status")
    await hass.config_entries.async_setup(entry.entry_id)
    await life.lose_sim(entry)
    await life.ask_for_key(entry)
    assert (await life.act(entry))[0]
    await life.look_around(entry)
    await flush_store(hass.config_entries._store)  # noqa: SLF001
    trail.add("output", *capsys.readouterr())

    assert min(len(things) for things in trail.places.values()) > 0
    assert trail.find(CANARY) == []
    places = ("diagnostics", "exceptions", "log above debug", "repairs")
    assert trail.find(*PERSONAL, places=places) == []
    holders = {key for key, content in hass_storage.items() if CANARY in str(content)}
    assert holders == {"core.config_entries"}

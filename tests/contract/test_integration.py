"""The same use of the integration in Home Assistant, under every variant of every dialect."""

from typing import Any

from homeassistant.config_entries import SOURCE_USER, SubentryFlowResult
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal

from .scenario import ABZORB, FRESH, REFUSING, SCENARIO, UNKNOWN, USED, VARIANTS, expected

ABSENT = "absent"

USUAL: dict[str, Any] = {
    "wrong secret": "invalid_auth",
    "added": 4,
    "unknown": f"1 ({UNKNOWN})",
    "used": ("activated", "1.5", "10.0.0.1"),
    "fresh": ("activated", "0.0", STATE_UNKNOWN),
    "refusing": ("activated", "0.0", ABSENT),
    "abzorb": ("activated", "2.0", STATE_UNKNOWN),
    "sms": "4711",
    "changed": "deactivated",
    "after the token's life": "deactivated",
}
DIFFERENT: dict[tuple[str, str], dict[str, Any]] = {
    ("usage_body", "empty_array"): {
        "fresh": ("activated", STATE_UNKNOWN, STATE_UNKNOWN),
        "refusing": ("activated", STATE_UNKNOWN, ABSENT),
    },
    # A SIM without a session looks the same; nothing but a guess could tell them apart.
    ("route_refused", "404"): {"refusing": ("activated", "0.0", STATE_UNKNOWN)},
    ("sms_id", "none"): {"sms": None},
    ("status_change", "never"): {"changed": "activated", "after the token's life": "activated"},
    ("status_change", "refused"): {
        "changed": "refused",
        "after the token's life": "activated",
    },
    ("abzorb", "no_usage"): {"abzorb": ("activated", ABSENT, ABSENT)},
}


class Journey:
    """Uses the integration as a user does, and collects what it shows."""

    def __init__(self, hass: HomeAssistant, portal: MockPortal) -> None:
        """Start without an account."""
        self._hass = hass
        self._portal = portal

    async def run(self) -> dict[str, Any]:
        """Add an account and SIMs, write and read; return the results by name."""
        form = {
            "environment": "custom",
            "client_id": "demo-client",
            "secret_key": "wrong",
            "other": {"base_url": self._portal.url},
        }
        flows = self._hass.config_entries.flow
        result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
        refused = await flows.async_configure(result["flow_id"], form)
        self._portal.clock.advance(2)
        added = await flows.async_configure(result["flow_id"], form | {"secret_key": "demo-secret"})
        entry = added["result"]
        return {
            "wrong secret": (refused["errors"] or {}).get("base"),
            **await self._add_sims(entry.entry_id),
            "added": len(entry.subentries),
            "used": self._sensors(USED),
            "fresh": self._sensors(FRESH),
            "refusing": self._sensors(REFUSING),
            "abzorb": self._sensors(ABZORB),
            **await self._write(),
            "after the token's life": await self._status_two_hours_later(),
        }

    async def _add_sims(self, entry_id: str) -> dict[str, Any]:
        """Add an unknown SIM, which is refused, and all known SIMs."""
        flows = self._hass.config_entries.subentries
        result = await flows.async_init((entry_id, "sim"), context={"source": SOURCE_USER})
        self._portal.clock.advance(2)
        unknown = await self._check_sim(result["flow_id"], UNKNOWN)
        for iccid in (USED, FRESH, REFUSING, ABZORB):
            # One at a time, and never faster than any limit allows.
            self._portal.clock.advance(2)
            if iccid != USED:
                result = await flows.async_init((entry_id, "sim"), context={"source": SOURCE_USER})
            checked = await self._check_sim(result["flow_id"], iccid)
            if checked["type"] is FlowResultType.FORM:
                await flows.async_configure(result["flow_id"], {"iccids": iccid})
            await self._hass.async_block_till_done(wait_background_tasks=True)
        return {"unknown": (unknown["description_placeholders"] or {}).get("not_found")}

    async def _check_sim(self, flow_id: str, iccid: str) -> SubentryFlowResult:
        """Enter an ICCID, wait for the check, and return the next step of the flow."""
        flows = self._hass.config_entries.subentries
        await flows.async_configure(flow_id, {"iccids": iccid})
        await self._hass.async_block_till_done()
        return await flows.async_configure(flow_id)

    def _sensors(self, iccid: str) -> tuple[str, ...]:
        """Return the states of the three sensors of a SIM."""
        return tuple(self._state(iccid, key) for key in ("status", "data_usage", "last_ip"))

    def _state(self, iccid: str, key: str) -> str:
        """Return the state of a sensor, which does not exist until its part has been read."""
        entity_id = er.async_get(self._hass).async_get_entity_id("sensor", DOMAIN, f"{iccid}_{key}")
        state = self._hass.states.get(entity_id or "")
        return state.state if state is not None else ABSENT

    async def _write(self) -> dict[str, Any]:
        """Send an SMS and request a status; return the status a minute later."""
        (entry,) = self._hass.config_entries.async_loaded_entries(DOMAIN)
        device = dr.async_get(self._hass).async_get_device_by_identifier(
            (DOMAIN, USED), entry.entry_id
        )
        assert device is not None
        self._portal.clock.advance(2)
        sms = await self._call("send_sms", device.id, message="Hello")
        self._portal.clock.advance(2)
        try:
            await self._call("request_status_change", device.id, status="deactivated")
        except HomeAssistantError:
            return {"sms": sms["sms_id"], "changed": "refused"}
        self._portal.clock.advance(60)
        for _ in range(4):
            await self._poll()
        return {"sms": sms["sms_id"], "changed": self._state(USED, "status")}

    async def _call(self, action: str, device_id: str, **data: str) -> Any:
        """Call an action for one SIM and return its response."""
        response: Any = await self._hass.services.async_call(
            DOMAIN, action, {"device_id": device_id, **data}, blocking=True, return_response=True
        )
        return response["sims"][0]

    async def _poll(self) -> None:
        """Poll one SIM after the other."""
        (entry,) = self._hass.config_entries.async_loaded_entries(DOMAIN)
        for coordinator in entry.runtime_data.sims.values():
            self._portal.clock.advance(2)
            await coordinator.async_refresh()
            await self._hass.async_block_till_done(wait_background_tasks=True)

    async def _status_two_hours_later(self) -> str:
        """Return the status two hours later, after somebody else has logged in."""
        self._portal.clock.advance(7200)
        self._portal.state.login("demo-client", "demo-secret")
        await self._poll()
        return self._state(USED, "status")


@pytest.mark.parametrize(("dialect", "variant"), VARIANTS)
async def test_variant(
    hass: HomeAssistant,
    enable_custom_integrations: None,
    socket_enabled: None,
    no_waiting: None,
    dialect: str,
    variant: str,
) -> None:
    """Under every variant the integration shows the expected states."""
    async with MockPortal(SCENARIO | {"dialects": {dialect: variant}}) as portal:
        found = await Journey(hass, portal).run()

    assert found == expected(USUAL, DIFFERENT, (dialect, variant))

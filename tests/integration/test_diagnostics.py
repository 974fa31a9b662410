"""Diagnostics are useful and hold no personal data."""

from http import HTTPStatus
import json
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import call_action, device_id

IDENTIFYING = [
    *(ICCID, "204080823514892", "3197044863841", "8613300585142338", "100.126.61.98"),
    *("demo-client", "demo-secret", "127.0.0.1", "Pangea", "100096903", "test12345"),
]


async def download(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, entry: MockConfigEntry, path: str = ""
) -> Any:
    """Download diagnostics as a user does."""
    assert await async_setup_component(hass, "diagnostics", {})
    client = await hass_client()
    response = await client.get(f"/api/diagnostics/config_entry/{entry.entry_id}{path}")
    assert response.status == HTTPStatus.OK
    return (await response.json())["data"]


@pytest.mark.parametrize("identifier", [None, ICCID, "account"])
async def test_nobody_is_identified(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    set_up: SetUp,
    identifier: str | None,
) -> None:
    """No secret, identifier or address is in any of the downloads."""
    entry = await set_up(ICCID)
    path = ""
    if identifier is not None:
        key = entry.entry_id if identifier == "account" else identifier
        device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, key), entry.entry_id)
        assert device is not None
        path = f"/device/{device.id}"

    data = await download(hass, hass_client, entry, path)

    text = json.dumps(data)
    assert [secret for secret in IDENTIFYING if secret in text] == []
    sim = data if identifier == ICCID else data["sims"][0]
    assert sim["status"] == "INVENTORY"
    assert sim["usage"]["ctdDataUsage"] == 0
    assert sim["usage"]["ctdSessionCount"] is None
    assert sim["device"]["fixedIPAddress"] is None
    assert sim["device"]["ratePlan"] == "**REDACTED**"


async def test_failing_sim(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    set_up: SetUp,
    portal: MockPortal,
) -> None:
    """The diagnostics of a SIM that cannot be read say why."""
    portal.faults.add("status", iccid=OTHER_ICCID, status=500)
    entry = await set_up(OTHER_ICCID)

    (sim,) = (await download(hass, hass_client, entry))["sims"]

    assert sim["last_update_success"] is False
    assert sim["last_error"] == "UpdateFailed"
    assert sim["usage"] == {}


async def test_what_is_under_way(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    set_up: SetUp,
    portal: MockPortal,
) -> None:
    """Pending writes, refused requests and the health of the account are in the diagnostics."""
    portal.dialects["status_change"] = "never"
    portal.sims[ICCID].refused_routes = frozenset({"sessionInfo"})
    entry = await set_up(ICCID)
    sim = device_id(hass, entry, ICCID)
    await call_action(hass, "request_status_change", {"device_id": sim, "status": "activated"})
    await call_action(hass, "send_sms", {"device_id": sim, "message": "Meet me at ten"})

    data = await download(hass, hass_client, entry)

    assert data["is_connected"] is True
    assert data["last_error"] is None
    assert data["requests_in_last_hour"] == len(portal.journal)
    assert data["bulk_edits_without_report"] == 0
    (sim,) = data["sims"]
    assert sim["failing_routes"]["sessionInfo"]["is_refusal"]
    assert sim["status_request"]["status"] == "ACTIVATED"
    assert sim["status_request"]["requested_at"]
    assert sim["last_sent_sms"]["sms_id"] == "**REDACTED**"
    assert sim["last_sent_sms"]["has_ended"] is False
    text = json.dumps(data)
    assert [secret for secret in [*IDENTIFYING, "Meet me", "4711"] if secret in text] == []


async def test_fields_of_another_form(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, set_up: SetUp, portal: MockPortal
) -> None:
    """A field is shown only in the form that is expected there."""
    secret = "8931082322089353632"
    usage = {
        "iccid": ICCID,
        "ctdDataUsage": "12.5",
        "ctdSMSUsage": [secret],
        "ctdVoiceUsage": secret,
        "ctdSessionCount": {"iccid": secret},
        "status": {"iccid": secret, "msisdn": "3197044863841"},
        secret: True,
    }
    device = {
        "iccid": ICCID,
        "status": f"SIM {secret}",
        "dateActivated": "2023-06-23 11:14:37.998+0000",
        "dateCreated": f"2023-06-23 {secret}",
        "datasize": "GB",
        "globalSimType": secret,
        "isshared": "True",
    }
    portal.faults.add("status", route="ctdUsage", status=200, body=[usage])
    portal.faults.add("status", route="GetDevice", status=200, body=device)
    entry = await set_up(ICCID)

    (sim,) = (await download(hass, hass_client, entry))["sims"]

    assert secret not in json.dumps(sim)
    assert "3197044863841" not in json.dumps(sim)
    assert {name for name, value in sim["usage"].items() if value != "**REDACTED**"} == {
        "ctdDataUsage"
    }
    assert {name: value for name, value in sim["device"].items() if value != "**REDACTED**"} == {
        "dateActivated": "2023-06-23 11:14:37.998+0000",
        "datasize": "GB",
        "isshared": "True",
    }

"""Who may do what: users need the permissions that Home Assistant itself would ask for."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from homeassistant.auth.const import GROUP_ID_ADMIN, GROUP_ID_READ_ONLY, GROUP_ID_USER
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized, UnknownUser
from homeassistant.helpers import area_registry as ar, device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    WebSocketGenerator,
)

from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.dashboard import COMMAND
from custom_components.iot_portal.services import ACTIONS
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import device_id, send_sms, user_with

WRITES: Mapping[str, Mapping[str, Any]] = {
    "send_sms": {"message": "Hello"},
    "request_status_change": {"status": "deactivated"},
}
READS: Mapping[str, Mapping[str, Any]] = {
    "get_sim": {},
    "get_sms": {"sms_id": "4711"},
    "list_sms": {},
}
RAW: Mapping[str, Mapping[str, Any]] = {
    "edit_device": {"changes": {"customer": "Anna"}},
    "bulk_edit_devices": {"changes": {"status": "PURGED"}, "confirm_terminal": True},
    "update_rule": {"rule": {"a": 1}},
}
# What changes nothing at the portal, and is for administrators as well.
SETTINGS: Mapping[str, Mapping[str, Any]] = {"set_sim_settings": {"allowance": 500}}
ALL = {**WRITES, **READS, **RAW, **SETTINGS}
FOR_ADMINISTRATORS = {*RAW, *SETTINGS}


async def user_of(hass: HomeAssistant, group: str) -> MockUser:
    """Return a user of one of Home Assistant's groups."""
    found = await hass.auth.async_get_group(group)
    assert found is not None
    return MockUser(groups=[found]).add_to_hass(hass)


async def call(
    hass: HomeAssistant, entry: MockConfigEntry, action: str, context: Context, *iccids: str
) -> Any:
    """Call an action for SIMs, in the context of a user."""
    if action == "update_rule":
        target: dict[str, Any] = {"config_entry_id": entry.entry_id}
    else:
        target = {"device_id": [device_id(hass, entry, iccid) for iccid in iccids]}
    return await hass.services.async_call(
        DOMAIN,
        action,
        {**target, **ALL[action]},
        blocking=True,
        return_response=True,
        context=context,
    )


async def is_allowed(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    portal: MockPortal,
    action: str,
    user: MockUser | None,
    *iccids: str,
) -> bool:
    """Return whether a user may call an action; one that is refused reaches nothing of the portal."""
    await hass.async_block_till_done(wait_background_tasks=True)
    portal.journal.clear()
    context = Context(user_id=user.id if user else None)
    try:
        await call(hass, entry, action, context, *(iccids or (ICCID,)))
    except Unauthorized:
        assert len(portal.journal) == 0
        return False
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (len(portal.journal) > 0) is (action not in SETTINGS)
    return True


def test_every_action() -> None:
    """No action is left out here."""
    assert set(ALL) == set(ACTIONS)


@pytest.mark.parametrize("action", ALL)
async def test_actions(hass: HomeAssistant, set_up: SetUp, portal: MockPortal, action: str) -> None:
    """Administrators and automations may call every action, users control SIMs, and read-only users read them."""
    entry = await set_up(ICCID)
    await send_sms(hass, entry, ICCID)
    admin = await user_of(hass, GROUP_ID_ADMIN)
    user = await user_of(hass, GROUP_ID_USER)
    reader = await user_of(hass, GROUP_ID_READ_ONLY)

    allowed = [
        await is_allowed(hass, entry, portal, action, who) for who in (None, admin, user, reader)
    ]

    assert allowed == [True, True, action not in FOR_ADMINISTRATORS, action in READS]
    with pytest.raises(UnknownUser):
        await call(hass, entry, action, Context(user_id="nobody"), ICCID)


@pytest.mark.parametrize("by", ["device", "area", "entities"])
@pytest.mark.parametrize("action", [*WRITES, *READS, "bulk_edit_devices", "set_sim_settings"])
async def test_one_sim_only(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, action: str, by: str
) -> None:
    """A user who may control one SIM may not reach another, and nothing is sent if it is among those of a call."""
    entry = await set_up(ICCID, OTHER_ICCID)
    sim = device_id(hass, entry, ICCID)
    area = ar.async_get(hass).async_create("Pump house")
    dr.async_get(hass).async_update_device(sim, area_id=area.id)
    entities = er.async_entries_for_device(er.async_get(hass), sim)
    policy: dict[str, Any] = {
        "device": {"device_ids": {sim: True}},
        "area": {"area_ids": {area.id: True}},
        "entities": {"entity_ids": {entity.entity_id: True for entity in entities}},
    }
    user = user_with(hass, policy[by])
    await send_sms(hass, entry, ICCID)

    is_withheld = action in FOR_ADMINISTRATORS
    assert await is_allowed(hass, entry, portal, action, user, ICCID) is not is_withheld
    assert not await is_allowed(hass, entry, portal, action, user, OTHER_ICCID)
    assert not await is_allowed(hass, entry, portal, action, user, ICCID, OTHER_ICCID)


async def test_one_entity_only(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """Who may read one entity of a SIM may not read all that the portal reports of it."""
    entry = await set_up(ICCID)
    user = user_with(hass, {"entity_ids": {f"sensor.sim_{ICCID}_status": {"read": True}}})

    assert not await is_allowed(hass, entry, portal, "get_sim", user)


@pytest.mark.parametrize("action", ["get_sim", "send_sms"])
async def test_sim_without_entities(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, action: str
) -> None:
    """Without entities there is nothing that could be allowed: only administrators and automations go on."""
    entry = await set_up(ICCID)
    registry = er.async_get(hass)
    for entity in er.async_entries_for_device(registry, device_id(hass, entry, ICCID)):
        registry.async_remove(entity.entity_id)
    user = await user_of(hass, GROUP_ID_USER)

    assert not await is_allowed(hass, entry, portal, action, user)
    assert await is_allowed(hass, entry, portal, action, await user_of(hass, GROUP_ID_ADMIN))
    assert await is_allowed(hass, entry, portal, action, None)


@pytest.mark.parametrize(
    ("domain", "action", "key", "data"),
    [
        ("notify", "send_message", "send_sms", {"message": "Hello"}),
        ("switch", "turn_on", "active", {}),
        ("button", "press", "refresh", {}),
    ],
)
async def test_entities(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    all_entities: None,
    domain: str,
    action: str,
    key: str,
    data: dict[str, Any],
) -> None:
    """Home Assistant itself refuses whoever may not control an entity."""
    await set_up(ICCID)
    portal.journal.clear()
    data = {"entity_id": f"{domain}.sim_{ICCID}_{key}", **data}
    reader = await user_of(hass, GROUP_ID_READ_ONLY)

    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            domain, action, data, blocking=True, context=Context(user_id=reader.id)
        )

    assert len(portal.journal) == 0
    user = await user_of(hass, GROUP_ID_USER)
    await hass.services.async_call(
        domain, action, data, blocking=True, context=Context(user_id=user.id)
    )
    assert len(portal.journal) > 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/api/config/config_entries/flow"),
        ("post", "/api/config/config_entries/options/flow"),
        ("post", "/api/config/config_entries/subentries/flow"),
        ("post", "/api/repairs/issues/fix"),
        ("get", "/api/diagnostics/config_entry/{entry_id}"),
    ],
)
async def test_pages_of_administrators(
    hass: HomeAssistant,
    set_up: SetUp,
    hass_client: ClientSessionGenerator,
    hass_read_only_access_token: str,
    method: str,
    path: str,
) -> None:
    """Dialogs, repairs and diagnostics are for administrators; Home Assistant itself refuses others."""
    for component in ("config", "diagnostics", "repairs"):
        assert await async_setup_component(hass, component, {})
    entry = await set_up(ICCID)
    body: dict[str, dict[str, Any]] = {
        "post": {"json": {"handler": DOMAIN, "issue_id": "sim_gone", "user_input": None}},
        "get": {},
    }
    if "options" in path:
        body["post"]["json"] = {"handler": entry.entry_id}
    elif "subentries" in path:
        body["post"]["json"] = {"handler": [entry.entry_id, "sim"]}
    client = await hass_client(hass_read_only_access_token)

    response = await client.request(method, path.format(entry_id=entry.entry_id), **body[method])

    assert response.status == HTTPStatus.UNAUTHORIZED


async def dashboard_of(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, token: str
) -> dict[str, Any]:
    """Return the dashboard that a user gets."""
    client = await hass_ws_client(hass, token)
    await client.send_json_auto_id({"type": COMMAND})
    answer = await client.receive_json()
    assert answer["success"], answer
    result: dict[str, Any] = answer["result"]
    return result


async def test_dashboard(
    hass: HomeAssistant,
    set_up: SetUp,
    hass_ws_client: WebSocketGenerator,
    hass_read_only_user: MockUser,
    hass_read_only_access_token: str,
) -> None:
    """A user is shown what that user may read: neither names nor entities of anything else."""
    entry = await set_up(ICCID, OTHER_ICCID)
    mine = {f"sensor.sim_{ICCID}_status", f"event.sim_{ICCID}_sim_event"}
    hass_read_only_user.mock_policy(
        {"entities": {"entity_ids": {entity_id: {"read": True} for entity_id in mine}}}
    )

    shown = str(await dashboard_of(hass, hass_ws_client, hass_read_only_access_token))

    assert all(entity_id in shown for entity_id in mine)
    assert f"sensor.sim_{ICCID}_data_usage" not in shown
    assert OTHER_ICCID not in shown
    assert "demo_client" not in shown

    hass_read_only_user.mock_policy({})
    nothing = await dashboard_of(hass, hass_ws_client, hass_read_only_access_token)
    assert "Nothing to show yet" in str(nothing)
    assert entry.title not in str(nothing)

"""The actions: their requests, their responses, and the errors that a user reads."""

from contextlib import suppress
import logging
from traceback import format_exception
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.iot_portal.api import IotPortalClient
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.services import MAX_ERRORS
from mock_portal import MockPortal
from mock_portal.sim import Sim

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import add_sims, call_action, device_id, log_messages, name_sim, state_of


async def test_send_sms(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """An SMS is sent once and its ID returned."""
    entry = await set_up(ICCID)
    sim = device_id(hass, entry, ICCID)

    response = await call_action(hass, "send_sms", {"device_id": sim, "message": "Hello"})

    assert response == {
        "sims": [{"device_id": sim, "name": f"SIM {ICCID}", "iccid": ICCID, "sms_id": "4711"}]
    }
    portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")
    assert portal.journal.find("PUT", f"/SendSMS/{ICCID}/1")[0].body == {"messageText": "Hello"}


async def test_send_sms_to_many(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """Several SIMs get the SMS in one call, which needs no response."""
    entry = await set_up(ICCID, OTHER_ICCID)
    sims = [device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID)]

    response = await call_action(
        hass, "send_sms", {"device_id": sims, "message": "Hello"}, return_response=False
    )

    assert response is None
    for iccid in (ICCID, OTHER_ICCID):
        portal.journal.assert_called_once("PUT", f"/SendSMS/{iccid}/1")


@pytest.mark.parametrize("status", ["activated", "ACTIVATED", " activated "])
async def test_status_change(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, status: str
) -> None:
    """A status is requested in the portal's spelling, and the sensor follows."""
    entry = await set_up(ICCID)

    response = await call_action(
        hass,
        "request_status_change",
        {"device_id": device_id(hass, entry, ICCID), "status": status},
    )

    assert response["sims"][0]["status"] == "ACTIVATED"
    portal.journal.assert_called_once("PUT", f"/RequestStatusChange/{ICCID}")
    assert state_of(hass, ICCID, "status") == "activated"


@pytest.mark.parametrize(
    ("action", "data", "says"),
    [
        ("send_sms", {"message": ""}, "The SMS has no text. Enter a message"),
        ("send_sms", {"message": "  \n"}, "The SMS has no text. Enter a message"),
        (
            "send_sms",
            {"message": "x" * 161},
            "has 161 characters, but a single SMS holds at most 160",
        ),
        (
            "send_sms",
            {"message": "x" * 159 + "€"},
            "has 161 characters, but a single SMS holds at most 160",
        ),
        ("send_sms", {"message": "ж" * 71}, "has 71 characters, but a single SMS holds at most 70"),
        ("request_status_change", {"status": " "}, "No status was given"),
        ("request_status_change", {"status": "retired"}, "Retired cannot be undone"),
        ("edit_device", {"changes": {}}, "No changes were given"),
        ("edit_device", {"changes": {"status": "PURGED"}}, "Purged cannot be undone"),
    ],
)
async def test_bad_input(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    action: str,
    data: dict[str, Any],
    says: str,
) -> None:
    """Bad input is refused before anything is sent."""
    entry = await set_up(ICCID)
    portal.journal.clear()

    with pytest.raises(ServiceValidationError, match=says):
        await call_action(hass, action, {"device_id": device_id(hass, entry, ICCID), **data})

    assert len(portal.journal) == 0


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({}, "The target contains no SIM of the IoT Portal. Select SIMs"),
        ({"device_id": []}, "The target contains no SIM"),
        ({"device_id": "none"}, "The target contains no SIM"),
        ({"entity_id": "all"}, "The target contains no SIM"),
        (
            {"area_id": "cellar"},
            "cannot find this part of the target: cellar. Select the SIMs again",
        ),
        ({"floor_id": "third"}, "cannot find this part of the target: third"),
        ({"label_id": ["cameras", "boats"]}, "cannot find .*: boats, cameras"),
        ({"entity_id": "sensor.nothing"}, "cannot find .*: sensor.nothing"),
        ({"device_id": [ICCID]}, "cannot find this part of the target: …3632"),
    ],
)
async def test_no_sim(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, target: dict[str, Any], says: str
) -> None:
    """A target without a SIM is refused before anything is sent."""
    await set_up(ICCID)
    portal.journal.clear()

    with pytest.raises(ServiceValidationError, match=says) as raised:
        await call_action(hass, "send_sms", {**target, "message": "Hello"})

    assert ICCID not in str(raised.value)
    assert len(portal.journal) == 0


async def test_account_as_target(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """An account does not stand for its SIMs: a write goes to SIMs that were chosen, beside it too."""
    entry = await set_up(ICCID, OTHER_ICCID)
    account, sim = device_id(hass, entry, entry.entry_id), device_id(hass, entry, ICCID)

    with pytest.raises(
        ServiceValidationError, match="Selecting an account does not select its SIMs"
    ):
        await call_action(hass, "send_sms", {"device_id": account, "message": "Hello"})
    await call_action(hass, "send_sms", {"device_id": [account, sim], "message": "Hello"})

    portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")
    portal.journal.assert_not_called("PUT", f"/SendSMS/{OTHER_ICCID}/1")


@pytest.mark.parametrize(
    "kind", ["entity", "device", "area", "floor", "label", "label of an entity"]
)
async def test_target(hass: HomeAssistant, set_up: SetUp, portal: MockPortal, kind: str) -> None:
    """A SIM is found by everything that a target can name."""
    entry = await set_up(ICCID, OTHER_ICCID)

    response = await call_action(
        hass, "send_sms", {**name_sim(hass, entry, ICCID, kind), "message": "Hello"}
    )

    assert [sim["iccid"] for sim in response["sims"]] == [ICCID]
    portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")


async def test_mixed_target(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a target with more than SIMs each SIM gets one SMS, and what does not exist is logged."""
    entry = await set_up(ICCID, OTHER_ICCID)
    hass.states.async_set("light.lamp", "on")
    sims = er.async_entries_for_device(er.async_get(hass), device_id(hass, entry, ICCID))
    target = name_sim(hass, entry, ICCID, "label") | {
        "device_id": [device_id(hass, entry, OTHER_ICCID), device_id(hass, entry, ICCID)],
        "entity_id": ["light.lamp", "switch.gone", sims[0].entity_id, sims[1].entity_id],
    }

    response = await call_action(hass, "send_sms", {**target, "message": "Hello"})

    assert [sim["iccid"] for sim in response["sims"]] == [OTHER_ICCID, ICCID]
    for iccid in (ICCID, OTHER_ICCID):
        portal.journal.assert_called_once("PUT", f"/SendSMS/{iccid}/1")
    (message,) = [text for text in log_messages(caplog) if "send_sms" in text]
    assert "switch.gone" in message
    assert "light.lamp" not in message


async def test_devices_of_others(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """What else is in an area does not matter, whatever its identifiers look like."""
    entry = await set_up(ICCID)
    target = name_sim(hass, entry, ICCID, "area")
    other = MockConfigEntry(domain="other")
    other.add_to_hass(hass)
    identifiers: Any = {("other", "a", "b")}
    registry = dr.async_get(hass)
    device = registry.async_get_or_create(config_entry_id=other.entry_id, identifiers=identifiers)
    registry.async_update_device(device.id, area_id=target["area_id"])

    await call_action(hass, "send_sms", {**target, "message": "Hello"})

    portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")


async def test_account_not_loaded(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """A SIM whose account is not loaded fails, and the others of the target are served."""
    entry = await set_up(ICCID)
    async with MockPortal({"extends": "documented", "sims": {OTHER_ICCID: {}}}) as other_portal:
        other = await set_up(OTHER_ICCID, base_url=other_portal.url)
        sims = [device_id(hass, entry, ICCID), device_id(hass, other, OTHER_ICCID)]
        await hass.config_entries.async_unload(other.entry_id)

        response = await call_action(hass, "send_sms", {"device_id": sims, "message": "Hello"})

        assert response["sims"][0]["sms_id"] == "4711"
        assert "not loaded" in response["sims"][1]["error"]
        with pytest.raises(ServiceValidationError, match="not loaded"):
            await call_action(hass, "send_sms", {"device_id": sims[1], "message": "Hello"})


async def test_only_the_sim_that_triggered(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Outside of an automation that a SIM has triggered there is none to act on."""
    entry = await set_up(ICCID)
    data = {"device_id": device_id(hass, entry, ICCID), "only_triggering_sim": True}

    with pytest.raises(ServiceValidationError, match="not triggered by a SIM in the target"):
        await call_action(hass, "send_sms", {**data, "message": "Hello"})

    portal.journal.assert_not_called("PUT", f"/SendSMS/{ICCID}/1")


async def test_unknown_status(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """An unknown status is refused with a list of the known ones."""
    entry = await set_up(ICCID)

    with pytest.raises(HomeAssistantError) as raised:
        await call_action(
            hass,
            "request_status_change",
            {"device_id": device_id(hass, entry, ICCID), "status": "Sleeping"},
        )

    assert f"did not accept the status Sleeping for SIM …{ICCID[-4:]}" in str(raised.value)
    assert "ACTIVATED, DEACTIVATED" in str(raised.value)
    assert "Activated (activated), Deactivated (deactivated)" in str(raised.value)
    assert portal.sims[ICCID].status == "INVENTORY"


# Without words of the portal, nobody knows what has become of a write.
REFUSAL = {"errorMessage": "This cannot be done"}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "reset_after_read"}, "It may have been carried out, and it was not repeated"),
        (
            {"kind": "status", "status": 504},
            "It may have been carried out, and it was not repeated",
        ),
        (
            {"kind": "status", "status": 500},
            "It may have been carried out, and it was not repeated",
        ),
        ({"kind": "maintenance_page"}, "It may have been carried out, and it was not repeated"),
        ({"kind": "rate_limited"}, "It may have been carried out, and it was not repeated"),
        ({"kind": "status", "status": 429, "body": REFUSAL}, "is receiving too many requests"),
        ({"kind": "status", "status": 403, "body": REFUSAL}, "does not allow this for SIM"),
        ({"kind": "status", "status": 404, "body": REFUSAL}, "does not know SIM"),
        (
            {"kind": "status", "status": 400, "body": {"errorMessage": "Too long."}},
            f"The IoT Portal answered the request for SIM …{ICCID[-4:]} with an error: “Too long”",
        ),
    ],
)
async def test_portal_fails(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, fault: dict[str, Any], says: str
) -> None:
    """A failure raises a translated error, the SMS was sent at most once, and the next one works."""
    entry = await set_up(ICCID)
    portal.faults.add(route="SendSMS", **fault)
    data = {"device_id": device_id(hass, entry, ICCID), "message": "Hello"}

    with pytest.raises(HomeAssistantError) as raised:
        await call_action(hass, "send_sms", data)

    assert says in str(raised.value)
    assert ".." not in str(raised.value)
    portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")

    portal.faults.clear()
    assert (await call_action(hass, "send_sms", data))["sims"][0]["sms_id"]


async def test_secret_refused(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """Refused credentials fail the action and start a reauthentication."""
    entry = await set_up(ICCID)
    portal.state.accounts["demo-client"].secret_key = "changed"
    portal.state.revoke_tokens()

    with pytest.raises(HomeAssistantError, match="refused the credentials of demo-client"):
        await call_action(
            hass, "send_sms", {"device_id": device_id(hass, entry, ICCID), "message": "Hello"}
        )

    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["step_id"] == "reauth_confirm"


async def test_some_sims_fail(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """A SIM that fails does not prevent the SMS to others; the response says which failed."""
    entry = await set_up(ICCID, OTHER_ICCID)
    portal.faults.add("status", route="SendSMS", iccid=ICCID, status=404, body=REFUSAL)
    data = {
        "device_id": [device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID)],
        "message": "Hello",
    }

    failed, sent = (await call_action(hass, "send_sms", data))["sims"]

    assert "does not know" in failed["error"]
    assert sent["sms_id"]
    with pytest.raises(HomeAssistantError, match=r"1 of 2 SIMs failed\. The IoT Portal does not"):
        await call_action(hass, "send_sms", data, return_response=False)


async def test_sim_is_removed_meanwhile(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SIM that is removed while others are sent an SMS does not prevent the SMS to the rest."""
    third = "8931080000000000029"
    portal.state.add_sim(Sim(iccid=third))
    entry = await set_up(ICCID, OTHER_ICCID, third)
    removed = next(each for each in entry.subentries.values() if each.unique_id == OTHER_ICCID)
    send = IotPortalClient.send_sms

    async def send_sms(self: IotPortalClient, iccid: str, message: str) -> str | None:
        if iccid == ICCID:
            hass.config_entries.async_remove_subentry(entry, removed.subentry_id)
        return await send(self, iccid, message)

    monkeypatch.setattr(IotPortalClient, "send_sms", send_sms)
    sims = [device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID, third)]
    response = await call_action(hass, "send_sms", {"device_id": sims, "message": "Hello"})

    assert [bool(sim.get("sms_id")) for sim in response["sims"]] == [True, False, True]
    assert "it was removed from Home Assistant in the meantime" in response["sims"][1]["error"]


async def test_all_sims_fail(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """The action fails when no SMS was sent, also if a response was requested."""
    entry = await set_up(ICCID, OTHER_ICCID)
    portal.faults.add("status", route="SendSMS", status=404)

    with pytest.raises(HomeAssistantError, match="2 of 2 SIMs failed"):
        await call_action(
            hass,
            "send_sms",
            {
                "device_id": [device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID)],
                "message": "Hello",
            },
        )


async def test_many_sims_fail(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """The error has a sentence for each of the first SIMs that failed, and one for all that share a reason."""
    iccids = [f"89310800000000001{number:02}" for number in range(12)]
    for iccid in iccids:
        portal.state.add_sim(Sim(iccid=iccid))
    entry = await set_up(*iccids)
    sims = [device_id(hass, entry, iccid) for iccid in iccids]
    portal.faults.add("status", route="SendSMS", status=404, body=REFUSAL)

    with pytest.raises(HomeAssistantError, match=r"^12 of 12 SIMs failed\. The ") as raised:
        await call_action(hass, "send_sms", {"device_id": sims, "message": "Hello"})
    assert str(raised.value).count("does not know") == MAX_ERRORS < len(iccids)
    assert str(raised.value).count(". The IoT Portal") == MAX_ERRORS
    assert str(raised.value).endswith(" …")

    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(HomeAssistantError, match=r"12 of 12 SIMs failed\. \S") as raised:
        await call_action(hass, "send_sms", {"device_id": sims, "message": "Hello"})
    assert str(raised.value).count("is not loaded") == 1


@pytest.mark.parametrize("message", ["x" * 160, "ж" * 70, "x" * 158 + "€", "line\nbreak"])
async def test_longest_sms(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, message: str
) -> None:
    """A text of the maximum length is sent unchanged."""
    entry = await set_up(ICCID)

    await call_action(
        hass, "send_sms", {"device_id": device_id(hass, entry, ICCID), "message": message}
    )

    (sent,) = portal.journal.find("PUT", f"/SendSMS/{ICCID}/1")
    assert sent.body == {"messageText": message}


async def test_terminal_status(hass: HomeAssistant, set_up: SetUp) -> None:
    """A terminal status is requested only with a confirmation."""
    entry = await set_up(ICCID)

    await call_action(
        hass,
        "request_status_change",
        {
            "device_id": device_id(hass, entry, ICCID),
            "status": "retired",
            "confirm_terminal": True,
        },
    )

    assert state_of(hass, ICCID, "status") == "retired"


async def test_no_number_in_full(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, caplog: pytest.LogCaptureFixture
) -> None:
    """No error of an action holds a whole number: not for who called it, and not in Home Assistant's log."""
    caplog.set_level(logging.INFO)
    numbers = (ICCID, OTHER_ICCID, "3197000000011", "204080000000011", "100.64.7.7")
    entry = await set_up()
    await add_sims(hass, entry.entry_id, f"{ICCID} {OTHER_ICCID}")
    portal.faults.add(
        "status",
        route="SendSMS",
        iccid=OTHER_ICCID,
        status=400,
        body={"errorMessage": f"Refused for {' '.join(numbers)}"},
    )
    sims = [device_id(hass, entry, iccid) for iccid in (OTHER_ICCID, ICCID)]
    data = {"device_id": sims, "message": "Hello"}
    alone = {**data, "device_id": sims[0]}
    automation = {
        "alias": "Send",
        "triggers": {"trigger": "event", "event_type": "send_it"},
        "actions": {"action": f"{DOMAIN}.send_sms", "data": alone},
    }
    assert await async_setup_component(hass, "automation", {"automation": automation})
    response = await call_action(hass, "send_sms", data)
    with pytest.raises(HomeAssistantError) as raised:
        await call_action(hass, "send_sms", alone)
    with pytest.raises(HomeAssistantError) as unknown:
        await call_action(
            hass, "request_status_change", {"device_id": sims[0], "status": "8931080000000000999"}
        )
    hass.bus.async_fire("send_it")
    await hass.async_block_till_done(wait_background_tasks=True)

    logged = [record for record in caplog.records if "SIM …0011" in record.getMessage()]
    assert any(record.levelno == logging.ERROR for record in logged)
    for text in (
        response["sims"][0]["error"],
        str(raised.value),
        *format_exception(raised.value),
        str(unknown.value),
        *(
            record.getMessage()
            for record in caplog.records
            if record.levelno > logging.DEBUG and "aiohttp" not in record.name
        ),
    ):
        assert not [number for number in (*numbers, "8931080000000000999") if number in text]


@pytest.mark.parametrize("action", ["edit_device", "bulk_edit_devices", "update_rule"])
@pytest.mark.parametrize(
    "fields",
    [
        {"Status": "RETIRED"},
        {"STATUS": "Retired"},
        {"simStatus": "RETIRED"},
        {"sim_status": "purged"},
        {"SIM_STATUS": " retired "},
        {"state": "Replaced."},
        {"status": ["RETIRED"]},
        {"status": {"new": "PURGED"}},
        {"status": {"PURGED": True}},
        {"device": {"changes": [{"field": "x", "value": "RETIRED"}]}},
        {"status": "ACTIVATED", "Status": "RETIRED"},
        {"actions": [{"type": "CHANGE_STATUS", "to": "retired"}]},
    ],
    ids=str,
)
async def test_terminal_status_anywhere(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, action: str, fields: dict[str, Any]
) -> None:
    """A terminal status needs a confirmation whatever its field is called, and however it is written."""
    entry = await set_up(ICCID)
    portal.journal.clear()
    data = (
        {"config_entry_id": entry.entry_id, "rule": fields}
        if action == "update_rule"
        else {"device_id": device_id(hass, entry, ICCID), "changes": fields}
    )

    with pytest.raises(ServiceValidationError, match="cannot be undone"):
        await call_action(hass, action, data)
    assert len(portal.journal) == 0

    # The mock portal refuses fields that it does not know.
    with suppress(HomeAssistantError):
        await call_action(hass, action, {**data, "confirm_terminal": True})
    assert [exchange.method for exchange in portal.journal].count("PUT") == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"customer": "The retired lighthouse keeper"},
        {"simNotes": "Replaced the SIM of 2024"},
        {"status": "DEACTIVATED"},
        {"customer": None},
    ],
    ids=str,
)
async def test_no_terminal_status(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, fields: dict[str, Any]
) -> None:
    """A text in which such a word occurs is no status, and needs no confirmation."""
    entry = await set_up(ICCID)

    await call_action(
        hass, "edit_device", {"device_id": device_id(hass, entry, ICCID), "changes": fields}
    )

    portal.journal.assert_called_once("PUT", f"/EditDevice/{ICCID}")


@pytest.mark.parametrize(
    "fields", [{"Status": "ACTIVATED"}, {"simStatus": "ACTIVATED"}, {"status": ["ACTIVATED"]}]
)
async def test_status_that_is_not_certain(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, fields: dict[str, Any]
) -> None:
    """A status is followed only under the name that the portal documents: others may mean anything."""
    entry = await set_up(ICCID)
    portal.faults.add("status", route="EditDevice", status=200, body={"success": True})

    await call_action(
        hass, "edit_device", {"device_id": device_id(hass, entry, ICCID), "changes": fields}
    )

    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_change_pending", "off")
    assert entry.runtime_data.account.pending_writes.of(ICCID).status_request is None


async def test_edit_device(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """Fields are changed under the portal's names, with the same rules for a status."""
    entry = await set_up(ICCID)

    response = await call_action(
        hass,
        "edit_device",
        {
            "device_id": device_id(hass, entry, ICCID),
            "changes": {"status": "activated", "ratePlan": "Another"},
        },
    )

    assert response["sims"][0]["answer"] == {"iccid": ICCID}
    portal.journal.assert_called_once("PUT", f"/EditDevice/{ICCID}")
    assert state_of(hass, ICCID, "status") == "activated"
    assert state_of(hass, ICCID, "rate_plan") == "Another"


async def test_get_sim(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """All data of the portal are returned; a refused part is missing, without an error."""
    portal.sims[ICCID].refused_routes = frozenset({"sessionInfo"})
    entry = await set_up(ICCID)

    response = await call_action(hass, "get_sim", {"device_id": device_id(hass, entry, ICCID)})

    (sim,) = response["sims"]
    assert sim["status"] == "INVENTORY"
    assert sim["usage"]["ctdDataUsage"] == 0
    assert sim["device"]["zh_q_id"] == "test12345"
    assert sim["session"] is None


async def test_get_sim_whose_status_is_not_told_alone(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Where getStatus is refused, the status is taken from the usage."""
    portal.sims[ICCID].refused_routes = frozenset({"getStatus"})
    entry = await set_up(ICCID)

    response = await call_action(hass, "get_sim", {"device_id": device_id(hass, entry, ICCID)})

    assert response["sims"][0]["status"] == "INVENTORY"


async def test_sms_that_was_sent(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """A sent SMS can be listed and read with its status."""
    entry = await set_up(OTHER_ICCID)
    sim = device_id(hass, entry, OTHER_ICCID)
    sent = await call_action(hass, "send_sms", {"device_id": sim, "message": "Hello"})
    sms_id = sent["sims"][0]["sms_id"]
    portal.clock.advance(60)

    listed = await call_action(hass, "list_sms", {"device_id": sim})
    found = await call_action(hass, "get_sms", {"device_id": sim, "sms_id": sms_id})

    assert listed["sims"][0]["sms_ids"] == [sms_id]
    assert found["sims"][0]["sms"]["status"] == "Delivered"
    with pytest.raises(HomeAssistantError, match="does not know an SMS with the ID 1"):
        await call_action(hass, "get_sms", {"device_id": sim, "sms_id": "1"})
    for bad in ("..", "4711/1", "4711?", "4711\r\nX: y", "\u0664711", ""):
        with pytest.raises(
            HomeAssistantError, match=r"Nothing was sent for .* is not a valid identifier"
        ):
            await call_action(hass, "get_sms", {"device_id": sim, "sms_id": bad})
    assert {exchange.path for exchange in portal.journal.find(route="GetSMS")} == {
        f"/GetSMS/{sms_id}",
        "/GetSMS/1",
    }


async def test_iccid_that_is_none(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """A SIM with a damaged stored ICCID is neither read nor sent an SMS."""
    entry = await set_up("../Login")
    sim = device_id(hass, entry, "../Login")

    with pytest.raises(HomeAssistantError, match=r"Nothing was sent for SIM ../Login: '../Login'"):
        await call_action(hass, "send_sms", {"device_id": sim, "message": "Hello"})

    assert {exchange.route for exchange in portal.journal} == {"Login"}


async def test_long_text_in_an_error(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """An error quotes the beginning of a long text, in one line."""
    entry = await set_up(ICCID)
    data = {"device_id": device_id(hass, entry, ICCID), "status": "no\nstatus " * 1000}

    with pytest.raises(HomeAssistantError, match="did not accept the status no status") as raised:
        await call_action(hass, "request_status_change", data)

    assert len(str(raised.value)) < 2000
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("send_sms", {"message": "\ud83d"}),
        ("request_status_change", {"status": "\ud83d"}),
        ("edit_device", {"changes": {"status": "\ud83d"}}),
        ("bulk_edit_devices", {"changes": {"simNotes": [{"\ud83d": 1}]}}),
        ("update_rule", {"rule": {"name": "\ud83d\ude00"}}),
    ],
)
async def test_half_a_character(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, action: str, data: dict[str, Any]
) -> None:
    """Half an emoji, as an escape in a template is, is refused, and later actions work."""
    entry = await set_up(ICCID)
    sim = {"device_id": device_id(hass, entry, ICCID)}
    target = {"config_entry_id": entry.entry_id} if action == "update_rule" else sim

    with pytest.raises(vol.Invalid, match="half a character"):
        await call_action(hass, action, target | data)
    assert not portal.journal.find("PUT")

    await call_action(hass, "request_status_change", {**sim, "status": "activated"})
    await call_action(hass, "send_sms", {**sim, "message": "Hello"})
    assert len(portal.journal.find("PUT")) == 2


async def test_half_a_character_in_a_notification(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """The notify entity refuses half an emoji too."""
    await set_up(ICCID)

    with pytest.raises(HomeAssistantError, match="Nothing was sent for"):
        await hass.services.async_call(
            "notify",
            "send_message",
            {"entity_id": f"notify.sim_{ICCID}_send_sms", "message": "\ud83d"},
            blocking=True,
        )
    assert not portal.journal.find("PUT")


async def test_changes_that_are_no_json(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Values that cannot be sent as JSON raise an error, and no edit is pending."""
    entry = await set_up(ICCID)
    data = {"device_id": device_id(hass, entry, ICCID), "changes": {"simNotes": {"a": b"bytes"}}}

    for action in ("edit_device", "bulk_edit_devices"):
        with pytest.raises(HomeAssistantError, match="Nothing was sent for"):
            await call_action(hass, action, data)

    assert {exchange.method for exchange in portal.journal} == {"GET", "POST"}
    assert not entry.runtime_data.account.pending_writes.bulk_edits

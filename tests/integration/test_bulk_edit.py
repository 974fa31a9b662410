"""Bulk edits: one request for many SIMs, and a report that only the portal can send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from copy import deepcopy
from datetime import timedelta
import logging
import re
import tracemalloc
from typing import Any
import zlib

from aiohttp import ClientError, ClientTimeout
from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
from yarl import URL

from custom_components.iot_portal import bulk_edit
from custom_components.iot_portal.bulk_edit import MAX_REPORT_BYTES
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.follow_up import PATIENCE, QUICK_CHECKS
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import (
    advance_time,
    bulk_edit_event,
    call_action,
    device_id,
    edit_sims,
    poll,
    record_events,
    report_bulk_edit,
    request_status_change,
    sent_bulk_edit,
    state_of,
    until_reported,
    wait_for_requests,
)


@pytest.mark.parametrize("webhook", ["summary", "per_sim", "get"])
async def test_reported(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    reachable: Any,
    webhook: str,
) -> None:
    """The portal reports the end, in any form, and the SIMs are then read."""
    portal.dialects["bulk_webhook"] = webhook
    entry = await set_up(ICCID, OTHER_ICCID)

    response = await edit_sims(hass, entry)

    (account,) = response["accounts"]
    body = sent_bulk_edit(portal)
    assert body["update"] == {"status": "DEACTIVATED"}
    assert body["iccids"] == [ICCID, OTHER_ICCID]
    assert account["queue_id"] == body["queueId"]
    assert [sim["iccid"] for sim in account["sims"]] == [ICCID, OTHER_ICCID]
    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_change_pending", STATE_ON)

    await until_reported(hass, portal)

    event = bulk_edit_event(hass)
    assert event["event_type"] == "finished"
    assert event["queue_id"] == body["queueId"]
    assert event["sims"] == 2
    assert event["failed_sims"] == []
    assert state_of(hass, ICCID, "status") == "deactivated"
    assert state_of(hass, OTHER_ICCID, "status") == "deactivated"
    assert not hass.data["webhook"]


async def test_reported_once(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    reachable: Any,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
) -> None:
    """An edit that was reported is forgotten on the disk too, and does not time out."""
    portal.dialects["bulk_webhook"] = "silent"
    entry = await set_up(ICCID, OTHER_ICCID)
    await edit_sims(hass, entry, data={"changes": {"simNotes": "Spare"}})
    body = sent_bulk_edit(portal)

    await report_bulk_edit(hass, reachable, (URL(body["webhookUrl"]).path, body["queueId"]))
    await advance_time(hass, freezer, timedelta(seconds=1))

    assert hass_storage[f"{DOMAIN}.{entry.entry_id}"]["data"]["bulk_edits"] == []
    await advance_time(hass, freezer, PATIENCE)
    assert bulk_edit_event(hass)["event_type"] == "finished"


async def test_two_reports_at_once(
    hass: HomeAssistant,
    reachable: Any,
    waited_for: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A report that another overtakes is ignored."""
    path, queue_id = waited_for

    async def slow_report() -> AsyncIterator[bytes]:
        yield queue_id.encode()
        await overtaken.wait()
        yield b" FAILED"

    overtaken = asyncio.Event()
    slow = asyncio.ensure_future(reachable.post(path, data=slow_report()))
    await asyncio.sleep(0.05)
    await report_bulk_edit(hass, reachable, waited_for)
    caplog.clear()
    overtaken.set()
    await slow
    await hass.async_block_till_done(wait_background_tasks=True)

    assert bulk_edit_event(hass)["event_type"] == "finished"
    assert said(caplog) == []


async def test_report_without_a_removed_sim(
    hass: HomeAssistant, portal: MockPortal, reachable: Any, waited_for: tuple[str, str]
) -> None:
    """When a SIM was removed since the edit, the others are still read after the report."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    (subentry,) = [sub for sub in entry.subentries.values() if sub.unique_id == ICCID]
    hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    portal.journal.clear()

    await report_bulk_edit(hass, reachable, waited_for)

    portal.journal.assert_called_once("GET", f"/getStatus/{OTHER_ICCID}")
    assert not portal.journal.find("GET", f"/getStatus/{ICCID}")


@pytest.mark.parametrize(
    ("padding", "is_read"), [(b"\xff", True), (b"x" * 256 * 1024, False), (b"", True)]
)
async def test_report_of_any_bytes(
    hass: HomeAssistant,
    reachable: Any,
    waited_for: tuple[str, str],
    padding: bytes,
    is_read: bool,
) -> None:
    """A report of up to 256 kB is read, whatever else is in it."""
    path, queue_id = waited_for
    report = queue_id.encode() + padding
    if not padding:
        report = report.ljust(256 * 1024)
    elif not is_read:
        report = report[: 256 * 1024 + 1]

    await reachable.post(path, data=report)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert bulk_edit_event(hass)["event_type"] == ("finished" if is_read else None)


async def test_report_in_a_list(
    hass: HomeAssistant, reachable: Any, waited_for: tuple[str, str]
) -> None:
    """A report that is a list has no status, but ends the edit."""
    path, queue_id = waited_for

    await reachable.post(path, json=[queue_id])
    await hass.async_block_till_done(wait_background_tasks=True)

    event = bulk_edit_event(hass)
    assert (event["event_type"], event["status"], event["failed_sims"]) == ("finished", None, [])


async def test_some_failed(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, reachable: Any
) -> None:
    """A report names the SIMs that could not be edited."""
    portal.dialects["bulk_webhook"] = "per_sim"
    portal.sims[ICCID].set_status("RETIRED")
    entry = await set_up(ICCID, OTHER_ICCID)
    await edit_sims(hass, entry)

    await until_reported(hass, portal)

    assert bulk_edit_event(hass)["event_type"] == "failed"
    assert bulk_edit_event(hass)["failed_sims"] == [ICCID]


async def test_no_external_url(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Without an external URL no report is possible, and the response says so; polls follow the status."""
    entry = await set_up(ICCID, OTHER_ICCID)

    response = await edit_sims(hass, entry)

    assert response["accounts"][0]["queue_id"] is None
    assert "webhookUrl" not in sent_bulk_edit(portal)
    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_change_pending", STATE_ON)
    portal.clock.advance(portal.state.timings.bulk_seconds + 1)
    portal.journal.clear()
    await advance_time(hass, freezer, timedelta(minutes=6))
    assert len(portal.journal) == 0
    await poll(hass, freezer)
    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_change_pending", STATE_OFF)
    assert state_of(hass, ICCID, "status") == "deactivated"
    assert not portal.journal.find("GET", f"/getStatus/{ICCID}")
    await advance_time(hass, freezer, PATIENCE)
    assert bulk_edit_event(hass)["event_type"] is None


async def test_uninvited(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, reachable: Any
) -> None:
    """A report without the queue ID changes nothing and reveals nothing; a second report is ignored."""
    portal.dialects["bulk_webhook"] = "silent"
    entry = await set_up(ICCID, OTHER_ICCID)
    await edit_sims(hass, entry)
    body = sent_bulk_edit(portal)
    path = URL(body["webhookUrl"]).path

    for arguments in (
        {"json": {"queueId": "guessed", "status": "COMPLETED"}},
        {"data": b"\xff\x00"},
        {"data": body["queueId"].encode() + b"x" * MAX_REPORT_BYTES},
        {"json": [body["queueId"][:-1]]},
    ):
        response = await reachable.post(path, **arguments)
        assert (response.status, await response.text()) == (200, "")
    assert bulk_edit_event(hass)["event_type"] is None
    assert (await reachable.head(path)).status == 200

    for status in ("FAILED", "COMPLETED"):
        report = {"queueId": body["queueId"], "status": status}
        response = await reachable.post(path, json=report)
        assert (response.status, await response.text()) == (200, "")
    assert bulk_edit_event(hass)["event_type"] == "failed"
    assert bulk_edit_event(hass)["status"] == "FAILED"


@pytest.fixture
async def waited_for(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, reachable: Any
) -> tuple[str, str]:
    """Return the webhook path and queue ID of a bulk edit without a report."""
    portal.dialects["bulk_webhook"] = "silent"
    await edit_sims(hass, await set_up(ICCID, OTHER_ICCID))
    body = sent_bulk_edit(portal)
    return URL(body["webhookUrl"]).path, body["queueId"]


async def answer_to(reachable: Any, method: str, path: str) -> tuple[int, str, dict[str, str]]:
    """Return the status, body and headers of a response, except for its date."""
    response = await reachable.request(method, path, data=None if method == "HEAD" else b"{}")
    headers = {name: value for name, value in response.headers.items() if name != "Date"}
    return response.status, await response.text(), headers


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_webhook_tells_nothing(
    hass: HomeAssistant, reachable: Any, waited_for: tuple[str, str], method: str
) -> None:
    """A webhook in use cannot be told from one that is closed or never existed."""
    path, _ = waited_for
    unknown = f"{path[:-64]}{'0' * 64}"
    assert await answer_to(reachable, method, path) == await answer_to(reachable, method, unknown)

    await report_bulk_edit(hass, reachable, waited_for)

    assert await answer_to(reachable, method, path) == await answer_to(reachable, method, unknown)


async def test_ids_cannot_be_guessed(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, reachable: Any
) -> None:
    """Each edit has a webhook and queue ID of its own, too long to be guessed."""
    portal.dialects["bulk_webhook"] = "silent"
    entry = await set_up(ICCID)
    for _ in range(3):
        await edit_sims(hass, entry, [ICCID])

    bodies: list[Any] = [call.body for call in portal.journal.find("PUT", "/BulkEditDevice")]
    hooks = {URL(body["webhookUrl"]).name for body in bodies}
    queues = {body["queueId"] for body in bodies}
    assert len(hooks) == len(queues) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", hook) for hook in hooks)
    assert all(re.fullmatch("[0-9a-f]{32}", queue) for queue in queues)


async def raw(reachable: Any, *parts: bytes) -> bytes:
    """Send bytes to Home Assistant, close the connection, and return the response."""
    url = reachable.make_url("")
    reader, writer = await asyncio.open_connection(url.host, url.port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log messages above debug level of Home Assistant and the integration."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno > logging.DEBUG
        and record.name.startswith(("homeassistant", "custom_components"))
    ]


async def test_broken_requests(
    hass: HomeAssistant,
    reachable: Any,
    waited_for: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A malformed request ends nothing and is not logged, in particular not with the webhook ID."""
    monkeypatch.setattr(bulk_edit, "REPORT_TIMEOUT", 0.1)
    path, queue_id = waited_for
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode()
    caplog.clear()
    caplog.set_level(logging.INFO)

    await raw(reachable, head + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone")
    await raw(reachable, head + b"Transfer-Encoding: chunked\r\n\r\n", b"nothing like a chunk\r\n")
    await raw(reachable, head + b"Content-Length: 1000\r\n\r\n", queue_id.encode())
    stalled = asyncio.create_task(
        reachable.post(path, data=never_ending(queue_id), timeout=ClientTimeout(5))
    )
    response = await stalled
    assert response.status == 200
    await hass.async_block_till_done(wait_background_tasks=True)

    assert bulk_edit_event(hass)["event_type"] is None
    assert said(caplog) == []
    await report_bulk_edit(hass, reachable, waited_for)
    assert bulk_edit_event(hass)["event_type"] == "finished"


async def never_ending(queue_id: str) -> AsyncIterator[bytes]:
    """Yield the body of a report that stalls."""
    yield queue_id.encode()
    await asyncio.sleep(1)


async def test_flood(
    hass: HomeAssistant,
    reachable: Any,
    waited_for: tuple[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Hundreds of wrong reports at once, including large and compressed ones, fill neither memory nor log."""
    path, _ = waited_for
    large, packed = b"x" * (2 * 1024 * 1024), zlib.compress(b"x" * (8 * 1024 * 1024), 9)
    caplog.clear()
    caplog.set_level(logging.INFO)

    async def flood(**arguments: Any) -> None:
        with suppress(ClientError):
            async with reachable.post(path, **arguments) as response:
                assert response.status == 200

    tracemalloc.start()
    try:
        await asyncio.gather(
            *(flood(data=large) for _ in range(20)),
            *(flood(data=packed, headers={"Content-Encoding": "deflate"}) for _ in range(4)),
            *(flood(json={"queueId": f"{number:032x}"}) for number in range(270)),
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 40 * 1024 * 1024
    assert said(caplog) == []
    assert bulk_edit_event(hass)["event_type"] is None
    await report_bulk_edit(hass, reachable, waited_for)
    assert bulk_edit_event(hass)["event_type"] == "finished"


async def test_large_report_of_a_portal(
    hass: HomeAssistant, reachable: Any, waited_for: tuple[str, str]
) -> None:
    """A report is truncated to the size of a state, and only edited SIMs are named as failed."""
    results: list[object] = [
        {"iccid": iccid, "success": False} for iccid in (ICCID, "8" * 20, {"a": 1}, None)
    ]
    results.append("nothing like a result")

    await report_bulk_edit(hass, reachable, waited_for, status="Failed " * 9999, results=results)

    event = bulk_edit_event(hass)
    assert event["event_type"] == "failed"
    assert event["failed_sims"] == [ICCID]
    assert event["status"] == ("Failed " * 9999)[:100]


async def test_no_report(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    reachable: Any,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A bulk edit without a report times out after a day, also after a restart."""
    portal.dialects["bulk_webhook"] = "silent"
    entry = await set_up(ICCID, OTHER_ICCID)
    await edit_sims(hass, entry)
    await advance_time(hass, freezer, timedelta(hours=12))
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(hass.data["webhook"]) == 1

    await advance_time(hass, freezer, PATIENCE - timedelta(hours=11))

    assert bulk_edit_event(hass)["event_type"] == "timed_out"
    assert not hass.data["webhook"]


async def test_refused(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, reachable: Any
) -> None:
    """A refused edit says why and closes its webhook; one without a response keeps it."""
    portal.state.accounts["demo-client"].refused_routes = frozenset({"BulkEditDevice"})
    entry = await set_up(ICCID, OTHER_ICCID)

    with pytest.raises(HomeAssistantError, match="does not allow this for demo-client"):
        await edit_sims(hass, entry)
    assert not hass.data["webhook"]
    assert not hass.states.is_state(f"binary_sensor.sim_{ICCID}_change_pending", STATE_ON)

    portal.state.accounts["demo-client"].refused_routes = frozenset()
    portal.faults.add("reset_after_read", route="BulkEditDevice")
    portal.journal.clear()
    with pytest.raises(HomeAssistantError, match="may have been carried out"):
        await edit_sims(hass, entry)
    portal.journal.assert_called_once("PUT", "/BulkEditDevice")
    assert len(hass.data["webhook"]) == 1
    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_change_pending", STATE_ON)


async def test_refused_while_waiting(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """When an edit is refused, an earlier pending change is still followed."""
    portal.dialects["status_change"] = "never"
    entry = await set_up(ICCID, OTHER_ICCID)
    happened = record_events(hass, "sim_event")
    await request_status_change(hass, entry)
    portal.state.accounts["demo-client"].refused_routes = frozenset({"BulkEditDevice"})

    with pytest.raises(HomeAssistantError, match="does not allow this"):
        await edit_sims(hass, entry)

    assert hass.states.is_state(f"binary_sensor.sim_{ICCID}_change_pending", STATE_ON)
    assert hass.states.is_state(f"binary_sensor.sim_{OTHER_ICCID}_change_pending", STATE_OFF)
    portal.sims[ICCID].set_status("ACTIVATED")
    await advance_time(hass, freezer, QUICK_CHECKS[0])
    assert [event for event, _ in happened] == ["status_change_confirmed"]


async def test_over_a_crash(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, hass_storage: dict[str, Any]
) -> None:
    """The status is stored for each SIM before the edit is sent; after a crash the polls follow it."""
    entry = await set_up(ICCID, OTHER_ICCID)
    key = f"{DOMAIN}.{entry.entry_id}"
    portal.faults.add("delay", route="BulkEditDevice", seconds=0.5)
    asked = asyncio.ensure_future(edit_sims(hass, entry))
    await wait_for_requests(portal, "PUT /BulkEditDevice")
    on_disk = deepcopy(hass_storage[key])
    await asked
    await hass.config_entries.async_unload(entry.entry_id)
    hass_storage[key] = on_disk
    portal.journal.clear()

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    async_fire_time_changed(hass, dt_util.utcnow() + QUICK_CHECKS[0] + timedelta(seconds=1))
    await hass.async_block_till_done(wait_background_tasks=True)

    # Quick reads of every SIM, as after a single status change, would cost too many requests.
    assert not portal.journal.find("GET", f"/getStatus/{ICCID}")
    happened = [record_events(hass, "sim_event", iccid) for iccid in (ICCID, OTHER_ICCID)]
    portal.clock.advance(portal.state.timings.bulk_seconds + 1)
    for sim in entry.runtime_data.sims.values():
        await sim.async_refresh()
    await hass.async_block_till_done()
    assert [[event for event, _ in each] for each in happened] == [["status_change_confirmed"]] * 2
    assert not portal.journal.find("PUT", "/BulkEditDevice")


async def test_two_accounts(
    hass: HomeAssistant, set_up: SetUp, account: dict[str, str], portal: MockPortal
) -> None:
    """SIMs of two accounts need two requests; a failed one does not hide the other's response."""
    first = await set_up(ICCID)
    async with MockPortal({"extends": "documented", "sims": {OTHER_ICCID: {}}}) as other:
        second = await set_up(OTHER_ICCID, base_url=other.url)
        other.state.accounts["demo-client"].refused_routes = frozenset({"BulkEditDevice"})
        sims = [device_id(hass, first, ICCID), device_id(hass, second, OTHER_ICCID)]
        data = {"device_id": sims, "changes": {"simNotes": "Spare"}}

        response = await call_action(hass, "bulk_edit_devices", data)

        done, failed = response["accounts"]
        assert done["config_entry_id"] == first.entry_id
        assert "error" not in done
        assert "does not allow this" in failed["error"]
        with pytest.raises(HomeAssistantError, match="1 of 2 accounts failed"):
            await call_action(hass, "bulk_edit_devices", data, return_response=False)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"changes": {}}, "No changes were given"),
        ({"changes": {"status": "retired"}}, "Retired cannot be undone"),
    ],
)
async def test_bad_input(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, data: dict[str, Any], says: str
) -> None:
    """Bad input is refused before anything is sent."""
    entry = await set_up(ICCID, OTHER_ICCID)

    with pytest.raises(ServiceValidationError, match=says):
        await edit_sims(hass, entry, data=data)

    assert not portal.journal.find("PUT", "/BulkEditDevice")


async def test_update_rule(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """A rule is sent unchanged, and the portal's response is returned."""
    entry = await set_up(ICCID)
    data = {"config_entry_id": entry.entry_id, "rule": {"name": "Cap", "limit": 5}}

    assert await call_action(hass, "update_rule", data) == {"answer": {}}

    (exchange,) = portal.journal.find("PUT", "/RuleUpdate")
    assert exchange.body == {"name": "Cap", "limit": 5}
    body = {"errorMessage": "This cannot be done"}
    portal.faults.add("status", route="RuleUpdate", status=403, body=body)
    with pytest.raises(HomeAssistantError, match="does not allow this for demo-client"):
        await call_action(hass, "update_rule", data, return_response=False)
    with pytest.raises(ServiceValidationError):
        await call_action(hass, "update_rule", {**data, "config_entry_id": "nobody"})

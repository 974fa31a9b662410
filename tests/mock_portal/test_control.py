"""The control interface under /_mock/, endpoint by endpoint."""

import asyncio
from typing import Any

import pytest

from mock_portal import MockPortal
from mock_portal.control import ENDPOINTS
from mock_portal.exchange import WebhookCall

from .conftest import ACTIVE, DOCUMENTED, Caller

# The SIM of the scenario demo that is in session.
IN_SESSION = "8931082322204500034"
STATUS = f"/getStatus/{DOCUMENTED}"


async def test_help(caller: Caller) -> None:
    """The start page lists routes, endpoints, dialects, faults and scenarios."""
    page = (await caller.control("GET", "")).json
    assert page["routes"][1] == "GET /ctdUsage/{ICCID}"
    assert page["endpoints"]["POST /_mock/sims/{iccid}/imei"].startswith("move the SIM")
    assert len(page["endpoints"]) == len(ENDPOINTS)
    assert page["dialects"]["usage_body"]["array"] == "an array of one"
    assert page["defaults"] == dict(caller.portal.dialects)
    assert page["faults"]["hang"]["details"] == {}
    assert page["faults"]["garbage"] == {
        "description": "random bytes that are no UTF-8",
        "details": {"size": 64},
    }
    assert "TRIAL" in page["statuses"]
    assert "demo" in page["scenarios"]


async def test_health(caller: Caller) -> None:
    """Health shows the number of SIMs and of requests."""
    health = (await caller.control("GET", "health")).json
    assert health == {
        "status": "ok",
        "now": caller.portal.clock.now().isoformat(),
        "sims": 4,
        "requests": 1,
    }


async def test_journal(caller: Caller) -> None:
    """The journal can be read, filtered and emptied; control requests are not in it."""
    await caller.get(STATUS)
    await caller.get(f"/ctdUsage/{ACTIVE}")
    await caller.get("/GetStatus/1")
    journal = (await caller.control("GET", "journal")).json
    assert [exchange["path"] for exchange in journal["exchanges"]] == [
        "/Login",
        STATUS,
        f"/ctdUsage/{ACTIVE}",
        "/GetStatus/1",
    ]
    assert (journal["total"], journal["logins"], journal["peak_width"]) == (4, 1, 1)
    assert journal["near_misses"][0]["path"] == "/GetStatus/1"
    for query, count in {
        "method=GET": 3,
        "route=ctdUsage": 1,
        f"iccid={DOCUMENTED}": 1,
        "path=/getStatus/*": 1,
        "method=PUT": 0,
        f"iccid={'9' * 19}&unknown_sim=true": 0,
    }.items():
        found = (await caller.control("GET", f"journal?{query}")).json["exchanges"]
        assert len(found) == count, query
    refused = await caller.control("GET", "journal?unknown_sim=maybe")
    assert "unknown_sim: expected true or false, not 'maybe'" in refused.json["error"]
    assert "'colour'" in (await caller.control("GET", "journal?colour=red")).json["error"]
    await caller.control("DELETE", "journal")
    assert (await caller.control("GET", "journal")).json["exchanges"] == []


async def test_what_is_new_in_the_journal(caller: Caller) -> None:
    """A reader asks for what is new, or older, or for the newest; numbers go on after clearing."""

    async def ask(query: str) -> tuple[list[int], list[int], int]:
        journal = (await caller.control("GET", f"journal?{query}")).json
        numbers = (
            [each["number"] for each in journal[part]] for part in ("exchanges", "near_misses")
        )
        return *numbers, journal["first_number"]

    for _ in range(3):
        await caller.get(STATUS)
    await caller.get("/GetStatus/1")
    assert await ask("") == ([1, 2, 3, 4, 5], [5], 1)
    assert await ask("after=3") == ([4, 5], [5], 1)
    assert await ask("after=3&before=5&limit=7") == ([4], [], 1)
    assert await ask("limit=2") == ([4, 5], [5], 1)
    assert await ask("limit=0") == ([], [], 1)
    assert await ask("after=5&limit=2") == ([], [], 1)
    assert await ask("method=GET&before=5&limit=1") == ([4], [], 1)
    await caller.control("DELETE", "journal")
    assert await ask("") == ([], [], 6)
    await caller.get(STATUS)
    assert await ask("after=5") == ([6], [], 6)


async def test_webhooks_of_the_journal(caller: Caller) -> None:
    """A limit holds for webhooks, too."""
    for number in range(3):
        url = f"http://127.0.0.1/{number}"
        caller.portal.journal.record_webhook(WebhookCall(url=url), "200")
    journal = (await caller.control("GET", "journal?limit=2")).json
    assert [each["url"] for each in journal["webhooks"]] == [
        "http://127.0.0.1/1",
        "http://127.0.0.1/2",
    ]


async def test_dialects(caller: Caller) -> None:
    """Dialects can be read and switched; those not named stay."""
    answer = await caller.control("PUT", "dialects", {"status_body": "object", "rate_limit": 429})
    assert answer.json == (await caller.control("GET", "dialects")).json
    assert answer.json["status_body"] == "object"
    assert answer.json["rate_limit"] == "429"
    assert answer.json["usage_body"] == "array"
    assert (await caller.get(STATUS)).json["status"] == "INVENTORY"


async def test_faults(caller: Caller) -> None:
    """Faults can be added, listed and removed."""
    fault = {"kind": "status", "status": 502, "route": "getStatus", "times": 5}
    added = (await caller.control("POST", "faults", fault)).json
    await caller.control("POST", "faults", {"kind": "hang", "route": "GetDevice"})
    assert (await caller.get(STATUS)).status == 502
    listed = (await caller.control("GET", "faults")).json
    assert listed[0] == fault | {"id": added["id"], "seen": 1, "fired": 1}
    assert (await caller.control("DELETE", f"faults/{added['id']}")).status == 200
    assert (await caller.control("DELETE", f"faults/{added['id']}")).status == 404
    assert (await caller.get(STATUS)).status == 200
    await caller.control("DELETE", "faults")
    assert (await caller.control("GET", "faults")).json == []


async def test_sims(caller: Caller) -> None:
    """SIMs can be read, changed, added and replaced."""
    everything = (await caller.control("GET", "sims")).json
    assert list(everything) == list(caller.portal.sims)
    assert everything[ACTIVE] == (await caller.control("GET", f"sims/{ACTIVE}")).json
    changes = {"status": "INVENTORY", "data_usage": 7, "device": {"customer": "Anna"}}
    patched = (await caller.control("PATCH", f"sims/{ACTIVE}", changes)).json
    assert (patched["status"], patched["data_usage"]) == ("INVENTORY", 7)
    device = (await caller.get(f"/GetDevice/{ACTIVE}")).json
    assert (device["customer"], device["deviceID"]) == ("Anna", "Weather station")
    await caller.control("PUT", "sims/8931000000000000008", {"status": "TRIAL"})
    assert (await caller.get("/getStatus/8931000000000000008")).text == "TRIAL"


async def test_status(caller: Caller) -> None:
    """A status can be changed, now or later, and a SIM that is no longer active has no session."""
    path = f"sims/{IN_SESSION}/status"
    later = {"status": "DEACTIVATED", "after": 60}
    assert (await caller.control("POST", path, later)).json["status"] == "ACTIVATED"
    caller.portal.clock.advance(60)
    assert (await caller.get(f"/getStatus/{IN_SESSION}")).text == "DEACTIVATED"
    assert not caller.portal.sims[IN_SESSION].in_session
    answer = (await caller.control("POST", path, {"status": "INVENTORY"})).json
    assert answer["status"] == "INVENTORY"


async def test_overview(caller: Caller) -> None:
    """The overview has everything but the journal, in short."""
    portal = caller.portal
    portal.dialects["status_body"] = "object"
    portal.faults.add("hang", route="GetDevice")
    portal.state.receive_sms(ACTIVE, "Hello")
    await caller.put(f"/SendSMS/{ACTIVE}/1", {"messageText": "reboot"})
    portal.clock.advance(5)
    shown = (await caller.control("GET", "overview")).json
    assert shown["description"].startswith("Four SIMs to look at")
    assert (shown["now"], shown["frozen"]) == (portal.clock.now().isoformat(), True)
    assert (shown["requests"], shown["total"], shown["found"]) == (2, 4, 4)
    assert shown["accounts"][0]["api_token"] == "demo-token"
    assert shown["dialects"] == dict(portal.dialects)
    assert shown["faults"][0]["kind"] == "hang"
    assert [sim["iccid"] for sim in shown["sims"]] == list(portal.sims)
    sim = shown["sims"][1]
    assert (sim["name"], sim["status"], sim["allowance"]) == (
        "Weather station",
        "ACTIVATED",
        "500 MB",
    )
    assert sim["data_usage"] == portal.sims[ACTIVE].data_usage
    assert (sim["in_session"], sim["ip_address"]) == (False, "100.126.61.101")
    last = sim["last_sms"]
    assert (last["text"], last["status"], last["to_sim"]) == ("reboot", "Delivered", True)
    assert shown["sims"][0]["last_sms"] is None


async def test_last_sms_of_those_who_are_shown(caller: Caller) -> None:
    """A newer message of another SIM does not hide the last one of a SIM that was searched for."""
    caller.portal.state.receive_sms(ACTIVE, "first")
    caller.portal.state.receive_sms(ACTIVE, "second")
    caller.portal.state.receive_sms(IN_SESSION, "other")
    (sim,) = (await caller.control("GET", "overview?search=weather")).json["sims"]
    assert sim["last_sms"]["text"] == "second"


@pytest.mark.parametrize(
    ("query", "found", "shown"),
    [
        ("search=weather", 1, 1),
        ("search=0034", 1, 1),
        ("search=activated&limit=2", 3, 2),
        ("limit=0", 4, 0),
        ("search=100.126.61.102", 1, 1),
        ("search=nothing", 0, 0),
    ],
)
async def test_search(caller: Caller, query: str, found: int, shown: int) -> None:
    """The SIMs of the overview can be searched, and only so many are shown."""
    answer = (await caller.control("GET", f"overview?{query}")).json
    assert (answer["found"], len(answer["sims"]), answer["total"]) == (found, shown, 4)


async def test_session(caller: Caller) -> None:
    """A session can be opened, and closed later."""
    opened = await caller.control(
        "POST", f"sims/{ACTIVE}/session", {"action": "open", "ip_address": "10.0.0.1"}
    )
    assert (opened.json["ip_address"], opened.json["session_ended"]) == ("10.0.0.1", None)
    await caller.control("POST", f"sims/{ACTIVE}/session", {"action": "close", "after": 60})
    assert caller.portal.sims[ACTIVE].in_session
    caller.portal.clock.advance(60)
    assert not caller.portal.sims[ACTIVE].in_session


async def test_imei(caller: Caller) -> None:
    """A SIM can be moved to another device."""
    await caller.control("POST", f"sims/{ACTIVE}/imei", {"imei": "3569380012345678"})
    assert (await caller.get(f"/ctdUsage/{ACTIVE}")).json[0]["imei"] == "3569380012345678"


async def test_incoming_sms(caller: Caller) -> None:
    """A text message can come from a SIM."""
    await caller.control("POST", "sms", {"iccid": ACTIVE, "text": "Hello"})
    assert (await caller.get("/GetSMS/4711")).json["messageText"] == "Hello"


async def test_tokens(caller: Caller) -> None:
    """All tokens can be revoked."""
    await caller.control("DELETE", "tokens")
    assert (await caller.get(STATUS)).status == 401
    await caller.login()
    assert (await caller.get(STATUS)).status == 200


async def test_clock(caller: Caller) -> None:
    """The clock can be set, advanced, frozen and unfrozen."""
    change = {"set": "2025-01-31T12:00:00Z", "advance": 60}
    clock = (await caller.control("POST", "clock", change)).json
    assert clock == {"now": "2025-01-31T12:01:00+00:00", "frozen": True}
    assert (await caller.get(STATUS)).headers["Date"] == "Fri, 31 Jan 2025 12:01:00 GMT"
    assert (await caller.control("POST", "clock", {"freeze": False})).json["frozen"] is False
    before = caller.portal.clock.now()
    await asyncio.sleep(0.01)
    assert caller.portal.clock.now() > before
    frozen = (await caller.control("POST", "clock", {"freeze": True})).json
    assert frozen["now"] == caller.portal.clock.now().isoformat()


async def test_reset(caller: Caller) -> None:
    """A reset loads the scenario again."""
    await caller.control("PATCH", f"sims/{ACTIVE}", {"status": "RETIRED"})
    await caller.control("PUT", "dialects", {"status_body": "quoted"})
    await caller.control("POST", "faults", {"kind": "hang"})
    await caller.control("POST", "reset")
    assert (await caller.get(STATUS)).status == 401, "tokens are gone too"
    await caller.login()
    assert (await caller.get(f"/getStatus/{ACTIVE}")).text == "ACTIVATED"
    assert len(caller.portal.journal) == 3


async def test_scenario(caller: Caller) -> None:
    """Another scenario can be loaded, and a reset returns to it."""
    loaded = await caller.control("POST", "scenario", "fleet")
    assert loaded.json["sims"] == 101
    await caller.control("POST", "scenario", {"extends": "fleet", "fleet": {"count": 3}})
    await caller.control("POST", "reset")
    assert len(caller.portal.sims) == 4


async def test_snapshot(caller: Caller) -> None:
    """A snapshot restores everything except the journal."""
    caller.portal.dialects["status_change"] = "after_seconds"
    caller.portal.faults.add("status", route="GetDevice", times=2)
    await caller.get(f"/GetDevice/{ACTIVE}")
    await caller.put(f"/RequestStatusChange/{ACTIVE}", {"status": "DEACTIVATED"})
    await caller.put(f"/SendSMS/{ACTIVE}/1", {"messageText": "Hello"})
    await caller.put("/BulkEditDevice", {"update": {"customer": "Anna"}, "iccids": [ACTIVE]})
    before = (await caller.control("GET", "snapshot")).json
    await caller.control("POST", "reset")
    assert (await caller.control("PUT", "snapshot", before)).status == 200
    assert (await caller.control("GET", "snapshot")).json == before
    assert (await caller.get(f"/GetDevice/{ACTIVE}")).status == 500
    caller.portal.clock.advance(40)
    device = (await caller.get(f"/GetDevice/{ACTIVE}")).json
    assert (device["status"], device["customer"]) == ("DEACTIVATED", "Anna")
    assert (await caller.get("/GetSMS/4711")).json["status"] == "Delivered"


async def test_a_snapshot_is_a_scenario(caller: Caller) -> None:
    """A snapshot can be loaded into a new portal."""
    await caller.put(f"/EditDevice/{ACTIVE}", {"customer": "Anna"})
    async with MockPortal(caller.portal.snapshot()) as other:
        assert other.sims[ACTIVE].device["customer"] == "Anna"
        assert other.sims[ACTIVE] == caller.portal.sims[ACTIVE]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "part"),
    [
        ("GET", "nowhere", None, 404, "GET /_mock/ lists what there is"),
        ("GET", "journal?limit=-1", None, 400, "query.limit: expected a number, not '-1'"),
        ("GET", "journal?after=" + "9" * 5000, None, 400, "query.after: expected a number"),
        ("GET", "journal?afer=1", None, 400, "did you mean after?"),
        (
            "PUT",
            "journal",
            {},
            405,
            "PUT is the wrong method for /_mock/journal; it has GET, DELETE",
        ),
        ("GET", "sims/1", None, 404, "There is no SIM 1"),
        ("PATCH", "sims/1", {}, 404, "There is no SIM 1"),
        ("PUT", "dialects", b"{", 400, "not well-formed"),
        ("POST", "faults", b'{"kind": "hang", "kind": "delay"}', 400, "'kind' is there twice"),
        ("POST", "verify", b'{"path": "/Login", "path": "/SendSMS/*"}', 400, "there twice"),
        ("GET", "journal?path=/Login&path=/SendSMS/*", None, 400, "'/Login, /SendSMS/*'"),
        ("GET", "journal?limit=1&limit=2", None, 400, "expected a number, not '1, 2'"),
        ("PUT", "dialects", [], 400, "not a JSON object"),
        ("PUT", "dialects", {"usage_body": "x"}, 400, "it has array, object"),
        ("POST", "faults", {}, 400, "kind is missing"),
        ("POST", "faults", [], 400, "expected a mapping"),
        ("POST", "faults", {"kind": "hang", "iccid": []}, 400, "expected a text"),
        ("PATCH", f"sims/{ACTIVE}", {"iccid": "1"}, 400, "keeps its ICCID"),
        ("PATCH", f"sims/{ACTIVE}", {"clock": 1}, 400, "there is no 'clock'"),
        ("PATCH", f"sims/{ACTIVE}", {"data_usage": -1}, 400, "-1 is not between"),
        ("PATCH", f"sims/{ACTIVE}", {"data_usage": 10**400}, 400, "too large"),
        ("PATCH", f"sims/{ACTIVE}", {"data_usage": float("inf")}, 400, "expected a number"),
        ("PATCH", f"sims/{ACTIVE}", {"session_started": "+99999999999d"}, 400, "too large"),
        ("POST", "scenario", {"clock": {"now": "-99999999999d"}}, 400, "too large"),
        ("PATCH", f"sims/{ACTIVE}", {"data_usage": True}, 400, "expected a number"),
        ("PATCH", f"sims/{ACTIVE}", {"device": 3}, 400, "expected a mapping"),
        ("PATCH", f"sims/{ACTIVE}", {"agenda": 3}, 400, "expected a list"),
        ("PATCH", f"sims/{ACTIVE}", {"refused_routes": ["x"]}, 400, "no route 'x'"),
        ("PATCH", f"sims/{ACTIVE}", {"session_ended": "soon"}, 400, "'soon' is no time"),
        ("POST", f"sims/{ACTIVE}/status", {"status": "ON"}, 400, "there is no status 'ON'"),
        ("POST", "sims/1/status", {"status": "TRIAL"}, 404, "There is no SIM 1"),
        ("GET", "overview?limit=many", None, 400, "expected a number, not 'many'"),
        ("POST", f"sims/{ACTIVE}/session", {"action": "x"}, 400, "one of open, close"),
        ("POST", f"sims/{ACTIVE}/imei", {}, 400, "imei is missing"),
        ("POST", "sms", {"iccid": "1", "text": "x"}, 400, "There is no SIM 1"),
        ("POST", "clock", {"advance": -1}, 400, "not -1"),
        ("POST", "clock", {"freeze": "yes"}, 400, "true or false"),
        ("POST", "clock", {"set": "1900-01-01"}, 400, "year 1900"),
        ("POST", "scenario", "nonsense", 400, "There is no scenario 'nonsense'"),
        ("POST", "scenario", "/etc/passwd", 400, "There is no scenario"),
        ("POST", "scenario", 7, 400, "There is no scenario '7'"),
        ("POST", "scenario", {"extends": "/etc/passwd"}, 400, "There is no scenario"),
        ("POST", "scenario", {"sims": []}, 400, "scenario.sims: expected a mapping"),
        ("POST", "scenario", {"sims": {"1": 2}}, 400, "scenario.sims.1: expected a mapping"),
        ("POST", "scenario", {"clock": {"now": "1900-01-01"}}, 400, "the year 1900"),
        ("POST", "scenario", {"faults": [{"kind": "hang", "method": "get"}]}, 400, "mean GET?"),
        ("PUT", "snapshot", {"faults": [{"kind": "hang", "iccid": "1"}]}, 400, "There is no SIM 1"),
        ("PUT", "sims/a-b", {}, 400, "an ICCID consists of digits, not 'a-b'"),
        ("POST", "scenario", {"sims": {"": {}}}, 400, "consists of digits, not ''"),
        ("POST", f"sims/{ACTIVE}/imei", {"imei": ""}, 400, "A planned imei needs a value"),
        ("POST", "scenario", {"clock": 2}, 400, "clock: expected a mapping"),
        ("PUT", "snapshot", "demo", 400, "not a JSON object"),
    ],
)
async def test_bad_order(
    caller: Caller, method: str, path: str, body: Any, status: int, part: str
) -> None:
    """A control request that cannot be carried out gets the reason, and changes nothing."""
    before = caller.portal.snapshot()
    answer = await caller.control(method, path, body)
    assert answer.status == status
    assert part in answer.json["error"]
    assert caller.portal.snapshot() == before

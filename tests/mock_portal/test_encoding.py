"""Texts that are no proper Unicode, and JSON that cannot be written again: never a server error."""

from http.client import HTTPConnection
import json
from pathlib import Path

import pytest

from mock_portal import MockPortal, Portal, Request

from .conftest import ACTIVE, Caller
from .helpers import send_raw

HALF = "\ud83d"
ODD = (HALF, "\ude00", f"a{HALF}b", "\ude00\ud83d", "\x00", "\ufeff", "\ufffe", "\x7f\u2028")
LOOKS = ("", "journal", "snapshot", "sims", f"sims/{ACTIVE}", "faults", "dialects", "health")


async def _assert_all_can_be_read(caller: Caller) -> None:
    """Assert that every part of the portal can still be looked at."""
    for path in LOOKS:
        answer = await caller.control("GET", path)
        assert (answer.status, path) == (200, path)
        assert answer.json is not None


@pytest.mark.parametrize("text", ODD)
async def test_message(caller: Caller, text: str) -> None:
    """A message comes back as it was sent."""
    sent = await caller.put(f"/SendSMS/{ACTIVE}/1", {"messageText": text})
    assert sent.status == 200
    answer = await caller.get(f"/GetSMS/{sent.json['smsMsgId']}")
    assert answer.json["messageText"] == text
    journal = await caller.control("GET", "journal?route=SendSMS")
    assert journal.json["exchanges"][0]["body"] == {"messageText": text}
    await _assert_all_can_be_read(caller)


def test_half_a_surrogate_counts_as_one_character() -> None:
    """A message of 70 such characters has the full length, and one more is too many."""
    portal = Portal()
    token = portal.state.login("demo-client", "demo-secret").value
    iccid = next(iter(portal.sims))
    for length, status in ((70, 200), (71, 400)):
        request = Request(
            method="PUT",
            path=f"/api/SendSMS/{iccid}/1",
            headers={"Authorization": token},
            body=json.dumps({"messageText": HALF * length}).encode(),
        )
        assert portal.handle(request).status == status


@pytest.mark.parametrize("text", ODD)
async def test_edit(caller: Caller, text: str) -> None:
    """A field of a SIM comes back as it was sent."""
    assert (await caller.put(f"/EditDevice/{ACTIVE}", {"customer": text})).status == 200
    assert (await caller.get(f"/GetDevice/{ACTIVE}")).json["customer"] == text
    await _assert_all_can_be_read(caller)


@pytest.mark.parametrize("text", ODD)
async def test_refusals(caller: Caller, text: str) -> None:
    """A refused log-in, status, field, parameter or list of SIMs is in the journal."""
    calls = (
        ("POST", "/Login", {"clientId": text, "secretKey": text}, 401),
        ("POST", "/Login", {"apiToken": text}, 401),
        ("POST", "/Login", {text: text}, 400),
        ("PUT", f"/RequestStatusChange/{ACTIVE}", {"status": text}, 400),
        ("PUT", f"/EditDevice/{ACTIVE}", {text: ""}, 400),
        ("PUT", "/RuleUpdate", {text: [text]}, 200),
    )
    for method, path, body, status in calls:
        assert (await caller.call(method, path, body)).status == status
        await _assert_all_can_be_read(caller)
    assert len(caller.portal.journal) == len(calls) + 1


@pytest.mark.parametrize("envelope", ["cisco", "message", "data_error", "plain", "html"])
async def test_error_envelopes(caller: Caller, envelope: str) -> None:
    """An error message that repeats what was sent fits in every envelope."""
    caller.portal.dialects["error_envelope"] = envelope
    answer = await caller.get("/getStatus/%ED%A0%BD")
    assert answer.status == 404
    answer = await caller.put(f"/RequestStatusChange/{ACTIVE}", {"status": HALF})
    assert answer.status == 400


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("%ED%A0%BD", HALF),
        ("%F0%9F%98%80", "😀"),
        ("%FF%FE", "\ufffd\ufffd"),
        ("%ED%A0%BD%FF", "\ufffd" * 4),
        ("a%00b", "a\x00b"),
        ("%EF%BB%BF", "\ufeff"),
    ],
)
async def test_path(caller: Caller, path: str, shown: str) -> None:
    """A path in percent-encoding is decoded as UTF-8, and half a surrogate is kept."""
    head = f"GET /api/getStatus/{path} HTTP/1.0\r\nAuthorization: {caller.token}\r\n\r\n"
    assert b" 404 Not Found" in await send_raw(caller.portal, head.encode())
    assert caller.portal.journal.find(route="getStatus")[0].iccid == shown
    await _assert_all_can_be_read(caller)


@pytest.mark.parametrize("value", [b"Zo\xeb", b"\xff", b"\xed\xa0\xbd", "Zoë".encode()])
@pytest.mark.parametrize("name", ["X-Name", "Authorization"])
async def test_header(caller: Caller, name: str, value: bytes) -> None:
    """A header that is no UTF-8 is in the journal."""
    head = f"GET /api/getStatus/{ACTIVE} HTTP/1.0\r\n{name}: ".encode() + value
    assert b" 401 Unauthorized" in await send_raw(caller.portal, head + b"\r\n\r\n")
    await _assert_all_can_be_read(caller)


@pytest.mark.parametrize("variant", ["bare", "quoted", "object", "array"])
async def test_status_word(caller: Caller, variant: str) -> None:
    """A status word can be anything that the control interface sets."""
    caller.portal.dialects["status_body"] = variant
    answer = await caller.control("PATCH", f"sims/{ACTIVE}", {"status": HALF, "imei": HALF})
    assert answer.json["status"] == HALF
    assert (await caller.get(f"/getStatus/{ACTIVE}")).text.strip('[]{}" \n').endswith(r"\ud83d")
    assert (await caller.get(f"/GetDevice/{ACTIVE}")).json["imei"] == HALF
    await _assert_all_can_be_read(caller)


async def test_control_bodies(caller: Caller) -> None:
    """Whatever the control interface is sent, it answers with a sentence or keeps it."""
    for method, path, body in (
        ("PUT", "dialects", {HALF: HALF}),
        ("PUT", "dialects", {"sms_id": HALF}),
        ("POST", "faults", {"kind": HALF}),
        ("POST", "faults", {"kind": "status", "body": HALF, "id": HALF, "times": 1}),
        ("DELETE", "faults/%ED%A0%BD", None),
        ("POST", "faults", {"kind": "wrong_sim", "other_iccid": HALF, "times": 1}),
        ("PUT", f"sims/{HALF}".encode("utf-8", "surrogatepass").decode("latin-1"), {}),
        ("PUT", "sims/%ED%A0%BD", {"status": "ACTIVATED"}),
        ("POST", "sms", {"iccid": ACTIVE, "text": HALF}),
        ("POST", "sms", {"iccid": HALF, "text": HALF}),
        ("POST", "scenario", HALF),
        ("POST", "clock", {"set": HALF}),
        ("POST", f"sims/{ACTIVE}/session", {"action": "open", "ip_address": HALF}),
    ):
        answer = await caller.control(method, path, body)
        assert answer.status in {200, 400, 404}
        assert answer.json is not None
        await _assert_all_can_be_read(caller)
    snapshot = (await caller.control("GET", "snapshot")).json
    assert (await caller.control("PUT", "snapshot", snapshot)).status == 200
    assert caller.portal.sims[ACTIVE].ip_address == HALF
    for _ in range(2):
        assert (await caller.get(f"/getStatus/{ACTIVE}")).status in {200, 500}


async def test_fault_with_half_a_surrogate(caller: Caller) -> None:
    """A fault answers with a text as its body, also with one that UTF-8 cannot carry."""
    caller.portal.faults.add("status", status=502, body=f"a{HALF}")
    answer = await caller.get(f"/getStatus/{ACTIVE}")
    assert (answer.status, answer.text) == (502, r"a\ud83d")


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_scenario_file(tmp_path: Path, suffix: str) -> None:
    """A scenario file may hold such texts: credentials, ICCIDs, fields, recorded answers."""
    content = {
        "extends": "demo",
        "accounts": {HALF: {"secret_key": HALF, "api_token": HALF}},
        "sims": {ACTIVE: {"status": HALF, "device": {"customer": HALF}}},
        "recorded": [{"method": "GET", "path": "/getStatus/1", "status": 200, "body": HALF}],
    }
    file = tmp_path / f"scenario.{suffix}"
    file.write_text(json.dumps(content))
    portal = Portal(str(file))
    assert portal.handle(Request(method="GET", path="/_mock/snapshot")).status == 200
    body = json.dumps({"clientId": HALF, "secretKey": HALF}).encode()
    token = portal.handle(Request(method="POST", path="/api/Login", body=body)).body
    answer = portal.handle(
        Request(
            method="GET",
            path="/api/getStatus/1",
            headers={"Authorization": json.loads(token)["data"]["token"]},
        )
    )
    assert answer.body == rb"\ud83d"


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"apiToken": "demo-token"}',
        '{"apiToken": "demo-token"}'.encode("utf-16"),
        '{"apiToken": "demo-token"}'.encode("utf-16-le"),
        '{"apiToken": "demo-token"}'.encode("utf-32"),
    ],
)
async def test_byte_order_marks(caller: Caller, body: bytes) -> None:
    """JSON with a byte order mark, or in UTF-16 or UTF-32, is read, and its secrets stay out of the journal."""
    assert (await caller.call("POST", "/Login", body)).status == 200
    journal = await caller.control("GET", "journal?route=Login")
    assert journal.json["exchanges"][-1]["body"] == {"apiToken": "***"}


@pytest.mark.parametrize(
    "body",
    [
        b'[{"apiToken": "demo-token"}]',
        b'{"x": {"y": [{"secretKey": "demo-token"}]}}',
        '{"apiToken": "demo-token"'.encode("utf-16"),
        b'{"apiToken": "demo-token", "x": 1e999}',
        b"[" * 99 + b'{"apiToken": "demo-token"}' + b"]" * 99,
        b"[" * 900 + b'{"apiToken": "demo-token"}' + b"]" * 900,
    ],
)
async def test_secrets_anywhere(caller: Caller, body: bytes) -> None:
    """A secret stays out of the journal wherever it stands."""
    assert (await caller.call("POST", "/Login", body)).status == 400
    journal = await caller.control("GET", "journal")
    assert "demo-token" not in journal.text
    assert "***" in json.dumps(journal.json["exchanges"][-1]["body"])


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe\x00",
        b"\xed\xa0",
        b'{"a": NaN}',
        b"-Infinity",
        b"1e999",
        b"[" * 101 + b"]" * 101,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b"[" * 100_000,
        b"9" * 5000,
    ],
)
async def test_unreadable_json(caller: Caller, body: bytes) -> None:
    """What is no JSON, or could not be written again, is refused, by the control interface too."""
    answer = await caller.put("/RuleUpdate", body)
    assert (answer.status, answer.json["errorCode"]) == (400, "10000023")
    assert (await caller.control("POST", "faults", body)).status == 400
    await _assert_all_can_be_read(caller)


async def test_nested_json(caller: Caller) -> None:
    """A hundred levels are read, and are in the journal."""
    body = b"[" * 100 + b"]" * 100
    assert (await caller.put("/RuleUpdate", body)).status == 200
    assert caller.portal.journal.find(route="RuleUpdate")[0].body == json.loads(body)
    await _assert_all_can_be_read(caller)


@pytest.mark.parametrize("variant", ["summary", "per_sim", "get"])
async def test_webhook(caller: Caller, variant: str) -> None:
    """A webhook may carry such a text, whatever is wrong with its URL."""
    caller.portal.dialects["bulk_webhook"] = variant
    for url in ("http://127.0.0.1:9/", "http://[", f"http://{HALF}/", HALF):
        body = {"update": {}, "iccids": [ACTIVE], "queueId": HALF, "webhookUrl": url}
        assert (await caller.put("/BulkEditDevice", body)).status == 200
    caller.portal.clock.advance(60)
    assert len(caller.portal.take_webhooks()) == 4
    await _assert_all_can_be_read(caller)


def test_such_a_text_in_a_thread() -> None:
    """A portal in a thread answers it, too."""
    with MockPortal.in_thread() as portal:
        connection = HTTPConnection(portal.url.removeprefix("http://").removesuffix("/api"))
        connection.request("POST", "/api/Login", json.dumps({"apiToken": HALF}))
        assert connection.getresponse().status == 401
        connection.close()

"""The published examples come back byte for byte, headers included."""

import asyncio
from typing import Any

import pytest

from mock_portal import MockPortal

from .conftest import ACTIVE, DOCUMENTED, Caller
from .helpers import EXAMPLES, collection_requests


async def _raw(portal: MockPortal, token: str, path: str, version: str = "1.1") -> tuple[str, str]:
    """Return the head and the body of an answer as they come over the wire."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(portal.url.split(":")[2][:-4]))
    writer.write(
        f"GET /api{path} HTTP/{version}\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    end = b"0\r\n\r\n" if b"chunked" in head else b"INVENTORY"
    body = await reader.readuntil(end)
    writer.close()
    await writer.wait_closed()
    return head.decode(), body.decode()


def test_there_are_four_examples() -> None:
    """The collection has not grown."""
    assert sorted(EXAMPLES) == ["GetDevice", "ctdUsage", "getStatus", "sessionInfo"]


@pytest.mark.parametrize("scenario", ["documented"], indirect=True)
@pytest.mark.parametrize("route", sorted(EXAMPLES))
async def test_published_example(caller: Caller, route: str) -> None:
    """Body and headers are those of the example, and nothing marks them as assumed."""
    answer = await caller.get(f"/{route}/{DOCUMENTED}")
    assert answer.status == EXAMPLES[route]["code"]
    assert answer.text == EXAMPLES[route]["body"]
    assert not answer.is_assumed


@pytest.mark.parametrize("scenario", ["documented"], indirect=True)
@pytest.mark.parametrize("route", sorted(EXAMPLES))
async def test_published_headers(caller: Caller, route: str) -> None:
    """The headers come in the published order, spelt as published, and there are no others."""
    assert caller.token is not None
    head, _ = await _raw(caller.portal, caller.token, f"/{route}/{DOCUMENTED}")
    status, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    published = {header["key"]: header["value"] for header in EXAMPLES[route]["header"]}
    assert status == "HTTP/1.1 200 OK"
    assert list(headers) == list(published)
    assert headers | {"Date": ""} == published | {"Date": ""}


@pytest.mark.parametrize("scenario", ["documented"], indirect=True)
async def test_http_1_0_gets_no_chunks(caller: Caller) -> None:
    """A client that cannot read chunks gets the body as it is."""
    assert caller.token is not None
    head, body = await _raw(caller.portal, caller.token, f"/getStatus/{DOCUMENTED}", "1.0")
    assert "chunked" not in head
    assert body == "INVENTORY"


async def test_both_base_urls(caller: Caller) -> None:
    """Production and UAT have the same routes."""
    answer = await caller.get(f"{caller.portal.url}v2/getStatus/{DOCUMENTED}")
    assert answer.text == "INVENTORY"


@pytest.mark.parametrize(
    ("body", "is_assumed"),
    [
        ({"clientId": "demo-client", "secretKey": "demo-secret"}, False),
        ({"apiToken": "demo-token"}, True),
    ],
)
async def test_both_logins(caller: Caller, body: dict[str, str], is_assumed: bool) -> None:
    """Account and core log-in return a token; only the account's answer is documented."""
    answer = await caller.call("POST", "/Login", body)
    assert answer.is_assumed is is_assumed
    caller.token = answer.json["data"]["token"]
    assert (await caller.get(f"/getStatus/{DOCUMENTED}")).text == "INVENTORY"


@pytest.mark.parametrize("item", collection_requests(), ids=lambda item: str(item["name"]))
async def test_every_published_request(caller: Caller, item: dict[str, Any]) -> None:
    """Every request of the collection is answered when it is sent unchanged."""
    values = {
        "{{ICCID}}": ACTIVE,
        "{{apiVersion}}": "1",
        "{{SMS_id}}": str(caller.portal.state.receive_sms(ACTIVE, "Hello").id),
        "{{clientId}}": "demo-client",
        "{{secretKey}}": "demo-secret",
        "{{coreKey}}": "demo-token",
    }
    request = item["request"]
    path, body = request["url"], request.get("body", {}).get("raw", "")
    for name, value in values.items():
        path, body = path.replace(name, value), body.replace(name, value)
    answer = await caller.call(request["method"], path, body.encode() or None)
    assert answer.status == 200


async def test_only_what_is_documented_goes_unmarked(caller: Caller) -> None:
    """An open session and a text message have no published example."""
    active = caller.portal.sims[ACTIVE]
    assert not (await caller.get(f"/sessionInfo/{ACTIVE}")).is_assumed
    active.open_session()
    assert (await caller.get(f"/sessionInfo/{ACTIVE}")).is_assumed
    assert (await caller.put(f"/SendSMS/{ACTIVE}/1", {"messageText": "Hello"})).is_assumed
    assert (await caller.get(f"/getStatus/{ACTIVE}x")).is_assumed

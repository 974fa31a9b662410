"""Two accounts at one host in a real Home Assistant: neither receives anything of the other."""

from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import unused_port
import pytest

from scripts.hass_process import HomeAssistantProcess
from tests.common import serving

from .common import complaints, read_again, wait_for

SIMS = {"one": "8931080000000000011", "two": "8931080000000000029"}
ANSWERS: dict[str, dict[str, Any]] = {
    "ctdUsage": {"ctdDataUsage": 1000, "ctdSessionCount": 1, "status": "ACTIVATED"},
    "GetDevice": {"status": "ACTIVATED"},
    "sessionInfo": {},
    "getStatus": {"status": "ACTIVATED"},
}


class PortalWithCookies:
    """A portal whose log-in sets a session cookie, as servers in Java do; each account has one SIM."""

    def __init__(self) -> None:
        """Start without requests."""
        self.requests: list[tuple[str, str, str | None, str | None]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Note a request and answer it."""
        route, *rest = request.path.removeprefix("/api/").split("/")
        token, cookie = (request.headers.get(name) for name in ("Authorization", "Cookie"))
        self.requests.append((route, "/".join(rest), token, cookie))
        if route == "Login":
            account = (await request.json())["clientId"]
            answer: dict[str, Any] = {"data": {"token": f"token-{account}"}}
        else:
            account = str(token).removeprefix("token-")
            answer = ANSWERS.get(route, {}) | {"iccid": SIMS[account]}
        return web.json_response(
            answer, headers={"Set-Cookie": f"JSESSIONID={account}; Path=/; HttpOnly"}
        )


@pytest.mark.timeout(300)
async def test_two_accounts_at_one_host(tmp_path: Path, socket_enabled: None) -> None:
    """Reads, writes and dialogs of an account carry its own token and no cookie."""
    portal = PortalWithCookies()
    hass = HomeAssistantProcess(tmp_path, port=unused_port())
    hass.prepare("config:\n")
    async with serving(portal.answer) as url, hass:
        # A cookie belongs to a name; addresses of numbers have none.
        address = url.replace("127.0.0.1", "localhost")
        await hass.create_user("demo", "demo")
        for name, iccid in SIMS.items():
            account = await hass.add_account(address, client_id=name, secret_key="a-secret")
            await hass.add_sims(account["result"]["entry_id"], [iccid])
        devices = await hass.device_ids()
        for iccid in SIMS.values():
            states = await wait_for(hass, iccid, "status", "activated")
            await read_again(hass, states["status"]["entity_id"])
            for action, data in (
                ("request_status_change", {"status": "activated"}),
                ("edit_device", {"changes": {"simNotes": "Spare"}}),
            ):
                await hass.call_action("iot_portal", action, {"device_id": devices[iccid], **data})

    assert not complaints(hass, "iot_portal", "Unclosed")
    assert [cookie for *_, cookie in portal.requests if cookie is not None] == []
    told = {(iccid, token) for _, iccid, token, _ in portal.requests if iccid}
    assert told == {(iccid, f"token-{name}") for name, iccid in SIMS.items()}
    assert {route for route, *_ in portal.requests} >= {"EditDevice", "RequestStatusChange"}

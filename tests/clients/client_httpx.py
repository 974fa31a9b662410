"""Read a SIM, and send it a text message: python client_httpx.py BASE_URL ICCID TEXT."""

import asyncio
import sys

import httpx


class PortalError(Exception):
    """A request failed."""


async def call(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, str] | None = None
) -> httpx.Response:
    """Make a request."""
    try:
        response = await client.request(method, path, json=body)
    except httpx.TransportError:
        doubt = ", the message may have been sent" if method == "PUT" else ""
        raise PortalError(f"connection lost{doubt}") from None
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise PortalError(
            f"too many requests, wait {response.headers.get('Retry-After', 'some')} s"
        )
    if response.is_error:
        raise PortalError(f"status {response.status_code}")
    return response


async def run(url: str, iccid: str, text: str) -> None:
    """Log in, read, send."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        credentials = {"clientId": "demo-client", "secretKey": "demo-secret"}
        login = await call(client, "POST", "/Login", credentials)
        client.headers["Authorization"] = login.json()["data"]["token"]

        # The status is a bare word, although its content type is JSON.
        print("status:", (await call(client, "GET", f"/getStatus/{iccid}")).text)
        (usage,) = (await call(client, "GET", f"/ctdUsage/{iccid}")).json()
        print("data usage:", usage["ctdDataUsage"])
        session = (await call(client, "GET", f"/sessionInfo/{iccid}")).json()
        is_open = session["dateSessionEnded"] is None
        print(f"in session: {session['ipAddress']}" if is_open else "not in session")
        device = (await call(client, "GET", f"/GetDevice/{iccid}")).json()
        print("device:", device["deviceID"])

        sent = await call(client, "PUT", f"/SendSMS/{iccid}/1", {"messageText": text})
        message = (await call(client, "GET", f"/GetSMS/{sent.json()['smsMsgId']}")).json()
        print(f"message: {message['messageText']} ({message['status']})")


if __name__ == "__main__":
    try:
        asyncio.run(run(*sys.argv[1:]))
    except PortalError as error:
        print("error:", error)
        sys.exit(1)

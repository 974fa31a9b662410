"""Read a SIM, and send it a text message: python client_requests.py BASE_URL ICCID TEXT."""

import sys

import requests


class PortalError(Exception):
    """A request failed."""


class Portal(requests.Session):
    """A session whose paths are below the base URL."""

    def __init__(self, url: str) -> None:
        """Keep the base URL."""
        super().__init__()
        self.url = url

    def call(self, method: str, path: str, body: dict[str, str] | None = None) -> requests.Response:
        """Make a request."""
        try:
            response = self.request(method, self.url + path, json=body, timeout=30)
        except requests.RequestException:
            doubt = ", the message may have been sent" if method == "PUT" else ""
            raise PortalError(f"connection lost{doubt}") from None
        if response.status_code == requests.codes.too_many_requests:
            raise PortalError(
                f"too many requests, wait {response.headers.get('Retry-After', 'some')} s"
            )
        if not response.ok:
            raise PortalError(f"status {response.status_code}")
        return response


def main(url: str, iccid: str, text: str) -> None:
    """Log in, read, send."""
    portal = Portal(url)
    login = portal.call("POST", "/Login", {"clientId": "demo-client", "secretKey": "demo-secret"})
    portal.headers["Authorization"] = login.json()["data"]["token"]

    # The status is a bare word, although its content type is JSON.
    print("status:", portal.call("GET", f"/getStatus/{iccid}").text)
    (usage,) = portal.call("GET", f"/ctdUsage/{iccid}").json()
    print("data usage:", usage["ctdDataUsage"])
    session = portal.call("GET", f"/sessionInfo/{iccid}").json()
    is_open = session["dateSessionEnded"] is None
    print(f"in session: {session['ipAddress']}" if is_open else "not in session")
    device = portal.call("GET", f"/GetDevice/{iccid}").json()
    print("device:", device["deviceID"])

    sent = portal.call("PUT", f"/SendSMS/{iccid}/1", {"messageText": text}).json()
    message = portal.call("GET", f"/GetSMS/{sent['smsMsgId']}").json()
    print(f"message: {message['messageText']} ({message['status']})")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except PortalError as error:
        print("error:", error)
        sys.exit(1)

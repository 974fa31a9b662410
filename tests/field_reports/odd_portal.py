"""A small portal that a test scripts answer by answer.

It knows the published examples and nothing else: no dialects, no faults, no idea of ours of how a portal behaves.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from http import HTTPStatus
import json
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

_COLLECTION = Path(__file__).parents[2] / "docs/iot-portal-core-api.postman_collection.json"
_UNKNOWN = {"errorMessage": "Resource not found - Invalid ICCID", "errorCode": "20000001"}
ANY = "*"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer: status, headers, and the body byte by byte."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def raw(body: bytes | str, *, status: int = 200, **headers: str) -> Answer:
    """Return an answer with this body; `Content_Type` and the like are headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body.encode() if isinstance(body, str) else body
    return Answer(status=status, body=content, headers={"Content-Type": "application/json"} | named)


def says(value: Any, *, status: int = 200, **headers: str) -> Answer:
    """Return an answer with this value as JSON."""
    return raw(json.dumps(value), status=status, **headers)


def page(status: int = 200, text: str = "We will be back soon") -> Answer:
    """Return a page of an intermediary."""
    html = f"<!DOCTYPE html>\n<html><head><title>{text}</title></head><body>{text}</body></html>"
    return raw(html, status=status, Content_Type="text/html; charset=utf-8")


def published_examples() -> dict[str, str]:
    """Return the body of each published example by its route."""
    folders = json.loads(_COLLECTION.read_text(encoding="utf-8"))["item"]
    return {
        request["request"]["url"].split("/")[1]: response["body"]
        for folder in folders
        for request in folder["item"]
        for response in request["response"]
    }


def dropped() -> Answer:
    """Return an answer that never comes: the connection is closed without a byte."""
    return Answer(status=0)


class OddPortal:
    """A portal on this machine. An answer is scripted for a route, a route with its ICCID or id, or any request.

    `once` queues answers, `always` replaces the default answer until `well` takes that back. `expire` ends the life of
    the token in use.
    """

    def __init__(self, *iccids: str) -> None:
        """Start with SIMs as in the published examples."""
        self._examples = published_examples()
        self._queued: dict[str, deque[Answer]] = defaultdict(deque)
        self._replaced: dict[str, Answer] = {}
        self.sims: dict[str, dict[str, Any]] = {iccid: {} for iccid in iccids}
        self.sms: dict[str, dict[str, Any]] = {}
        self.expired: dict[str | None, Answer] = {}
        self.requests: list[str] = []
        self.tokens: list[str | None] = []

    async def __aenter__(self) -> Self:
        """Start to answer."""
        app = web.Application()
        app.router.add_route("*", "/api/{path:.*}", self._handle)
        self._server = TestServer(app, host="127.0.0.1")
        await self._server.start_server(access_log=None)
        self.url = str(self._server.make_url("/api"))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self._server.close()

    def once(self, where: str, *answers: Answer) -> None:
        """Queue answers, each for one request."""
        self._queued[where].extend(answers)

    def always(self, where: str, answer: Answer) -> None:
        """Replace the default answer."""
        self._replaced[where] = answer

    def expire(self, answer: Answer) -> None:
        """Answer so to the token of the last request from now on."""
        self.expired[self.tokens[-1]] = answer

    def well(self) -> None:
        """Answer as by default again."""
        self._queued.clear()
        self._replaced.clear()

    def set(self, iccid: str, **fields: Any) -> None:
        """Change fields of a SIM wherever the examples have them."""
        self.sims.setdefault(iccid, {}).update(fields)

    def count(self, where: str = ANY) -> int:
        """Return the number of requests of a route, with or without its ICCID."""
        return sum(where in _names(path) for path in self.requests)

    def example(self, route: str, sim: str, /, **changes: Any) -> Any:
        """Return the published answer of a route as it is for a SIM, with changes."""
        record = json.loads(self._examples[route])
        inner = record[0] if isinstance(record, list) else record
        fields = {"iccid": sim} | self.sims.get(sim, {})
        inner |= {name: value for name, value in fields.items() if name in inner} | changes
        return record

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        path = request.match_info["path"]
        self.requests.append(path)
        self.tokens.append(request.headers.get("Authorization"))
        answer = self._pick(path)
        if answer == dropped() and request.transport is not None:
            request.transport.close()
        return web.Response(
            status=answer.status or HTTPStatus.OK, body=answer.body, headers=answer.headers
        )

    def _pick(self, path: str) -> Answer:
        """Return the answer to an expired token, else the queued answer, else the replaced one, else the default."""
        if self.tokens[-1] in self.expired:
            return self.expired[self.tokens[-1]]
        for name in _names(path):
            if self._queued[name]:
                return self._queued[name].popleft()
        for name in _names(path):
            if name in self._replaced:
                return self._replaced[name]
        return self._default(*path.split("/"))

    def _default(self, route: str, subject: str = "", *_: str) -> Answer:
        """Return the published example, or the least that a route without one can answer."""
        sms_ids = {"smsMsgIds": list(self.sms), "pageNumber": 1, "lastPage": True}
        unpublished = {
            "Login": {"data": {"token": f"token-{self.count('Login')}"}},
            "GetSMS": {"smsMsgId": subject} | self.sms.get(subject, {}),
            "GetSMSIds": sms_ids,
            "SendSMS": {"smsMsgId": 4711},
        }
        if subject not in {"", *self.sims, *self.sms}:
            return says(_UNKNOWN, status=404)
        if route == "getStatus":
            return raw(self.sims[subject].get("status", self._examples[route]) or "")
        if route in self._examples:
            return says(self.example(route, subject))
        return says(unpublished.get(route, {"iccid": subject}))


def _names(path: str) -> tuple[str, str, str]:
    """Return the names under which an answer to a path can be scripted, the closest first."""
    route, _, subject = path.partition("/")
    return f"{route}/{subject.partition('/')[0]}", route, ANY

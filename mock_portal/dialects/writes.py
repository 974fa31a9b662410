"""Writes: how they are acknowledged, and when they take effect."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NoReturn
from urllib.parse import quote, urlsplit, urlunsplit

from mock_portal.contents import BulkEdit, Timings
from mock_portal.errors import Code, PortalError
from mock_portal.exchange import Record, Response, WebhookCall, respond, to_json
from mock_portal.patterns import PLAIN_TEXT, Body, has_body, has_code
from mock_portal.sim import Sim

from .definition import Dialect, Variant


class Arrival(Enum):
    """When the probe saw a requested status."""

    AT_ONCE = auto()
    AFTER_SECONDS = auto()
    AFTER_READS = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusRequest:
    """A status requested for a SIM, which was due some seconds ago."""

    sim: Sim
    status: str
    timings: Timings
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """What becomes of a requested status, and when that shows."""

    carry_out: Callable[[StatusRequest], None]
    arrival: Arrival | None = None


def refuse_status(request: StatusRequest) -> NoReturn:
    """Refuse a status that the SIM cannot take."""
    sim = request.sim
    msg = f"The SIM status provided is invalid: {sim.iccid} cannot leave {sim.status}"
    raise PortalError(msg, Code.INVALID_STATUS)


def _set_at_once(request: StatusRequest) -> None:
    """Set the status now."""
    request.sim.request_status(request.status, after=0)


def _set_after_seconds(request: StatusRequest) -> None:
    """Set the status after the seconds of the scenario, counted from when it was due."""
    seconds = max(request.timings.status_seconds - request.late, 0)
    request.sim.request_status(request.status, after=seconds)


def _set_after_reads(request: StatusRequest) -> None:
    """Set the status after the reads of the scenario."""
    request.sim.request_status(request.status, reads=request.timings.status_reads)


def _never_set(request: StatusRequest) -> None:
    """Accept the request without any effect."""
    request.sim.request_status(request.status)


def _summary(edit: BulkEdit) -> Record:
    """Return what a webhook says of a bulk edit that has ended."""
    return {"queueId": edit.queue_id, "status": "COMPLETED"}


def _per_sim(edit: BulkEdit) -> Record:
    """Return the summary with the outcome for each SIM."""
    return _summary(edit) | {
        "results": [{"iccid": iccid, "success": success} for iccid, success in edit.results.items()]
    }


def _with_queue_id(url: str, queue_id: str | None) -> str:
    """Return a URL whose query names the queue; what is no URL stays as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    queue = quote(queue_id or "", errors="surrogatepass")
    query = "&".join(filter(None, (parts.query, f"queueId={queue}")))
    return urlunsplit(parts._replace(query=query))


WRITE_ANSWER: Dialect[Callable[[str | None], Response]] = Dialect(
    number="A12",
    name="write_answer",
    variants=(
        Variant(
            "iccid",
            'a write answers {"iccid"} (BulkEditDevice and RuleUpdate: {})',
            answer=lambda iccid: respond({} if iccid is None else {"iccid": iccid}),
            looks=has_body({"iccid": str}),
        ),
        Variant(
            "empty",
            "200 with an empty body",
            answer=lambda _: respond(b""),
            looks=has_body(Body.EMPTY),
        ),
        Variant("text", "OK", answer=lambda _: respond(b"OK"), looks=has_body(PLAIN_TEXT)),
        Variant(
            "queued",
            '202 with {"data": {"queued": true}}',
            answer=lambda _: respond({"data": {"queued": True}}, status=202),
            looks=has_body({"data": {"queued": bool}}),
        ),
    ),
)

STATUS_CHANGE: Dialect[StatusAnswer] = Dialect(
    number="A13",
    name="status_change",
    variants=(
        Variant(
            "immediate",
            "a requested status is there at once",
            answer=StatusAnswer(_set_at_once, Arrival.AT_ONCE),
        ),
        Variant(
            "after_seconds",
            "it is there after 30 s",
            answer=StatusAnswer(_set_after_seconds, Arrival.AFTER_SECONDS),
        ),
        Variant(
            "after_reads",
            "it is there after 3 reads of the SIM",
            answer=StatusAnswer(_set_after_reads, Arrival.AFTER_READS),
        ),
        Variant("never", "it never is", answer=StatusAnswer(_never_set)),
        Variant(
            "refused",
            "400 with code 10000050",
            answer=StatusAnswer(refuse_status),
            looks=has_code(Code.INVALID_STATUS),
        ),
    ),
)

BULK_WEBHOOK: Dialect[Callable[[str, BulkEdit], WebhookCall | None]] = Dialect(
    number="A18",
    name="bulk_webhook",
    variants=(
        Variant(
            "summary",
            'when a bulk edit ends, POST to the webhook: {"queueId", "status": "COMPLETED"}',
            answer=lambda url, edit: WebhookCall(url=url, body=to_json(_summary(edit))),
        ),
        Variant(
            "per_sim",
            'the same with "results": [{"iccid", "success"}]',
            answer=lambda url, edit: WebhookCall(url=url, body=to_json(_per_sim(edit))),
        ),
        Variant(
            "get",
            "GET on the webhook with ?queueId=",
            answer=lambda url, edit: WebhookCall(url=_with_queue_id(url, edit.queue_id)),
        ),
        Variant("silent", "the webhook is never called", answer=lambda *_: None),
    ),
)

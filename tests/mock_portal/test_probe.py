"""The command `probe`: what it recognises, what it asks, and what it writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, override
from urllib.parse import unquote

import pytest
import yaml

from mock_portal import DIALECTS, MockPortal, Portal, Request
from mock_portal.assumptions import (
    ASSUMPTIONS,
    FACTS,
    Asked,
    Evidence,
    Finding,
    Question,
    Result,
    judge,
)
from mock_portal.cli import main
from mock_portal.probe import table, to_report, to_scenario
from mock_portal.prober import Plan, Prober
from mock_portal.shapes import read
from mock_portal.upstream import Headers, NoReplyError, Reply, Upstream

USED = "8931000000000000017"
FRESH = "8931000000000000025"
REFUSING = "8931000000000000033"
ABZORB = "8944000000000000016"
WORLD: dict[str, Any] = {
    "clock": {"now": "2025-01-15T12:00:00Z", "frozen": True},
    "sims": {
        USED: {
            "data_usage": 1_500_000,
            "session_count": 3,
            "ip_address": "10.20.30.40",
            "session_started": "-1h",
            "device": {"customer": "ACME Corp"},
        },
        FRESH: {},
        REFUSING: {"refused_routes": ["sessionInfo"]},
        ABZORB: {"network": "abzorb", "data_usage": 2_000_000},
    },
    "sms": [
        {"id": 17, "iccid": USED, "text": "Open sesame", "status": status}
        | dict.fromkeys(("sent", "due", "modified"), "-1h")
        for status in ("Delivered",)
    ],
}
CREDENTIALS = {"clientId": "demo-client", "secretKey": "demo-secret"}
READING = Plan(iccids=(USED, FRESH, REFUSING), abzorb_iccids=(ABZORB,), try_wrong_login=True)
WRITING = Plan(iccids=(USED,), allow_sms=True, allow_status="DEACTIVATED")
SEEN_BY_READING = {
    "login_failure": "401",
    "login_answer": "data_token",
    "token_refused": "401",
    "usage_body": "array",
    "status_body": "bare",
    "open_session": "null",
    "sms_list": "smsMsgIds",
    "sms_body": "object",
    "sms_status": "title",
    "unknown_iccid": "404",
    "route_refused": "400_code",
    "abzorb": "same",
    "error_envelope": "cisco",
    "never_session": "nulls",
} | dict.fromkeys(FACTS, "as published")
SEEN_BY_WRITING = {
    "sms_id": "smsMsgId",
    "sms_status": "title",
    "write_answer": "iccid",
    "status_change": "immediate",
}
INVISIBLE = {
    ("token_life", "forever"),
    ("token_life", "one_hour"),
    ("rate_limit", "off"),
    ("status_change", "never"),
}
BY_WRITING = {"sms_id", "write_answer", "status_change"}
VISIBLE = [
    (dialect.name, variant.name)
    for dialect in DIALECTS.values()
    for variant in dialect.variants
    if (dialect.name, variant.name) not in INVISIBLE and dialect.name != "bulk_webhook"
]


class Direct(Upstream):
    """A portal in the same process, without a socket."""

    def __init__(self, portal: Portal) -> None:
        """Answer from a portal."""
        super().__init__("http://127.0.0.1/api")
        self.portal = portal

    @override
    async def send(
        self, method: str, target: str, headers: Headers = (), body: bytes | None = None
    ) -> Reply:
        request = Request(
            method=method, path=unquote(target), headers=dict(headers), body=body or b""
        )
        response = self.portal.handle(request)
        if response.status == 599:
            raise NoReplyError("it hung up")
        headers = list(response.headers.items())
        return Reply(status=response.status, headers=headers, body=response.body)


def world(dialects: Mapping[str, str] | None = None, base: object = "documented") -> Portal:
    """Return a portal with a SIM for every case."""
    return Portal({"extends": base, **WORLD, "dialects": dict(dialects or {})})


async def probe(portal: Portal, plan: Plan = READING) -> Prober:
    """Ask everything, as fast as it goes; waiting moves the portal's clock."""

    async def sleep(seconds: float) -> None:
        portal.clock.advance(seconds)

    prober = Prober(Direct(portal), CREDENTIALS, plan, pause=0, sleep=sleep, say=lambda _: None)
    await prober.run()
    return prober


def seen(findings: list[Finding]) -> dict[str, str]:
    """Return the variants that were seen."""
    assert [each for each in findings if each.result is Result.CONTRADICTED] == []
    return {each.name: each.variant for each in findings if each.variant}


def test_every_assumption_is_judged() -> None:
    """The table names the dialects, in order."""
    assert list(ASSUMPTIONS) == list(DIALECTS)
    assert [each.number for each in judge(Evidence())[:20]] == [f"A{n}" for n in range(1, 21)]


@pytest.mark.parametrize(("dialect", "variant"), VISIBLE)
async def test_variants(dialect: str, variant: str) -> None:
    """Every variant that can be seen is recognised, and the scenario written answers the same."""
    is_writing = dialect in BY_WRITING
    plan = WRITING if is_writing else READING
    if (dialect, variant) == ("token_life", "hundred_calls"):
        plan = Plan(iccids=READING.iccids, abzorb_iccids=READING.abzorb_iccids, try_token_life=True)
    expected = SEEN_BY_READING | {dialect: variant}
    if is_writing:
        expected = SEEN_BY_WRITING | {dialect: variant}

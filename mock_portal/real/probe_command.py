"""The command `mock-portal probe`, which reports which assumptions a real portal confirms."""

from argparse import ArgumentParser, Namespace
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from getpass import getpass
import os
import re
from typing import Any

from mock_portal.errors import SetupError
from mock_portal.sim import TERMINAL
from mock_portal.terminal import say

from .assumptions import Finding, Result, judge
from .evidence import Evidence
from .files import NewFile, to_yaml
from .probe import Plan, Prober
from .shapes import describe
from .upstream import Upstream

DESCRIPTION = """\
Asks a real portal what nobody has documented, and says for each assumption of docs/api.md whether
it holds: confirmed (with the variant that was seen), contradicted (an answer no variant gives), or
not seen (and what it would take). The more different SIMs you name, the more it sees: one in
session, one that never had a session, one with messages.

It takes about 30 requests and 10 seconds for a SIM or two, and writes two files:
  - the report: every answer by its shape (fields and types), status words and error codes. No
    ICCID, number, name, address, text or token is in it;
  - a scenario with the dialects that were seen: `mock-portal serve --scenario FILE` then answers
    as the portal does.
"""
EPILOG = """\
credentials: asked for on the terminal, or taken from the environment:
  IOT_PORTAL_CLIENT_ID and IOT_PORTAL_SECRET_KEY, or IOT_PORTAL_API_TOKEN

examples:
  mock-portal probe --base-url https://api.iotportal.io/api --iccid 8931082322089353632
  mock-portal probe --base-url https://uat.api.iotportal.io/apiv2 --iccid ... --iccid ...

what it does besides reading your SIMs: it logs in twice (if the portal allows one token at a time,
other programs of this account have to log in again), and asks once with a made-up token, three
times for an ICCID that does not exist, and once for a path in the wrong case.

never done: more than 4 requests a second or two at once, a write you have not allowed and
confirmed, EditDevice, BulkEditDevice, RuleUpdate, a terminal status, a wrong log-in you have not
asked for, repeating a write, following a redirect, sending a token over plain http, overwriting a
file.
"""

_MOST_SIMS = 10
_ICCID = re.compile(r"\d{18,22}")
_PORTALS = {
    "https://api.iotportal.io/api": "production",
    "https://uat.api.iotportal.io/apiv2": "UAT",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--base-url", required=True, metavar="URL", help="base URL of the portal")
    parser.add_argument(
        "--iccid", action="append", default=[], help="a SIM to read; may be given several times"
    )
    parser.add_argument(
        "--abzorb-iccid",
        action="append",
        default=[],
        metavar="ICCID",
        help="a SIM of the Abzorb network to read; may be given several times",
    )
    parser.add_argument(
        "--report", default="probe-report.yaml", metavar="FILE", help="a file that does not exist"
    )
    parser.add_argument(
        "--scenario",
        default="probe-scenario.yaml",
        metavar="FILE",
        help="another file that does not exist",
    )
    parser.add_argument(
        "--try-wrong-login",
        action="store_true",
        help="log in once with made-up credentials; it is unknown how a portal reacts",
    )
    parser.add_argument(
        "--try-token-life",
        action="store_true",
        help="use one token a hundred times (half a minute)",
    )
    parser.add_argument(
        "--allow-sms",
        action="store_true",
        help="send one SMS, which may cost money, to the first SIM; you confirm it",
    )
    parser.add_argument(
        "--allow-status",
        metavar="STATUS",
        help="request this status for the first SIM, and wait a minute for it; you confirm it",
    )


def run(options: Namespace) -> Coroutine[Any, Any, None]:
    """Check the options and ask for missing input; return the coroutine that runs the probe."""
    plan = _plan(options)
    report, scenario = NewFile(options.report), NewFile(options.scenario)
    if report.path.resolve() == scenario.path.resolve():
        msg = "--report and --scenario need a file each"
        raise SetupError(msg)
    upstream = Upstream(options.base_url)
    credentials = _ask(plan)
    return _probe(upstream, credentials, plan, report, scenario)


async def _probe(
    upstream: Upstream,
    credentials: Mapping[str, str],
    plan: Plan,
    report: NewFile,
    scenario: NewFile,
) -> None:
    """Ask, print the findings, and write both files."""
    async with upstream:
        prober = Prober(upstream, credentials, plan, say=say)
        is_logged_in = await prober.run()
    evidence = prober.evidence
    findings = judge(evidence)
    say(f"\n{table(findings)}\n")
    report.write(to_yaml(to_report(findings, evidence, str(upstream.base_url))))
    scenario.write(to_yaml(to_scenario(findings, evidence)))
    say(f"Report    {report.path}\nScenario  {scenario.path}")
    for sim in range(1, len(plan.sims) + 1):
        if is_logged_in and not evidence.knows(sim):
            say(f"Nothing was learned from SIM {sim}: the portal told nothing about it.")
    if not is_logged_in:
        msg = "the portal did not accept the log-in; there was nothing more to ask"
        raise SetupError(msg)


def table(findings: Sequence[Finding]) -> str:
    """Return the findings as a table for a terminal."""
    rows = [
        (each.number, each.name, str(each.result), each.variant or "", each.note)
        for each in findings
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(
            (*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4])
        ).rstrip()
        for row in rows
    )


def to_report(findings: Sequence[Finding], evidence: Evidence, base_url: str) -> dict[str, Any]:
    """Return the report: findings, and every answer by its shape."""
    return {
        "description": "Written by mock-portal probe; it shows shapes, and no value that identifies.",
        "date": datetime.now(UTC).date().isoformat(),
        "portal": _PORTALS.get(base_url, "another"),
        "findings": [
            {name: str(value) for name, value in asdict(each).items() if value} for each in findings
        ],
        "answers": [
            {
                "asked": str(asked.question),
                "route": asked.route,
                **({"sim": asked.sim} if asked.sim else {}),
                "status": asked.answer.status,
                **({"retry_after": True} if asked.answer.retry_after else {}),
                "body": describe(asked.answer, asked.route),
            }
            for asked in evidence.asked
        ],
    }


def to_scenario(findings: Sequence[Finding], evidence: Evidence) -> dict[str, Any]:
    """Return a scenario with the variants that were seen; the others keep their default."""
    refused = evidence.refused_routes()
    return {
        "description": "Answers as a real portal answered mock-portal probe.",
        "extends": "demo",
        "dialects": {
            each.name: each.variant
            for each in findings
            if each.number and each.result is Result.CONFIRMED
        },
        **({"accounts": {"demo-client": {"refused_routes": refused}}} if refused else {}),
    }


def _plan(options: Namespace) -> Plan:
    """Return the plan; raise an error if it is invalid."""
    plan = Plan(
        iccids=tuple(options.iccid),
        abzorb_iccids=tuple(options.abzorb_iccid),
        try_wrong_login=options.try_wrong_login,
        try_token_life=options.try_token_life,
        allow_sms=options.allow_sms,
        allow_status=options.allow_status,
    )
    if any(not _ICCID.fullmatch(iccid) for iccid in plan.sims):
        msg = "An ICCID has 18 to 22 digits"
    elif len(plan.sims) > _MOST_SIMS:
        msg = f"{len(plan.sims)} SIMs are too many; {_MOST_SIMS} show what there is to see"
    elif not plan.iccids and (plan.allow_sms or plan.allow_status):
        msg = "A write needs --iccid: it goes to the first SIM named"
    elif plan.allow_status in TERMINAL:
        msg = f"No SIM comes back from {plan.allow_status}; the probe does not request it"
    else:
        return plan
    raise SetupError(msg)


def _ask(plan: Plan) -> dict[str, str]:
    """Ask for confirmation of writes and for credentials; return the credentials."""
    try:
        if plan.allow_sms:
            _confirm("sends an SMS to", plan.iccids[0])
        if plan.allow_status:
            _confirm(f"requests {plan.allow_status} for", plan.iccids[0])
        return _credentials()
    except EOFError as err:
        msg = "There is nobody to ask; set the environment variables that --help names"
        raise SetupError(msg) from err


def _confirm(act: str, iccid: str) -> None:
    """Ask for the last digits of the ICCID; raise an error if they differ."""
    if input(f"This {act} SIM 1. Type the last 4 digits of its ICCID: ").strip() != iccid[-4:]:
        msg = "Not confirmed; nothing was sent"
        raise SetupError(msg)


def _credentials() -> dict[str, str]:
    """Return the body of a log-in."""
    client_id = os.environ.get("IOT_PORTAL_CLIENT_ID")
    api_token = os.environ.get("IOT_PORTAL_API_TOKEN")
    if not client_id and not api_token:
        client_id = input("clientId (empty: log in with an apiToken): ").strip()
    if not client_id:
        return {"apiToken": api_token or getpass("apiToken: ")}
    secret_key = os.environ.get("IOT_PORTAL_SECRET_KEY") or getpass("secretKey: ")
    return {"clientId": client_id, "secretKey": secret_key}

"""The command `probe`: what it recognises, what it asks, and what it writes."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
import json
from pathlib import Path
import re
from typing import Any, override
from unittest.mock import patch
from urllib.parse import unquote

import pytest
import yaml

from mock_portal import DIALECTS, MockPortal, Portal, Request, SetupError
from mock_portal.cli import main
from mock_portal.real.assumptions import ASSUMPTIONS, FACTS, Finding, Result, judge
from mock_portal.real.evidence import Asked, Evidence, Question
from mock_portal.real.probe import Plan, Prober
from mock_portal.real.probe_command import to_report, to_scenario
from mock_portal.real.shapes import describe, read
from mock_portal.real.upstream import Headers, NoReplyError, Reply, Upstream

USED = "8931000000000000017"
FRESH = "8931000000000000025"
REFUSING = "8931000000000000033"
ABZORB = "8944000000000000016"
SCENARIO: dict[str, Any] = {
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
        {
            "id": 17,
            "iccid": USED,
            "text": "Open sesame",
            "status": "Delivered",
            "sent": "-1h",
            "due": "-1h",
            "modified": "-1h",
        }
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
        """Store the portal that answers."""
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
            msg = "it hung up"
            raise NoReplyError(msg)
        headers = list(response.headers.items())
        return Reply(status=response.status, headers=headers, body=response.body)


def make_portal(dialects: Mapping[str, str] | None = None, base: object = "documented") -> Portal:
    """Return a portal with a SIM for every case."""
    return Portal({"extends": base, **SCENARIO, "dialects": dict(dialects or {})})


async def probe(portal: Portal, plan: Plan = READING) -> Prober:
    """Ask everything without pauses; waiting advances the portal's clock."""

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
    """There is one assumption for each dialect, in the same order."""
    assert list(ASSUMPTIONS) == list(DIALECTS)
    assert [each.number for each in judge(Evidence())[:20]] == [f"A{n}" for n in range(1, 21)]


@pytest.mark.parametrize(("dialect", "variant"), VISIBLE)
async def test_variants(dialect: str, variant: str) -> None:
    """Every variant is recognised, and the written scenario answers the same."""
    is_writing = dialect in BY_WRITING
    is_long = variant == "hundred_calls"
    plan = WRITING if is_writing else replace(READING, try_token_life=is_long)
    expected = (SEEN_BY_WRITING if is_writing else SEEN_BY_READING) | {dialect: variant}
    if variant == "refused":
        del expected["write_answer"]
    evidence = (await probe(make_portal({dialect: variant}), plan)).evidence
    findings = judge(evidence)
    assert expected.items() <= seen(findings).items()
    assert is_writing or expected == seen(findings)
    again = make_portal(base=to_scenario(findings, evidence))
    assert seen(judge((await probe(again, plan)).evidence)) == seen(findings)


@pytest.mark.parametrize(("dialect", "variant"), sorted(INVISIBLE))
async def test_what_cannot_be_seen(dialect: str, variant: str) -> None:
    """Variants that show only over a long time or at a high rate are not reported."""
    plan = WRITING if dialect == "status_change" else READING
    findings = judge((await probe(make_portal({dialect: variant}), plan)).evidence)
    assert dialect not in seen(findings)


async def test_a_refused_route_is_refused_by_the_scenario() -> None:
    """A route refused for every SIM is refused to the account of the scenario."""
    portal = make_portal()
    portal.state.accounts["demo-client"].refused_routes = frozenset({"GetSMSIds"})
    evidence = (await probe(portal)).evidence
    scenario = to_scenario(judge(evidence), evidence)
    assert scenario["accounts"] == {"demo-client": {"refused_routes": ["GetSMSIds"]}}
    assert Portal(scenario).state.accounts["demo-client"].refused_routes == {"GetSMSIds"}


async def test_only_reads() -> None:
    """Without permission the probe writes nothing and tries no wrong log-in."""
    portal = make_portal()
    await probe(portal, Plan(iccids=(USED,)))
    assert {exchange.method for exchange in portal.journal} == {"GET", "POST"}
    assert {exchange.status for exchange in portal.journal.find("POST", "/Login")} == {200}
    assert len(portal.journal) < 20


async def test_writes() -> None:
    """Allowed writes are sent once, and for the first SIM only."""
    portal = make_portal()
    await probe(portal, replace(WRITING, iccids=(USED, FRESH)))
    portal.journal.assert_called_once("PUT", f"/SendSMS/{USED}/1")
    portal.journal.assert_called_once("PUT", f"/RequestStatusChange/{USED}")
    assert len(portal.journal.find("PUT")) == 2


async def test_a_status_that_is_there_already() -> None:
    """Requesting the current status shows the acknowledgement, but not when a change arrives."""
    plan = Plan(iccids=(USED,), allow_status="ACTIVATED")
    found = seen(judge((await probe(make_portal(), plan)).evidence))
    assert (found["write_answer"], found.get("status_change")) == ("iccid", None)


async def test_without_a_sim() -> None:
    """Without a SIM there are still the log-in and the errors."""
    found = seen(judge((await probe(make_portal(), Plan(try_token_life=True))).evidence))
    expected = {"login_answer", "token_refused", "unknown_iccid", "error_envelope"}
    assert found.keys() == expected


async def test_an_unknown_sim_says_nothing() -> None:
    """Answers about an unknown SIM are evidence for no other assumption."""
    portal = make_portal({"unknown_iccid": "200_empty"})
    evidence = (await probe(portal, Plan(iccids=("8931000000000000999",)))).evidence
    assert not evidence.knows(1)
    assert seen(judge(evidence)).keys().isdisjoint({"usage_body", "status_body", "never_session"})


ODD = [
    ("login_answer", Question.LOGIN, "Login", 200, {"jwt": "abc"}),
    ("login_failure", Question.LOGIN, "Login", 418, {}),
    ("login_failure", Question.WRONG_LOGIN, "Login", 200, {"data": {"token": "abc"}}),
    ("token_life", Question.MANY_CALLS, "getStatus", 401, {}),
    ("token_refused", Question.BAD_TOKEN, "getStatus", 200, "INVENTORY"),
    ("token_refused", Question.BAD_TOKEN, "getStatus", 401, {"errorCode": "7"}),
    ("usage_body", Question.READ, "ctdUsage", 200, {"usage": 5}),
    ("usage_body", Question.READ, "ctdUsage", 200, [1]),
    ("status_body", Question.READ, "getStatus", 200, {"state": "INVENTORY"}),
    (
        "open_session",
        Question.READ,
        "sessionInfo",
        200,
        {
            "dateSessionStarted": "2025-01-02 00:00:00.000+0000",
            "dateSessionEnded": "2025-01-01 00:00:00.000+0000",
        },
    ),
    ("sms_id", Question.SEND_SMS, "SendSMS", 200, [4711]),
    ("sms_list", Question.READ, "GetSMSIds", 200, {"ids": [4711]}),
    ("sms_body", Question.READ, "GetSMS", 200, "Hello"),
    ("sms_status", Question.READ, "GetSMS", 200, {"status": "Sent"}),
    ("sms_status", Question.READ, "GetSMS", 200, {"status": "SENT"}),
    ("write_answer", Question.CHANGE, "RequestStatusChange", 200, {"ok": True}),
    ("unknown_iccid", Question.UNKNOWN, "ctdUsage", 500, {}),
    ("route_refused", Question.READ, "ctdUsage", 405, {}),
    ("route_refused", Question.READ, "ctdUsage", 401, {"errorCode": "10000030"}),
    ("abzorb", Question.ABZORB, "getStatus", 200, {"state": "Active"}),
    ("error_envelope", Question.BAD_TOKEN, "getStatus", 401, {"fault": "abc"}),
    ("never_session", Question.READ, "sessionInfo", 200, {"ipAddress": "", "iccid": "1"}),
    ("GetDevice answers an object", Question.READ, "GetDevice", 200, []),
    ("dates as in the examples", Question.READ, "GetDevice", 200, {"dateCreated": "1.2.2025"}),
    ("paths are exact", Question.WRONG_CASE, "GETSTATUS", 200, "INVENTORY"),
]


@pytest.mark.parametrize(("name", "question", "route", "status", "body"), ODD)
def test_contradictions(
    name: str, question: Question, route: str, status: int, body: object
) -> None:
    """An answer that no variant gives contradicts the assumption, and its shape is shown."""
    answer = read(Reply(status=status, body=json.dumps(body).encode()))
    evidence = Evidence(asked=[Asked(question=question, route=route, answer=answer)])
    finding = next(each for each in judge(evidence) if each.name == name)
    assert finding.result is Result.CONTRADICTED
    assert finding.note.startswith(f"{route} answered {status} ")
    assert "abc" not in finding.note
    assert name not in to_scenario([finding], evidence)["dialects"]


@pytest.mark.parametrize(
    ("name", "question", "route", "status", "body"),
    [
        ("token_life", Question.OLD_TOKEN, "getStatus", 500, b"{}"),
        ("usage_body", Question.READ, "ctdUsage", 500, b"{}"),
        ("sms_status", Question.READ, "GetSMS", 200, b'{"status": "Pending"}'),
        ("sms_list", Question.READ, "GetSMSIds", 200, b"[]"),
        ("route_refused", Question.READ, "ctdUsage", 403, b'{"errorCode": "10000001"}'),
        ("route_refused", Question.READ, "ctdUsage", 502, b"<html>"),
        ("error_envelope", Question.READ, "ctdUsage", 502, b"<html>"),
        ("usage_body", Question.READ, "ctdUsage", 429, b"{}"),
    ],
)
def test_silence(name: str, question: Question, route: str, status: int, body: bytes) -> None:
    """An answer that fits several variants, or is about something else, says nothing."""
    answer = read(Reply(status=status, body=body))
    evidence = Evidence(asked=[Asked(question=question, route=route, answer=answer)])
    finding = next(each for each in judge(evidence) if each.name == name)
    assert finding.result is Result.NOT_SEEN


async def test_several_variants() -> None:
    """The variant seen most is the finding, the others are mentioned."""
    answers = [b'{"message": "a"}', b'{"errorMessage": "a"}', b'{"errorMessage": "b"}']
    evidence = Evidence(
        asked=[
            Asked(
                question=Question.UNKNOWN,
                route="getStatus",
                answer=read(Reply(status=404, body=body)),
            )
            for body in answers
        ]
    )
    finding = next(each for each in judge(evidence) if each.name == "error_envelope")
    assert (finding.variant, finding.note) == ("cisco", "also seen: message")


async def test_the_report_identifies_nobody() -> None:
    """The report shows shapes, codes and status words, and nothing else."""
    portal = make_portal()
    evidence = (await probe(portal)).evidence
    text = yaml.safe_dump(to_report(judge(evidence), evidence, "https://api.iotportal.io/api"))
    assert "portal: production" in text
    assert "errorCode: '10000001'" in text
    assert "body: ACTIVATED" in text
    for secret in (USED, "10.20.30.40", "ACME", "sesame", "1500000", *CREDENTIALS.values()):
        assert secret not in text
    assert not any(token in text for token in portal.state.tokens)
    assert not any(sim.imsi in text or sim.imei in text for sim in portal.sims.values())


@pytest.mark.parametrize(
    ("body", "route", "described"),
    [
        (b"", "getStatus", "empty"),
        (b"<p>8931</p>", "getStatus", "a page of HTML"),
        (b"secrettoken", "Login", "a bare word"),
        (b"two words", "Login", "plain text"),
        (b"Not active", "getStatus", "Not active"),
        (b'"8931082322089353632"', "getStatus", "19 digits"),
        (b'{"8931082322089353632": "+31 6"}', "ctdUsage", {"(a key)": "a text"}),
        (
            b'{"status": "Anna (1)", "code": 77}',
            "ctdUsage",
            {"status": "a text", "code": "a number"},
        ),
        (b'[1, 2.5, true, null, "True"]', "x", ["a number", True, None, "True"]),
    ],
)
def test_shapes(body: bytes, route: str, described: object) -> None:
    """A body is described without its values."""
    assert describe(read(Reply(status=200, body=body)), route) == described


async def test_pace() -> None:
    """Requests are a quarter of a second apart."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    prober = Prober(Direct(make_portal()), CREDENTIALS, Plan(), sleep=sleep, say=lambda _: None)
    await prober.run()
    assert len(waits) == len(prober.evidence.asked) - 1
    assert all(0.2 < seconds <= 0.25 for seconds in waits)


async def test_retry_after() -> None:
    """The probe waits as long as Retry-After says; a rate-limited write is not repeated."""
    portal = make_portal()
    portal.faults.add("rate_limited", route="getStatus", times=1, retry_after="7")
    portal.faults.add("rate_limited", route="SendSMS", retry_after="9")
    start = portal.clock.now()
    prober = await probe(portal, WRITING)
    assert (portal.clock.now() - start).total_seconds() == 7
    portal.journal.assert_called_once("PUT", "/SendSMS/*")
    assert seen(judge(prober.evidence))["rate_limit"] == "429_retry_after"


async def test_a_limit_that_does_not_end() -> None:
    """The probe gives up on a rate limit that does not end."""
    portal = make_portal()
    portal.faults.add("rate_limited", route="sessionInfo")
    assert seen(judge((await probe(portal, Plan(iccids=(USED,)))).evidence))["rate_limit"] == "429"
    assert len(portal.journal.find(path="/sessionInfo/*")) == 3


async def test_a_token_that_dies_early() -> None:
    """A token that is refused after fewer calls than any variant says is a contradiction."""
    portal = make_portal()
    portal.faults.add("status", route="getStatus", after=20, status=401)
    evidence = (await probe(portal, Plan(iccids=(USED,), try_token_life=True))).evidence
    finding = next(each for each in judge(evidence) if each.name == "token_life")
    assert finding.result is Result.CONTRADICTED
    assert 0 < evidence.token_calls < 20


async def test_no_answer() -> None:
    """A request without an answer is skipped, except the first."""
    portal = make_portal()
    portal.faults.add("status", route="ctdUsage", status=599)
    assert "usage_body" not in seen(judge((await probe(portal)).evidence))
    portal.faults.add("status", route="Login", status=599)
    with pytest.raises(SetupError, match="does not answer: it hung up"):
        await probe(portal)


def _run(portal: MockPortal, folder: Path, *options: str) -> int:
    """Run the command without pauses, with its files in a folder."""
    files = ["--report", str(folder / "r.yaml"), "--scenario", str(folder / "s.yaml")]
    with patch("mock_portal.real.probe_command.Prober", partial(Prober, pause=0)):
        return main(["probe", "--base-url", portal.url, *files, *options])


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment variables."""
    monkeypatch.setenv("IOT_PORTAL_CLIENT_ID", "demo-client")
    monkeypatch.setenv("IOT_PORTAL_SECRET_KEY", "demo-secret")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Answer prompts in order; a prompt without an answer raises EOFError."""
    prepared: list[str] = []

    def answer(_: str) -> str:
        if not prepared:
            raise EOFError
        return prepared.pop(0)

    for name in ("CLIENT_ID", "SECRET_KEY", "API_TOKEN"):
        monkeypatch.delenv(f"IOT_PORTAL_{name}", raising=False)
    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("mock_portal.real.probe_command.getpass", answer)
    yield prepared
    assert prepared == []


def test_command(capsys: pytest.CaptureFixture[str], tmp_path: Path, credentials: None) -> None:
    """The command prints a table and writes two files that only their owner can read."""
    with MockPortal.in_thread({"extends": "documented", **SCENARIO}) as portal:
        assert _run(portal, tmp_path, "--iccid", USED, "--iccid", "8931000000000000999") == 0
    out = capsys.readouterr().out
    assert re.search(r"^A2 +login_answer +confirmed +data_token$", out, re.MULTILINE)
    assert re.search(r"^A18 +bulk_webhook +not seen +needs a bulk edit", out, re.MULTILINE)
    assert "Nothing was learned from SIM 2" in out
    assert USED not in out
    for name in ("r.yaml", "s.yaml"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert Portal(tmp_path / "s.yaml").dialects["usage_body"] == "array"


def test_files_are_not_overwritten(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, credentials: None
) -> None:
    """A file that exists is left alone, and nothing is asked."""
    (tmp_path / "s.yaml").write_text("mine")
    with MockPortal.in_thread() as portal:
        assert _run(portal, tmp_path) == 1
        assert len(portal.journal) == 0
    assert "s.yaml exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given",
    [["demo-client", "demo-secret"], ["", "demo-token"]],
)
def test_prompts(tmp_path: Path, answers: list[str], given: list[str]) -> None:
    """Credentials missing in the environment are asked for."""
    answers += given
    with MockPortal.in_thread() as portal:
        assert _run(portal, tmp_path) == 0


def test_api_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: list[str]) -> None:
    """The environment may hold an apiToken."""
    monkeypatch.setenv("IOT_PORTAL_API_TOKEN", "demo-token")
    with MockPortal.in_thread() as portal:
        assert _run(portal, tmp_path) == 0


def test_nobody_to_ask(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, answers: list[str]
) -> None:
    """Without a terminal and without variables the error is one sentence."""
    with MockPortal.in_thread() as portal:
        assert _run(portal, tmp_path) == 1
    assert "nobody to ask" in capsys.readouterr().err


def test_wrong_credentials(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, answers: list[str]
) -> None:
    """A failed log-in is tried once, is reported, and ends the run."""
    answers += ["demo-client", "wrong"]
    with MockPortal.in_thread() as portal:
        assert _run(portal, tmp_path, "--iccid", USED) == 1
        assert len(portal.journal) == 1
    captured = capsys.readouterr()
    assert re.search(r"^A1 +login_failure +confirmed +401$", captured.out, re.MULTILINE)
    assert "did not accept the log-in" in captured.err
    assert "Nothing was learned" not in captured.out
    assert (tmp_path / "r.yaml").exists()


def test_confirmed_writes(
    tmp_path: Path, answers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write is confirmed with the last digits of the ICCID."""
    monkeypatch.setattr("mock_portal.real.probe._SMS_SECONDS", 0)
    answers += [USED[-4:], USED[-4:], "demo-client", "demo-secret"]
    with MockPortal.in_thread({"extends": "documented", **SCENARIO}) as portal:
        options = ["--iccid", USED, "--allow-sms", "--allow-status", "TRIAL"]
        assert _run(portal, tmp_path, *options) == 0
        assert portal.sims[USED].status == "TRIAL"
        assert portal.state.sms_of(portal.sims[USED])[-1].text == "mock-portal-probe"


def test_unconfirmed_write(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, answers: list[str]
) -> None:
    """A wrong confirmation ends everything before the first request."""
    answers += ["yes"]
    with MockPortal.in_thread() as portal:
        assert _run(portal, tmp_path, "--iccid", USED, "--allow-sms") == 1
        assert len(portal.journal) == 0
    assert "nothing was sent" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--iccid", "123"], "An ICCID has 18 to 22 digits"),
        (["--iccid", USED] * 11, "11 SIMs are too many"),
        (["--allow-sms"], "A write needs --iccid"),
        (["--iccid", USED, "--allow-status", "RETIRED"], "No SIM comes back from RETIRED"),
        (["--base-url", "http://example.org/api"], "would send the credentials in clear"),
        (["--base-url", "ftp://example.org"], "is no base URL"),
        (["--base-url", "https://me:secret@example.org"], "has no user"),
    ],
)
def test_mistakes(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    credentials: None,
    options: list[str],
    message: str,
) -> None:
    """An invalid option is reported in one sentence, and nothing is asked."""
    with MockPortal.in_thread() as portal:
        assert _run(portal, tmp_path, *options) == 1
        assert len(portal.journal) == 0
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["probe", "record"])
def test_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """The help lists what is never done, and gives examples."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert "never done:" in out
    assert f"  mock-portal {command} --" in out

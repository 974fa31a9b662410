"""The shipped scenarios, and how scenarios are written."""

from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from freezegun.api import FrozenDateTimeFactory
import pytest

from mock_portal import MockPortal, Portal, SetupError
from mock_portal.scenario import iccid, shipped

from .conftest import ACTIVE, DOCUMENTED, Caller


def _luhn(number: str) -> bool:
    """Return whether Luhn's check digit is valid."""
    total = 0
    for index, digit in enumerate(reversed(number)):
        doubled = int(digit) * (1 + index % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def test_shipped() -> None:
    """These scenarios are shipped."""
    assert shipped() == [
        "abzorb",
        "busy-month",
        "demo",
        "documented",
        "flaky",
        "fleet",
        "strict-account",
    ]


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenario(name: str) -> None:
    """Every shipped scenario has the demo account, the documented SIM, and valid ICCIDs."""
    portal = Portal(name)
    account = portal.state.accounts["demo-client"]
    assert (account.secret_key, account.api_token) == ("demo-secret", "demo-token")
    assert portal.sims[DOCUMENTED].imei == "8613300585142338"
    for number in portal.sims:
        assert len(number) == 19
        assert _luhn(number), number
    portal.restore(portal.snapshot())


def test_demo() -> None:
    """The demo has a SIM that grows, one near its allowance and one in session."""
    portal = Portal("demo")
    _, grows, near, online = portal.sims.values()
    assert (grows.iccid, grows.bytes_per_second) == (ACTIVE, 50_000)
    assert (near.data_usage, near.device["dataquantity"]) == (480_000_000, "500")
    assert online.in_session


def test_fleet() -> None:
    """A fleet has as many SIMs as asked for, the same ones every time."""
    portals = [Portal({"extends": "fleet", "fleet": {"count": 500}}) for _ in range(2)]
    first, second = [
        [(sim.iccid, sim.status, sim.data_usage) for sim in portal.sims.values()]
        for portal in portals
    ]
    assert len(first) == 501
    assert first == second
    assert iccid(7) in portals[0].sims


@pytest.mark.parametrize("scenario", ["abzorb"], indirect=True)
async def test_abzorb(caller: Caller) -> None:
    """The Abzorb network has its own words, and no text messages."""
    sleeping, number = "8944100000000000026", "8944100000000000018"
    assert (await caller.get(f"/getStatus/{number}")).json["simStatus"] == "Active"
    assert (await caller.get(f"/getStatus/{sleeping}")).json["simStatus"] == "Deactivated"
    assert (await caller.get(f"/GetSMSIds/{number}")).json["errorCode"] == "10000030"
    assert (await caller.get(f"/getStatus/{DOCUMENTED}")).text == "INVENTORY"


@pytest.mark.parametrize("scenario", ["strict-account"], indirect=True)
async def test_strict_account(caller: Caller) -> None:
    """The strict account cannot edit, and has a rate limit."""
    edit = await caller.put(f"/EditDevice/{ACTIVE}", {"customer": "Anna"})
    assert edit.json["errorCode"] == "10000030"
    answers = [await caller.get(f"/getStatus/{ACTIVE}") for _ in range(6)]
    assert answers[-1].status == 429


def test_busy_month() -> None:
    """A cycle ends, an IMEI changes and a SIM is deactivated within days."""
    portal = Portal("busy-month")
    kiosk, _, gauge = list(portal.sims.values())[1:]
    used, imei = kiosk.data_usage, gauge.imei
    portal.clock.advance(2 * 3600)
    assert kiosk.data_usage > used
    assert gauge.in_session
    portal.clock.advance(2 * 24 * 3600)
    assert kiosk.data_usage < used
    assert gauge.imei != imei
    assert gauge.status == "DEACTIVATED"


def test_flaky_repeats_itself() -> None:
    """The same requests fail on every run."""
    struck = []
    for _ in range(2):
        faults = Portal("flaky").faults
        struck.append(
            [fault and fault.kind for fault in (faults.pick("GET", None, None) for _ in range(200))]
        )
    assert struck[0] == struck[1]
    assert 20 < sum(kind is not None for kind in struck[0]) < 80


def test_own_files(tmp_path: Path) -> None:
    """A scenario can be a YAML or a JSON file, and extend another."""
    yaml_file, json_file = tmp_path / "mine.yaml", tmp_path / "mine.json"
    yaml_file.write_text(f"extends: demo\nsims:\n  {ACTIVE}: {{status: TRIAL}}\n")
    json_file.write_text(
        json.dumps({"extends": str(yaml_file), "sims": {ACTIVE: {"data_usage": 5}}})
    )
    sim = Portal(json_file).sims[ACTIVE]
    assert (sim.status, sim.device["deviceID"]) == ("TRIAL", "Weather station")
    assert Portal(str(yaml_file)).sims[ACTIVE].status == "TRIAL"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.yaml", "- 1", "does not hold a mapping"),
        ("broken.yaml", "a: [", "cannot be read: while parsing"),
        ("broken.json", "{", "cannot be read: Expecting"),
        ("twice.yaml", "sims:\n  '1': {}\n  1: {}\n", "cannot be read: line 3: '1' is there twice"),
        ("twice.yaml", "extends: demo\nextends: fleet\n", "line 2: 'extends' is there twice"),
        ("twice.yaml", "faults:\n- {kind: hang, kind: delay}\n", "line 2: 'kind' is there twice"),
        ("twice.json", '{"sims": {"1": {}, "1": {}}}', "cannot be read: '1' is there twice"),
        ("typo.yaml", "acounts: {}", "there is no 'acounts'; did you mean accounts?"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    """An invalid file is refused with the reason."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SetupError) as refused:
        Portal(path)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("./mine.yaml", "There is no scenario './mine.yaml'; shipped are"),
        ("./mine.yaml", ". As a file it cannot be read: No such file or directory"),
        ("./folder", ". As a file it cannot be read: Is a directory"),
        ("nonsense", "strict-account$"),
    ],
)
def test_file_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    """What looks like a path is said to be none, and why; a name gets the names of the shipped ones."""
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError, match=message):
        Portal(source)


@pytest.mark.parametrize("name", ["mine.yaml", "mine.json"])
def test_file_with_a_byte_order_mark(tmp_path: Path, name: str) -> None:
    """A file that an editor of Windows has saved is read."""
    path = tmp_path / name
    path.write_text('{"extends": "demo"}', encoding="utf-8-sig")
    assert ACTIVE in Portal(path).sims


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"accounts": {"a": {"secret_key": "b"}}}, "scenario.accounts.a: api_token is missing"),
        ({"sims": {"1": {"sesion_count": 1}}}, "did you mean session_count?"),
        ({"sims": {"1": {"zzz": 1}}}, "there are iccid, network"),
        ({"dialects": {"x": "y"}}, "scenario.dialects: There is no dialect 'x'"),
        ({"fleet": {"count": -1}}, "scenario.fleet.count: -1 is not between"),
        ({"faults": [{"kind": "x"}]}, "scenario.faults[0].kind: expected one of"),
        ({"timings": {"sms_seconds": -1}}, "scenario.timings.sms_seconds"),
    ],
)
def test_bad_content(content: dict[str, Any], message: str) -> None:
    """The error names the place of a mistake."""
    with pytest.raises(SetupError) as refused:
        Portal(content)
    assert message in str(refused.value)


def test_unknown_scenario() -> None:
    """The error for an unknown name lists the shipped scenarios."""
    with pytest.raises(SetupError, match="'nonsense'; shipped are abzorb, busy-month"):
        Portal("nonsense")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", datetime(2025, 1, 31, tzinfo=UTC)),
        ("+90s", datetime(2025, 1, 31, 0, 1, 30, tzinfo=UTC)),
        ("-2h", datetime(2025, 1, 30, 22, tzinfo=UTC)),
        ("-1.5d", datetime(2025, 1, 29, 12, tzinfo=UTC)),
        ("2024-12-24", datetime(2024, 12, 24, tzinfo=UTC)),
        ("2024-12-24T01:00:00+01:00", datetime(2024, 12, 24, tzinfo=UTC)),
        ("2024-12-24 00:00:00.000+0000", datetime(2024, 12, 24, tzinfo=UTC)),
        (datetime(2024, 12, 24), datetime(2024, 12, 24, tzinfo=UTC)),  # noqa: DTZ001
    ],
)
def test_times(text: object, moment: datetime) -> None:
    """Times are absolute, or relative to the scenario's own clock."""
    portal = Portal(
        {
            "clock": {"now": "2025-01-31T00:00:00Z", "frozen": True},
            "sims": {"1": {"date_created": text}},
        }
    )
    assert portal.sims["1"].date_created == moment


async def test_under_a_frozen_test(freezer: FrozenDateTimeFactory, session: ClientSession) -> None:
    """The portal follows the frozen time of a test, and can be reset there."""
    async with MockPortal("demo") as portal:
        caller = Caller(portal=portal, session=session)
        await caller.login()
        before = portal.sims[ACTIVE].data_usage
        portal.sims[ACTIVE].posted_every = 0
        freezer.tick(60)
        grown = (await caller.get(f"/ctdUsage/{ACTIVE}")).json[0]["ctdDataUsage"] - before
        assert grown == 60 * 50_000
        portal.reset()
        portal.restore(portal.snapshot())
        assert portal.sims[ACTIVE].data_usage == before


def test_relative_times_move_with_a_reset() -> None:
    """A time two hours ago at the start is two hours ago after a reset."""
    portal = Portal({"sims": {"1": {"date_created": "-2h"}}})
    portal.reset()
    created = portal.sims["1"].date_created
    assert created is not None
    assert timedelta(hours=2) - timedelta(seconds=5) < portal.clock.now() - created


async def test_dialects_and_faults_beside_a_scenario() -> None:
    """A portal takes dialects and faults beside its scenario, and a reset keeps them."""
    portal = MockPortal(
        "demo", dialects={"status_body": "quoted"}, faults=[{"kind": "hang", "times": 1}]
    )
    portal.dialects["status_body"] = "bare"
    portal.faults.clear()
    portal.reset()
    assert portal.dialects["status_body"] == "quoted"
    assert [fault.kind for fault in portal.faults] == ["hang"]


ACCOUNT = ("demo-secret", "demo-token")


@pytest.mark.parametrize("content", [{}, {"sims": {"1": {}}}, {"dialects": {"sms_id": "bare"}}])
async def test_can_always_log_in(caller: Caller, content: dict[str, Any]) -> None:
    """A scenario that says nothing of accounts has the one of the shipped scenarios."""
    for portal in (Portal(content), Portal({"extends": content})):
        account = portal.state.accounts["demo-client"]
        assert (account.secret_key, account.api_token) == ACCOUNT
    await caller.control("POST", "scenario", content)
    assert await caller.login()
    await caller.control("POST", "reset")
    assert await caller.login()
    await caller.control("PUT", "snapshot", content)
    assert await caller.login()


@pytest.mark.parametrize("accounts", [{}, []])
def test_no_account(accounts: Any) -> None:
    """A scenario may say that there is no account, and a snapshot keeps that."""
    portal = Portal({"accounts": accounts})
    assert not portal.state.accounts
    portal.restore(portal.snapshot())
    assert not portal.state.accounts


def test_other_accounts() -> None:
    """A scenario with accounts has those alone."""
    portal = Portal({"accounts": {"me": {"secret_key": "a", "api_token": "b"}}})
    assert list(portal.state.accounts) == ["me"]


def test_extending_itself(tmp_path: Path) -> None:
    """A scenario that extends itself, also by way of others, is refused with the chain."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(f"extends: {second}")
    second.write_text(f"extends: {first}")
    own = tmp_path / "own.yaml"
    own.write_text(f"extends: {tmp_path}/../{tmp_path.name}/own.yaml")
    for source, circle in (
        (first, f"{first} extends {second} extends {first}"),
        ({"extends": {"extends": str(second)}}, f"{second} extends {first} extends {second}"),
        (own, f"{own} extends {own}"),
    ):
        with pytest.raises(SetupError) as refused:
            Portal(source)
        assert str(refused.value) == f"A scenario must not extend itself: {circle}"
    content: dict[str, Any] = {}
    content["extends"] = content
    with pytest.raises(SetupError, match=r"itself: a mapping extends a mapping$"):
        Portal(content)


def test_nested_too_deeply() -> None:
    """A scenario with too many levels is refused with a sentence."""
    chain: dict[str, Any] = {}
    for _ in range(5000):
        chain = {"extends": chain}
    with pytest.raises(SetupError, match="The scenario is nested too deeply"):
        Portal(chain)


def test_a_new_session_has_not_ended() -> None:
    """A SIM that is given a new session does not inherit the end of the old one."""
    portal = Portal({"extends": "demo", "sims": {ACTIVE: {"session_started": "-2h"}}})
    assert portal.sims[ACTIVE].in_session
    over = {"session_started": "-2h", "session_ended": "-1h"}
    assert not Portal({"extends": "demo", "sims": {ACTIVE: over}}).sims[ACTIVE].in_session
    fleet = {"extends": "fleet", "fleet": {"count": 1, "sim": {"session_started": "-5m"}}}
    assert list(Portal(fleet).sims.values())[-1].in_session


async def test_an_end_before_the_start(caller: Caller) -> None:
    """The end of an older session does not end the one that is set."""
    sim = caller.portal.sims[ACTIVE]
    sim.session_started = caller.portal.clock.now()
    assert sim.in_session
    answer = await caller.get(f"/sessionInfo/{ACTIVE}")
    assert answer.json["dateSessionEnded"] is None
    caller.portal.clock.set(caller.portal.clock.now() - timedelta(hours=1))
    sim.close_session()
    assert not sim.in_session

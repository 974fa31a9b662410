"""What Python code sets is checked as if it came over HTTP."""

from datetime import UTC, datetime, timedelta
import json
from typing import Any

import pytest

from mock_portal import MockPortal, Portal, Request, SetupError, Sim
from mock_portal.sim import ANSWER_FIELDS

from .conftest import ACTIVE, DOCUMENTED, Caller


@pytest.fixture
def sim() -> Sim:
    """Return a SIM of a portal whose clock stands still."""
    portal = Portal({"extends": "demo", "clock": {"now": "2025-01-31T12:00:00Z", "frozen": True}})
    return portal.sims[ACTIVE]


WRONG: list[tuple[str, Any, str]] = [
    ("stauts", "X", "A Sim has no 'stauts'; did you mean status?"),
    ("zzz", 1, "A Sim has no 'zzz'; there are iccid, network"),
    ("data_usage", -5, "Sim.data_usage: -5 is not between 0 and"),
    ("data_usage", 1.5, "Sim.data_usage: expected a number, not 1.5"),
    ("data_usage", True, "Sim.data_usage: expected a number, not True"),
    ("data_usage", None, "Sim.data_usage: expected a number, not None"),
    ("data_usage", float("inf"), "expected a number"),
    ("data_usage", 10**400, "Sim.data_usage: 1000"),
    ("unposted", 10**400, "too large"),
    ("status", None, "Sim.status: expected a text, not None"),
    ("session_started", "soon", "'soon' is no time"),
    ("session_started", "+99999999999d", "too large"),
    ("cycle_day", 32, "32 is not between 1 and 31"),
    ("refused_routes", {"SendSms"}, "did you mean SendSMS?"),
    ("refused_routes", "SendSMS", "expected a list"),
    ("device", {"nope": "x"}, "Sim.device: there is no 'nope'; there are ratePlan"),
    ("device", {"custmer": "x"}, "did you mean customer?"),
    ("device", {"customer": 7}, "customer must be a text or null, not 7"),
    ("placeholders", {"imie": None}, "Sim.placeholders: there is no 'imie'; did you mean im"),
    ("placeholders", {"imei": object()}, "expected JSON of at most 50 levels"),
    ("agenda", [{"due": "+1h", "kind": "nap"}], "Sim.agenda[0].kind: expected one of status"),
    ("agenda", [{"due": "+1h", "kind": "status"}], "A planned status needs a value, such as"),
    ("agenda", [{"due": "+1h", "kind": "imei", "value": ""}], "A planned imei needs a value"),
    ("agenda", [{"due": "+1h", "kind": "correction"}], "such as '1000', not None"),
    ("agenda", [{"due": "+1h", "kind": "correction", "value": "x"}], "such as '1000', not 'x'"),
    ("agenda", [{"due": "+1h", "kind": "correction", "value": "-1"}], "such as '1000', not '-1'"),
]


@pytest.mark.parametrize(("name", "value", "part"), WRONG)
def test_wrong_field(sim: Sim, name: str, value: Any, part: str) -> None:
    """A wrong name or value is refused with a sentence, and changes nothing."""
    before = dict(vars(sim))
    with pytest.raises(SetupError) as refused:
        setattr(sim, name, value)
    assert part in str(refused.value)
    assert vars(sim) == before


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [each for each in WRONG if each[0] in {"device", "agenda"} or "'imie'" in each[2]],
)
async def test_wrong_field_over_http(caller: Caller, name: str, value: Any, part: str) -> None:
    """PATCH and PUT refuse the same at any depth."""
    for method, path in (("PATCH", f"sims/{ACTIVE}"), ("PUT", "sims/8931000000000000008")):
        answer = await caller.control(method, path, {name: value})
        assert answer.status == 400
        assert part.replace("Sim.", "body.") in answer.json["error"]


async def test_a_deep_body(caller: Caller) -> None:
    """A body with too many levels is refused, and what is there can still be read."""
    value: Any = None
    for _ in range(60):
        value = [value]
    answer = await caller.control("PATCH", f"sims/{ACTIVE}", {"placeholders": {"imei": value}})
    assert answer.status == 400
    assert "50 levels" in answer.json["error"]
    assert (await caller.control("GET", f"sims/{ACTIVE}")).status == 200


async def test_another_sim_in_the_body(caller: Caller) -> None:
    """PUT refuses a body that names another SIM."""
    answer = await caller.control("PUT", f"sims/{ACTIVE}", {"iccid": DOCUMENTED})
    assert (answer.status, answer.json["error"]) == (
        400,
        "The body names another SIM than the path",
    )


def test_status_that_is_none(sim: Sim) -> None:
    """A misspelt status is refused with a suggestion; one that only some networks have can be set as the field."""
    before = list(sim.agenda)
    for after in (0, 60):
        with pytest.raises(SetupError, match="no status 'ACTIVE'; did you mean ACTIVATED"):
            sim.set_status("ACTIVE", after=after)
    assert (sim.status, sim.agenda) == ("ACTIVATED", before)
    sim.status = "Suspended"
    assert sim.status == "Suspended"


def test_port_that_is_none() -> None:
    """A port that is no number is refused with a sentence."""
    with pytest.raises(SetupError, match="There is no port '8089'; ports go from 1 to 65535"):
        MockPortal(port="8089")  # type: ignore[arg-type]


def test_a_number_of_many_digits(sim: Sim) -> None:
    """A number that Python does not write is refused, too."""
    with pytest.raises(SetupError, match="a number is not between"):
        sim.data_usage = 10**5000


def test_wrong_items(sim: Sim) -> None:
    """Single fields of the device and single placeholders are checked, too."""
    sim.device["customer"] = "Anna"
    with pytest.raises(SetupError, match="there is no 'custmer'; did you mean customer"):
        sim.device["custmer"] = "Anna"
    with pytest.raises(SetupError, match="customer must be a text or null, not 7"):
        sim.device["customer"] = 7
    with pytest.raises(SetupError, match="there is no 'imie'"):
        sim.placeholders["imie"] = None
    assert (sim.device["customer"], sim.placeholders) == ("Anna", {})


def test_other_settings() -> None:
    """Accounts, networks, timings, faults, messages and tokens are checked, too."""
    portal = Portal({"extends": "demo", "networks": {"abzorb": {}}})
    state = portal.state
    message = state.receive_sms(ACTIVE, "Hello")
    token = state.login("demo-client", "demo-secret")
    fault = portal.faults.add("delay")
    settings: list[tuple[Any, str, Any, str]] = [
        (state.accounts["demo-client"], "secretkey", "x", "did you mean secret_key?"),
        (state.accounts["demo-client"], "refused_routes", {"x"}, "There is no route 'x'"),
        (state.networks["abzorb"], "refused_routes", ["x"], "There is no route 'x'"),
        (state.timings, "sms_second", 1, "did you mean sms_seconds?"),
        (state.timings, "sms_seconds", -1, "Timings.sms_seconds: -1.0 is not between"),
        (fault, "time", 1, "did you mean times?"),
        (fault, "times", -1, "Fault.times: -1 is not between"),
        (fault, "kind", "x", "expected one of delay"),
        (fault, "method", "get", "Fault.method: No route has the method 'get'; did you mean GET?"),
        (message, "state", "Failed", "A Sms has no 'state'"),
        (token, "valu", "x", "A Token has no 'valu'; did you mean value?"),
    ]
    for target, name, value, part in settings:
        with pytest.raises(SetupError) as refused:
            setattr(target, name, value)
        assert part in str(refused.value)
    with pytest.raises(SetupError, match=r"Sim\.data_usage"):
        Sim(iccid="1", data_usage=-5)


def test_values_are_converted(sim: Sim) -> None:
    """A field takes what a scenario takes, such as a relative time."""
    sim.session_started = "-2h"  # type: ignore[assignment]
    assert sim.session_started == datetime(2025, 1, 31, 10, tzinfo=UTC)
    sim.session_ended = datetime(2025, 1, 31, 11)  # noqa: DTZ001
    assert sim.session_ended == datetime(2025, 1, 31, 11, tzinfo=UTC)
    sim.refused_routes = ["SendSMS"]  # type: ignore[assignment]
    assert sim.refused_routes == {"SendSMS"}
    sim.agenda = [*sim.agenda, {"due": "+1h", "kind": "session_open"}]  # type: ignore[list-item]
    sim.clock.advance("1h")
    assert sim.session_started == datetime(2025, 1, 31, 13, tzinfo=UTC)
    sim.close_session(after="15m")
    sim.open_session(after=timedelta(minutes=20))
    sim.clock.advance(15 * 60)
    assert not sim.in_session


@pytest.mark.parametrize(
    ("span", "seconds"), [(90, 90), ("90s", 90), ("+1h", 3600), ("1.5d", 129600), (0, 0)]
)
def test_spans(sim: Sim, span: Any, seconds: int) -> None:
    """The clock advances by seconds, or by a text with a unit."""
    before = sim.clock.now()
    sim.clock.advance(span)
    assert sim.clock.now() - before == timedelta(seconds=seconds)


async def test_spans_over_http(caller: Caller) -> None:
    """The control interface takes the same."""
    before = caller.portal.clock.now()
    await caller.control("POST", "clock", {"advance": "1h"})
    assert caller.portal.clock.now() - before == timedelta(hours=1)
    change = {"action": "open", "after": "5m"}
    assert (await caller.control("POST", f"sims/{ACTIVE}/session", change)).status == 200
    answer = await caller.control("POST", "clock", {"advance": "an hour"})
    assert "body.advance: 'an hour' is no time span; write 90, 90s" in answer.json["error"]


@pytest.mark.parametrize(
    "span", ["1", "-1h", "1 hour", "", "1w", None, True, -1, 1e12, float("nan")]
)
def test_wrong_spans(sim: Sim, span: Any) -> None:
    """Anything else is refused with a sentence."""
    before = sim.clock.now()
    with pytest.raises(SetupError, match=r"no time span; write 90, 90s|The clock advances by 0 to"):
        sim.clock.advance(span)
    assert sim.clock.now() == before


@pytest.mark.parametrize("span", ["soon", 1e12, float("nan")])
def test_wrong_delays(sim: Sim, span: Any) -> None:
    """A change cannot come after a nonsensical time."""
    with pytest.raises(SetupError, match="after: "):
        sim.set_status("INVENTORY", after=span)
    assert sim.agenda == []


@pytest.mark.parametrize("moment", ["yesterday", "", None, 7, "-99999999999d", "1900-01-01"])
def test_wrong_moments(sim: Sim, moment: Any) -> None:
    """The clock is set to a moment; anything else is refused with a sentence."""
    with pytest.raises(SetupError, match=r"is no time; write|is too far away|the year 1900"):
        sim.clock.set(moment)


def test_moments(sim: Sim) -> None:
    """The clock is set to a moment, which may be written as in a scenario."""
    for moment in ("2025-02-01T12:00:00Z", "+0h", datetime(2025, 2, 1, 12)):  # noqa: DTZ001
        sim.clock.set(moment)
        assert sim.clock.now() == datetime(2025, 2, 1, 12, tzinfo=UTC)


def test_unknown_names() -> None:
    """A lookup of what is not there says what there is, and is a KeyError, too."""
    portal = Portal("demo")
    with pytest.raises(SetupError, match=f"^There is no SIM 999; there are {DOCUMENTED}, "):
        portal.sims["999"]
    with pytest.raises(
        SetupError, match="There is no dialect 'usage_bdy'; did you mean usage_body"
    ):
        portal.dialects["usage_bdy"]
    with pytest.raises(KeyError):
        portal.sims["999"]
    with pytest.raises(SetupError, match=r"An ICCID is a text, such as '\d+', not 8931"):
        portal.sims[8931]  # type: ignore[index]
    assert portal.sims.get("999") is None
    assert portal.dialects.get("x") is None
    assert "999" not in portal.sims
    assert "x" not in portal.dialects


def test_answer_fields() -> None:
    """The names for placeholders are those of the answers about a SIM."""
    portal = Portal("documented")
    token = portal.state.login("demo-client", "demo-secret").value
    names: set[str] = set()
    for route in ("ctdUsage", "GetDevice", "sessionInfo"):
        request = Request(
            method="GET", path=f"/api/{route}/{DOCUMENTED}", headers={"Authorization": token}
        )
        body = json.loads(portal.handle(request).body)
        names |= set(body[0] if isinstance(body, list) else body)
    assert names == set(ANSWER_FIELDS)

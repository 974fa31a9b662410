"""Any sequence of answers: what is reported is what happened, and each event comes once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any

from homeassistant.const import STATE_UNAVAILABLE
from hypothesis import HealthCheck, example, given, settings, strategies as st
import pytest

from .home import A_POLL, ICCID, MB, OTHER_ICCID, Home
from .odd_portal import Answer, OddPortal, page, raw, says

type Run = Callable[[Awaitable[Any]], Any]

IMEIS = ("352099001761481", "490154203237518", "356938035643809")
STATUSES = ("ACTIVATED", "DEACTIVATED")
MAX_ANSWERS = 12


class Change(StrEnum):
    """What happens to the SIM before an answer."""

    NOTHING = auto()
    CORRECTION = auto()
    CYCLE = auto()
    DEVICE = auto()
    STATUS = auto()


TOLD = {
    Change.CYCLE: "billing_cycle_ended",
    Change.DEVICE: "moved_to_another_device",
    Change.STATUS: "status_changed",
}

# What an intermediary, or a portal on a bad day, puts in place of every answer of one poll.
REFUSALS: dict[str, Answer] = {
    "bare 401": raw("", status=401),
    "bare 403": raw("", status=403),
    "bare 404": raw("", status=404),
    "envelope without a code": says({"message": "Unauthorized"}, status=401),
    "200 without success": says({"success": False, "message": "ICCID not found"}),
    "page 200": page(200),
    "page 403": page(403),
    "page 404": page(404),
    "page 501": page(501),
    "page 503": page(503),
    "null": says(None),
    "nothing": says({}),
}
# What stands in place of values.
PLACEHOLDERS: dict[str, dict[str, Any]] = {
    "nulls": {"ctdDataUsage": None, "imei": None, "status": None},
    "zeros": {"imei": "0" * 15},
    "words": {"ctdDataUsage": "N/A", "imei": "n/a", "status": "--"},
    "minus one": {"ctdDataUsage": -1, "ctdSMSUsage": -1},
    "zero": {"ctdDataUsage": 0},
    "half": {"ctdDataUsage": None},
}
WHERE = ("*", "ctdUsage", "GetDevice", "sessionInfo")
ODD_ANSWERS = (
    [f"{name} at {where}" for name in REFUSALS for where in WHERE]
    + [f"{name} at Login" for name in REFUSALS]
    + list(PLACEHOLDERS)
    + ["another SIM", "documented"]
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A change of the SIM, the answer of the next poll, and the time until then."""

    change: Change = Change.NOTHING
    answer: str = "documented"
    polls: int = 1
    megabytes: int = 1


STEPS = st.lists(
    st.builds(
        Step,
        change=st.sampled_from(Change),
        answer=st.sampled_from(ODD_ANSWERS),
        polls=st.sampled_from([1, 1, 16, 124]),
        megabytes=st.integers(0, 60),
    ),
    min_size=1,
    max_size=MAX_ANSWERS,
)


@dataclass(kw_only=True)
class Truth:
    """The true history of the SIM."""

    used: int = 300 * MB
    imei: int = 0
    status: int = 0
    told: list[str] = field(default_factory=list)

    def happen(self, step: Step) -> None:
        """Change the SIM; a cycle that used next to nothing does not end, as nobody could see it."""
        change = step.change
        if change is Change.CYCLE and self.used < 10 * MB:
            change = Change.NOTHING
        match change:
            case Change.CORRECTION:
                self.used -= self.used // 100
            case Change.CYCLE:
                self.used = step.megabytes * MB // 100
            case Change.DEVICE:
                self.imei = (self.imei + 1) % len(IMEIS)
            case Change.STATUS:
                self.status = 1 - self.status
            case Change.NOTHING:
                self.used += step.megabytes * MB
        if change in TOLD:
            self.told.append(TOLD[change])

    def show(self, portal: OddPortal) -> None:
        """Report the SIM as it is."""
        portal.well()
        portal.set(
            ICCID,
            ctdDataUsage=self.used,
            imei=IMEIS[self.imei],
            status=STATUSES[self.status],
        )

    def show_oddly(self, portal: OddPortal, answer: str) -> None:
        """Answer one poll in an odd way."""
        name, _, where = answer.partition(" at ")
        if name in REFUSALS:
            if where == "Login":
                # Nobody asks for a log-in while the token is good.
                refused = says({"errorCode": "10000001"}, status=401)
                portal.once("ctdUsage", refused)
            portal.always(where, REFUSALS[name])
        elif name in PLACEHOLDERS:
            portal.set(ICCID, **PLACEHOLDERS[name])
        elif name == "another SIM":
            fields = {"ctdDataUsage": 7, "imei": IMEIS[2], "status": "RETIRED"}
            for route in ("ctdUsage", "GetDevice", "sessionInfo"):
                portal.always(route, says(portal.example(route, OTHER_ICCID, **fields)))


@pytest.fixture
async def run() -> Run:
    """Return a function that awaits an awaitable in a synchronous test."""
    loop = asyncio.get_running_loop()

    async def wait(call: Awaitable[Any]) -> Any:
        return await call

    return lambda call: loop.run_until_complete(wait(call))


async def check(home: Home, steps: list[Step]) -> None:
    """Play a sequence of answers to a new account, and check what a user sees."""
    truth = Truth()
    truth.show(home.portal)
    home.told.clear()
    await home.start()
    try:
        await play(home, truth, steps)
    finally:
        await home.hass.config_entries.async_remove(home.entry.entry_id)
        await home.settle()


async def play(home: Home, truth: Truth, steps: list[Step]) -> None:
    """Play a sequence of answers, and check after each what is shown and told."""
    for step in steps:
        truth.happen(step)
        truth.show(home.portal)
        truth.show_oddly(home.portal, step.answer)
        await home.wait(A_POLL * step.polls)
        check_told(home, truth)
        truth.show(home.portal)
        await home.poll()
        assert is_fall(step) or home.megabytes() == pytest.approx(truth.used / MB, abs=1e-5)
        # A fall is believed when it has been read twice.
        await home.poll()
        assert home.megabytes() == pytest.approx(truth.used / MB, abs=1e-5)
        assert home.shows("status") == STATUSES[truth.status].lower()
        assert home.shows("imei") == IMEIS[truth.imei]
        assert home.shows("session_started") != STATE_UNAVAILABLE
    check_told(home, truth)
    told = [kind for kind in home.kinds if kind in TOLD.values()]
    assert sorted(told) == sorted(truth.told)
    assert home.tracebacks == []


def check_told(home: Home, truth: Truth) -> None:
    """Check that nothing was told, asked or repaired that did not happen."""
    for kind in TOLD.values():
        assert home.kinds.count(kind) <= truth.told.count(kind), kind
    assert home.repairs == []
    assert not home.asks_for_secret


def is_fall(step: Step) -> bool:
    """Return whether the count has fallen too far to be shown at once."""
    return step.change is Change.CYCLE


def test_any_sequence(home: Home, run: Run) -> None:
    """Nothing is reported that did not happen. Every event comes once, and the data is back at the next good poll.

    Case: any sequence of up to twelve odd and documented answers over simulated days
    Source: all reports on this page
    """
    profile = settings()

    @settings(
        max_examples=max(profile.max_examples // 10, 1),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(STEPS)
    @example([Step(answer=answer) for answer in ODD_ANSWERS if " at " not in answer])
    @example([Step(answer=f"{name} at ctdUsage") for name in REFUSALS])
    @example([Step(answer=f"{name} at Login") for name in REFUSALS])
    @example([Step(change=change, answer="nulls") for change in Change])
    @example([Step(change=change, answer="page 403 at *") for change in Change])
    @example([Step(change=Change.CYCLE, megabytes=0), Step(change=Change.CYCLE, megabytes=60)])
    def try_steps(steps: list[Step]) -> None:
        run(check(home, steps))

    try_steps()

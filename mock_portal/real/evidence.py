"""The questions of the probe, and the answers of a run."""

from dataclasses import dataclass, field
from enum import StrEnum

from mock_portal.dialects.refusals import ROUTE_REFUSED
from mock_portal.dialects.writes import Arrival
from mock_portal.patterns import NOTHING, Answer, Body


class Question(StrEnum):
    """The purpose of a request."""

    LOGIN = "log in"
    WRONG_LOGIN = "log in with made-up credentials"
    BAD_TOKEN = "use a made-up token"  # noqa: S105  not one
    OLD_TOKEN = "use the token of the log-in before"  # noqa: S105  not one
    MANY_CALLS = "use one token a hundred times"
    UNKNOWN = "read an ICCID that does not exist"
    WRONG_CASE = "write a path in another case"
    READ = "read a SIM"
    ABZORB = "read a SIM of the Abzorb network"
    SEND_SMS = "send an SMS"
    CHANGE = "request a status"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One question and its answer; `sim` counts the user's SIMs from 1, 0 means none of them."""

    question: Question
    route: str
    answer: Answer
    sim: int = 0


@dataclass(kw_only=True)
class Evidence:
    """Everything a run has seen.

    `token_calls` is how many calls the token served that was used a hundred times; `arrival` is
    when a requested status was seen.
    """

    asked: list[Asked] = field(default_factory=list)
    token_calls: int = 0
    arrival: Arrival | None = None

    def knows(self, sim: int) -> bool:
        """Return whether the portal has answered anything about a SIM; 0 stands for none of them."""
        return sim == 0 or any(
            seen.answer.is_ok and not seen.answer.fits(NOTHING)
            for seen in self.asked
            if seen.sim == sim
        )

    def refuses(self, sim: int, *routes: str) -> bool:
        """Return whether all these routes were refused for a SIM."""
        seen = [asked.answer for asked in self.asked if asked.sim == sim and asked.route in routes]
        return bool(seen) and all(map(ROUTE_REFUSED.recognise, seen))

    def refused_routes(self) -> list[str]:
        """Return the routes that were refused for every SIM of the usual networks."""
        reads = [seen for seen in self.asked if seen.question is Question.READ]
        sims = {seen.sim for seen in reads if self.knows(seen.sim)}
        routes = sorted({seen.route for seen in reads if seen.sim in sims})
        return [route for route in routes if all(self.refuses(sim, route) for sim in sims)]

    def shows_pages(self) -> bool:
        """Return whether errors that have nothing to do with a SIM are pages of HTML."""
        return any(
            seen.answer.body is Body.PAGE
            for seen in self.asked
            if seen.question in {Question.BAD_TOKEN, Question.WRONG_LOGIN}
        )

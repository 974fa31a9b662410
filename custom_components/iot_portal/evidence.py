"""When weak evidence has repeated often and long enough to be believed.

The client says how strong the evidence of an error is (`Evidence` in api/exceptions.py). What only the portal itself
can know, by a code of its own, is believed at once. Anything else may come from a firewall or a page for maintenance.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from .clock import elapsed_between

# A refusal or an error of an endpoint that has worked, and of one that never has.
ENOUGH_REFUSALS: Final = 4
ENOUGH_FIRST_REFUSALS: Final = 2
REFUSED_FOR: Final = timedelta(hours=6)
# A SIM that is said to be missing, in an account with others that are not, and as the only one of its account.
ENOUGH_MISSING: Final = 4
MISSING_FOR: Final = timedelta(hours=6)
MISSING_ALONE_FOR: Final = timedelta(days=1)
# Credentials.
ENOUGH_LOGINS: Final = 3
LOGIN_REFUSED_FOR: Final = timedelta(hours=1)

# An endpoint that fails is asked by so many polls as usual, then after growing intervals.
PATIENT_READS: Final = 3
FIRST_INTERVAL: Final = timedelta(minutes=30)
MAX_REFUSED_INTERVAL: Final = timedelta(days=1)
MAX_FAILING_INTERVAL: Final = timedelta(hours=1)


@dataclass(kw_only=True, slots=True)
class WeakEvidence:
    """Weak evidence of one kind about one subject, as long as nothing contradicts it."""

    count: int = 0
    since: datetime | None = None

    def add(self, now: datetime) -> None:
        """Count one more."""
        self.count += 1
        self.since = self.since or now

    def clear(self) -> None:
        """Forget it: it was contradicted."""
        self.count, self.since = 0, None

    def is_enough(self, count: int, period: timedelta, now: datetime) -> bool:
        """Return whether it has repeated so many times over such a period."""
        return (
            self.since is not None
            and self.count >= count
            and elapsed_between(self.since, now) >= period
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointFailure:
    """An endpoint that has answered nothing of use for a SIM, `count` times in a row.

    `is_refusal` and `is_strong` are of the last time; `has_worked` is whether it ever answered before the first.
    """

    count: int = 1
    since: datetime
    last: datetime
    is_refusal: bool
    is_strong: bool
    has_worked: bool

    def again(self, now: datetime, *, is_refusal: bool, is_strong: bool) -> Self:
        """Return the failure with one more of them."""
        return replace(
            self, count=self.count + 1, last=now, is_refusal=is_refusal, is_strong=is_strong
        )

    @property
    def is_refused(self) -> bool:
        """Return whether the portal is believed to refuse the endpoint."""
        if not self.is_refusal or self.is_strong:
            return self.is_refusal
        if not self.has_worked:
            return self.count >= ENOUGH_FIRST_REFUSALS
        return (
            self.count >= ENOUGH_REFUSALS and elapsed_between(self.since, self.last) >= REFUSED_FOR
        )

    def is_due(self, now: datetime) -> bool:
        """Return whether to ask again; also if the clock was set back since."""
        elapsed = now - self.last
        return elapsed < timedelta() or elapsed >= self._interval

    @property
    def _interval(self) -> timedelta:
        """Return how long to wait before asking again."""
        if self.is_refusal and self.is_strong:
            return MAX_REFUSED_INTERVAL
        if self.count < PATIENT_READS:
            return timedelta()
        longest = MAX_REFUSED_INTERVAL if self.is_refusal else MAX_FAILING_INTERVAL
        # Far fewer doublings lead to a day.
        doublings = min(self.count - PATIENT_READS, 8)
        return min(FIRST_INTERVAL * (1 << doublings), longest)

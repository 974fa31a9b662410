"""How a SIM's data use stands in its billing cycle."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, time, timedelta

# In its first day a cycle says too little about its end.
LEAST_ELAPSED = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cycle:
    """A billing cycle: from midnight of the billing day to midnight of the next one, local time."""

    start: datetime
    end: datetime

    @classmethod
    def around(cls, now: datetime, billing_day: int) -> Cycle:
        """Return the cycle that a moment lies in; a month without that day bills on its last."""
        this_month = _billing_moment(now, billing_day, months=0)
        if now < this_month:
            return cls(start=_billing_moment(now, billing_day, months=-1), end=this_month)
        return cls(start=this_month, end=_billing_moment(now, billing_day, months=1))

    def forecast(self, used: int, now: datetime) -> int:
        """Return the use at the end of the cycle when it goes on as it has so far.

        The use so far is spread evenly over the time since the cycle began, at least a day.
        """
        elapsed = max(now - self.start, LEAST_ELAPSED)
        return round(used * ((self.end - self.start) / elapsed))


def _billing_moment(now: datetime, billing_day: int, *, months: int) -> datetime:
    """Return midnight of the billing day in the month of a moment, or some months away from it."""
    month_index = now.year * 12 + now.month - 1 + months
    year, month = divmod(month_index, 12)
    day = min(billing_day, monthrange(year, month + 1)[1])
    return datetime.combine(
        now.date().replace(year=year, month=month + 1, day=day), time.min, tzinfo=now.tzinfo
    )

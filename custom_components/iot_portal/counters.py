"""The counters of a SIM from reading to reading, and the end of its billing cycle.

The portal does not say when a cycle ends: its counters fall. They also fall when the portal corrects them, when it
knows nothing for a while, and when an older answer comes after a newer one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Final, Self

from .api import Usage
from .clock import is_within

# A counter that stays above this part of its last value was corrected; Home Assistant's statistics have the same rule.
CORRECTED: Final = 0.9
# A lower part is what a new cycle looks like. Anything between the two takes longer to be believed.
CLEARLY_NEW: Final = 0.5
UNCLEAR_FALL: Final = timedelta(hours=2)
# After a gap like this much can have been used in the new cycle before it is first read.
LONG_GAP: Final = timedelta(hours=12)
# A count that comes back within this time belongs to the cycle that seemed to have ended, or is an old answer.
RETURN_PERIOD: Final = timedelta(days=1)
RETURN_TOLERANCE: Final = 1.1
# So long an old count may go on after the cycle ended without being taken for the present one.
STALE_PERIOD: Final = timedelta(hours=1)
# The portal's cycle begins at midnight of an unknown zone.
ZONE_DIFFERENCE: Final = timedelta(days=1)
# What programs write for "no reading"; no count of a SIM is one of these by chance.
SENTINELS: Final = frozenset({2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1})

type Count = int | float


@dataclass(frozen=True, kw_only=True, slots=True)
class Counters:
    """The counters of a SIM, each in the unit of the portal; None where it is not known."""

    data: Count | None = None
    sms: Count | None = None
    voice: Count | None = None
    sessions: Count | None = None

    @classmethod
    def of(cls, usage: Usage) -> Self:
        """Return the counters of an answer; a number that stands for "no reading" is not known."""
        counts = {
            "data": usage.data_bytes,
            "sms": usage.sms_count,
            "voice": usage.voice_seconds,
            "sessions": usage.session_count,
        }
        return cls(**{name: count for name, count in counts.items() if count not in SENTINELS})

    def known(self) -> Iterator[tuple[str, Count]]:
        """Yield the name and value of each counter that is known."""
        for item in fields(self):
            if (count := getattr(self, item.name)) is not None:
                yield item.name, count

    def updated(self, reading: Counters) -> Counters:
        """Return the counters with those that a reading has."""
        return replace(self, **dict(reading.known()))

    def emptied(self) -> Counters:
        """Return zero for each counter that is known."""
        return Counters(**{name: 0 for name, _ in self.known()})

    @property
    def is_zero(self) -> bool:
        """Return whether no counter has counted anything."""
        return not any(count for _, count in self.known())

    def fallen(self, reading: Counters, part: float = CORRECTED) -> frozenset[str]:
        """Return the counters of which a reading has less than that part."""
        now = dict(reading.known())
        return frozenset(
            name for name, was in self.known() if name in now and now[name] < was * part
        )

    def has_restarted(self, reading: Counters) -> bool:
        """Return whether a reading looks like one of a new cycle: the data fell, or most of the counters."""
        fallen = self.fallen(reading)
        if "data" in fallen:
            return True
        held = {name for name, was in self.known() if was > 0 and name not in fallen} & dict(
            reading.known()
        ).keys()
        return len(fallen) > len(held) or (bool(fallen) and "data" not in held)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fall:
    """A fall of counters that waits for another reading; it is expected when a cycle may have ended since the last."""

    lowest: Counters
    since: datetime
    is_expected: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """The last reading before the user's cycle began."""

    data: Count
    read_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class CounterHistory:
    """What is believed of the counters of a SIM.

    `known` is the last value of each in the present cycle, `peak` the most data that it had, and `ended` the values at
    the end of the last cycle that was seen to end. `is_doubted` is set while that cycle may yet go on. A SIM whose
    counters once came back `has_mistaken_zeros`.
    """

    known: Counters = field(default_factory=Counters)
    peak: Count | None = None
    fall: Fall | None = None
    ended: Counters | None = None
    ended_at: datetime | None = None
    returned_at: datetime | None = None
    is_doubted: bool = False
    has_mistaken_zeros: bool = False
    carried: Carried | None = None
    read_at: datetime | None = field(default=None, compare=False)

    def shown(self, reading: Counters) -> Counters:
        """Return what is shown after a reading: the last values known of counters whose fall is not believed yet."""
        if self.is_doubted:
            return Counters()
        if self.returned_at is not None:
            return self.known
        if self.fall is None:
            return reading
        if self.awaited_fall is not None:
            return self.known
        held = self.known.fallen(self.fall.lowest)
        return replace(reading, **{name: n for name, n in self.known.known() if name in held})

    @property
    def is_settled(self) -> bool:
        """Return whether nothing waits for another reading, so that one with the same counts says nothing new."""
        return self.fall is None and self.returned_at is None and not self.is_doubted

    @property
    def shown_peak(self) -> Count | None:
        """Return the most data of the present cycle; also of the last one once its count seems to be back."""
        if self.returned_at is None or self.ended is None:
            return self.peak
        return _larger(self.peak, self.ended.data)

    def has_started_over(self, cycle_start: datetime, now: datetime) -> bool:
        """Return whether the data is of the cycle that began then, and does not go on from the one before.

        The last reading before that moment tells; without one the data is believed a day after it.
        """
        if self.ended_at is not None and self.ended_at >= cycle_start - ZONE_DIFFERENCE:
            return True
        carried = self.carried
        if carried is not None and is_within(carried.read_at, ZONE_DIFFERENCE, cycle_start):
            return not carried.data
        return not is_within(cycle_start, ZONE_DIFFERENCE, now)

    def after(
        self, reading: Counters, now: datetime, cycle: tuple[datetime, datetime]
    ) -> tuple[CounterHistory, Counters | None]:
        """Return the history after a reading, and the last counters of a cycle that has ended.

        `cycle` is the beginning and the end of the cycle by the user's settings, in which nothing is certain.
        """
        before = self.carry(now, cycle[0])
        if not any(reading.known()) or (reading == self.known and self.is_settled):
            return before, None
        if before.has_returned(reading, now):
            return before.after_return(reading, now), None
        before = replace(before, returned_at=None)
        is_near_end = (
            is_within(cycle[0], 2 * ZONE_DIFFERENCE, now) or cycle[1] - ZONE_DIFFERENCE <= now
        )
        fallen = before.known.fallen(reading)
        if not fallen:
            return before.accept(reading, now, is_near_end=is_near_end), None
        if not before.known.has_restarted(reading):
            return before.after_single_fall(reading, fallen, now), None
        is_after_gap = self.read_at is not None and not is_within(self.read_at, LONG_GAP, now)
        fall = before.lowest_fall(reading, now, is_expected=is_near_end or is_after_gap)
        if not before.is_believed(fall, now):
            return replace(before, fall=fall), None
        return before.start_over(reading, now, is_near_end=is_near_end), before.known

    def start_over(self, reading: Counters, now: datetime, *, is_near_end: bool) -> CounterHistory:
        """Return the history at the beginning of a cycle."""
        return replace(
            self,
            known=self.known.emptied().updated(reading),
            peak=reading.data,
            fall=None,
            ended=self.known,
            ended_at=now,
            is_doubted=reading.is_zero and not is_near_end,
        )

    def carry(self, now: datetime, cycle_start: datetime) -> CounterHistory:
        """Return the history with the time of this reading, and the last one of the cycle before."""
        carried = self.carried
        if self.read_at is not None and self.read_at < cycle_start <= now:
            data = self.known.data
            carried = None if data is None else Carried(data=data, read_at=self.read_at)
        return replace(self, carried=carried, read_at=now)

    def has_returned(self, reading: Counters, now: datetime) -> bool:
        """Return whether a reading goes on from the counters of the cycle that ended."""
        if self.ended is None or self.ended_at is None:
            return False
        if not is_within(self.ended_at, RETURN_PERIOD, now) or self.ended.fallen(reading):
            return False
        if not self.ended.fallen(self.known, CLEARLY_NEW):
            return False
        now_counts = dict(reading.known())
        common = {name: n for name, n in self.ended.known() if n and name in now_counts}
        return (
            bool(common) and now_counts.get("data", 0) <= (self.ended.data or 0) * RETURN_TOLERANCE
        )

    def after_return(self, reading: Counters, now: datetime) -> CounterHistory:
        """Return the history after a reading that goes on from the cycle that seemed to have ended.

        One that does not grow may be an old answer, which the new count follows.
        """
        ended = self.ended
        if ended is None or self.returned_at is None:
            return replace(self, returned_at=now)
        has_grown = any(
            count > was
            for name, count in reading.known()
            if (was := getattr(ended, name)) is not None
        )
        if not has_grown and is_within(self.returned_at, STALE_PERIOD, now):
            return self
        known = ended.updated(reading)
        return replace(
            self,
            known=known,
            peak=_larger(ended.data, known.data),
            fall=None,
            ended=None,
            ended_at=None,
            returned_at=None,
            is_doubted=False,
            has_mistaken_zeros=True,
        )

    def accept(self, reading: Counters, now: datetime, *, is_near_end: bool) -> CounterHistory:
        """Return the history after a reading without a fall."""
        is_doubted = (
            self.is_doubted
            and reading.is_zero
            and not is_near_end
            and self.ended_at is not None
            and is_within(self.ended_at, RETURN_PERIOD, now)
        )
        known = self.known.updated(reading)
        is_taken_back = self.fall is None or bool(
            self.known.fallen(self.fall.lowest) & dict(reading.known()).keys()
        )
        return replace(
            self,
            known=known,
            peak=_larger(self.peak, known.data),
            fall=None if is_taken_back else self.fall,
            is_doubted=is_doubted,
        )

    def after_single_fall(
        self, reading: Counters, fallen: frozenset[str], now: datetime
    ) -> CounterHistory:
        """Return the history after the fall of a counter while the others go on; the second reading corrects it."""
        if self.fall is not None and fallen <= self.known.fallen(self.fall.lowest):
            known = self.known.updated(reading)
            return replace(self, known=known, peak=_larger(self.peak, known.data), fall=None)
        rest = Counters(**{name: n for name, n in reading.known() if name not in fallen})
        fall = Fall(lowest=reading, since=now, is_expected=False)
        return replace(self, known=self.known.updated(rest), fall=fall)

    def lowest_fall(self, reading: Counters, now: datetime, *, is_expected: bool) -> Fall:
        """Return the fall with the lower of its readings."""
        if (fall := self.awaited_fall) is None:
            return Fall(lowest=reading, since=now, is_expected=is_expected)
        lower = self.known.fallen(reading, CLEARLY_NEW)
        return replace(
            fall,
            lowest=reading if lower else fall.lowest,
            is_expected=fall.is_expected or is_expected,
        )

    @property
    def awaited_fall(self) -> Fall | None:
        """Return the fall of an earlier reading that looks like the end of a cycle."""
        fall = self.fall
        return fall if fall is not None and self.known.has_restarted(fall.lowest) else None

    def is_believed(self, fall: Fall, now: datetime) -> bool:
        """Return whether a fall is the end of a cycle: it was read twice, and once clearly."""
        if self.awaited_fall is None:
            return False
        if self.has_mistaken_zeros and fall.lowest.is_zero and not fall.is_expected:
            return not is_within(fall.since, RETURN_PERIOD, now)
        return (
            fall.is_expected
            or bool(self.known.fallen(fall.lowest, CLEARLY_NEW))
            or not is_within(fall.since, UNCLEAR_FALL, now)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DailyUse:
    """The data that was counted since a local midnight.

    `baseline` is the count at that midnight, less the counts of the cycles that have ended since.
    """

    midnight: datetime
    baseline: Count
    used: Count = 0


def count_day(
    day: DailyUse | None,
    before: CounterHistory,
    after: CounterHistory,
    midnight: datetime,
    now: datetime,
) -> DailyUse | None:
    """Return the use of the day that began at midnight, after a reading; None until a count is believed.

    A correction downwards does not lower it. What was used over a midnight counts for the new day, but not after a long
    gap.
    """
    if (count := after.known.data) is None:
        return day
    if day is not None and day.midnight < midnight:
        day = _begin_day(before, midnight, now)
    if day is None:
        is_falling = after.awaited_fall is not None
        return None if is_falling else DailyUse(midnight=midnight, baseline=count)
    # One of a day in the future was begun before the clock was set back.
    baseline = day.baseline - _ended_count(before, after)
    return DailyUse(midnight=midnight, baseline=baseline, used=max(day.used, count - baseline))


def _begin_day(before: CounterHistory, midnight: datetime, now: datetime) -> DailyUse | None:
    """Return a day without use that begins with the last count of the day before, None after a long gap."""
    count, read_at = before.known.data, before.read_at
    if count is None or read_at is None or not is_within(read_at, LONG_GAP, now):
        return None
    return DailyUse(midnight=midnight, baseline=count)


def _ended_count(before: CounterHistory, after: CounterHistory) -> Count:
    """Return the data of a cycle that a reading has ended; negative if that cycle has come back."""
    if before.ended_at == after.ended_at:
        return 0
    if after.ended is None:
        return -(before.ended.data or 0) if before.ended is not None else 0
    count = before.known.data or 0
    if before.fall is None or "data" in before.known.fallen(before.fall.lowest, CLEARLY_NEW):
        return count
    # It may have been corrected by much, so what is left of it was not all used since.
    return count - (before.fall.lowest.data or 0)


def _larger(one: Count | None, other: Count | None) -> Count | None:
    """Return the larger of two counts that may not be known."""
    return max((count for count in (one, other) if count is not None), default=None)

"""When the SIMs of an account are polled: spread over the interval, and no oftener than the rate allows."""

from itertools import count
from math import ceil
from typing import Final

from .api.pacing import SPACING_MARGIN, Pacer

# The part of the request rate that polls may take: the rest is for people, their writes and repeated requests.
POLL_SHARE: Final = 0.8
# So many times a SIM that fails by itself is asked as often as the others, then less and less often.
PATIENT_POLLS: Final = 3
MAX_INTERVAL: Final = 3600
# The fractional parts of its multiples are spread evenly between 0 and 1, however many there are.
_GOLDEN_RATIO: Final = 0.618033988749895


class PollSchedule:
    """The times of the polls of one account, in seconds of a monotonic clock."""

    def __init__(self, *, wanted: float, pacer: Pacer) -> None:
        """Start without SIMs; `wanted` is the user's interval in seconds, `pacer` has the request rate allowed."""
        self.wanted = wanted
        self._pacer = pacer
        self._number = count()
        self._places: dict[str, float] = {}
        self._requests: dict[str, int] = {}
        self._total_requests = 0

    @property
    def interval(self) -> float:
        """Return the interval of the polls: the wanted one, or the whole minutes that the fleet needs."""
        needed = self._total_requests * SPACING_MARGIN / self._pacer.full_rate / POLL_SHARE
        return ceil(needed / 60) * 60 if needed > self.wanted else self.wanted

    @property
    def is_stretched(self) -> bool:
        """Return whether the wanted interval is too short for the fleet."""
        return self.interval > self.wanted

    def add(self, sim: str) -> None:
        """Give a SIM a place, in intervals, away from those of the others, and one request a poll."""
        self._places[sim] = next(self._number) * _GOLDEN_RATIO
        self.record_requests(sim, 1)

    def remove(self, sim: str) -> None:
        """Remove a SIM."""
        del self._places[sim]
        self._total_requests -= self._requests.pop(sim)

    def record_requests(self, sim: str, requests: int) -> None:
        """Record how many requests a poll of a SIM takes."""
        self._total_requests += requests - self._requests.get(sim, 0)
        self._requests[sim] = requests

    def seconds_until_poll(self, sim: str, now: float, *, failures: int = 0) -> float:
        """Return the seconds until the next poll of a SIM.

        It comes at the place of the SIM within the interval, after half an interval at least. After too many
        failures of its own the wait doubles, up to an hour.
        """
        interval = self.interval
        if failures > PATIENT_POLLS:
            # Far fewer doublings lead to the hour, whatever the interval.
            stretched = interval * (1 << min(failures - PATIENT_POLLS, 8))
            return max(interval, min(stretched, MAX_INTERVAL))
        half = interval / 2
        return half + (self._places[sim] * interval - now - half) % interval

"""When the SIMs of an account are polled: spread over the interval, and no oftener than the pace allows."""

from itertools import count
from math import ceil
from typing import Final

from .api.pacing import SPACING_MARGIN

# The part of the pace that polls may take: the rest is for people, their writes and repeated requests.
POLL_SHARE: Final = 0.8
# A SIM that fails by itself is asked as often as the others so many times, then ever more seldom.
PATIENT_POLLS: Final = 3
SLOWEST_INTERVAL: Final = 3600
# Multiples of it, less their whole part, lie evenly between 0 and 1, however many there are.
_GOLDEN_RATIO: Final = 0.618033988749895


class PollSchedule:
    """The times of polls of one account, in seconds of a clock that never jumps."""

    def __init__(self, *, wanted: float, rate: float) -> None:
        """Start without SIMs, at the interval that the user wants and the requests a second that may be made."""
        self.wanted = wanted
        self._rate = rate
        self._number = count()
        self._places: dict[str, float] = {}
        self._requests: dict[str, int] = {}
        self._requests_in_all = 0

    @property
    def interval(self) -> float:
        """Return the interval at which SIMs are polled: the wanted one, or the whole minutes that they need."""
        needed = self._requests_in_all * SPACING_MARGIN / self._rate / POLL_SHARE
        return ceil(needed / 60) * 60 if needed > self.wanted else self.wanted

    @property
    def is_stretched(self) -> bool:
        """Tell whether the wanted interval is too short for the fleet."""
        return self.interval > self.wanted

    def add(self, sim: str) -> None:
        """Give a SIM a place within the interval, away from the others, and one request a poll."""
        self._places[sim] = next(self._number) * _GOLDEN_RATIO % 1
        self.note(sim, 1)

    def drop(self, sim: str) -> None:
        """Let go of a SIM."""
        del self._places[sim]
        self._requests_in_all -= self._requests.pop(sim)

    def note(self, sim: str, requests: int) -> None:
        """Note what a poll of a SIM took."""
        self._requests_in_all += requests - self._requests.get(sim, 0)
        self._requests[sim] = requests

    def wait(self, sim: str, now: float, *, failures: int = 0) -> float:
        """Return the seconds until the next poll of a SIM.

        It comes at the place of the SIM within the interval, after half an interval at least. After too many
        failures of its own the wait doubles, up to an hour.
        """
        interval = self.interval
        if failures > PATIENT_POLLS:
            # Far fewer doublings lead to the hour, whatever the interval.
            stretched = interval * (1 << min(failures - PATIENT_POLLS, 8))
            return max(interval, min(stretched, SLOWEST_INTERVAL))
        half = interval / 2
        return half + (self._places[sim] * interval - now - half) % interval

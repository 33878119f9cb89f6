"""When institutions are down on a simulated clock."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Outage(NamedTuple):
    """An interval in which an institution is down.

    Attributes:
        start: Simulated seconds; what the institution is at then is lost.
        end: When it is up again, and begins anew.
    """

    start: float
    end: float


class Outages:
    """An institution's outages, gone through in order of time."""

    def __init__(self, intervals: Iterable[Outage] = ()) -> None:
        """Takes intervals in ascending order that don't overlap; maybe endless."""
        self._later = iter(intervals)
        self._next = next(self._later, None)

    def next_after(self, seconds: float) -> Outage | None:
        """The first outage that ends after a time.

        Args:
            seconds: Not less than the time before.

        Returns:
            The outage, or None if there is none.
        """
        while self._next is not None and self._next.end <= seconds:
            self._next = next(self._later, None)
        return self._next


def random_outages(
    rate: float, seconds: float, *, seed: Sequence[int]
) -> Iterator[Outage]:
    """Outages that begin as a Poisson process while an institution is up.

    Args:
        rate: Outages per second of an institution that is up.
        seconds: How long each takes.
        seed: Of this institution's outages.

    Yields:
        Outages in order, without end; none if `rate` is 0.
    """
    if not rate:
        return
    rng = np.random.default_rng(seed)
    up_since = 0.0
    while True:
        start = up_since + rng.exponential(1 / rate)
        up_since = start + seconds
        yield Outage(start, up_since)

"""Simulated clocks: when institutions' updates reach the server, round by round.

Event-driven and deterministic: what happens when follows from durations and outages
alone, not from any weights, so that a clock is brought to where it was by running it
again. Validation and the server's own work take no time.
"""

import dataclasses
import heapq
from collections.abc import Callable, Iterable, Sequence

from tff_finance import checks
from tff_finance.training.outages import Outage, Outages

# Of what happens at the same time, updates come first: an institution that begins
# anew then finds the weights that they led to.
_ARRIVAL, _CRASH, _START = range(3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """An institution on the clock.

    Attributes:
        name: Of the institution.
        round_seconds: From the beginning of its download to the end of its upload.
        outages: Gives its outages, the same ones every time.
    """

    name: str
    round_seconds: float
    outages: Callable[[], Iterable[Outage]] = tuple

    def __post_init__(self) -> None:
        """Refuses rounds that take no time: the clock would never go on."""
        checks.check_positive(f"round_seconds of {self.name}", self.round_seconds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrival:
    """An update that reached the server.

    Attributes:
        site: Number of the institution.
        version: How often the server had moved its weights when the institution
            got them.
        local_round: Which of the institution's own rounds it is, from 0; those
            that an outage broke off count.
        staleness: How often the server moved its weights meanwhile.
        seconds: When it came, in simulated time.
    """

    site: int
    version: int
    local_round: int
    staleness: int
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flush:
    """A full buffer, which the server empties.

    Attributes:
        seconds: When, in simulated time.
        arrivals: The updates in it, in the order in which they came.
        late: Updates that came since the last one and were too stale.
        lost: Local rounds that outages broke off since the last one.
    """

    seconds: float
    arrivals: tuple[Arrival, ...]
    late: tuple[Arrival, ...]
    lost: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Work:
    version: int
    local_round: int


class AsynchronousClock:
    """Every institution trains, sends, and begins anew from the newest weights.

    At the same time, updates come in the order of the institutions, and before
    anyone begins anew. An institution that is down begins when it is up again; one
    that goes down loses the local round that it is in, and nothing else.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        *,
        buffer_size: int,
        max_staleness: int | None = None,
    ) -> None:
        """All institutions begin at 0 seconds.

        Args:
            sites: The institutions.
            buffer_size: K, updates in a full buffer.
            max_staleness: Updates beyond it are dropped; None keeps all.
        """
        checks.check_at_least("buffer_size", buffer_size, 1)
        if max_staleness is not None:
            checks.check_at_least("max_staleness", max_staleness, 0)
        self._sites = tuple(sites)
        self._buffer_size = buffer_size
        self._max_staleness = max_staleness
        self._outages = [Outages(site.outages()) for site in sites]
        self._begun = [0] * len(sites)
        self._working: dict[int, _Work] = {}
        self._buffer: list[Arrival] = []
        self._late: list[Arrival] = []
        self._lost = 0
        self._version = 0
        self._events = [(0.0, _START, number) for number in range(len(sites))]

    @property
    def version(self) -> int:
        """How often the buffer was emptied."""
        return self._version

    @property
    def downloads(self) -> int:
        """Local rounds that institutions have begun."""
        return sum(self._begun)

    @property
    def versions_in_use(self) -> list[int]:
        """Versions of weights that updates to come started from, ascending."""
        waiting = [arrival.version for arrival in self._buffer]
        return sorted({*waiting, *(work.version for work in self._working.values())})

    def next_flush(self) -> Flush:
        """Runs until the buffer is full, and empties it."""
        while len(self._buffer) < self._buffer_size:
            seconds, kind, number = heapq.heappop(self._events)
            if kind == _ARRIVAL:
                self._arrive(number, seconds)
            elif kind == _CRASH:
                del self._working[number]
                self._lost += 1
            else:
                self._begin(number, seconds)
        flush = Flush(
            seconds=self._buffer[-1].seconds,
            arrivals=tuple(self._buffer),
            late=tuple(self._late),
            lost=self._lost,
        )
        self._buffer, self._late, self._lost = [], [], 0
        self._version += 1
        return flush

    def _begin(self, number: int, seconds: float) -> None:
        outage = self._outages[number].next_after(seconds)
        if outage is not None and outage.start <= seconds:
            heapq.heappush(self._events, (outage.end, _START, number))
            return
        self._working[number] = _Work(
            version=self._version, local_round=self._begun[number]
        )
        self._begun[number] += 1
        end = seconds + self._sites[number].round_seconds
        if outage is not None and outage.start < end:
            heapq.heappush(self._events, (outage.start, _CRASH, number))
            heapq.heappush(self._events, (outage.end, _START, number))
        else:
            heapq.heappush(self._events, (end, _ARRIVAL, number))

    def _arrive(self, number: int, seconds: float) -> None:
        work = self._working.pop(number)
        arrival = Arrival(
            site=number,
            version=work.version,
            local_round=work.local_round,
            staleness=self._version - work.version,
            seconds=seconds,
        )
        late = (
            self._max_staleness is not None and arrival.staleness > self._max_staleness
        )
        (self._late if late else self._buffer).append(arrival)
        heapq.heappush(self._events, (seconds, _START, number))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SynchronousRound:
    """A round that waits for every institution.

    Attributes:
        seconds: When it ends, in simulated time.
        lost: Local rounds that outages broke off and that were begun again.
    """

    seconds: float
    lost: int


class SynchronousClock:
    """All institutions begin a round together; it lasts as long as its slowest."""

    def __init__(self, sites: Sequence[Site]) -> None:
        """The first round begins at 0 seconds."""
        self._sites = tuple(sites)
        self._outages = [Outages(site.outages()) for site in sites]
        self._seconds = 0.0

    def next_round(self) -> SynchronousRound:
        """Runs until all institutions have sent their update."""
        ends, lost = [], 0
        for site, outages in zip(self._sites, self._outages, strict=True):
            begin = self._seconds
            end = begin + site.round_seconds
            while (down := outages.next_after(begin)) and down.start < end:
                lost += down.start > begin
                begin = down.end
                end = begin + site.round_seconds
            ends.append(end)
        self._seconds = max(ends)
        return SynchronousRound(seconds=self._seconds, lost=lost)

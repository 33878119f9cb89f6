"""Measuring one contestant: seconds per round, start-up, memory, final loss."""

import contextlib
import dataclasses
import statistics
import threading
import time
from collections.abc import Callable

import psutil

from benchmarks.contestants import Entered
from benchmarks.workloads import Problem, Workload, pooled_loss

_SAMPLING_SECONDS = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one contestant did in one process.

    Attributes:
        workload: Its name.
        sec_per_round: Median over the rounds after the first; the first's own
            time if there is no other.
        startup_s: From the start of the process to the end of the first round.
        peak_rss_mb: Most resident memory of the process and all below it, in
            MiB (2^20 bytes); a page that two share counts twice.
        final_loss: Mean logistic loss of the final weights over all rows, nats.
    """

    workload: str
    sec_per_round: float
    startup_s: float
    peak_rss_mb: float
    final_loss: float


class PeakMemory:
    """The most resident memory of this process and those below, while entered."""

    def __init__(self) -> None:
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        """Begins to sample."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Takes a last sample."""
        self._done.set()
        self._thread.join()
        self._sample()

    @property
    def megabytes(self) -> float:
        """In MiB."""
        return self._peak / 2**20

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLING_SECONDS):
            self._sample()

    def _sample(self) -> None:
        this = psutil.Process()
        resident = 0
        for process in (this, *this.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                resident += process.memory_info().rss
        self._peak = max(self._peak, resident)


def measure(
    enter: Callable[[Workload, Problem], Entered],
    workload: Workload,
    problem: Problem,
    *,
    rounds: int,
    await_turn: Callable[[], None] = lambda: None,
    report_round: Callable[[float], None] = lambda _: None,
) -> Measurement:
    """Runs one contestant in this process.

    Args:
        enter: Builds the contestant.
        workload: Sizes and cohorts.
        problem: Rows and initial weights.
        rounds: How many, the first included.
        await_turn: Called before every round; outside of what is timed.
        report_round: Called after every round with its seconds.

    Returns:
        The measurement.
    """
    seconds = []
    started = psutil.Process().create_time()
    startup = 0.0
    with PeakMemory() as memory, enter(workload, problem) as contestant:
        for number in range(rounds):
            cohort = workload.cohort(number)
            await_turn()
            start = time.perf_counter()
            contestant.next_round(cohort)
            seconds.append(time.perf_counter() - start)
            # The clock of processes' start times.
            startup = startup or time.time() - started
            report_round(seconds[-1])
        weights = contestant.weights
    return Measurement(
        workload=workload.name,
        sec_per_round=statistics.median(seconds[1:] or seconds),
        startup_s=startup,
        peak_rss_mb=memory.megabytes,
        final_loss=pooled_loss(problem, weights),
    )

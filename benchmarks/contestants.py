"""Who takes part. Nothing but NumPy is imported before a contestant is built."""

import contextlib
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from benchmarks.numpy_loop import NumPyLoop
from benchmarks.workloads import Problem, Weights, Workload


class Contestant(Protocol):
    """FedAvg on a problem, round by round."""

    @property
    def weights(self) -> Weights:
        """The global weights after the last round."""
        ...

    def next_round(self, cohort: Sequence[int]) -> None:
        """Runs one round of the institutions with these numbers."""
        ...


Entered = contextlib.AbstractContextManager[Contestant]


@contextlib.contextmanager
def _ours(workload: Workload, problem: Problem) -> Iterator[Contestant]:
    from benchmarks.learning_process import fed_avg_in_memory
    from tff_finance.runtime import in_process

    with in_process.execution_context():
        yield fed_avg_in_memory(workload, problem)


@contextlib.contextmanager
def _ours_on_tff(workload: Workload, problem: Problem) -> Iterator[Contestant]:
    from benchmarks.learning_process import fed_avg_by_file
    from tff_finance.runtime import local

    with (
        local.execution_context(),
        tempfile.TemporaryDirectory(prefix="benchmark_") as directory,
    ):
        yield fed_avg_by_file(workload, problem, pathlib.Path(directory))


@contextlib.contextmanager
def _ours_on_two_workers(workload: Workload, problem: Problem) -> Iterator[Contestant]:
    from benchmarks.learning_process import fed_avg_in_memory
    from tff_finance.runtime import worker_process, workers
    from tff_finance.runtime.worker_list import WorkerAddress

    with contextlib.ExitStack() as stack:
        addresses = []
        for _ in range(2):
            port = worker_process.free_port()
            stack.enter_context(worker_process.serving(port))
            addresses.append(WorkerAddress(host="localhost", port=port))
        stack.enter_context(workers.execution_context(addresses))
        # An institution's client runs at its own worker, whoever is in a cohort.
        yield fed_avg_in_memory(workload, problem, grouped=False)


@contextlib.contextmanager
def _stock(workload: Workload, problem: Problem) -> Iterator[Contestant]:
    from benchmarks.learning_process import stock_fed_avg
    from tff_finance.runtime import local

    with local.execution_context():
        yield stock_fed_avg(workload, problem)


@contextlib.contextmanager
def _numpy(workload: Workload, problem: Problem) -> Iterator[Contestant]:
    yield NumPyLoop(workload, problem)


DEFAULT = "ours"

CONTESTANTS: dict[str, Callable[[Workload, Problem], Entered]] = {
    "ours": _ours,
    "ours_tff": _ours_on_tff,
    "ours_workers": _ours_on_two_workers,
    "stock": _stock,
    "numpy": _numpy,
}

"""Two workers, of which each has some of five institutions."""

import contextlib

import pytest

from tff_finance.runtime import worker_process
from tff_finance.runtime.worker_list import WorkerAddress

SIZES = (37, 50, 23, 1, 40)
NAMES = tuple(f"bank {number}" for number in range(len(SIZES)))


@pytest.fixture(scope="module")
def ports():
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(2):
            found.append(worker_process.free_port())
            stack.enter_context(worker_process.serving(found[-1]))
        yield found


@pytest.fixture
def addresses(ports):
    """Two institutions at the first worker, three at the second one."""
    first, second = ports
    return (
        WorkerAddress(host="localhost", port=first, institutions=NAMES[:2]),
        WorkerAddress(host="localhost", port=second, institutions=NAMES[2:]),
    )

"""The runtime is the one that was asked for."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.runtime.local_test import living_workers
from tff_finance.records.config import RUNTIMES
from tff_finance.runtime import worker_process
from tff_finance.runtime.choice import execution_context
from tff_finance.runtime.worker_list import WorkerAddress


@tff.tensorflow.computation(np.int32)
def add_one(x):
    return x + 1


@pytest.mark.parametrize(("runtime", "workers"), [("in_process", 0), ("tff", 1)])
def test_only_tffs_runtime_has_a_worker(runtime, workers):
    before = living_workers()
    with execution_context(runtime):
        assert add_one(1) == 2
        assert len(living_workers() - before) == workers


def test_workers_run_at_their_addresses():
    port = worker_process.free_port()
    address = WorkerAddress(host="localhost", port=port)
    with worker_process.serving(port):
        before = living_workers()
        with execution_context("workers", addresses=[address]) as crew:
            assert [worker.address for worker in crew.workers] == [address]
            assert add_one(1) == 2
            assert living_workers() == before


def test_every_runtime_is_tested_here():
    assert RUNTIMES == ("in_process", "tff", "workers")


def test_others_are_refused():
    with pytest.raises(ValueError, match="`runtime` must be one of in_process, tff"):
        execution_context("cloud")


@pytest.mark.parametrize(
    ("runtime", "addresses"),
    [("workers", []), ("tff", [WorkerAddress(host="localhost", port=1)])],
)
def test_addresses_are_for_workers_and_they_need_some(runtime, addresses):
    with pytest.raises(ValueError, match="`addresses` must be given for"):
        execution_context(runtime, addresses=addresses)

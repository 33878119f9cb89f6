"""The worker process lives as long as its context, whatever happens in it."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.runtime import local


@tff.tensorflow.computation(np.int32)
def add_one(x):
    return x + tf.constant(1)


def living_workers():
    """Process ids of this process's workers; a zombie has ended."""
    living = set()
    for child in psutil.Process().children(recursive=True):
        try:
            ended = child.status() == psutil.STATUS_ZOMBIE
            if not ended and child.name().startswith("worker_binary"):
                living.add(child.pid)
        except psutil.NoSuchProcess:
            continue
    return living


def await_end(workers):
    deadline = time.monotonic() + 10
    while workers & living_workers() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not workers & living_workers()


@tff.tensorflow.computation(np.int32)
def refuse(x):
    with tf.control_dependencies([tf.debugging.assert_equal(x, 0)]):
        return tf.identity(x)


@pytest.fixture
def outside():
    """Workers of other tests, which must be left alone."""
    before = living_workers()
    yield before
    assert before <= living_workers()


def test_worker_is_ended_on_leaving(outside):
    with local.execution_context():
        assert add_one(1) == 2
        workers = living_workers() - outside
        assert len(workers) == 1
    assert await_end(workers)


def test_secure_sums_run_where_asked_for(outside):
    @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
    def add_up(values):
        return tff.federated_secure_sum_bitwidth(values, 8)

    with local.execution_context(secure_sums=True):
        assert add_up([100, 255, 7]) == 362
        workers = living_workers() - outside
    assert len(workers) == 1
    assert await_end(workers)
    with local.execution_context(), pytest.raises(Exception, match="federated value"):
        add_up([100, 255, 7])


def test_worker_is_ended_when_an_exception_passes(outside):
    workers = set()

    def interrupted():
        with local.execution_context():
            assert add_one(1) == 2
            workers.update(living_workers() - outside)
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted") as raised:
        interrupted()
    assert len(workers) == 1
    assert await_end(workers)
    assert raised.traceback  # the exception, and all it refers to, is still there


def test_worker_is_ended_when_a_computation_fails(outside):
    """Its error refers to TFF's frames, and these to the worker."""
    workers = set()

    def failing():
        with local.execution_context():
            assert add_one(1) == 2
            workers.update(living_workers() - outside)
            refuse(1)

    with pytest.raises(Exception, match="assert") as raised:
        failing()
    assert len(workers) == 1
    assert await_end(workers)
    assert raised.traceback


def test_contexts_follow_and_contain_each_other(outside):
    with local.execution_context():
        assert add_one(1) == 2
        outer = living_workers() - outside
        with local.execution_context():
            assert add_one(2) == 3
            inner = living_workers() - outside - outer
            assert len(inner) == 1
        assert await_end(inner)
        assert outer <= living_workers()
        assert add_one(3) == 4
    assert await_end(outer)
    with local.execution_context():
        assert add_one(4) == 5


def test_context_without_a_computation_starts_nothing(outside):
    with local.execution_context():
        assert living_workers() == outside


DRIVER = """
import sys
import numpy as np, tensorflow as tf, tensorflow_federated as tff
from tff_finance.runtime import local

@tff.tensorflow.computation(np.int32)
def add_one(x):
    return x + tf.constant(1)

with local.execution_context():
    add_one(1)
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_worker_is_ended_when_its_process_is_killed(number):
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    with driver:
        assert driver.stdout.readline() == "ready\n"
        children = psutil.Process(driver.pid).children(recursive=True)
        assert any(child.name().startswith("worker_binary") for child in children)
        os.kill(driver.pid, number)
        gone, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    assert len(gone) == len(children)
    # Neither signal lets Python clean up, so something else must have.
    assert driver.returncode == -number


def test_the_mark_of_workers_is_gone_with_the_context():
    before = dict(os.environ)
    with local.execution_context():
        assert dict(os.environ) != before
    assert dict(os.environ) == before

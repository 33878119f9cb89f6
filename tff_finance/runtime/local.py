"""Execution on this machine: TFF's C++ worker, ended when it is done with.

TFF starts `worker_binary` as a child process, which may outlive Python and then
holds inherited pipes open, so that `... | tail` never ends.
"""

import contextlib
import gc
import time
from collections.abc import Iterator

import psutil
import tensorflow_federated as tff

from tff_finance.runtime import worker_watch


@contextlib.contextmanager
def execution_context(*, secure_sums: bool = False) -> Iterator[None]:
    """Runs TFF computations in this machine's worker until the block ends.

    The worker is started by the first computation. On leaving, by whatever
    way, the workers that this process started in the block are ended; if the
    process is killed in the block, `worker_watch` ends them.

    Args:
        secure_sums: Whether TFF's secure sums run too, in the clear: a simulation of
            what they compute, not of how. TFF's own context refuses them.
    """
    before = {worker.pid for worker in _workers()}
    settle = 0.0
    with worker_watch.watched():
        try:
            context = _create_context(secure_sums)
            with tff.framework.get_context_stack().install(context):
                yield
        except BaseException:
            # A computation may go on in TFF's thread, which starts a new worker
            # when its own is gone.
            settle = 0.5
            raise
        finally:
            # Killed here, and reaped by TFF when nothing refers to the context
            # any more: TFF itself sends SIGINT, which background jobs ignore,
            # and waits.
            _kill_workers(except_for=before, settle=settle)
            context = None
            gc.collect()


def _create_context(secure_sums: bool) -> tff.framework.SyncContext:
    if secure_sums:
        return tff.backends.test.create_sync_test_cpp_execution_context()
    return tff.backends.native.create_sync_local_cpp_execution_context()


def _kill_workers(*, except_for: set[int], settle: float) -> None:
    """Kills this process's workers until none has come up for `settle` seconds."""
    quiet_since = time.monotonic()
    while True:
        for worker in _workers():
            if worker.pid not in except_for:
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.kill()
                quiet_since = time.monotonic()
        if time.monotonic() - quiet_since >= settle:
            return
        time.sleep(0.02)


def _workers() -> list[psutil.Process]:
    workers = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            ended = process.status() == psutil.STATUS_ZOMBIE
            if not ended and process.name().startswith(worker_watch.WORKER):
                workers.append(process)
    return workers

"""Ends the workers of a process that was killed. Run as a program of its own.

A process that gets SIGKILL can't end its children, and TFF's worker would wait
for computations for ever. This program waits for the end of its standard input,
which the operating system closes when the process that holds it dies, by
whatever way; then it kills the workers that bear that process's mark.
"""

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator

import psutil

MARK = "TFF_FINANCE_WORKERS_OF"
WORKER = "worker_binary"

_WATCHER_SECONDS = 10.0


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Marks the workers started in the block, and has their mark watched over."""
    mark = uuid.uuid4().hex
    outer = os.environ.get(MARK)
    os.environ[MARK] = mark
    watcher = subprocess.Popen(
        [sys.executable, __file__, mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Ctrl-C is for this process, which ends its workers itself.
        start_new_session=True,
    )
    try:
        yield
    finally:
        if outer is None:
            del os.environ[MARK]
        else:
            os.environ[MARK] = outer
        # Not killed: what was interrupted while it ended the workers, it ends.
        try:
            watcher.communicate(timeout=_WATCHER_SECONDS)
        except subprocess.TimeoutExpired:
            watcher.kill()
            watcher.communicate()


def main(mark: str) -> None:
    """Waits, then kills."""
    sys.stdin.buffer.read()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            marked = process.environ().get(MARK) == mark
            if marked and process.name().startswith(WORKER):
                process.kill()


if __name__ == "__main__":
    main(sys.argv[1])

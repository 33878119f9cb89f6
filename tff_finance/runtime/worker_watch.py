"""Ends the workers of a process that was killed. Run as a program of its own.

A process that gets SIGKILL can't end its children, and TFF's worker would wait
for computations for ever. This program waits for the end of its standard input,
which the operating system closes when the process that holds it dies, by
whatever way; then it kills the workers that bear that process's mark.
"""

import contextlib
import sys

import psutil

MARK = "TFF_FINANCE_WORKERS_OF"
WORKER = "worker_binary"


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

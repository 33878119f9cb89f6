"""The watcher ends the workers with its owner's mark, and no other process."""

import io
import types

import psutil
import pytest

from tff_finance.runtime import worker_watch


class Process:
    """As much of a process as the watcher asks for."""

    def __init__(self, name, mark, *, gone=False):
        self.killed = False
        self._name = name
        self._environment = {} if mark is None else {worker_watch.MARK: mark}
        self._gone = gone

    def name(self):
        return self._name

    def environ(self):
        if self._gone:
            raise psutil.NoSuchProcess(1)
        return self._environment

    def kill(self):
        self.killed = True


@pytest.mark.parametrize(
    ("name", "mark", "ended"),
    [
        ("worker_binary", "mine", True),
        ("worker_binary", "another run's", False),
        ("worker_binary", None, False),
        ("python", "mine", False),  # such as a program that the run has started
    ],
)
def test_ends_marked_workers_alone(monkeypatch, name, mark, ended):
    process = Process(name, mark)
    processes = [Process("worker_binary", "mine", gone=True), process]
    monkeypatch.setattr(psutil, "process_iter", lambda: iter(processes))
    stdin = types.SimpleNamespace(buffer=io.BytesIO())
    monkeypatch.setattr(worker_watch.sys, "stdin", stdin)
    worker_watch.main("mine")
    assert process.killed == ended

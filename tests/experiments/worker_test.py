"""The worker's binary: says what it opens, serves, and leaves nothing behind."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys

import grpc
import psutil
import pytest

ROOT = pathlib.Path(__file__).parents[2]


@contextlib.contextmanager
def started(tmp_path, *arguments):
    """The binary, its standard output open; errors go to a file."""
    with (tmp_path / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments.worker", *arguments],
            cwd=ROOT,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def answers(port):
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        with contextlib.suppress(grpc.FutureTimeoutError):
            grpc.channel_ready_future(channel).result(timeout=2)
            return True
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_serves_until_it_is_told_to_end(tmp_path, number):
    with started(tmp_path, "--port=0") as process:
        line = process.stdout.readline()
        assert line.startswith("worker ready on port ")
        port = int(line.split()[-1])
        warning = (tmp_path / "stderr").read_text()
        for words in ("WARNING", "ALL addresses", str(port), "firewall", "TLS"):
            assert words in warning
        assert answers(port)
        children = psutil.Process(process.pid).children(recursive=True)
        assert any(child.name() == "worker_binary" for child in children)
        process.send_signal(number)
        _, alive = psutil.wait_procs(children, timeout=20)
        assert alive == []
        assert process.wait(20) == (-9 if number == signal.SIGKILL else 0)
        assert not answers(port)
    if number != signal.SIGKILL:
        assert (tmp_path / "stderr").read_text().endswith("worker ended\n")


def test_a_worker_that_ends_by_itself_is_a_failure(tmp_path):
    with started(tmp_path, "--port=0") as process:
        process.stdout.readline()
        children = psutil.Process(process.pid).children(recursive=True)
        (worker,) = [c for c in children if c.name() == "worker_binary"]
        worker.kill()
        assert process.wait(20) == 1
    assert "ended by itself, with exit code -9" in (tmp_path / "stderr").read_text()


def test_a_port_in_use_is_refused(tmp_path):
    """Two workers would share it, and each get half of the computations."""
    with socket.socket() as other:
        other.bind(("localhost", 0))
        other.listen()
        port = other.getsockname()[1]
        with started(tmp_path, f"--port={port}") as process:
            assert process.wait(20) == 1
    last = (tmp_path / "stderr").read_text().splitlines()[-1]
    assert last == f"worker: error: port {port}: Address already in use"


@pytest.mark.parametrize("arguments", [(), ("--port=70000",), ("--port=x",)])
def test_bad_flags_get_one_line_and_exit_code_2(tmp_path, arguments):
    with started(tmp_path, *arguments) as process:
        assert process.wait(20) == 2
    errors = (tmp_path / "stderr").read_text()
    assert errors.startswith("worker: error: ")
    assert errors.count("\n") == 1
    assert "port" in errors

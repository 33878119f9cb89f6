"""TFF's worker as a server on this machine. Doesn't import TensorFlow."""

import contextlib
import importlib.util
import os
import pathlib
import socket
import subprocess
import time
from collections.abc import Iterator

import grpc

from tff_finance import checks
from tff_finance.runtime import worker_watch

_POLL_SECONDS = 0.1
_READY_SECONDS = 60.0
_END_SECONDS = 5.0

WARNING = (
    "WARNING: TFF's worker listens on ALL addresses of this machine, without "
    "encryption and without credentials. Whoever reaches port {port} can run any "
    "graph as user {user}: read and write this user's files, and see all that passes. "
    "Close the port to every other machine with a firewall, and let the coordinator "
    "in through mutual TLS only: docs/several_machines.md."
)


@contextlib.contextmanager
def serving(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a worker that answers until the block ends.

    It listens on all addresses, TFF has no other way. It ends with the block, and
    also if this process is killed.

    Args:
        port: Not in use; `free_port` finds one.

    Yields:
        The worker's process, ready.

    Raises:
        RunFailedError: If the port is in use, or the worker doesn't start.
    """
    _check_free(port)
    with worker_watch.watched():
        process = subprocess.Popen(
            [str(binary()), f"--port={port}"],
            stdin=subprocess.DEVNULL,
            # Ctrl-C is for this process, which ends the worker itself.
            start_new_session=True,
        )
        try:
            _await_ready(process, port)
            yield process
        finally:
            process.kill()  # it has nothing to save, and ignores milder signals
            process.wait(_END_SECONDS)


def binary() -> pathlib.Path:
    """The worker that comes with TFF.

    Returns:
        Its path; found without importing TFF.

    Raises:
        RunFailedError: If there is none.
    """
    spec = importlib.util.find_spec("tensorflow_federated")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = pathlib.Path(folder) / "data" / worker_watch.WORKER
        if os.access(path, os.X_OK):
            return path
    raise checks.RunFailedError(
        f"TFF's {worker_watch.WORKER} is missing: install tensorflow-federated 0.87, "
        "as BUILD.md says."
    )


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def _check_free(port: int) -> None:
    """TFF's worker would share the port with another one, each getting half."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise checks.RunFailedError(f"port {port}: {error.strerror}") from error


def _await_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    with grpc.insecure_channel(
        f"localhost:{port}",
        [("grpc.max_reconnect_backoff_ms", 200), ("grpc.enable_http_proxy", 0)],
    ) as channel:
        ready = grpc.channel_ready_future(channel)
        try:
            while process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(grpc.FutureTimeoutError):
                    ready.result(_POLL_SECONDS)
                    return
        finally:
            ready.cancel()
    raise checks.RunFailedError(
        f"TFF's worker didn't start on port {port} (exit code {process.poll()})."
    )

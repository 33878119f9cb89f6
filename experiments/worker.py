"""Runs the clients of one or several institutions for a coordinator elsewhere.

Starts TFF's worker on this machine; experiments with --workers=...,HOST:PORT,...
use it. It runs until it gets SIGINT or SIGTERM.

It listens on ALL addresses, without encryption and without credentials: close the
port to every other machine with a firewall, and put mutual TLS in front
(docs/several_machines.md).
"""

import getpass
import signal
import subprocess
import threading

from absl import flags

from experiments import command_line

_PORT = flags.DEFINE_integer(
    "port",
    None,
    "Port to listen on, on all addresses; 0 for one that is free.",
    lower_bound=0,
    upper_bound=65535,
)

_LOOK_EVERY_SECONDS = 0.2


def main() -> None:
    """Serves until told to end."""
    from tff_finance.runtime import worker_process

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    port = _PORT.value or worker_process.free_port()
    command_line.report_progress(worker_process.WARNING.format(port=port, user=_user()))
    with worker_process.serving(port) as process:
        # On standard output, for whoever waits for it.
        print(f"worker ready on port {port}", flush=True)
        _await_end(process, ended)
    command_line.report_progress("worker ended")


def _await_end(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    while not ended.wait(_LOOK_EVERY_SECONDS):
        if process.poll() is not None:
            command_line.failure(
                f"TFF's worker ended by itself, with exit code {process.returncode}"
            )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return "of this process"


if __name__ == "__main__":
    flags.mark_flag_as_required("port")
    command_line.run(main)

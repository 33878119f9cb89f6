"""Contestants side by side: one process each, rounds in turn.

A process of its own gives each its own start-up and memory. Rounds are
interleaved, so that whatever else the machine does hits all alike; while one
works the others wait at their standard input.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.measuring import Measurement
from tff_finance.checks import RunFailedError

_GO = "\n"


def wait_for_turn() -> None:
    """In a contestant's process: waits until the contest lets it run a round.

    Raises:
        EOFError: If the contest has ended.
    """
    if not sys.stdin.readline():
        raise EOFError("The contest ended before this contestant's turn.")


def say_round(seconds: float) -> None:
    """In a contestant's process: tells the contest that the round is over."""
    print(json.dumps(seconds), flush=True)


def run_contest(
    commands: dict[str, Sequence[str]],
    *,
    rounds: int,
    report_progress: Callable[[str], None],
) -> dict[str, Measurement]:
    """Runs contestants in lock-step.

    Args:
        commands: By contestant, the command that measures it alone; each waits
            for its turn before a round, says when it is over, and ends with the
            measurement as a JSON object.
        rounds: How many each runs.
        report_progress: Takes a line after every turn of all.

    Returns:
        The measurements, by contestant.

    Raises:
        RunFailedError: If a contestant ends early.
    """
    processes: dict[str, subprocess.Popen[str]] = {}
    try:
        for name, command in commands.items():
            # The first round belongs to the start-up, which none shall disturb.
            processes[name] = _start(command)
            seconds = _turn(processes[name], name)
            report_progress(f"{name}: first round {seconds:.3f} s")
        for number in range(1, rounds):
            seconds = {name: _turn(p, name) for name, p in processes.items()}
            shown = "  ".join(f"{name} {s:.4f} s" for name, s in seconds.items())
            report_progress(f"round {number + 1} of {rounds}: {shown}")
        return {
            name: Measurement(**_answer(process, name))
            for name, process in processes.items()
        }
    finally:
        for process in processes.values():
            # Not killed: a contestant that sees the end of its input ends its
            # own worker process first.
            process.communicate()


def _start(command: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _turn(process: "subprocess.Popen[str]", name: str) -> float:
    assert process.stdin
    process.stdin.write(_GO)
    process.stdin.flush()
    return _answer(process, name)


def _answer(process: "subprocess.Popen[str]", name: str) -> Any:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise RunFailedError(f"Contestant {name!r} ended early; its error is above.")
    return json.loads(line)

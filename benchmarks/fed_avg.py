"""FedAvg on tables: seconds per round, start-up, memory, final loss.

With --json, measures one contestant, ours unless told otherwise, and prints one
JSON object as the last line. Without, runs all contestants side by side, their
rounds interleaved, and prints a table; --output also writes it as JSON.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import platform
import sys
from typing import Any

from absl import flags

from benchmarks.contestants import CONTESTANTS, DEFAULT
from benchmarks.workloads import WORKLOADS, Problem, Workload
from experiments import command_line

_WORKLOADS = flags.DEFINE_list(
    "workload", list(WORKLOADS), f"Workloads, of: {', '.join(WORKLOADS)}."
)
_ROUNDS = flags.DEFINE_integer(
    "rounds",
    None,
    "Rounds, the first included. Default: the workload's.",
    lower_bound=1,
)
_JSON = flags.DEFINE_bool(
    "json", False, "Measure one contestant alone; the last line is a JSON object."
)
_CONTESTANT = flags.DEFINE_enum(
    "contestant", DEFAULT, list(CONTESTANTS), "Whom --json measures."
)
_CONTESTANTS = flags.DEFINE_list(
    "contestants", list(CONTESTANTS), f"Who takes part, of: {', '.join(CONTESTANTS)}."
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    "Folder with x.npy (float32[institutions, rows, features]), y.npy "
    "(float32[institutions, rows]), w1.npy, b1.npy, w2.npy, b2.npy. Default: drawn.",
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file of a side-by-side run.")
_LOCK_STEP = flags.DEFINE_bool(
    "lock_step", False, "Wait for a line of input before each round; used by a contest."
)


def main() -> None:
    """Measures one contestant, or all side by side."""
    workloads = _chosen("workload", _WORKLOADS.value, WORKLOADS)
    if not _JSON.value:
        _side_by_side(workloads)
        return
    if len(workloads) != 1:
        command_line.usage_error("flag --workload: --json measures one, got several")
    print(json.dumps(dataclasses.asdict(_alone(workloads[0]))))


def _alone(workload: Workload) -> Any:
    from benchmarks import contest, measuring

    turns = {}
    if _LOCK_STEP.value:
        turns = {
            "await_turn": contest.wait_for_turn,
            "report_round": contest.say_round,
        }
    return measuring.measure(
        CONTESTANTS[_CONTESTANT.value],
        workload,
        _problem(workload),
        rounds=_ROUNDS.value or workload.rounds,
        **turns,
    )


def _problem(workload: Workload) -> Problem:
    from benchmarks import workloads

    if _DATA.value is None:
        return workloads.make_problem(workload)
    try:
        return workloads.read_problem(pathlib.Path(_DATA.value), workload)
    except ValueError as error:
        command_line.usage_error(f"flag --data: {error}")


def _side_by_side(workloads: list[Workload]) -> None:
    from benchmarks import contest, table

    names = list(dict.fromkeys(_CONTESTANTS.value))
    _chosen("contestants", names, CONTESTANTS)
    results = []
    for workload in workloads:
        rounds = _ROUNDS.value or workload.rounds
        measured = contest.run_contest(
            {name: _command(workload, name, rounds) for name in names},
            rounds=rounds,
            report_progress=lambda line, w=workload: _say(f"{w.name} {line}"),
        )
        for name, measurement in measured.items():
            results.append({"contestant": name} | dataclasses.asdict(measurement))
        print(table.side_by_side(results[-len(names) :], rounds=rounds), flush=True)
        table.check_same_work(results[-len(names) :])
        if _OUTPUT.value:
            _write(results)


def _command(workload: Workload, contestant: str, rounds: int) -> list[str]:
    """The command that measures one contestant in step with the others."""
    data = [f"--data={_DATA.value}"] if _DATA.value else []
    module = [sys.executable, "-m", "benchmarks.fed_avg", "--json", "--lock_step"]
    chosen = [f"--workload={workload.name}", f"--contestant={contestant}"]
    return [*module, *chosen, f"--rounds={rounds}", *data]


def _write(results: list[dict[str, Any]]) -> None:
    from tff_finance.records import files

    machine = {"machine": platform.machine(), "cpus": os.cpu_count()}
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    content = {"schema": 1, "date": now, **machine, "results": results}
    files.write_json(pathlib.Path(_OUTPUT.value), content)


def _chosen(flag: str, names: list[str], known: dict[str, Any]) -> list[Any]:
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        command_line.usage_error(
            f"flag --{flag}: must be of {', '.join(known)}; got {names}"
        )
    return [known[name] for name in names]


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    command_line.run(main)

"""A run killed at random moments ends with the numbers of one never killed.

Private runs aside, whose noise is fresh: they end with no more than was promised.
"""

import dataclasses
import os
import pathlib
import random
import subprocess
import sys

import numpy as np
import psutil
import pytest

from tests.killing.private_rounds import ROUNDS, witness
from tff_finance.records.run_record import RunRecord

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]


def kill_and_resume(job, folder, *, kills):
    """Runs the job whole, and killed and resumed; what the processes said."""
    seed = random.SystemRandom().randrange(2**31)
    log = folder / "log"
    with log.open("w") as stream:
        code = subprocess.run(
            [
                sys.executable,
                str(HERE / "driver.py"),
                str(HERE / job),
                str(folder),
                str(seed),
                str(kills),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=400,
        ).returncode
    text = log.read_text()
    assert code == 0, f"seed {seed}: {text}"
    assert "killed=True" in text, f"seed {seed}: no kill came in time: {text}"
    assert not workers_of(folder)
    return f"seed {seed}: {text}"


def workers_of(folder):
    """Workers that have a file of the folder as their output."""
    log = str(folder / "log")
    return [
        process.pid
        for process in psutil.process_iter(["name", "open_files"])
        if (process.info["name"] or "").startswith("worker_binary")
        and any(file.path == log for file in process.info["open_files"] or ())
    ]


def test_training_with_institution_state(tmp_path):
    text = kill_and_resume("training_job.py", tmp_path, kills=3)
    whole, killed = (
        np.load(tmp_path / name / "outcome.npz") for name in ("whole", "killed")
    )
    assert "goes on after round" in text
    assert int(whole["best_round"]) > 1, "the last weights must be the best"
    assert sorted(whole) == sorted(killed)
    for name, expected in whole.items():
        np.testing.assert_array_equal(killed[name], expected, err_msg=text)


def comparable(folder):
    """A run's record without what a clock measured."""
    record = RunRecord.read(folder / "record")
    runs = tuple(dataclasses.replace(run, seconds=0.0) for run in record.runs)
    return dataclasses.replace(record, runs=runs)


def test_case_study(tmp_path):
    text = kill_and_resume("case_study_job.py", tmp_path, kills=2)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert comparable(killed) == comparable(whole), text
    tables = sorted((whole / "metrics").rglob("*.csv"))
    assert len(tables) == 2
    for table in tables:
        again = killed / table.relative_to(whole)
        assert again.read_text() == table.read_text(), text
    assert not list(killed.rglob("training")), "state of finished training is gone"


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """The folder of a private run, what was said, and how often it was killed."""
    folder, kills = tmp_path_factory.mktemp("private"), 2
    text = kill_and_resume("private_job.py", folder, kills=kills)
    for method in ROUNDS:
        assert f"{method}: goes on after round" in text
    return folder, text, kills


@pytest.mark.parametrize("method", ROUNDS)
def test_every_private_round_is_counted(private, method):
    """Also one whose process was killed in it, which the server has seen."""
    folder, text, kills = private
    whole, killed = (
        RunRecord.read(folder / name / "record") for name in ("whole", "killed")
    )
    [run] = [row for row in killed.runs if row.method == method]
    begun = witness(folder / "killed", method).stat().st_size
    rows, rows_of_whole = (
        {row.institution: row for row in record.privacy if row.method == method}
        for record in (killed, whole)
    )
    assert list(rows) == list(rows_of_whole)
    for name, row in rows.items():
        planned = ROUNDS[method]
        steps_of_round = rows_of_whole[name].steps / planned
        counted = row.steps / steps_of_round
        # A process may be killed after it has counted a round, before it begins.
        assert run.rounds <= begun <= counted <= begun + kills, text
        assert row.steps >= rows_of_whole[name].steps, text
        assert row.epsilon <= row.target_epsilon, text
        # A tree's round has the same noise again; else a repeated round is one less.
        assert (run.rounds if method == "dp_ftrl" else counted) == planned, text
        ends = "fixed_rounds" if run.rounds == planned else "budget"
        assert run.stopped_by == ends, text


@pytest.mark.parametrize("method", ROUNDS)
def test_the_last_private_model_is_kept(private, method):
    folder, text, _ = private
    record = RunRecord.read(folder / "killed" / "record")
    [run] = [row for row in record.runs if row.method == method]
    rounds = [row.round for row in record.curves if row.method == method]
    assert rounds == list(range(1, run.rounds + 1)), text
    assert run.best_round == run.rounds > 1, text
    assert any(row.method == method for row in record.metrics)
    assert not list((folder / "killed").rglob("training")), "state is gone"

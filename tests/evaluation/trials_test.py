"""Trials as lines, tables and flag files."""

import pytest

from tff_finance.evaluation.trials import Trial, flag_file, trial_line, trial_table
from tff_finance.records import files

TRIALS = [
    Trial(
        number=1,
        state="complete",
        settings={"client_learning_rate": 0.1 + 0.2, "hidden_units": (8, 4)},
        losses=(0.5, 0.25),
        reason="",
        seconds=2.0,
    ),
    Trial(
        number=2,
        state="pruned",
        settings={"client_learning_rate": 1.0, "hidden_units": (8,)},
        losses=(0.9,),
        reason="",
        seconds=1.0,
    ),
    Trial(
        number=3,
        state="unusable",
        settings={"client_learning_rate": 9.0, "hidden_units": (8,)},
        losses=(),
        reason="loss is not finite",
        seconds=0.1,
    ),
]


def test_lines():
    assert trial_line(TRIALS[:1], 3) == (
        "trial 1 of 3  0.37500  client_learning_rate=0.3 hidden_units=8,4  2.0 s  "
        "(best: 0.37500, trial 1)"
    )
    assert trial_line(TRIALS[:2], 3).startswith("trial 2 of 3  pruned  client")
    assert trial_line(TRIALS[2:], 3) == (
        "trial 3 of 3  unusable  client_learning_rate=9 hidden_units=8  0.1 s"
    )


def test_table(tmp_path):
    table = trial_table(TRIALS, (1000, 1001))
    files.write_csv(tmp_path / "trials.csv", table)
    read = files.read_csv(tmp_path / "trials.csv", text_columns=("reason",))
    assert read["trial"].tolist() == [1, 2, 3]
    assert read["state"].tolist() == ["complete", "pruned", "unusable"]
    assert read["loss"].fillna(-1).tolist() == [0.375, -1, -1]
    assert read["client_learning_rate"].tolist() == [0.30000000000000004, 1.0, 9.0]
    assert read["hidden_units"].tolist() == ["8,4", "8", "8"]
    assert read["loss_1000"].fillna(-1).tolist() == [0.5, 0.9, -1]
    assert read["loss_1001"].fillna(-1).tolist() == [0.25, -1, -1]
    assert read["reason"].tolist() == ["", "", "loss is not finite"]


def test_flag_file():
    text = flag_file(
        TRIALS[0].settings, comments=["first", "second"], given=["--rounds=2"]
    )
    assert text.splitlines() == [
        "# first",
        "# second",
        "--rounds=2",
        "--client_learning_rate=0.30000000000000004",
        "--hidden_units=8,4",
    ]
    assert text.endswith("\n")


def test_mean_loss_is_of_complete_trials_alone():
    assert [trial.loss for trial in TRIALS] == [pytest.approx(0.375), None, None]

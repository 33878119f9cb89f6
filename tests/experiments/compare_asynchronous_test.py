"""The binary that compares FedBuff with FedAvg: what it refuses, and what it names."""

import json
import subprocess
import sys

import pytest

from tests.experiments.compare_test import ROOT, write_tables
from tests.experiments.tune_test import call

# A later seed's draw leaves an institution too few rows.
UNLUCKY = """
from experiments import command_line, compare_asynchronous
def main():
    def institutions(seed):
        raise ValueError("too few rows")
    data = compare_asynchronous._Data(
        description="", institutions=institutions, contract=None, training=None
    )
    compare_asynchronous._run_seed(data, 7)
command_line.run(main)
"""


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["--methods=fed_avg,fed_prox"], "--methods can't be given"),
        (["--class_weights=balanced"], "--class_weights can't be given"),
        (["--resamples=200", "--payments=a,b,c"], "--payments, --resamples can't"),
        (["--contribution=fed_avg"], "--contribution can't be given"),
        (["--proximal_mu=1", "--dp_rounds=3"], "can't be given: fed_avg and fed_buff"),
        (["--cohort_size=2"], "--cohort_size can't be given"),
        (["--attack=scale"], "--attack can't be given"),
        (["--dataset=taiwan"], "--task must be given"),
        (["--rounds=0"], "rounds"),
        (["--institution_seconds=soon"], "institution_seconds"),
    ],
)
def test_a_bad_flag_gets_one_line_and_exit_code_2(tmp_path, arguments, culprit):
    code, output, errors = call(
        f"--output_dir={tmp_path / 'out'}", *arguments, module="compare_asynchronous"
    )
    assert (code, output) == (2, ""), errors
    assert errors.startswith("compare_asynchronous: error: ")
    assert errors.count("\n") == 1
    assert culprit in errors
    assert not (tmp_path / "out").exists()


def test_help_names_what_is_read_and_nothing_else():
    code, output, _ = call("--help", module="compare_asynchronous")
    assert code == 0
    for flag in ("task", "table", "split", "seeds", "rounds", "staleness_exponent"):
        assert f"--{flag}:" in output
    for flag in ("methods", "class_weights", "proximal_mu", "dp_rounds", "attack"):
        assert f"--{flag}:" not in output


def test_the_result_names_the_tables(tmp_path):
    code, output, errors = call(
        f"--output_dir={tmp_path / 'out'}",
        "--task=risk",
        *write_tables(tmp_path),
        "--seeds=1",
        "--rounds=3",
        "--fed_buff_rounds=5",
        "--hidden_units=2",
        module="compare_asynchronous",
        imported=True,
    )
    assert code == 0, errors
    result = json.loads((tmp_path / "out" / "asynchronous.json").read_text())
    assert result["data"] == (
        "Institutions' own tables under contract 'loans', split shuffled:0.6,0.2,0.2"
    )
    assert result["training"]["rounds"] == 3
    assert [run["rounds"] for run in result["runs"]["fed_buff"]] == [5]
    assert "final AUC, fed_buff" in output
    assert (tmp_path / "out" / "asynchronous.png").stat().st_size > 10_000


def test_a_seed_whose_institutions_cannot_be_made_is_named():
    done = subprocess.run(
        [sys.executable, "-c", UNLUCKY],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Under seed 7 the institutions can't be made: too few rows" in done.stderr
    assert "Traceback" not in done.stderr

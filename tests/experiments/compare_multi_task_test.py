"""The binary: refusals, and a small run whose numbers nobody pools."""

import json

import pytest

from tests.experiments.quick_call import full_call, quick_call
from tff_finance.records.run_record import DIFFERENT_TARGETS

MODULE = "experiments.compare_multi_task"


@pytest.mark.parametrize(
    ("argument", "culprit"),
    [
        ("--train_rows=250,500", "train_rows"),
        ("--train_rows=250,500,many", "train_rows"),
        ("--train_rows=250,500,1", "train_rows"),
        ("--compared=fed_md", "compared"),
        ("--local_layers=9", "local_layers"),
    ],
)
def test_bad_flag_gets_one_line_and_exit_code_2(tmp_path, argument, culprit):
    result = quick_call(MODULE, f"--output_dir={tmp_path / 'results'}", argument)
    assert result.returncode == 2
    assert result.stderr.startswith("compare_multi_task: error: ")
    assert result.stderr.count("\n") == 1
    assert culprit in result.stderr
    assert not (tmp_path / "results").exists()


def test_compares_each_bank_with_itself_alone(tmp_path):
    result = full_call(
        MODULE,
        f"--output_dir={tmp_path}",
        "--seeds=2",
        "--first_seed=0",
        "--train_rows=40,40,60",
        "--rounds=3",
        "--max_epochs=3",
        "--compared=fed_per",
        "--hidden_units=4",
    )
    assert result.returncode == 0, result.stderr
    assert "bank_b: request for a consolidation loan" in result.stdout
    assert "FedPer" in result.stdout
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(summary["methods"]) == ["local", "fed_per"]
    for method in summary["methods"].values():
        for bank in ("bank_a", "bank_b", "bank_c"):
            assert method["own"][bank]["auc"]["mean"] is not None
            assert method["others"][bank]["auc"]["reason"] == DIFFERENT_TARGETS
        assert method["pooled"]["auc"]["reason"] == DIFFERENT_TARGETS
        assert method["own_mean"]["accuracy"]["reason"] == DIFFERENT_TARGETS
    assert summary["institutions"]["bank_c"]["train_rows"] == 60
    # Each bank's labels are its own.
    rates = {i["positive_rate"] for i in summary["institutions"].values()}
    assert len(rates) == 3

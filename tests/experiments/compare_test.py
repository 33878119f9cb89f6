"""The binary on real tables: quick refusals, faults, and runs from end to end."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from experiments.dataset_names import DATASETS
from tests.experiments.quick_call import full_call, quick_call
from tff_finance.datasets import public
from tff_finance.evaluation.summary import build_summary
from tff_finance.records.comparison_config import ComparisonConfig
from tff_finance.records.run_record import RunRecord

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULE = "experiments.compare"
# Says on leaving whether pandera, which takes its time, came along.
WITNESS = f"""
import runpy, sys
try:
    runpy.run_module("{MODULE}", run_name="__main__", alter_sys=True)
finally:
    print("pandera imported:", "pandera" in sys.modules)
"""
BY_CUSTOMER = ("--methods=fed_avg_dp_sgd", "--privacy_unit=customer")
CONTRACT = """
name = "loans"

[label]
column = "bad"
meaning = "the loan went bad"

[[columns]]
name = "age"
kind = "numeric"
unit = "years"
description = "Age"
minimum = 18
maximum = 100
protected = true

[[columns]]
name = "home"
kind = "categorical"
description = "Rents or owns"
categories = ["rent", "own"]

[[columns]]
name = "customer"
kind = "numeric"
unit = "number"
description = "Whose loan"
minimum = 0
maximum = 1e9
use = "audit"

[[forbidden]]
name = "recovered"
reason = "is known after the outcome"

[institutions.bank_b.rename]
alter = "age"
"""
SMALL = (
    "--task=risk",
    "--seeds=2",
    "--first_seed=0",
    "--methods=local,fed_avg,centralized,gradient_boosting",
    "--rounds=3",
    "--max_epochs=2",
    "--hidden_units=4",
    "--resamples=100",
    "--clusters=customer",
)


def call(*arguments):
    """Calls the binary: exit code, output and errors."""
    done = quick_call(MODULE, *arguments)
    return done.returncode, done.stdout, done.stderr


def run(*arguments):
    """Runs the binary to its end: exit code, output and errors."""
    done = full_call(MODULE, *arguments)
    return done.returncode, done.stdout, done.stderr


def loans(seed, number):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, number)
    home = rng.choice(["rent", "own"], number)
    bad = rng.random(number) < 0.25 + 0.3 * (home == "rent") - 0.002 * (age - 18)
    return pd.DataFrame(
        {
            "age": age,
            "home": home,
            "customer": rng.integers(0, number // 2, number),
            "recovered": bad * 1.0,
            "branch": "x",
            "bad": bad.astype(int),
        }
    )


def write_tables(folder, spoil=lambda table: table):
    """A contract, a CSV file of bank_a, a Parquet file of bank_b; their flags."""
    (folder / "contract.toml").write_text(CONTRACT)
    spoil(loans(1, 400)).to_csv(folder / "a.csv", index=False)
    loans(2, 300).rename(columns={"age": "alter"}).to_parquet(folder / "b.parquet")
    return (
        f"--contract={folder / 'contract.toml'}",
        f"--table=bank_a={folder / 'a.csv'}",
        f"--table=bank_b={folder / 'b.parquet'}",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "printed"),
    [
        (["--help"], 0, "--rounds"),
        (
            [
                *("--output_dir=out", "--task=risk", "--rounds=0"),
                *("--contract=c.toml", "--table=a=a.csv"),
            ],
            2,
            "`rounds` must be at least 1",
        ),
    ],
)
def test_help_and_refusals_spare_pandera(arguments, code, printed):
    done = subprocess.run(
        [sys.executable, "-c", WITNESS, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    assert printed in done.stdout + done.stderr
    assert done.stdout.endswith("pandera imported: False\n")


def test_help_names_every_flag():
    code, output, errors = call("--help")
    assert (code, errors) == (0, "")
    for flag in ("task", "dataset", "partition", "split", "contract", "table", "seeds"):
        assert f"--{flag}" in output
    assert "on real tables" in output


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["--task=weather"], "--task=weather"),
        ([], "--dataset"),
        (["--dataset=mars", "--data_dir=x", "--partition=random:3"], "mars"),
        (["--dataset=taiwan", "--data_dir=x"], "--partition must be given"),
        (["--contract=c.toml"], "--table must be given"),
        (["--contract=c.toml", "--table=a=a.csv", "--partition=random:2"], "either"),
        (["--hidden_units=8,x", "--contract=c", "--table=a=b"], "hidden_units"),
        (["--rounds=0", "--contract=c", "--table=a=b"], "rounds"),
        (
            ["--most_rows_per_customer=4", "--contract=c", "--table=a=b"],
            "`most_rows_per_customer` needs `privacy_unit` customer",
        ),
        (["--resamples=10"], "resamples"),
        (["--seeds=0"], "--seeds=0"),
        (["stray"], "'stray'"),
    ],
)
def test_a_bad_flag_gets_one_line_and_exit_code_2(tmp_path, arguments, culprit):
    task = [] if any(a.startswith("--task") for a in arguments) else ["--task=risk"]
    code, output, errors = call(f"--output_dir={tmp_path / 'out'}", *task, *arguments)
    assert (code, output) == (2, "")
    assert errors.startswith("compare: error: ")
    assert errors.count("\n") == 1
    assert culprit in errors
    assert not (tmp_path / "out").exists()


def test_datasets_are_the_public_tables():
    assert set(DATASETS) == set(public.TABLES)


@pytest.mark.parametrize(
    ("arguments", "code", "culprit"),
    [
        (["--split=sometimes"], 2, "`split`"),
        (["--split=time:day:0.6,0.2,0.2"], 2, "'day'"),
        (["--clusters=nobody"], 2, "'nobody'"),
        ([*BY_CUSTOMER], 2, "--clusters=COLUMN"),
        ([*BY_CUSTOMER, "--clusters=age"], 2, 'use = "audit"'),
        (["--methods=magic"], 2, "magic"),
        (["--table=bank_a=again.csv"], 2, "each institution must have one file"),
        (["--table=x/y=again.csv"], 2, "x/y"),
        (["--table=missing=nowhere.csv"], 1, "nowhere.csv"),
    ],
)
def test_bad_data_settings_are_refused_before_tensorflow(
    tmp_path, arguments, code, culprit
):
    given = write_tables(tmp_path)
    found, _, errors = call(
        f"--output_dir={tmp_path / 'out'}",
        "--task=risk",
        *given,
        *arguments,
    )
    assert found == code, errors
    assert culprit in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        # The default has centralized and gradient_boosting.
        ([], "--methods=local,fed_avg,fed_sgd"),
        (["--methods=fed_md"], "`methods=fed_md` needs labels"),
        (["--methods=local", "--class_weights=balanced"], "`class_weights` needs"),
        (["--methods=local", "--contribution=fed_avg"], "`contribution` needs labels"),
    ],
)
def test_what_pools_labels_is_refused_over_different_ones(tmp_path, arguments, culprit):
    given = write_tables(tmp_path)
    with (tmp_path / "contract.toml").open("a") as contract:
        contract.write('\n[institutions.bank_a]\nlabel_meaning = "it was repaid"\n')
    code, _, errors = call(
        f"--output_dir={tmp_path / 'out'}", "--task=risk", *given, *arguments
    )
    assert code == 2, errors
    assert errors.count("\n") == 1
    assert culprit in errors
    assert not list((tmp_path / "out").iterdir())


def test_too_many_coalitions_are_refused_before_tensorflow(tmp_path):
    given = write_tables(tmp_path)
    more = [f"--table=bank_{n}={tmp_path / 'a.csv'}" for n in range(5)]
    code, _, errors = call(
        f"--output_dir={tmp_path / 'out'}",
        "--task=risk",
        "--contribution=fed_avg",
        *given,
        *more,
    )
    assert code == 2
    assert errors.count("\n") == 1
    assert "127 models" in errors
    assert "leave_one_out, which trains 8" in errors


def test_all_faults_of_all_tables_are_told_at_once(tmp_path):
    def spoil(table):
        table.loc[3, "age"] = 300
        return table.assign(home=table["home"].mask(table.index == 5, "boat"))

    given = write_tables(tmp_path, spoil)
    code, _, errors = call(
        f"--output_dir={tmp_path / 'out'}",
        "--task=risk",
        *given,
        f"--table=bank_c={tmp_path / 'contract.toml'}",
    )
    assert code == 1
    for culprit in ("'bank_a'", "300", "row 4", "'boat'", "row 6", "must end in one"):
        assert culprit in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "preset",
    [
        path
        for path in sorted((ROOT / "experiments" / "presets").glob("*.flags"))
        if "--dataset=" in path.read_text()
    ],
    ids=lambda path: path.stem,
)
def test_preset_is_understood(preset, tmp_path):
    """Up to the table, which isn't there and can't be downloaded from nowhere."""
    (tmp_path / "file").touch()
    code, _, errors = call(
        f"--flagfile={preset}",
        f"--data_dir={tmp_path}",
        f"--output_dir={tmp_path / 'file'}",
    )
    assert code == 1
    assert "can't write" in errors
    assert preset.read_text().startswith("# Expected")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    given = (*write_tables(folder), f"--output_dir={folder / 'out'}", *SMALL)
    code, output, errors = run(*given)
    assert code == 0, errors
    return folder, given, output, errors


def test_two_banks_files_become_a_summary_and_a_record(finished):
    folder, _, output, errors = finished
    summary = json.loads((folder / "out" / "summary.json").read_text())
    record = RunRecord.read(folder / "out" / "record")
    assert build_summary(record) == summary
    assert summary["experiment"] == "comparison"
    config = ComparisonConfig.from_mapping(summary["config"])
    assert [(f.institution, f.name) for f in config.files] == [
        ("bank_a", "a.csv"),
        ("bank_b", "b.parquet"),
    ]
    assert config.split == "shuffled:0.6,0.2,0.2"
    assert list(summary["institutions"]) == ["bank_a", "bank_b"]
    pooled = summary["methods"]["fed_avg"]["pooled"]
    for metric in ("auc", "accuracy", "log_loss"):
        low, high = pooled[metric]["ci95"]
        assert low < pooled[metric]["mean"] < high
        assert pooled[metric]["over_seeds"]["sd"] >= 0
    assert "ks" in pooled
    assert "bad_rate_at_approval_80" in pooled
    gain = summary["gain"]["bank_a"]["fed_avg"]["auc"]
    assert gain["covers"] == "choice of test rows, within seeds"
    assert summary["to_centralized"]["fed_avg"]["auc"]["ci95"]
    assert "bank_a: left out, since the contract forbids them: recovered." in errors
    assert "bank_b: left out, since the contract doesn't name them: branch." in errors
    assert "Protected attributes are among the features: age." in errors
    for label in ("FedAvg", "far limit", "bank_b", "All institutions' test rows"):
        assert label in output


def test_customers_are_resampled_not_rows(finished):
    folder, *_ = finished
    record = RunRecord.read(folder / "out" / "record")
    pooled = [row for row in record.bootstraps if row.scope == "pooled"]
    assert pooled
    for row in pooled:
        assert row.units < row.rows
        assert row.resamples == 100


def test_a_run_that_lost_parts_ends_with_the_same_numbers(finished):
    folder, given, *_ = finished
    before = RunRecord.read(folder / "out" / "record")
    seed = folder / "out" / "checkpoints" / "seed_1"
    for part in ("centralized", "intervals"):
        shutil.rmtree(seed / part)
    code, _, errors = run(*given)
    assert code == 0, errors
    assert errors.count("was finished before") == 7
    after = RunRecord.read(folder / "out" / "record")
    for kind in ("institutions", "metrics", "curves", "histograms", "bootstraps"):
        assert getattr(after, kind) == getattr(before, kind), kind


def test_another_table_or_setting_is_refused_in_the_same_folder(finished):
    folder, given, *_ = finished
    changed = folder / "changed.csv"
    loans(9, 400).to_csv(changed, index=False)
    others = [a for a in given if "bank_a=" not in a]
    for more, named in (
        ([f"--table=bank_a={changed}", *others], "config.files"),
        ([*given, "--split=shuffled:0.5,0.25,0.25"], "config.split"),
    ):
        code, _, errors = call(*more)
        assert code == 2
        assert named in errors
        assert "--restart" in errors


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_about_it_renders(finished, language):
    folder, *_ = finished
    report = folder / f"{language}.html"
    result = quick_call(
        "experiments.write_report",
        f"--record={folder / 'out' / 'record'}",
        f"--output={report}",
        f"--language={language}",
    )
    assert result.returncode == 0, result.stderr
    page = report.read_text()
    assert ("synthetic" in page, "合成" in page) == (False, False)
    expected = {"en": "own tables under contract", "zh": "受保护属性"}[language]
    assert expected in page

"""Both binaries from end to end on two small banks, and their quick refusals."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.evaluation import scored_bank
from tests.experiments.quick_call import full_call, quick_call

CONTRACT = """
name = "loans"

[label]
column = "default"
meaning = "not paid for 90 days"

[[columns]]
name = "income"
kind = "numeric"
unit = "EUR per year"
description = "Income before tax"
minimum = 0
maximum = 1e7
transform = "log1p"

[[columns]]
name = "housing"
kind = "categorical"
description = "How the customer lives"
categories = ["rent", "own", "parents"]

[[columns]]
name = "ltv"
kind = "numeric"
unit = "ratio"
description = "Loan to value"
minimum = 0
maximum = 3
missing = "indicator"

[institutions.bank_b.rename]
einkommen = "income"
wohnung = "housing"

[institutions.bank_b.factor]
income = 12.0
ltv = 0.01

[institutions.bank_b.codes.housing]
M = "rent"
E = "own"
B = "parents"

[institutions.bank_b.file]
separator = ";"
decimal = ","
"""


def call(binary, *flags, quick=False):
    """Exit code, standard output and error; a quick one must spare TensorFlow."""
    done = (quick_call if quick else full_call)(f"experiments.{binary}", *flags)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A contract, and a table of each bank, bank_b's in its own format."""
    folder = tmp_path_factory.mktemp("banks")
    (folder / "loans.toml").write_text(CONTRACT)
    for seed, name in enumerate(("bank_a", "bank_b")):
        table = scored_bank.customers(300, seed)
        risk = (table["housing"] == "rent") + table["ltv"].fillna(0.8)
        labels = np.random.default_rng(seed).random(300) < risk / 3
        if name == "bank_a":
            table.assign(default=labels.astype(int)).to_csv(
                folder / "bank_a.csv", index=False
            )
        else:
            theirs = scored_bank.as_bank_b(table).assign(default=labels.astype(int))
            theirs.to_csv(folder / "bank_b.csv", index=False, sep=";", decimal=",")
    return folder


def train(folder, *more):
    return call(
        "train",
        "--task=risk",
        f"--contract={folder / 'loans.toml'}",
        f"--table=bank_a={folder / 'bank_a.csv'}",
        f"--table=bank_b={folder / 'bank_b.csv'}",
        f"--output_dir={folder / 'run'}",
        "--algorithm=fed_avg",
        "--class_weights=balanced",
        "--rounds=3",
        "--hidden_units=4",
        "--resamples=100",
        *more,
    )


@pytest.fixture(scope="module")
def trained(folder):
    code, output, errors = train(folder)
    assert code == 0, errors
    return folder, output


def test_training_saves_a_model_and_judges_it(trained):
    folder, output = trained
    assert "FedAvg" in output
    header = json.loads((folder / "run" / "model" / "model.json").read_text())
    assert header["algorithm"] == "fed_avg"
    assert header["config"]["seeds"] == [100]
    assert header["institutions"]["bank_a"]["train_rows"] == 180
    assert header["validation"]["pooled"]["auc"] > 0.5
    assert set(header["validation"]["own"]) == {"bank_a", "bank_b"}
    assert header["privacy"] is None
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert list(summary["methods"]) == ["fed_avg"]
    assert [file["sha256"] for file in header["config"]["files"]] == [
        file["sha256"] for file in summary["config"]["files"]
    ]


def test_training_again_changes_nothing(trained):
    folder, _ = trained
    header = folder / "run" / "model" / "model.json"
    before = header.read_bytes()
    code, _, errors = train(folder)
    assert code == 0
    assert "was finished before" in errors
    assert header.read_bytes() == before


def score(folder, name, output, *more, quick=False):
    return call(
        "score",
        f"--model={folder / 'run' / 'model'}",
        f"--table={folder / name}",
        f"--output={folder / output}",
        *more,
        quick=quick,
    )


def test_a_bank_scores_its_own_format_with_reasons(trained):
    folder, _ = trained
    code, _, errors = score(
        folder,
        "bank_b.csv",
        "s.csv",
        "--institution=bank_b",
        "--id_column=customer",
        "--contributions",
    )
    assert code == 0, errors
    assert "300 rows scored, 0 left out" in errors
    scores = pd.read_csv(folder / "s.csv", dtype={"customer": str})
    assert scores["customer"].iloc[-1] == "00299"
    assert scores["reason_1_description"].isin(["Income before tax"]).any()
    summary = json.loads((folder / "s.summary.json").read_text())
    assert summary["rows"] == {"scored": 300, "left_out": 0}
    assert summary["explanation"]["largest_residual"] < 1e-3
    contributions = scores[[c for c in scores if c.startswith("contribution:")]]
    difference = scores["logit"] - summary["explanation"]["reference_logit"]
    np.testing.assert_allclose(contributions.sum(axis=1), difference, atol=2e-3)


def test_a_faulty_row_fails_and_leaves_nothing(trained):
    folder, _ = trained
    table = scored_bank.customers(5)
    table.loc[3, "housing"] = "castle"
    table.to_csv(folder / "faulty.csv", index=False)
    code, _, errors = score(folder, "faulty.csv", "f.csv")
    assert code == 1
    assert errors.startswith("score: error: Table ")
    assert "for example 'castle' in row 4" in errors
    assert not list(folder.glob("f.*"))


@pytest.mark.parametrize(
    ("flags", "code", "culprit"),
    [
        (["--output={}/s.xlsx"], 2, "must end in .csv or .parquet"),
        (["--output={}/bank_a.csv"], 2, "must not be the table itself"),
        (["--institution=bank_bb"], 2, "did you mean 'bank_b'?"),
        (["--id_column=customr"], 2, "`id_column` must be a column"),
        (["--id_column=ltv"], 2, "is a feature"),
        (["--reasons=0", "--contributions"], 2, "--contributions"),
        (["--reasons=-1"], 2, "--reasons=-1"),
        (["--model={}"], 1, "holds no model"),
        (["--table={}/nowhere.csv", "--id_column=x"], 1, "nowhere.csv"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(trained, flags, code, culprit):
    folder, _ = trained
    flags = [flag.format(folder) for flag in flags]
    result = score(folder, "bank_a.csv", "refused.csv", *flags, quick=True)
    assert result[:2] == (code, "")
    assert result[2].startswith("score: error: ")
    assert culprit in result[2]
    assert result[2].count("\n") == 1
    assert not (folder / "refused.csv").exists()


@pytest.mark.parametrize(
    ("flags", "culprit"),
    [
        (["--task=risk", "--dataset=sba"], "--data_dir, --partition must be given"),
        (["--dataset=sba"], "--task"),
        (["--task=risk", "--algorithm=local"], "--algorithm=local"),
        (["--task=risk", "--algorithm=gradient_boosting"], "--algorithm"),
        (["--task=risk", "--seed=-1"], "--seed=-1"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(tmp_path, flags, culprit):
    directory = tmp_path / "results"
    code, output, errors = call(
        "train", f"--output_dir={directory}", *flags, quick=True
    )
    assert (code, output) == (2, "")
    assert culprit in errors
    assert errors.count("\n") == 1
    assert not directory.exists()


@pytest.mark.parametrize("binary", ["train", "score"])
def test_help_is_quick(binary):
    code, output, errors = call(binary, "--help", quick=True)
    assert (code, errors) == (0, "")
    assert "--[no]contributions" in output or "--algorithm" in output

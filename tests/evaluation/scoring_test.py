"""Scoring files: the evaluation's scores, whatever the format; no faulty row."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from tests.evaluation import scored_bank
from tff_finance.datasets.contract import ContractError
from tff_finance.datasets.csv_files import TableFileError
from tff_finance.datasets.raw_table import RawTable
from tff_finance.evaluation.reason_codes import ReasonCodes
from tff_finance.evaluation.saved_model import load_model
from tff_finance.evaluation.scorers import KerasScorer
from tff_finance.evaluation.scoring import score_table


@pytest.fixture(scope="module")
def network_and_model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "model"
    network = scored_bank.save(directory)
    return network, load_model(directory)


@pytest.fixture(scope="module")
def model(network_and_model):
    return network_and_model[1]


@pytest.fixture(scope="module")
def reasons(model):
    return ReasonCodes(model, count=2, all_contributions=True)


def write(path, table, **options):
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, **options)
    return path


def scored(model, tmp_path, table, *, name="t.csv", output="s.csv", **options):
    write(tmp_path / name, table)
    raw = RawTable(path=tmp_path / name, id_column="customer")
    outcome = score_table(model, raw, tmp_path / output, **options)
    return outcome, read(tmp_path / output)


def read(path):
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype={"customer": str}, float_precision="round_trip")


def test_scores_are_those_of_the_evaluation(network_and_model, tmp_path):
    network, model = network_and_model
    customers = scored_bank.customers()
    outcome, scores = scored(model, tmp_path, customers)
    logits = KerasScorer(network)(scored_bank.ENCODER.features(customers))
    assert list(scores) == ["customer", "row", "probability", "logit"]
    np.testing.assert_allclose(scores["logit"], logits, atol=1e-6)
    np.testing.assert_allclose(scores["probability"], expit(logits), atol=1e-6)
    assert scores["customer"].tolist() == customers["customer"].tolist()
    assert scores["row"].tolist() == list(range(1, 51))
    assert (outcome.scored, outcome.left_out) == (50, 0)


def test_a_label_and_other_columns_change_nothing(model, tmp_path):
    customers = scored_bank.customers()
    _, plain = scored(model, tmp_path, customers)
    more = customers.assign(default="unknown", sex="?", branch=1)
    _, scores = scored(model, tmp_path, more)
    pd.testing.assert_frame_equal(scores, plain)


def test_scoring_again_gives_the_same_bytes(model, reasons, tmp_path):
    for output in ("1.csv", "2.csv"):
        scored(
            model,
            tmp_path,
            scored_bank.customers(),
            output=output,
            reason_codes=reasons,
        )
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_parts_are_scored_as_the_whole(model, reasons, tmp_path, rows):
    table = scored_bank.customers()
    _, whole = scored(model, tmp_path, table, reason_codes=reasons)
    _, parts = scored(model, tmp_path, table, reason_codes=reasons, rows_per_part=rows)
    pd.testing.assert_frame_equal(parts, whole, rtol=1e-5, atol=1e-6)


def test_formats_of_files_agree(model, reasons, tmp_path):
    table = scored_bank.customers()
    _, csv = scored(model, tmp_path, table, reason_codes=reasons)
    _, parquet = scored(
        model,
        tmp_path,
        table,
        name="t.parquet",
        output="s.parquet",
        reason_codes=reasons,
    )
    pd.testing.assert_frame_equal(
        csv, parquet.fillna(np.nan), check_dtype=False, rtol=1e-6, atol=1e-9
    )


def test_a_bank_with_its_own_format_gets_the_same_scores(model, tmp_path):
    customers = scored_bank.customers()
    _, expected = scored(model, tmp_path, customers)
    path = write(
        tmp_path / "b.csv", scored_bank.as_bank_b(customers), sep=";", decimal=","
    )
    theirs = RawTable(path=path, institution="bank_b", id_column="customer")
    score_table(model, theirs, tmp_path / "b_scores.csv")
    scores = read(tmp_path / "b_scores.csv")
    pd.testing.assert_frame_equal(scores, expected, rtol=1e-5, atol=1e-6)


def test_rows_without_identifier_are_numbered(model, tmp_path):
    path = write(tmp_path / "t.csv", scored_bank.customers(3))
    score_table(model, RawTable(path=path), tmp_path / "s.csv")
    assert list(read(tmp_path / "s.csv")) == ["row", "probability", "logit"]


def faulty():
    table = scored_bank.customers(10).astype({"income": object})
    table.loc[2, "housing"] = "castle"
    table.loc[2, "ltv"] = 5.0
    table.loc[7, "income"] = "much"
    return table


def test_a_table_with_a_faulty_row_is_not_scored(model, tmp_path):
    write(tmp_path / "t.csv", faulty())
    with pytest.raises(ContractError) as raised:
        score_table(
            model,
            RawTable(path=tmp_path / "t.csv"),
            tmp_path / "s.csv",
            rows_per_part=4,
        )
    assert set(raised.value.faults) == {
        "column 'income': must be a number; 1 row is not, for example 'much' in row 8",
        "column 'housing': must be one of rent, own, parents; 1 row is not, for "
        "example 'castle' in row 3",
        "column 'ltv': must be between 0 and 3 ratio; 1 row is not, for example 5.0 in "
        "row 3",
    }
    assert str(raised.value).startswith(f"Table {tmp_path / 't.csv'} breaks contract")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("rows", [3, 100])
def test_faulty_rows_are_left_out_and_listed_if_asked(model, tmp_path, rows):
    _, good = scored(model, tmp_path, scored_bank.customers(10))
    outcome, scores = scored(
        model,
        tmp_path,
        faulty(),
        left_out=tmp_path / "left_out.csv",
        rows_per_part=rows,
    )
    kept = [0, 1, 3, 4, 5, 6, 8, 9]
    expected = good.iloc[kept].reset_index(drop=True)
    pd.testing.assert_frame_equal(scores, expected, rtol=1e-5, atol=1e-6)
    assert (outcome.scored, outcome.left_out) == (8, 2)
    listed = read(tmp_path / "left_out.csv")
    assert listed["customer"].tolist() == ["00002", "00007"]
    assert listed["row"].tolist() == [3, 8]
    assert listed["faults"].tolist() == [
        "column 'housing': must be one of rent, own, parents, got 'castle'; "
        "column 'ltv': must be between 0 and 3 ratio, got 5.0",
        "column 'income': must be a number, got 'much'",
    ]


def test_a_table_of_faulty_rows_alone_gives_no_score(model, tmp_path, reasons):
    outcome, scores = scored(
        model,
        tmp_path,
        scored_bank.customers(4).assign(ltv=9.0),
        left_out=tmp_path / "left_out.csv",
        reason_codes=reasons,
    )
    assert (outcome.scored, outcome.left_out, len(scores)) == (0, 4, 0)


def test_damage_in_the_middle_leaves_no_scores(model, tmp_path):
    path = write(tmp_path / "t.csv", scored_bank.customers(10))
    path.write_text(path.read_text() + "1,2\n")
    with pytest.raises(TableFileError, match="Expected 4 columns, got 2"):
        score_table(model, RawTable(path=path), tmp_path / "s.csv", rows_per_part=2)
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("cust", "there are customer, income, housing, ltv"),
        ("income", "'income' is a feature"),
        ("row", "is the name of a column of scores"),
    ],
)
def test_an_identifier_that_is_none_is_refused(model, tmp_path, name, fault):
    table = scored_bank.customers(2)
    if name == "row":
        table = table.assign(row=1)
    raw = RawTable(path=write(tmp_path / "t.csv", table), id_column=name)
    with pytest.raises(ValueError, match=fault):
        score_table(model, raw, tmp_path / "s.csv")


def test_reasons_are_the_greatest_adverse_contributions(model, reasons, tmp_path):
    outcome, scores = scored(
        model, tmp_path, scored_bank.customers(), reason_codes=reasons
    )
    names = ["income", "housing", "ltv"]
    each = scores[[f"contribution:{name}" for name in names]].to_numpy()
    difference = scores["logit"] - reasons.reference_logit
    missed = np.abs(difference - each.sum(axis=1))
    assert (missed <= 1e-3 * np.maximum(np.abs(difference), 0.01) + 1e-5).all()
    assert outcome.incomplete == 0
    assert outcome.largest_residual < 1e-3
    descriptions = {
        column.name: column.description for column in scored_bank.CONTRACT.features
    }
    for row, contributions in zip(scores.itertuples(), each, strict=True):
        expected = sorted(
            ((c, n) for c, n in zip(contributions, names, strict=True) if c > 0),
            reverse=True,
        )[:2]
        given = [(row.reason_1_contribution, row.reason_1)]
        given += [(row.reason_2_contribution, row.reason_2)]
        assert [pair for pair in given if pair[0] == pair[0]] == expected
        if expected:
            assert row.reason_1_description == descriptions[expected[0][1]]


def test_a_column_contributes_what_its_features_do(model, reasons):
    x = model.encoder.features(scored_bank.customers(5))
    table = reasons(x).table
    # income; housing=rent, own, other; ltv and its indicator.
    each = reasons._explain(x).contributions
    np.testing.assert_allclose(table["contribution:income"], each[:, 0])
    np.testing.assert_allclose(table["contribution:ltv"], each[:, 1:3].sum(axis=1))
    np.testing.assert_allclose(table["contribution:housing"], each[:, 3:].sum(axis=1))


def test_more_reasons_than_columns_are_all_columns(model):
    assert "reason_4" not in ReasonCodes(model, count=9).columns
    with pytest.raises(ValueError, match="`count` must be at least 1"):
        ReasonCodes(model, count=0)


def test_the_reference_has_no_reasons(model, reasons):
    explained = reasons(model.reference[None].astype(np.float32))
    exact = dataclasses.replace(model, reference=model.reference.astype(np.float32))
    table = ReasonCodes(exact, count=1)(exact.reference[None]).table
    assert table["reason_1"].isna().all()
    assert explained.table["contribution_residual"].abs().max() < 1e-9

"""Screening: the rules of validation row by row, without a label."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_finance.datasets.contract import (
    CategoricalColumn,
    Contract,
    ContractError,
    NumericColumn,
)
from tff_finance.datasets.institution_format import InstitutionFormat
from tff_finance.datasets.screening import FaultTally

CONTRACT = Contract(
    name="tiny",
    columns=(
        NumericColumn(name="age", unit="years", description="", minimum=18, maximum=90),
        CategoricalColumn(name="housing", description="", categories=("rent", "own")),
        NumericColumn(
            name="ltv",
            unit="ratio",
            description="",
            minimum=0,
            maximum=3,
            allow_missing=True,
            missing_values=("n/a", -1),
        ),
        CategoricalColumn(
            name="sex", description="", categories=("f", "m"), use="audit"
        ),
    ),
    label="default",
    label_meaning="bad debt",
    formats={
        "bank_b": InstitutionFormat(
            rename={"alter": "age", "geschlecht": "sex", "ausfall": "default"},
            factor={"ltv": 0.01},
            codes={"housing": {"M": "rent", "E": "own"}},
        )
    },
)


def table(**columns):
    good = {
        "age": [18.0, 90.0, 40.0, 40.0],
        "housing": ["rent", "own", "own", "rent"],
        "ltv": [0.0, np.nan, 3.0, 1.5],
    }
    return pd.DataFrame(good | columns, index=[7, 3, 3, 0])


def screened(frame, institution="bank_a"):
    return CONTRACT.screen(frame, institution=institution)


def test_neither_label_nor_audit_columns_are_needed():
    result = screened(table())
    assert result.kept.all()
    assert result.faults == ()
    pd.testing.assert_frame_equal(result.features, table())


def test_faulty_rows_are_left_out_each_with_all_its_reasons():
    result = screened(
        table(
            age=[17.0, "forty", 40.0, None],
            housing=["castle", "own", "own", "rent"],
            ltv=["n/a", -1, 3.0, "x"],
        )
    )
    assert result.kept.tolist() == [False, False, True, False]
    assert result.reasons == {
        0: [
            "column 'age': must be between 18 and 90 years, got 17.0",
            "column 'housing': must be one of rent, own, got 'castle'",
        ],
        1: ["column 'age': must be a number, got 'forty'"],
        3: [
            "column 'age': must not be missing",
            "column 'ltv': must be a number, got 'x'",
        ],
    }
    assert result.features["age"].tolist() == [40.0]
    assert result.features["age"].dtype == float


def test_texts_that_mean_missing_are_missing():
    result = screened(table(ltv=["n/a", -1, 2.0, None]))
    assert result.kept.all()
    assert result.features["ltv"].isna().tolist() == [True, True, False, True]


def test_an_institutions_own_format_gives_the_same_features():
    theirs = table(
        housing=["M", "E", "E", "M"], ltv=[0.0, np.nan, 300.0, 150.0]
    ).rename(columns={"age": "alter"})
    result = screened(theirs, "bank_b")
    assert result.kept.all()
    pd.testing.assert_frame_equal(
        result.features.astype({"housing": str}), screened(table()).features
    )
    (reasons,) = screened(theirs.assign(ltv=301.0).iloc[:1], "bank_b").reasons.values()
    assert reasons == [
        "column 'ltv': must be between 0 and 3 ratio, got 301.0 times 0.01"
    ]


def test_a_missing_or_double_column_is_refused():
    with pytest.raises(ContractError) as raised:
        screened(table().drop(columns="housing").rename(columns={"age": "Age"}))
    assert raised.value.faults == (
        "column 'age': is not in the table; did you mean 'Age'?",
        "column 'housing': is not in the table",
    )
    double = pd.concat([table(), table()[["age"]]], axis=1)
    with pytest.raises(ContractError, match="'age': is in the table more than once"):
        screened(double)
    with pytest.raises(ContractError, match="'alter': is not in the table, but is to"):
        screened(table(), "bank_b")


cells = st.fixed_dictionaries(
    {
        "age": st.sampled_from([17.0, 18.0, 90.0, 91.0, np.nan, np.inf]),
        "housing": st.sampled_from(["rent", "own", "castle", None]),
        "ltv": st.sampled_from([-1.0, -0.5, 0.0, 3.0, 3.5, np.nan]),
    }
)


@settings(deadline=None)
@given(st.lists(cells, min_size=1, max_size=12), st.integers(1, 12))
def test_it_agrees_with_validation_whole_and_in_parts(rows, size):
    frame = pd.DataFrame(rows)
    frame = frame.astype({"age": float, "ltv": float, "housing": object})
    labelled = frame.assign(default=0, sex="f")
    tally, kept = FaultTally(), []
    for start in range(0, len(frame), size):
        part = screened(frame.iloc[start : start + size])
        tally.add(part.faults, rows_before=start)
        kept += part.kept.tolist()
    try:
        CONTRACT.validate(labelled, institution="bank_a")
        expected = ()
    except ContractError as error:
        expected = error.faults
    assert set(tally.lines) == set(expected)
    assert all(kept) == (not expected)
    if any(kept):
        valid = CONTRACT.validate(labelled[kept], institution="bank_a")
        features = screened(frame[kept]).features
        pd.testing.assert_frame_equal(features, valid[["age", "housing", "ltv"]])


def test_a_tally_keeps_the_first_example():
    tally = FaultTally()
    for start, values in ((0, [20.0] * 4), (4, [20.0, 5.0, 6.0, 20.0]), (8, [7.0] * 4)):
        part = screened(table(age=values))
        tally.add(part.faults, rows_before=start)
    assert tally.lines == [
        "column 'age': must be between 18 and 90 years; 6 rows are not, for example "
        "5.0 in row 6"
    ]


def test_a_contract_without_numbers_screens():
    codes_only = dataclasses.replace(
        CONTRACT, columns=CONTRACT.columns[1:2], formats={}
    )
    result = codes_only.screen(table(), institution="")
    assert result.features.columns.tolist() == ["housing"]

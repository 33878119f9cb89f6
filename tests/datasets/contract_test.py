"""The contract: every fault is listed, and nothing is changed."""

import numpy as np
import pandas as pd
import pytest

from tff_finance.datasets.contract import (
    CategoricalColumn,
    Contract,
    ContractError,
    NumericColumn,
)

AGE = NumericColumn(name="age", unit="years", description="", minimum=18, maximum=90)
LTV = NumericColumn(
    name="ltv", unit="ratio", description="", minimum=0, maximum=3, allow_missing=True
)
HOUSING = CategoricalColumn(name="housing", description="", categories=("rent", "own"))
CONTRACT = Contract(
    name="tiny", columns=(AGE, HOUSING, LTV), label="default", label_meaning="bad debt"
)


def good_table():
    return pd.DataFrame(
        {
            "default": [0, 1, 1, 0],
            "ltv": [0.0, np.nan, 3.0, 1.5],
            "age": [18, 90, 40, 40],
            "housing": ["rent", "own", "own", "rent"],
            "branch": ["x", "y", "y", "z"],
        },
        # As after a shuffle and a split, and with a row number that occurs twice.
        index=[7, 3, 3, 0],
    )


def faults_of(table):
    with pytest.raises(ContractError) as raised:
        CONTRACT.validate(table, institution="bank_a")
    return raised.value.faults


def test_good_table_keeps_its_values_and_loses_only_other_columns():
    table = good_table()
    valid = CONTRACT.validate(table, institution="bank_a")
    expected = good_table()[["age", "housing", "ltv", "default"]]
    pd.testing.assert_frame_equal(valid, expected, check_exact=True)
    pd.testing.assert_frame_equal(table, good_table(), check_exact=True)


def test_all_faults_are_listed_at_once():
    table = good_table().assign(
        age=[17.0, 91.0, np.nan, 40.0],
        ltv=[-0.1, np.nan, 1.0, 1.0],
        housing=["rent", "castle", None, "own"],
        default=[0, 2, 1, 2],
    )
    with pytest.raises(ContractError) as raised:
        CONTRACT.validate(table, institution="bank_b")
    assert set(raised.value.faults) == {
        "column 'age': must be between 18 and 90 years; 2 rows are not, "
        "for example 17.0 in row 1",
        "column 'age': must not be missing; 1 row is missing, the first is row 3",
        "column 'ltv': must be between 0 and 3 ratio; 1 row is not, "
        "for example -0.1 in row 1",
        "column 'housing': must be one of rent, own; 1 row is not, "
        "for example 'castle' in row 2",
        "column 'housing': must not be missing; 1 row is missing, the first is row 3",
        "column 'default': must be 0 or 1; 2 rows are not, for example 2 in row 2",
    }
    message = str(raised.value)
    assert message.startswith("Table of 'bank_b' breaks contract 'tiny':\n")
    assert all(fault in message for fault in raised.value.faults)


def test_missing_columns_do_not_hide_other_faults():
    table = good_table().drop(columns=["ltv", "default"]).assign(age=5)
    assert set(faults_of(table)) == {
        "column 'ltv': is not in the table",
        "column 'default': is not in the table",
        "column 'age': must be between 18 and 90 years; 4 rows are not, "
        "for example 5 in row 1",
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["18", "19", "20", "21"], "4 rows are of type object, for example '18'"),
        ([18, 19, "n/a", 21], "4 rows are of type object, for example 'n/a'"),
        (pd.to_datetime(["2020-01-01"] * 4), "4 rows are of type datetime64[ns], for"),
        ([None] * 4, "4 rows are of type object"),
    ],
)
def test_text_is_no_number_even_if_it_reads_like_one(values, expected):
    (fault,) = faults_of(good_table().assign(ltv=values))
    assert fault.startswith(f"column 'ltv': must be a number; {expected}")


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_out_of_range(value):
    (fault,) = faults_of(good_table().assign(ltv=[value, 1.0, 1.0, np.nan]))
    assert fault.endswith(f"1 row is not, for example {value!r} in row 1")


@pytest.mark.parametrize(
    "labels", [["0", "1", "1", "0"], [0.5, 0, 1, 1], [-1, 1, 1, 1]]
)
def test_labels_are_0_and_1(labels):
    (fault,) = faults_of(good_table().assign(default=labels))
    assert "'default': must be 0 or 1" in fault


def test_missing_label_is_a_fault():
    (fault,) = faults_of(good_table().assign(default=[0, 1, np.nan, np.nan]))
    assert fault == (
        "column 'default': must not be missing; 2 rows are missing, the first is row 3"
    )


def test_column_that_occurs_twice_is_a_fault():
    table = pd.concat([good_table(), good_table()[["age"]]], axis=1)
    assert faults_of(table) == ("column 'age': is in the table more than once",)


def test_columns_outside_the_contract_may_occur_twice():
    table = pd.concat([good_table(), good_table()[["branch"]]], axis=1)
    assert CONTRACT.validate(table, institution="bank_a").shape == (4, 4)


def test_limits_of_the_range_are_allowed_and_missing_where_agreed():
    table = good_table().assign(ltv=[0.0, 3.0, np.nan, np.nan])
    assert CONTRACT.validate(table, institution="bank_a")["ltv"].isna().sum() == 2


def test_empty_table_is_a_table():
    assert CONTRACT.validate(good_table().iloc[:0], institution="bank_a").empty


def test_names_must_differ():
    with pytest.raises(ValueError, match="`columns` names age more than once"):
        Contract(name="n", columns=(AGE, LTV, AGE), label="y", label_meaning="")
    with pytest.raises(ValueError, match="`columns` names ltv more than once"):
        Contract(name="n", columns=(AGE, LTV), label="ltv", label_meaning="")


@pytest.mark.parametrize("minimum", [-1, -2.5])
def test_log1p_needs_values_above_minus_one(minimum):
    options = {"name": "a", "unit": "", "description": "", "maximum": 9}
    with pytest.raises(
        ValueError, match=f"'a' must exceed -1 for log1p, got {minimum}"
    ):
        NumericColumn(**options, minimum=minimum, transform="log1p")
    NumericColumn(**options, minimum=minimum)
    NumericColumn(**options, minimum=-0.999, transform="log1p")


def test_kinds_keep_contract_order():
    assert CONTRACT.numeric_columns == (AGE, LTV)
    assert CONTRACT.categorical_columns == (HOUSING,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minimum": 5, "maximum": 1}, "`minimum` of column 'x' must not exceed"),
        ({"minimum": np.nan}, "`minimum` of column 'x' must not exceed"),
        ({"transform": "log"}, "`transform` must be one of identity, log1p"),
    ],
)
def test_columns_that_make_no_sense_are_refused(changes, message):
    options = {"name": "x", "unit": "", "description": "", "minimum": 0, "maximum": 2}
    with pytest.raises(ValueError, match=message):
        NumericColumn(**options | changes)


@pytest.mark.parametrize("categories", [(), ("rent", "rent")])
def test_categories_are_distinct(categories):
    with pytest.raises(ValueError, match="`categories` of column 'x' must be distinct"):
        CategoricalColumn(name="x", description="", categories=categories)

"""The encoder: golden rows by hand, and equality with fitting on pooled rows."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from tff_finance.datasets.contract import CategoricalColumn, Contract, NumericColumn
from tff_finance.preprocessing.encoder import (
    encoder_from_mapping,
    encoder_from_statistics,
    encoder_to_mapping,
)
from tff_finance.preprocessing.statistics import (
    TableStatistics,
    federated_statistics,
    transformed,
)

# Chosen so that every encoded number can be checked by eye.
STATISTICS = TableStatistics(
    rows=40,
    missing={"income": 0, "account": 0, "ltv": 12, "constant": 0},
    mean={"income": np.log1p(99.0), "account": 1000.0, "ltv": 0.5, "constant": 7.0},
    variance={"income": 4.0, "account": 100.0, "ltv": 0.0625, "constant": 0.0},
    category_counts={
        "housing": {"rent": 27, "own": 10, "parents": 3},
        "region": {"n": 25, "s": 15},
    },
)


@pytest.fixture
def encoder(contract):
    return encoder_from_statistics(STATISTICS, contract)


def test_golden_rows(encoder):
    table = pd.DataFrame(
        {
            "region": ["n", "s", "s"],
            "income": [99.0, 0.0, 99.0],
            "housing": ["own", "parents", "rent"],
            "account": [1000, 1010, 980],
            "ltv": [0.75, np.nan, 0.0],
            "constant": [7.0, 7.0, 9.0],
            "default": [1, 0, 1],
        }
    )
    assert encoder.feature_names == (
        "income",
        "account",
        "ltv",
        "ltv_missing",
        "constant",
        "housing=rent",
        "housing=own",
        "housing=other",
        "region=n",
        "region=s",
    )
    x = encoder.features(table)
    assert x.dtype == np.float32
    poorest = -np.log(100.0) / 2
    np.testing.assert_allclose(
        x,
        [
            [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0],
            [poorest, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0],
            [0.0, -2.0, -2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        ],
        rtol=1e-6,
        atol=1e-7,
    )
    y = encoder.labels(table)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, [1, 0, 1])


def test_equal_to_fitting_on_pooled_rows(tables, contract, tff_context):
    del tff_context
    encoder = encoder_from_statistics(federated_statistics(tables, contract), contract)

    def numbers(table):
        columns = contract.numeric_columns
        return np.stack([transformed(table[c.name], c) for c in columns], axis=1)

    pooled = pd.concat(tables)
    scaler = StandardScaler().fit(numbers(pooled))
    names = [column.name for column in contract.numeric_columns]
    for table in (pooled, *tables[:3]):
        x = pd.DataFrame(encoder.features(table), columns=encoder.feature_names)
        expected = np.nan_to_num(scaler.transform(numbers(table)))
        np.testing.assert_allclose(x[names], expected, atol=1e-5, rtol=1e-5)
    assert encoder.features(tables[3]).shape == (0, len(encoder.feature_names))


def test_huge_mean_leaves_neighbours_apart(tables, contract, tff_context):
    del tff_context
    encoder = encoder_from_statistics(federated_statistics(tables, contract), contract)
    column = encoder.feature_names.index("account")
    values = encoder.features(pd.concat(tables))[:, column]
    assert len(np.unique(values)) > 450
    assert values.std() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, -1 / 3, 0.0])
@pytest.mark.parametrize("rows", [3, 10, 1000])
def test_constant_column_becomes_zero_in_spite_of_rounding(
    value, rows, tables, contract, tff_context
):
    del tff_context
    table = tables[0].sample(rows, replace=True, random_state=1).assign(constant=value)
    encoder = encoder_from_statistics(federated_statistics([table], contract), contract)
    column = encoder.feature_names.index("constant")
    np.testing.assert_allclose(encoder.features(table)[:, column], 0, atol=1e-4)


def test_tiny_spread_is_no_constant(contract):
    statistics = dataclasses.replace(
        STATISTICS,
        mean=STATISTICS.mean | {"account": 4e9},
        variance=STATISTICS.variance | {"account": 1e-4**2},
    )
    encoder = encoder_from_statistics(statistics, contract)
    assert encoder.deviation["account"] == pytest.approx(1e-4)


def test_indicator_only_where_training_rows_miss_values(contract):
    complete = dataclasses.replace(
        STATISTICS, missing=dict.fromkeys(STATISTICS.missing, 0)
    )
    encoder = encoder_from_statistics(complete, contract)
    assert not encoder.with_indicator
    assert not any(name.endswith("_missing") for name in encoder.feature_names)
    # A value that is missing later is as good as the mean.
    table = pd.DataFrame(
        {
            "income": [1.0],
            "account": [1000.0],
            "ltv": [np.nan],
            "constant": [7.0],
            "housing": ["rent"],
            "region": ["n"],
        }
    )
    assert encoder.features(table)[0, 2] == 0
    assert np.isfinite(encoder.features(table)).all()


@pytest.mark.parametrize(
    ("min_category_rows", "kept"),
    [
        (0, ("rent", "own", "parents")),
        (3, ("rent", "own", "parents")),
        (4, ("rent", "own")),
        (10, ("rent", "own")),
        (11, ("rent",)),
        (28, ()),
    ],
)
def test_rare_categories_share_one_indicator(contract, min_category_rows, kept):
    encoder = encoder_from_statistics(
        STATISTICS, contract, min_category_rows=min_category_rows
    )
    assert encoder.kept_categories["housing"] == kept
    table = pd.DataFrame(
        {
            "income": 1.0,
            "account": 1.0,
            "ltv": 1.0,
            "constant": 1.0,
            "region": "n",
            "housing": ["rent", "own", "parents"],
        }
    )
    x = pd.DataFrame(encoder.features(table), columns=encoder.feature_names)
    housing = [name for name in encoder.feature_names if name.startswith("housing=")]
    # Whatever is kept, a customer lives in exactly one way.
    np.testing.assert_array_equal(x[housing].sum(axis=1), 1)
    other = [c not in kept for c in ("rent", "own", "parents")]
    assert ("housing=other" in housing) == any(other)
    if any(other):
        np.testing.assert_array_equal(x["housing=other"], other)


def test_default_keeps_categories_of_ten_rows(encoder):
    assert encoder.kept_categories["housing"] == ("rent", "own")


def test_categorical_dtype_is_encoded_as_text(encoder, tables):
    table = tables[0]
    typed = table.astype({"housing": "category", "region": "category"})
    np.testing.assert_array_equal(encoder.features(typed), encoder.features(table))


def test_negative_minimum_is_refused(contract):
    with pytest.raises(ValueError, match="`min_category_rows` must be at least 0"):
        encoder_from_statistics(STATISTICS, contract, min_category_rows=-1)


def test_missing_is_a_category_and_audit_columns_are_no_features(tff_context):
    del tff_context
    contract = Contract(
        name="policies",
        label="default",
        label_meaning="",
        columns=(
            CategoricalColumn(
                name="job",
                description="",
                categories=("a", "b"),
                allow_missing=True,
                missing_values=("?",),
            ),
            NumericColumn(
                name="balance",
                unit="",
                description="",
                minimum=-10,
                maximum=10,
                transform="signed_log1p",
            ),
            CategoricalColumn(
                name="sex", description="", categories=("1", "2"), use="audit"
            ),
        ),
    )
    rows = pd.DataFrame(
        {
            "job": ["a", "b", None, "?"] * 10,
            "balance": [-np.e + 1, np.e - 1, 0.0, 0.0] * 10,
            "sex": [1, 2, 1, 2] * 10,
            "default": [0, 1, 0, 1] * 10,
        }
    )
    table = contract.validate(rows, institution="bank_a")
    assert table["sex"].tolist() == ["1", "2"] * 20
    statistics = federated_statistics([table], contract)
    assert statistics.category_counts == {"job": {"a": 10, "b": 10, "missing": 20}}
    encoder = encoder_from_statistics(statistics, contract)
    assert encoder.feature_names == ("balance", "job=a", "job=b", "job=missing")
    expected = [
        [-np.sqrt(2), 1, 0, 0],
        [np.sqrt(2), 0, 1, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 1],
    ]
    np.testing.assert_allclose(encoder.features(table)[:4], expected, atol=1e-6)


def test_each_feature_names_the_column_it_is_from(encoder):
    assert dict(zip(encoder.feature_names, encoder.feature_columns, strict=True)) == {
        "income": "income",
        "account": "account",
        "ltv": "ltv",
        "ltv_missing": "ltv",
        "constant": "constant",
        "housing=rent": "housing",
        "housing=own": "housing",
        "housing=other": "housing",
        "region=n": "region",
        "region=s": "region",
    }


@settings(deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(min_value=1e-300, allow_infinity=False),
)
def test_json_keeps_an_encoder_to_the_last_digit(contract, mean, deviation):
    encoder = dataclasses.replace(
        encoder_from_statistics(STATISTICS, contract),
        mean=dict(STATISTICS.mean) | {"ltv": mean},
        deviation=dict.fromkeys(STATISTICS.mean, deviation),
    )
    text = json.dumps(encoder_to_mapping(encoder), allow_nan=False)
    assert encoder_from_mapping(json.loads(text), contract) == encoder


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda m: m["numeric"].pop("ltv"), "`numeric` has columns"),
        (lambda m: m["categorical"].update(colour=["red"]), "`categorical` has column"),
        (lambda m: m["categorical"]["region"].append("west"), "doesn't have: west"),
        (lambda m: m["numeric"]["ltv"].update(deviation=0.0), "deviation of ltv"),
    ],
)
def test_an_encoder_of_other_columns_is_refused(encoder, contract, change, fault):
    mapping = encoder_to_mapping(encoder)
    change(mapping)
    with pytest.raises(ValueError, match=fault):
        encoder_from_mapping(mapping, contract)

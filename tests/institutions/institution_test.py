"""The random split: every row in exactly one table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_finance.institutions.institution import split_at_random


def split(rows, validation_rows, test_rows, seed=0):
    # An index with repetitions, as concatenated tables have.
    table = pd.DataFrame({"id": range(rows)}, index=np.arange(rows) % 3)
    return split_at_random(
        "bank_a",
        table,
        validation_rows=validation_rows,
        test_rows=test_rows,
        rng=np.random.default_rng(seed),
    )


@settings(deadline=None)
@given(
    train_rows=st.integers(1, 30),
    validation_rows=st.integers(0, 30),
    test_rows=st.integers(0, 30),
    seed=st.integers(0, 2**32),
)
def test_every_row_is_in_exactly_one_table(
    train_rows, validation_rows, test_rows, seed
):
    rows = train_rows + validation_rows + test_rows
    institution = split(rows, validation_rows, test_rows, seed)
    tables = (institution.train, institution.validation, institution.test)
    assert [len(t) for t in tables] == [train_rows, validation_rows, test_rows]
    assert sorted(i for t in tables for i in t["id"]) == list(range(rows))
    assert institution.name == "bank_a"


def test_the_generator_decides_the_split():
    first, again, other = split(60, 20, 20), split(60, 20, 20), split(60, 20, 20, 1)
    for name in ("train", "validation", "test"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(again, name))
        assert set(getattr(first, name)["id"]) != set(getattr(other, name)["id"])


def test_each_row_is_as_likely_in_each_table():
    tested = np.zeros(10)
    for seed in range(600):
        tested[split(10, 3, 4, seed).test["id"]] += 1
    np.testing.assert_allclose(tested / 600, 0.4, atol=5 * np.sqrt(0.24 / 600))


@pytest.mark.parametrize(("validation_rows", "test_rows"), [(5, 5), (10, 0), (9, 4)])
def test_rows_must_be_left_for_training(validation_rows, test_rows):
    with pytest.raises(ValueError, match=r"must be below the 10 rows of 'bank_a', got"):
        split(10, validation_rows, test_rows)


@pytest.mark.parametrize("name", ["validation_rows", "test_rows"])
def test_negative_numbers_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 0, got -1"):
        split(10, **{"validation_rows": 2, "test_rows": 2, name: -1})

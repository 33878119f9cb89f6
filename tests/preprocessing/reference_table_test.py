"""Reference rows: moments of all rows, and none of them."""

import numpy as np
import pytest

from tff_finance.institutions.examples import dense_examples
from tff_finance.preprocessing.reference_table import (
    Moments,
    draw_reference_table,
    federated_moments,
)
from tff_finance.runtime import in_process


@pytest.fixture(scope="module", autouse=True)
def context():
    with in_process.execution_context():
        yield


@pytest.fixture(scope="module")
def tables():
    """Two numbers that go together, a missing-value flag, two codes, a constant."""
    rng = np.random.default_rng(1)
    result = []
    for name, rows, shift in (
        ("bank_a", 300, 0.0),
        ("bank_b", 500, 2.0),
        ("none", 0, 0),
    ):
        first = rng.normal(shift, 1.0, rows)
        second = 0.5 * first + rng.normal(0, 0.3, rows)
        flag = rng.random(rows) < 0.2
        code = rng.random(rows) < 0.7
        columns = [first, second, flag, code, ~code, np.zeros(rows)]
        x = np.stack(columns, axis=1)
        result.append(dense_examples(x, np.zeros(rows), institution=name))
    return result


@pytest.fixture(scope="module")
def moments(tables):
    return federated_moments(tables)


def test_moments_are_those_of_pooled_rows(tables, moments):
    x = np.concatenate([table["x"] for table in tables]).astype(np.float64)
    assert moments.rows == 800
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(x.T, bias=True), atol=1e-12)
    assert list(moments.binary) == [False, False, True, True, True, True]


def test_drawn_rows_have_these_moments(moments):
    x = draw_reference_table(moments, rows=40_000, rng=np.random.default_rng(0))
    assert x.dtype == np.float32
    assert x.shape == (40_000, 6)
    np.testing.assert_allclose(x.mean(axis=0), moments.mean, atol=0.03)
    found = np.cov(x[:, :2].T.astype(np.float64))
    np.testing.assert_allclose(found, moments.covariance[:2, :2], atol=0.05)
    for column in (2, 3, 4):
        assert set(np.unique(x[:, column])) == {0.0, 1.0}
    assert (x[:, 5] == 0).all()
    # A code and its opposite still exclude each other.
    assert np.mean(x[:, 3] + x[:, 4] == 1) > 0.99


def test_no_row_is_anybodys(tables, moments):
    x = draw_reference_table(moments, rows=500, rng=np.random.default_rng(0))
    own = np.concatenate([table["x"] for table in tables])
    distances = np.abs(x[:, np.newaxis, :2] - own[np.newaxis, :, :2]).max(axis=2)
    assert distances.min() > 0


def test_the_generator_decides(moments):
    one, same, other = (
        draw_reference_table(moments, rows=5, rng=np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


def test_a_column_that_is_always_one_stays_so():
    ones = Moments(rows=3, sums=np.array([3.0]), products=np.array([[3.0]]))
    x = draw_reference_table(ones, rows=4, rng=np.random.default_rng(0))
    assert x.tolist() == [[1.0]] * 4


def test_no_rows_are_an_error(tables, moments):
    with pytest.raises(ValueError, match="`tables` have no rows"):
        federated_moments(tables[2:])
    with pytest.raises(ValueError, match="`rows` must be at least 1"):
        draw_reference_table(moments, rows=0, rng=np.random.default_rng(0))

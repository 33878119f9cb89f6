"""Sparse sums: of the largest coordinates, exact where nothing is lost."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_finance.aggregation.sparse_sum import (
    SparseSumFactory,
    keep_largest,
    num_kept,
    position_bits,
)

SHAPES = ((4, 3), (5,), ())
SIZE = 18
VALUE_TYPE = tff.to_type(tuple((np.float32, shape) for shape in SHAPES))

pytestmark = pytest.mark.usefixtures("tff_context")


def largest_in_numpy(vector, k):
    kept = np.zeros_like(vector)
    order = np.argsort(-np.abs(vector), kind="stable")[:k]
    kept[order] = vector[order]
    return kept


def split(vector):
    parts = np.split(np.asarray(vector, np.float32), np.cumsum([12, 5]))
    return tuple(p.reshape(s) for p, s in zip(parts, SHAPES, strict=True))


def flat(tensors):
    return np.concatenate([np.ravel(t) for t in tensors])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-4, 4), min_size=SIZE, max_size=SIZE), st.integers(1, SIZE))
def test_keeps_the_largest_of_all_tensors(values, k):
    vector = np.array(values, np.float32)
    kept = keep_largest([tf.constant(t) for t in split(vector)], k / SIZE)
    np.testing.assert_array_equal(flat(kept), largest_in_numpy(vector, k))


@pytest.mark.parametrize("k", [1, 5, SIZE])
def test_sums_the_largest_of_each_client(k):
    rng = np.random.default_rng(k)
    vectors = [rng.normal(size=SIZE).astype(np.float32) for _ in range(3)]
    process = SparseSumFactory(k / SIZE).create(VALUE_TYPE)
    output = process.next(process.initialize(), [split(v) for v in vectors])
    assert [np.shape(t) for t in output.result] == list(SHAPES)
    expected = np.sum([largest_in_numpy(v, k) for v in vectors], axis=0)
    np.testing.assert_allclose(flat(output.result), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("share", "size", "k"),
    [(1, 7, 7), (0.07, 100, 7), (0.071, 100, 8), (1e-9, 10, 1), (0.5, 3, 2)],
)
def test_number_kept(share, size, k):
    assert num_kept(share, size) == k


@pytest.mark.parametrize(("size", "bits"), [(1, 1), (2, 1), (18, 5), (32, 5), (33, 6)])
def test_position_bits(size, bits):
    assert position_bits(size) == bits
    assert size - 1 < 2**bits


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_refuses_other_shares(share):
    with pytest.raises(ValueError, match="`share` must be"):
        SparseSumFactory(share)

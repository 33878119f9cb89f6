"""Packed numbers are NumPy's packed bits, and come back."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_finance.aggregation import bit_packing


def in_numpy(values, bits):
    flags = (np.asarray(values)[:, None] >> np.arange(bits)) & 1
    return np.packbits(flags.ravel().astype(np.uint8), bitorder="little")


@settings(deadline=None, max_examples=60)
@given(data=st.data(), bits=st.integers(1, 31))
def test_packs_as_numpy_and_comes_back(data, bits):
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=40))
    packed = bit_packing.pack(tf.constant(values, tf.int32), bits)
    expected = in_numpy(values, bits)
    np.testing.assert_array_equal(packed, expected)
    assert packed.dtype == tf.uint8
    assert bit_packing.packed_bytes(len(values), bits) == expected.nbytes
    back = bit_packing.unpack(packed, bits, number=len(values))
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize(("number", "bits", "size"), [(8, 3, 3), (9, 3, 4), (5, 1, 1)])
def test_no_byte_too_many(number, bits, size):
    assert bit_packing.packed_bytes(number, bits) == size

"""Secure sums are simulated with the arithmetic that a protocol has."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.runtime.in_process_test import here
from tff_finance.runtime import local

DATA = tff.SequenceType((np.int32, [2]))


def datasets(*rows):
    return [tf.data.Dataset.from_tensors(np.array(row, np.int32)) for row in rows]


@tff.tensorflow.computation(DATA)
def only(dataset):
    return dataset.get_single_element()


@tff.tensorflow.computation(DATA)
def as_structure(dataset):
    row = dataset.get_single_element()
    return row, row[0] + 1


@tff.federated_computation(tff.FederatedType(DATA, tff.CLIENTS))
def sums(data):
    """Each of TFF's three, of tensors and of structures, beside a plain sum."""
    row, both = tff.federated_map(only, data), tff.federated_map(as_structure, data)
    return tff.federated_zip(
        (
            tff.federated_sum(row),
            tff.federated_secure_sum_bitwidth(row, 8),
            tff.federated_secure_sum(both, 201),
            tff.backends.mapreduce.federated_secure_modular_sum(row, 7),
            tff.backends.mapreduce.federated_secure_modular_sum(both, 5),
            tff.federated_secure_sum_bitwidth(both, (8, 9)),
        )
    )


@pytest.mark.parametrize("rows", [[[3, 4], [200, 1], [5, 100]], [[6, 6]], []])
def test_all_kinds_come_out_as_on_tffs_test_runtime(rows, tff_context):
    with local.execution_context(secure_sums=True):
        expected = sums(datasets(*rows))
    with here():
        actual = sums(datasets(*rows))
    tf.nest.assert_same_structure(actual, expected)
    for left, right in zip(
        tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True
    ):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("row", [[256, 0], [-1, 0]])
def test_integers_beyond_the_bound_are_an_error(row, tff_context):
    with here(), pytest.raises(tf.errors.InvalidArgumentError, match="secure sum"):
        sums(datasets([1, 1], row))


def test_negative_numbers_wrap_around_in_modular_sums(tff_context):
    @tff.federated_computation(tff.FederatedType(DATA, tff.CLIENTS))
    def modular(data):
        return tff.backends.mapreduce.federated_secure_modular_sum(
            tff.federated_map(only, data), 7
        )

    with here():
        np.testing.assert_array_equal(modular(datasets([-3, 9], [1, 5])), [5, 0])

"""Types of weights, and arithmetic on them."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work import weights


def test_types_and_initial_weights_are_the_models(eager_model, tff_context):
    del tff_context
    kernel, bias = eager_model.initial_weights[0]
    assert weights.trainable_spec(eager_model) == (
        tf.TensorSpec([2, 1], tf.float32),
        tf.TensorSpec([1], tf.float32),
    )
    assert weights.num_features(eager_model) == 2
    initial = weights.build_initial_weights(eager_model)
    weights_type = weights.weights_type(eager_model)
    assert initial.type_signature.result.is_equivalent_to(weights_type)
    assert weights_type.python_container is tff.learning.models.ModelWeights
    value = initial()
    np.testing.assert_array_equal(value.trainable[0], kernel)
    np.testing.assert_array_equal(value.trainable[1], bias)


def test_subtract_is_left_minus_right():
    result = weights.subtract(
        (tf.constant([5.0, 7.0]), tf.constant(1.0)),
        (tf.constant([2.0, 3.0]), tf.constant(4.0)),
    )
    np.testing.assert_array_equal(result[0], [3, 4])
    assert result[1] == -3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_all_finite_finds_one_value_in_any_tensor(value):
    fine = (tf.ones([2, 2]), tf.ones([3]))
    assert weights.all_finite(fine)
    assert not weights.all_finite((tf.ones([2, 2]), tf.constant([1.0, value, 1.0])))
    assert not weights.all_finite((tf.constant([[value, 1.0]]), tf.ones([3])))

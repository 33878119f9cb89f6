"""A model that runs eagerly, unlike those made from Keras models."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff


@pytest.fixture(scope="session")
def eager_model():
    """Logistic regression on two features."""

    @tf.function
    def predict_on_batch(model_weights, x, training):
        del training
        (kernel, bias), _ = model_weights
        return x @ kernel + bias

    @tf.function
    def loss(output, label, sample_weight=None):
        del sample_weight
        entropies = tf.nn.sigmoid_cross_entropy_with_logits(label, output)
        return tf.reduce_mean(entropies)

    return tff.learning.models.FunctionalModel(
        initial_weights=(
            (np.array([[0.5], [-1.0]], np.float32), np.array([0.25], np.float32)),
            (),
        ),
        predict_on_batch_fn=predict_on_batch,
        loss_fn=loss,
        input_spec=collections.OrderedDict(
            x=tf.TensorSpec([None, 2], tf.float32),
            y=tf.TensorSpec([None, 1], tf.float32),
        ),
    )

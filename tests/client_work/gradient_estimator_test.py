"""The plain gradient estimator against the closed form of logistic regression."""

import numpy as np
import tensorflow as tf

from tff_finance.client_work.gradient_estimator import build_mean_gradient


def test_gradient_and_loss_are_means_over_the_batch(eager_model):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 2)).astype(np.float32)
    y = rng.integers(2, size=(7, 1)).astype(np.float32)
    kernel, bias = eager_model.initial_weights[0]
    estimate = build_mean_gradient(eager_model)(
        (tf.constant(kernel), tf.constant(bias)), (), tf.constant(x), tf.constant(y)
    )
    logits = x @ kernel + bias
    residuals = 1 / (1 + np.exp(-logits)) - y
    np.testing.assert_allclose(
        estimate.gradient[0], x.T @ residuals / 7, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(estimate.gradient[1], residuals.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        estimate.loss, np.mean(np.logaddexp(0, logits) - y * logits), rtol=1e-5
    )

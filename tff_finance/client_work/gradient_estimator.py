"""Gradient estimators: from weights and a batch to the gradient of a step.

The seam for private gradients: an estimator sees the batch's rows, everything
after it sees only what the estimator returns.
"""

from typing import NamedTuple, Protocol

import tensorflow as tf
import tensorflow_federated as tff

Weights = tuple[tf.Tensor, ...]


class GradientEstimate(NamedTuple):
    """What an estimator says about a batch.

    Attributes:
        gradient: Of the mean loss, one tensor per trainable weight.
        loss: Mean loss of the batch before the step, float32[].
    """

    gradient: Weights
    loss: tf.Tensor


class GradientEstimator(Protocol):
    """Estimates the gradient of the mean loss at `trainable`."""

    def __call__(
        self,
        trainable: Weights,
        non_trainable: Weights,
        x: tf.Tensor,
        y: tf.Tensor,
    ) -> GradientEstimate:
        """Estimates from a batch x: float32[b, features], y: float32[b, 1]."""
        ...


def build_mean_gradient(
    model: tff.learning.models.FunctionalModel,
) -> GradientEstimator:
    """Builds the plain estimator: the gradient of the batch's mean loss."""

    def mean_gradient(
        trainable: Weights, non_trainable: Weights, x: tf.Tensor, y: tf.Tensor
    ) -> GradientEstimate:
        with tf.GradientTape() as tape:
            tape.watch(trainable)
            output = model.predict_on_batch(
                model_weights=(trainable, non_trainable), x=x, training=True
            )
            loss = model.loss(output=output, label=y, sample_weight=None)
        return GradientEstimate(tuple(tape.gradient(loss, trainable)), loss)

    return mean_gradient

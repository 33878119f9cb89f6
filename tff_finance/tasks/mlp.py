"""The multilayer perceptron that all tasks share."""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from tff_finance import checks
from tff_finance.tasks.prior_correction import PriorCorrection


class ModelBuilder(Protocol):
    """Builds a task's model."""

    def __call__(
        self,
        num_features: int,
        *,
        hidden_units: Sequence[int] = ...,
        seed: int | None = ...,
        positive_weight: float = ...,
    ) -> tf.keras.Model:
        """See `build_mlp`."""
        ...


def build_mlp(
    num_features: int,
    *,
    hidden_units: Sequence[int] = (32, 16),
    seed: int | None = None,
    positive_weight: float = 1.0,
    name: str = "mlp",
) -> tf.keras.Model:
    """Builds a multilayer perceptron whose output is the logit of label 1.

    Args:
        num_features: Width of the encoded table.
        hidden_units: Width of each ReLU layer.
        seed: Of the Glorot uniform initialisation; None draws a fresh one.
        positive_weight: Weight of a positive row in the loss; scores are corrected
            for it (`PriorCorrection`).
        name: Of the Keras model.

    Returns:
        Keras model `float32[n, num_features] -> float32[n, 1]`.

    Raises:
        ValueError: If a width is below 1 or the weight is not positive.
    """
    checks.check_at_least("num_features", num_features, 1)
    checks.check_positive("positive_weight", positive_weight)
    for units in hidden_units:
        checks.check_at_least("hidden_units", units, 1)

    def dense(units: int, layer: int, activation: str | None) -> tf.keras.layers.Layer:
        layer_seed = None if seed is None else seed * 1000 + layer
        return tf.keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=tf.keras.initializers.GlorotUniform(layer_seed),
        )

    layers = [dense(units, i, "relu") for i, units in enumerate(hidden_units)]
    layers.append(dense(1, len(layers), None))
    if positive_weight != 1:
        layers.append(PriorCorrection(positive_weight))
    return tf.keras.Sequential([tf.keras.Input([num_features]), *layers], name=name)

"""Joint credit risk: the probability that a customer defaults.

Success means ranking customers by risk (AUC, KS, Gini) with probabilities that
can be priced (log loss, Brier, ECE).
"""

from collections.abc import Sequence

import tensorflow as tf

from tff_finance import checks


def build_risk_model(
    num_features: int,
    *,
    hidden_units: Sequence[int] = (32, 16),
    seed: int | None = None,
) -> tf.keras.Model:
    """Builds a multilayer perceptron whose output is the logit of default.

    Args:
        num_features: Width of the encoded table.
        hidden_units: Width of each ReLU layer.
        seed: Of the Glorot uniform initialisation; None draws a fresh one.

    Returns:
        Keras model `float32[n, num_features] -> float32[n, 1]`.

    Raises:
        ValueError: If a width is below 1.
    """
    checks.check_at_least("num_features", num_features, 1)
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
    logit = dense(1, len(layers), None)
    return tf.keras.Sequential(
        [tf.keras.Input([num_features]), *layers, logit], name="risk"
    )

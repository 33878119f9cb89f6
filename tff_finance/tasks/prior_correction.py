"""Class weights, and scores that are probabilities of the real world again.

A loss that weights positives by w is least at w times the odds: the model learns
a world in which positives are w times as frequent. Taking log w off the logit
leads back (Elkan 2001, "The Foundations of Cost-Sensitive Learning", theorem 2;
King and Zeng 2001, "Logistic Regression in Rare Events Data", equation 7). The
order of scores stays as it is; calibration, log loss and decisions by cost need it.
"""

import math
from typing import Any

import tensorflow as tf

from tff_finance import checks


@tf.keras.utils.register_keras_serializable(package="tff_finance")
class PriorCorrection(tf.keras.layers.Layer):
    """The last layer of a model whose loss weights positives.

    In training it passes on the logit of the weighted world, which the loss takes;
    in scoring it takes log w off. `functional_model` reads the weight of its loss
    here, so that loss and correction can't disagree.

    Attributes:
        positive_weight: Weight w of a positive row in the loss; a negative's is 1.
    """

    def __init__(self, positive_weight: float, **options: Any) -> None:
        """Takes the weight, and what every Keras layer takes.

        Raises:
            ValueError: If the weight is not positive.
        """
        checks.check_positive("positive_weight", positive_weight)
        super().__init__(**options)
        self.positive_weight = float(positive_weight)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Logits float32[n, 1] for logits of the weighted world."""
        if training:
            return inputs
        return inputs - math.log(self.positive_weight)

    def get_config(self) -> dict[str, Any]:
        """What makes an equal layer."""
        return {**super().get_config(), "positive_weight": self.positive_weight}


class WeightedCrossentropy(tf.keras.losses.Loss):
    """Binary cross-entropy of logits, positives weighted; mean over rows.

    The sum of weights is not divided by: it differs between batches, and
    institutions' gradients would no longer add up to the pooled one.
    """

    def __init__(self, positive_weight: float) -> None:
        """Takes the weight of a positive row; a negative's is 1."""
        super().__init__(name="weighted_crossentropy")
        self.positive_weight = positive_weight

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Loss of each row, float32[n]."""
        logits = tf.convert_to_tensor(y_pred)
        losses = tf.nn.weighted_cross_entropy_with_logits(
            tf.cast(y_true, logits.dtype), logits, self.positive_weight
        )
        return tf.reduce_mean(losses, axis=-1)

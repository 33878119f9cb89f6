"""Scorers: the seam between a trained model, of any kind, and its evaluation."""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits


class Scorer(Protocol):
    """Scores encoded rows."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Logits of P(y = 1), real[n], for features float32[n, d]."""
        ...


@dataclasses.dataclass(frozen=True)
class KerasScorer:
    """Scores by a Keras model.

    Attributes:
        model: `float32[n, d] -> float32[n, 1]`, logits.
    """

    model: tf.keras.Model

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """See `Scorer`."""
        return np.asarray(self.model(x, training=False))[:, 0]


def keras_scorer(
    build_keras_model: Callable[[], tf.keras.Model],
    weights: tff.learning.models.ModelWeights,
) -> KerasScorer:
    """A scorer from trained weights of a Keras model whose output is a logit."""
    model = build_keras_model()
    tff.learning.models.ModelWeights(
        tuple(weights.trainable), tuple(weights.non_trainable)
    ).assign_weights_to(model)
    return KerasScorer(model)


def boosting_scorer(model: HistGradientBoostingClassifier) -> Scorer:
    """A scorer from a fitted gradient-boosting classifier."""

    def score(x: np.ndarray) -> np.ndarray:
        # scikit-learn refuses a table without rows, which an institution may have.
        if not len(x):
            return np.zeros(0)
        with threadpool_limits(1, user_api="openmp"):
            return np.asarray(model.decision_function(x))

    return score

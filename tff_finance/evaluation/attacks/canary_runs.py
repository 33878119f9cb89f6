"""Runs of DP-SGD with and without a canary, by the institutions' own client work."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.client_work import weights as weights_lib
from tff_finance.client_work.gradient_estimator import build_mean_gradient
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.client_work.local_training import LocalTraining
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import PrivateGradient
from tff_finance.institutions.rows import Table

SCORES = ("gradient", "loss")


class CanaryScores(NamedTuple):
    """Scores of independent runs, larger where the canary is suspected.

    Attributes:
        inserted: Of runs with the canary, float64[runs].
        absent: Of runs without.
    """

    inserted: NDArray[np.float64]
    absent: NDArray[np.float64]


def canary_row(x: NDArray, *, size: float = 10.0) -> NDArray[np.float32]:
    """A row that stands out: every feature far from its mean, signs in turns.

    Args:
        x: Features of the table, float[n, columns].
        size: In standard deviations of each column.

    Returns:
        float32[columns].
    """
    signs = np.where(np.arange(x.shape[1]) % 2 == 0, 1.0, -1.0)
    return (x.mean(axis=0) + size * signs * (x.std(axis=0) + 1)).astype(np.float32)


def canary_label(keras_model: tf.keras.Model, row: NDArray[np.float32]) -> float:
    """The label that the initial model finds less likely.

    A row so far away is certain to the model, one way or the other. Of the label that
    it is sure of the gradient is as good as none, and the canary wouldn't be seen.

    Args:
        keras_model: With the initial weights; says a logit.
        row: The canary, float32[columns].

    Returns:
        0 or 1.
    """
    logit = np.ravel(keras_model(row[np.newaxis]))[0]
    return float(logit < 0)


def canary_scores(
    model: tff.learning.models.FunctionalModel,
    estimator: PrivateGradient,
    table: tuple[NDArray, NDArray],
    canary: tuple[NDArray, float],
    *,
    batches: PoissonBatches,
    learning_rate: float,
    runs: int,
) -> dict[str, CanaryScores]:
    """Trains a model many times with and without a canary, and looks for it.

    Must be called in an execution context (`runtime.in_process`).

    Both tables have as many rows, since their number is public: where the canary is
    absent its place has a row without a gradient, one that isn't finite, which private
    gradients count as zero. So the two differ by one record added or removed.

    Args:
        model: Initial weights are the same in all runs, and known to the attacker.
        estimator: Fresh noise in every run.
        table: Features [n, columns] and labels [n] of all other rows, also known.
        canary: Features [columns] and label.
        batches: Of one training; its epochs are all there are.
        learning_rate: Of plain SGD.
        runs: Of each kind.

    Returns:
        By name of `SCORES`: "gradient", how far training went against the canary's
        own gradient at the start; "loss", how small the canary's loss is at the end.
    """
    checks.check_at_least("runs", runs, 1)
    initial, _ = model.initial_weights
    training = LocalTraining(
        optimizer=tff.learning.optimizers.build_sgdm(learning_rate),
        gradient_estimator=estimator,
        local_rule=LocalRule(),
    )
    plain = build_mean_gradient(model)
    x, y = (np.asarray(part, np.float32) for part in table)
    row = np.asarray(canary[0], np.float32)[np.newaxis]
    label = np.full([1, 1], canary[1], np.float32)

    @tff.tensorflow.computation(
        tff.to_type((np.float32, [None, x.shape[1]])),
        tff.to_type((np.float32, [None, 1])),
    )
    @tf.function(autograph=False)
    def train(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        weights = tuple(tf.constant(w) for w in initial)
        end = training.run(
            trainable=weights,
            non_trainable=(),
            optimizer_state=training.optimizer.initialize(
                weights_lib.trainable_spec(model)
            ),
            rule_state=(),
            shared=(),
            rows=Table(x, y),
            batches=batches,
            seed=tf.zeros([2], tf.int32),  # private training has its own
            finish=lambda result: tuple(result.trainable),
        )
        at_start = plain(weights, (), tf.constant(row), tf.constant(label))
        towards = tf.add_n(
            [
                tf.reduce_sum((w - e) * g)
                for w, e, g in zip(weights, end, at_start.gradient, strict=True)
            ]
        )
        length = tf.linalg.global_norm(at_start.gradient)
        at_end = plain(end, (), tf.constant(row), tf.constant(label))
        return towards / length, -at_end.loss

    def scores(first: NDArray) -> NDArray[np.float64]:
        rows = np.concatenate([first, x]), np.concatenate([label, y.reshape(-1, 1)])
        return np.array([[float(s) for s in train(*rows)] for _ in range(runs)])

    inserted, absent = scores(row), scores(np.full_like(row, np.nan))
    return {
        name: CanaryScores(inserted[:, i], absent[:, i])
        for i, name in enumerate(SCORES)
    }

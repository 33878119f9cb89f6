"""What a server sees of one institution, made by the institution's own code."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
from numpy.typing import NDArray

from tff_finance.client_work import weights as weights_lib
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.gradient_estimator import (
    GradientEstimator,
    Weights,
    build_mean_gradient,
)
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.client_work.local_training import LocalTraining
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import (
    PrivateGradient,
    build_private_gradient,
)
from tff_finance.institutions.rows import Table
from tff_finance.privacy import fresh_noise
from tff_finance.privacy.clipping import Units
from tff_finance.tasks import keras_models

Arrays = list[NDArray]
Update = Callable[[Sequence[NDArray], NDArray, NDArray], Arrays]
"""From kernels and biases, features [n, d] and labels [n] of an institution's rows to
what the server sees, in the weights' shapes and the scale of a mean gradient."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ObservedUpdates:
    """Updates of institutions that train a model, with the code that trains it.

    Must be used in an execution context (`runtime.in_process`).

    Attributes:
        build_keras_model: The task's model, a chain of dense layers.
    """

    build_keras_model: keras_models.KerasBuilder

    def gradient(self) -> Update:
        """FedSGD's: the gradient of the mean loss over all rows."""
        model = self._model()
        estimator = build_mean_gradient(model)
        return _on_arrays(model, lambda w, x, y: estimator(w, (), x, y).gradient)

    def local_epochs(
        self, *, epochs: int, batch_size: int, learning_rate: float
    ) -> Update:
        """FedAvg's delta over the learning rate: the sum of its steps' gradients.

        Args:
            epochs: Passes over the rows.
            batch_size: Rows of a step.
            learning_rate: Of plain SGD.

        Returns:
            The update, (start - end) / learning rate. Batches are drawn anew in
            every call, and the server doesn't know them.
        """
        model = self._model()
        return _delta(
            model,
            build_mean_gradient(model),
            LocalEpochs(epochs=epochs, batch_size=batch_size),
            learning_rate,
        )

    def private_local_epochs(
        self,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        l2_clip_norm: float,
        noise_multiplier: float,
    ) -> Update:
        """FedAvg's delta over the learning rate, of steps of DP-SGD.

        Args:
            epochs: As for `local_epochs`.
            batch_size: Expected rows of a step; who is in it, coins say.
            learning_rate: Of plain SGD.
            l2_clip_norm: As for `build_private_gradient`.
            noise_multiplier: The same.

        Returns:
            The update, noise of all steps included.
        """
        model = self._model()
        return _delta(
            model,
            self._private(model, l2_clip_norm, noise_multiplier),
            PoissonBatches(epochs=epochs, batch_size=batch_size),
            learning_rate,
        )

    def private_gradient(
        self, *, l2_clip_norm: float, noise_multiplier: float
    ) -> Update:
        """DP-SGD's step: a batch's gradients clipped, summed, noised and averaged.

        Args:
            l2_clip_norm: As for `build_private_gradient`.
            noise_multiplier: The same.

        Returns:
            The update. The batch that Poisson sampling drew is the rows it is given,
            and as large as expected.
        """
        model = self._model()
        estimator = self._private(model, l2_clip_norm, noise_multiplier)

        def update(weights: Weights, x: tf.Tensor, y: tf.Tensor) -> Weights:
            units = Units(x[:, tf.newaxis], y[:, tf.newaxis], tf.ones_like(y, tf.bool))
            seed = estimator.seed_source()
            noise = estimator.noise(
                weights, tf.constant(1), seed, num_units=tf.shape(y)[0]
            )[0]
            rows = tf.cast(tf.shape(y)[0], tf.float32)
            return estimator.gradient(
                weights, (), units, noise=noise, expected_units=rows
            )

        return _on_arrays(model, update)

    def _model(self) -> tff.learning.models.FunctionalModel:
        return keras_models.functional_model(self.build_keras_model)

    def _private(
        self,
        model: tff.learning.models.FunctionalModel,
        l2_clip_norm: float,
        noise_multiplier: float,
    ) -> PrivateGradient:
        return build_private_gradient(
            model,
            l2_clip_norm=l2_clip_norm,
            noise_multiplier=noise_multiplier,
            keras_model=self.build_keras_model(),
        )


def summed(updates: Sequence[Arrays]) -> Arrays:
    """What secure aggregation shows the server: the sum, and nothing of its parts.

    Exact, without the quantisation that a protocol adds, so that the attacker sees at
    least as much.

    Args:
        updates: Of institutions of equal weight.

    Returns:
        Their sum over their number.
    """
    return [np.mean(parts, axis=0) for parts in zip(*updates, strict=True)]


def _delta(
    model: tff.learning.models.FunctionalModel,
    estimator: GradientEstimator | PrivateGradient,
    batches: LocalEpochs | PoissonBatches,
    learning_rate: float,
) -> Update:
    """(start - end) / learning rate of local training by plain SGD."""
    training = LocalTraining(
        optimizer=tff.learning.optimizers.build_sgdm(learning_rate),
        gradient_estimator=estimator,
        local_rule=LocalRule(),
    )

    def update(weights: Weights, x: tf.Tensor, y: tf.Tensor) -> Weights:
        seed = tf.cast(fresh_noise.system_seed() % (2**31 - 1), tf.int32)
        end = _trained(training, weights, Table(x, y), batches, seed)
        return tuple((w - e) / learning_rate for w, e in zip(weights, end, strict=True))

    return _on_arrays(model, update)


def _trained(
    training: LocalTraining,
    weights: Weights,
    table: Table,
    batches: LocalEpochs | PoissonBatches,
    seed: tf.Tensor,
) -> Weights:
    """Weights after local training on a table."""
    spec = tuple(tf.TensorSpec(w.shape, w.dtype) for w in weights)
    return training.run(
        trainable=weights,
        non_trainable=(),
        optimizer_state=training.optimizer.initialize(spec),
        rule_state=(),
        shared=(),
        rows=table,
        batches=batches,
        seed=seed,
        finish=lambda result: tuple(result.trainable),
    )


def _on_arrays(
    model: tff.learning.models.FunctionalModel,
    update: Callable[[Weights, tf.Tensor, tf.Tensor], Weights],
) -> Update:
    """Makes a computation of an update, and a function on arrays of that."""
    computation = tff.tensorflow.computation(
        tf.function(update, autograph=False),
        [
            weights_lib.weights_type(model)["trainable"],
            tff.to_type((np.float32, [None, weights_lib.num_features(model)])),
            tff.to_type((np.float32, [None, 1])),
        ],
    )

    def call(weights: Sequence[NDArray], x: NDArray, y: NDArray) -> Arrays:
        given = tuple(np.asarray(w, np.float32) for w in weights)
        result = computation(
            given, np.asarray(x, np.float32), np.reshape(y, [-1, 1]).astype(np.float32)
        )
        return [np.asarray(part) for part in result]

    return call

"""DP-SGD's gradient estimator: clipped per unit, noised, averaged.

What leaves it is private already, so that local rule, optimizer, compression and
server may do with it what they like.

Source: Abadi et al. (2016), Algorithm 1, https://arxiv.org/abs/1607.00133.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import NoReturn

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.client_work.gradient_estimator import Weights
from tff_finance.privacy import fresh_noise
from tff_finance.privacy.clipping import ClippedSum, Units, build_clipped_sum


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrivateGradient:
    """Estimates the gradient of the mean loss with differential privacy.

    Works with `PoissonBatches` only, on which its guarantee rests.

    Attributes:
        clipped_sum: The batch's sum, each unit clipped to `l2_clip_norm`.
        l2_clip_norm: The clipping norm.
        noise_multiplier: Standard deviation of the sum's noise over the clipping
            norm; 0 clips only, which protects nobody. A mapping gives it by the
            institution's number of units, so that each has the noise that its own
            number needs; one with another number is refused when it trains.
        seed_source: Of noise and batches; replaced only in tests.
    """

    clipped_sum: ClippedSum
    l2_clip_norm: float
    noise_multiplier: float | Mapping[int, float]
    seed_source: fresh_noise.SeedSource = fresh_noise.system_seed

    def __post_init__(self) -> None:
        """Refuses numbers that make no sense."""
        checks.check_positive("l2_clip_norm", self.l2_clip_norm)
        given = self.noise_multiplier
        for multiplier in given.values() if isinstance(given, Mapping) else [given]:
            checks.check_at_least("noise_multiplier", multiplier, 0)

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuses batches that anything else has drawn.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "A private gradient needs `PoissonBatches`, on which its guarantee "
            "rests: build_fed_avg(..., batches=PoissonBatches(...)). FedSGD is "
            "FedAvg with a batch size of at least all rows and one epoch."
        )

    def noise(
        self,
        weights: Weights,
        num_steps: tf.Tensor,
        seed: tf.Tensor,
        *,
        num_units: tf.Tensor,
    ) -> tf.Tensor:
        """Noise of all steps of a round, float32[steps, elements of all weights].

        Drawn before the loop: XLA's own generator takes longer than a whole step.

        Args:
            weights: Give the number of elements.
            num_steps: int32[].
            seed: int64[2], of round and institution.
            num_units: Of the institution, int32[].

        Returns:
            Noise of the clipped sums.
        """
        elements = sum(math.prod(weight.shape) for weight in weights)
        if not self.noise_multiplier:
            return tf.zeros([num_steps, elements])
        normal = fresh_noise.standard_normal(seed, [num_steps, elements])
        return normal * (self._multiplier_of(num_units) * self.l2_clip_norm)

    def _multiplier_of(self, num_units: tf.Tensor) -> tf.Tensor:
        if not isinstance(self.noise_multiplier, Mapping):
            return tf.constant(self.noise_multiplier, tf.float32)
        known = tf.constant(list(self.noise_multiplier), num_units.dtype)
        there = tf.equal(known, num_units)
        # Nobody trains with the noise of another number of units; of none there is
        # nothing to protect.
        must = tf.debugging.Assert(
            tf.reduce_any(there) | tf.equal(num_units, 0),
            ["no noise multiplier is given for this number of units:", num_units],
        )
        with tf.control_dependencies([must]):
            values = tf.constant(list(self.noise_multiplier.values()), tf.float32)
            return tf.reduce_sum(tf.where(there, values, tf.zeros_like(values)))

    def gradient(
        self,
        trainable: Weights,
        non_trainable: Weights,
        units: Units,
        *,
        noise: tf.Tensor,
        expected_units: tf.Tensor,
    ) -> Weights:
        """The private gradient of one step.

        Args:
            trainable: Where to take it.
            non_trainable: The other weights.
            units: Of the batch, perhaps none.
            noise: Of this step, float32[elements of all weights].
            expected_units: Of a batch, never how many there are: their number would
                tell who is in it.

        Returns:
            (clipped sum + noise) / expected units, one tensor per weight.
        """
        total = self.clipped_sum(trainable, non_trainable, units)
        parts = tf.split(noise, [math.prod(weight.shape) for weight in trainable])
        return tuple(
            (gradient + tf.reshape(part, gradient.shape)) / expected_units
            for gradient, part in zip(total, parts, strict=True)
        )


def build_private_gradient(
    model: tff.learning.models.FunctionalModel,
    *,
    l2_clip_norm: float,
    noise_multiplier: float | Mapping[int, float],
    keras_model: tf.keras.Model | None = None,
    seed_source: fresh_noise.SeedSource = fresh_noise.system_seed,
) -> PrivateGradient:
    """Builds the private estimator for `gradient_estimator=` of the algorithms.

    Args:
        model: Without batch-coupled layers; its loss is the mean over rows.
        l2_clip_norm: Most that a unit's gradient counts for.
        noise_multiplier: Standard deviation of the sum's noise over the clipping
            norm; `experiments.calibrate_privacy` computes it. Or by number of units.
        keras_model: That `model` was made from. If it is a chain of dense layers,
            norms come without forming each row's gradient, several times faster.
        seed_source: Replaced only in tests.

    Returns:
        The estimator. Private client work has no training loss among its metrics: it
        would be a release without noise.

    Raises:
        ValueError: If a number is out of range.
    """
    return PrivateGradient(
        clipped_sum=build_clipped_sum(
            model, l2_clip_norm=l2_clip_norm, keras_model=keras_model
        ),
        l2_clip_norm=l2_clip_norm,
        noise_multiplier=noise_multiplier,
        seed_source=seed_source,
    )

"""Distributed noise: each institution adds a share, under secure aggregation.

The server then sees only the sum, with the noise of all shares in it, so that
institution-level privacy holds against the server too. Updates become whole numbers,
and so does the noise, which is Skellam: the difference of two Poisson numbers. Sums of
Skellam numbers are Skellam numbers, so that what the server sees has exactly the
accounted distribution. Rounding Gaussian shares would not give that.

Any `least_honest` institutions that follow the protocol, and are there until a round's
end, give the noise that is accounted for; those beyond that number add to it. With
fewer there is less noise than stated, and no guarantee: a deployment must then not open
the sum.

An update is clipped as a whole, scaled to a norm of at most `SKELLAM_UNITS`, and its
coordinates are cut off towards zero, which makes no norm longer. The sum is taken
modulo a number so large that no sum of clipped updates wraps around; therefore there is
no rotation, which spreads updates so that a small modulus does.

Source: Agarwal et al. (2021), https://arxiv.org/abs/2110.04995; the setting is that of
Kairouz et al. (2021), https://arxiv.org/abs/2102.06387.
"""

import dataclasses
import math
from typing import Any

import dp_accounting
import tensorflow as tf
import tensorflow_federated as tff
import tensorflow_privacy as tfp

from tff_finance import checks
from tff_finance.privacy import fresh_noise
from tff_finance.privacy.fresh_noise import SeedSource
from tff_finance.privacy.institution_queries import clip_by_global_norm
from tff_finance.privacy.mechanisms import SKELLAM_UNITS, SkellamSum

# Of what clipping in float32 may leave above the norm.
_LEEWAY = 1 - 1e-5
# Standard deviations of noise that the modulus leaves room for.
_ROOM_FOR_NOISE = 12
_LARGEST_MODULUS = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistributedNoise:
    """Skellam noise in shares, on securely aggregated sums of clipped updates.

    Attributes:
        l2_clip_norm: Largest norm of an update.
        noise_multiplier: Standard deviation, over that norm, of the noise that
            `least_honest` shares have together; 0 for none.
        expected_updates: Updates that a round is expected to have, which its sum is
            divided by.
        least_honest: t, how many institutions of a round are taken to be honest and
            there to the end.
        most_updates: That a round may have; decides on the modulus.
    """

    l2_clip_norm: float
    noise_multiplier: float
    expected_updates: float
    least_honest: int
    most_updates: int

    def __post_init__(self) -> None:
        """Refuses numbers that make no mechanism, and sums that don't fit."""
        checks.check_positive("l2_clip_norm", self.l2_clip_norm)
        checks.check_at_least("noise_multiplier", self.noise_multiplier, 0)
        checks.check_positive("expected_updates", self.expected_updates)
        checks.check_at_least("most_updates", self.most_updates, 1)
        checks.check_in_range("least_honest", self.least_honest, 1, self.most_updates)
        if self.modulus > _LARGEST_MODULUS:
            raise ValueError(
                f"`most_updates` of {self.most_updates} with a `noise_multiplier` of "
                f"{self.noise_multiplier:g} and `least_honest` {self.least_honest} "
                "make sums that don't fit 30 bits: take smaller cohorts, less noise, "
                "or more honest institutions."
            )

    @property
    def share_stddev(self) -> float:
        """Of one institution's share, over the clipping norm."""
        return self.noise_multiplier / math.sqrt(self.least_honest)

    @property
    def modulus(self) -> int:
        """Of the secure sum; sums between minus and plus half of it come out whole."""
        noise = _ROOM_FOR_NOISE * self.share_stddev * math.sqrt(self.most_updates)
        largest = SKELLAM_UNITS * (self.most_updates + noise)
        return 2 ** math.ceil(math.log2(2 * largest + 1))

    def aggregator(
        self, *, seed_source: SeedSource = fresh_noise.system_seed
    ) -> tff.aggregators.UnweightedAggregationFactory:
        """The factory; `seed_source` is replaced in tests only."""
        query = SkellamShares(
            l2_clip_norm=self.l2_clip_norm,
            share_stddev=self.share_stddev,
            denominator=self.expected_updates,
            seed_source=seed_source,
        )
        secure_sum = tff.aggregators.SecureModularSumFactory(
            self.modulus // 2, symmetric_range=True
        )
        return tff.aggregators.concat_factory(
            tff.aggregators.DifferentiallyPrivateFactory(
                query, record_aggregation_factory=secure_sum
            )
        )

    def mechanism(self, *, coordinates: int, releases: int) -> SkellamSum:
        """What an institution's rounds release if `least_honest` others are honest.

        Args:
            coordinates: Numbers of an update.
            releases: Rounds in which an institution takes part.

        Returns:
            The mechanism.
        """
        return SkellamSum(
            noise_multiplier=self.noise_multiplier,
            l2_units=SKELLAM_UNITS,
            coordinates=coordinates,
            releases=releases,
        )


class SkellamShares(tfp.DistributedSkellamSumQuery):
    """Updates as whole numbers with a share of noise, and their sum as an update.

    tensorflow-privacy checks the norms; its own shares are seeded by the clock, alike
    for tensors, and for institutions, that are noised in the same microsecond.
    """

    def __init__(
        self,
        *,
        l2_clip_norm: float,
        share_stddev: float,
        denominator: float,
        seed_source: SeedSource = fresh_noise.system_seed,
    ) -> None:
        """Takes clipping norm, a share's deviation over it, and the denominator."""
        # The L1 norm follows from the L2 norm and the number of coordinates, which
        # mechanisms are told.
        super().__init__(
            l1_norm_bound=2**31 - 1,
            l2_norm_bound=SKELLAM_UNITS,
            local_stddev=share_stddev * SKELLAM_UNITS,
        )
        self._l2_clip_norm = l2_clip_norm
        self._denominator = denominator
        self._seed_source = seed_source

    def initial_sample_state(self, template: Any) -> Any:
        """A sum of nothing; tensorflow-privacy calls this."""
        return tf.nest.map_structure(
            lambda leaf: tf.zeros(leaf.shape, tf.int32), template
        )

    def preprocess_record(self, params: Any, record: Any) -> Any:
        """Clips, rounds and adds the share; tensorflow-privacy calls this."""
        leaves = tf.nest.flatten(record)
        clipped, _ = clip_by_global_norm(leaves, tf.constant(self._l2_clip_norm))
        units = SKELLAM_UNITS * _LEEWAY / self._l2_clip_norm
        # A cast cuts off towards zero.
        whole = [tf.cast(leaf * units, tf.int32) for leaf in clipped]
        return super().preprocess_record(
            params, tf.nest.pack_sequence_as(record, whole)
        )

    def add_noise_to_sample(self, local_stddev: tf.Tensor, record: Any) -> Any:
        """Adds the share; tensorflow-privacy calls this."""
        leaves = tf.nest.flatten(record)
        seeds = fresh_noise.split(self._seed_source(), len(leaves))
        noised = [
            leaf + skellam(seed, leaf.shape, local_stddev)
            for leaf, seed in zip(leaves, seeds, strict=True)
        ]
        return tf.nest.pack_sequence_as(record, noised)

    def get_noised_result(self, sample_state: Any, global_state: Any) -> Any:
        """The sum in the update's own scale; tensorflow-privacy calls this."""
        scale = self._l2_clip_norm / SKELLAM_UNITS / self._denominator
        mean = tf.nest.map_structure(
            lambda leaf: tf.cast(leaf, tf.float32) * scale, sample_state
        )
        return mean, global_state, dp_accounting.UnsupportedDpEvent()


def skellam(seed: tf.Tensor, shape: tf.TensorShape, stddev: tf.Tensor) -> tf.Tensor:
    """Skellam numbers with mean 0.

    Args:
        seed: int64[2], used for nothing else.
        shape: Of the result.
        stddev: Their standard deviation, float[].

    Returns:
        int32[shape].
    """
    rate = tf.square(tf.cast(stddev, tf.float64)) / 2
    up, down = (
        tf.random.stateless_poisson(shape, part, rate, dtype=tf.int64)
        for part in fresh_noise.split(seed, 2)
    )
    return tf.cast(up - down, tf.int32)

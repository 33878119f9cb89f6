"""Clipped and noised sums of institutions' updates, as tensorflow-privacy's queries.

tensorflow-privacy does the work; three things are done otherwise than it does them:

- Noise. Its Gaussian sums draw from TensorFlow's stateful generator, which starts from
  32 random bits or, after `tf.random.set_seed`, from that seed; its trees start from
  the clock, to the microsecond. Either can be searched and taken off. Here
  seeds come from the operating system, and nothing else enters them.
- Updates that aren't finite, or whose squared norm isn't. It returns NaN for the whole
  sum; here they count as zero, so that no update, whatever it holds, moves the sum by
  more than the clipping norm.
- Tails. Its normal numbers end at 5.7 standard deviations; see `fresh_noise`.

Sources: McMahan et al. (2018), https://arxiv.org/abs/1710.06963; Andrew et al. (2021),
https://arxiv.org/abs/1905.03871; Kairouz et al. (2021),
https://arxiv.org/abs/2103.00039; Honaker (2015), "Efficient Use of Differentially
Private Binary Trees".
"""

from collections.abc import Sequence
from typing import Any

import dp_accounting
import tensorflow as tf
import tensorflow_privacy as tfp

from tff_finance.privacy import fresh_noise
from tff_finance.privacy.fresh_noise import SeedSource

# What a count of updates within the norm is moved by at most, since each adds 1/2 or
# -1/2 to it.
COUNT_CLIP = 0.5


def clip_by_global_norm(
    leaves: Sequence[tf.Tensor], l2_clip_norm: tf.Tensor
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Clips an update as a whole.

    Args:
        leaves: All tensors of one update, float32.
        l2_clip_norm: The largest norm that is left as it is, float32[].

    Returns:
        The leaves, scaled together to the clipping norm if they are longer, zeros if
        their norm isn't finite; and that norm.
    """
    norm = tf.linalg.global_norm(leaves)
    scale = l2_clip_norm / tf.maximum(norm, l2_clip_norm)
    finite = tf.math.is_finite(norm)
    # A factor of 0 doesn't take away what isn't finite.
    return [
        tf.where(finite, leaf * scale, tf.zeros_like(leaf)) for leaf in leaves
    ], norm


class GaussianSum(tfp.GaussianSumQuery):
    """The clipped sum with Gaussian noise, fresh in every round."""

    def __init__(
        self,
        l2_clip_norm: float,
        stddev: float,
        *,
        seed_source: SeedSource = fresh_noise.system_seed,
    ) -> None:
        """Takes the clipping norm and the noise's standard deviation."""
        super().__init__(l2_norm_clip=l2_clip_norm, stddev=stddev)
        self._seed_source = seed_source

    def preprocess_record_impl(self, params: Any, record: Any) -> Any:
        """Clips; tensorflow-privacy calls this."""
        clipped, norm = clip_by_global_norm(tf.nest.flatten(record), params)
        return tf.nest.pack_sequence_as(record, clipped), norm

    def get_noised_result(self, sample_state: Any, global_state: Any) -> Any:
        """Adds the noise; tensorflow-privacy calls this."""
        leaves = tf.nest.flatten(sample_state)
        seeds = fresh_noise.split(self._seed_source(), len(leaves))
        noised = [
            leaf + global_state.stddev * fresh_noise.standard_normal(seed, leaf.shape)
            for leaf, seed in zip(leaves, seeds, strict=True)
        ]
        event = dp_accounting.GaussianDpEvent(
            global_state.stddev / global_state.l2_norm_clip
        )
        return tf.nest.pack_sequence_as(sample_state, noised), global_state, event


class _NormQuantile(tfp.QuantileEstimatorQuery):
    """A quantile of the updates' norms from a noised count of those below."""

    def __init__(self, *, seed_source: SeedSource, **options: Any) -> None:
        self._seed_source = seed_source  # the base's own constructor asks for it
        super().__init__(**options)

    def _construct_below_estimate_query(
        self, below_estimate_stddev: float, expected_num_records: float
    ) -> tfp.NormalizedQuery:
        count = GaussianSum(
            COUNT_CLIP, below_estimate_stddev, seed_source=self._seed_source
        )
        return tfp.NormalizedQuery(count, denominator=expected_num_records)


class AdaptiveClipSum(tfp.QuantileAdaptiveClipSumQuery):
    """The same with a clipping norm that follows a quantile of the updates' norms."""

    def __init__(
        self,
        *,
        initial_l2_clip_norm: float,
        noise_multiplier: float,
        target_quantile: float,
        learning_rate: float,
        count_stddev: float,
        expected_updates: float,
        seed_source: SeedSource = fresh_noise.system_seed,
    ) -> None:
        """Takes the noise of the sum over its norm, and that of the count."""
        super().__init__(
            initial_l2_norm_clip=initial_l2_clip_norm,
            noise_multiplier=noise_multiplier,
            target_unclipped_quantile=target_quantile,
            learning_rate=learning_rate,
            clipped_count_stddev=count_stddev,
            expected_num_records=expected_updates,
        )
        self._sum_query = GaussianSum(
            initial_l2_clip_norm,
            noise_multiplier * initial_l2_clip_norm,
            seed_source=seed_source,
        )
        self._quantile_estimator_query = _NormQuantile(
            initial_estimate=initial_l2_clip_norm,
            target_quantile=target_quantile,
            learning_rate=learning_rate,
            below_estimate_stddev=count_stddev,
            expected_num_records=expected_updates,
            geometric_update=True,
            seed_source=seed_source,
        )


class TreeNoise(tfp.tree_aggregation.ValueGenerator):
    """Noise of one tree node after the other.

    Its state is a seed, drawn when training begins, so that a round that is repeated
    after an interruption has the noise that it had: a node that was drawn twice would
    be two releases.
    """

    def __init__(self, stddev: float, specs: Any, *, seed_source: SeedSource) -> None:
        """Takes the standard deviation of a node, and the updates' structure."""
        self._stddev = stddev
        self._specs = specs
        self._seed_source = seed_source

    def initialize(self) -> tf.Tensor:
        """The first state, int64[2]."""
        return self._seed_source()

    def next(self, state: tf.Tensor) -> tuple[Any, tf.Tensor]:
        """A node's noise and the next state."""
        specs = tf.nest.flatten(self._specs)
        following, *seeds = fresh_noise.split(state, 1 + len(specs))
        noise = [
            self._stddev * fresh_noise.standard_normal(seed, spec.shape)
            for seed, spec in zip(seeds, specs, strict=True)
        ]
        return tf.nest.pack_sequence_as(self._specs, noise), following


def build_tree_sum(
    *,
    l2_clip_norm: float,
    stddev: float,
    specs: Any,
    restart_every: int | None = None,
    seed_source: SeedSource = fresh_noise.system_seed,
) -> tfp.SumAggregationDPQuery:
    """Builds clipped sums whose noise, summed over rounds, is that of a tree.

    Each round's sum gets the difference between this round's and the last round's
    noise of the tree, so that the model, a sum over rounds, has the tree's noise: of
    the rounds since the last restart one node for each 1 in their number's binary
    form. Nodes are estimated from all that is below them (Honaker, 2015): at height h
    from the leaves the variance is `stddev^2 / (2 - 2^-h)`.

    Args:
        l2_clip_norm: Most that an update counts for.
        stddev: Of a node's noise.
        specs: `tf.TensorSpec`s in the structure of the updates.
        restart_every: Rounds of a tree; None for one tree.
        seed_source: Of the noise.

    Returns:
        The query.
    """
    query = tfp.TreeResidualSumQuery(
        record_specs=specs,
        noise_generator=TreeNoise(stddev, specs, seed_source=seed_source),
        clip_fn=lambda leaves, norm: clip_by_global_norm(leaves, norm)[0],
        clip_value=l2_clip_norm,
        use_efficient=True,
    )
    if restart_every is None:
        return query
    return tfp.RestartQuery(
        query, tfp.restart_query.PeriodicRoundRestartIndicator(restart_every)
    )

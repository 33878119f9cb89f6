"""Means by secure aggregation: the server learns sums of integers only.

Every institution's update is clipped to a norm that all know beforehand, quantized to
32 bits within the bounds that follow from it, and summed by TFF's secure sum, as is its
weight. TFF's own `tff.learning.secure_aggregator` adapts its bounds to the
institutions' updates, and so releases their quantiles without noise in each round; here
nothing is released but the mean, the sum of weights, and how many updates were clipped
or left out.

It hides institutions' updates from the server, as far as a sum does: a sum of two is
known to either of the two, and a round with one institution hides nothing.

Source: Bonawitz et al. (2017), https://doi.org/10.1145/3133956.3133982.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.aggregation import secure_tracing

# Updates beyond so many times the clipping norm in one coordinate count as faulty.
_FAULTY = 1e6


@dataclasses.dataclass(frozen=True, kw_only=True)
class SecureMean:
    """A mean over securely aggregated updates.

    Attributes:
        l2_clip_norm: Largest norm of an update, the same for all and in all rounds,
            well above what honest updates have.
        largest_weight: No institution has a larger weight, such as more rows; 1 for
            uniform weights. One that has makes the mean too large: its weight is cut
            off in the sum of weights, its weighted update in bounds only.
    """

    l2_clip_norm: float
    largest_weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuses bounds that are none."""
        checks.check_positive("l2_clip_norm", self.l2_clip_norm)
        checks.check_positive("largest_weight", self.largest_weight)

    @property
    def resolution(self) -> float:
        """Step of a weighted update's coordinates, over `largest_weight`."""
        return 2 * self.l2_clip_norm / 2**32

    def aggregator(self) -> tff.aggregators.WeightedAggregationFactory:
        """The factory.

        Returns:
            One whose mean isn't finite where all weights are 0. An update that isn't
            finite, or far too long, counts as zeros, with its weight.
        """
        count = tff.aggregators.SecureSumFactory(1, 0)
        bound = np.float32(self.l2_clip_norm * self.largest_weight)
        mean = tff.aggregators.MeanFactory(
            value_sum_factory=tff.aggregators.SecureSumFactory(float(bound)),
            weight_sum_factory=tff.aggregators.SecureSumFactory(
                float(self.largest_weight), 0.0
            ),
        )
        clipped = tff.aggregators.clipping_factory(
            float(self.l2_clip_norm), mean, clipped_count_sum_factory=count
        )
        return _InfiniteForNan(
            tff.aggregators.zeroing_factory(
                _FAULTY * self.l2_clip_norm, clipped, zeroed_count_sum_factory=count
            )
        )


class _InfiniteForNan(tff.aggregators.WeightedAggregationFactory):
    """Makes NaN infinite, which TFF's zeroing finds; of NaN it finds nothing."""

    def __init__(self, inner: tff.aggregators.WeightedAggregationFactory) -> None:
        self._inner = inner

    def create(
        self, value_type: Any, weight_type: Any
    ) -> tff.templates.AggregationProcess:
        with secure_tracing.without_its_alarm():
            inner = self._inner.create(value_type, weight_type)

        @tff.tensorflow.computation(value_type)
        def without_nan(value: Any) -> Any:
            return tf.nest.map_structure(
                lambda leaf: tf.where(
                    tf.math.is_nan(leaf), tf.constant(np.inf, leaf.dtype), leaf
                ),
                value,
            )

        @tff.federated_computation(*inner.next.type_signature.parameter)
        def next_fn(state: Any, value: Any, weight: Any) -> Any:
            return inner.next(state, tff.federated_map(without_nan, value), weight)

        return tff.templates.AggregationProcess(inner.initialize, next_fn)

"""The geometric median of the institutions' updates: robust federated aggregation.

It is the point with the least weighted sum of distances to the updates:

    argmin_v sum_i p_i |v - u_i|        p_i: the weights, with sum 1

Less than half of the weight can't drag it far. Other than a median by coordinate, it
goes with any rotation of the updates, and takes weights, as published; a hostile
institution that can claim any weight should be given a uniform one.

Found by the smoothed Weiszfeld algorithm: each step is a mean of the updates, weighted
by `p_i / max(smoothing, |v - u_i|)`. The paper's server sees only these means, one
exchange for each; here it sees all updates, and the round is one exchange.

Source: Pillutla et al. (2022), Algorithm 2, https://arxiv.org/abs/1912.13445.
"""

from collections.abc import Sequence

import tensorflow as tf

from tff_finance import checks
from tff_finance.aggregation.collecting import CollectedUpdatesFactory
from tff_finance.aggregation.coordinate_wise import coordinate_wise_median

SMOOTHING = 1e-6  # the paper's
_TOLERANCE = 1e-9  # of a step's length, in mean distances from the updates
_MAX_STEPS = 1000


def build_geometric_median_factory(
    *, smoothing: float = SMOOTHING
) -> CollectedUpdatesFactory:
    """Builds the weighted geometric median, over all leaves together.

    Args:
        smoothing: Least distance that a step divides by, in units of the updates.

    Returns:
        The weighted factory.

    Raises:
        ValueError: If the smoothing is not positive.
    """
    checks.check_positive("smoothing", smoothing)

    def rule(updates: Sequence[tf.Tensor], weights: tf.Tensor) -> list[tf.Tensor]:
        number = tf.shape(weights)[0]
        flat = tf.concat([tf.reshape(leaf, [number, -1]) for leaf in updates], axis=1)
        median = geometric_median(flat, weights, smoothing=smoothing)
        parts = tf.split(median, [leaf.shape[1:].num_elements() for leaf in updates])
        return [
            tf.cast(tf.reshape(part, leaf.shape[1:]), leaf.dtype)
            for part, leaf in zip(parts, updates, strict=True)
        ]

    return CollectedUpdatesFactory(rule)


def geometric_median(
    points: tf.Tensor, weights: tf.Tensor, *, smoothing: float = SMOOTHING
) -> tf.Tensor:
    """The weighted geometric median.

    Args:
        points: Floating-point [n, d], n at least 1.
        weights: Positive, floating-point [n].
        smoothing: As of the factory.

    Returns:
        float64[d].
    """
    points = tf.cast(points, tf.float64)
    weights = tf.cast(weights, tf.float64)
    weights /= tf.reduce_sum(weights)

    def step(median: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        distances = tf.norm(points - median, axis=1)
        factors = weights / tf.maximum(distances, smoothing)
        factors /= tf.reduce_sum(factors)
        following = tf.linalg.matvec(points, factors, transpose_a=True)
        moved = tf.norm(following - median)
        return following, moved > _TOLERANCE * tf.reduce_sum(weights * distances)

    # Where it begins decides only in how many steps it ends: extremes are far away.
    median, _ = tf.while_loop(
        lambda _, moving: moving,
        step,
        (coordinate_wise_median(points), tf.constant(True)),
        maximum_iterations=_MAX_STEPS,
    )
    return median

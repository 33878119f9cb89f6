"""Coordinate-wise median and trimmed mean of the institutions' updates.

Both rank each coordinate's values over the institutions, so that a minority can't
drag the result out of the range of what the others sent. Updates count equally, as
published: a weight is what an institution says of itself, and a hostile one could say
anything. So weights only tell who takes part, those above 0.

Where institutions differ, the median of their updates isn't their mean, though all
are honest: the price of the protection is a bias towards what most of them want.

Source: Yin et al. (2018), Definitions 1 and 2, https://arxiv.org/abs/1803.01498.
"""

from collections.abc import Sequence

import tensorflow as tf

from tff_finance.aggregation.collecting import CollectedUpdatesFactory

_ROUNDING = 1e-9  # 0.07 of 100 updates are 7, whatever the binary product says


def build_median_factory() -> CollectedUpdatesFactory:
    """Builds the coordinate-wise median.

    Up to half of the institutions, that half not included, may send anything.

    Returns:
        A weighted factory that leaves out updates of weight 0 and counts the others
        equally.
    """

    def rule(updates: Sequence[tf.Tensor], weights: tf.Tensor) -> list[tf.Tensor]:
        del weights
        return [coordinate_wise_median(leaf) for leaf in updates]

    return CollectedUpdatesFactory(rule)


def build_trimmed_mean_factory(trimmed_share: float) -> CollectedUpdatesFactory:
    """Builds the coordinate-wise trimmed mean.

    Args:
        trimmed_share: Share of the updates that is trimmed from either side, at
            least the share that may be hostile, from 0 (the mean) to below 0.5.

    Returns:
        A weighted factory that leaves out updates of weight 0 and counts the others
        equally.

    Raises:
        ValueError: If the share is out of range.
    """
    check_trimmed_share(trimmed_share)

    def rule(updates: Sequence[tf.Tensor], weights: tf.Tensor) -> list[tf.Tensor]:
        del weights
        return [trimmed_mean(leaf, trimmed_share) for leaf in updates]

    return CollectedUpdatesFactory(rule)


def coordinate_wise_median(updates: tf.Tensor) -> tf.Tensor:
    """The median over the first dimension, as `numpy.median` has it.

    Args:
        updates: Floating-point [n, ...], n at least 1.

    Returns:
        [...]; of an even number, the mean of the two values in the middle.
    """
    ordered = tf.sort(updates, axis=0)
    number = tf.shape(updates)[0]
    return (ordered[(number - 1) // 2] + ordered[number // 2]) / 2


def trimmed_mean(updates: tf.Tensor, trimmed_share: float) -> tf.Tensor:
    """The mean over the first dimension without each coordinate's extremes.

    The number trimmed from either side is `trimmed_share * n` rounded up, so that one
    hostile institution of four is trimmed at a share of a fifth too; one value is left
    at least. Of equal values it makes no difference which are trimmed.

    Args:
        updates: Floating-point [n, ...], n at least 1.
        trimmed_share: From 0 to below 0.5.

    Returns:
        [...].
    """
    ordered = tf.sort(updates, axis=0)
    number = tf.shape(updates)[0]
    exact = trimmed_share * tf.cast(number, tf.float64)
    trimmed = tf.cast(tf.math.ceil(exact - _ROUNDING), tf.int32)
    trimmed = tf.minimum(trimmed, (number - 1) // 2)
    return tf.reduce_mean(ordered[trimmed : number - trimmed], axis=0)


def check_trimmed_share(trimmed_share: float) -> None:
    """Raises ValueError unless a share can be trimmed from either side."""
    if not 0 <= trimmed_share < 0.5:  # noqa: PLR2004
        raise ValueError(
            f"`trimmed_share` must be at least 0 and below 0.5, got {trimmed_share!r}."
        )

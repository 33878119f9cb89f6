"""Metrics derived from a score histogram.

Thresholds lie on the edges of the logit bins, so rows in one bin are tied:
`auc_bounds` tells what that can hide. Accuracy, log loss, Brier score and
calibration error are exact. What does not exist (AUC of one class, anything of
no rows) is `Undefined` with the reason, never NaN and never 0.5.
"""

import functools
import operator
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tff_finance.checks import check_in_range, check_positive
from tff_finance.metrics.score_histogram import FIRST_POSITIVE_BIN, ScoreHistogram
from tff_finance.metrics.selection import flagged_from_the_top, top_rows
from tff_finance.metrics.values import (
    NO_ROWS,
    Metric,
    Undefined,
    Value,
    lacks_a_class,
)


def accuracy(histogram: ScoreHistogram) -> Value:
    """Returns the share of rows on the right side of probability 0.5.

    Exact: 0.5 is an edge of the bins. Probability 0.5 itself (logit 0) counts as
    predicted positive.
    """
    if histogram.rows == 0:
        return NO_ROWS
    hits = histogram.positives[FIRST_POSITIVE_BIN:].sum()
    hits += histogram.negatives[:FIRST_POSITIVE_BIN].sum()
    return int(hits) / histogram.rows


def auc(histogram: ScoreHistogram) -> Value:
    """Returns the area under the ROC curve, a tie within a bin counted half."""
    undefined = lacks_a_class(histogram)
    if undefined is not None:
        return undefined
    return _area(histogram.negatives, histogram.positives)


def auc_of_counts(
    negatives: NDArray[np.int64], positives: NDArray[np.int64]
) -> float | None:
    """Returns the AUC of rows counted by score, a tie counted half.

    Args:
        negatives: Rows of label 0 by ascending score, int64[bins].
        positives: Rows of label 1, likewise.

    Returns:
        The area, or None without both classes.
    """
    if not (negatives.any() and positives.any()):
        return None
    return _area(negatives, positives)


def auc_bounds(histogram: ScoreHistogram) -> tuple[float, float] | Undefined:
    """Returns the least and greatest AUC that the rows themselves can have.

    Least if every pair of a positive and a negative within a bin is discordant,
    greatest if every one is concordant.
    """
    undefined = lacks_a_class(histogram)
    if undefined is not None:
        return undefined
    concordant, tied = _pairs(histogram.negatives, histogram.positives)
    pairs = histogram.positive_rows * histogram.negative_rows
    return concordant / pairs, (concordant + tied) / pairs


def average_precision(histogram: ScoreHistogram) -> Value:
    """Returns the mean of precision over steps of recall, without interpolation.

    As `sklearn.metrics.average_precision_score`, with the bins as thresholds.
    """
    undefined = lacks_a_class(histogram)
    if undefined is not None:
        return undefined
    true_positives, false_positives = flagged_from_the_top(histogram)
    flagged = true_positives + false_positives
    # An empty top bin has recall step 0, so its precision 0/0 may be anything.
    precision = true_positives / np.maximum(flagged, 1)
    steps = histogram.positives[::-1]
    return float(np.dot(steps, precision)) / histogram.positive_rows


def ks(histogram: ScoreHistogram) -> Value:
    """Returns the Kolmogorov-Smirnov distance between the classes' scores.

    Two-sided, as `scipy.stats.ks_2samp`: the largest distance between both
    cumulative distributions over all thresholds, in either direction.
    """
    undefined = lacks_a_class(histogram)
    if undefined is not None:
        return undefined
    true_positives, false_positives = flagged_from_the_top(histogram)
    recall = true_positives / histogram.positive_rows
    false_positive_rate = false_positives / histogram.negative_rows
    return float(np.max(np.abs(recall - false_positive_rate)))


def gini(histogram: ScoreHistogram) -> Value:
    """Returns Gini's coefficient as credit scoring has it: 2 AUC - 1."""
    area = auc(histogram)
    return area if isinstance(area, Undefined) else 2 * area - 1


def log_loss(histogram: ScoreHistogram) -> Value:
    """Returns the mean binary cross-entropy in nats; exact."""
    if histogram.rows == 0:
        return NO_ROWS
    return histogram.log_loss_sum / histogram.rows


def brier(histogram: ScoreHistogram) -> Value:
    """Returns the mean squared distance of probability and label; exact."""
    if histogram.rows == 0:
        return NO_ROWS
    return histogram.brier_sum / histogram.rows


def ece(histogram: ScoreHistogram) -> Value:
    """Returns the expected calibration error over 15 equal-width bins; exact.

    The distance of the positive rate from the mean probability in each bin,
    weighted by rows. Source: Guo et al. (2017), equation 3,
    https://arxiv.org/abs/1706.04599, for the probability of label 1.
    """
    if histogram.rows == 0:
        return NO_ROWS
    gaps = histogram.calibration_positives - histogram.calibration_score_sums
    return float(np.sum(np.abs(gaps))) / histogram.rows


def recall_at_fpr(histogram: ScoreHistogram, *, max_fpr: float) -> Value:
    """Returns the largest recall at a bounded false-positive rate.

    Over the thresholds that exist, the one that flags nobody among them; no
    interpolation between thresholds, since none could be used.

    Args:
        histogram: Any histogram.
        max_fpr: Greatest admissible share of negatives flagged, 0 to 1.

    Returns:
        The share of positives flagged, or Undefined without both classes.

    Raises:
        ValueError: If `max_fpr` is not between 0 and 1.
    """
    check_in_range("max_fpr", max_fpr, 0, 1)
    undefined = lacks_a_class(histogram)
    if undefined is not None:
        return undefined
    true_positives, false_positives = flagged_from_the_top(histogram)
    admissible = false_positives / histogram.negative_rows <= max_fpr
    flagged = np.max(true_positives, where=admissible, initial=0)
    return int(flagged) / histogram.positive_rows


def lift(histogram: ScoreHistogram, *, top: float) -> Value:
    """Returns how many times the base rate the top-scored rows are positive.

    The top may end within a bin. Its rows are tied, so as many positives count
    as a random choice among them is expected to hold.

    Args:
        histogram: Any histogram.
        top: Share of all rows taken from the top, above 0 up to 1.

    Returns:
        Positive rate of the top over that of all rows (1 is no better than
        chance), or Undefined without both classes.

    Raises:
        ValueError: If `top` is not above 0 and at most 1.
    """
    check_positive("top", top)
    check_in_range("top", top, 0, 1)
    undefined = lacks_a_class(histogram)
    if undefined is not None:
        return undefined
    wanted = top * histogram.rows
    _, captured = top_rows(histogram, rows=wanted)
    return (captured / wanted) / (histogram.positive_rows / histogram.rows)


_METRICS = (
    Metric("accuracy", accuracy, True, "Share of rows on the right side of 0.5."),
    Metric(
        "auc",
        auc,
        True,
        "Area under the ROC curve: probability that a positive outranks a negative.",
    ),
    Metric(
        "average_precision",
        average_precision,
        True,
        "Mean precision over steps of recall, without interpolation.",
    ),
    Metric(
        "ks",
        ks,
        True,
        "Largest distance between the classes' cumulative score distributions.",
    ),
    Metric("gini", gini, True, "2 AUC - 1."),
    Metric("log_loss", log_loss, False, "Mean binary cross-entropy, in nats."),
    Metric("brier", brier, False, "Mean squared distance of probability and label."),
    Metric(
        "ece",
        ece,
        False,
        "Expected calibration error over 15 equal-width bins of the probability.",
    ),
    Metric(
        "recall_at_fpr_1",
        functools.partial(recall_at_fpr, max_fpr=0.01),
        True,
        "Largest recall at a false-positive rate of at most 1 %.",
    ),
    Metric(
        "lift_at_10",
        functools.partial(lift, top=0.1),
        True,
        "Positive rate among the 10 % highest scores over that of all rows.",
    ),
)
METRICS: Mapping[str, Metric[ScoreHistogram]] = MappingProxyType(
    {m.name: m for m in _METRICS}
)
"""Every metric by its name in results, in the order of tables."""


def all_metrics(
    histogram: ScoreHistogram,
    metrics: Mapping[str, Metric[ScoreHistogram]] = METRICS,
) -> dict[str, Value]:
    """Returns every metric of `metrics` by name, in that order."""
    return {name: metric.compute(histogram) for name, metric in metrics.items()}


def _area(negatives: NDArray[np.int64], positives: NDArray[np.int64]) -> float:
    """Returns the share of pairs ranked right, ties counted half."""
    concordant, tied = _pairs(negatives, positives)
    return (2 * concordant + tied) / (2 * int(negatives.sum()) * int(positives.sum()))


def _pairs(
    negatives: NDArray[np.int64], positives: NDArray[np.int64]
) -> tuple[int, int]:
    """Returns the pairs ranked right, and those tied, as exact integers."""
    # Python's integers: two billion rows of each class are 4e18 pairs, close to
    # the end of int64, and a float would round what bounds must contain.
    each = positives.tolist()
    below = (np.cumsum(negatives) - negatives).tolist()
    concordant = sum(map(operator.mul, each, below))
    tied = sum(map(operator.mul, each, negatives.tolist()))
    return concordant, tied

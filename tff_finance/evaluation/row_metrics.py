"""Metrics of weighted rows, fast over many weightings of the same rows.

What score histograms give once, a bootstrap needs a thousand times, with other
weights and the same scores. So a metric is prepared with labels and scores, once,
and then evaluated for batches of weights. Definitions as in `metrics.derived`, but
only equal scores are tied here, not all within a bin: values of `auc` and
`average_precision` may differ by what the bins hide, at most `auc_bounds`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import scipy.special
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

Evaluate = Callable[[_Floats], _Floats]
"""From weights of rows, not negative, [some, rows], to a value for each, [some]."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowMetric:
    """A metric of weighted rows.

    Attributes:
        prepare: From labels and logits, float64[rows] both, to `Evaluate`.
        needs_both_classes: Whether it exists only if rows of both labels do.
    """

    prepare: Callable[[_Floats, _Floats], Evaluate]
    needs_both_classes: bool


def row_metric(
    function: Callable[[_Floats, _Floats, _Floats], float],
    *,
    needs_both_classes: bool = True,
) -> RowMetric:
    """Makes a metric of any function of labels, logits and weights.

    Called once per resample, so only as fast as the function.

    Args:
        function: From labels, logits and weights, float64[rows] each, to the value.
        needs_both_classes: Whether it exists only if rows of both labels do.

    Returns:
        The metric.
    """

    def prepare(labels: _Floats, logits: _Floats) -> Evaluate:
        return lambda weights: np.array([function(labels, logits, w) for w in weights])

    return RowMetric(prepare=prepare, needs_both_classes=needs_both_classes)


def _accuracy(labels: _Floats, logits: _Floats) -> Evaluate:
    # Probability 0.5 itself counts as predicted positive.
    return _average((logits >= 0) == (labels == 1))


def _log_loss(labels: _Floats, logits: _Floats) -> Evaluate:
    return _average(np.logaddexp(0, _wrong(labels, logits)))


def _brier(labels: _Floats, logits: _Floats) -> Evaluate:
    return _average(scipy.special.expit(_wrong(labels, logits)) ** 2)


def _auc(labels: _Floats, logits: _Floats) -> Evaluate:
    is_positive = labels == 1
    negatives = _Ranking(np.flatnonzero(~is_positive), logits)
    positives = np.flatnonzero(is_positive)
    lower = negatives.rows_below(logits[positives])
    not_higher = negatives.rows_below(logits[positives], or_equal=True)
    has_ties = bool(np.any(lower != not_higher))

    def evaluate(weights: _Floats) -> _Floats:
        below = negatives.cumulative(weights)
        pairs = below.take(lower, axis=1)
        if has_ties:  # half a pair each
            pairs = (pairs + below.take(not_higher, axis=1)) / 2
        of_positives = weights.take(positives, axis=1)
        right = np.einsum("ij,ij->i", pairs, of_positives)
        return right / (below[:, -1] * of_positives.sum(axis=1))

    return evaluate


def _average_precision(labels: _Floats, logits: _Floats) -> Evaluate:
    is_positive = labels == 1
    negatives = _Ranking(np.flatnonzero(~is_positive), logits)
    positives = _Ranking(np.flatnonzero(is_positive), logits)
    thresholds = logits[positives.rows]
    false_below = negatives.rows_below(thresholds)
    true_below = positives.rows_below(thresholds)

    def evaluate(weights: _Floats) -> _Floats:
        true, false = positives.cumulative(weights), negatives.cumulative(weights)
        hits = true[:, -1:] - true.take(true_below, axis=1)
        flagged = hits + false[:, -1:] - false.take(false_below, axis=1)
        # Nothing flagged: the threshold's own rows weigh nothing either.
        precision = hits / np.where(flagged > 0, flagged, 1)
        steps = weights.take(positives.rows, axis=1)
        return np.einsum("ij,ij->i", precision, steps) / true[:, -1]

    return evaluate


ROW_METRICS: Mapping[str, RowMetric] = MappingProxyType(
    {
        "accuracy": RowMetric(prepare=_accuracy, needs_both_classes=False),
        "auc": RowMetric(prepare=_auc, needs_both_classes=True),
        "average_precision": RowMetric(
            prepare=_average_precision, needs_both_classes=True
        ),
        "log_loss": RowMetric(prepare=_log_loss, needs_both_classes=False),
        "brier": RowMetric(prepare=_brier, needs_both_classes=False),
    }
)
"""By the names of `metrics.derived.METRICS`."""


class _Ranking:
    """Some rows in ascending order of their scores."""

    def __init__(self, rows: NDArray[np.int64], logits: _Floats) -> None:
        self.rows = rows[np.argsort(logits[rows], kind="stable")]
        self._sorted = logits[self.rows]

    def rows_below(
        self, thresholds: _Floats, *, or_equal: bool = False
    ) -> NDArray[np.int64]:
        """How many of the rows score lower than each threshold."""
        side = "right" if or_equal else "left"
        return np.searchsorted(self._sorted, thresholds, side=side)

    def cumulative(self, weights: _Floats) -> _Floats:
        """Weight of the lowest 0, 1, ... all rows, [some, rows + 1]."""
        sums = np.zeros((len(weights), self.rows.size + 1))
        np.cumsum(weights.take(self.rows, axis=1), axis=1, out=sums[:, 1:])
        return sums


def _wrong(labels: _Floats, logits: _Floats) -> _Floats:
    """The logit of the class that a row does not have."""
    return np.where(labels == 1, -logits, logits)


def _average(losses: NDArray) -> Evaluate:
    per_row = losses.astype(np.float64)
    return lambda weights: weights @ per_row / weights.sum(axis=1)

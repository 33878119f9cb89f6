"""Rows selected from the top of a score histogram.

A selection by threshold ends on an edge of the bins. One by number of rows may
end within a bin: its rows are tied, and as many of each kind count as a random
choice among them is expected to hold.
"""

import numpy as np
from numpy.typing import NDArray

from tff_finance.metrics.score_histogram import ScoreHistogram


def flagged_from_the_top(
    histogram: ScoreHistogram,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns true and false positives for each threshold, highest first."""
    true_positives = np.cumsum(histogram.positives[::-1])
    false_positives = np.cumsum(histogram.negatives[::-1])
    return true_positives, false_positives


def top_rows(histogram: ScoreHistogram, *, rows: float) -> tuple[float, float]:
    """Returns expected negatives and positives among the highest scores.

    Args:
        histogram: Any histogram.
        rows: How many rows to take from the top; all if there are fewer.

    Returns:
        Negatives and positives among them.
    """
    taken = taken_shares((histogram.negatives + histogram.positives)[::-1], rows)
    negatives = float(np.dot(taken, histogram.negatives[::-1]))
    return negatives, float(np.dot(taken, histogram.positives[::-1]))


def taken_shares(counts: NDArray[np.int64], rows: float) -> NDArray[np.float64]:
    """Returns the share of each bin that a selection from the top takes.

    Args:
        counts: Rows by bin, highest scores first, int64[..., bins].
        rows: How many to take; all if there are fewer.

    Returns:
        1 for bins before the last one taken from, 0 after it, float64[..., bins].
    """
    already = np.cumsum(counts, axis=-1) - counts
    return np.clip((rows - already) / np.maximum(counts, 1), 0, 1)

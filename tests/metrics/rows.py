"""Metrics straight from pooled rows, as NumPy gives them; what histograms must match.

Rows within a bin of the score histogram are tied there. Ordered with their
positives first and last, they bound what any order of theirs could give.
"""

import numpy as np
from hypothesis import strategies as st

from tff_finance.metrics.score_histogram import logit_edges

# Multiples of half a bin make ties, within bins and on edges, likely.
logit_values = st.one_of(
    st.integers(-60, 60).map(lambda halves: halves / 256),
    st.floats(-20, 20, allow_subnormal=False),
    st.sampled_from([-1e30, -16.0, -0.0, 0.0, 15.9999, 16.0, 1e30]),
)


def bins_of(logits):
    """Each row's bin, by search among the edges."""
    return np.searchsorted(logit_edges()[1:-1], logits, side="right")


def ranked(logits, labels, *, positives_first):
    """Rows from the highest bin down, tied ones as told."""
    tie = labels if positives_first else 1 - np.asarray(labels)
    return np.lexsort((-np.asarray(tie), -bins_of(logits)))


def within(value, bounds):
    """Whether a value lies between two, up to rounding."""
    low, high = min(bounds), max(bounds)
    return low - 1e-9 <= value <= high + 1e-9

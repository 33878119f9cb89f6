"""ROC, precision-recall, calibration and distributions from score histograms."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tff_finance.metrics.score_histogram import LOGIT_BINS, LOGIT_BOUND
from tff_finance.records.run_rows import HistogramRow

Array = NDArray[np.float64]

# Where curves are read off; denser where ROC curves bend.
GRID = np.concatenate([np.linspace(0, 0.05, 26)[:-1], np.linspace(0.05, 1, 96)])
CALIBRATION_BINS = 10
MIN_CALIBRATION_ROWS = 100
# In logits: near 0 and 1 probabilities lie too close to be told apart.
DISTRIBUTION_EDGES = np.linspace(-16, 16, 33)

_CENTRES = (np.arange(LOGIT_BINS) + 0.5) / LOGIT_BINS * 2 * LOGIT_BOUND - LOGIT_BOUND
_PROBABILITIES = 1.0 / (1.0 + np.exp(-_CENTRES))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curves:
    """Curves of one method over all institutions' test rows.

    Attributes:
        recall: Mean recall at the false-positive rates of `GRID`.
        precision: Mean precision at the recalls of `GRID`.
        predicted: Mean probability in each calibration bin that has enough rows.
        observed: Share of positives in the same bins.
    """

    recall: Array
    precision: Array
    predicted: Array
    observed: Array


class ScoreHistograms:
    """A record's histograms by method, seed and model."""

    def __init__(self, rows: Iterable[HistogramRow]) -> None:
        self._counts: dict[tuple[str, int, str, str], NDArray[np.int64]] = {}
        for row in rows:
            key = (row.method, row.seed, row.model, row.institution)
            counts = self._counts.get(key)
            if counts is None:
                counts = self._counts[key] = np.zeros((2, LOGIT_BINS), np.int64)
            counts[:, row.bin] = row.negatives, row.positives

    def curves(self, method: str) -> Curves | None:
        """Means over seeds and models; None if a class is missing somewhere."""
        tables = self._pooled(method)
        if not tables or any(0 in table.sum(axis=1) for table in tables):
            return None
        predicted, observed = _calibration(np.sum(tables, axis=0))
        return Curves(
            recall=np.mean([_roc(table) for table in tables], axis=0),
            precision=np.mean([_precision(table) for table in tables], axis=0),
            predicted=predicted,
            observed=observed,
        )

    def distribution(
        self, method: str, institution: str, *, foreign: bool = False
    ) -> tuple[Array, Array] | None:
        """Share of each class by score, negatives first.

        Args:
            method: Name of the method.
            institution: Whose test rows, over all seeds.
            foreign: Take the other institutions' own models, not the
                institution's own or the one that all share.

        Returns:
            Two arrays over the bins between `DISTRIBUTION_EDGES` that add up to 1,
            scores beyond counted in the end bins; None if a class is missing.
        """
        wanted = {"global", institution}
        tables = [
            counts
            for (name, _, model, holder), counts in self._counts.items()
            if name == method and holder == institution
            if (model not in wanted) == foreign
        ]
        if not tables:
            return None
        total = np.sum(tables, axis=0)
        if 0 in total.sum(axis=1):
            return None
        inside = np.clip(_CENTRES, *DISTRIBUTION_EDGES[[0, -1]] * 0.999)
        index = np.searchsorted(DISTRIBUTION_EDGES, inside, side="right") - 1
        bins = len(DISTRIBUTION_EDGES) - 1
        negatives, positives = (
            np.bincount(index, counts, bins) / counts.sum() for counts in total
        )
        return negatives, positives

    def _pooled(self, method: str) -> list[NDArray[np.int64]]:
        """One table per seed and model, summed over institutions."""
        sums: dict[tuple[int, str], NDArray[np.int64]] = {}
        for (name, seed, model, _), counts in self._counts.items():
            if name == method:
                sums[seed, model] = sums.get((seed, model), 0) + counts
        return list(sums.values())


def _from_the_top(table: NDArray[np.int64]) -> tuple[Array, Array]:
    """True and false positives flagged by each threshold, highest first, from 0."""
    flagged = np.cumsum(table[:, ::-1], axis=1, dtype=np.float64)
    negatives, positives = np.concatenate([np.zeros((2, 1)), flagged], axis=1)
    return positives, negatives


def _roc(table: NDArray[np.int64]) -> Array:
    positives, negatives = _from_the_top(table)
    # Many thresholds share a false-positive rate; the last has the most recall.
    last = np.searchsorted(negatives, negatives, side="right") - 1
    keep = np.unique(last)
    return np.interp(
        GRID, negatives[keep] / negatives[-1], positives[keep] / positives[-1]
    )


def _precision(table: NDArray[np.int64]) -> Array:
    positives, negatives = _from_the_top(table)
    # The first threshold that flags anybody stands for recall 0.
    first = int(np.argmax(positives + negatives > 0))
    positives, negatives = positives[first:], negatives[first:]
    precision = positives / (positives + negatives)
    # Rounding must not ask for more recall than there is.
    wanted = np.minimum(GRID * positives[-1], positives[-1])
    return precision[np.searchsorted(positives, wanted, side="left")]


def _calibration(table: NDArray[np.int64]) -> tuple[Array, Array]:
    index = _bins(CALIBRATION_BINS)
    rows = table.sum(axis=0)
    totals = np.bincount(index, rows, CALIBRATION_BINS)
    scores = np.bincount(index, rows * _PROBABILITIES, CALIBRATION_BINS)
    positives = np.bincount(index, table[1], CALIBRATION_BINS)
    enough = totals >= MIN_CALIBRATION_ROWS
    return scores[enough] / totals[enough], positives[enough] / totals[enough]


def _bins(number: int) -> NDArray[np.int64]:
    """The equal-width bin of probability of each histogram bin."""
    return np.minimum((_PROBABILITIES * number).astype(np.int64), number - 1)

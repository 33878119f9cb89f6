"""Score histograms: what an institution tells about its rows under a model.

AUC, average precision and KS are not averages over institutions, so averaging
them is wrong. They follow from how many negatives and positives fall on each
score, and these counts add up: the sum of the institutions' histograms is the
histogram of their pooled rows, which nobody ever sees. Sums that would lose
accuracy in bins (log loss, Brier score, calibration) are carried exactly.

A histogram is still a release. A bin that holds a single row shows that row's
score and label, so untrusted servers should receive only the secure sum.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

LOGIT_BINS = 4096
"""Bins, uniform in the logit: uniform bins of the probability put nearly all
scores of a rare class into the lowest few, and lose 0.01 AUC on fraud scores."""

LOGIT_BOUND = 16.0
"""Bins span logits from -16 to 16; scores beyond fall into the end bins.

Above 16.6 a float32 probability is 1, and below -16 it is under 1.2e-7: no
decision is made out there. A power of two makes every edge exact in binary: no
rounding moves a row to another bin, and probability 0.5 (logit 0) is an edge."""

BINS_PER_LOGIT = LOGIT_BINS / (2 * LOGIT_BOUND)
"""128 bins per unit of the logit."""

FIRST_POSITIVE_BIN = LOGIT_BINS // 2
"""Bins are closed below, so logit 0 lies in this one: predicted positive."""

CALIBRATION_BINS = 15
"""Equal-width bins of the probability for the expected calibration error, as
in Guo et al. (2017), https://arxiv.org/abs/1706.04599."""

_counts_below = np.arange(1, CALIBRATION_BINS)
CALIBRATION_LOGIT_EDGES = np.log(_counts_below / (CALIBRATION_BINS - _counts_below))
"""Inner edges k/15 of the calibration bins as logits, float64[14]. Comparing
logits, not probabilities, keeps a row's bin free of rounding in the sigmoid."""
CALIBRATION_LOGIT_EDGES.setflags(write=False)

# How far a sum of n rounded terms may leave its exact range, relative to n.
_SUM_SLACK = 1e-9

_COUNT_SIZES: Mapping[str, int] = MappingProxyType(
    {
        "negatives": LOGIT_BINS,
        "positives": LOGIT_BINS,
        "calibration_counts": CALIBRATION_BINS,
        "calibration_positives": CALIBRATION_BINS,
    }
)
_SCALAR_FIELDS = ("log_loss_sum", "brier_sum")


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Counts and sums of one table's scores; tables add up with `+`.

    Bin `i` of `negatives` and `positives` holds logits in `[-16 + i / 128,
    -16 + (i + 1) / 128)`; logits beyond fall into the end bins. Calibration bin
    `k` holds probabilities in `[k / 15, (k + 1) / 15)`, the last one 1 as well.

    Arrays are copied and read-only. `==` is exact.

    Attributes:
        negatives: Rows of label 0 by logit bin, int64[4096].
        positives: Rows of label 1 by logit bin, int64[4096].
        log_loss_sum: Sum over rows of the binary cross-entropy, in nats.
        brier_sum: Sum over rows of (probability - label) squared.
        calibration_counts: Rows by calibration bin, int64[15].
        calibration_positives: Rows of label 1 by calibration bin, int64[15].
        calibration_score_sums: Sums of probabilities by calibration bin,
            float64[15].

    Raises:
        TypeError: If an array has another dtype or a sum is not a number.
        ValueError: If an array has another shape, a count is negative, a sum is
            not finite or impossible for so many rows, or the counts disagree.
    """

    negatives: NDArray[np.int64]
    positives: NDArray[np.int64]
    log_loss_sum: float
    brier_sum: float
    calibration_counts: NDArray[np.int64]
    calibration_positives: NDArray[np.int64]
    calibration_score_sums: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Checks every field, also against the others."""
        for name, size in _COUNT_SIZES.items():
            counts = _checked_array(name, getattr(self, name), size, np.int64)
            object.__setattr__(self, name, counts)
        for name in _SCALAR_FIELDS:
            total = _checked_sum(name, getattr(self, name))
            object.__setattr__(self, name, total)
        score_sums = _checked_array(
            "calibration_score_sums",
            self.calibration_score_sums,
            CALIBRATION_BINS,
            np.float64,
        )
        object.__setattr__(self, "calibration_score_sums", score_sums)
        _check_agreement(self)

    @classmethod
    def zero(cls) -> "ScoreHistogram":
        """Returns the histogram of no rows."""
        return cls(
            **{name: np.zeros(size, np.int64) for name, size in _COUNT_SIZES.items()},
            **dict.fromkeys(_SCALAR_FIELDS, 0.0),
            calibration_score_sums=np.zeros(CALIBRATION_BINS, np.float64),
        )

    @property
    def negative_rows(self) -> int:
        """Rows of label 0."""
        return int(self.negatives.sum())

    @property
    def positive_rows(self) -> int:
        """Rows of label 1."""
        return int(self.positives.sum())

    @property
    def rows(self) -> int:
        """All rows."""
        return self.negative_rows + self.positive_rows

    def __add__(self, other: object) -> "ScoreHistogram":
        """Returns the histogram of both tables' rows together."""
        if not isinstance(other, ScoreHistogram):
            return NotImplemented
        names = [field.name for field in dataclasses.fields(self)]
        return ScoreHistogram(
            **{name: getattr(self, name) + getattr(other, name) for name in names}
        )

    def __eq__(self, other: object) -> bool:
        """Returns whether every count and sum is the same, exactly."""
        if not isinstance(other, ScoreHistogram):
            return NotImplemented
        names = [field.name for field in dataclasses.fields(self)]
        return all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in names
        )

    # A value with arrays inside is no dictionary key.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Returns the row counts; 8,222 numbers help nobody."""
        return (
            f"ScoreHistogram(negative_rows={self.negative_rows}, "
            f"positive_rows={self.positive_rows})"
        )


def logit_edges() -> NDArray[np.float64]:
    """Returns the edges of the logit bins, ascending, float64[4097]."""
    return np.arange(LOGIT_BINS + 1) / BINS_PER_LOGIT - LOGIT_BOUND


def _checked_array(name: str, value: object, size: int, dtype: type) -> np.ndarray:
    """Returns a read-only copy of an array with the given size and dtype."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        kind = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"`{name}` must be a {dtype.__name__} array, got {kind}.")
    if value.shape != (size,):
        raise ValueError(f"`{name}` must have shape ({size},), got {value.shape}.")
    # A comparison, not `any(value < 0)`: it refuses NaN as well.
    bad = np.flatnonzero(~((value >= 0) & np.isfinite(value)))
    if bad.size:
        raise ValueError(
            f"`{name}` must be finite and not negative, got {value[bad[0]]} in bin "
            f"{bad[0]}."
        )
    copy = value.copy()
    copy.setflags(write=False)
    return copy


def _checked_sum(name: str, value: object) -> float:
    """Returns a sum of non-negative terms as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"`{name}` must be a number, got {type(value).__name__}.")
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"`{name}` must be finite and not negative, got {value}.")
    return float(value)


def _check_agreement(histogram: ScoreHistogram) -> None:
    """Raises ValueError if no table could have these counts and sums."""
    counts, positives = histogram.calibration_counts, histogram.calibration_positives
    if counts.sum() != histogram.rows:
        raise ValueError(
            f"`calibration_counts` hold {counts.sum()} rows, but `negatives` and "
            f"`positives` {histogram.rows}."
        )
    if positives.sum() != histogram.positive_rows or np.any(positives > counts):
        raise ValueError(
            "`calibration_positives` must add up to `positives` and be at most "
            "`calibration_counts` in every bin."
        )
    if np.any(histogram.calibration_score_sums > counts * (1 + _SUM_SLACK)):
        raise ValueError(
            "`calibration_score_sums` must be at most `calibration_counts`: each "
            "row adds a probability."
        )
    if histogram.brier_sum > histogram.rows * (1 + _SUM_SLACK):
        raise ValueError(
            f"`brier_sum` must be at most the {histogram.rows} rows, got "
            f"{histogram.brier_sum}."
        )

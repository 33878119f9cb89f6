"""Score histograms by day: what a team with so many alerts a day is judged by.

The number of alerts is fixed for each day, so days can't be summed before alerts
are chosen. Institutions agree on the days beforehand; then their histograms add
up day by day. Amounts are carried in minor units (cents), as integers: they add
up exactly, and secure sums take integers.

A histogram is a release, and one by day a finer one: most bins of a day hold a
single row. Untrusted servers should receive only the secure sum.
"""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tff_finance import checks
from tff_finance.metrics.score_histogram import (
    BINS_PER_LOGIT,
    FIRST_POSITIVE_BIN,
    LOGIT_BINS,
)

_MINOR_UNITS = 100
_ARRAYS = ("negatives", "positives", "positive_amounts")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class DailyHistogram:
    """Counts of one table's scores by day; tables of the same days add up with `+`.

    Bins are those of `ScoreHistogram`. A row is a payment, or a card on a day.
    Arrays are copied and read-only. `==` is exact.

    Attributes:
        first_day: Number of the first day.
        negatives: Rows of label 0 by day and logit bin, int64[days, 4096].
        positives: Rows of label 1 by day and logit bin, int64[days, 4096].
        positive_amounts: Amounts of the rows of label 1, in minor units, by day and
            logit bin, int64[days, 4096]; zeros where amounts are not known.

    Raises:
        TypeError: If an array is not int64.
        ValueError: If an array has another shape or a number is negative, or if
            there is an amount where there is no positive row.
    """

    first_day: int
    negatives: NDArray[np.int64]
    positives: NDArray[np.int64]
    positive_amounts: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Checks every field, also against the others."""
        for name in _ARRAYS:
            counts = _checked(name, getattr(self, name), len(self.negatives))
            object.__setattr__(self, name, counts)
        if np.any((self.positive_amounts > 0) & (self.positives == 0)):
            raise ValueError(
                "`positive_amounts` must be 0 where `positives` has no row."
            )

    @classmethod
    def zero(cls, *, first_day: int, days: int) -> "DailyHistogram":
        """Returns the histogram of no rows on so many days."""
        checks.check_at_least("days", days, 1)
        return cls(
            first_day=first_day,
            **{name: np.zeros((days, LOGIT_BINS), np.int64) for name in _ARRAYS},
        )

    @property
    def days(self) -> int:
        """Number of days."""
        return len(self.negatives)

    @property
    def positive_rows(self) -> int:
        """Rows of label 1 on all days."""
        return int(self.positives.sum())

    @property
    def rows(self) -> int:
        """All rows on all days."""
        return int(self.negatives.sum()) + self.positive_rows

    def __add__(self, other: object) -> "DailyHistogram":
        """Returns the histogram of both tables' rows together."""
        if not isinstance(other, DailyHistogram):
            return NotImplemented
        if (self.first_day, self.days) != (other.first_day, other.days):
            raise ValueError(
                "Histograms must have the same days to be added, got "
                f"{self.days} from day {self.first_day} and {other.days} from day "
                f"{other.first_day}."
            )
        return DailyHistogram(
            first_day=self.first_day,
            **{name: getattr(self, name) + getattr(other, name) for name in _ARRAYS},
        )

    def __eq__(self, other: object) -> bool:
        """Returns whether days and every count are the same."""
        if not isinstance(other, DailyHistogram):
            return NotImplemented
        return self.first_day == other.first_day and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in _ARRAYS
        )

    # A value with arrays inside is no dictionary key.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Returns days and row counts."""
        return (
            f"DailyHistogram(first_day={self.first_day}, days={self.days}, "
            f"rows={self.rows}, positive_rows={self.positive_rows})"
        )


def daily_histogram(
    logits: ArrayLike,
    labels: ArrayLike,
    day: ArrayLike,
    *,
    first_day: int,
    days: int,
    amounts: ArrayLike | None = None,
) -> DailyHistogram:
    """Returns the histogram by day of scored rows.

    Args:
        logits: Log-odds of label 1, real[n]; n may be 0.
        labels: 0 or 1, [n].
        day: Number of each row's day, integer[n].
        first_day: Number of the first day that all institutions agreed on.
        days: How many days; every row is on one of them.
        amounts: In units of the currency, real[n], not negative; rounded to
            hundredths. None leaves amounts 0.

    Returns:
        The histogram.

    Raises:
        ValueError: If a logit or amount is not finite, a label not 0 or 1, a day
            outside the days, an amount negative, or if the numbers of rows differ.
    """
    logits, is_positive = checked_scores(logits, labels)
    places = checked_days(day, len(logits), first_day=first_day, days=days)
    cells = places * LOGIT_BINS + logit_bin(logits)

    def table(of: NDArray) -> NDArray[np.int64]:
        counts = np.bincount(cells[of], minlength=days * LOGIT_BINS)
        return counts.astype(np.int64).reshape(days, LOGIT_BINS)

    minor = np.zeros(days * LOGIT_BINS, np.int64)
    if amounts is not None:
        # Not `bincount` with weights, which adds as floats.
        np.add.at(minor, cells[is_positive], _minor(amounts, len(logits))[is_positive])
    return DailyHistogram(
        first_day=first_day,
        negatives=table(~is_positive),
        positives=table(is_positive),
        positive_amounts=minor.reshape(days, LOGIT_BINS),
    )


def logit_bin(logits: NDArray) -> NDArray[np.int64]:
    """Returns the index of each finite logit's bin, as `ScoreHistogram` has bins."""
    bins = np.floor(np.asarray(logits, np.float64) * BINS_PER_LOGIT)
    return np.clip(bins + FIRST_POSITIVE_BIN, 0, LOGIT_BINS - 1).astype(np.int64)


def checked_scores(
    logits: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Returns logits [n] and whether each row is positive; ValueError if unusable."""
    scores, truth = np.asarray(logits, np.float64), np.asarray(labels)
    if scores.ndim != 1 or truth.shape != scores.shape:
        raise ValueError(
            f"`logits` and `labels` must be [n], got {scores.shape} and {truth.shape}."
        )
    if bad := int(np.sum(~np.isfinite(scores))):
        raise ValueError(f"`logits` must be finite, {bad} of them aren't.")
    if bad := int(np.sum(~np.isin(truth, (0, 1)))):
        raise ValueError(f"`labels` must be 0 or 1, {bad} of them aren't.")
    return scores, truth == 1


def checked_days(
    day: ArrayLike, rows: int, *, first_day: int, days: int
) -> NDArray[np.int64]:
    """Returns each row's day counted from the first; ValueError if it has none."""
    checks.check_at_least("days", days, 1)
    numbers = np.asarray(day)
    if numbers.shape != (rows,) or (rows and numbers.dtype.kind not in "iu"):
        raise ValueError(
            f"`day` must be integer[{rows}], got {numbers.dtype}{list(numbers.shape)}."
        )
    places = numbers.astype(np.int64) - first_day
    if outside := int(np.sum((places < 0) | (places >= days))):
        raise ValueError(
            f"`day` must be from {first_day} to {first_day + days - 1}, {outside} of "
            f"{rows} aren't."
        )
    return places


def _minor(amounts: ArrayLike, rows: int) -> NDArray[np.int64]:
    values = np.asarray(amounts, np.float64)
    if values.shape != (rows,):
        raise ValueError(f"`amounts` must be [{rows}], got {values.shape}.")
    if bad := int(np.sum(~(np.isfinite(values) & (values >= 0)))):
        raise ValueError(
            f"`amounts` must be finite and not negative, {bad} of them aren't."
        )
    return np.round(values * _MINOR_UNITS).astype(np.int64)


def _checked(name: str, value: object, days: int) -> NDArray[np.int64]:
    """Returns a read-only copy of counts by day and bin."""
    if not isinstance(value, np.ndarray) or value.dtype != np.int64:
        kind = getattr(value, "dtype", type(value).__name__)
        raise TypeError(f"`{name}` must be an int64 array, got {kind}.")
    if value.shape != (days, LOGIT_BINS) or not days:
        raise ValueError(
            f"`{name}` must have shape [days, {LOGIT_BINS}], as many days as "
            f"`negatives`, got {value.shape}."
        )
    if np.any(value < 0):
        raise ValueError(f"`{name}` must not be negative, got {value.min()}.")
    copy = value.copy()
    copy.setflags(write=False)
    return copy

"""A measured number with the interval that its sample allows."""

import dataclasses
import math

import scipy.stats

from tff_finance import checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What an attack achieved.

    Attributes:
        value: None if undefined.
        low: Lower limit of the 95 % interval; None if there is none.
        high: Upper limit, likewise.
        trials: Rows, records or runs that it rests on.
        reason: Why value or limits are missing; empty if they aren't.
    """

    value: float | None
    trials: int
    low: float | None = None
    high: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuses NaN, and a missing value without a reason."""
        if self.value is None and not self.reason:
            raise ValueError("`reason` must say why a value is undefined.")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"`value` must be finite or None, got {self.value!r}.")


def share(hits: int, trials: int, *, confidence: float = 0.95) -> Estimate:
    """A share of independent trials with its Clopper-Pearson interval.

    Args:
        hits: Of the trials.
        trials: At least one.
        confidence: Of the interval.

    Returns:
        The share.

    Raises:
        ValueError: If there are no trials or more hits than trials.
    """
    checks.check_at_least("trials", trials, 1)
    checks.check_in_range("hits", hits, 0, trials)
    limits = scipy.stats.binomtest(hits, trials).proportion_ci(confidence)
    return Estimate(
        value=hits / trials,
        low=float(limits.low),
        high=float(limits.high),
        trials=trials,
    )

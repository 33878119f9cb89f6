"""What a lender decides by: bad rate at an approval rate, and expected cost.

A score is the logit of default, so that lenders approve the lowest scores. KS
and Gini are in `tff_finance.metrics.derived`.
"""

import dataclasses
import functools
import math

from tff_finance import checks
from tff_finance.metrics.score_histogram import (
    BINS_PER_LOGIT,
    FIRST_POSITIVE_BIN,
    LOGIT_BINS,
    ScoreHistogram,
)
from tff_finance.metrics.selection import top_rows
from tff_finance.metrics.values import NO_ROWS, Metric, Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostMatrix:
    """What a wrong decision costs; a right one costs nothing.

    Attributes:
        bad_called_good: Cost of approving an applicant who defaults.
        good_called_bad: Cost of refusing one who would have paid.
    """

    bad_called_good: float
    good_called_bad: float

    def __post_init__(self) -> None:
        """Refuses costs that are not positive."""
        checks.check_positive("bad_called_good", self.bad_called_good)
        checks.check_positive("good_called_bad", self.good_called_bad)

    @property
    def threshold_logit(self) -> float:
        """Logit from which refusing costs less, if probabilities are calibrated.

        Refusing costs `(1 - p) good_called_bad`, approving `p bad_called_good`.
        """
        return math.log(self.good_called_bad / self.bad_called_good)


STATLOG_COSTS = CostMatrix(bad_called_good=5, good_called_bad=1)
"""The cost matrix of the German credit table, where approving a bad applicant
costs five times as much as refusing a good one. Source: UCI Machine Learning
Repository, Statlog (German Credit Data), DOI 10.24432/C5NC77."""


def bad_rate_at_approval(histogram: ScoreHistogram, *, approved: float) -> Value:
    """Returns the share of defaults if the lowest scores are approved.

    Approval may end within a bin. Its rows are tied, so as many defaults count
    as a random choice among them is expected to hold.

    Args:
        histogram: Any histogram.
        approved: Share of all rows that is approved, above 0 up to 1; at 1 the
            result is the default rate.

    Returns:
        Defaults among the approved, or Undefined without rows.

    Raises:
        ValueError: If `approved` is not above 0 and at most 1.
    """
    checks.check_positive("approved", approved)
    checks.check_in_range("approved", approved, 0, 1)
    if histogram.rows == 0:
        return NO_ROWS
    _, refused = top_rows(histogram, rows=(1 - approved) * histogram.rows)
    return (histogram.positive_rows - refused) / (approved * histogram.rows)


def expected_cost(
    histogram: ScoreHistogram,
    *,
    costs: CostMatrix,
    threshold_logit: float | None = None,
) -> Value:
    """Returns the mean cost of decisions by a threshold, per applicant.

    The threshold is moved to the nearest edge of the bins, by at most 1/256 in the
    logit (0.001 in the probability), where decisions can be counted exactly.

    Args:
        histogram: Any histogram.
        costs: What wrong decisions cost.
        threshold_logit: Applicants are refused from this logit on; None takes the
            one that costs least for calibrated probabilities.

    Returns:
        In the unit of the costs, or Undefined without rows.

    Raises:
        ValueError: If `threshold_logit` is not finite.
    """
    threshold = costs.threshold_logit if threshold_logit is None else threshold_logit
    if not math.isfinite(threshold):
        raise ValueError(f"`threshold_logit` must be finite, got {threshold}.")
    if histogram.rows == 0:
        return NO_ROWS
    edge = FIRST_POSITIVE_BIN + round(threshold * BINS_PER_LOGIT)
    edge = min(max(edge, 0), LOGIT_BINS)
    bad_called_good = int(histogram.positives[:edge].sum())
    good_called_bad = int(histogram.negatives[edge:].sum())
    total = (
        bad_called_good * costs.bad_called_good
        + good_called_bad * costs.good_called_bad
    )
    return total / histogram.rows


def credit_metrics(
    costs: CostMatrix = STATLOG_COSTS,
) -> tuple[Metric[ScoreHistogram], ...]:
    """The metrics of this module as results name them.

    Args:
        costs: What wrong decisions cost.

    Returns:
        `bad_rate_at_approval_80` and `expected_cost`.
    """
    return (
        Metric(
            "bad_rate_at_approval_80",
            functools.partial(bad_rate_at_approval, approved=0.8),
            False,
            "Share of defaults among the 80 % lowest scores.",
        ),
        Metric(
            "expected_cost",
            functools.partial(expected_cost, costs=costs),
            False,
            f"Mean cost of an applicant: {costs.bad_called_good:g} for a default "
            f"approved, {costs.good_called_bad:g} for a good applicant refused.",
        ),
    )

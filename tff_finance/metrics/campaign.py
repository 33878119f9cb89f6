"""What a campaign is decided by: response and profit by contacted fraction.

The customers with the highest scores are contacted. A contacted fraction may end
within a bin of the score histogram. Its rows are tied, so as many responses
count as a random choice among them is expected to hold. Lift is in
`tff_finance.metrics.derived`.
"""

import dataclasses
import functools

import numpy as np

from tff_finance import checks
from tff_finance.metrics.score_histogram import ScoreHistogram
from tff_finance.metrics.selection import flagged_from_the_top, top_rows
from tff_finance.metrics.values import (
    NO_ROWS,
    Metric,
    Undefined,
    Value,
    lacks_a_class,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CampaignEconomics:
    """What a campaign earns and costs, in one currency.

    Attributes:
        profit_per_response: Margin of a customer who responds, before the cost of
            the contact.
        cost_per_contact: Cost of contacting a customer.
    """

    profit_per_response: float
    cost_per_contact: float

    def __post_init__(self) -> None:
        """Refuses amounts that make no campaign."""
        checks.check_positive("profit_per_response", self.profit_per_response)
        checks.check_at_least("cost_per_contact", self.cost_per_contact, 0)


TEN_TO_ONE = CampaignEconomics(profit_per_response=10, cost_per_contact=1)
"""An illustration, in costs of a contact: one response in ten pays for itself."""


def response_rate(histogram: ScoreHistogram, *, contacted: float) -> Value:
    """Returns the share of responses among the contacted.

    Args:
        histogram: Any histogram.
        contacted: Share of all rows taken from the top, above 0 up to 1.

    Returns:
        The rate, or Undefined without rows.

    Raises:
        ValueError: If `contacted` is not above 0 and at most 1.
    """
    _check_contacted(contacted)
    if histogram.rows == 0:
        return NO_ROWS
    _, responses = top_rows(histogram, rows=contacted * histogram.rows)
    return responses / (contacted * histogram.rows)


def capture(histogram: ScoreHistogram, *, contacted: float) -> Value:
    """Returns the share of all responses that the contacted hold.

    Also called cumulative gain. Args and errors as `response_rate`; Undefined
    without responses.
    """
    _check_contacted(contacted)
    if histogram.positive_rows == 0:
        return lacks_a_class(histogram) or NO_ROWS
    _, responses = top_rows(histogram, rows=contacted * histogram.rows)
    return responses / histogram.positive_rows


def profit(
    histogram: ScoreHistogram, *, contacted: float, economics: CampaignEconomics
) -> Value:
    """Returns the profit of contacting a fraction, per customer of the table.

    Args:
        histogram: Any histogram.
        contacted: Share of all rows taken from the top, above 0 up to 1.
        economics: What a response earns and a contact costs.

    Returns:
        Per row, contacted or not, so that fractions and tables compare; times
        the rows it is the campaign's profit. Undefined without rows.

    Raises:
        ValueError: If `contacted` is not above 0 and at most 1.
    """
    _check_contacted(contacted)
    if histogram.rows == 0:
        return NO_ROWS
    contacts = contacted * histogram.rows
    _, responses = top_rows(histogram, rows=contacts)
    earned = responses * economics.profit_per_response
    return (earned - contacts * economics.cost_per_contact) / histogram.rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class BestContact:
    """The threshold at which a campaign would have earned most.

    Attributes:
        contacted: Share of all rows from the threshold on; 0 contacts nobody.
        profit: Per customer of the table.
    """

    contacted: float
    profit: float


def best_contact(
    histogram: ScoreHistogram, *, economics: CampaignEconomics
) -> BestContact | Undefined:
    """Returns the contacted fraction with the greatest profit.

    The greatest of many on the rows that chose it is too good to be true: choose
    on validation rows and report `profit` at that fraction of the test rows.

    Args:
        histogram: Any histogram.
        economics: What a response earns and a contact costs.

    Returns:
        The smallest of the best fractions, or Undefined without rows.
    """
    if histogram.rows == 0:
        return NO_ROWS
    responses, others = flagged_from_the_top(histogram)
    contacts = np.append(0, responses + others)
    earned = np.append(0, responses) * economics.profit_per_response
    profits = earned - contacts * economics.cost_per_contact
    best = int(np.argmax(profits))
    return BestContact(
        contacted=int(contacts[best]) / histogram.rows,
        profit=float(profits[best]) / histogram.rows,
    )


def campaign_metrics(
    economics: CampaignEconomics = TEN_TO_ONE,
) -> tuple[Metric[ScoreHistogram], ...]:
    """The metrics of this module as results name them.

    Args:
        economics: What a response earns and a contact costs.

    Returns:
        `response_rate_at_10`, `capture_at_10`, `capture_at_20`, `profit_at_10`.
    """
    return (
        Metric(
            "response_rate_at_10",
            functools.partial(response_rate, contacted=0.1),
            True,
            "Share of responses among the 10 % highest scores.",
        ),
        Metric(
            "capture_at_10",
            functools.partial(capture, contacted=0.1),
            True,
            "Share of all responses that the 10 % highest scores hold.",
        ),
        Metric(
            "capture_at_20",
            functools.partial(capture, contacted=0.2),
            True,
            "Share of all responses that the 20 % highest scores hold.",
        ),
        Metric(
            "profit_at_10",
            functools.partial(profit, contacted=0.1, economics=economics),
            True,
            "Profit per customer of contacting the 10 % highest scores: "
            f"{economics.profit_per_response:g} for a response, "
            f"{economics.cost_per_contact:g} less for a contact.",
        ),
    )


def _check_contacted(contacted: float) -> None:
    checks.check_positive("contacted", contacted)
    checks.check_in_range("contacted", contacted, 0, 1)

"""What a fraud team is judged by: alerts per day, amounts and cards found.

All from `DailyHistogram`, which institutions sum. A day's last alerts may fall
within a bin. Its rows are tied, so as many frauds, and as much of their amount,
count as a random choice among them is expected to hold. Average precision and
recall at a false-positive rate are in `tff_finance.metrics.derived`.
"""

import functools

import numpy as np
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.metrics.daily_histogram import DailyHistogram
from tff_finance.metrics.selection import taken_shares
from tff_finance.metrics.values import NO_ROWS, Metric, Undefined, Value

CARDS_PER_DAY = 100
"""Cards that a team checks each day, as in the Fraud Detection Handbook."""

NO_AMOUNT = Undefined("Positive rows have no amount.")


def recall_at_alerts(daily: DailyHistogram, *, alerts_per_day: int) -> Value:
    """Returns the share of all frauds among so many alerts each day.

    Each day's highest scores are the alerts; a day of fewer rows has fewer.

    Args:
        daily: Payments, or cards, by day.
        alerts_per_day: How many the team can check.

    Returns:
        The share over all days, or Undefined without a fraud.

    Raises:
        ValueError: If `alerts_per_day` is below 1.
    """
    checks.check_at_least("alerts_per_day", alerts_per_day, 1)
    if daily.positive_rows == 0:
        return _no_positives(daily)
    found = _alerted(daily, daily.positives, alerts_per_day)
    return float(found.sum()) / daily.positive_rows


def amount_recall_at_alerts(daily: DailyHistogram, *, alerts_per_day: int) -> Value:
    """Returns the share of the defrauded amount among so many alerts each day.

    Args and errors as `recall_at_alerts`; Undefined without a fraud of some amount.
    """
    checks.check_at_least("alerts_per_day", alerts_per_day, 1)
    amount = _total_amount(daily)
    if isinstance(amount, Undefined):
        return amount
    found = _alerted(daily, daily.positive_amounts, alerts_per_day)
    return float(found.sum()) / amount


def amount_recall_at_fpr(daily: DailyHistogram, *, max_fpr: float) -> Value:
    """Returns the largest recall by amount at a bounded false-positive rate.

    One threshold for all days, on an edge of the bins, as `derived.recall_at_fpr`
    for counts.

    Args:
        daily: Payments by day.
        max_fpr: Greatest admissible share of negatives flagged, 0 to 1.

    Returns:
        The share of the defrauded amount that is flagged, or Undefined without both
        classes or without an amount.

    Raises:
        ValueError: If `max_fpr` is not between 0 and 1.
    """
    checks.check_in_range("max_fpr", max_fpr, 0, 1)
    amount = _total_amount(daily)
    if isinstance(amount, Undefined):
        return amount
    if daily.rows == daily.positive_rows:
        return Undefined(f"All {daily.rows} rows are positive.")
    false_positives = np.cumsum(daily.negatives.sum(axis=0)[::-1])
    flagged = np.cumsum(daily.positive_amounts.sum(axis=0)[::-1])
    admissible = false_positives / false_positives[-1] <= max_fpr
    return int(np.max(flagged, where=admissible, initial=0)) / amount


def card_precision(cards: DailyHistogram, *, alerts_per_day: int) -> Value:
    """Returns card precision top-k: compromised cards among k checked, mean of days.

    Source: Le Borgne et al. (2022), Fraud Detection Handbook, chapter 4, "Precision
    top-k metrics". As there, the number found is divided by k even on a day on
    which fewer cards were used; days without a payment, which the book leaves out of
    the mean, count 0.

    Args:
        cards: From `card_alerts.daily_card_histogram` with the same k.
        alerts_per_day: Cards checked each day, k.

    Returns:
        The mean over days, or Undefined without a card.

    Raises:
        ValueError: If `alerts_per_day` is below 1.
    """
    checks.check_at_least("alerts_per_day", alerts_per_day, 1)
    if cards.rows == 0:
        return NO_ROWS
    found = _alerted(cards, cards.positives, alerts_per_day)
    return float(np.mean(found)) / alerts_per_day


PAYMENT_METRICS: tuple[Metric[DailyHistogram], ...] = (
    Metric(
        "recall_at_100_alerts",
        functools.partial(recall_at_alerts, alerts_per_day=100),
        True,
        "Share of frauds among the 100 highest scores of each day.",
    ),
    Metric(
        "amount_recall_at_100_alerts",
        functools.partial(amount_recall_at_alerts, alerts_per_day=100),
        True,
        "Share of the defrauded amount among the 100 highest scores of each day.",
    ),
    Metric(
        "amount_recall_at_fpr_1",
        functools.partial(amount_recall_at_fpr, max_fpr=0.01),
        True,
        "Largest recall by amount at a false-positive rate of at most 1 %.",
    ),
)
"""Metrics of payments by day."""

CARD_METRICS: tuple[Metric[DailyHistogram], ...] = (
    Metric(
        "card_precision_at_100",
        functools.partial(card_precision, alerts_per_day=CARDS_PER_DAY),
        True,
        "Compromised among the 100 cards checked each day, mean over days.",
    ),
)
"""Metrics of cards by day, from `daily_card_histogram` with `CARDS_PER_DAY`."""


def _alerted(
    daily: DailyHistogram, values: NDArray[np.int64], alerts: int
) -> NDArray[np.float64]:
    """Sums over each day's alerts of what the bins hold, float64[days]."""
    taken = taken_shares((daily.negatives + daily.positives)[:, ::-1], alerts)
    return np.einsum("ij,ij->i", taken, values[:, ::-1])


def _no_positives(daily: DailyHistogram) -> Undefined:
    if daily.rows == 0:
        return NO_ROWS
    return Undefined(f"All {daily.rows} rows are negative.")


def _total_amount(daily: DailyHistogram) -> int | Undefined:
    if daily.positive_rows == 0:
        return _no_positives(daily)
    return int(daily.positive_amounts.sum()) or NO_AMOUNT

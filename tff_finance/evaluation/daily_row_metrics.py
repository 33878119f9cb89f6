"""Metrics of days for weighted payments: what a fraud team finds, for a bootstrap.

Definitions as in `metrics.fraud` and `metrics.card_alerts`, where institutions sum
histograms; here from all payments' scores, over many weightings of the same payments.
A payment of weight 2 stands for two payments, and a card, all of whose payments have
the same weight, for as many cards. The team checks k of them each day whatever they
weigh. Equal scores are taken in the order of the rows.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.evaluation.row_metrics import Evaluate, RowMetric

_Floats = NDArray[np.float64]


def recall_at_alerts(days: NDArray, *, alerts_per_day: int) -> RowMetric:
    """The share of all frauds among the highest scores of each day.

    Args:
        days: Number of each row's day, integer[rows].
        alerts_per_day: How many the team can check.

    Returns:
        The metric of rows in this order.

    Raises:
        ValueError: If `alerts_per_day` is below 1.
    """
    checks.check_at_least("alerts_per_day", alerts_per_day, 1)

    def prepare(labels: _Floats, logits: _Floats) -> Evaluate:
        by_day = [_descending(rows, logits) for rows in _groups(days)]

        def evaluate(weights: _Floats) -> _Floats:
            found = sum(
                _checked(weights[:, rows], alerts_per_day) @ labels[rows]
                for rows in by_day
            )
            return found / (weights @ labels)

        return evaluate

    return RowMetric(prepare=prepare, needs_both_classes=True)


def card_precision(days: NDArray, cards: NDArray, *, alerts_per_day: int) -> RowMetric:
    """Compromised cards among those checked each day, mean over days.

    Args:
        days: Number of each row's day, integer[rows].
        cards: Whose payment each row is, [rows]; weights of a card's rows are equal.
        alerts_per_day: Cards checked each day, k.

    Returns:
        The metric of rows in this order. Cards found compromised are left out on
        later days.

    Raises:
        ValueError: If `alerts_per_day` is below 1.
    """
    checks.check_at_least("alerts_per_day", alerts_per_day, 1)
    codes, _ = pd.factorize(np.asarray(cards))
    first_rows = np.unique(codes, return_index=True)[1]

    def prepare(labels: _Floats, logits: _Floats) -> Evaluate:
        by_day = [_card_day(rows, codes, labels, logits) for rows in _groups(days)]

        def evaluate(weights: _Floats) -> _Floats:
            active = weights[:, first_rows].copy()  # less what was found
            found = np.zeros(len(weights))
            for numbers, compromised in by_day:
                present = active[:, numbers]
                checked = _checked(present, alerts_per_day)
                found += checked @ compromised
                active[:, numbers] = present - checked * compromised
            return found / (len(by_day) * alerts_per_day)

        return evaluate

    return RowMetric(prepare=prepare, needs_both_classes=True)


def _groups(days: NDArray) -> list[NDArray[np.int64]]:
    """Rows of each day."""
    return [np.flatnonzero(days == day) for day in np.unique(days)]


def _descending(rows: NDArray[np.int64], logits: _Floats) -> NDArray[np.int64]:
    return rows[np.argsort(-logits[rows], kind="stable")]


def _card_day(
    rows: NDArray[np.int64],
    codes: NDArray[np.int64],
    labels: _Floats,
    logits: _Floats,
) -> tuple[NDArray[np.int64], _Floats]:
    """A day's cards from the highest score down, and whether each is compromised."""
    payments = pd.DataFrame(
        {"card": codes[rows], "score": logits[rows], "fraud": labels[rows]}
    )
    cards = payments.groupby("card").max()
    cards = cards.sort_values("score", ascending=False, kind="stable")
    return cards.index.to_numpy(), cards["fraud"].to_numpy(np.float64)


def _checked(weights: _Floats, alerts: int) -> _Floats:
    """How much of each weight is among the first so many, [some, rows]."""
    before = np.cumsum(weights, axis=1) - weights
    return np.clip(alerts - before, 0, weights)

"""Weighted payments: as if rows, and cards, were there as often as they weigh."""

import numpy as np
import pytest

from tff_finance.evaluation.daily_row_metrics import card_precision, recall_at_alerts
from tff_finance.metrics import fraud
from tff_finance.metrics.card_alerts import CardLedger, daily_card_histogram
from tff_finance.metrics.daily_histogram import daily_histogram

ALERTS = 8
DAYS, ROWS, CARDS = 4, 240, 30


def payments(seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random(ROWS) < 0.15).astype(float)
    # No two in a bin of the histograms.
    logits = (rng.permutation(ROWS) + 20 * labels - 100 + 0.5) / 128
    logits += rng.permutation(ROWS) / 1e6
    days = rng.integers(3, 3 + DAYS, ROWS)
    cards = rng.integers(CARDS, size=ROWS)
    counts = rng.integers(0, 4, size=(5, CARDS))
    return labels, logits, days, cards, counts[:, cards].astype(float)


def copied(weights, *columns):
    """Rows as often as they weigh; copies of a card are cards of their own."""
    times = weights.astype(int)
    copy = np.concatenate([np.arange(n) for n in times])
    return [np.repeat(column, times) for column in columns], copy


def recall_by_hand(labels, logits, days):
    found = 0
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        found += labels[rows[np.argsort(-logits[rows], kind="stable")[:ALERTS]]].sum()
    return found / labels.sum()


def precision_by_hand(labels, logits, days, cards):
    found, blocked = 0, set()
    for day in np.unique(days):
        best = {}
        for row in np.flatnonzero(days == day):
            if cards[row] not in blocked:
                score, fraud_seen = best.get(cards[row], (-np.inf, 0.0))
                best[cards[row]] = (
                    max(score, logits[row]),
                    max(fraud_seen, labels[row]),
                )
        checked = sorted(best.items(), key=lambda item: -item[1][0])[:ALERTS]
        compromised = [card for card, (_, is_fraud) in checked if is_fraud]
        found += len(compromised)
        blocked.update(compromised)
    return found / ALERTS / len(np.unique(days))


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_copies(seed):
    labels, logits, days, cards, weights = payments(seed)
    recall = recall_at_alerts(days, alerts_per_day=ALERTS).prepare(labels, logits)
    precision = card_precision(days, cards, alerts_per_day=ALERTS)
    precise = precision.prepare(labels, logits)
    recalls, precisions = recall(weights), precise(weights)
    for place, row in enumerate(weights):
        (y, score, day, card), copy = copied(row, labels, logits, days, cards)
        assert recalls[place] == pytest.approx(recall_by_hand(y, score, day))
        expected = precision_by_hand(y, score, day, card + CARDS * copy)
        assert precisions[place] == pytest.approx(expected)


def test_of_rows_themselves_they_are_the_histograms_metrics():
    labels, logits, days, cards, _ = payments()
    once = np.ones((1, ROWS))
    period = {"first_day": 3, "days": DAYS}
    amounts = np.ones(ROWS)
    daily = daily_histogram(logits, labels, days, amounts=amounts, **period)
    recall = recall_at_alerts(days, alerts_per_day=ALERTS).prepare(labels, logits)
    expected = fraud.recall_at_alerts(daily, alerts_per_day=ALERTS)
    # Bins tie scores that differ by less than 1/128; a day has few of them.
    assert recall(once).item() == pytest.approx(expected, abs=0.01)
    ledger = CardLedger(logits, labels, days, cards, **period)
    histogram = daily_card_histogram([ledger], alerts_per_day=ALERTS)
    precision = card_precision(days, cards, alerts_per_day=ALERTS)
    expected = fraud.card_precision(histogram, alerts_per_day=ALERTS)
    found = precision.prepare(labels, logits)(once).item()
    assert found == pytest.approx(expected, abs=0.02)


def test_weights_are_left_as_they_are():
    labels, logits, days, cards, weights = payments()
    before = weights.copy()
    evaluate = card_precision(days, cards, alerts_per_day=ALERTS).prepare(
        labels, logits
    )
    np.testing.assert_array_equal(evaluate(weights), evaluate(weights))
    np.testing.assert_array_equal(weights, before)


def test_no_alert_is_refused():
    with pytest.raises(ValueError, match="alerts_per_day"):
        recall_at_alerts(np.zeros(3), alerts_per_day=0)
    with pytest.raises(ValueError, match="alerts_per_day"):
        card_precision(np.zeros(3), np.zeros(3), alerts_per_day=0)

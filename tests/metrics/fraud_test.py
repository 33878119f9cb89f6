"""Alert metrics against NumPy on pooled rows, and numbers worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from tests.metrics.rows import bins_of, logit_values, ranked, within
from tff_finance.metrics import derived, fraud
from tff_finance.metrics.accumulate import histogram_from_scores
from tff_finance.metrics.daily_histogram import DailyHistogram, daily_histogram
from tff_finance.metrics.values import Undefined

DAYS = {"first_day": 0, "days": 3}
tables = st.lists(
    st.tuples(
        logit_values, st.integers(0, 1), st.integers(0, 2), st.integers(1, 10**6)
    ),
    min_size=1,
    max_size=40,
)
with_fraud = tables.filter(lambda table: any(row[1] for row in table))


def columns(table):
    logits, labels, day, cents = np.array(table, np.float64).reshape(-1, 4).T
    return logits, labels, day.astype(int), cents / 100


def daily_of(table):
    logits, labels, day, amounts = columns(table)
    return daily_histogram(logits, labels, day, amounts=amounts, **DAYS)


def alerted(logits, order_by, day, alerts, *, first):
    """The alerts of all days, among tied rows those with great `order_by` first."""
    rows = []
    for number in np.unique(day):
        on_day = np.flatnonzero(day == number)
        sign = -1 if first else 1
        order = np.lexsort((sign * order_by[on_day], -bins_of(logits[on_day])))
        rows.extend(on_day[order[:alerts]])
    return np.array(rows)


@settings(deadline=None)
@given(with_fraud, st.integers(1, 12))
def test_recalls_lie_between_those_of_the_orders_of_tied_rows(table, alerts):
    logits, labels, day, amounts = columns(table)
    daily = daily_of(table)
    stolen = labels * amounts
    for values, metric in (
        (labels, fraud.recall_at_alerts),
        (stolen, fraud.amount_recall_at_alerts),
    ):
        bounds = [
            values[alerted(logits, values, day, alerts, first=first)].sum()
            / values.sum()
            for first in (True, False)
        ]
        assert within(metric(daily, alerts_per_day=alerts), bounds)


@settings(deadline=None)
@given(with_fraud, st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]))
def test_amount_recall_at_fpr_is_that_of_binned_scores(table, max_fpr):
    logits, labels, _, amounts = columns(table)
    if labels.all():
        return
    bins = bins_of(logits)
    best = 0.0
    for threshold in np.unique(bins):
        flagged = bins >= threshold
        if flagged[labels == 0].mean() <= max_fpr:
            best = max(best, (amounts * labels)[flagged].sum())
    value = fraud.amount_recall_at_fpr(daily_of(table), max_fpr=max_fpr)
    assert value == pytest.approx(best / (amounts * labels).sum())


@settings(deadline=None)
@given(with_fraud, st.sampled_from([0.01, 0.1, 0.5]))
def test_equal_amounts_give_the_recall_by_count(table, max_fpr):
    table = [(*row[:3], 1234) for row in table]
    logits, labels, *_ = columns(table)
    daily = daily_of(table)
    by_amount = fraud.amount_recall_at_alerts(daily, alerts_per_day=3)
    assert by_amount == pytest.approx(fraud.recall_at_alerts(daily, alerts_per_day=3))
    recall = derived.recall_at_fpr(
        histogram_from_scores(logits, labels), max_fpr=max_fpr
    )
    by_amount = fraud.amount_recall_at_fpr(daily, max_fpr=max_fpr)
    if not isinstance(recall, Undefined):
        assert by_amount == pytest.approx(recall)


def test_realistic_scores():
    random = np.random.default_rng(1)
    rows = 60_000
    truth = random.normal(-6.5, 2, rows)
    labels = (random.random(rows) < expit(truth)).astype(float)
    logits = truth + random.normal(0, 0.5, rows)
    day = random.integers(0, 3, rows)
    amounts = np.round(random.lognormal(3, 1, rows), 2)
    daily = daily_histogram(logits, labels, day, amounts=amounts, **DAYS)
    top = np.concatenate(
        [
            np.flatnonzero(day == d)[np.argsort(-logits[day == d])[:100]]
            for d in range(3)
        ]
    )
    values = {m.name: m.compute(daily) for m in fraud.PAYMENT_METRICS}
    stolen = labels * amounts
    assert values["recall_at_100_alerts"] == pytest.approx(
        labels[top].sum() / labels.sum(), abs=2e-3
    )
    assert values["amount_recall_at_100_alerts"] == pytest.approx(
        stolen[top].sum() / stolen.sum(), abs=2e-3
    )
    threshold = np.quantile(logits[labels == 0], 0.99)
    assert values["amount_recall_at_fpr_1"] == pytest.approx(
        stolen[logits > threshold].sum() / stolen.sum(), abs=2e-3
    )


def test_golden():
    # Two alerts a day. Day 0: a fraud of 10, then one of two tied rows of which one
    # is a fraud of 30. Day 1: one row only. Day 2: no row.
    table = [
        (3, 1, 0, 1000),
        (1, 1, 0, 3000),
        (1, 0, 0, 500),
        (-2, 1, 0, 2000),
        (0, 1, 1, 4000),
    ]
    daily = daily_of(table)
    assert fraud.recall_at_alerts(daily, alerts_per_day=2) == 2.5 / 4
    assert fraud.amount_recall_at_alerts(daily, alerts_per_day=2) == 0.65
    # No negative flagged: down to logit 3. The only negative flagged: all.
    assert fraud.amount_recall_at_fpr(daily, max_fpr=0.5) == 0.1
    assert fraud.amount_recall_at_fpr(daily, max_fpr=1) == 1
    # As cards: (1 + 0.5) / 2, then 1 / 2 of a single card, then none.
    assert fraud.card_precision(daily, alerts_per_day=2) == (1.5 / 2 + 1 / 2) / 3


def test_a_threshold_for_all_days_is_not_alerts_by_day():
    table = [(5, 0, 0, 1), (4, 0, 0, 1), (-1, 1, 1, 1), (-2, 0, 1, 1)]
    assert fraud.recall_at_alerts(daily_of(table), alerts_per_day=1) == 1
    assert fraud.amount_recall_at_fpr(daily_of(table), max_fpr=0.5) == 0


@settings(deadline=None)
@given(tables, tables)
def test_institutions_sums_give_the_pooled_values(left, right):
    total, pooled = daily_of(left) + daily_of(right), daily_of(left + right)
    for metric in (*fraud.PAYMENT_METRICS, *fraud.CARD_METRICS):
        assert metric.compute(total) == metric.compute(pooled)


def test_names_and_directions():
    assert [m.name for m in (*fraud.PAYMENT_METRICS, *fraud.CARD_METRICS)] == [
        "recall_at_100_alerts",
        "amount_recall_at_100_alerts",
        "amount_recall_at_fpr_1",
        "card_precision_at_100",
    ]
    assert all(m.higher_is_better for m in fraud.PAYMENT_METRICS)


def test_what_does_not_exist_says_why():
    nothing, clean = DailyHistogram.zero(**DAYS), daily_of([(1, 0, 0, 9)] * 2)
    for metric in (*fraud.PAYMENT_METRICS, *fraud.CARD_METRICS):
        assert metric.compute(nothing) == Undefined("The table has no rows.")
    for metric in fraud.PAYMENT_METRICS:
        assert metric.compute(clean) == Undefined("All 2 rows are negative.")
    assert fraud.card_precision(clean, alerts_per_day=5) == 0
    of_fraud = daily_of([(1, 1, 0, 9)])
    assert fraud.amount_recall_at_fpr(of_fraud, max_fpr=0.1) == Undefined(
        "All 1 rows are positive."
    )
    free = daily_histogram([1.0, 2.0], [1, 0], [0, 0], **DAYS)
    reason = Undefined("Positive rows have no amount.")
    assert fraud.amount_recall_at_alerts(free, alerts_per_day=1) == reason
    assert fraud.amount_recall_at_fpr(free, max_fpr=0.1) == reason
    assert fraud.recall_at_alerts(free, alerts_per_day=1) == 0


def test_arguments_are_checked():
    daily = DailyHistogram.zero(**DAYS)
    for metric in (
        fraud.recall_at_alerts,
        fraud.amount_recall_at_alerts,
        fraud.card_precision,
    ):
        with pytest.raises(ValueError, match="`alerts_per_day` must be at least 1"):
            metric(daily, alerts_per_day=0)
    with pytest.raises(ValueError, match="`max_fpr` must be between 0 and 1, got nan"):
        fraud.amount_recall_at_fpr(daily, max_fpr=math.nan)


def test_ranked_orders_ties_as_told():
    order = ranked(np.array([0, 1, 1.001]), np.array([1, 0, 1]), positives_first=False)
    assert order.tolist() == [1, 2, 0]

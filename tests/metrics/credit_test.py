"""Credit metrics against NumPy on pooled rows, and numbers worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from tests.metrics.rows import bins_of, logit_values, ranked, within
from tff_finance.metrics import credit
from tff_finance.metrics.accumulate import histogram_from_scores
from tff_finance.metrics.credit import CostMatrix
from tff_finance.metrics.score_histogram import ScoreHistogram
from tff_finance.metrics.values import Undefined

tables = st.lists(st.tuples(logit_values, st.integers(0, 1)), min_size=1, max_size=40)
costs = st.builds(
    CostMatrix,
    bad_called_good=st.integers(1, 40).map(lambda n: n / 4),
    good_called_bad=st.integers(1, 40).map(lambda n: n / 4),
)


def columns(table):
    rows = np.array(table, np.float64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def histogram_of(table):
    return histogram_from_scores(*columns(table))


def bad_rate_of_rows(logits, labels, approved, positives_first):
    order = ranked(logits, labels, positives_first=positives_first)[::-1]
    return labels[order[: round(approved * len(labels))]].mean()


@settings(deadline=None)
@given(tables, st.data())
def test_bad_rate_lies_between_those_of_the_orders_of_tied_rows(table, data):
    number = data.draw(st.integers(1, len(table)))
    approved = number / len(table)
    logits, labels = columns(table)
    value = credit.bad_rate_at_approval(histogram_of(table), approved=approved)
    bounds = [bad_rate_of_rows(logits, labels, approved, f) for f in (True, False)]
    assert within(value, bounds)


def test_bad_rate_of_realistic_scores():
    random = np.random.default_rng(1)
    truth = random.normal(-1.3, 1.2, 60_000)
    labels = (random.random(60_000) < expit(truth)).astype(float)
    logits = truth + random.normal(0, 0.5, 60_000)
    histogram = histogram_from_scores(logits, labels)
    for approved in (0.5, 0.8, 0.95):
        best = np.argsort(logits)[: round(approved * 60_000)]
        assert credit.bad_rate_at_approval(
            histogram, approved=approved
        ) == pytest.approx(labels[best].mean(), abs=1e-4)


def test_bad_rate_golden():
    # 8 of 10 approved: all 6 lowest (1 bad) and 2 of the 3 tied ones (2 bad).
    table = [(-3, 0)] * 5 + [(-3, 1)] + [(0, 1)] * 2 + [(0, 0)] + [(2, 1)]
    value = credit.bad_rate_at_approval(histogram_of(table), approved=0.8)
    assert value == pytest.approx((1 + 2 * 2 / 3) / 8)
    assert credit.bad_rate_at_approval(histogram_of(table), approved=1) == 0.4


def cost_of_rows(logits, labels, matrix, threshold):
    refused = logits >= threshold
    missed = matrix.bad_called_good * (~refused & (labels == 1))
    return (missed + matrix.good_called_bad * (refused & (labels == 0))).mean()


@settings(deadline=None)
@given(tables, costs, st.integers(-2048, 2048).map(lambda edge: edge / 128))
def test_cost_at_an_edge_is_exact(table, matrix, threshold):
    logits, labels = columns(table)
    value = credit.expected_cost(
        histogram_of(table), costs=matrix, threshold_logit=threshold
    )
    # The end bins also hold what lies beyond.
    logits = np.where(np.abs(threshold) == 16, np.clip(logits, -16, 15.99), logits)
    assert value == pytest.approx(cost_of_rows(logits, labels, matrix, threshold))


def test_the_cost_that_decides_is_that_of_the_nearest_edge():
    matrix = CostMatrix(bad_called_good=5, good_called_bad=1)
    assert matrix.threshold_logit == pytest.approx(math.log(1 / 5))
    random = np.random.default_rng(2)
    logits = random.normal(-1, 1, 5000)
    labels = (random.random(5000) < expit(logits)).astype(float)
    edge = round(math.log(1 / 5) * 128) / 128
    value = credit.expected_cost(histogram_from_scores(logits, labels), costs=matrix)
    assert value == pytest.approx(cost_of_rows(logits, labels, matrix, edge))


def test_calibrated_scores_cost_least_at_the_threshold_of_the_costs():
    random = np.random.default_rng(3)
    logits = random.normal(-1, 1.5, 200_000)
    labels = (random.random(200_000) < expit(logits)).astype(float)
    histogram = histogram_from_scores(logits, labels)
    matrix = CostMatrix(bad_called_good=5, good_called_bad=1)
    best = credit.expected_cost(histogram, costs=matrix)
    for shift in (-0.7, 0.7):
        other = credit.expected_cost(
            histogram, costs=matrix, threshold_logit=matrix.threshold_logit + shift
        )
        assert other > best + 0.003


def test_cost_golden():
    # At logit -1.61: refused 1 good and 2 bad, approved 1 bad: (1 + 5) / 6.
    table = [(-3, 0), (-3, 0), (-2, 1), (-1, 0), (0, 1), (1, 1)]
    assert credit.expected_cost(histogram_of(table), costs=credit.STATLOG_COSTS) == 1.0


@settings(deadline=None)
@given(tables, tables)
def test_institutions_sums_give_the_pooled_values(left, right):
    total, pooled = histogram_of(left) + histogram_of(right), histogram_of(left + right)
    for metric in credit.credit_metrics():
        assert metric.compute(total) == metric.compute(pooled)


def test_names_and_directions():
    metrics = credit.credit_metrics(CostMatrix(bad_called_good=7, good_called_bad=2))
    assert [m.name for m in metrics] == ["bad_rate_at_approval_80", "expected_cost"]
    assert not any(m.higher_is_better for m in metrics)
    assert "7 for a default" in metrics[1].definition


def test_no_rows_leave_values_undefined_and_one_class_does_not():
    for metric in credit.credit_metrics():
        nothing = metric.compute(ScoreHistogram.zero())
        assert nothing == Undefined("The table has no rows.")
    rate, cost = credit.credit_metrics()
    assert rate.compute(histogram_of([(1, 0)] * 3)) == 0
    assert rate.compute(histogram_of([(1, 1)] * 3)) == pytest.approx(1)
    assert cost.compute(histogram_of([(-9, 1)] * 3)) == 5


@pytest.mark.parametrize("approved", [0, -0.1, 1.1, math.nan])
def test_approval_rates_are_checked(approved):
    with pytest.raises(ValueError, match="`approved` must be"):
        credit.bad_rate_at_approval(ScoreHistogram.zero(), approved=approved)


def test_costs_and_thresholds_are_checked():
    for name in ("bad_called_good", "good_called_bad"):
        arguments = {"bad_called_good": 1, "good_called_bad": 1, name: 0}
        with pytest.raises(ValueError, match=f"`{name}` must be positive, got 0"):
            CostMatrix(**arguments)
    with pytest.raises(ValueError, match="`threshold_logit` must be finite, got nan"):
        credit.expected_cost(
            ScoreHistogram.zero(), costs=credit.STATLOG_COSTS, threshold_logit=math.nan
        )


def test_bins_are_those_of_the_rows():
    logits = np.linspace(-17, 17, 999)
    histogram = histogram_from_scores(logits, np.ones(999))
    np.testing.assert_array_equal(
        histogram.positives, np.bincount(bins_of(logits), minlength=4096)
    )

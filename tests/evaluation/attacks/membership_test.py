"""Rates, areas and their intervals, and what too few rows can't show."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from tff_finance.evaluation.attacks.membership import (
    FALSE_POSITIVE_RATES,
    METRICS,
    membership_metrics,
)


def metrics_of(members, others, seed=0, **options):
    generator = np.random.default_rng(seed)
    return membership_metrics(members, others, generator=generator, **options)


def normal_scores(shift, rows=2000, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(shift, size=rows), rng.normal(size=rows)


def test_values_are_those_of_the_curve():
    members, others = np.array([3.0, 2.0, 2.0, 0.0]), np.array([2.0, 1.0, -1.0, -2.0])
    result = metrics_of(members, others)
    # 3 is above 4; each 2 above 3 and equal to 1; 0 above 2.
    assert result["auc"].value == (4 + 3.5 + 3.5 + 2) / 16


def test_advantage_is_that_of_the_other_halfs_threshold():
    # Whatever the halves, both choose a threshold between 2 and 5: at 5 in each case,
    # as no score lies between; 50 of 60 members and 10 of 60 others pass it.
    members = np.r_[np.full(50, 5.0), np.full(10, 2.0)]
    others = np.r_[np.full(10, 5.0), np.full(50, 2.0)]
    result = metrics_of(members, others)["advantage"]
    assert result.value == pytest.approx(50 / 60 - 10 / 60)
    assert result.low < 50 / 60 - 10 / 60 < result.high


def test_advantage_without_information_is_none():
    found = [
        metrics_of(*normal_scores(0.0, rows=60, seed=seed), resamples=1)["advantage"]
        for seed in range(400)
    ]
    assert abs(np.mean([one.value for one in found])) < 0.02
    # 2.5 % would be 10; two standard deviations more are 16.
    assert sum(one.low > 0 for one in found) <= 16


def test_rates_are_kept_by_new_rows_too():
    new = np.random.default_rng(99).normal(size=20_000)
    passed = {"tpr_at_fpr_1": [], "tpr_at_fpr_0_1": []}
    for seed in range(40):
        _, others = normal_scores(0.0, rows=1000, seed=seed)
        result = metrics_of(new, others, resamples=1)
        for name, rates in passed.items():
            rates.append(result[name].value)
    # The mean over 40 tables of (k + 1) / 1,001 with k = 9 and k = 0.
    assert np.mean(passed["tpr_at_fpr_1"]) == pytest.approx(10 / 1001, rel=0.15)
    assert np.mean(passed["tpr_at_fpr_0_1"]) == pytest.approx(1 / 1001, rel=0.5)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.data())
def test_auc_is_scikit_learns(members, data):
    others = data.draw(st.lists(st.integers(0, 5), min_size=2, max_size=30))
    result = metrics_of(members, others, resamples=1)
    labels = [1] * len(members) + [0] * len(others)
    expected = sklearn.metrics.roc_auc_score(labels, members + others)
    assert result["auc"].value == pytest.approx(expected)


def test_rate_at_a_low_rate_needs_as_many_others():
    members, others = normal_scores(1.0, rows=998)
    result = metrics_of(members, others, resamples=10)
    assert result["tpr_at_fpr_0_1"].value is None
    assert "at least 999 non-members, there are 998" in result["tpr_at_fpr_0_1"].reason
    assert result["tpr_at_fpr_1"].value > 0
    members, others = normal_scores(1.0, rows=999)
    assert metrics_of(members, others, resamples=10)["tpr_at_fpr_0_1"].value > 0


def test_rates_are_those_of_scikit_learn():
    members, others = normal_scores(0.5)
    result = metrics_of(members, others, resamples=10)
    false, true, _ = sklearn.metrics.roc_curve(
        [1] * 2000 + [0] * 2000, np.r_[members, others], drop_intermediate=False
    )
    for name, rate in FALSE_POSITIVE_RATES.items():
        promised = (false * 2000 + 1) / 2001 <= rate  # of a new row
        assert result[name].value == pytest.approx(true[promised].max())


def test_equal_scores_are_no_find():
    result = metrics_of(np.zeros(1000), np.zeros(1000), resamples=10)
    assert result["auc"].value == 0.5
    assert [result[name].value for name in METRICS[1:]] == [0.0] * 3


def test_rate_is_the_largest_that_keeps_to_the_false_positives():
    others = np.arange(1000.0)
    members = np.array([2000.0] * 7 + [998.5] * 2 + [988.5] * 3 + [0.0] * 88)
    result = metrics_of(members, others, resamples=10)
    # 998.5: one of 1,000 others is above, 2 / 1,001 of new ones expected.
    assert result["tpr_at_fpr_0_1"].value == 0.07
    # 988.5: eleven are above, nine at most may be.
    assert result["tpr_at_fpr_1"].value == 0.09


def test_intervals_hold_the_truth():
    expected = 0.7602  # of two unit normals, 1 apart: Phi(1 / sqrt(2))
    held = []
    for seed in range(40):
        members, others = normal_scores(1.0, rows=200, seed=seed)
        auc = metrics_of(members, others, resamples=100)["auc"]
        held.append(auc.low <= expected <= auc.high)
    assert sum(held) >= 34


def test_few_rows_have_no_interval():
    result = metrics_of([1.0, 2.0], [0.0, 3.0])
    assert result["auc"].low is None
    assert result["auc"].reason == "too few rows for an interval: 2 and 2"
    assert set(result) == set(METRICS)


def test_one_row_has_no_advantage():
    result = metrics_of([1.0], [0.0, 3.0])
    assert result["advantage"].value is None
    assert result["auc"].value == 0.5


@pytest.mark.parametrize("scores", [[], [np.nan, 1.0], [[1.0], [2.0]]])
def test_bad_scores_are_refused(scores):
    with pytest.raises(ValueError, match="`members` must be scores"):
        metrics_of(scores, [1.0, 2.0])

"""Intervals over seeds: a textbook value, coverage, and when there is none."""

import json
import math

import numpy as np
import pytest
import scipy.stats

from tff_finance.evaluation.intervals import summarize, t_interval


def test_textbook_value():
    """Mean 3, variance 2.5, n = 5; t(4) at 0.975 is 2.776445 in any table."""
    half = 2.776445 * math.sqrt(2.5 / 5)
    low, high = t_interval([5, 1, 2, 4, 3])
    assert low == pytest.approx(3 - half, rel=1e-6)
    assert high == pytest.approx(3 + half, rel=1e-6)


@pytest.mark.parametrize("n", [2, 3, 30])
def test_equal_to_scipy(n):
    values = np.random.default_rng(n).normal(size=n)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(list(values)) == pytest.approx(tuple(expected), rel=1e-12)


def test_confidence_is_the_callers():
    values = [5, 1, 2, 4, 3]
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.99)
    assert t_interval(values, confidence=0.99) == pytest.approx(tuple(expected))


def test_covers_the_mean_in_95_of_100_cases():
    n, repetitions = 5, 4_000
    samples = np.random.default_rng(0).normal(0.85, 0.02, size=(repetitions, n))
    tolerance = 4 * math.sqrt(0.95 * 0.05 / repetitions)

    def coverage(intervals):
        low, high = np.asarray(intervals).T
        return np.mean((low <= 0.85) & (high >= 0.85))

    assert abs(coverage([t_interval(s) for s in samples]) - 0.95) < tolerance
    # Normal quantiles, or dividing by n, would be caught.
    error = samples.std(axis=1, ddof=1) / math.sqrt(n)
    normal = samples.mean(axis=1) + 1.959964 * np.outer([-1, 1], error)
    assert abs(coverage(normal.T) - 0.95) > 3 * tolerance


@pytest.mark.parametrize("values", [[], [0.5]])
def test_one_value_has_no_interval(values):
    with pytest.raises(
        ValueError, match=f"`values` must be at least 2 .*{len(values)}"
    ):
        t_interval(values)


def test_summary_of_several_seeds():
    summary = summarize([0.5, 0.75, 1.0])
    assert summary == {
        "mean": 0.75,
        "ci95": list(t_interval([0.5, 0.75, 1.0])),
        "values": [0.5, 0.75, 1.0],
    }


def test_equal_values_have_an_interval_of_no_width():
    assert summarize([0.5, 0.5])["ci95"] == [0.5, 0.5]


def test_one_seed_has_a_mean_and_the_reason_for_no_interval():
    assert summarize([0.5]) == {
        "mean": 0.5,
        "ci95": None,
        "reason": "one seed gives no interval",
        "values": [0.5],
    }


def test_few_rows_have_a_mean_and_the_reason_for_no_interval():
    assert summarize([0.5, 1.0], few_rows="29 rows") == {
        "mean": 0.75,
        "ci95": None,
        "reason": "29 rows",
        "values": [0.5, 1.0],
    }


@pytest.mark.parametrize("values", [[None], [0.5, None, 0.7], []])
@pytest.mark.parametrize("few_rows", ["", "29 rows"])
def test_undefined_in_one_seed_is_undefined(values, few_rows):
    """The mean of the seeds that happen to have a value would be of other seeds."""
    assert summarize(values, reason="one class", few_rows=few_rows) == {
        "mean": None,
        "reason": "one class",
        "values": values,
    }
    assert summarize(values)["reason"]


def test_numpy_values_become_json():
    json.dumps(summarize(list(np.float32([0.5, 0.25]))), allow_nan=False)

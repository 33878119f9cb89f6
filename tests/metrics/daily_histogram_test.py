"""Histograms by day: counts of the rows, sums that are those of pooled rows."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metrics.rows import bins_of, logit_values
from tff_finance.metrics.accumulate import histogram_from_scores
from tff_finance.metrics.daily_histogram import (
    DailyHistogram,
    daily_histogram,
    logit_bin,
)
from tff_finance.metrics.score_histogram import LOGIT_BINS

DAYS = {"first_day": 5, "days": 3}
tables = st.lists(
    st.tuples(
        logit_values, st.integers(0, 1), st.integers(5, 7), st.integers(0, 10**7)
    ),
    max_size=40,
)


def histogram_of(table):
    logits, labels, day, cents = np.array(table, np.float64).reshape(-1, 4).T
    return daily_histogram(logits, labels, day.astype(int), amounts=cents / 100, **DAYS)


def test_importing_needs_no_tensorflow():
    code = (
        "import sys, tff_finance.metrics.fraud, tff_finance.metrics.card_alerts, "
        "tff_finance.metrics.credit, tff_finance.metrics.campaign; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(deadline=None)
@given(st.lists(logit_values, max_size=40))
def test_bins_are_those_of_score_histograms(logits):
    values = np.array(logits)
    counts = np.bincount(logit_bin(values), minlength=LOGIT_BINS)
    expected = histogram_from_scores(values, np.ones(len(values)))
    np.testing.assert_array_equal(counts, expected.positives)


@settings(deadline=None)
@given(tables)
def test_each_row_is_in_its_day_and_bin(table):
    histogram = histogram_of(table)
    expected = {
        name: np.zeros((3, LOGIT_BINS), int)
        for name in ("negatives", "positives", "positive_amounts")
    }
    for logit, label, day, cents in table:
        cell = day - 5, int(bins_of(logit))
        expected["positives" if label else "negatives"][cell] += 1
        expected["positive_amounts"][cell] += cents * label
    for name, counts in expected.items():
        np.testing.assert_array_equal(getattr(histogram, name), counts)
    assert histogram.rows == len(table)
    assert histogram.positive_rows == sum(row[1] for row in table)


@settings(deadline=None)
@given(tables, tables)
def test_sum_of_histograms_is_histogram_of_pooled_rows(left, right):
    total = histogram_of(left) + histogram_of(right)
    assert total == histogram_of(left + right)
    assert total == total + DailyHistogram.zero(**DAYS)


def test_without_amounts_they_are_zero():
    histogram = daily_histogram([1.0], [1], [5], **DAYS)
    assert histogram.positive_amounts.sum() == 0
    assert histogram.positive_rows == 1


def test_other_days_are_another_statistic():
    one = DailyHistogram.zero(first_day=5, days=3)
    for other in ({"first_day": 6, "days": 3}, {"first_day": 5, "days": 2}):
        assert one != DailyHistogram.zero(**other)
        with pytest.raises(ValueError, match=r"same days .* got 3 from day 5"):
            one + DailyHistogram.zero(**other)
    with pytest.raises(TypeError):
        one + 1
    assert one != "histogram"


def test_arrays_are_copies_and_read_only():
    positives = np.zeros((3, LOGIT_BINS), np.int64)
    histogram = dataclasses.replace(DailyHistogram.zero(**DAYS), positives=positives)
    positives[0] = 1
    assert histogram.rows == 0
    with pytest.raises(ValueError, match="read-only"):
        histogram.positives[0] = 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(histogram)
    assert repr(histogram).startswith("DailyHistogram(first_day=5, days=3, rows=0")


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("negatives", np.zeros((3, LOGIT_BINS)), TypeError, "int64 array, got float64"),
        ("negatives", [0], TypeError, "got list"),
        ("positives", np.zeros((2, LOGIT_BINS), np.int64), ValueError, "have shape"),
        ("positives", np.full((3, LOGIT_BINS), -1), ValueError, "not be negative"),
        ("positive_amounts", np.ones((3, LOGIT_BINS), int), ValueError, "has no row"),
    ],
)
def test_impossible_fields_are_refused(name, value, error, message):
    with pytest.raises(error, match=f"`{name}`.*{message}|{message}"):
        dataclasses.replace(DailyHistogram.zero(**DAYS), **{name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": [np.nan, 1.0]}, "`logits` must be finite, 1 of them"),
        ({"logits": [[1.0], [1.0]]}, r"`logits` and `labels` must be \[n\], got"),
        ({"labels": [0, 2]}, "`labels` must be 0 or 1, 1 of them"),
        ({"labels": [0]}, "`logits` and `labels` must be"),
        ({"day": [5, 8]}, "`day` must be from 5 to 7, 1 of 2 aren't"),
        ({"day": [4, 8]}, "`day` must be from 5 to 7, 2 of 2 aren't"),
        ({"day": [5.0, 6.0]}, r"`day` must be integer\[2\], got float64\[2\]"),
        ({"day": [5]}, r"`day` must be integer\[2\]"),
        ({"amounts": [1, -1]}, "`amounts` must be finite and not negative, 1 of"),
        ({"amounts": [1]}, r"`amounts` must be \[2\], got \(1,\)"),
        ({"days": 0}, "`days` must be at least 1, got 0"),
    ],
)
def test_unusable_rows_are_refused(change, message):
    arguments = {"logits": [1.0, 2.0], "labels": [0, 1], "day": [5, 6], **DAYS}
    with pytest.raises(ValueError, match=message):
        daily_histogram(**{**arguments, **change})

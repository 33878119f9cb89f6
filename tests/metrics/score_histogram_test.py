"""Tests of the histogram as a value: sums and checks."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_finance.metrics.score_histogram import (
    CALIBRATION_LOGIT_EDGES,
    FIRST_POSITIVE_BIN,
    LOGIT_BINS,
    ScoreHistogram,
    logit_edges,
)


def make_histogram(
    rows: list[tuple[int, bool]], log_loss_sum: float = 0.5
) -> ScoreHistogram:
    """Returns the histogram of rows given as (logit bin, is positive)."""
    fields = {
        "negatives": np.zeros(LOGIT_BINS, np.int64),
        "positives": np.zeros(LOGIT_BINS, np.int64),
        "calibration_counts": np.zeros(15, np.int64),
        "calibration_positives": np.zeros(15, np.int64),
        "calibration_score_sums": np.zeros(15, np.float64),
    }
    for logit_bin, is_positive in rows:
        fields["positives" if is_positive else "negatives"][logit_bin] += 1
        fields["calibration_counts"][logit_bin % 15] += 1
        fields["calibration_positives"][logit_bin % 15] += is_positive
        fields["calibration_score_sums"][logit_bin % 15] += 1 / 3
    brier_sum = len(rows) / 7
    return ScoreHistogram(**fields, log_loss_sum=log_loss_sum, brier_sum=brier_sum)


histograms = st.builds(
    make_histogram,
    st.lists(st.tuples(st.integers(0, LOGIT_BINS - 1), st.booleans()), max_size=30),
    st.floats(0, 1e12),
)


def test_importing_needs_no_tensorflow() -> None:
    code = (
        "import sys, tff_finance.metrics.derived as d, "
        "tff_finance.metrics.score_histogram as s; "
        "d.all_metrics(s.ScoreHistogram.zero()); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_probability_one_half_is_an_edge() -> None:
    edges = logit_edges()
    assert edges.shape == (LOGIT_BINS + 1,)
    assert (edges[0], edges[FIRST_POSITIVE_BIN], edges[-1]) == (-16.0, 0.0, 16.0)
    np.testing.assert_array_equal(np.diff(edges), 1 / 128)


def test_calibration_edges_are_fifteenths() -> None:
    probabilities = 1 / (1 + np.exp(-CALIBRATION_LOGIT_EDGES))
    np.testing.assert_allclose(probabilities, np.arange(1, 15) / 15, rtol=1e-14)


@given(histograms, histograms)
def test_addition_adds_every_field(left: ScoreHistogram, right: ScoreHistogram) -> None:
    total = left + right
    assert total.rows == left.rows + right.rows
    assert total.positive_rows == left.positive_rows + right.positive_rows
    for field in dataclasses.fields(ScoreHistogram):
        expected = getattr(left, field.name) + getattr(right, field.name)
        np.testing.assert_array_equal(getattr(total, field.name), expected)
    assert total == right + left


@given(histograms)
def test_zero_is_neutral(histogram: ScoreHistogram) -> None:
    assert histogram + ScoreHistogram.zero() == histogram
    assert sum([histogram], ScoreHistogram.zero()) == histogram


def test_addition_refuses_other_types() -> None:
    with pytest.raises(TypeError):
        ScoreHistogram.zero() + 1


def test_equality_sees_every_field() -> None:
    histogram = make_histogram([(5, True), (5, False), (6, False), (20, False)])
    move = np.zeros(15, np.int64)
    move[[5, 6]] = -1, 1
    changes = {
        "negatives": np.roll(histogram.negatives, 1),
        "positives": np.roll(histogram.positives, 1),
        "log_loss_sum": np.nextafter(histogram.log_loss_sum, 1),
        "brier_sum": np.nextafter(histogram.brier_sum, 1),
        "calibration_counts": histogram.calibration_counts + move,
        "calibration_positives": histogram.calibration_positives + move,
        "calibration_score_sums": histogram.calibration_score_sums / 2,
    }
    for name, value in changes.items():
        assert dataclasses.replace(histogram, **{name: value}) != histogram
    assert histogram != "histogram"


def test_arrays_are_copies_and_read_only() -> None:
    negatives = np.zeros(LOGIT_BINS, np.int64)
    histogram = dataclasses.replace(ScoreHistogram.zero(), negatives=negatives)
    negatives[0] = 1
    assert histogram.rows == 0
    with pytest.raises(ValueError, match="read-only"):
        histogram.negatives[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        histogram.negatives = negatives
    with pytest.raises(TypeError, match="unhashable"):
        hash(histogram)


def test_repr_tells_the_rows() -> None:
    histogram = make_histogram([(1, True), (2, False), (3, False)])
    assert repr(histogram) == "ScoreHistogram(negative_rows=2, positive_rows=1)"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("negatives", np.zeros(LOGIT_BINS, np.int32), TypeError),
        ("negatives", [0] * LOGIT_BINS, TypeError),
        ("positives", np.zeros(LOGIT_BINS - 1, np.int64), ValueError),
        ("positives", np.zeros((LOGIT_BINS, 1), np.int64), ValueError),
        ("negatives", np.full(LOGIT_BINS, -1, np.int64), ValueError),
        ("calibration_counts", np.ones(15, np.int64), ValueError),
        ("calibration_positives", np.ones(15, np.int64), ValueError),
        ("calibration_score_sums", np.full(15, np.nan), ValueError),
        ("calibration_score_sums", np.full(15, 0.1), ValueError),
        ("calibration_score_sums", np.zeros(15, np.float32), TypeError),
        ("log_loss_sum", np.inf, ValueError),
        ("log_loss_sum", -1.0, ValueError),
        ("log_loss_sum", "1", TypeError),
        ("log_loss_sum", True, TypeError),
        ("brier_sum", np.nan, ValueError),
        ("brier_sum", 0.1, ValueError),
    ],
)
def test_impossible_fields_are_refused_by_name(
    name: str, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        dataclasses.replace(ScoreHistogram.zero(), **{name: value})


def test_calibration_positives_fit_into_their_bins() -> None:
    histogram = make_histogram([(0, True), (1, False)])
    moved = np.roll(histogram.calibration_positives, 2)
    with pytest.raises(ValueError, match="`calibration_positives`"):
        dataclasses.replace(histogram, calibration_positives=moved)

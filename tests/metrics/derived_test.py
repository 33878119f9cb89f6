"""Tests of the metrics against scikit-learn, SciPy and numbers worked by hand."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import ks_2samp
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    roc_auc_score,
    roc_curve,
)
from sklearn.metrics import log_loss as sklearn_log_loss

from tff_finance.metrics import derived
from tff_finance.metrics.accumulate import histogram_from_scores
from tff_finance.metrics.derived import METRICS, Undefined, all_metrics
from tff_finance.metrics.score_histogram import ScoreHistogram, logit_edges

NAMES = [
    "accuracy",
    "auc",
    "average_precision",
    "ks",
    "gini",
    "log_loss",
    "brier",
    "ece",
    "recall_at_fpr_1",
    "lift_at_10",
]
RANKING = ["auc", "average_precision", "ks", "gini", "recall_at_fpr_1", "lift_at_10"]

# Multiples of half a bin make ties, within bins and on edges, likely.
logit_values = st.one_of(
    st.integers(-600, 600).map(lambda halves: halves / 256),
    st.floats(-20, 20, allow_subnormal=False),
    st.sampled_from([-1e30, -16.0, -0.0, 0.0, 15.9999, 16.0, 1e30]),
)
tables = st.lists(st.tuples(logit_values, st.integers(0, 1)), max_size=60)
two_class_tables = tables.filter(lambda table: {label for _, label in table} == {0, 1})


def columns(table: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits and labels as float64[n]."""
    rows = np.array(table, np.float64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def histogram_of(*groups: tuple[float, int, int]) -> ScoreHistogram:
    """Returns the histogram of groups (logit, negatives, positives)."""
    logits, labels = [], []
    for logit, negatives, positives in groups:
        logits += [float(logit)] * (negatives + positives)
        labels += [0] * negatives + [1] * positives
    return histogram_from_scores(np.array(logits), np.array(labels))


def realistic(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits float64[n] and labels of a plausible, imperfect model."""
    rows, center, spread = {
        "fraud": (250_000, -7.5, 2.4),
        "risk": (60_000, -0.6, 1.9),
    }[kind]
    random = np.random.default_rng(seed)
    truth = random.normal(center, spread, rows)
    labels = (random.random(rows) < expit(truth)).astype(np.float64)
    return 0.9 * truth + random.normal(0, 0.7, rows), labels


def test_names_are_the_published_ones() -> None:
    assert list(METRICS) == NAMES
    assert [metric.name for metric in METRICS.values()] == NAMES
    assert list(all_metrics(histogram_of((1, 2, 3)))) == NAMES
    lower_is_better = [n for n in NAMES if not METRICS[n].higher_is_better]
    assert lower_is_better == ["log_loss", "brier", "ece"]
    assert all(metric.definition.endswith(".") for metric in METRICS.values())


@settings(deadline=None, max_examples=300)
@given(tables)
def test_auc_bounds_contain_the_auc_of_the_rows(
    table: list[tuple[float, int]],
) -> None:
    logits, labels = columns(table)
    histogram = histogram_from_scores(logits, labels)
    bounds = derived.auc_bounds(histogram)
    if len(set(labels)) < 2:
        assert isinstance(bounds, Undefined)
        assert bounds == derived.auc(histogram)
        return
    low, high = bounds
    assert 0 <= low <= high <= 1
    assert low - 1e-12 <= roc_auc_score(labels, logits) <= high + 1e-12
    assert derived.auc(histogram) == pytest.approx((low + high) / 2, abs=1e-15)


@settings(deadline=None, max_examples=200)
@given(two_class_tables)
def test_ranking_metrics_are_those_of_binned_scores(
    table: list[tuple[float, int]],
) -> None:
    logits, labels = columns(table)
    histogram = histogram_from_scores(logits, labels)
    binned = np.searchsorted(logit_edges()[1:-1], logits, side="right")
    values = all_metrics(histogram)
    area = roc_auc_score(labels, binned)
    assert values["auc"] == pytest.approx(area, abs=1e-12)
    assert values["gini"] == pytest.approx(2 * area - 1, abs=1e-12)
    precision = average_precision_score(labels, binned)
    assert values["average_precision"] == pytest.approx(precision, abs=1e-12)
    # Its p-value, which nobody needs here, divides by zero on tiny samples.
    with np.errstate(divide="ignore"):
        distance = ks_2samp(binned[labels == 0], binned[labels == 1], method="asymp")
    assert values["ks"] == pytest.approx(distance.statistic, abs=1e-12)
    for max_fpr in (0.0, 0.01, 0.1, 0.5, 1.0):
        fpr, recall, _ = roc_curve(labels, binned, drop_intermediate=False)
        best = recall[fpr <= max_fpr].max()
        assert derived.recall_at_fpr(histogram, max_fpr=max_fpr) == best


@settings(deadline=None)
@given(tables.filter(bool))
def test_accuracy_is_exact(table: list[tuple[float, int]]) -> None:
    logits, labels = columns(table)
    expected = np.mean((logits >= 0) == (labels == 1))
    assert derived.accuracy(histogram_from_scores(logits, labels)) == expected


@pytest.mark.parametrize("logit", [0.0, -0.0])
def test_probability_one_half_is_predicted_positive(logit: float) -> None:
    assert derived.accuracy(histogram_of((logit, 1, 3))) == 0.75
    assert derived.accuracy(histogram_of((-1e-30, 1, 3))) == 0.25


@pytest.mark.parametrize("kind", ["fraud", "risk"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_realistic_scores_lose_nothing_that_matters(kind: str, seed: int) -> None:
    logits, labels = realistic(kind, seed)
    if kind == "fraud":
        assert 0.006 < labels.mean() < 0.011
    histogram = histogram_from_scores(logits, labels)
    values = all_metrics(histogram)
    area = roc_auc_score(labels, logits)
    assert values["auc"] == pytest.approx(area, abs=1e-5)
    precision = average_precision_score(labels, logits)
    assert values["average_precision"] == pytest.approx(precision, abs=1e-3)
    distance = ks_2samp(logits[labels == 0], logits[labels == 1], method="asymp")
    assert values["ks"] == pytest.approx(distance.statistic, abs=1e-3)
    low, high = derived.auc_bounds(histogram)
    assert low < area < high < low + 5e-3


@pytest.mark.parametrize("kind", ["fraud", "risk"])
def test_mean_scores_equal_scikit_learn(kind: str) -> None:
    logits, labels = realistic(kind, seed=4)
    histogram = histogram_from_scores(logits, labels)
    scores = expit(logits)
    assert derived.log_loss(histogram) == pytest.approx(
        sklearn_log_loss(labels, scores), rel=1e-9
    )
    assert derived.brier(histogram) == pytest.approx(
        brier_score_loss(labels, scores), rel=1e-9
    )
    bins = np.minimum((scores * 15).astype(int), 14)
    gaps = np.bincount(bins, labels, minlength=15) - np.bincount(bins, scores, 15)
    assert derived.ece(histogram) == pytest.approx(
        np.abs(gaps).sum() / len(labels), rel=1e-9
    )


def test_perfect_and_inverted_rankings() -> None:
    perfect = all_metrics(histogram_of((-3, 90, 0), (3, 0, 10)))
    inverted = all_metrics(histogram_of((-3, 0, 10), (3, 90, 0)))
    for name in ("accuracy", "auc", "average_precision", "ks", "gini"):
        assert perfect[name] == 1.0
    assert (perfect["recall_at_fpr_1"], perfect["lift_at_10"]) == (1.0, 10.0)
    assert (inverted["accuracy"], inverted["auc"], inverted["gini"]) == (0, 0, -1)
    assert inverted["average_precision"] == pytest.approx(0.1)
    assert inverted["ks"] == 1.0
    assert (inverted["recall_at_fpr_1"], inverted["lift_at_10"]) == (0, 0)


def test_recall_at_fpr_golden() -> None:
    # Negatives flagged from the top: 0, 1, 1, 2, 2, 100 of 100.
    histogram = histogram_of(
        (3, 0, 2), (2.5, 1, 0), (2, 0, 3), (1, 1, 0), (0, 0, 4), (-3, 98, 1)
    )
    recalls = {0.0: 0.2, 0.0099: 0.2, 0.01: 0.5, 0.0199: 0.5, 0.02: 0.9, 1.0: 1.0}
    for max_fpr, recall in recalls.items():
        assert derived.recall_at_fpr(histogram, max_fpr=max_fpr) == recall
    assert all_metrics(histogram)["recall_at_fpr_1"] == 0.5


def test_recall_is_zero_if_every_threshold_flags_too_many() -> None:
    histogram = histogram_of((3, 2, 5), (-3, 98, 5))
    assert derived.recall_at_fpr(histogram, max_fpr=0.01) == 0.0
    assert derived.recall_at_fpr(histogram, max_fpr=0.02) == 0.5


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        # 2 of 20 rows from the top, both positive: 1 / (5 / 20).
        ([(2, 0, 2), (-1, 15, 3)], 4.0),
        # The top 2 lie among 4 tied rows, 2 of them positive: 0.5 / (5 / 20).
        ([(2, 2, 2), (-1, 13, 3)], 2.0),
        # One positive, then one of 4 tied rows, 1 of them positive: (1.25 / 2) / 0.25.
        ([(2, 0, 1), (1, 3, 1), (-1, 12, 3)], 2.5),
        # All tied: chance.
        ([(0.5, 15, 5)], 1.0),
        # A tenth of 5 rows is half a row, which is positive: 1 / (2 / 5).
        ([(2, 0, 1), (-1, 3, 1)], 2.5),
    ],
)
def test_lift_golden(groups: list[tuple[float, int, int]], expected: float) -> None:
    values = all_metrics(histogram_of(*groups))
    assert values["lift_at_10"] == pytest.approx(expected, rel=1e-12)


def test_lift_of_everybody_is_one() -> None:
    histogram = histogram_of((2, 3, 4), (-1, 12, 3))
    assert derived.lift(histogram, top=1.0) == pytest.approx(1.0, rel=1e-12)


def test_ece_golden() -> None:
    # Mean probability 0.5 and 0.9 against 3/4 and 1/2 positive: (1 + 1.6) / 8.
    histogram = histogram_of((0, 1, 3), (np.log(9), 2, 2))
    assert derived.ece(histogram) == pytest.approx(2.6 / 8, rel=1e-12)


def test_no_rows_leave_every_metric_undefined() -> None:
    values = all_metrics(ScoreHistogram.zero())
    assert values == dict.fromkeys(NAMES, Undefined("The table has no rows."))
    assert derived.auc_bounds(ScoreHistogram.zero()) == values["auc"]


@pytest.mark.parametrize(
    ("negatives", "positives", "reason"),
    [(3, 0, "All 3 rows are negative."), (0, 4, "All 4 rows are positive.")],
)
def test_one_class_leaves_rankings_undefined(
    negatives: int, positives: int, reason: str
) -> None:
    values = all_metrics(histogram_of((1, negatives, positives)))
    for name in NAMES:
        if name in RANKING:
            assert values[name] == Undefined(reason)
        else:
            assert np.isfinite(values[name])
    assert values["accuracy"] == (1.0 if positives else 0.0)


def test_undefined_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Undefined("no rows").reason = "other"


@pytest.mark.parametrize("max_fpr", [-0.1, 1.1, np.nan])
def test_bad_max_fpr_is_refused(max_fpr: float) -> None:
    with pytest.raises(ValueError, match="`max_fpr`"):
        derived.recall_at_fpr(ScoreHistogram.zero(), max_fpr=max_fpr)


@pytest.mark.parametrize("top", [0.0, 1.1, np.nan])
def test_bad_top_is_refused(top: float) -> None:
    with pytest.raises(ValueError, match="`top`"):
        derived.lift(ScoreHistogram.zero(), top=top)


def test_counts_beyond_32_bits() -> None:
    small = histogram_of((3, 1, 5), (1, 3, 2), (0, 2, 2), (-3, 90, 1))
    large = small
    for _ in range(40):
        large += large
    assert large.rows == small.rows * 2**40
    assert large.negatives.max() == 90 * 2**40
    expected = all_metrics(small)
    for name, value in all_metrics(large).items():
        assert value == pytest.approx(expected[name], rel=1e-12), name
    assert derived.auc_bounds(large) == derived.auc_bounds(small)

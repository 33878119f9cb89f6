"""Curves from histograms against scikit-learn on the rows themselves."""

import numpy as np
import pytest
import sklearn.metrics

from tff_finance.metrics.score_histogram import BINS_PER_LOGIT, LOGIT_BOUND
from tff_finance.records.run_rows import HistogramRow
from tff_finance.report import score_curves
from tff_finance.report.score_curves import GRID, ScoreHistograms


@pytest.fixture(scope="module")
def scores():
    """Labels and logits of two banks, the logits at the middle of their bins."""
    rng = np.random.default_rng(7)
    tables = {}
    for bank, shift in (("bank_a", 1.0), ("bank_b", 2.0)):
        y = rng.integers(0, 2, 4000)
        bins = np.floor(
            (rng.normal(shift * (2 * y - 1), 1.5) + LOGIT_BOUND) * BINS_PER_LOGIT
        ).astype(int)
        tables[bank] = y, bins
    return tables


def rows(scores, method="fed_avg", model="global"):
    for bank, (y, bins) in scores.items():
        for index in np.unique(bins):
            labels = y[bins == index]
            yield HistogramRow(
                seed=0,
                method=method,
                model=model,
                institution=bank,
                bin=int(index),
                negatives=int(np.sum(labels == 0)),
                positives=int(np.sum(labels == 1)),
            )


@pytest.fixture(scope="module")
def pooled(scores):
    y = np.concatenate([y for y, _ in scores.values()])
    bins = np.concatenate([bins for _, bins in scores.values()])
    return y, (bins + 0.5) / BINS_PER_LOGIT - LOGIT_BOUND


def test_roc_is_that_of_the_pooled_rows(scores, pooled):
    curves = ScoreHistograms(rows(scores)).curves("fed_avg")
    fpr, tpr, _ = sklearn.metrics.roc_curve(*pooled, drop_intermediate=False)
    last = np.flatnonzero(np.append(np.diff(fpr) > 0, True))
    expected = np.interp(GRID, fpr[last], tpr[last])
    np.testing.assert_allclose(curves.recall, expected, atol=1e-12)


def test_precision_is_that_of_the_pooled_rows(scores, pooled):
    curves = ScoreHistograms(rows(scores)).curves("fed_avg")
    precision, recall, _ = sklearn.metrics.precision_recall_curve(*pooled)
    # Highest threshold first; the first that reaches a recall.
    precision, recall = precision[-2::-1], recall[-2::-1]
    for wanted, found in zip(GRID[1:-1:10], curves.precision[1:-1:10], strict=True):
        assert found == precision[np.argmax(recall >= wanted - 1e-12)]


def test_calibration_of_calibrated_scores_lies_on_the_diagonal():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, 400_000)
    y = rng.random(400_000) < 1 / (1 + np.exp(-logits))
    bins = np.floor((logits + LOGIT_BOUND) * BINS_PER_LOGIT).astype(int)
    curves = ScoreHistograms(rows({"bank_a": (y, bins)})).curves("fed_avg")
    assert len(curves.predicted) == score_curves.CALIBRATION_BINS
    np.testing.assert_allclose(curves.observed, curves.predicted, atol=0.01)


def test_no_curve_without_both_classes(scores):
    one_class = {bank: (np.ones_like(y), bins) for bank, (y, bins) in scores.items()}
    histograms = ScoreHistograms(rows(one_class))
    assert histograms.curves("fed_avg") is None
    assert histograms.curves("local") is None
    assert histograms.distribution("fed_avg", "bank_a") is None


def test_own_and_foreign_models_are_kept_apart(scores):
    everything = [
        *rows({"bank_a": scores["bank_a"]}, method="local", model="bank_a"),
        *rows({"bank_a": scores["bank_b"]}, method="local", model="bank_b"),
    ]
    histograms = ScoreHistograms(everything)
    own = histograms.distribution("local", "bank_a")
    foreign = histograms.distribution("local", "bank_a", foreign=True)
    assert not np.allclose(own, foreign)
    for shares in (*own, *foreign):
        assert shares.sum() == pytest.approx(1)
    y, bins = scores["bank_a"]
    above = np.mean(bins[y == 1] >= LOGIT_BOUND * BINS_PER_LOGIT)
    assert own[1][len(own[1]) // 2 :].sum() == pytest.approx(above)

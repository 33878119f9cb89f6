"""Metrics of weighted rows: by hand, against scikit-learn, and the histograms'."""

import numpy as np
import pytest

from tests.evaluation.sklearn_metrics import SKLEARN
from tff_finance.evaluation.row_metrics import ROW_METRICS, row_metric
from tff_finance.metrics import derived
from tff_finance.metrics.accumulate import histogram_from_scores
from tff_finance.metrics.score_histogram import BINS_PER_LOGIT


def make_rows(n, *, ties, seed=0):
    random = np.random.default_rng(seed)
    labels = (random.random(n) < 0.3).astype(float)
    logits = random.normal(size=n) + labels
    # Binned logits are tied, and tied just as in a score histogram.
    if ties:
        logits = np.floor(logits * 4) / 4 + 0.5 / BINS_PER_LOGIT
    weights = random.integers(0, 4, size=(6, n)).astype(float)
    return labels, logits, weights


def values(name, labels, logits, weights):
    return ROW_METRICS[name].prepare(labels, logits)(np.asarray(weights, float))


def test_by_hand():
    """Negatives at -1 (weight 2) and 1 (1), positives at 1 (3) and 2 (0, then 1).

    AUC: pairs 9, right 6, tied 3. With the fourth row 12 pairs, 9 right, 3 tied.
    Average precision: one threshold that flags positives, 3 of 4; then 1 of 1, with
    a quarter of recall, and 4 of 5.
    """
    labels, logits = np.array([0.0, 0, 1, 1]), np.array([-1.0, 1, 1, 2])
    weights = [[2, 1, 3, 0], [2, 1, 3, 1]]
    assert values("accuracy", labels, logits, weights) == pytest.approx([5 / 6, 6 / 7])
    assert values("auc", labels, logits, weights) == pytest.approx([7.5 / 9, 10.5 / 12])
    assert values("average_precision", labels, logits, weights) == pytest.approx(
        [0.75, 0.25 * 1 + 0.75 * 0.8]
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", list(ROW_METRICS))
def test_equal_to_scikit_learn(name, ties):
    labels, logits, weights = make_rows(200, ties=ties)
    expected = [SKLEARN[name](labels, logits, w) for w in weights]
    assert values(name, labels, logits, weights) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", list(ROW_METRICS))
def test_equal_to_the_histograms_metrics(name):
    labels, logits, _ = make_rows(300, ties=True)
    histogram = histogram_from_scores(logits, labels)
    expected = derived.METRICS[name].compute(histogram)
    actual = values(name, labels, logits, np.ones((1, 300))).item()
    assert actual == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", list(ROW_METRICS))
def test_a_weight_is_that_many_copies(name):
    labels, logits, weights = make_rows(50, ties=True)
    copies = np.repeat(np.arange(50), weights[0].astype(int))
    copied = values(name, labels[copies], logits[copies], np.ones((1, copies.size)))
    assert values(name, labels, logits, weights[:1]) == pytest.approx(copied, rel=1e-12)


def test_extreme_logits_keep_their_losses():
    labels, logits = np.array([0.0, 1]), np.array([800.0, -800])
    assert values("log_loss", labels, logits, [[1, 1]]).item() == 800
    assert values("brier", labels, logits, [[1, 1]]).item() == 1


def test_any_function_is_a_metric():
    labels, logits, weights = make_rows(50, ties=False)
    metric = row_metric(SKLEARN["auc"])
    assert metric.needs_both_classes
    assert metric.prepare(labels, logits)(weights) == pytest.approx(
        values("auc", labels, logits, weights)
    )

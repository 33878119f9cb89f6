"""Membership inference by loss: golden numbers, chance, and sure finds."""

import numpy as np
import pytest
import sklearn.metrics

from tff_finance.evaluation.loss_threshold import loss_scores, membership_metrics


def metrics(members, others, seed=0):
    return membership_metrics(
        np.asarray(members, float),
        np.asarray(others, float),
        generator=np.random.default_rng(seed),
        resamples=50,
    )


def test_scores_are_minus_the_loss():
    logits = np.array([0.0, 2.0, 2.0, -40.0])
    labels = np.array([[1], [1], [0], [0]])
    expected = np.log([0.5, 1 / (1 + np.exp(-2)), 1 - 1 / (1 + np.exp(-2)), 1.0])
    np.testing.assert_allclose(loss_scores(logits, labels), expected, atol=1e-12)


def test_sure_rows_are_no_ties():
    """In probabilities 40 and 50 are both 1."""
    sure = loss_scores([30.0, 35.0], [1, 1])
    assert sure[0] < sure[1] < 0


def test_auc_and_rates_are_those_of_scikit_learn():
    rng = np.random.default_rng(4)
    members, others = rng.normal(0.5, 1, 3000), rng.normal(0, 1, 2000)
    found = metrics(members, others)
    truth = np.r_[np.ones(3000), np.zeros(2000)]
    scores = np.r_[members, others]
    assert found["auc"].value == pytest.approx(
        sklearn.metrics.roc_auc_score(truth, scores)
    )
    false, true, _ = sklearn.metrics.roc_curve(truth, scores, drop_intermediate=False)
    for name, rate in (("tpr_at_fpr_1", 0.01), ("tpr_at_fpr_0_1", 0.001)):
        assert found[name].value == pytest.approx(true[false <= rate].max())
        assert found[name].low <= found[name].value <= found[name].high


def test_equal_laws_are_chance():
    rng = np.random.default_rng(5)
    found = metrics(rng.normal(size=4000), rng.normal(size=4000))
    assert found["auc"].low < 0.5 < found["auc"].high
    assert found["tpr_at_fpr_1"].value == pytest.approx(0.01, abs=0.008)


def test_members_that_stand_out_are_all_found():
    found = metrics(np.full(100, 2.0), np.zeros(100))
    assert [found[name].value for name in found] == [1.0, 1.0, 1.0]


def test_equal_scores_are_no_find():
    found = metrics(np.zeros(100), np.zeros(100))
    assert [found[name].value for name in found] == [0.5, 0.0, 0.0]

"""Scores by loss and by entropy, also where a model is very sure."""

import numpy as np
import scipy.special

from tff_finance.evaluation.attacks.threshold import ATTACKS, threshold_scores


def scores_of(member_logits, member_labels, other_logits, other_labels):
    return threshold_scores(
        member_logits=member_logits,
        member_labels=member_labels,
        other_logits=other_logits,
        other_labels=other_labels,
    )


def test_loss_is_the_rows_own():
    logits, labels = np.array([2.0, -1.0, 0.0]), np.array([1, 1, 0])
    scores = scores_of(logits, labels, logits[::-1], labels[::-1])["loss"]
    p = scipy.special.expit(logits)
    expected = np.log(np.where(labels == 1, p, 1 - p))
    np.testing.assert_allclose(scores.members, expected)
    np.testing.assert_allclose(scores.others, expected[::-1])


def test_entropy_knows_the_label():
    logits, labels = np.array([2.0, -2.0, 2.0]), np.array([1, 1, 0])
    scores = scores_of(logits, labels, logits, labels)["entropy"]
    p = scipy.special.expit(np.where(labels == 1, logits, -logits))
    # Song and Mittal: -(1 - p_y) log(p_y) - sum over others of p log(1 - p).
    expected = (1 - p) * np.log(p) + (1 - p) * np.log(p)
    np.testing.assert_allclose(scores.members, expected, rtol=1e-6)
    np.testing.assert_array_equal(scores.members, scores.others)


def test_sure_models_tie_no_rows():
    logits = np.array([30.0, 40.0, 50.0])
    scores = scores_of(logits, np.ones(3), logits, np.ones(3))
    assert set(scores) == set(ATTACKS)
    assert (np.diff(scores["loss"].members) > 0).all()


def test_of_two_classes_entropy_ranks_rows_as_loss_does():
    logits = np.random.default_rng(0).normal(0.0, 3.0, 500)
    labels = np.arange(500) % 2
    scores = scores_of(logits, labels, logits, labels)
    np.testing.assert_array_equal(
        np.argsort(scores["loss"].members), np.argsort(scores["entropy"].members)
    )

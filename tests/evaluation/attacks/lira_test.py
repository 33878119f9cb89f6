"""Likelihood ratios of shadows, and how shadows are trained."""

import numpy as np
import pytest

from tff_finance.evaluation.attacks.lira import (
    Pool,
    ShadowConfidences,
    balanced_pool,
    confidence,
    lira_scores,
    shadow_confidences,
)


def pool(rows=20, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    y = rng.integers(2, size=rows).astype(np.float32)
    return Pool(x, y, np.arange(rows) < rows // 2)


def test_confidence_is_the_log_odds_of_the_rows_own_label():
    logits = np.array([2.0, -3.0, 0.5])
    probability = 1 / (1 + np.exp(-logits))
    own = np.where([1, 0, 0], probability, 1 - probability)
    np.testing.assert_allclose(
        confidence(logits, np.array([1.0, 0.0, 0.0])), np.log(own / (1 - own))
    )


def test_a_pool_has_as_many_members_as_others_and_no_row_twice():
    numbers = np.arange(100.0, dtype=np.float32)[:, np.newaxis]
    drawn = balanced_pool(
        (numbers[:60], np.zeros([60, 1])),
        (numbers[60:], np.ones([40, 1])),
        rows=50,
        generator=np.random.default_rng(0),
    )
    assert drawn.x.shape == (80, 1)
    assert len(np.unique(drawn.x)) == 80
    np.testing.assert_array_equal(drawn.x[:, 0] < 60, drawn.is_member)
    np.testing.assert_array_equal(drawn.y, ~drawn.is_member)


def test_shadows_halve_every_pool_in_pairs():
    pools = [pool(20), pool(12, seed=1)]
    trained = []

    def train(tables, seed):
        trained.append(([len(x) for x, _ in tables], seed))
        seen = [{tuple(row) for row in x} for x, _ in tables]
        # Log-odds 1 for rows that the model was trained on.
        return [
            lambda x, own=own: np.array([float(tuple(row) in own) for row in x])
            for own in seen
        ]

    shadows = shadow_confidences(
        train, pools, shadows=6, generator=np.random.default_rng(0)
    )
    assert [sizes for sizes, _ in trained] == [[10, 6]] * 6
    assert len({seed for _, seed in trained}) == 6
    for one, said in zip(pools, shadows, strict=True):
        np.testing.assert_array_equal(said.trained_on.sum(axis=0), 3)
        # Every table was trained on as it is said.
        expected = confidence(said.trained_on.astype(float), one.y)
        np.testing.assert_array_equal(said.confidence, expected)


def test_scores_are_the_log_likelihood_ratio():
    rng = np.random.default_rng(0)
    trained_on = np.arange(128)[:, np.newaxis] % 2 == np.arange(5) % 2
    means = np.array([0.0, 1.0, -2.0, 3.0, 0.5])
    said = rng.normal(means + 2.0 * trained_on, 1.0)
    target = np.array([0.0, 3.0, -2.0, 5.0, 1.5])
    scores = lira_scores(target, ShadowConfidences(said, trained_on))
    expected = []
    for row, value in enumerate(target):
        logs = [
            -0.5 * ((value - np.median(one)) / np.std(one)) ** 2 - np.log(np.std(one))
            for chosen in (trained_on, ~trained_on)
            for one in [said[chosen[:, row], row]]
        ]
        expected.append(logs[0] - logs[1])
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert (np.sign(scores[:4]) == [-1, 1, -1, 1]).all()


def test_few_shadows_share_a_variance():
    trained_on = np.array([[True], [False]] * 2) ^ np.zeros(2, bool)
    said = np.array([[1.0, 5.0], [0.0, 0.0], [2.0, 7.0], [1.0, 4.0]])
    scores = lira_scores(np.array([1.5, 6.0]), ShadowConfidences(said, trained_on))
    with_, without = np.sqrt((0.25 + 1) / 2), np.sqrt((0.25 + 4) / 2)
    expected = [
        -np.log(with_) + np.log(without) + 0.5 * ((value - mean) / without) ** 2
        for value, mean in ((1.5, 0.5), (6.0, 2.0))
    ]
    np.testing.assert_allclose(scores, expected)


@pytest.mark.parametrize("shadows", [0, 1, 3])
def test_odd_numbers_of_shadows_are_refused(shadows):
    with pytest.raises(ValueError, match="`shadows` must be even"):
        shadow_confidences(
            lambda tables, seed: [],
            [pool()],
            shadows=shadows,
            generator=np.random.default_rng(0),
        )


def test_rows_that_all_shadows_have_are_refused():
    said = ShadowConfidences(np.zeros([2, 3]), np.ones([2, 3], bool))
    with pytest.raises(ValueError, match="with and without each row"):
        lira_scores(np.zeros(3), said)
    with pytest.raises(ValueError, match="must be about the"):
        lira_scores(np.zeros(4), said)

"""The bound holds as often as it says, and is as large as the runs allow."""

import numpy as np
import pytest
import scipy.stats

from tff_finance.evaluation.attacks.canaries import epsilon_bound
from tff_finance.privacy import accounting
from tff_finance.privacy.mechanisms import FullParticipation


def gaussian_runs(noise, runs, seed=0):
    """Scores of the best attack on one Gaussian release of sensitivity 1."""
    rng = np.random.default_rng(seed)
    return rng.normal(1, noise, runs), rng.normal(0, noise, runs)


def test_bound_is_the_librarys_for_one_threshold_and_no_delta():
    from tensorflow_privacy.privacy.privacy_tests import epsilon_lower_bound as library

    inserted, absent = gaussian_runs(0.5, 400)
    bound = epsilon_bound(inserted, absent, delta=0)
    expected = library.EpsilonLowerBound(
        inserted[200:],
        absent[200:],
        alpha=1e-3,
        two_sided_threshold=False,
        thresholds=np.array([bound.threshold]),
    ).compute_epsilon_lower_bound(library.BoundMethod.CLOPPER_PEARSON)
    # The library's array has "yes" and "no"; ours chose one by the other runs.
    assert np.isclose(expected, bound.value, rtol=1e-9).any()


def test_a_bound_never_exceeds_a_true_claim():
    delta = 1e-5
    claim = accounting.epsilon(
        [FullParticipation(noise_multiplier=2.0)],
        neighbouring="add_or_remove_one",
        delta=delta,
    ).value
    for seed in range(100):  # at 99.9 %, one failure in ten such tests
        inserted, absent = gaussian_runs(2.0, 200, seed)
        assert epsilon_bound(inserted, absent, delta=delta).value <= claim


def test_an_attack_that_is_always_right_proves_all_that_runs_can():
    bound = epsilon_bound(np.ones(200) + 1, np.zeros(200), delta=0)
    assert (bound.hits, bound.false_alarms) == (100, 0)
    assert bound.value == bound.largest
    tail = 0.0005 ** (1 / 100)
    assert bound.value == pytest.approx(np.log(tail / (1 - tail)))


def test_noise_of_half_the_scale_is_found_out():
    delta = 1e-5
    claim = accounting.epsilon(
        [FullParticipation(noise_multiplier=4.0)],
        neighbouring="add_or_remove_one",
        delta=delta,
    ).value
    honest = epsilon_bound(*gaussian_runs(4.0, 20_000), delta=delta)
    half = epsilon_bound(*gaussian_runs(2.0, 200_000), delta=delta)
    assert 0 < honest.value <= claim < half.value
    # A quarter is found by as few runs as find nothing against the honest one.
    quarter = epsilon_bound(*gaussian_runs(1.0, 20_000), delta=delta)
    assert quarter.value > half.value


def test_the_answer_no_may_be_the_telling_one():
    rng = np.random.default_rng(0)
    # Without the canary nearly always 0, with it 1 or 0 by a fair coin.
    absent = (rng.uniform(size=2000) < 0.5).astype(float)
    inserted = np.ones(2000)
    bound = epsilon_bound(inserted, absent, delta=0)
    # A score of 0 never comes with the canary: "no" proves more than "yes".
    assert bound.value > 3
    assert epsilon_bound(-absent, -inserted, delta=0).value > 3


def test_delta_is_taken_off_the_hits():
    rng = np.random.default_rng(3)
    # What happens with probability delta at most may give a canary away for nothing.
    inserted = (rng.uniform(size=20_000) < 0.01).astype(float)
    absent = np.zeros(20_000)
    assert epsilon_bound(inserted, absent, delta=0).value > 1
    assert epsilon_bound(inserted, absent, delta=0.02).value == 0


def test_no_information_proves_nothing():
    rng = np.random.default_rng(0)
    values = [
        epsilon_bound(rng.normal(size=100), rng.normal(size=100), delta=0).value
        for _ in range(50)
    ]
    assert max(values) == 0


def test_limits_are_clopper_and_pearsons():
    inserted = np.r_[np.ones(50), np.repeat([1.0, 0.0], [40, 10])]
    absent = np.r_[np.zeros(50), np.repeat([1.0, 0.0], [5, 45])]
    bound = epsilon_bound(inserted, absent, delta=0.01, confidence=0.9)
    low = scipy.stats.binomtest(40, 50).proportion_ci(0.9).low
    high = scipy.stats.binomtest(5, 50).proportion_ci(0.9).high
    assert (bound.hits, bound.false_alarms) == (40, 5)
    assert bound.value == pytest.approx(np.log((low - 0.01) / high))


@pytest.mark.parametrize("scores", [[1.0, 2.0], [np.nan] * 8])
def test_scores_that_show_nothing_are_refused(scores):
    with pytest.raises(ValueError, match="`inserted` must be scores"):
        epsilon_bound(scores, [0.0] * 8, delta=0)

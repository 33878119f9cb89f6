"""What audits are said to find out they do find out, and hardly more."""

import numpy as np
import pytest

from tff_finance.evaluation.attacks.audit_power import (
    expected_bound,
    refutable_noise_share,
)
from tff_finance.evaluation.attacks.canaries import epsilon_bound
from tff_finance.privacy import accounting
from tff_finance.privacy.mechanisms import PoissonSampledGaussian

DELTA = 1e-5


def sampled(noise, probability=1.0, steps=4):
    return PoissonSampledGaussian(
        noise_multiplier=noise, sampling_probability=probability, steps=steps
    )


def calibrated(epsilon, probability=1.0, steps=4):
    noise = accounting.noise_multiplier(
        lambda noise: sampled(noise, probability, steps),
        neighbouring="add_or_remove_one",
        epsilon=epsilon,
        delta=DELTA,
        accountant="rdp",
    )
    return sampled(noise, probability, steps)


def audited(mechanism, runs, seed):
    """Bound by simulated scores: in how many steps the canary was, and noise."""
    rng = np.random.default_rng(seed)
    spread = mechanism.noise_multiplier * np.sqrt(mechanism.steps)
    times = rng.binomial(mechanism.steps, mechanism.sampling_probability, runs)
    return epsilon_bound(
        times + rng.normal(scale=spread, size=runs),
        rng.normal(scale=spread, size=runs),
        delta=DELTA,
    ).value


@pytest.mark.parametrize(("probability", "steps"), [(1.0, 4), (0.125, 32)])
def test_less_noise_than_the_share_is_refuted_and_much_more_is_not(probability, steps):
    claim = 1.0
    kept = calibrated(claim, probability, steps)
    share = refutable_noise_share(kept, epsilon=claim, delta=DELTA, runs=500)
    assert 0.1 < share < 0.4

    def refuted(of_share):
        less = sampled(kept.noise_multiplier * of_share, probability, steps)
        return np.mean([audited(less, 1000, seed) > claim for seed in range(20)])

    assert refuted(0.7 * share) > 0.8
    assert refuted(1.6 * share) < 0.2


def test_more_runs_refute_more():
    kept = calibrated(1.0)
    shares = [
        refutable_noise_share(kept, epsilon=1.0, delta=DELTA, runs=runs)
        for runs in (500, 5000)
    ]
    assert shares[0] < shares[1] < 1


def test_500_runs_cannot_refute_epsilon_8():
    kept = sampled(1.0)
    assert refutable_noise_share(kept, epsilon=8.0, delta=DELTA, runs=500) is None


def test_expected_bound_is_that_of_simulated_audits():
    mechanism = sampled(1.0, 0.5, 4)
    simulated = [audited(mechanism, 1000, seed) for seed in range(20)]
    expected = expected_bound(mechanism, delta=DELTA, runs=500)
    assert np.mean(simulated) == pytest.approx(expected, rel=0.2)


def test_a_defect_in_sampling_shows_where_sampling_matters():
    kept = calibrated(1.0, 0.125, 32)
    unsampled = sampled(kept.noise_multiplier, 1.0, 32)
    assert expected_bound(kept, delta=DELTA, runs=500) < 1.0
    assert expected_bound(unsampled, delta=DELTA, runs=500) > 1.5

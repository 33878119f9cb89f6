"""Epsilon against published figures, and refusals of what has no bound."""

import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting import rdp
from scipy import optimize, special

from tff_finance.privacy import accounting
from tff_finance.privacy.mechanisms import (
    FixedSizeCohorts,
    FullParticipation,
    PoissonSampledGaussian,
    TreeAggregation,
)

ADD_OR_REMOVE = "add_or_remove_one"


def epsilon_as_published_before_2020(mechanism, delta):
    """The moments accountant's conversion, looser than today's.

    Abadi et al. (2016), Theorem 2, which Mironov (2017), Proposition 3, restates for
    RDP: https://arxiv.org/abs/1702.07476.
    """
    accountant = rdp.RdpAccountant().compose(mechanism.event(ADD_OR_REMOVE))
    return np.min(accountant.rdp - math.log(delta) / (accountant.orders - 1))


def mnist(noise_multiplier, epochs, batch_size=256, population=60_000):
    """Training as tensorflow-privacy's tutorials count it: the last step is begun."""
    return PoissonSampledGaussian(
        noise_multiplier=noise_multiplier,
        sampling_probability=batch_size / population,
        steps=math.ceil(epochs * population / batch_size),
    )


PAPER = PoissonSampledGaussian(
    noise_multiplier=4, sampling_probability=0.01, steps=10_000
)


@pytest.mark.parametrize(
    ("mechanism", "published"),
    [
        # Abadi et al. (2016), section 3.2 and figure 2, https://arxiv.org/abs/1607.00133
        (PAPER, 1.26),
        # tensorflow-privacy, compute_dp_sgd_privacy.py, the example in its docstring:
        # --N=60000 --batch_size=256 --noise_multiplier=1.12 --epochs=60 --delta=1e-5
        (mnist(1.12, 60), 2.92),
        # tensorflow-privacy, tutorials/README.md, table of MNIST results
        (mnist(1.3, 15), 1.19),
        (mnist(1.1, 60), 3.01),
        (mnist(0.7, 45), 7.10),
    ],
)
def test_published_figures_with_the_conversion_of_their_time(mechanism, published):
    old = epsilon_as_published_before_2020(mechanism, 1e-5)
    assert old == pytest.approx(published, rel=0.01)
    by_rdp, by_pld = (
        accounting.epsilon(
            [mechanism], neighbouring=ADD_OR_REMOVE, delta=1e-5, accountant=accountant
        ).value
        for accountant in ("rdp", "pld")
    )
    assert 0.5 * old < by_pld < by_rdp < old  # each a bound, tighter than the last


@pytest.mark.parametrize(
    ("mechanism", "delta", "accountant", "published"),
    [
        # tensorflow-privacy 0.9, analysis/compute_dp_sgd_privacy_test.py,
        # test_compute_dp_sgd_privacy
        (mnist(1.3, 15, 150), 1e-5, "rdp", 0.7242234026109595),
        (mnist(1.0, 30, 100, 100_000), 1e-7, "rdp", 1.4154988495444845),
        # the same, test_compute_dp_sgd_example_privacy, without microbatching
        (mnist(0.7, 1.2, 1, 100), 1e-5, "rdp", 3.2391922),
        (mnist(0.7, 1.2, 1, 100), 1e-5, "pld", 2.4612381),
        (FullParticipation(noise_multiplier=0.7, releases=2), 1e-5, "rdp", 10.8602036),
        (FullParticipation(noise_multiplier=0.7, releases=2), 1e-5, "pld", 10.1224946),
        # dp-accounting 0.4.3, rdp/rdp_privacy_accountant_test.py,
        # test_compute_epsilon_delta_gaussian
        (FullParticipation(noise_multiplier=4.530877117), 1e-6, "rdp", 1.0),
        # dp-accounting 0.4.3, pld/pld_privacy_accountant_test.py,
        # test_poisson_subsampled_gaussian: at epsilon 1, three compositions
        (
            PoissonSampledGaussian(
                noise_multiplier=0.5, sampling_probability=0.2, steps=3
            ),
            0.15594,
            "pld",
            1.0,
        ),
    ],
)
def test_published_figures(mechanism, delta, accountant, published):
    loss = accounting.epsilon(
        [mechanism], neighbouring=ADD_OR_REMOVE, delta=delta, accountant=accountant
    )
    assert loss.value == pytest.approx(published, rel=0.01)
    assert loss.accountant == accountant


@pytest.mark.parametrize(("noise", "published"), [(1.13, 19.74), (8.83, 2.04)])
def test_trees_are_below_the_figures_of_their_paper(noise, published):
    """dp-accounting 0.4.3, rdp_privacy_accountant_test.py, test_compute_eps_tree.

    The paper's figures are of an older conversion: https://arxiv.org/abs/2103.00039.
    """
    tree = TreeAggregation(
        noise_multiplier=noise, steps_between_restarts=(1600,), participations=1
    )
    loss = accounting.epsilon([tree], neighbouring="replace_special", delta=1e-6)
    assert 0.8 * published < loss.value < published
    assert loss.accountant == "rdp"


def gaussian_epsilon(noise, delta):
    """Exact: Balle and Wang (2018), Theorem 8, https://arxiv.org/abs/1805.06530."""

    def gap(eps):
        a, b = 1 / (2 * noise), eps * noise
        return special.ndtr(a - b) - math.exp(eps) * special.ndtr(-a - b) - delta

    return optimize.brentq(gap, 0, 100)


@pytest.mark.parametrize(
    ("relation", "factor"),
    [(ADD_OR_REMOVE, 1), ("replace_special", 1), ("replace_one", 2)],
)
def test_a_replaced_unit_moves_a_sum_twice_as_far(relation, factor):
    mechanism = FullParticipation(noise_multiplier=6.0, releases=4)
    loss = accounting.epsilon([mechanism], neighbouring=relation, delta=1e-5)
    exact = gaussian_epsilon(6.0 / 2 / factor, 1e-5)
    assert loss.value == pytest.approx(exact, rel=0.01)
    assert loss.accountant == "pld"


def test_a_cohort_of_all_is_full_participation():
    cohorts = FixedSizeCohorts(noise_multiplier=5, population=40, cohort=40, rounds=3)
    everybody = FullParticipation(noise_multiplier=5, releases=3)
    by_cohorts, by_all = (
        accounting.epsilon(
            [m], neighbouring="replace_one", delta=1e-5, accountant="rdp"
        )
        for m in (cohorts, everybody)
    )
    assert by_cohorts.value == pytest.approx(by_all.value)
    smaller = FixedSizeCohorts(noise_multiplier=5, population=400, cohort=40, rounds=3)
    loss = accounting.epsilon([smaller], neighbouring="replace_one", delta=1e-5)
    assert loss.value < by_cohorts.value / 3


def test_sampling_with_probability_1_is_full_participation():
    sampled = PoissonSampledGaussian.of_training(
        noise_multiplier=5, population=100, batch_size=256, epochs=2, rounds=3
    )
    assert (sampled.sampling_probability, sampled.steps) == (1.0, 6)
    everybody = FullParticipation(noise_multiplier=5, releases=6)
    losses = [
        accounting.epsilon([m], neighbouring=ADD_OR_REMOVE, delta=1e-5).value
        for m in (sampled, everybody)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


def test_training_counts_the_steps_that_client_work_takes():
    mechanism = PoissonSampledGaussian.of_training(
        noise_multiplier=1, population=1000, batch_size=256, epochs=3, rounds=5
    )
    assert mechanism.steps == 5 * 3 * 4
    assert mechanism.sampling_probability == 0.256


def test_mechanisms_compose():
    half = FullParticipation(noise_multiplier=3.0, releases=2)
    whole = FullParticipation(noise_multiplier=3.0, releases=4)
    losses = [
        accounting.epsilon(made, neighbouring=ADD_OR_REMOVE, delta=1e-6).value
        for made in ([half, half], [whole], [])
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[2] == 0


TREE = TreeAggregation(
    noise_multiplier=1, steps_between_restarts=(8, 8), participations=1
)
COHORTS = FixedSizeCohorts(noise_multiplier=1, population=100, cohort=10, rounds=5)


@pytest.mark.parametrize(
    ("mechanism", "relation", "needed"),
    [
        (PAPER, "replace_one", ADD_OR_REMOVE),
        (PAPER, "replace_special", ADD_OR_REMOVE),
        (COHORTS, ADD_OR_REMOVE, "replace_one"),
        (COHORTS, "replace_special", "replace_one"),
        (TREE, ADD_OR_REMOVE, "replace_special"),
        (TREE, "replace_one", "replace_special"),
    ],
)
def test_a_relation_without_a_bound_is_refused(mechanism, relation, needed):
    with pytest.raises(
        accounting.UnsupportedMechanismError,
        match=f"{type(mechanism).__name__} .*{relation}.* needs {needed}",
    ):
        accounting.epsilon([mechanism], neighbouring=relation, delta=1e-5)


@pytest.mark.parametrize(
    ("mechanism", "relation"), [(COHORTS, "replace_one"), (TREE, "replace_special")]
)
def test_pld_refuses_what_it_does_not_know(mechanism, relation):
    with pytest.raises(accounting.UnsupportedMechanismError, match="'pld'"):
        accounting.epsilon(
            [mechanism], neighbouring=relation, delta=1e-5, accountant="pld"
        )
    loss = accounting.epsilon([mechanism], neighbouring=relation, delta=1e-5)
    assert loss.accountant == "rdp"


def test_calibration_refuses_an_accountant_that_does_not_know_the_mechanism():
    def cohorts(noise):
        return FixedSizeCohorts(
            noise_multiplier=noise, population=100, cohort=10, rounds=5
        )

    target = {"neighbouring": "replace_one", "epsilon": 2.0, "delta": 1e-5}
    with pytest.raises(accounting.UnsupportedMechanismError, match="'pld'"):
        accounting.noise_multiplier(cohorts, accountant="pld", **target)
    noise = accounting.noise_multiplier(cohorts, **target)
    loss = accounting.epsilon([cohorts(noise)], neighbouring="replace_one", delta=1e-5)
    assert 1.98 < loss.value <= 2.0


def test_of_two_bounds_the_lower_is_taken():
    """PLD rounds up in every step: in long training RDP may be the tighter."""
    mechanism = FullParticipation(noise_multiplier=10.0, releases=4)
    found = {
        accountant: accounting.epsilon(
            [mechanism],
            neighbouring=ADD_OR_REMOVE,
            delta=1e-5,
            accountant=accountant,
        ).value
        for accountant in ("pld", "rdp", None)
    }
    assert found[None] == min(found["pld"], found["rdp"])


def test_large_epsilons_are_left_to_rdp():
    loss = accounting.epsilon(
        [FullParticipation(noise_multiplier=0.1, releases=100)],
        neighbouring=ADD_OR_REMOVE,
        delta=1e-5,
    )
    assert loss.accountant == "rdp"
    assert 50 < loss.value < math.inf


def test_a_unit_in_several_trees_pays_for_each_of_them():
    once, twice = (
        TreeAggregation(
            noise_multiplier=noise, steps_between_restarts=(8, 8), participations=number
        )
        for noise, number in ((1.0, 1), (2.0**0.5, 2))
    )
    spent = [
        accounting.epsilon([m], neighbouring="replace_special", delta=1e-5)
        for m in (once, twice)
    ]
    assert spent[1].value == pytest.approx(spent[0].value)


def test_trees_with_several_participations_are_refused():
    with pytest.raises(ValueError, match=r"`participations` must be 1 to 1, .* got 2"):
        TreeAggregation(
            noise_multiplier=1, steps_between_restarts=(8,), participations=2
        )


def training(noise, rounds=50):
    return PoissonSampledGaussian.of_training(
        noise_multiplier=noise, population=10_000, batch_size=256, rounds=rounds
    )


@pytest.mark.parametrize(
    ("accountant", "target"), [("rdp", 0.5), ("rdp", 8.0), (None, 2.0)]
)
def test_calibrated_noise_meets_its_target_and_hardly_more(accountant, target):
    noise = accounting.noise_multiplier(
        training,
        neighbouring=ADD_OR_REMOVE,
        epsilon=target,
        delta=1e-5,
        accountant=accountant,
    )
    kept, broken = (
        accounting.epsilon(
            [training(noise * factor)],
            neighbouring=ADD_OR_REMOVE,
            delta=1e-5,
            accountant=accountant,
        ).value
        for factor in (1.0, 0.99)
    )
    assert kept <= target < broken


def test_calibration_leaves_room_for_other_releases():
    statistics = FullParticipation(noise_multiplier=10.0, releases=5)
    by_rdp = {"neighbouring": ADD_OR_REMOVE, "delta": 1e-5, "accountant": "rdp"}
    alone, beside = (
        accounting.noise_multiplier(training, epsilon=2, others=others, **by_rdp)
        for others in ([], [statistics])
    )
    assert beside > alone
    together = accounting.epsilon([training(beside), statistics], **by_rdp)
    assert 1.98 < together.value <= 2


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"others": [FullParticipation(noise_multiplier=0.5)]},
            "the other releases spend",
        ),
        ({"epsilon": 1e6}, "next to none"),
        ({"epsilon": 0}, "`epsilon` must be positive"),
        ({"delta": 0}, "`delta` must be positive"),
        ({"accountant": "moments"}, "`accountant` must be one of pld, rdp"),
    ],
)
def test_targets_that_no_noise_meets_are_refused(changes, named):
    arguments = {"neighbouring": ADD_OR_REMOVE, "epsilon": 2.0, "delta": 1e-5}
    with pytest.raises(ValueError, match=named):
        accounting.noise_multiplier(training, **(arguments | changes))


@pytest.mark.parametrize(
    ("mechanism", "changes"),
    [
        (PoissonSampledGaussian, {"noise_multiplier": 0}),
        (PoissonSampledGaussian, {"sampling_probability": 1.5}),
        (PoissonSampledGaussian, {"steps": 0}),
        (FixedSizeCohorts, {"cohort": 11}),
        (FixedSizeCohorts, {"rounds": 0}),
        (FullParticipation, {"releases": 0}),
        (TreeAggregation, {"steps_between_restarts": ()}),
        (TreeAggregation, {"steps_between_restarts": (0,)}),
    ],
)
def test_bad_numbers_are_named(mechanism, changes):
    good = {
        PoissonSampledGaussian: {
            "noise_multiplier": 1.0,
            "sampling_probability": 0.1,
            "steps": 1,
        },
        FixedSizeCohorts: {
            "noise_multiplier": 1.0,
            "population": 10,
            "cohort": 5,
            "rounds": 1,
        },
        FullParticipation: {"noise_multiplier": 1.0},
        TreeAggregation: {
            "noise_multiplier": 1.0,
            "steps_between_restarts": (4,),
            "participations": 1,
        },
    }[mechanism]
    mechanism(**good)
    [name] = changes
    with pytest.raises(ValueError, match=f"`{name}`"):
        mechanism(**(good | changes))


def test_events_are_dp_accountings_own():
    event = training(2.0).event(ADD_OR_REMOVE)
    step = dp_accounting.PoissonSampledDpEvent(
        0.0256, dp_accounting.GaussianDpEvent(2.0)
    )
    assert event == dp_accounting.SelfComposedDpEvent(step, 50 * 40)

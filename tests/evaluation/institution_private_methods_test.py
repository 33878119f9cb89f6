"""Methods that hide branches: what they promise, refuse, and really do."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation.method_contract import assert_keeps_the_contract
from tests.evaluation.methods_test import FEATURES, TRAINING, institution
from tff_finance import checks
from tff_finance.evaluation.branch_plans import PLANS, PoissonFixed
from tff_finance.evaluation.institution_private_methods import TRAFFIC_OF_COHORTS
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.institutions.examples import InMemory
from tff_finance.privacy import accounting
from tff_finance.records.institution_privacy_config import (
    InstitutionPrivacyConfig,
    VacuousPrivacyError,
)
from tff_finance.runtime import in_process

CONFIG = InstitutionPrivacyConfig(
    branches=60, cohort=30, rounds=4, passes=2, batch_size=4, learning_rate=0.5
)
METHODS = [*PLANS, "fed_avg_branches"]


@pytest.fixture(scope="module", autouse=True)
def context(uncompiled):
    del uncompiled
    with in_process.execution_context():
        yield


@pytest.fixture(scope="module")
def institutions():
    return [institution("bank_a", 180, 20, 1), institution("bank_b", 120, 20, 2)]


def build(*names, **settings):
    config = dataclasses.replace(CONFIG, **settings)
    training = dataclasses.replace(TRAINING, institution_privacy=config)
    return build_methods(names, FEATURES, training, store=InMemory())


@pytest.fixture(scope="module")
def fitted(institutions):
    return {
        method.name: [method.fit(institutions, seed=6) for _ in range(2)]
        for method in build(*METHODS)
    }


@pytest.mark.parametrize("name", METHODS)
def test_keeps_the_contract(name, fitted, institutions):
    assert_keeps_the_contract(name, fitted[name][0], institutions, seed=6)


@pytest.mark.parametrize("name", METHODS)
def test_all_rounds_are_run_and_the_last_model_is_kept(name, fitted):
    [run] = fitted[name][0].runs
    rounds = 2 * (120 // 30) if name in {"dp_ftrl", "dp_fed_avg_distributed"} else 4
    assert (run.rounds, run.best_round) == (rounds, rounds)
    assert run.stopped_by == "fixed_rounds"
    assert run.source == TRAFFIC_OF_COHORTS
    assert run.bytes_up % (rounds * 30) == 0
    assert set(fitted[name][0].scorers) == {"global"}


@pytest.mark.parametrize("name", PLANS)
def test_the_promise_is_the_target(name, fitted):
    [promise] = fitted[name][0].promises
    ledger = promise.ledger
    assert (ledger.owner, ledger.unit, ledger.population) == (
        "consortium",
        "branch",
        120,
    )
    assert ledger.target_delta == 1e-5
    loss = accounting.epsilon(
        [promise.training],
        neighbouring=ledger.neighbouring,
        delta=ledger.target_delta,
    )
    assert 7.9 < loss.value <= 8.0
    assert promise.training in ledger.mechanisms
    assert promise.sampling_probability == 0.25
    assert ("server" in promise.against) == (name == "dp_fed_avg_distributed")
    missing = set(ledger.missing_stages)
    assert missing == {"preprocessing", "tuning", "evaluation"}  # the study's


@pytest.mark.parametrize("name", PLANS)
def test_the_noise_that_is_added_is_the_one_that_is_accounted_for(name):
    plan = PLANS[name](config=CONFIG, population=120, coordinates=9)
    for noise in (0.7, 1.9):
        added = plan.description(noise).noise_multiplier
        assert added == plan.mechanism(noise, plan.rounds).noise_multiplier == noise


@pytest.mark.parametrize("name", PLANS)
def test_two_runs_of_one_seed_differ_by_noise(name, fitted):
    x = np.random.default_rng(0).normal(size=(50, FEATURES)).astype(np.float32)
    tf.random.set_seed(0)
    first, second = (result.scorers["global"](x) for result in fitted[name])
    assert np.abs(first - second).max() > 1e-3


def test_without_protection_nothing_is_promised(fitted):
    assert fitted["fed_avg_branches"][0].promises == ()


def test_three_institutions_are_refused_and_told_what_to_do(institutions):
    [method] = build("dp_fed_avg", branches=0)
    with pytest.raises(checks.RunFailedError, match="fed_avg_dp_sgd") as refused:
        method.fit(institutions, seed=6)
    assert isinstance(refused.value.__cause__, VacuousPrivacyError)
    for mended in ("--branches=1000", "--accept_vacuous_privacy", "got 2"):
        assert mended in str(refused.value)


def test_vacuous_privacy_can_be_accepted(institutions):
    [method] = build("dp_fed_avg", branches=0, accept_vacuous_privacy=True)
    [promise] = method.fit(institutions, seed=6).promises
    assert promise.ledger.population == 2
    assert promise.sampling_probability == 1.0


def test_too_many_branches_are_refused(institutions):
    [method] = build("dp_ftrl", branches=130)
    with pytest.raises(checks.RunFailedError, match="`branches` must be at most 120"):
        method.fit(institutions, seed=6)


def test_a_repeated_round_costs_once_more():
    def plan(name):
        return PLANS[name](config=CONFIG, population=120, coordinates=9)

    whole, repeated = [*range(8)], [0, 1, 1, 2, 3, 4, 5, 6, 7]
    shares = plan("dp_fed_avg_distributed")  # of 2 passes of 4 rounds
    assert shares.releases(whole) == shares.most_releases == 2
    assert shares.releases(repeated) == 3
    assert shares.mechanism(2.0, 3).releases == 3
    coins = plan("dp_fed_avg")
    assert coins.releases(repeated) == 9
    assert coins.mechanism(2.0, 9).steps == 9
    # A tree's round has the noise that it had, and all rounds are paid for.
    trees = plan("dp_ftrl")
    assert trees.releases(repeated) == trees.most_releases == 8


def test_coins_have_a_secret_of_their_own():
    plan = PoissonFixed(config=CONFIG, population=120, coordinates=9)
    assert plan.cohorts(6).members(0) != plan.cohorts(6).members(0)

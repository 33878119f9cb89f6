"""FedAvg by DP-SGD by name: each institution's noise, ledger and budget."""

import dataclasses

import numpy as np
import pytest

from tests.evaluation.method_contract import assert_keeps_the_contract
from tests.evaluation.methods_test import institution
from tests.privacy.noise_scale import assert_stddev
from tff_finance import checks
from tff_finance.evaluation import private_methods, promises
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.institutions.examples import InMemory
from tff_finance.privacy import accounting
from tff_finance.privacy.guarantee import default_delta
from tff_finance.privacy.mechanisms import PoissonSampledGaussian
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process

FEATURES = 3
SIZES = {"bank_a": 400, "bank_b": 60}
DP_SGD = DpSgdConfig(target_epsilon=1.0, batch_size=20, rounds=3, l2_clip_norm=0.7)


@pytest.fixture(scope="module")
def institutions():
    return [institution(name, rows, 10, rows) for name, rows in SIZES.items()]


@pytest.fixture(scope="module", autouse=True)
def context(uncompiled):
    del uncompiled
    with in_process.execution_context():
        yield


def build(name="fed_avg_dp_sgd", hidden_units=(2,), **dp_sgd):
    training = TrainingConfig(
        hidden_units=hidden_units, dp_sgd=dataclasses.replace(DP_SGD, **dp_sgd)
    )
    (method,) = build_methods((name,), FEATURES, training, store=InMemory())
    return method


@pytest.fixture(scope="module")
def fitted(institutions):
    return build().fit(institutions, seed=3)


def test_keeps_the_contract(fitted, institutions):
    assert_keeps_the_contract("fed_avg_dp_sgd", fitted, institutions, seed=3)


def rows_of(fitted):
    entries = promises.released_besides(label_counts=False, feature_counts=False)
    rows = promises.privacy_rows(
        fitted.promises, entries, seed=3, method="fed_avg_dp_sgd"
    )
    return {row.institution: row for row in rows}


def test_each_institution_has_the_noise_of_its_own_size(fitted):
    rows = rows_of(fitted)
    assert list(rows) == list(SIZES)
    for name, number in SIZES.items():
        row = rows[name]
        assert row.population == number
        assert row.delta == default_delta(number)
        assert row.sampling_probability == 20 / number
        assert row.steps == 3 * number / 20
        # Near the target, never above it; checked against the accountant itself.
        assert 0.95 < row.epsilon <= 1.0
        mechanism = PoissonSampledGaussian(
            noise_multiplier=row.noise_multiplier,
            sampling_probability=20 / number,
            steps=row.steps,
        )
        expected = accounting.epsilon(
            [mechanism], neighbouring="add_or_remove_one", delta=row.delta
        )
        assert (row.epsilon, row.accountant) == (expected.value, expected.accountant)
        assert (row.unit, row.neighbouring) == ("record", "add_or_remove_one")
        assert (row.l2_clip_norm, row.target_epsilon) == (0.7, 1.0)
    assert rows["bank_b"].noise_multiplier > 1.5 * rows["bank_a"].noise_multiplier


def test_somebody_at_both_institutions_is_told_what_both_release(fitted):
    rows = rows_of(fitted)
    both = [
        PoissonSampledGaussian(
            noise_multiplier=row.noise_multiplier,
            sampling_probability=row.sampling_probability,
            steps=row.steps,
        )
        for row in rows.values()
    ]
    delta = min(row.delta for row in rows.values())
    expected = accounting.epsilon(both, neighbouring="add_or_remove_one", delta=delta)
    for row in rows.values():
        assert (row.across_epsilon, row.across_delta) == (expected.value, delta)
        assert row.across_accountant == expected.accountant
    assert expected.value > 1.2 * max(row.epsilon for row in rows.values())


def end_of_training(learner, one):
    trained = learner.train(
        [one.train],
        [one.validation],
        seed=3,
        label="",
        model="global",
        folder=None,
    )
    return np.concatenate([np.ravel(w) for w in trained.weights.trainable])


def test_the_noise_that_is_promised_is_added(institutions):
    """One step of all rows: what two runs differ by is noise alone."""
    method = build(hidden_units=(64,), rounds=1, learning_rate=2.0, batch_size=400)
    together = rows_of(method.fit(institutions, seed=3))
    learner = method._learners[
        tuple(sorted((r.population, r.noise_multiplier) for r in together.values()))
    ]
    for one in institutions:
        row = together[one.institution]
        assert (row.steps, row.sampling_probability) == (1, 1.0)
        first, second = (end_of_training(learner, one) for _ in range(2))
        noise = (second - first) / np.sqrt(2)
        assert noise.size == 3 * 64 + 64 + 64 + 1
        expected = 2.0 * row.noise_multiplier * 0.7 / row.population
        assert_stddev(noise, expected)


def test_what_is_not_covered_is_told(fitted):
    lines = rows_of(fitted)["bank_a"].not_covered_lines
    stages = [line.split(": ")[0] for line in lines]
    assert stages == ["validation", *["preprocessing"] * 2, "tuning", "evaluation"]
    assert all("bank_a" not in line for line in lines)


def test_customers_with_several_rows_are_told_that_rows_are_protected(fitted):
    entries = promises.released_besides(label_counts=True, feature_counts=True)
    (row, _) = promises.privacy_rows(
        fitted.promises, entries, seed=0, method="x", several_rows=True
    )
    assert row.not_covered_lines[-1] == promises.SEVERAL_ROWS
    assert sum("preprocessing" in line for line in row.not_covered_lines) == 4


def test_rounds_are_fixed_and_the_last_model_is_kept(fitted):
    (run,) = fitted.runs
    assert (run.rounds, run.best_round, run.stopped_by) == (3, 3, "fixed_rounds")
    assert [point.training_loss for point in fitted.curves] == [None] * 3
    assert all(point.validation_loss for point in fitted.curves)


def test_given_noise_trains_until_the_budget_ends(institutions):
    """As many rounds as the smallest institution bears, and none beyond."""
    method = build(noise_multiplier=3.0, rounds=500, target_epsilon=2.0)
    fitted = method.fit(institutions, seed=3)
    (run,) = fitted.runs
    assert run.stopped_by == "budget"
    assert run.best_round == run.rounds < 500
    rows = rows_of(fitted)
    assert max(row.epsilon for row in rows.values()) <= 2.0
    small = rows["bank_b"]
    assert small.steps == run.rounds * 3
    one_more = PoissonSampledGaussian(
        noise_multiplier=3.0, sampling_probability=20 / 60, steps=small.steps + 3
    )
    assert (
        accounting.epsilon(
            [one_more], neighbouring="add_or_remove_one", delta=small.delta
        ).value
        > 2.0
    )


def test_a_budget_that_bears_nothing_is_an_error(institutions):
    with pytest.raises(checks.RunFailedError, match="bear one round at every"):
        build(noise_multiplier=0.3, target_epsilon=0.1).fit(institutions, seed=3)


def test_without_privacy_the_same_training_promises_nothing(institutions):
    """Of huge batches, with so much clipping norm, it is plain gradient descent."""
    settings = {"batch_size": 10**6, "rounds": 2, "learning_rate": 0.5}
    plain = build("fed_avg_poisson", **settings).fit(institutions, seed=3)
    assert_keeps_the_contract("fed_avg_poisson", plain, institutions, seed=3)
    assert plain.runs[0].stopped_by == "fixed_rounds"
    assert plain.promises == ()
    training = TrainingConfig(
        hidden_units=(2,),
        client_learning_rate=0.5,
        batch_size=10**6,
        rounds=2,
        patience=9,
    )
    (fed_avg,) = build_methods(("fed_avg",), FEATURES, training, store=InMemory())
    expected = fed_avg.fit(institutions, seed=3)
    np.testing.assert_allclose(
        [point.validation_loss for point in plain.curves],
        [point.validation_loss for point in expected.curves],
        rtol=1e-5,
    )


def test_given_noise_is_taken():
    ledger = private_methods.Ledger(
        owner="a", unit="record", neighbouring="add_or_remove_one", population=100
    )
    given = dataclasses.replace(DP_SGD, noise_multiplier=0.9)
    assert private_methods.noise_multiplier(given, ledger) == 0.9

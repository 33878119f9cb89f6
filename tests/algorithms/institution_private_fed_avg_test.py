"""FedAvg with institution-level privacy, and with secure sums."""

import dataclasses

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.algorithms.learning import assert_same_weights, largest_move, train
from tests.runtime.in_process_test import Refusing, installed
from tff_finance.aggregation.secure_mean import SecureMean
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.privacy.distributed_noise import DistributedNoise
from tff_finance.privacy.institution_level import (
    AdaptiveClipping,
    FixedClipping,
    TreeClipping,
)
from tff_finance.runtime import in_process, local
from tff_finance.runtime.in_process import InProcessContext
from tff_finance.training import communication
from tff_finance.training.cohorts import PoissonCohorts, cohort_data

UNIFORM = tff.learning.ClientWeighting.UNIFORM
sgd = tff.learning.optimizers.build_sgdm
WIDE = 1e3  # no update of these tables is as long
DESCRIPTIONS = {
    "fixed": FixedClipping(l2_clip_norm=WIDE, noise_multiplier=0.0, expected_updates=3),
    "adaptive": AdaptiveClipping(
        initial_l2_clip_norm=WIDE,
        noise_multiplier=0.0,
        expected_updates=3,
        learning_rate=0.0,
    ),
    "tree": TreeClipping(
        l2_clip_norm=WIDE, noise_multiplier=0.0, expected_updates=3, restart_every=2
    ),
}
NOISED = {
    name: dataclasses.replace(
        description,
        noise_multiplier=1.0,
        **({"count_stddev_share": 0.5} if name == "adaptive" else {}),
    )
    for name, description in DESCRIPTIONS.items()
}
DISTRIBUTED = DistributedNoise(
    l2_clip_norm=10.0,
    noise_multiplier=0.0,
    expected_updates=3,
    least_honest=2,
    most_updates=4,
)


def flat(weights):
    return np.concatenate([np.ravel(leaf) for leaf in weights])


def fed_avg(model, aggregator=None, weighting=UNIFORM):
    return build_fed_avg(
        model,
        client_optimizer=sgd(0.3),
        batches=LocalEpochs(epochs=2, batch_size=16, shuffle=False),
        weighting=weighting,
        aggregator=aggregator,
    )


@pytest.fixture(scope="module")
def here():
    """In this process; keeps what it has traced."""
    return InProcessContext(Refusing())


@pytest.fixture(scope="module")
def quiet(model):
    """Without noise."""
    return {
        name: fed_avg(model, description.aggregator())
        for name, description in DESCRIPTIONS.items()
    }


@pytest.fixture(scope="module")
def plain_weights(model, client_data, here):
    process = fed_avg(model)
    with installed(here):
        state, _ = train(process, client_data, 3)
    weights = process.get_model_weights(state)
    assert largest_move(weights, model) > 0.05
    return weights


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_without_noise_and_clipping_it_is_the_uniform_mean(
    name, quiet, client_data, plain_weights, here
):
    process = quiet[name]
    with installed(here):  # nothing falls back
        state, _ = train(process, client_data, 3)
    assert_same_weights(process.get_model_weights(state), plain_weights, atol=1e-6)


def test_trees_run_on_tffs_runtime_too(quiet, client_data, plain_weights):
    process = quiet["tree"]
    state, _ = train(process, client_data, 3)
    assert_same_weights(process.get_model_weights(state), plain_weights, atol=1e-5)


@pytest.mark.parametrize("name", NOISED)
def test_noise_is_fresh_in_every_round_and_run(name, model, client_data, here):
    """Also where nothing else differs: the same state, seed and rows."""
    process = fed_avg(model, NOISED[name].aggregator())
    with installed(here):
        runs = [train(process, client_data, 1) for _ in range(2)]
        first, second = (
            process.get_model_weights(state).trainable[0] for state, _ in runs
        )
        assert np.abs(first - second).max() > 0.1
        state, _ = runs[0]
        again, _ = train(process, client_data, 1, state)
        moved = process.get_model_weights(again).trainable[0] - first
        before = first - model.initial_weights[0][0]
        assert np.abs(moved - before).max() > 0.1


@pytest.mark.parametrize("runtime", [in_process, local], ids=["in_process", "tff"])
@pytest.mark.parametrize("name", ["fixed", "adaptive"])
def test_a_round_without_anybody_has_the_noise_of_any_other(
    name, runtime, model, client_data
):
    """Without noise it would tell that nobody was drawn."""
    nobody = PoissonCohorts(population=3, sampling_probability=1e-9, seed=1)
    rounds, data_of = 10, cohort_data(client_data, nobody)
    assert not any(nobody.members(number) for number in range(rounds))
    process = fed_avg(model, NOISED[name].aggregator())
    weights, moves = flat(model.initial_weights[0]), []
    with runtime.execution_context():
        state = process.initialize()
        for number in range(rounds):
            state, metrics = train(process, data_of(number), 1, state)
            before, weights = weights, flat(process.get_model_weights(state).trainable)
            moves.append(weights - before)
            assert metrics["client_work"]["num_institutions"] == 0
    noise = getattr(NOISED[name], "sum_noise_multiplier", 1.0)
    # Of 290 numbers: 2/3 and 3/2 are eight deviations away.
    assert np.std(moves) == pytest.approx(noise * WIDE / 3, rel=0.2)


@pytest.mark.parametrize("runtime", [in_process, local], ids=["in_process", "tff"])
def test_a_round_without_anybody_moves_nothing_where_there_is_no_noise(runtime, model):
    process = fed_avg(model, DESCRIPTIONS["fixed"].aggregator())
    with runtime.execution_context():
        state, _ = train(process, [], 2)
    assert largest_move(process.get_model_weights(state), model) == 0


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_an_institution_without_weight_adds_zeros(
    name, quiet, client_data, empty_client, broken_client, here
):
    """Sum and denominator stay as they are, whoever has no rows or sends no number."""
    process = quiet[name]
    with installed(here):
        expected, _ = train(process, client_data, 1)
        for client in (empty_client, broken_client):
            actual, _ = train(process, [*client_data, client], 1)
            assert_same_weights(
                process.get_model_weights(actual),
                process.get_model_weights(expected),
                atol=1e-6,
            )


def test_an_aggregator_without_weights_needs_uniform_weighting(model):
    with pytest.raises(ValueError, match=r"`weighting` must be .*UNIFORM"):
        fed_avg(
            model,
            DESCRIPTIONS["fixed"].aggregator(),
            tff.learning.ClientWeighting.NUM_EXAMPLES,
        )


def test_secure_sums_end_where_plain_ones_do(model, client_data, caplog):
    """On TFF's runtime, which has them replaced by others, and in this process."""
    by_rows = tff.learning.ClientWeighting.NUM_EXAMPLES
    plain = fed_avg(model, weighting=by_rows)
    secure = fed_avg(
        model,
        SecureMean(l2_clip_norm=10.0, largest_weight=100.0).aggregator(),
        weighting=by_rows,
    )
    with local.execution_context(secure_sums=True):
        there, _ = train(secure, client_data, 3)
    with in_process.execution_context():
        expected, _ = train(plain, client_data, 3)
        here, _ = train(secure, client_data, 3)
    assert "TFF's own runtime runs" not in caplog.text
    weights = plain.get_model_weights(expected)
    assert_same_weights(secure.get_model_weights(there), weights, atol=1e-4)
    assert_same_weights(secure.get_model_weights(here), weights, atol=1e-4)


def test_distributed_noise_of_0_is_the_uniform_mean(
    model, client_data, plain_weights, caplog
):
    process = fed_avg(model, DISTRIBUTED.aggregator())
    with in_process.execution_context():
        state, _ = train(process, client_data, 3)
        noised = fed_avg(
            model, dataclasses.replace(DISTRIBUTED, noise_multiplier=1.0).aggregator()
        )
        moved, _ = train(noised, client_data, 1)
    assert "TFF's own runtime runs" not in caplog.text
    assert_same_weights(process.get_model_weights(state), plain_weights, atol=2e-3)
    assert largest_move(noised.get_model_weights(moved), model) > 1.0


def test_traffic_of_secure_sums_is_known(model):
    plain, secure = (
        communication.traffic_per_round(fed_avg(model, aggregator).next)
        for aggregator in (None, DISTRIBUTED.aggregator())
    )
    assert secure.bytes_up >= 0.9 * plain.bytes_up

"""FedProx: at mu = 0 FedAvg to the last bit, else equal to NumPy."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import assert_same_weights, largest_move, train
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_prox import build_fed_prox
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.runtime import in_process

RATE = 0.3
ROUNDS = 3
BATCH_SIZE = 16
sgd = tff.learning.optimizers.build_sgdm

pytestmark = pytest.mark.usefixtures("tff_context")


def build(model, mu, *, shuffle=False):
    return build_fed_prox(
        model,
        mu=mu,
        client_optimizer=sgd(RATE),
        batches=LocalEpochs(epochs=2, batch_size=BATCH_SIZE, shuffle=shuffle),
    )


def test_at_zero_is_fed_avg_to_the_last_bit(model, client_data):
    fed_avg = build_fed_avg(
        model,
        client_optimizer=sgd(RATE),
        batches=LocalEpochs(epochs=2, batch_size=BATCH_SIZE),
    )
    with in_process.execution_context():
        weights = [
            process.get_model_weights(train(process, client_data, ROUNDS)[0])
            for process in (build(model, 0.0, shuffle=True), fed_avg)
        ]
    assert_same_weights(*weights, atol=0)
    assert largest_move(weights[0], model) > 0.05


def test_equals_numpy(logistic_model, tables, client_data):
    process = build(logistic_model, 0.8)
    state, _ = train(process, client_data, ROUNDS)

    def in_numpy(mu):
        w = numpy_logistic.vector(process.get_model_weights(process.initialize()))
        rows = np.array([len(y) for _, y in tables.values()])
        for _ in range(ROUNDS):
            local = [
                numpy_logistic.local_steps(
                    w,
                    x,
                    y,
                    rate=RATE,
                    steps=numpy_logistic.batches(len(y), BATCH_SIZE, epochs=2),
                    correct=lambda g, v, start=w: g + mu * (v - start),
                )[0]
                for x, y in tables.values()
            ]
            w = rows / rows.sum() @ local
        return w

    expected = in_numpy(0.8)
    np.testing.assert_allclose(
        numpy_logistic.vector(process.get_model_weights(state)), expected, atol=1e-5
    )
    assert np.abs(expected - in_numpy(0.0)).max() > 0.05


def test_the_stronger_the_pull_the_smaller_the_move(logistic_model, client_data):
    moves = []
    for mu in (0.0, 0.5, 2.0):
        process = build(logistic_model, mu)
        state, _ = train(process, client_data, 1)
        moves.append(largest_move(process.get_model_weights(state), logistic_model))
    assert moves[0] > 1.2 * moves[1] > 1.2 * moves[2] > 0


@pytest.mark.parametrize("mu", [-0.1, np.nan, np.inf])
def test_a_pull_that_makes_no_sense_is_refused(logistic_model, mu):
    with pytest.raises(ValueError, match="`mu` must be at least 0"):
        build(logistic_model, mu)

"""FedAvg: equal to TFF's own, to centralized training, and to a NumPy sketch."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs

BATCH_SIZE = 16
ROUNDS = 4
sgd = tff.learning.optimizers.build_sgdm


def train(process, data, rounds=ROUNDS, state=None):
    """Runs rounds; returns the state and the metrics of the last one."""
    state = state if state is not None else process.initialize()
    metrics = None
    for _ in range(rounds):
        state, metrics = process.next(state, data)
    return state, metrics


def assert_same_weights(actual, expected, tolerance=1e-5):
    assert len(actual.trainable) == len(expected.trainable) > 0
    for left, right in zip(actual.trainable, expected.trainable, strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance, rtol=0)


@pytest.mark.parametrize("optimizer", [sgd(0.3), sgd(0.2, momentum=0.9)])
def test_equals_tff_weighted_fed_avg_without_shuffling(
    model, client_data, batched_data, optimizer
):
    ours = build_fed_avg(
        model,
        client_optimizer=optimizer,
        batches=LocalEpochs(epochs=1, batch_size=BATCH_SIZE, shuffle=False),
    )
    stock = tff.learning.algorithms.build_weighted_fed_avg(
        model, client_optimizer_fn=optimizer, server_optimizer_fn=sgd(1.0)
    )
    state, _ = train(ours, client_data)
    expected, _ = train(stock, batched_data(BATCH_SIZE))
    assert_same_weights(
        ours.get_model_weights(state), stock.get_model_weights(expected)
    )
    moved = np.abs(
        ours.get_model_weights(state).trainable[0] - model.initial_weights[0][0]
    )
    assert moved.max() > 0.05


def test_with_one_bank_equals_centralized_training(model, client_data):
    batches = LocalEpochs(epochs=2, batch_size=BATCH_SIZE, shuffle=True)
    federated = build_fed_avg(model, client_optimizer=sgd(0.3), batches=batches)
    centralized = build_single_site(model, optimizer=sgd(0.3), batches=batches)
    state, metrics = train(federated, client_data[:1])
    expected, expected_metrics = train(centralized, client_data[:1])
    assert_same_weights(
        federated.get_model_weights(state),
        centralized.get_model_weights(expected),
        tolerance=1e-6,
    )
    assert metrics["client_work"]["loss"] == pytest.approx(
        expected_metrics["loss"], rel=1e-5
    )

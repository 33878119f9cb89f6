"""FedSGD: equal to TFF's own, to gradient descent on pooled rows, and to NumPy."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import assert_same_weights, largest_move, train
from tff_finance.algorithms.fed_sgd import build_fed_sgd

sgd = tff.learning.optimizers.build_sgdm


def test_equals_tff_fed_sgd(model, client_data, batched_data):
    ours = build_fed_sgd(model, server_optimizer=sgd(0.5, momentum=0.9))
    stock = tff.learning.algorithms.build_fed_sgd(
        model, server_optimizer_fn=sgd(0.5, momentum=0.9)
    )
    state, _ = train(ours, client_data, 5)
    expected, _ = train(stock, batched_data(16), 5)
    weights = ours.get_model_weights(state)
    assert_same_weights(weights, stock.get_model_weights(expected))
    assert largest_move(weights, model) > 0.05


def test_equals_numpy(fed_sgd, logistic_model, tables, client_data, weighting):
    """By examples it is gradient descent, with momentum, on the pooled rows."""
    pooled_x = np.concatenate([x for x, _ in tables.values()])
    pooled_y = np.concatenate([y for _, y in tables.values()])
    state = fed_sgd.initialize()
    w = numpy_logistic.vector(fed_sgd.get_model_weights(state))
    velocity = np.zeros_like(w)
    for _ in range(4):
        loss = numpy_logistic.loss(w, pooled_x, pooled_y)
        if weighting == "examples":
            gradient = numpy_logistic.gradient(w, pooled_x, pooled_y)
        else:
            gradient = np.mean(
                [numpy_logistic.gradient(w, x, y) for x, y in tables.values()], axis=0
            )
        velocity = 0.5 * velocity + gradient
        w = w - 0.5 * velocity

        state, metrics = fed_sgd.next(state, client_data)
        weights = fed_sgd.get_model_weights(state)
        np.testing.assert_allclose(numpy_logistic.vector(weights), w, atol=1e-5, rtol=0)
        assert metrics["client_work"]["loss"] == pytest.approx(loss, rel=1e-5)
        assert metrics["client_work"]["num_examples"] == len(pooled_y)
        assert metrics["client_work"]["num_institutions"] == 3
    assert largest_move(weights, logistic_model) > 0.3


def test_empty_and_broken_institutions_are_left_out(
    fed_sgd, client_data, empty_client, broken_client
):
    others = [client_data[0], client_data[2]]
    state, expected_metrics = train(fed_sgd, others, 1)
    with_more, metrics = train(fed_sgd, [empty_client, broken_client, *others], 1)
    assert_same_weights(
        fed_sgd.get_model_weights(with_more),
        fed_sgd.get_model_weights(state),
        atol=1e-7,
    )
    assert metrics["client_work"]["non_finite_updates"] == 1
    assert metrics["client_work"]["num_institutions"] == 3
    assert metrics["client_work"]["loss"] == pytest.approx(
        expected_metrics["client_work"]["loss"], rel=1e-6
    )


def test_without_any_gradient_model_and_momentum_stay(
    fed_sgd, client_data, empty_client, broken_client
):
    before, _ = train(fed_sgd, client_data, 1)
    for data, broken in (([empty_client] * 2, 0), ([broken_client, empty_client], 1)):
        state, metrics = train(fed_sgd, data, 1, state=before)
        assert_same_weights(
            fed_sgd.get_model_weights(state), fed_sgd.get_model_weights(before), atol=0
        )
        assert metrics["client_work"]["non_finite_updates"] == broken
        after, _ = train(fed_sgd, client_data, 1, state=state)
        expected, _ = train(fed_sgd, client_data, 1, state=before)
        assert_same_weights(
            fed_sgd.get_model_weights(after),
            fed_sgd.get_model_weights(expected),
            atol=0,
        )


def test_the_server_learning_rate_is_a_hyperparameter(fed_sgd, client_data):
    state = fed_sgd.initialize()
    before = numpy_logistic.vector(fed_sgd.get_model_weights(state))
    hparams = fed_sgd.get_hparams(state)
    assert hparams["finalizer"]["learning_rate"] == pytest.approx(0.5)

    def step(learning_rate):
        hparams["finalizer"]["learning_rate"] = learning_rate
        after, _ = fed_sgd.next(fed_sgd.set_hparams(state, hparams), client_data)
        return numpy_logistic.vector(fed_sgd.get_model_weights(after)) - before

    np.testing.assert_allclose(step(0.2), 2 * step(0.1), atol=1e-6)

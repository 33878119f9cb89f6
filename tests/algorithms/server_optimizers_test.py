"""Server optimizers: the paper's formulas in NumPy, in any algorithm."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import assert_same_weights, train
from tff_finance.algorithms.client_optimizers import build_client_optimizer
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.server_optimizers import (
    DEFAULT_LEARNING_RATES,
    build_server_optimizer,
)
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.records.training_config import OPTIMIZERS

ADAPTIVE = ("adagrad", "adam", "yogi")
BATCHES = LocalEpochs(epochs=2, batch_size=16, shuffle=False)
sgd = tff.learning.optimizers.build_sgdm

pytestmark = pytest.mark.usefixtures("tff_context")


def in_numpy(name, x, deltas, *, eta, beta_1=None, beta_2=0.99, tau=1e-3):
    """Algorithm 2 of Reddi et al. (2021); FedAvgM with momentum 0.9."""
    if beta_1 is None:
        beta_1 = 0.0 if name == "adagrad" else 0.9
    m, v = np.zeros_like(x), np.full_like(x, tau**2)
    for delta in deltas:
        if name == "sgd":
            x = x + eta * delta
            continue
        if name == "momentum":
            m = 0.9 * m + delta
            x = x + eta * m
            continue
        m = beta_1 * m + (1 - beta_1) * delta
        if name == "adagrad":
            v = v + delta**2
        elif name == "adam":
            v = beta_2 * v + (1 - beta_2) * delta**2
        else:
            v = v - (1 - beta_2) * delta**2 * np.sign(v - delta**2)
        x = x + eta * m / (np.sqrt(v) + tau)
    return x


def steps(optimizer, x, deltas):
    """Steps of the optimizer itself, whose gradients are minus the deltas."""
    weights = (tf.constant(x, tf.float32),)
    state = optimizer.initialize(
        tf.nest.map_structure(lambda w: tf.TensorSpec(w.shape, w.dtype), weights)
    )
    for delta in deltas:
        gradient = (tf.constant(-delta, tf.float32),)
        state, weights = optimizer.next(state, weights, gradient)
    return weights[0].numpy()


@pytest.fixture(scope="module")
def deltas():
    """Large and small ones, so that tau counts, falling, so that Yogi's sign turns."""
    rng = np.random.default_rng(4)
    scale = np.array([1.0, 0.1, 1e-2, 1e-3, 1e-4])
    return [rng.normal(size=5) * scale / (1 + t) for t in range(6)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_equal_numpy(name, deltas):
    x = np.linspace(-1, 1, 5)
    found = steps(build_server_optimizer(name, 0.05), x, deltas)
    np.testing.assert_allclose(
        found, in_numpy(name, x, deltas, eta=0.05), atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("name", ADAPTIVE)
def test_settings_equal_numpy(name, deltas):
    x = np.linspace(-1, 1, 5)
    settings = {"beta_1": 0.5, "beta_2": 0.8, "tau": 0.02}
    found = steps(build_server_optimizer(name, 0.05, **settings), x, deltas)
    expected = in_numpy(name, x, deltas, eta=0.05, **settings)
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=1e-5)
    assert np.abs(expected - in_numpy(name, x, deltas, eta=0.05)).max() > 1e-2


def test_the_numbers_above_tell_optimizers_apart(deltas):
    ends = [in_numpy(name, np.zeros(5), deltas, eta=0.05) for name in OPTIMIZERS]
    for number, end in enumerate(ends):
        for other in ends[:number]:
            assert np.abs(end - other).max() > 5e-4


@pytest.mark.parametrize("name", ADAPTIVE)
def test_tffs_of_the_name_is_another(name, deltas):
    """It has bias correction or another epsilon: why there are some of our own."""
    build = getattr(tff.learning.optimizers, f"build_{name}")
    ours = steps(build_server_optimizer(name, 0.05), np.zeros(5), deltas)
    assert np.abs(steps(build(0.05), np.zeros(5), deltas) - ours).max() > 1e-2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_in_fed_avg_equals_numpy(name, logistic_model, tables, client_data):
    process = build_fed_avg(
        logistic_model,
        client_optimizer=sgd(0.3),
        server_optimizer=build_server_optimizer(name),
        batches=BATCHES,
        weighting=tff.learning.ClientWeighting.UNIFORM,
    )
    state, _ = train(process, client_data, 3)
    x = numpy_logistic.vector(process.get_model_weights(process.initialize()))
    deltas, eta = [], DEFAULT_LEARNING_RATES[name]
    start = x
    for _ in range(3):
        ends = [
            numpy_logistic.local_steps(
                x,
                *table,
                rate=0.3,
                steps=numpy_logistic.batches(len(table[1]), 16, epochs=2),
            )[0]
            for table in tables.values()
        ]
        deltas.append(np.mean(ends, axis=0) - x)
        x = in_numpy(name, start, deltas, eta=eta)
    np.testing.assert_allclose(
        numpy_logistic.vector(process.get_model_weights(state)), x, atol=1e-5
    )
    assert np.abs(x - start).max() > 0.03


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_round_without_updates_leaves_model_and_moments(
    name, logistic_model, client_data, empty_client
):
    process = build_fed_sgd(
        logistic_model, server_optimizer=build_server_optimizer(name)
    )
    before, _ = train(process, client_data, 2)
    after, _ = train(process, [empty_client], 1, state=before)
    for one, other in zip(
        tf.nest.flatten(after.finalizer), tf.nest.flatten(before.finalizer), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert_same_weights(
        process.get_model_weights(after), process.get_model_weights(before), atol=0
    )


def test_settings_are_hyperparameters(logistic_model, client_data):
    process = build_fed_sgd(
        logistic_model, server_optimizer=build_server_optimizer("adam", 0.1)
    )
    state = process.initialize()
    hparams = process.get_hparams(state)
    assert dict(hparams["finalizer"]) == pytest.approx(
        {"learning_rate": 0.1, "beta_1": 0.9, "beta_2": 0.99, "tau": 1e-3}
    )
    hparams["finalizer"]["learning_rate"] = 0.0
    still = process.set_hparams(state, hparams)
    after, _ = train(process, client_data, 1, state=still)
    assert_same_weights(
        process.get_model_weights(after), process.get_model_weights(state), atol=0
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "lion"}, "`name` must be one of sgd, momentum"),
        ({"learning_rate": 0.0}, "`learning_rate` must be positive"),
        ({"tau": 0.0}, "`tau` must be positive"),
        ({"beta_1": 1.0}, "`beta_1` must be at least 0 and below 1, got 1.0"),
        ({"beta_2": -0.1}, "`beta_2` must be at least 0 and below 1"),
        ({"name": "momentum", "momentum": 1.0}, "`momentum` must be at least 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_server_optimizer(**{"name": "adam"} | options)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_client_optimizers_are_tffs(name, deltas):
    builders = tff.learning.optimizers
    stock = {
        "sgd": lambda: builders.build_sgdm(0.05),
        "momentum": lambda: builders.build_sgdm(0.05, momentum=0.9),
    }.get(name, lambda: getattr(builders, f"build_{name}")(0.05))
    np.testing.assert_array_equal(
        steps(build_client_optimizer(name, 0.05), np.zeros(5), deltas),
        steps(stock(), np.zeros(5), deltas),
    )


def test_unknown_client_optimizers_are_refused():
    with pytest.raises(ValueError, match="`name` must be one of sgd, momentum"):
        build_client_optimizer("lion", 0.1)
    with pytest.raises(ValueError, match="`learning_rate` must be positive"):
        build_client_optimizer("sgd", 0.0)

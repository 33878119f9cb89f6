"""FedAvg with record-level differential privacy, on both runtimes."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.conftest import NUM_FEATURES
from tests.algorithms.learning import assert_same_weights, train
from tests.privacy.noise_scale import assert_stddev
from tests.runtime.in_process_test import Refusing, installed
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import build_private_gradient
from tff_finance.institutions.customers import CustomersInMemory, customer_examples
from tff_finance.institutions.examples import (
    InMemoryGroups,
    client_dataset,
    dense_examples,
)
from tff_finance.privacy import fresh_noise
from tff_finance.runtime.in_process import InProcessContext
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model

CLIP = 0.4
RATE = 0.3
MULTIPLIER = 1.1
BATCHES = PoissonBatches(epochs=2, batch_size=16)
UNIFORM = tff.learning.ClientWeighting.UNIFORM
sgd = tff.learning.optimizers.build_sgdm


@pytest.fixture(params=["tff", "in_process"])
def runtime(request, tff_context):
    """Either runtime; in this process nothing may fall back to the other."""
    del tff_context
    context = (
        installed(InProcessContext(Refusing()))
        if request.param == "in_process"
        else contextlib.nullcontext()
    )
    with context:
        yield request.param


def build_keras_model():
    return build_risk_model(NUM_FEATURES, hidden_units=(), seed=3)


WIDTH = 64


def build_wide_keras_model():
    return build_risk_model(NUM_FEATURES, hidden_units=(WIDTH,), seed=3)


@pytest.fixture(scope="module")
def wide_model(tff_context):
    """With enough weights to tell scales of noise apart by one update."""
    del tff_context
    return keras_models.functional_model(build_wide_keras_model)


def private(model, *, keras_model=None, **options):
    settings = {"l2_clip_norm": CLIP, "noise_multiplier": MULTIPLIER} | options
    keras_model = keras_model or build_keras_model()
    return build_private_gradient(model, keras_model=keras_model, **settings)


def all_weights(process, state):
    return np.concatenate(
        [np.ravel(w) for w in process.get_model_weights(state).trainable]
    )


def build_private_fed_avg(model, *, batches=BATCHES, local_rule=None, **options):
    return build_fed_avg(
        model,
        client_optimizer=sgd(RATE),
        batches=batches,
        weighting=UNIFORM,
        gradient_estimator=private(model, **options),
        local_rule=local_rule,
    )


def vector_after(process, data, rounds=1, state=None):
    state, metrics = train(process, data, rounds, state)
    return numpy_logistic.vector(process.get_model_weights(state)), metrics


SEED = np.array([2**50 + 11, 4], np.int64)


def private_steps_in_numpy(w, x, y):
    """One institution's round from `SEED`: its own clipping, sum, noise, division."""
    for_batches, for_noise = fresh_noise.split(tf.constant(SEED), 2)
    plan = BATCHES.plan(tf.constant(len(y)), for_batches)
    # Padded to a power of two of steps before the noise is drawn.
    steps = int(2 ** np.ceil(np.log2(int(plan.num_steps))))
    noise = fresh_noise.standard_normal(for_noise, [steps, len(w)]).numpy()
    for step in range(int(plan.num_steps)):
        total = np.zeros_like(w)
        for row in plan.units.numpy()[step]:
            if row >= 0:
                g = numpy_logistic.gradient(w, x[row : row + 1], y[row : row + 1])
                total += g * min(1, CLIP / np.linalg.norm(g))
        w = w - RATE * (total + MULTIPLIER * CLIP * noise[step]) / min(16, len(y))
    return w


def test_it_equals_numpy_with_an_injected_seed(
    runtime, logistic_model, tables, client_data, empty_client
):
    del runtime
    process = build_private_fed_avg(
        logistic_model, seed_source=lambda: tf.constant(SEED)
    )
    found, metrics = vector_after(process, [*client_data, empty_client])
    start = numpy_logistic.vector(process.get_model_weights(process.initialize()))
    expected = np.mean(
        [private_steps_in_numpy(start, x, y) for x, y in tables.values()], axis=0
    )
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(expected - start).max() > 0.05
    assert metrics["client_work"]["non_finite_updates"] == 0
    # The training loss would be a release without noise.
    assert "loss" not in metrics["client_work"]


def test_noise_is_fresh_at_every_institution_in_every_round_and_run(
    runtime, wide_model, tables
):
    """Of institutions with the same rows, and of runs with the same seed."""
    del runtime
    x, y = tables["bank_a"]
    twins = [
        client_dataset(dense_examples(x, y, institution=name))
        for name in ("one", "other")
    ]
    process = build_private_fed_avg(
        wide_model,
        batches=PoissonBatches(epochs=1, batch_size=len(y)),
        noise_multiplier=50.0,
        keras_model=build_wide_keras_model(),
    )
    deviation = RATE * 50.0 * CLIP / len(y)
    initial = process.initialize()
    moves = []
    for twin in (*twins, *twins):
        state = initial
        for _ in range(2):
            before = all_weights(process, state)
            state, _ = train(process, [twin], 1, state)
            moves.append(all_weights(process, state) - before)
    # 449 independent numbers: above 0.3 once in 1e10.
    correlations = np.corrcoef(moves)[np.triu_indices(len(moves), 1)]
    assert np.abs(correlations).max() < 0.3
    # Clipped gradients, at most a fiftieth of a deviation a row, don't count.
    assert_stddev(np.ravel(moves), deviation)


def test_twins_noise_is_independent(runtime, wide_model, tables):
    """Many institutions with the same rows: their mean has noise of 1/sqrt(n)."""
    del runtime
    x, y = tables["bank_c"]
    number = 64
    clients = [
        client_dataset(dense_examples(x, y, institution=f"bank_{i}"))
        for i in range(number)
    ]
    quiet, loud = (
        build_private_fed_avg(
            wide_model,
            batches=PoissonBatches(epochs=1, batch_size=len(y)),
            noise_multiplier=multiplier,
            keras_model=build_wide_keras_model(),
        )
        for multiplier in (0, 50.0)
    )
    expected = all_weights(quiet, train(quiet, clients[:1], 1)[0])
    found = all_weights(loud, train(loud, clients, 1)[0])
    deviation = RATE * 50.0 * CLIP / len(y)
    assert_stddev(found - expected, deviation / np.sqrt(number))


def test_with_all_rows_without_noise_and_clipping_it_is_plain_fed_avg(
    runtime, logistic_model, client_data
):
    del runtime
    limit = build_private_fed_avg(
        logistic_model,
        batches=PoissonBatches(epochs=3, batch_size=64),
        l2_clip_norm=1e6,
        noise_multiplier=0,
    )
    plain = build_fed_avg(
        logistic_model,
        client_optimizer=sgd(RATE),
        batches=LocalEpochs(epochs=3, batch_size=64),
        weighting=UNIFORM,
    )
    state, _ = train(limit, client_data, 2)
    expected, _ = train(plain, client_data, 2)
    assert_same_weights(
        limit.get_model_weights(state), plain.get_model_weights(expected)
    )


class Proximal(LocalRule):
    """FedProx: adds the gradient of mu/2 times the squared distance to the start."""

    def correct(self, gradient, *, weights, global_weights, state, shared):
        del state, shared
        return tuple(
            g + 2.0 * (w - start)
            for g, w, start in zip(gradient, weights, global_weights, strict=True)
        )


def test_local_rules_work_on_private_gradients(runtime, logistic_model, client_data):
    del runtime
    options = {"seed_source": lambda: tf.constant(SEED)}
    plain, proximal = (
        build_private_fed_avg(logistic_model, local_rule=rule, **options)
        for rule in (None, Proximal())
    )
    start = numpy_logistic.vector(plain.get_model_weights(plain.initialize()))
    far, _ = vector_after(plain, client_data)
    near, _ = vector_after(proximal, client_data)
    assert 0 < np.linalg.norm(near - start) < 0.9 * np.linalg.norm(far - start)


def test_a_model_without_a_closed_form_trains_privately(runtime, model, client_data):
    """Gradients row by row, as XLA and the worker take them."""
    del runtime
    ways = [
        build_fed_avg(
            model,
            client_optimizer=sgd(RATE),
            batches=BATCHES,
            weighting=UNIFORM,
            gradient_estimator=build_private_gradient(
                model,
                l2_clip_norm=CLIP,
                noise_multiplier=MULTIPLIER,
                keras_model=keras_model,
                seed_source=lambda: tf.constant(SEED),
            ),
        )
        for keras_model in (
            None,
            build_risk_model(NUM_FEATURES, hidden_units=(4,), seed=3),
        )
    ]
    ends = [way.get_model_weights(train(way, client_data, 2)[0]) for way in ways]
    assert_same_weights(*ends)


def test_members_of_a_group_have_noise_of_their_own(runtime, wide_model, tables):
    del runtime
    x, y = tables["bank_c"]
    store = InMemoryGroups()
    twins = [
        store.client_dataset(dense_examples(x, y, institution=name))
        for name in ("one", "other")
    ]

    def moved(multiplier, clients):
        process = build_fed_avg(
            wide_model,
            client_optimizer=sgd(RATE),
            batches=PoissonBatches(epochs=1, batch_size=len(y)),
            weighting=UNIFORM,
            gradient_estimator=private(
                wide_model,
                keras_model=build_wide_keras_model(),
                noise_multiplier=multiplier,
            ),
            store=store,
        )
        state, _ = train(process, store.groups(clients, len(clients)), 1)
        return all_weights(process, state)

    deviation = RATE * 50.0 * CLIP / len(y)
    assert_stddev(moved(50.0, 32 * twins) - moved(0, twins), deviation / 8)


def test_a_single_site_trains_privately(logistic_model, tables, client_data):
    process = build_single_site(
        logistic_model,
        optimizer=sgd(RATE),
        batches=BATCHES,
        gradient_estimator=private(
            logistic_model, seed_source=lambda: tf.constant(SEED)
        ),
    )
    found, metrics = vector_after(process, client_data[:1])
    start = numpy_logistic.vector(process.get_model_weights(process.initialize()))
    expected = private_steps_in_numpy(start, *tables["bank_a"])
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert "loss" not in metrics


MOST_ROWS = 4


@pytest.fixture(scope="module")
def customers(tables):
    """A bank's rows by customers, of whom some have more rows than count."""
    x, y = tables["bank_b"]
    rng = np.random.default_rng(2)
    return customer_examples(
        x,
        y,
        rng.integers(13, size=len(y)) ** 2 // 13,
        institution="bank_b",
        most_rows=MOST_ROWS,
    )


def build_customer_level(model, batches):
    return build_fed_avg(
        model,
        client_optimizer=sgd(RATE),
        batches=batches,
        gradient_estimator=private(model, seed_source=lambda: tf.constant(SEED)),
        store=CustomersInMemory(MOST_ROWS),
    )


def test_customers_are_units(runtime, logistic_model, customers):
    """Drawn, summed and clipped with all their rows; equal to NumPy."""
    del runtime
    batches = PoissonBatches(epochs=4, batch_size=5)
    process = build_customer_level(logistic_model, batches)
    found, metrics = vector_after(process, [client_dataset(customers)])
    number = len(customers["customer_rows"])
    assert metrics["client_work"]["num_examples"] == number < len(customers["x"])

    w = numpy_logistic.vector(process.get_model_weights(process.initialize()))
    for_batches, for_noise = fresh_noise.split(tf.constant(SEED), 2)
    plan = batches.plan(tf.constant(number), for_batches)
    steps = int(2 ** np.ceil(np.log2(int(plan.num_steps))))
    noise = fresh_noise.standard_normal(for_noise, [steps, len(w)]).numpy()
    clipped = 0
    for step in range(int(plan.num_steps)):
        total = np.zeros_like(w)
        for customer in plan.units.numpy()[step]:
            if customer >= 0:
                rows = customers["customer_rows"][customer]
                rows = rows[rows >= 0]
                x, y = customers["x"][rows], customers["y"][rows, 0]
                g = len(rows) * numpy_logistic.gradient(w, x, y)
                clipped += np.linalg.norm(g) > CLIP
                total += g * min(1, CLIP / np.linalg.norm(g))
        w = w - RATE * (total + MULTIPLIER * CLIP * noise[step]) / 5
    assert clipped > 0
    np.testing.assert_allclose(found, w, atol=2e-5)


def test_customers_are_for_private_gradients(logistic_model):
    store = CustomersInMemory(MOST_ROWS)
    with pytest.raises(ValueError, match="must be PoissonBatches for a store of cust"):
        build_fed_avg(
            logistic_model,
            client_optimizer=sgd(RATE),
            batches=LocalEpochs(epochs=1, batch_size=16),
            store=store,
        )
    with pytest.raises(ValueError, match="`store` must hold rows"):
        build_fed_sgd(logistic_model, server_optimizer=sgd(RATE), store=store)


def test_batches_and_estimator_must_fit(logistic_model):
    with pytest.raises(ValueError, match="needs `PoissonBatches`"):
        build_private_fed_avg(
            logistic_model, batches=LocalEpochs(epochs=1, batch_size=16)
        )
    with pytest.raises(ValueError, match="must be a PrivateGradient"):
        build_fed_avg(logistic_model, client_optimizer=sgd(RATE), batches=BATCHES)
    with pytest.raises(ValueError, match="FedSGD is FedAvg"):
        build_fed_sgd(
            logistic_model,
            server_optimizer=sgd(RATE),
            gradient_estimator=private(logistic_model),
        )

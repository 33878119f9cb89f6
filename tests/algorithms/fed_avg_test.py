"""FedAvg: equal to TFF's own, to a NumPy sketch, and to centralized training."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import assert_same_weights, largest_move, train
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.tasks import keras_models

BATCH_SIZE = 16
ROUNDS = 4
UNIFORM = tff.learning.ClientWeighting.UNIFORM
optimizers = tff.learning.optimizers
sgd = optimizers.build_sgdm


@pytest.mark.parametrize(
    ("optimizer", "epochs"),
    [(sgd(0.3), 1), (sgd(0.2, momentum=0.9), 3), (optimizers.build_adam(0.03), 1)],
    ids=["sgd", "momentum, 3 epochs", "adam"],
)
def test_equals_tff_weighted_fed_avg_without_shuffling(
    model, client_data, batched_data, optimizer, epochs
):
    ours = build_fed_avg(
        model,
        client_optimizer=optimizer,
        batches=LocalEpochs(epochs=epochs, batch_size=BATCH_SIZE, shuffle=False),
    )
    stock = tff.learning.algorithms.build_weighted_fed_avg(
        model, client_optimizer_fn=optimizer, server_optimizer_fn=sgd(1.0)
    )
    # Repeating batches keeps each epoch's remainder batch; repeating rows would
    # fill it up with rows of the next epoch.
    repeated = [data.repeat(epochs) for data in batched_data(BATCH_SIZE)]
    state, _ = train(ours, client_data, ROUNDS)
    expected, _ = train(stock, repeated, ROUNDS)
    weights = ours.get_model_weights(state)
    assert_same_weights(weights, stock.get_model_weights(expected))
    assert largest_move(weights, model) > 0.05


def test_equals_tff_unweighted_fed_avg_with_a_server_optimizer(
    model, client_data, batched_data
):
    ours = build_fed_avg(
        model,
        client_optimizer=sgd(0.3),
        server_optimizer=sgd(0.5, momentum=0.5),
        batches=LocalEpochs(epochs=1, batch_size=BATCH_SIZE, shuffle=False),
        weighting=UNIFORM,
    )
    stock = tff.learning.algorithms.build_unweighted_fed_avg(
        model,
        client_optimizer_fn=sgd(0.3),
        server_optimizer_fn=sgd(0.5, momentum=0.5),
    )
    state, _ = train(ours, client_data, ROUNDS)
    expected, _ = train(stock, batched_data(BATCH_SIZE), ROUNDS)
    weights = ours.get_model_weights(state)
    assert_same_weights(weights, stock.get_model_weights(expected))
    assert largest_move(weights, model) > 0.05


def shares(tables, weighting):
    """What each institution's delta counts."""
    rows = np.array([len(y) for _, y in tables.values()], np.float64)
    return rows / rows.sum() if weighting == "examples" else np.full(len(rows), 1 / 3)


def test_equals_numpy(fed_avg, logistic_model, tables, client_data, weighting):
    state = fed_avg.initialize()
    w = numpy_logistic.vector(fed_avg.get_model_weights(state))
    for _ in range(3):
        delta, loss_sum, rows = np.zeros_like(w), 0.0, 0
        for share, (x, y) in zip(
            shares(tables, weighting), tables.values(), strict=True
        ):
            steps = numpy_logistic.batches(len(y), BATCH_SIZE, epochs=2)
            local, losses = numpy_logistic.local_steps(w, x, y, rate=0.3, steps=steps)
            delta += share * (local - w)
            loss_sum += np.dot(losses, [len(y[step]) for step in steps])
            rows += 2 * len(y)
        w = w + delta

        state, metrics = fed_avg.next(state, client_data)
        weights = fed_avg.get_model_weights(state)
        np.testing.assert_allclose(numpy_logistic.vector(weights), w, atol=1e-5, rtol=0)
        work = metrics["client_work"]
        assert work["loss"] == pytest.approx(loss_sum / rows, rel=1e-5)
        assert work["num_examples"] == 37 + 50 + 23
        assert work["num_institutions"] == 3
        assert work["non_finite_updates"] == 0
    assert largest_move(weights, logistic_model) > 0.3


def test_weightings_differ(tables):
    """Or the golden numbers above could not tell them apart."""
    w = np.zeros(6)
    deltas = [
        numpy_logistic.local_steps(
            w, x, y, rate=0.3, steps=numpy_logistic.batches(len(y), BATCH_SIZE)
        )[0]
        for x, y in tables.values()
    ]
    by_examples = shares(tables, "examples") @ deltas
    uniform = shares(tables, "uniform") @ deltas
    assert np.abs(by_examples - uniform).max() > 1e-2


def test_with_one_bank_equals_centralized_training(model, client_data):
    batches = LocalEpochs(epochs=2, batch_size=BATCH_SIZE, shuffle=True)
    federated = build_fed_avg(model, client_optimizer=sgd(0.3), batches=batches)
    centralized = build_single_site(model, optimizer=sgd(0.3), batches=batches)
    state, metrics = train(federated, client_data[:1], ROUNDS)
    expected, expected_metrics = train(centralized, client_data[:1], ROUNDS)
    weights = federated.get_model_weights(state)
    assert_same_weights(weights, centralized.get_model_weights(expected), atol=1e-6)
    assert largest_move(weights, model) > 0.05
    assert metrics["client_work"]["loss"] == pytest.approx(
        expected_metrics["loss"], rel=1e-5
    )


def test_an_institution_without_rows_changes_nothing(
    fed_avg, client_data, empty_client
):
    state, _ = train(fed_avg, client_data, 1)
    with_empty, metrics = train(fed_avg, [empty_client, *client_data], 1)
    assert_same_weights(
        fed_avg.get_model_weights(with_empty), fed_avg.get_model_weights(state), atol=0
    )
    work = metrics["client_work"]
    assert work["non_finite_updates"] == 0
    assert work["num_institutions"] == 3
    assert work["num_examples"] == 110
    assert np.isfinite(work["loss"])


def test_a_broken_institution_is_left_out_and_counted(
    fed_avg, client_data, broken_client
):
    others = [client_data[0], client_data[2]]
    state, expected_metrics = train(fed_avg, others, 1)
    with_broken, metrics = train(
        fed_avg, [client_data[0], broken_client, client_data[2]], 1
    )
    assert_same_weights(
        fed_avg.get_model_weights(with_broken),
        fed_avg.get_model_weights(state),
        atol=1e-7,
    )
    work = metrics["client_work"]
    assert work["non_finite_updates"] == 1
    assert work["loss"] == pytest.approx(
        expected_metrics["client_work"]["loss"], rel=1e-6
    )


def test_without_any_update_the_model_stays(
    fed_avg, logistic_model, empty_client, broken_client
):
    for data, broken in (([empty_client] * 2, 0), ([broken_client, empty_client], 1)):
        state, metrics = train(fed_avg, data, 1)
        assert largest_move(fed_avg.get_model_weights(state), logistic_model) == 0
        assert metrics["client_work"]["non_finite_updates"] == broken
        assert np.isnan(metrics["client_work"]["loss"])  # no rows: no mean loss


def test_hyperparameters_take_effect_without_rebuilding(
    shuffled_fed_avg, logistic_model, client_data
):
    process = shuffled_fed_avg

    def run(**changes):
        state = process.initialize()
        hparams = process.get_hparams(state)
        hparams["client_work"].update(changes)
        state = process.set_hparams(state, hparams)
        state, _ = process.next(state, client_data)
        shown = process.get_hparams(state)["client_work"]
        for name, value in changes.items():
            assert shown[name] == pytest.approx(value)
        return process.get_model_weights(state)

    default = process.get_hparams(process.initialize())
    assert default["client_work"]["seed"] == 0
    assert default["client_work"]["learning_rate"] == pytest.approx(0.3)
    assert default["finalizer"]["learning_rate"] == pytest.approx(1.0)
    first, again, other = run(seed=5), run(seed=5), run(seed=6)
    assert_same_weights(first, again, atol=0)
    moved = np.abs(numpy_logistic.vector(first) - numpy_logistic.vector(other))
    assert moved.max() > 1e-4
    assert largest_move(run(learning_rate=0.0), logistic_model) == 0
    # A small step is proportional to its learning rate.
    small = largest_move(run(learning_rate=1e-3), logistic_model)
    smaller = largest_move(run(learning_rate=5e-4), logistic_model)
    assert small == pytest.approx(2 * smaller, rel=1e-2)


def test_the_order_changes_from_round_to_round(
    shuffled_fed_avg, logistic_model, client_data
):
    """Two rounds from the same weights end differently, since batches differ."""
    state, _ = shuffled_fed_avg.next(shuffled_fed_avg.initialize(), client_data)
    initial = shuffled_fed_avg.get_model_weights(shuffled_fed_avg.initialize())
    first = shuffled_fed_avg.get_model_weights(state)
    back = shuffled_fed_avg.set_model_weights(state, initial)
    second, _ = shuffled_fed_avg.next(back, client_data)
    difference = numpy_logistic.vector(first) - numpy_logistic.vector(
        shuffled_fed_avg.get_model_weights(second)
    )
    assert np.abs(difference).max() > 1e-4
    assert largest_move(first, logistic_model) > 1e-2


def test_models_may_have_layers_with_conditions_on_tensors(client_data):
    """Keras converts such layers, unless what traces them has turned that off."""

    class Gate(tf.keras.layers.Layer):
        def call(self, inputs):
            if tf.reduce_sum(inputs) > 0:
                return inputs
            return 0.5 * inputs

    def build():
        return tf.keras.Sequential(
            [tf.keras.layers.InputLayer((5,)), Gate(), tf.keras.layers.Dense(1)]
        )

    model = keras_models.functional_model(build)
    process = build_fed_avg(
        model,
        client_optimizer=sgd(0.3),
        batches=LocalEpochs(epochs=1, batch_size=BATCH_SIZE),
    )
    state, _ = train(process, client_data, 1)
    assert largest_move(process.get_model_weights(state), model) > 0.01

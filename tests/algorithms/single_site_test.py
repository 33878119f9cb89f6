"""Training at a single site: the optimizer's state lasts, other clients are refused."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import largest_move, train
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs

BATCH_SIZE = 16


def test_momentum_lasts_from_round_to_round(single_site, tables, client_data):
    """Equal to a NumPy loop whose velocity is never reset; each round 2 epochs."""
    x, y = tables["bank_a"]
    state = single_site.initialize()
    w = numpy_logistic.vector(single_site.get_model_weights(state))
    velocity = np.zeros_like(w)
    for _ in range(3):
        loss_sum = 0.0
        for rows in numpy_logistic.batches(len(y), BATCH_SIZE, epochs=2):
            loss_sum += numpy_logistic.loss(w, x[rows], y[rows]) * len(y[rows])
            velocity = 0.9 * velocity + numpy_logistic.gradient(w, x[rows], y[rows])
            w = w - 0.2 * velocity

        state, metrics = single_site.next(state, client_data[:1])
        weights = single_site.get_model_weights(state)
        np.testing.assert_allclose(numpy_logistic.vector(weights), w, atol=1e-5, rtol=0)
        assert metrics["loss"] == pytest.approx(loss_sum / (2 * len(y)), rel=1e-5)
        assert metrics["num_examples"] == len(y)


def test_differs_from_fed_avg_whose_momentum_starts_anew(
    single_site, logistic_model, client_data
):
    federated = build_fed_avg(
        logistic_model,
        client_optimizer=tff.learning.optimizers.build_sgdm(0.2, momentum=0.9),
        batches=LocalEpochs(epochs=2, batch_size=BATCH_SIZE, shuffle=False),
    )

    def difference(rounds):
        ours, _ = train(single_site, client_data[:1], rounds)
        theirs, _ = train(federated, client_data[:1], rounds)
        return np.abs(
            numpy_logistic.vector(single_site.get_model_weights(ours))
            - numpy_logistic.vector(federated.get_model_weights(theirs))
        ).max()

    assert difference(1) < 1e-6
    assert difference(2) > 1e-2


@pytest.mark.parametrize("clients", [0, 2, 3])
def test_any_other_number_of_clients_is_refused(single_site, client_data, clients):
    with pytest.raises(Exception, match="Training at a single site takes one client"):
        single_site.next(single_site.initialize(), client_data[:clients])


def test_an_empty_site_stays_where_it_is(single_site, logistic_model, empty_client):
    state, metrics = train(single_site, [empty_client], 2)
    assert largest_move(single_site.get_model_weights(state), logistic_model) == 0
    assert np.isnan(metrics["loss"])
    assert metrics["num_examples"] == 0


def test_weights_and_hyperparameters_are_read_and_set(logistic_model, client_data):
    process = build_single_site(
        logistic_model,
        optimizer=tff.learning.optimizers.build_adam(0.05),
        batches=LocalEpochs(epochs=1, batch_size=BATCH_SIZE),
    )
    initial = process.initialize()
    shown = process.get_hparams(initial)["client_work"]
    assert shown["seed"] == 0
    assert shown["learning_rate"] == pytest.approx(0.05)

    def run(**changes):
        hparams = process.get_hparams(initial)
        hparams["client_work"].update(changes)
        state, _ = train(
            process, client_data[:1], 2, state=process.set_hparams(initial, hparams)
        )
        assert process.get_hparams(state)["client_work"] == pytest.approx(
            hparams["client_work"]
        )
        return numpy_logistic.vector(process.get_model_weights(state))

    np.testing.assert_array_equal(run(seed=1), run(seed=1))
    assert np.abs(run(seed=1) - run(seed=2)).max() > 1e-4
    start = numpy_logistic.vector(process.get_model_weights(initial))
    np.testing.assert_array_equal(run(learning_rate=0.0), start)

    elsewhere = tff.learning.models.ModelWeights(
        tuple(w + 1 for w in logistic_model.initial_weights[0]), ()
    )
    moved = process.set_model_weights(initial, elsewhere)
    np.testing.assert_allclose(
        numpy_logistic.vector(process.get_model_weights(moved)), start + 1, atol=1e-6
    )
    assert process.get_hparams(moved) == process.get_hparams(initial)

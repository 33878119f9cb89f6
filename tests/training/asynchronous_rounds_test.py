"""Asynchronous training: the same to the last bit, whether it was killed or not."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.algorithms.learning import assert_same_weights
from tff_finance.algorithms.fed_buff import build_fed_buff
from tff_finance.checks import RunFailedError
from tff_finance.client_work.arrivals import ArrivalStore
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import dense_examples
from tff_finance.metrics.validation import ValidationResult
from tff_finance.runtime import in_process
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model
from tff_finance.training.asynchronous_rounds import AsynchronousRounds
from tff_finance.training.checkpoints import Checkpoints
from tff_finance.training.loop import TrainingDivergedError, train
from tff_finance.training.outages import Outage
from tff_finance.training.plateau import ReduceOnPlateau
from tff_finance.training.progress import StoppingRule
from tff_finance.training.rounds import SynchronousRounds
from tff_finance.training.simulated_clock import AsynchronousClock, Site

FEATURES = 3


def build_keras_model():
    return build_risk_model(FEATURES, hidden_units=(), seed=3)


@pytest.fixture(scope="module", autouse=True)
def context():
    with in_process.execution_context():
        yield


@pytest.fixture(scope="module")
def model(context):
    return keras_models.functional_model(build_keras_model)


@pytest.fixture(scope="module")
def process(model):
    return build_fed_buff(
        model,
        client_optimizer=tff.learning.optimizers.build_sgdm(0.3),
        batches=LocalEpochs(epochs=1, batch_size=4),
    )


@pytest.fixture(scope="module")
def store(model):
    return ArrivalStore(model)


@pytest.fixture(scope="module")
def data(store):
    rng = np.random.default_rng(1)
    tables = [rng.normal(size=(rows, FEATURES)) for rows in (9, 14, 6)]
    return [
        store.client_dataset(
            dense_examples(x, x[:, 0] > 0, institution=f"bank_{number}")
        )
        for number, x in enumerate(tables)
    ]


def build_clock(seconds=(1.0, 1.0, 7.5), *, buffer_size=2):
    """Banks 0 and 1 arrive together, so that updates wait in the buffer of two."""
    sites = [
        Site(name=f"bank_{number}", round_seconds=each, outages=lambda: [Outage(9, 10)])
        for number, each in enumerate(seconds)
    ]
    return AsynchronousClock(sites, buffer_size=buffer_size)


def run(process, rounds, *, number=12, validate=None, **options):
    return train(
        process,
        rounds,
        initial_weights=keras_models.initial_weights(build_keras_model),
        seed=5,
        validate=validate or (lambda _: ValidationResult(loss=0.5, accuracy=1, rows=3)),
        stopping=StoppingRule(
            max_rounds=number,
            patience=100,
            max_simulated_seconds=options.pop("max_simulated_seconds", None),
        ),
        label="fed_buff",
        **options,
    )


class KilledError(Exception):
    pass


def killed_after(number):
    calls = []

    def validate(weights):
        calls.append(weights)
        if len(calls) > number:
            raise KilledError
        return ValidationResult(loss=1 / len(calls), accuracy=1, rows=3)

    return validate


def last(weights_of_rounds):
    """Validation by which the last round is the best."""

    def validate(weights):
        weights_of_rounds.append(weights)
        return ValidationResult(loss=1 / len(weights_of_rounds), accuracy=1, rows=3)

    return validate


@pytest.mark.parametrize("buffer_size", [2, 3])
@pytest.mark.parametrize("killed", [1, 4, 9])
def test_a_killed_run_ends_with_the_same_weights(
    process, store, data, tmp_path, killed, buffer_size
):
    def rounds():
        return AsynchronousRounds(
            store, data, lambda: build_clock(buffer_size=buffer_size)
        )

    expected = run(process, rounds(), validate=last([]))
    checkpoints = Checkpoints.in_folder(tmp_path / "state", every_seconds=0)
    with pytest.raises(KilledError):
        run(process, rounds(), checkpoints=checkpoints, validate=killed_after(killed))
    again = Checkpoints.in_folder(tmp_path / "state", every_seconds=0)
    found = run(process, rounds(), checkpoints=again, validate=last([0] * killed))
    assert_same_weights(found.weights, expected.weights, atol=0)
    assert found.curve == expected.curve
    assert any(point.mean_staleness for point in expected.curve)
    assert sum(point.lost_updates for point in expected.curve) > 0


def test_updates_start_from_the_weights_of_their_version(process, store, data):
    """Those of the initial weights, for whoever began at the beginning."""
    starts = []

    class Watching(ArrivalStore):
        def arrival(self, rows, *, start_weights, staleness, local_round):
            starts.append((staleness, np.array(start_weights[0])))
            return super().arrival(
                rows,
                start_weights=start_weights,
                staleness=staleness,
                local_round=local_round,
            )

    watching = Watching(store_model := keras_models.functional_model(build_keras_model))
    seen = []
    rounds = AsynchronousRounds(watching, data, build_clock)
    run(process, rounds, validate=last(seen))
    versions = [store_model.initial_weights[0][0]]
    versions += [weights.trainable[0] for weights in seen]
    for number in range(12):
        for staleness, start in starts[2 * number : 2 * number + 2]:
            np.testing.assert_array_equal(start, versions[number - staleness])
    assert {staleness for staleness, _ in starts} > {0, 1}


def test_time_is_limited_by_the_clock(process, store, data):
    rounds = AsynchronousRounds(store, data, build_clock)
    trained = run(process, rounds, max_simulated_seconds=4.0)
    assert trained.stopped_by == "max_simulated_seconds"
    assert trained.curve[-1].simulated_seconds <= 4.0
    longer = run(
        process, AsynchronousRounds(store, data, build_clock), number=trained.rounds + 1
    )
    assert longer.curve[-1].simulated_seconds > 4.0
    with pytest.raises(RunFailedError, match=r"the first ends after 1 s, got 0\.5"):
        run(
            process,
            AsynchronousRounds(store, data, build_clock),
            max_simulated_seconds=0.5,
        )
    with pytest.raises(ValueError, match="there is no simulated clock"):
        run(process, data, max_simulated_seconds=5.0)


def test_a_stale_update_has_no_other_rate_than_it_began_with(process, store, data):
    client, server = (ReduceOnPlateau(rate=name) for name in ("client", "server"))
    rounds = AsynchronousRounds(store, data, build_clock)
    with pytest.raises(ValueError, match="can't reduce the rate 'client'"):
        run(process, rounds, plateaus=[server, client])


def test_updates_that_are_all_broken_are_divergence(process, store):
    """Though a buffer needn't have everybody's."""
    x = np.zeros([5, FEATURES])
    examples = dense_examples(x, x[:, 0] > 0, institution="bank_0")
    examples["x"][:] = np.nan
    broken = [store.client_dataset(examples)] * 3
    with pytest.raises(TrainingDivergedError, match="no update has counted in 4"):
        run(process, AsynchronousRounds(store, broken, build_clock), number=4)


def test_synchronous_rounds_have_the_time_of_the_slowest(data):
    sites = [Site(name=n, round_seconds=s) for n, s in (("a", 1.0), ("b", 4.0))]
    rounds = SynchronousRounds(data, sites)
    assert rounds.timing(2).simulated_seconds == 12
    assert rounds.timing(0).simulated_seconds == 4
    assert rounds.client_data(0, lambda: None) is data


def test_rounds_are_asked_for_in_order(store, data):
    rounds = AsynchronousRounds(store, data, build_clock)
    rounds.timing(1)
    with pytest.raises(ValueError, match="must be that of the next round, got 0"):
        rounds.timing(0)

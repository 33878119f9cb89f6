"""Robust aggregation withstands one hostile institution of five; the mean doesn't."""

import functools

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.conftest import NUM_FEATURES
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work import local_training
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.hostile import HostileInstitutions
from tff_finance.evaluation.robust_methods import ROBUST_AGGREGATORS
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.records.training_config import TrainingConfig
from tff_finance.runtime import in_process

BANKS = ("bank_a", "bank_b", "bank_c", "bank_d", "bank_e")
ROWS, BATCH_SIZE, ROUNDS = 100, 20, 10
ATTACKS = ("sign_flip", "scale", "random")
WITHSTANDING = (
    "fed_avg_median",
    "fed_avg_trimmed_mean",
    "fed_avg_geometric_median",
    "fed_avg_rejecting",
)
HOSTILE = {"names": ("bank_c",), "factor": 30.0}
NEAR = 0.04  # nats per row


@pytest.fixture(autouse=True, scope="module")
def context():
    """In this process, and without XLA, which compiles for longer than this trains."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(local_training, "_LARGEST_COMPILED_BATCH", 0)
        with in_process.execution_context():
            yield


@pytest.fixture(scope="module")
def banks():
    """Of equal size, by one rule."""
    rng = np.random.default_rng(2)
    weights = rng.normal(size=NUM_FEATURES)
    result = {}
    for name in BANKS:
        x = rng.normal(size=(ROWS, NUM_FEATURES)).astype(np.float32)
        y = x @ weights + 0.5 * rng.normal(size=ROWS) > 0
        result[name] = x, y.astype(np.float32)
    return result


@pytest.fixture(scope="module")
def final_loss(logistic_model, banks):
    """The loss over the honest banks' rows after training."""

    @functools.cache
    def train(method, attack=None):
        build_aggregator = ROBUST_AGGREGATORS.get(method)
        process = build_fed_avg(
            logistic_model,
            client_optimizer=tff.learning.optimizers.build_sgdm(0.2),
            batches=LocalEpochs(epochs=1, batch_size=BATCH_SIZE),
            aggregator=build_aggregator and build_aggregator(TrainingConfig()),
            hostile=attack and HostileInstitutions(**HOSTILE, attack=attack),
        )
        data = [
            client_dataset(dense_examples(x, y, institution=name))
            for name, (x, y) in banks.items()
        ]
        state = process.initialize()
        for _ in range(ROUNDS):
            state = process.next(state, data).state
        w = numpy_logistic.vector(process.get_model_weights(state))
        honest = [rows for name, rows in banks.items() if name not in HOSTILE["names"]]
        x, y = (np.concatenate(parts) for parts in zip(*honest, strict=True))
        return numpy_logistic.loss(w, x, y)

    return train


@pytest.fixture(scope="module")
def honest_loss(final_loss):
    """Of the mean, with nobody hostile: far below what knows nothing."""
    loss = final_loss("fed_avg")
    assert loss < 0.4 < np.log(2)
    return loss


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("method", WITHSTANDING)
def test_an_attack_makes_little_difference(method, attack, final_loss, honest_loss):
    """Rejecting has a round less, since its first one only measures."""
    assert final_loss(method, attack) == pytest.approx(honest_loss, abs=NEAR)


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_decides_where_the_mean_goes(attack, final_loss, honest_loss):
    loss = final_loss("fed_avg", attack)
    assert abs(loss - honest_loss) > 2 * NEAR
    if attack == "sign_flip":  # which goes up the loss
        assert loss > np.log(2)

"""Small tables and models for tests of learning processes."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model

NUM_FEATURES = 5
BATCH_SIZE = 16


def build_model(*hidden_units, seed=3):
    return keras_models.functional_model(
        lambda: build_risk_model(NUM_FEATURES, hidden_units=hidden_units, seed=seed)
    )


@pytest.fixture(scope="session")
def model(tff_context):
    """A small risk model in functional form."""
    del tff_context
    return build_model(4)


@pytest.fixture(scope="session")
def logistic_model(tff_context):
    """A risk model without hidden layers, which NumPy can follow."""
    del tff_context
    return build_model()


@pytest.fixture(scope="session")
def tables():
    """Three institutions of unequal size, none a multiple of the batch size."""
    rng = np.random.default_rng(7)
    weights = rng.normal(size=NUM_FEATURES)
    result = collections.OrderedDict()
    for name, rows in (("bank_a", 37), ("bank_b", 50), ("bank_c", 23)):
        x = rng.normal(size=(rows, NUM_FEATURES)).astype(np.float32)
        y = (x @ weights + rng.normal(size=rows) > 0).astype(np.float32)
        result[name] = (x, y)
    return result


@pytest.fixture(scope="session")
def client_data(tables):
    """The tables as TFF client data."""
    return [
        client_dataset(dense_examples(x, y, institution=name))
        for name, (x, y) in tables.items()
    ]


@pytest.fixture(scope="session")
def empty_client():
    """An institution without rows."""
    return client_dataset(
        dense_examples(np.zeros([0, NUM_FEATURES]), np.zeros([0]), institution="empty")
    )


@pytest.fixture(scope="session")
def broken_client(tables):
    """An institution with a value that makes its gradient NaN, let in by nobody."""
    x, y = tables["bank_b"]
    examples = dense_examples(x.copy(), y, institution="broken")
    examples["x"][-1, 0] = np.nan
    return client_dataset(examples)


@pytest.fixture(scope="session")
def batched_data(tables):
    """The same rows as `tf.data` batches, for TFF's own algorithms."""

    def batched(x, y, batch_size):
        return tf.data.Dataset.from_tensor_slices(
            collections.OrderedDict(x=x, y=y.reshape(-1, 1))
        ).batch(batch_size)

    return lambda size: [batched(x, y, size) for x, y in tables.values()]


WEIGHTINGS = {
    "examples": tff.learning.ClientWeighting.NUM_EXAMPLES,
    "uniform": tff.learning.ClientWeighting.UNIFORM,
}


@pytest.fixture(scope="session", params=WEIGHTINGS)
def weighting(request):
    """By examples, and uniform."""
    return request.param


@pytest.fixture(scope="session")
def fed_avg(logistic_model, weighting):
    """FedAvg of logistic regression: 2 epochs in fixed order, local SGD 0.3."""
    return build_fed_avg(
        logistic_model,
        client_optimizer=tff.learning.optimizers.build_sgdm(0.3),
        batches=LocalEpochs(epochs=2, batch_size=BATCH_SIZE, shuffle=False),
        weighting=WEIGHTINGS[weighting],
    )


@pytest.fixture(scope="session")
def fed_sgd(logistic_model, weighting):
    """FedSGD of logistic regression, server SGD 0.5, momentum 0.5."""
    return build_fed_sgd(
        logistic_model,
        server_optimizer=tff.learning.optimizers.build_sgdm(0.5, momentum=0.5),
        weighting=WEIGHTINGS[weighting],
    )


@pytest.fixture(scope="session")
def single_site(logistic_model):
    """Logistic regression at one site in fixed order, SGD 0.2, momentum 0.9."""
    return build_single_site(
        logistic_model,
        optimizer=tff.learning.optimizers.build_sgdm(0.2, momentum=0.9),
        batches=LocalEpochs(epochs=2, batch_size=BATCH_SIZE, shuffle=False),
    )


@pytest.fixture(scope="session")
def shuffled_fed_avg(logistic_model):
    """FedAvg of logistic regression with shuffled batches, local SGD 0.3."""
    return build_fed_avg(
        logistic_model,
        client_optimizer=tff.learning.optimizers.build_sgdm(0.3),
        batches=LocalEpochs(epochs=1, batch_size=BATCH_SIZE),
    )

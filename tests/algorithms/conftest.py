"""Small tables and models for tests of learning processes."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model

NUM_FEATURES = 5


@pytest.fixture(scope="session")
def model(tff_context):
    """A small risk model in functional form."""
    del tff_context
    return keras_models.functional_model(
        lambda: build_risk_model(NUM_FEATURES, hidden_units=(4,), seed=3)
    )


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
def batched_data(tables):
    """The same rows as `tf.data` batches, for TFF's own algorithms."""

    def batched(x, y, batch_size):
        return tf.data.Dataset.from_tensor_slices(
            collections.OrderedDict(x=x, y=y.reshape(-1, 1))
        ).batch(batch_size)

    return lambda size: [batched(x, y, size) for x, y in tables.values()]

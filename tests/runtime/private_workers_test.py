"""DP-SGD at two workers: noise of their own, and the numbers of one machine."""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms.conftest import NUM_FEATURES
from tests.privacy.noise_scale import assert_stddev
from tests.runtime.conftest import NAMES, SIZES
from tests.runtime.in_process_test import assert_close, clients, leaves, rounds, sgd
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import build_private_gradient
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.runtime import in_process, workers
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model

WIDTH, LOUD, CLIP, RATE = 64, 50.0, 0.4, 0.3


def build_wide_keras_model():
    return build_risk_model(NUM_FEATURES, hidden_units=(WIDTH,), seed=3)


def private_fed_avg(rows, *, noise_multiplier=LOUD, **options):
    """One step a round, of all rows; of enough weights to tell scales of noise."""
    model = keras_models.functional_model(build_wide_keras_model)
    return build_fed_avg(
        model,
        client_optimizer=sgd(RATE),
        batches=PoissonBatches(epochs=1, batch_size=rows),
        weighting=tff.learning.ClientWeighting.UNIFORM,
        gradient_estimator=build_private_gradient(
            model,
            l2_clip_norm=CLIP,
            noise_multiplier=noise_multiplier,
            keras_model=build_wide_keras_model(),
            **options,
        ),
    )


def moves(process, data, number):
    """The model's way in each of a few first rounds, [number, elements]."""
    initial = process.initialize()
    start = leaves(process.get_model_weights(initial).trainable)
    found = []
    for _ in range(number):
        after = process.next(initial, data).state
        ends = leaves(process.get_model_weights(after).trainable)
        found.append(
            np.concatenate([np.ravel(b - a) for a, b in zip(start, ends, strict=True)])
        )
    return np.array(found)


def twins(rows):
    """Institutions with the same rows, of which only the names differ."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(rows, NUM_FEATURES)).astype(np.float32)
    y = rng.integers(2, size=rows).astype(np.float32)
    return {
        name: client_dataset(dense_examples(x, y, institution=name)) for name in NAMES
    }


def test_private_gradients_have_noise_of_their_own_at_each_worker(addresses):
    """Noise that workers, institutions or rounds shared wouldn't average out."""
    rows = 23
    process, data = private_fed_avg(rows), twins(rows)
    deviation = RATE * LOUD * CLIP / rows
    with workers.execution_context(addresses):
        one, other = (moves(process, [data[name]], 2) for name in (NAMES[0], NAMES[2]))
        together = moves(process, [data[name] for name in NAMES[:4]], 2)
    # Clipped gradients, at most a fiftieth of a deviation a row, don't count.
    assert_stddev(np.concatenate([one, other]), deviation)
    # Two at each worker; with noise that workers shared it were sqrt(2) times more.
    assert_stddev(together, deviation / 2)
    # 449 independent numbers: above 0.3 once in 1e10. Not a single draw comes again.
    drawn = np.concatenate([one, other, together])
    assert np.abs(np.corrcoef(drawn)[np.triu_indices(len(drawn), 1)]).max() < 0.3


def test_private_gradients_are_those_of_one_machine(addresses):
    """With a seed that a test gives: the same batches, clipping, noise and mean."""
    data = clients(SIZES)
    process = private_fed_avg(
        16,
        noise_multiplier=1.1,
        seed_source=lambda: tf.constant([2**50 + 11, 4], tf.int64),
    )
    with in_process.execution_context():
        expected = rounds(process, data)
    with workers.execution_context(addresses):
        assert_close(rounds(process, data), expected)

"""The seam of gradients: an estimator that clips each record's gradient.

Source: Abadi et al. (2016), https://arxiv.org/abs/1607.00133.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import train
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.gradient_estimator import (
    GradientEstimate,
    build_mean_gradient,
)

CLIP = 0.5
RATE = 0.3
BATCHES = LocalEpochs(epochs=2, batch_size=16, shuffle=False)
sgd = tff.learning.optimizers.build_sgdm


def build_clipped_gradient(model):
    """The mean of the records' gradients, each clipped to the norm CLIP."""
    mean_gradient = build_mean_gradient(model)

    def clipped_gradient(trainable, non_trainable, x, y):
        def of_record(record):
            estimate = mean_gradient(
                trainable, non_trainable, record[0][tf.newaxis], record[1][tf.newaxis]
            )
            clipped, _ = tf.clip_by_global_norm(estimate.gradient, CLIP)
            return GradientEstimate(tuple(clipped), estimate.loss)

        spec = GradientEstimate(
            tuple(tf.TensorSpec(w.shape) for w in trainable), tf.TensorSpec([])
        )
        records = tf.map_fn(of_record, (x, y), fn_output_signature=spec)
        return tf.nest.map_structure(lambda t: tf.reduce_mean(t, axis=0), records)

    return clipped_gradient


def clipped_gradient_in_numpy(w, x, y):
    records = [
        numpy_logistic.gradient(w, x[i : i + 1], y[i : i + 1]) for i in range(len(y))
    ]
    return np.mean([g * min(1, CLIP / np.linalg.norm(g)) for g in records], axis=0)


@pytest.mark.parametrize("algorithm", ["fed_avg", "fed_sgd", "single_site"])
def test_a_per_record_clipped_estimator_plugs_in(
    logistic_model, tables, client_data, empty_client, algorithm
):
    estimator = build_clipped_gradient(logistic_model)
    x, y = tables["bank_a"]
    steps = numpy_logistic.batches(len(y), 16, epochs=2)
    if algorithm == "fed_avg":
        process = build_fed_avg(
            logistic_model,
            client_optimizer=sgd(RATE),
            batches=BATCHES,
            gradient_estimator=estimator,
        )
    elif algorithm == "single_site":
        process = build_single_site(
            logistic_model,
            optimizer=sgd(RATE),
            batches=BATCHES,
            gradient_estimator=estimator,
        )
    else:
        process = build_fed_sgd(
            logistic_model, server_optimizer=sgd(RATE), gradient_estimator=estimator
        )
        steps = [slice(None)]
    # The estimator's mean over no rows is NaN, which must not come through.
    data = [client_data[0], empty_client]
    if algorithm == "single_site":
        data.pop()
    state, metrics = train(process, data, 2)
    w = numpy_logistic.vector(process.get_model_weights(process.initialize()))
    bent = 0.0
    for rows in 2 * steps:
        clipped = clipped_gradient_in_numpy(w, x[rows], y[rows])
        bent += np.abs(clipped - numpy_logistic.gradient(w, x[rows], y[rows])).max()
        w = w - RATE * clipped
    assert bent > 0.05  # clipping did something
    np.testing.assert_allclose(
        numpy_logistic.vector(process.get_model_weights(state)), w, atol=1e-5
    )
    work = metrics.get("client_work", metrics)
    assert np.isfinite(work["loss"])
    assert work.get("non_finite_updates", 0) == 0

"""Private gradients in other algorithms than FedAvg, and under compression."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms.conftest import NUM_FEATURES
from tests.algorithms.learning import assert_same_weights, largest_move, train
from tests.privacy.noise_scale import assert_stddev
from tff_finance.aggregation.sparse_sum import SparseSumFactory
from tff_finance.aggregation.stochastic_quantization import build_quantized_mean
from tff_finance.algorithms.fed_prox import build_fed_prox
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.error_feedback import build_top_k
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import build_private_gradient
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.runtime import in_process
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model

RATE, CLIP, MULTIPLIER = 0.3, 0.4, 1.1
UNIFORM = tff.learning.ClientWeighting.UNIFORM
COMPOSITIONS = (
    ("fed_prox", "none"),
    ("fed_prox", "quantized"),
    ("scaffold", "none"),
    ("scaffold", "top_k"),
)
sgd = tff.learning.optimizers.build_sgdm


@pytest.fixture(scope="module", autouse=True)
def context(tff_context):
    del tff_context
    with in_process.execution_context():
        yield


def build_keras_model():
    return build_risk_model(NUM_FEATURES, hidden_units=(64,), seed=3)


@pytest.fixture(scope="module")
def model():
    """With enough weights to tell scales of noise apart by one update."""
    return keras_models.functional_model(build_keras_model)


def compression_options(compression, folder, *, share):
    if compression == "quantized":
        return {"aggregator": build_quantized_mean(16, rotate=False, seed=5)}
    if compression == "top_k":
        return {
            "update_rule": build_top_k(share),
            "aggregator": tff.aggregators.MeanFactory(SparseSumFactory(share)),
            "state_files": InstitutionStateFiles(str(folder)),
        }
    return {}


def build(model, algorithm, compression, folder, *, share=0.3, **options):
    options |= compression_options(compression, folder, share=share)
    options["weighting"] = UNIFORM
    if algorithm == "scaffold":
        options["state_files"] = InstitutionStateFiles(str(folder))
        return build_scaffold(
            model, client_learning_rate=RATE, num_institutions=3, **options
        )
    return build_fed_prox(model, mu=0.5, client_optimizer=sgd(RATE), **options)


def private(model, *, clip=CLIP, multiplier=MULTIPLIER):
    return build_private_gradient(
        model,
        l2_clip_norm=clip,
        noise_multiplier=multiplier,
        keras_model=build_keras_model(),
    )


@pytest.mark.parametrize(("algorithm", "compression"), COMPOSITIONS)
def test_with_all_rows_without_noise_and_clipping_it_is_the_algorithm_itself(
    model, client_data, tmp_path, algorithm, compression
):
    limit = build(
        model,
        algorithm,
        compression,
        tmp_path / "private",
        batches=PoissonBatches(epochs=3, batch_size=64),
        gradient_estimator=private(model, clip=1e6, multiplier=0),
    )
    plain = build(
        model,
        algorithm,
        compression,
        tmp_path / "plain",
        batches=LocalEpochs(epochs=3, batch_size=64),
    )
    # In the second round, variates and what was left out have a part in it.
    state, _ = train(limit, client_data, 2)
    expected, _ = train(plain, client_data, 2)
    weights = limit.get_model_weights(state)
    assert_same_weights(weights, plain.get_model_weights(expected))
    assert largest_move(weights, model) > 0.05


def flat(parts):
    return np.concatenate([np.ravel(part) for part in parts])


@pytest.mark.parametrize(("algorithm", "compression"), COMPOSITIONS)
def test_all_that_leaves_has_the_noise(
    model, tables, client_data, tmp_path, algorithm, compression
):
    """One step of all rows: what two runs differ by is noise, in whatever is sent."""
    rows = len(tables["bank_a"][1])
    process = build(
        model,
        algorithm,
        compression,
        tmp_path,
        share=1.0,
        batches=PoissonBatches(epochs=1, batch_size=rows),
        gradient_estimator=private(model),
    )
    start = process.initialize()
    before = flat(process.get_model_weights(start).trainable)
    moves, variates = [], []
    for _ in range(2):
        state, metrics = train(process, client_data[:1], 1, start)
        assert "loss" not in metrics["client_work"]
        moves.append(flat(process.get_model_weights(state).trainable) - before)
        if algorithm == "scaffold":
            # One of three institutions has a variate, which counts a third.
            variates.append(3 * flat(state.client_work["shared"][:-2]))
    deviation = MULTIPLIER * CLIP / rows
    assert_stddev((moves[1] - moves[0]) / np.sqrt(2), RATE * deviation)
    if algorithm == "scaffold":
        assert_stddev((variates[1] - variates[0]) / np.sqrt(2), deviation)
        # It is what the update is of, so that it tells nothing more.
        np.testing.assert_allclose(variates, -np.divide(moves, RATE), atol=1e-5)


def test_scaffolds_own_variate_is_of_private_gradients(
    model, tables, client_data, tmp_path
):
    """Also what stays at the institution, and goes into later updates."""
    rows = len(tables["bank_a"][1])
    process = build(
        model,
        "scaffold",
        "none",
        tmp_path,
        batches=PoissonBatches(epochs=1, batch_size=rows),
        gradient_estimator=private(model),
    )
    start = process.initialize()
    state, _ = train(process, client_data[:1], 1, start)
    spec = [tf.TensorSpec(np.shape(w)) for w in model.initial_weights[0]]
    *own, weight = InstitutionStateFiles(str(tmp_path)).read(
        tf.constant("bank_a"), tf.constant(1), [*spec, tf.TensorSpec([])]
    )
    before, after = (
        flat(process.get_model_weights(s).trainable) for s in (start, state)
    )
    assert float(weight) == 1
    np.testing.assert_allclose(flat(own), (before - after) / RATE, atol=1e-5)

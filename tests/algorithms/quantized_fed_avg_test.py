"""FedAvg of quantized updates: equal to NumPy, FedAvg in the limit, and its bytes."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import train
from tff_finance.aggregation.stochastic_quantization import (
    build_quantized_mean,
    rounding_draws,
)
from tff_finance.aggregation.tff_quantization import build_tff_quantized_mean
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.training.communication import traffic_per_round

RATE, EPOCHS, BATCH_SIZE = 0.3, 2, 16
BATCHES = LocalEpochs(epochs=EPOCHS, batch_size=BATCH_SIZE, shuffle=False)
METRICS_AND_WEIGHT_BYTES = 44

pytestmark = pytest.mark.usefixtures("tff_context")


def build(model, aggregator):
    return build_fed_avg(
        model,
        client_optimizer=tff.learning.optimizers.build_sgdm(RATE),
        batches=BATCHES,
        aggregator=aggregator,
    )


@pytest.fixture(scope="module")
def plain(model):
    return build(model, None)


def quantized_in_numpy(tensor, bits, seed):
    """Suresh et al., section 2.2, in float64; only the draws are TensorFlow's."""
    flat = np.ravel(tensor).astype(np.float64)
    step = (flat.max() - flat.min()) / (2**bits - 1)
    place = (flat - flat.min()) / step if step else np.zeros_like(flat)
    draws = rounding_draws(tf.constant(flat, tf.float32), seed).numpy()
    level = np.floor(place) + (draws < place - np.floor(place))
    return np.reshape(flat.min() + level * step, np.shape(tensor))


def test_three_rounds_of_fed_avg_as_numpy(logistic_model, tables, client_data):
    bits, seed = 3, 5
    aggregator = build_quantized_mean(bits, rotate=False, seed=seed)
    process = build(logistic_model, aggregator)
    state = process.initialize()
    w = numpy_logistic.vector(process.get_model_weights(state))
    for round_number in range(3):
        total, rows = np.zeros_like(w), 0
        for x, y in tables.values():
            steps = numpy_logistic.batches(len(y), BATCH_SIZE, EPOCHS)
            end, _ = numpy_logistic.local_steps(w, x, y, rate=RATE, steps=steps)
            update = len(y) * (w - end)
            parts = update[:-1], update[-1:]
            total += np.concatenate(
                [
                    quantized_in_numpy(part, bits, (seed, round_number, number))
                    for number, part in enumerate(parts)
                ]
            )
            rows += len(y)
        w = w - total / rows
        state = process.next(state, client_data).state
        found = numpy_logistic.vector(process.get_model_weights(state))
        np.testing.assert_allclose(found, w, atol=2e-5)
    assert state.aggregator["value_sum_process"] == 3


@pytest.mark.parametrize(
    ("fine", "coarse"),
    [
        (build_quantized_mean(16), build_quantized_mean(2)),
        (build_quantized_mean(16, rotate=False), build_quantized_mean(2, rotate=False)),
        (build_tff_quantized_mean(16), build_tff_quantized_mean(2)),
    ],
    ids=["rotated", "plain", "tff"],
)
def test_many_bits_are_fed_avg(model, plain, client_data, fine, coarse):
    weights = plain.get_model_weights(train(plain, client_data, 3)[0])

    def distance(aggregator):
        process = build(model, aggregator)
        found = process.get_model_weights(train(process, client_data, 3)[0])
        return max(
            np.abs(a - b).max()
            for a, b in zip(found.trainable, weights.trainable, strict=True)
        )

    assert distance(fine) < 1e-4
    assert distance(coarse) > 1e-3


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_counted_bytes_are_those_that_numpy_packs(model, plain, bits):
    process = build(model, build_quantized_mean(bits, rotate=False))
    sizes = [np.size(w) for w in model.initial_weights[0]]
    packed = [
        np.packbits(np.zeros([n * bits], np.uint8)).nbytes
        + 2 * np.float32().nbytes  # least and step
        for n in sizes
    ]
    compressed, whole = (traffic_per_round(p.next) for p in (process, plain))
    assert compressed.bytes_up == sum(packed) + METRICS_AND_WEIGHT_BYTES
    assert whole.bytes_up == 4 * sum(sizes) + METRICS_AND_WEIGHT_BYTES
    assert compressed.bytes_down - whole.bytes_down == 4  # the round's number


def test_rotation_pads_to_powers_of_two(model, plain):
    compressed = traffic_per_round(build(model, build_quantized_mean(4)).next)
    whole = traffic_per_round(plain.next)
    padded = [2 ** int(np.ceil(np.log2(np.size(w)))) for w in model.initial_weights[0]]
    packed = [np.packbits(np.zeros([n * 4], np.uint8)).nbytes + 8 for n in padded]
    assert compressed.bytes_up == sum(packed) + METRICS_AND_WEIGHT_BYTES
    assert compressed.bytes_down - whole.bytes_down == 4 + 16  # round and seed


def test_tff_sends_words_of_28_bits(model):
    """Counted by its types, as TFF's own encoder fills them."""
    sizes = [np.size(w) for w in model.initial_weights[0]]
    words = [int(np.ceil(n * 8 / 28)) for n in sizes]
    sent = traffic_per_round(build(model, build_tff_quantized_mean()).next)
    assert sent.bytes_up == METRICS_AND_WEIGHT_BYTES + sum(8 + 4 * w for w in words)


def test_tffs_compression_aggregator_leaves_small_models_as_they_are(model, plain):
    """Why `build_tff_quantized_mean` is there."""
    aggregator = tff.learning.compression_aggregator(stochastic=False)
    whole = traffic_per_round(plain.next)
    assert traffic_per_round(build(model, aggregator).next).bytes_up > whole.bytes_up

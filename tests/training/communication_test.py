"""Bytes per round, counted by hand for a small known model."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.aggregation.sparse_sum import SparseSumFactory
from tff_finance.aggregation.stochastic_quantization import build_quantized_mean
from tff_finance.aggregation.tff_quantization import build_tff_quantized_mean
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.runtime import programs
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model
from tff_finance.training.communication import Traffic, traffic_per_round, type_bytes

# 5 features, 4 hidden units: two kernels and two biases, float32.
MODEL_BYTES = 4 * (5 * 4 + 4 + 4 * 1 + 1)
# Of the client work: int32 round, int32 seed.
STATE_BYTES = 4 + 4
# Weight of the update, float32; loss sum and its rows, float64; examples,
# institutions and updates that are not finite, int64.
WEIGHT_AND_METRICS_BYTES = 4 + 2 * 8 + 3 * 8


@pytest.fixture(scope="module")
def model(tff_context):
    del tff_context
    return keras_models.functional_model(
        lambda: build_risk_model(5, hidden_units=(4,), seed=0)
    )


def test_fed_avg(model):
    process = build_fed_avg(
        model,
        client_optimizer=tff.learning.optimizers.build_sgdm(0.1),
        batches=LocalEpochs(epochs=3, batch_size=8),
    )
    learning_rate = 4
    assert traffic_per_round(process.next) == Traffic(
        bytes_down=MODEL_BYTES + STATE_BYTES + learning_rate,
        bytes_up=MODEL_BYTES + WEIGHT_AND_METRICS_BYTES,
    )


def test_fed_sgd(model):
    process = build_fed_sgd(
        model, server_optimizer=tff.learning.optimizers.build_sgdm(0.1)
    )
    assert traffic_per_round(process.next) == Traffic(
        bytes_down=MODEL_BYTES + STATE_BYTES,
        bytes_up=MODEL_BYTES + WEIGHT_AND_METRICS_BYTES,
    )


AGGREGATORS = {
    "none": None,
    "quantized": build_quantized_mean(3),
    "quantized without rotation": build_quantized_mean(5, rotate=False),
    "top-k": tff.aggregators.MeanFactory(SparseSumFactory(0.3)),
    "tff": build_tff_quantized_mean(6),
    "tff rotated": tff.aggregators.MeanFactory(
        tff.aggregators.HadamardTransformFactory(
            tff.aggregators.EncodedSumFactory.quantize_above_threshold(4, 0)
        )
    ),
}


@pytest.mark.parametrize("name", AGGREGATORS)
def test_counted_is_what_a_client_sends(model, name):
    """The arrays of a round: encodings with all that is in them."""
    process = build_fed_avg(
        model,
        client_optimizer=tff.learning.optimizers.build_sgdm(0.1),
        batches=LocalEpochs(epochs=1, batch_size=8),
        aggregator=AGGREGATORS[name],
    )
    x = np.random.default_rng(1).normal(size=(20, 5))
    client = client_dataset(dense_examples(x, x[:, 0] > 0, institution="bank"))
    # As the workers' runtime splits it: a graph that is optimized twice makes
    # TensorFlow abort.
    form = tff.backends.mapreduce.get_map_reduce_form_for_computation(
        process.next, programs.as_traced()
    )
    received = form.prepare(process.initialize())
    sent = form.work(client, received)
    assert traffic_per_round(process.next) == Traffic(
        bytes_down=bytes_of(received), bytes_up=bytes_of(sent)
    )


def bytes_of(value):
    return sum(np.asarray(array).nbytes for array in tf.nest.flatten(value))


@pytest.mark.parametrize(
    ("type_spec", "expected"),
    [
        (np.int64, 8),
        ((np.float32, [3, 5]), 60),
        ((np.float32, [0, 5]), 0),
        (np.bool_, 1),
        (collections.OrderedDict(a=np.float64, b=(np.int32, [2, 2])), 24),
        ([(np.float32, [7]), collections.OrderedDict(b=[np.uint8, np.float16])], 31),
        ([], 0),
        ((np.float32, [100_000, 50_000]), 20_000_000_000),
    ],
)
def test_bytes_of_a_type(type_spec, expected):
    assert type_bytes(tff.to_type(type_spec)) == expected


@pytest.mark.parametrize(
    "type_spec",
    [
        tff.TensorType(np.float32, [None, 3]),
        tff.TensorType(np.float32, None),
        tff.TensorType(np.str_),
        tff.TensorType(np.str_, [3]),
        tff.to_type([np.int32, (np.float32, [None])]),
    ],
)
def test_unknown_size_is_refused(type_spec):
    with pytest.raises(ValueError, match="`type_spec` has a tensor of unknown size"):
        type_bytes(type_spec)


@pytest.mark.parametrize(
    "type_spec",
    [
        tff.SequenceType(np.float32),
        tff.FederatedType(np.float32, tff.SERVER),
        tff.to_type([np.int32, tff.SequenceType(np.float32)]),
    ],
)
def test_other_types_are_refused(type_spec):
    with pytest.raises(ValueError, match="`type_spec` must hold tensors only"):
        type_bytes(type_spec)

"""Quantized sums: unbiased, reproducible, as small as they say, exact in the limit."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.aggregation.stochastic_quantization import (
    StochasticQuantizationFactory,
    build_quantized_mean,
    dequantize,
    quantize,
)

SHAPES = ((3, 5), (7,), (1,))
VALUE_TYPE = tff.to_type(tuple((np.float32, shape) for shape in SHAPES))

pytestmark = pytest.mark.usefixtures("tff_context")


def random_values(clients, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return [
        tuple(scale * rng.normal(size=s).astype(np.float32) for s in SHAPES)
        for _ in range(clients)
    ]


@pytest.mark.parametrize("rotate", [False, True])
def test_expectation_is_the_value(rotate):
    """The mean of many rounds of one value, by its own standard error."""
    bits, rounds = 2, 400
    factory = build_quantized_mean(bits, rotate=rotate, seed=1)
    process = factory.create(VALUE_TYPE, tff.TensorType(np.float32))
    (value,) = random_values(1)
    state, results = process.initialize(), []
    for _ in range(rounds):
        output = process.next(state, [value], [np.float32(2)])
        state = output.state
        results.append(np.concatenate([np.ravel(t) for t in output.result]))
    results, expected = np.array(results), np.concatenate([t.ravel() for t in value])
    error = results.std(axis=0, ddof=1) / np.sqrt(rounds)
    # Of 23 coordinates none is 4.5 standard errors off; least and greatest are exact.
    assert np.all(np.abs(results.mean(axis=0) - expected) < 4.5 * error + 1e-5)
    assert results.std() > 0.1
    if not rotate:  # on two levels beside a coordinate, and never further
        step = np.ptp(value[0]) / (2**bits - 1)
        assert np.abs(results[:, :15] - expected[:15]).max() < step + 1e-5


def test_draws_are_fair_whatever_the_place_between_levels():
    """Rounding up at the rate of the fraction: 3/2 or 2/3 of it is rejected."""
    fractions = np.linspace(0.1, 0.6, 20_000, dtype=np.float32)
    tensor = tf.constant([0.0, 1.0, *fractions])
    ups = dequantize(quantize(tensor, 1, seed=(0, 0, 0)), 1, shape=tensor.shape)[2:]
    assert set(np.unique(ups)) == {0.0, 1.0}
    error = np.sqrt(0.35 * 0.65 / len(fractions))
    assert abs(np.mean(ups) - fractions.mean()) < 4 * error
    low, high = np.split(np.asarray(ups), 2)
    assert np.mean(low) == pytest.approx(0.225, abs=0.02)
    assert np.mean(high) == pytest.approx(0.475, abs=0.02)


def test_errors_of_clients_and_rounds_are_independent():
    rng = np.random.default_rng(2)
    tensors = [tf.constant(rng.normal(size=4000), tf.float32) for _ in range(2)]
    errors = [
        dequantize(quantize(t, 2, seed=(0, r, 0)), 2, shape=t.shape) - t
        for t in tensors
        for r in range(2)
    ]
    correlations = np.corrcoef(errors) - np.eye(4)
    assert np.abs(correlations).max() < 4.5 / np.sqrt(4000)


def test_a_round_that_is_repeated_draws_the_same():
    factory = build_quantized_mean(2, seed=3)
    value, weights = random_values(2), [np.float32(1)] * 2
    process = factory.create(VALUE_TYPE, tff.TensorType(np.float32))
    state = process.initialize()
    once, again = (process.next(state, value, weights) for _ in range(2))
    anew = factory.create(VALUE_TYPE, tff.TensorType(np.float32))
    from_scratch = anew.next(anew.initialize(), value, weights)
    next_round = process.next(once.state, value, weights)
    for a, b, c, d in zip(
        once.result, again.result, from_scratch.result, next_round.result, strict=True
    ):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
        if np.size(a) > 1:  # a single coordinate is exact
            assert np.abs(a - d).max() > 0


def test_values_at_ends_and_of_one_size_are_exact():
    tensor = tf.constant([-2.0, 6.0, -2.0, 6.0])
    payload = quantize(tensor, 1, seed=(0, 0, 0))
    np.testing.assert_array_equal(dequantize(payload, 1, shape=tensor.shape), tensor)
    for constant in (0.0, -0.7):
        flat = tf.fill([5], constant)
        payload = quantize(flat, 3, seed=(0, 0, 0))
        np.testing.assert_array_equal(dequantize(payload, 3, shape=flat.shape), flat)


def test_what_is_sent_is_what_is_counted():
    """A payload's tensors, as arrays."""
    tensor = tf.zeros([37])
    payload = quantize(tensor, 3, seed=(0, 0, 0))
    assert {name: t.numpy().nbytes for name, t in payload.items()} == {
        "levels": 14,
        "least": 4,
        "step": 4,
    }


@pytest.mark.parametrize("bits", [0, 17])
def test_refuses_other_numbers_of_bits(bits):
    with pytest.raises(ValueError, match="`bits` must be between 1 and 16"):
        StochasticQuantizationFactory(bits)


@pytest.mark.parametrize(
    "value_type",
    [np.int32, (np.float32, [None]), collections.OrderedDict(a=np.float64)],
)
def test_refuses_other_types(value_type):
    with pytest.raises(TypeError, match="float32 tensors of known shape"):
        StochasticQuantizationFactory(4).create(tff.to_type(value_type))

"""Stochastic uniform quantization: b bits for each coordinate of an update.

Each tensor is mapped to `2**b` levels from its least to its greatest coordinate; a
coordinate between two levels becomes one of them at random, so that its expectation
is the coordinate itself. What a client sends is packed: its type has the bytes that
really go up.

`tff.aggregators.EncodedSumFactory` quantizes too (`docs/communication.md`), but draws
other random numbers whenever a round is repeated, and packs 28 bits into 32.

Source: Suresh et al. (2017), sections 2 and 3, https://arxiv.org/abs/1611.00429.
"""

import collections
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.aggregation import bit_packing
from tff_finance.aggregation.rotation import build_rotation
from tff_finance.aggregation.tensors import tensor_specs

MAX_BITS = 16
"""Between more levels, float32 has too few numbers for a fair draw."""


def build_quantized_mean(
    bits: int, *, rotate: bool = True, seed: int = 0
) -> tff.aggregators.WeightedAggregationFactory:
    """Builds the weighted mean of quantized updates, for any `aggregator`.

    Args:
        bits: Of each coordinate, 1 to 16.
        rotate: Whether tensors are rotated at random before, so that no coordinate
            is much larger than the others; they are padded to powers of 2.
        seed: Of rotations and draws.

    Returns:
        The factory. It multiplies an update by its weight, then quantizes it.
    """
    quantized: tff.aggregators.UnweightedAggregationFactory
    quantized = StochasticQuantizationFactory(bits, seed=seed)
    if rotate:
        quantized = build_rotation(quantized, seed=seed)
    return tff.aggregators.MeanFactory(quantized)


class StochasticQuantizationFactory(tff.aggregators.UnweightedAggregationFactory):
    """Sums values that clients send with b bits for each coordinate.

    The process is `<S@SERVER, {V}@CLIENTS> -> <S@SERVER, V@SERVER, ()@SERVER>`, `V`
    one or more tensors of float32, `S` the number of the round. A client sends for
    each tensor its levels, `uint8[ceil(n * bits / 8)]`, its least coordinate and the
    distance of two levels, float32 both; 4 bytes go down.

    Draws follow from seed, round and the signs of the value: a round that is repeated
    draws the same, and errors of different clients are independent unless all their
    signs agree.

    A coordinate that is not finite spoils its tensor: client work leaves such
    updates out.
    """

    def __init__(self, bits: int, *, seed: int = 0) -> None:
        """Takes the width and the seed.

        Args:
            bits: Of each coordinate, 1 to 16.
            seed: Of the draws.
        """
        checks.check_in_range("bits", bits, 1, MAX_BITS)
        checks.check_in_range("seed", seed, 0, 2**31 - 1)
        self._bits, self._seed = bits, seed

    def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
        """Creates the process for `V`.

        Args:
            value_type: `V`.

        Returns:
            The process.

        Raises:
            TypeError: If `V` has anything else than float32 tensors of known shape.
        """
        structure, specs = tensor_specs(value_type)

        @tff.tensorflow.computation(value_type, np.int32)
        def encode(value: Any, round_number: Any) -> Any:
            return [
                quantize(tensor, self._bits, seed=(self._seed, round_number, number))
                for number, tensor in enumerate(tf.nest.flatten(value))
            ]

        encoded_type = encode.type_signature.result

        @tff.tensorflow.computation
        def zero() -> Any:
            return tuple(tf.zeros(spec.shape) for spec in specs)

        total_type = zero.type_signature.result

        @tff.tensorflow.computation(total_type, encoded_type)
        def accumulate(total: Any, encoded: Any) -> Any:
            return tuple(
                tensor + dequantize(payload, self._bits, shape=spec.shape)
                for tensor, payload, spec in zip(total, encoded, specs, strict=True)
            )

        @tff.tensorflow.computation(total_type, total_type)
        def merge(left: Any, right: Any) -> Any:
            return tf.nest.map_structure(tf.add, left, right)

        @tff.tensorflow.computation(total_type)
        def report(total: Any) -> Any:
            return tf.nest.pack_sequence_as(structure, tf.nest.flatten(total))

        @tff.tensorflow.computation(np.int32)
        def next_round(round_number: Any) -> Any:
            return round_number + 1

        @tff.federated_computation
        def initialize() -> Any:
            return tff.federated_value(np.int32(0), tff.SERVER)

        @tff.federated_computation(
            tff.FederatedType(np.int32, tff.SERVER),
            tff.FederatedType(value_type, tff.CLIENTS),
        )
        def next_fn(round_number: Any, values: Any) -> Any:
            everywhere = tff.federated_broadcast(round_number)
            encoded = tff.federated_map(encode, (values, everywhere))
            return tff.templates.MeasuredProcessOutput(
                tff.federated_map(next_round, round_number),
                tff.federated_aggregate(encoded, zero(), accumulate, merge, report),
                tff.federated_value((), tff.SERVER),
            )

        return tff.templates.AggregationProcess(initialize, next_fn)


def quantize(
    tensor: tf.Tensor, bits: int, *, seed: tuple[Any, ...]
) -> collections.OrderedDict[str, tf.Tensor]:
    """Quantizes one tensor.

    Args:
        tensor: float32 of known shape.
        bits: Of each coordinate.
        seed: Seed, round and number of the tensor, int32[] each.

    Returns:
        `levels`, uint8[ceil(n * bits / 8)], `least` and `step`, float32[].
    """
    flat = tf.reshape(tensor, [-1])
    highest = 2.0**bits - 1
    least = tf.reduce_min(flat)
    step = (tf.reduce_max(flat) - least) / highest
    # Of equal coordinates, which have no step, each is the least.
    place = tf.math.divide_no_nan(flat - least, step)
    below = tf.floor(place)
    level = below + tf.cast(rounding_draws(flat, seed) < place - below, tf.float32)
    level = tf.clip_by_value(level, 0.0, highest)  # rounding may lead beyond
    return collections.OrderedDict(
        levels=bit_packing.pack(tf.cast(level, tf.int32), bits),
        least=least,
        step=step,
    )


def dequantize(payload: Any, bits: int, *, shape: tf.TensorShape) -> tf.Tensor:
    """The tensor that `quantize` encoded, up to its rounding.

    Args:
        payload: What `quantize` returned.
        bits: Of each coordinate.
        shape: The tensor's.

    Returns:
        float32[shape].
    """
    number = shape.num_elements()
    level = bit_packing.unpack(payload["levels"], bits, number=number)
    flat = payload["least"] + tf.cast(level, tf.float32) * payload["step"]
    return tf.reshape(flat, shape)


def rounding_draws(flat: tf.Tensor, seed: tuple[Any, ...]) -> tf.Tensor:
    """What decides to which of two levels a coordinate goes.

    Args:
        flat: The coordinates, float32[n]. Their signs enter the seed, since these are
            the same wherever a round is run; the last bits are not.
        seed: Seed, round and number of the tensor, int32[] each.

    Returns:
        Uniform numbers from 0 to 1, float32[n].
    """
    first, round_number, tensor = (tf.cast(part, tf.int64) for part in seed)
    signs = tf.cast(flat < 0, tf.uint8)[tf.newaxis]
    signature = tf.bitcast(tf.fingerprint(signs), tf.int64)[0]
    key = [first * 2**32 + round_number, tf.bitwise.bitwise_xor(signature, tensor)]
    return tf.random.stateless_uniform(flat.shape, key)

"""Sums of sparse updates: the k largest coordinates, and where they stand.

A client sends k values and k positions, packed: its type has the bytes that really go
up. Of an update with more coordinates than k other than 0, the smaller ones are lost;
`client_work.error_feedback` keeps them at the institution for the next round.

Source: Stich et al. (2018), https://arxiv.org/abs/1809.07599.
"""

import collections
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.aggregation import bit_packing
from tff_finance.aggregation.tensors import tensor_specs


def num_kept(share: float, size: int) -> int:
    """k: a share of so many coordinates, rounded up.

    Args:
        share: Above 0, up to 1.
        size: Coordinates of all tensors together.

    Returns:
        At least 1.
    """
    check_share(share)
    # 0.07 * 100 is 7.000000000000001.
    return math.ceil(round(share * size, 6)) or 1


def check_share(share: float) -> None:
    """Raises ValueError unless a share is above 0 and at most 1."""
    checks.check_positive("share", share)
    checks.check_in_range("share", share, 0, 1)


def keep_largest(tensors: Sequence[tf.Tensor], share: float) -> tuple[tf.Tensor, ...]:
    """Keeps the largest coordinates by absolute value, those of all tensors compared.

    Args:
        tensors: float32 of known shapes.
        share: Of all coordinates that are kept.

    Returns:
        The tensors; all other coordinates are 0. Of equal ones the first are kept.
    """
    flat = _flatten(tensors)
    positions = _positions_of_largest(flat, num_kept(share, flat.shape[0]))
    kept = tf.tensor_scatter_nd_update(
        tf.zeros_like(flat), positions[:, tf.newaxis], tf.gather(flat, positions)
    )
    return _split(kept, [tensor.shape for tensor in tensors])


class SparseSumFactory(tff.aggregators.UnweightedAggregationFactory):
    """Sums values of which clients send the largest coordinates.

    The process is `<()@SERVER, {V}@CLIENTS> -> <()@SERVER, V@SERVER, ()@SERVER>`, `V`
    one or more tensors of float32, d coordinates in all. A client sends k values,
    float32[k], and k positions of `ceil(log2 d)` bits each; nothing more goes down.
    A value that has at most k coordinates other than 0 is summed exactly.
    """

    def __init__(self, share: float) -> None:
        """Takes k as a share.

        Args:
            share: k over d, above 0, up to 1.
        """
        check_share(share)
        self._share = share

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
        size = sum(spec.shape.num_elements() for spec in specs)
        kept = num_kept(self._share, size)
        bits = position_bits(size)

        @tff.tensorflow.computation(value_type)
        def encode(value: Any) -> Any:
            flat = _flatten(tf.nest.flatten(value))
            positions = _positions_of_largest(flat, kept)
            return collections.OrderedDict(
                positions=bit_packing.pack(positions, bits),
                values=tf.gather(flat, positions),
            )

        @tff.tensorflow.computation
        def zero() -> Any:
            return tf.zeros([size])

        total_type = zero.type_signature.result

        @tff.tensorflow.computation(total_type, encode.type_signature.result)
        def accumulate(total: Any, encoded: Any) -> Any:
            positions = bit_packing.unpack(encoded["positions"], bits, number=kept)
            return tf.tensor_scatter_nd_add(
                total, positions[:, tf.newaxis], encoded["values"]
            )

        @tff.tensorflow.computation(total_type, total_type)
        def merge(left: Any, right: Any) -> Any:
            return left + right

        @tff.tensorflow.computation(total_type)
        def report(total: Any) -> Any:
            parts = _split(total, [spec.shape for spec in specs])
            return tf.nest.pack_sequence_as(structure, parts)

        @tff.federated_computation
        def initialize() -> Any:
            return tff.federated_value((), tff.SERVER)

        @tff.federated_computation(
            tff.FederatedType((), tff.SERVER),
            tff.FederatedType(value_type, tff.CLIENTS),
        )
        def next_fn(state: Any, values: Any) -> Any:
            encoded = tff.federated_map(encode, values)
            return tff.templates.MeasuredProcessOutput(
                state,
                tff.federated_aggregate(encoded, zero(), accumulate, merge, report),
                tff.federated_value((), tff.SERVER),
            )

        return tff.templates.AggregationProcess(initialize, next_fn)


def position_bits(size: int) -> int:
    """Bits of a position among so many, at least 1."""
    return max(1, (size - 1).bit_length())


def _flatten(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)


def _split(flat: tf.Tensor, shapes: Sequence[tf.TensorShape]) -> tuple[tf.Tensor, ...]:
    parts = tf.split(flat, [shape.num_elements() for shape in shapes])
    return tuple(
        tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)
    )


def _positions_of_largest(flat: tf.Tensor, number: int) -> tf.Tensor:
    """Ascending, int32[number]."""
    _, positions = tf.math.top_k(tf.abs(flat), number, sorted=True)
    return tf.sort(positions)

"""Random rotation before quantization: coordinates of about the same size.

A tensor is multiplied by random signs and a Hadamard matrix, alike at all clients;
the server turns the sum back. Quantization from the least to the greatest coordinate
then loses less where a few coordinates are far larger than the others.

The rotation is TFF's. Its seed would be the time at which training begins; here it is
given, so that a run can be repeated.

Source: Suresh et al. (2017), section 3, https://arxiv.org/abs/1611.00429.
"""

from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks


def build_rotation(
    inner: tff.aggregators.UnweightedAggregationFactory, *, seed: int
) -> tff.aggregators.UnweightedAggregationFactory:
    """Builds the rotation around another factory.

    Args:
        inner: Sums the rotated tensors, each of one dimension, padded with zeros to
            the next power of 2.
        seed: Of the signs, which are others in every round.

    Returns:
        `tff.aggregators.HadamardTransformFactory` with the seed; 16 bytes go down.
    """
    checks.check_in_range("seed", seed, 0, 2**31 - 1)
    return _Seeded(tff.aggregators.HadamardTransformFactory(inner), seed)


class _Seeded(tff.aggregators.UnweightedAggregationFactory):
    """TFF's rotation, begun with a seed of ours."""

    def __init__(
        self, rotation: tff.aggregators.HadamardTransformFactory, seed: int
    ) -> None:
        self._rotation, self._seed = rotation, seed

    def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
        """Creates TFF's process; its state is the inner one and int64[2]."""
        process = self._rotation.create(value_type)

        @tff.tensorflow.computation(process.initialize.type_signature.result.member)
        def begin(state: Any) -> Any:
            inner, _ = state
            # The second number counts tensors and rounds.
            return inner, tf.constant([self._seed, 0], tf.int64)

        @tff.federated_computation
        def initialize() -> Any:
            return tff.federated_map(begin, process.initialize())

        return tff.templates.AggregationProcess(initialize, process.next)

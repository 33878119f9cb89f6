"""All institutions' updates at the server, one below the other.

What ranks updates has to see them all. A round is summed one update after the other,
so they are appended to a table that grows. The server sees every update by itself:
neither secure aggregation nor noise on the sum alone goes with this.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

Rule = Callable[[Sequence[tf.Tensor], tf.Tensor], Sequence[tf.Tensor]]
"""From updates, one tensor [n, ...] per leaf, and their weights [n], to one update.

Updates that don't count are left out before, so that n is at least 1, weights are
positive and all is finite.
"""


def build_collect(value_type: tff.Type) -> Callable[[Any], Any]:
    """Builds `{T}@CLIENTS -> T*@SERVER`, to be called in a federated computation.

    Args:
        value_type: `T`, a structure of tensors of known shape.

    Returns:
        What places all values at the server, in the order of the clients; `T*` has
        a first dimension of their number, 0 if there are none.
    """
    rows_type = table_type(value_type)

    @tff.tensorflow.computation
    def zero() -> Any:
        return tf.nest.map_structure(
            _no_rows, tff.types.type_to_tf_tensor_specs(value_type)
        )

    @tff.tensorflow.computation(rows_type, value_type)
    def accumulate(table: Any, value: Any) -> Any:
        return tf.nest.map_structure(
            lambda rows, row: tf.concat([rows, row[tf.newaxis]], axis=0), table, value
        )

    @tff.tensorflow.computation(rows_type, rows_type)
    def merge(above: Any, below: Any) -> Any:
        return tf.nest.map_structure(
            lambda one, other: tf.concat([one, other], axis=0), above, below
        )

    @tff.tensorflow.computation(rows_type)
    def report(table: Any) -> Any:
        return table

    return lambda value: tff.federated_aggregate(
        value, zero(), accumulate, merge, report
    )


class CollectedUpdatesFactory(tff.aggregators.WeightedAggregationFactory):
    """Applies a rule to all updates of a round.

    An update of weight 0 or below, or with a value that isn't finite, doesn't count.
    If none counts, the result is NaN, as that of `tff.aggregators.MeanFactory` is:
    the server's finalizer then leaves model and optimizer as they are.

    There is no state. Measurements: `num_updates` that counted, and
    `rejected_updates` of positive weight that weren't finite, both int64[].
    """

    def __init__(self, rule: Rule) -> None:
        """Takes the rule."""
        self._rule = rule

    def create(
        self, value_type: Any, weight_type: Any
    ) -> tff.templates.AggregationProcess:
        """Builds `<()@SERVER, {T}@CLIENTS, {weight}@CLIENTS> -> T@SERVER`.

        Args:
            value_type: `T`, a structure of floating-point tensors of known shape.
            weight_type: Of a number.

        Returns:
            The process.

        Raises:
            ValueError: If `value_type` has other tensors than floating-point ones.
        """
        check_floats(value_type)
        collect = build_collect(tff.to_type((value_type, weight_type)))
        rule = self._rule

        @tff.tensorflow.computation(table_type(value_type), table_type(weight_type))
        @tf.function
        def aggregate(values: Any, weights: tf.Tensor) -> Any:
            leaves = tf.nest.flatten(values)
            positive = weights > 0
            counts = positive & finite_rows(leaves)
            number = tf.math.count_nonzero(counts)

            def apply() -> list[tf.Tensor]:
                kept = [tf.boolean_mask(leaf, counts) for leaf in leaves]
                return list(rule(kept, tf.boolean_mask(weights, counts)))

            def undefined() -> list[tf.Tensor]:
                return [tf.fill(leaf.shape[1:], _nan(leaf)) for leaf in leaves]

            result = tf.cond(number > 0, apply, undefined)
            rejected = tf.math.count_nonzero(positive) - number
            return tf.nest.pack_sequence_as(values, result), number, rejected

        @tff.federated_computation
        def initialize() -> Any:
            return tff.federated_value((), tff.SERVER)

        @tff.federated_computation(
            initialize.type_signature.result,
            tff.FederatedType(value_type, tff.CLIENTS),
            tff.FederatedType(weight_type, tff.CLIENTS),
        )
        def next_fn(state: Any, value: Any, weight: Any) -> Any:
            collected = collect(tff.federated_zip((value, weight)))
            result, number, rejected = tff.federated_map(aggregate, collected)
            return tff.templates.MeasuredProcessOutput(
                state,
                result,
                tff.federated_zip(
                    {"num_updates": number, "rejected_updates": rejected}
                ),
            )

        return tff.templates.AggregationProcess(initialize, next_fn)


def finite_rows(leaves: Sequence[tf.Tensor]) -> tf.Tensor:
    """Whether all of an update is finite, bool[n], from leaves [n, ...]."""
    return tf.reduce_all(
        [
            tf.reduce_all(tf.math.is_finite(leaf), axis=range(1, leaf.shape.rank))
            for leaf in leaves
        ],
        axis=0,
    )


def check_floats(value_type: tff.Type) -> None:
    """Raises ValueError unless all tensors of a type are floating-point ones."""
    if not tff.types.is_structure_of_floats(value_type):
        raise ValueError(
            "`value_type` must be a structure of floating-point tensors, got "
            f"{value_type}."
        )


def table_type(type_spec: Any) -> tff.Type:
    """A type with a first dimension of unknown length in each tensor."""
    specs = tff.types.type_to_tf_tensor_specs(type_spec)
    return tff.types.tensorflow_to_type(
        tf.nest.map_structure(
            lambda spec: tf.TensorSpec([None, *spec.shape], spec.dtype), specs
        )
    )


def _no_rows(spec: tf.TensorSpec) -> tf.Tensor:
    # Masked, since the type of `tf.zeros([0, ...])` would have length 0 for good.
    one = tf.zeros([1, *spec.shape], spec.dtype)
    return tf.boolean_mask(one, tf.constant([False]))


def _nan(leaf: tf.Tensor) -> tf.Tensor:
    return tf.constant(np.nan, leaf.dtype)

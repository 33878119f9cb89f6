"""Rejects updates that aren't finite or whose norm explodes, and counts them.

A rejected update has weight 0: unlike with `tff.aggregators.zeroing_factory`, which
keeps its weight, the mean of the others isn't pulled towards 0. So a run goes on
whatever a broken institution sends.

What explodes is judged by a fixed bound of the L2 norm, or by a multiple of the median
norm of the round before, which less than half of the institutions can't move out of
the range of the others' norms. It can't be the median of the same round: that would
take a second exchange, for which no `MapReduceForm` has room. The server sees every
institution's norm.
"""

import collections
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.aggregation.collecting import (
    build_collect,
    check_floats,
    table_type,
)
from tff_finance.aggregation.coordinate_wise import coordinate_wise_median


class RejectingFactory(tff.aggregators.WeightedAggregationFactory):
    """Wraps a weighted factory: rejected updates reach it as zeros of weight 0.

    State: the inner one, and `norm_bound`, float32[]. Measurements: `inner`;
    `rejected_updates`, int64[], of positive weight; and `norm_bound`, float32[], that
    they were judged by.

    With a multiple, nothing is known before the first round with updates: its bound is
    0, so that it only measures, and leaves the model as it is. Norms of updates of
    weight 0, and of those that aren't finite, don't count in the median; those of
    other rejected ones do, so that norms may grow. Where none counts, the bound stays.
    """

    def __init__(
        self,
        inner: tff.aggregators.WeightedAggregationFactory,
        *,
        norm_bound: float | None = None,
        median_multiple: float | None = None,
    ) -> None:
        """Takes the inner factory and what norms are judged by.

        Args:
            inner: Aggregates what isn't rejected.
            norm_bound: Largest L2 norm over all tensors of an update together.
            median_multiple: The same in median norms of the round before, at
                least 1.

        Raises:
            ValueError: If `inner` takes no weights, if not exactly one of the other
                two is given, or if it is out of range.
        """
        if not isinstance(inner, tff.aggregators.WeightedAggregationFactory):
            raise ValueError(
                "`inner` must take weights, since a rejected update gets weight 0; "
                f"got {type(inner).__name__}."
            )
        if (norm_bound is None) == (median_multiple is None):
            raise ValueError(
                "Exactly one of `norm_bound` and `median_multiple` must be given, got "
                f"{norm_bound!r} and {median_multiple!r}."
            )
        if norm_bound is not None:
            checks.check_positive("norm_bound", norm_bound)
        if median_multiple is not None:
            checks.check_at_least("median_multiple", median_multiple, 1)
        self._inner = inner
        self._first_bound = np.float32(norm_bound or 0.0)
        self._multiple = median_multiple

    def create(
        self, value_type: Any, weight_type: Any
    ) -> tff.templates.AggregationProcess:
        """Builds `<S@SERVER, {T}@CLIENTS, {weight}@CLIENTS> -> T@SERVER`.

        Args:
            value_type: `T`, a structure of floating-point tensors.
            weight_type: Of a number.

        Returns:
            The process.

        Raises:
            ValueError: If `value_type` has other tensors than floating-point ones.
        """
        check_floats(value_type)
        inner = self._inner.create(value_type, weight_type)
        first_bound = self._first_bound
        next_bound = _build_next_bound(self._multiple)

        @tff.tensorflow.computation
        def first() -> Any:
            return tf.constant(first_bound)

        @tff.tensorflow.computation(value_type, weight_type, np.float32)
        @tf.function
        def judge(value: Any, weight: tf.Tensor, bound: tf.Tensor) -> Any:
            norm = tf.cast(tf.linalg.global_norm(_as_float32(value)), tf.float32)
            accepted = norm <= bound  # not so of NaN
            kept = tf.nest.map_structure(
                lambda t: tf.where(accepted, t, tf.zeros_like(t)), value
            )
            present = weight > 0
            return (
                kept,
                tf.where(accepted, weight, tf.zeros_like(weight)),
                (norm, present & tf.math.is_finite(norm)),
                tf.cast(present & ~accepted, tf.int64),
            )

        @tff.federated_computation
        def initialize() -> Any:
            return tff.federated_zip(
                collections.OrderedDict(
                    inner=inner.initialize(),
                    norm_bound=tff.federated_eval(first, tff.SERVER),
                )
            )

        @tff.federated_computation(
            initialize.type_signature.result,
            tff.FederatedType(value_type, tff.CLIENTS),
            tff.FederatedType(weight_type, tff.CLIENTS),
        )
        def next_fn(state: Any, value: Any, weight: Any) -> Any:
            bound = state["norm_bound"]
            kept, weights, norms, rejected = tff.federated_map(
                judge, (value, weight, tff.federated_broadcast(bound))
            )
            output = inner.next(state["inner"], kept, weights)
            following = next_bound(bound, norms)
            return tff.templates.MeasuredProcessOutput(
                tff.federated_zip(
                    collections.OrderedDict(inner=output.state, norm_bound=following)
                ),
                output.result,
                tff.federated_zip(
                    collections.OrderedDict(
                        inner=output.measurements,
                        rejected_updates=tff.federated_sum(rejected),
                        norm_bound=bound,
                    )
                ),
            )

        return tff.templates.AggregationProcess(initialize, next_fn)


def _build_next_bound(multiple: float | None) -> Callable[[Any, Any], Any]:
    """Builds `<bound@SERVER, {<norm, counts>}@CLIENTS> -> bound@SERVER`."""
    if multiple is None:
        return lambda bound, _: bound
    norm_type = tff.to_type((np.float32, np.bool_))
    collect = build_collect(norm_type)

    @tff.tensorflow.computation(np.float32, table_type(norm_type))
    @tf.function
    def next_bound(bound: tf.Tensor, norms: Any) -> tf.Tensor:
        return bound_after(bound, *norms, multiple=multiple)

    return lambda bound, norms: tff.federated_map(next_bound, (bound, collect(norms)))


def bound_after(
    bound: tf.Tensor, norms: tf.Tensor, counts: tf.Tensor, *, multiple: float
) -> tf.Tensor:
    """The bound of the next round.

    Args:
        bound: This round's, float32[].
        norms: Of this round's updates, float32[n].
        counts: Which of them count, bool[n].
        multiple: Of their median.

    Returns:
        float32[]; `bound` if none counts.
    """
    counted = tf.boolean_mask(norms, counts)
    return tf.cond(
        tf.size(counted) > 0,
        lambda: multiple * coordinate_wise_median(counted),
        lambda: bound,
    )


def _as_float32(value: Any) -> list[tf.Tensor]:
    return [tf.cast(leaf, tf.float32) for leaf in tf.nest.flatten(value)]

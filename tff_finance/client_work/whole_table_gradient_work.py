"""Client work of FedSGD: one gradient over the institution's whole table."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work import process
from tff_finance.client_work import weights as weights_lib
from tff_finance.client_work.gradient_estimator import (
    GradientEstimate,
    GradientEstimator,
    build_mean_gradient,
)
from tff_finance.institutions.examples import ExampleStore
from tff_finance.institutions.rows import (
    CustomerTable,
    Shards,
    Table,
    rows_of,
    sum_over,
)


def build_whole_table_gradient_work(
    model: tff.learning.models.FunctionalModel,
    *,
    weighting: tff.learning.ClientWeighting = tff.learning.ClientWeighting.NUM_EXAMPLES,
    gradient_estimator: GradientEstimator | None = None,
    store: ExampleStore | None = None,
) -> tff.learning.templates.ClientWorkProcess:
    """Builds client work that returns the gradient of the mean loss at `W`.

    `next`: `<S@SERVER, {W}@CLIENTS, {B*}@CLIENTS> ->
    <S@SERVER, {ClientResult}@CLIENTS, metrics@SERVER>`; `W` model weights, `B`
    one institution's records, a sequence of exactly one element of the type that
    `store` gives, such as `examples_type`; `S` as in `process.build_initial_state`.

    Args:
        model: Model without batch-coupled layers.
        weighting: By examples, or uniform over institutions that have any.
        gradient_estimator: Defaults to the gradient of the mean loss; of shards,
            estimates of each are averaged.
        store: How clients get at their rows; defaults to `InMemory`.

    Returns:
        The client work.
    """
    estimator = gradient_estimator or build_mean_gradient(model)

    num_features = weights_lib.num_features(model)

    @tf.function
    def gradient(server_state: Any, weights: Any, examples: Any) -> Any:
        del server_state
        trainable = tuple(weights.trainable)
        rows = rows_of(examples, num_features)

        def mean_over(table: Table) -> GradientEstimate:
            estimate = estimator(
                trainable, tuple(weights.non_trainable), table.x, table.y
            )
            # The mean over no rows is NaN, which is no sign of a broken update.
            return tf.nest.map_structure(
                lambda t: tf.where(table.num_rows > 0, t, tf.zeros_like(t)),
                GradientEstimate(tuple(estimate.gradient), estimate.loss),
            )

        mean = _mean_over(rows, mean_over)
        return process.client_result(
            mean.gradient,
            loss_sum=mean.loss * tf.cast(rows.num_rows, tf.float32),
            num_rows=rows.num_rows,
            epochs=1,
            weighting=weighting,
        )

    initial_state = process.build_initial_state({})
    client_update = process.build_client_update(
        gradient,
        state_type=initial_state.type_signature.result,
        model=model,
        store=store,
    )
    return process.build_client_work_process(initial_state, client_update)


def _mean_over(
    rows: Table | CustomerTable | Shards, mean_over: Callable[[Table], GradientEstimate]
) -> GradientEstimate:
    """The mean over all rows, from means over tables."""
    if isinstance(rows, CustomerTable):
        raise ValueError(
            "`store` must hold rows, got one of customers, which are for private "
            "gradients: build_fed_avg(..., batches=PoissonBatches(...))."
        )
    if isinstance(rows, Table):
        return mean_over(rows)

    def sums_of(table: Table) -> GradientEstimate:
        number = tf.cast(table.num_rows, tf.float32)
        return tf.nest.map_structure(lambda t: t * number, mean_over(table))

    number = tf.cast(rows.num_rows, tf.float32)
    return tf.nest.map_structure(
        lambda t: tf.math.divide_no_nan(t, number), sum_over(rows, sums_of)
    )

"""Client work of FedSGD: one gradient over the institution's whole table."""

from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work import process
from tff_finance.client_work import weights as weights_lib
from tff_finance.client_work.gradient_estimator import (
    GradientEstimator,
    build_mean_gradient,
)
from tff_finance.institutions.examples import examples_type


def build_whole_table_gradient_work(
    model: tff.learning.models.FunctionalModel,
    *,
    weighting: tff.learning.ClientWeighting = tff.learning.ClientWeighting.NUM_EXAMPLES,
    gradient_estimator: GradientEstimator | None = None,
) -> tff.learning.templates.ClientWorkProcess:
    """Builds client work that returns the gradient of the mean loss at `W`.

    `next`: `<S@SERVER, {W}@CLIENTS, {B*}@CLIENTS> ->
    <S@SERVER, {ClientResult}@CLIENTS, metrics@SERVER>`; `W` model weights, `B`
    one institution's records, a sequence of exactly one element of
    `examples_type`; `S` as in `process.build_initial_state`.

    Args:
        model: Model without batch-coupled layers.
        weighting: By examples, or uniform over institutions that have any.
        gradient_estimator: Defaults to the gradient of the mean loss.

    Returns:
        The client work.
    """
    estimator = gradient_estimator or build_mean_gradient(model)

    @tf.function
    def gradient(weights: Any, examples: Any) -> Any:
        x, y = examples["x"], examples["y"]
        trainable = tuple(weights.trainable)
        estimate = estimator(trainable, tuple(weights.non_trainable), x, y)
        num_rows = tf.shape(x)[0]
        # The mean over no rows is NaN, which is no sign of a broken update.
        update = tf.nest.map_structure(
            lambda g: tf.where(num_rows > 0, g, tf.zeros_like(g)), estimate.gradient
        )
        loss = tf.where(num_rows > 0, estimate.loss, 0.0)
        return process.client_result(
            update,
            loss_sum=loss * tf.cast(num_rows, tf.float32),
            num_rows=num_rows,
            epochs=1,
            weighting=weighting,
        )

    initial_state = process.build_initial_state({})
    state_type = initial_state.type_signature.result
    data_type = tff.SequenceType(examples_type(weights_lib.num_features(model)))

    @tff.tensorflow.computation(state_type, weights_lib.weights_type(model), data_type)
    def client_update(server_state: Any, weights: Any, dataset: Any) -> Any:
        del server_state
        return gradient(weights, dataset.get_single_element())

    return process.build_client_work_process(initial_state, client_update)

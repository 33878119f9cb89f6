"""Validation during training: three sums per institution, and nothing else.

Early stopping needs a loss and wants an accuracy. A whole score histogram every
round would weigh more than the model.
"""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.institutions.rows import Table, rows_of, sum_over


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationResult:
    """Over all validation rows.

    Attributes:
        loss: Mean log loss in nats.
        accuracy: Share of rows on the right side of probability 0.5.
        rows: Number of rows.
    """

    loss: float
    accuracy: float
    rows: int


def build_federated_validation(
    model: tff.learning.models.FunctionalModel,
    *,
    weights_type: tff.Type,
    element_type: tff.Type,
    complete: Callable[[Any, tf.Tensor], Any] | None = None,
) -> tff.Computation:
    """Builds `<W@SERVER, {B*}@CLIENTS> -> <log_loss_sum, correct, rows>@SERVER`.

    Args:
        model: Its output is one logit per row, float32[n, 1].
        weights_type: `W`, model weights.
        element_type: `B`, one institution's records; its dataset is a sequence
            of exactly one; of `examples_type` or `shards_type`.
        complete: Takes `W` and the name of the institution, string[], and returns all
            the model's weights, where part of them is kept at the institution.

    Returns:
        The computation; sums are float64 and int64.
    """
    data_type = tff.SequenceType(element_type)
    num_features = int(model.input_spec["x"].shape[-1])

    @tff.tensorflow.computation(weights_type, data_type)
    def client_sums(weights: Any, dataset: Any) -> Any:
        element = dataset.get_single_element()
        rows = rows_of(element, num_features)
        if complete:
            weights = complete(weights, element["institution"])
        return sum_over(rows, lambda table: _sums(model, weights, table))

    @tff.federated_computation(
        tff.FederatedType(weights_type, tff.SERVER),
        tff.FederatedType(data_type, tff.CLIENTS),
    )
    def validate(weights: Any, data: Any) -> Any:
        sums = tff.federated_map(client_sums, (tff.federated_broadcast(weights), data))
        return tff.federated_sum(sums)

    return validate


def _sums(
    model: tff.learning.models.FunctionalModel, weights: Any, table: Table
) -> collections.OrderedDict[str, tf.Tensor]:
    """Over the rows of a table."""
    logits = model.predict_on_batch(
        model_weights=(tuple(weights.trainable), tuple(weights.non_trainable)),
        x=table.x,
        training=False,
    )
    losses = tf.nn.sigmoid_cross_entropy_with_logits(table.y, logits)
    correct = tf.equal(logits >= 0.0, table.y > 0.5)  # noqa: PLR2004
    return collections.OrderedDict(
        log_loss_sum=tf.reduce_sum(tf.cast(losses, tf.float64)),
        correct=tf.reduce_sum(tf.cast(correct, tf.int64)),
        rows=tf.shape(logits, tf.int64)[0],
    )


def validation_result(sums: Any) -> ValidationResult:
    """Turns the sums of `build_federated_validation` into means.

    Args:
        sums: Over all institutions.

    Returns:
        Mean loss and accuracy.

    Raises:
        ValueError: If there are no validation rows.
    """
    rows = int(sums["rows"])
    if rows == 0:
        raise ValueError(
            "No institution has validation rows: early stopping needs some."
        )
    return ValidationResult(
        loss=float(sums["log_loss_sum"]) / rows,
        accuracy=int(sums["correct"]) / rows,
        rows=rows,
    )

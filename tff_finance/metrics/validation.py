"""Validation during training: three sums per institution, and nothing else.

Early stopping needs a loss and wants an accuracy. A whole score histogram every
round would weigh more than the model. A study may ask for the AUC of each validated
round all the same: then counts by score are summed as well. They are an instrument of
the study, which no rule of training looks at, and are no part of its traffic.
"""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.institutions.rows import Table, rows_of, sum_over
from tff_finance.metrics.accumulate import histogram_tensors
from tff_finance.metrics.derived import auc_of_counts

SUMS = ("log_loss_sum", "correct", "rows")
"""What an institution sends in a validation."""

_COUNTS = ("negatives", "positives")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ValidationResult:
    """Over all validation rows.

    Attributes:
        loss: Mean log loss in nats.
        accuracy: Share of rows on the right side of probability 0.5.
        rows: Number of rows.
        auc: Area under the ROC curve, if it was asked for and both classes occur.
    """

    loss: float
    accuracy: float
    rows: int
    auc: float | None = None


def build_federated_validation(
    model: tff.learning.models.FunctionalModel,
    *,
    weights_type: tff.Type,
    element_type: tff.Type,
    complete: Callable[[Any, tf.Tensor], Any] | None = None,
    with_auc: bool = False,
) -> tff.Computation:
    """Builds `<W@SERVER, {B*}@CLIENTS> -> <log_loss_sum, correct, rows>@SERVER`.

    Args:
        model: Its output is one logit per row, float32[n, 1].
        weights_type: `W`, model weights.
        element_type: `B`, one institution's records; its dataset is a sequence
            of exactly one; of `examples_type` or `shards_type`.
        complete: Takes `W` and the name of the institution, string[], and returns all
            the model's weights, where part of them is kept at the institution.
        with_auc: Whether the result also has `negatives` and `positives`, the rows
            of each class by bin of the score, int64[LOGIT_BINS].

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
        return sum_over(rows, lambda table: _sums(model, weights, table, with_auc))

    @tff.federated_computation(
        tff.FederatedType(weights_type, tff.SERVER),
        tff.FederatedType(data_type, tff.CLIENTS),
    )
    def validate(weights: Any, data: Any) -> Any:
        sums = tff.federated_map(client_sums, (tff.federated_broadcast(weights), data))
        return tff.federated_sum(sums)

    return validate


def _sums(
    model: tff.learning.models.FunctionalModel,
    weights: Any,
    table: Table,
    with_auc: bool,
) -> collections.OrderedDict[str, tf.Tensor]:
    """Over the rows of a table."""
    logits = model.predict_on_batch(
        model_weights=(tuple(weights.trainable), tuple(weights.non_trainable)),
        x=table.x,
        training=False,
    )
    losses = tf.nn.sigmoid_cross_entropy_with_logits(table.y, logits)
    correct = tf.equal(logits >= 0.0, table.y > 0.5)  # noqa: PLR2004
    sums = collections.OrderedDict(
        log_loss_sum=tf.reduce_sum(tf.cast(losses, tf.float64)),
        correct=tf.reduce_sum(tf.cast(correct, tf.int64)),
        rows=tf.shape(logits, tf.int64)[0],
    )
    if with_auc:
        histogram = histogram_tensors(logits, table.y)
        sums.update((name, histogram[name]) for name in _COUNTS)
    return sums


def validation_result(sums: Any) -> ValidationResult:
    """Turns the sums of `build_federated_validation` into means.

    Args:
        sums: Over all institutions.

    Returns:
        Mean loss and accuracy; AUC if there are counts.

    Raises:
        ValueError: If there are no validation rows.
    """
    rows = int(sums["rows"])
    if rows == 0:
        raise ValueError(
            "No institution has validation rows: early stopping needs some."
        )
    auc = None
    if all(name in sums for name in _COUNTS):
        auc = auc_of_counts(*(np.asarray(sums[name]) for name in _COUNTS))
    return ValidationResult(
        loss=float(sums["log_loss_sum"]) / rows,
        accuracy=int(sums["correct"]) / rows,
        rows=rows,
        auc=auc,
    )

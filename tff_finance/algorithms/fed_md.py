"""FedMD: models of any kind learn from one another by their predictions.

All institutions know one table of unlabelled reference rows. In each round

    communicate   every institution sends its model's scores of these rows
    aggregate     the server sends back their mean, the consensus
    digest        every institution trains its model towards the consensus
    revisit       and then on its own rows

Scores are probabilities of label 1. What is exchanged is one float32 for each
reference row and direction, whatever the models: neither weights nor gradients leave an
institution, which is why their shapes may differ, and why this isn't a
`LearningProcess`: there are no weights that a server could hold. TFF computes the
consensus; each institution's network is the state of a training process of its own.

Source: Li and Wang (2019), Algorithm 1, https://arxiv.org/abs/1910.03581. There the
reference rows are labelled and models are trained on these labels first; rows that
are drawn for the purpose have none, so that models begin with their own.
"""

import collections
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.runtime import attendance


def consensus(scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """The mean of the institutions' scores.

    Args:
        scores: By institution, float32[rows]: probabilities of label 1 of the
            reference rows. Those of an institution one of whose scores isn't finite
            are left out.

    Returns:
        float32[rows]; NaN if nobody's are left.
    """
    datasets = [
        tf.data.Dataset.from_tensors(
            collections.OrderedDict(
                scores=np.asarray(values, np.float32),
                institution=np.array(name.encode(), np.object_),
            )
        )
        for name, values in scores.items()
    ]
    (rows,) = {len(values) for values in scores.values()}
    with attendance.everyone_needed("the consensus"):
        return np.asarray(build_consensus(rows)(datasets))


@functools.cache  # traced once for all rounds
def build_consensus(rows: int) -> tff.Computation:
    """Builds `<{P*}@CLIENTS> -> float32[rows]@SERVER`, the unweighted mean.

    `P`, what an institution predicts: `OrderedDict(scores=float32[rows],
    institution=str)`; `sent_type` is what leaves it. Scores of which one isn't finite
    leave it as zeros that don't count.

    Args:
        rows: Of the reference table.

    Returns:
        The computation.
    """
    scores_type = tff.SequenceType(
        tff.to_type(
            collections.OrderedDict(scores=(np.float32, [rows]), institution=np.str_)
        )
    )

    @tff.tensorflow.computation(scores_type)
    def sent(dataset: Any) -> Any:
        scores = dataset.get_single_element()["scores"]
        finite = tf.reduce_all(tf.math.is_finite(scores))
        return collections.OrderedDict(
            scores=tf.where(finite, scores, tf.zeros_like(scores)),
            institutions=tf.cast(finite, tf.float32),
        )

    @tff.tensorflow.computation(sent_type(rows))
    def mean(total: Any) -> Any:
        return total["scores"] / total["institutions"]

    @tff.federated_computation(tff.FederatedType(scores_type, tff.CLIENTS))
    def mean_score(data: Any) -> Any:
        return tff.federated_map(mean, tff.federated_sum(tff.federated_map(sent, data)))

    return mean_score


def sent_type(rows: int) -> tff.Type:
    """What an institution sends in a round: its scores, and whether they count."""
    return tff.to_type(
        collections.OrderedDict(scores=(np.float32, [rows]), institutions=np.float32)
    )


def digest_and_revisit(
    process: tff.learning.templates.LearningProcess,
    state: Any,
    *,
    reference: tf.data.Dataset,
    own: tf.data.Dataset,
    digest_epochs: int,
    revisit_epochs: int,
) -> tuple[Any, float]:
    """An institution's part of a round after it has received the consensus.

    Args:
        process: Training at a single site, one epoch a round, for its model.
        state: Of that process.
        reference: The reference rows with the consensus in place of labels; the
            cross-entropy to it is least where the model predicts it.
        own: The institution's rows.
        digest_epochs: Over the reference rows.
        revisit_epochs: Over its own.

    Returns:
        The next state, and the mean loss of its own rows in the last epoch.
    """
    loss = float("nan")
    for _ in range(digest_epochs):
        state, _ = process.next(state, [reference])
    for _ in range(revisit_epochs):
        state, metrics = process.next(state, [own])
        loss = float(metrics["loss"])
    return state, loss

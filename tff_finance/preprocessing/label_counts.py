"""Label counts over all institutions, for class weights.

What leaves an institution is its number of rows of each class.
"""

import collections
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.institutions.examples import Examples
from tff_finance.runtime import attendance


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelCounts:
    """Rows of each class over all institutions.

    Attributes:
        negatives: Rows of label 0.
        positives: Rows of label 1.
    """

    negatives: int
    positives: int

    @property
    def balancing_weight(self) -> float:
        """Weight of a positive row at which both classes weigh the same.

        Raises:
            ValueError: If a class has no row.
        """
        if not (self.negatives and self.positives):
            raise ValueError(
                "Class weights need rows of both classes, but institutions have "
                f"{self.negatives} negative and {self.positives} positive ones."
            )
        return self.negatives / self.positives


def federated_label_counts(tables: Sequence[Examples]) -> LabelCounts:
    """Counts the labels of all institutions without pooling a row.

    Args:
        tables: One encoded table per institution; training rows.

    Returns:
        The counts; equal to those of the pooled rows.
    """
    datasets = [
        tf.data.Dataset.from_tensors(
            collections.OrderedDict(y=table["y"], institution=table["institution"])
        )
        for table in tables
    ]
    with attendance.everyone_needed("class weights"):
        counts = build_label_counts()(datasets)
    return LabelCounts(
        negatives=int(counts["negatives"]), positives=int(counts["positives"])
    )


@functools.cache  # traced once for all seeds
def build_label_counts() -> tff.Computation:
    """Builds `<{L*}@CLIENTS> -> <negatives, positives>@SERVER`, int64.

    `L`, one institution's labels: `OrderedDict(y=float32[n, 1], institution=str)`.

    Returns:
        The computation.
    """
    labels_type = tff.SequenceType(
        tff.to_type(
            collections.OrderedDict(y=(np.float32, [None, 1]), institution=np.str_)
        )
    )

    @tff.tensorflow.computation(labels_type)
    def count(dataset: Any) -> Any:
        labels = dataset.get_single_element()["y"]
        positives = tf.math.count_nonzero(labels)
        return collections.OrderedDict(
            negatives=tf.size(labels, tf.int64) - positives, positives=positives
        )

    @tff.federated_computation(tff.FederatedType(labels_type, tff.CLIENTS))
    def count_all(labels: Any) -> Any:
        return tff.federated_sum(tff.federated_map(count, labels))

    return count_all

"""From scores to score histograms, in TensorFlow.

The one implementation: a computation at an institution and an evaluation on
this machine run the same operations, so that all methods are judged alike.
"""

from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tff_finance.metrics.score_histogram import (
    BINS_PER_LOGIT,
    CALIBRATION_BINS,
    CALIBRATION_LOGIT_EDGES,
    FIRST_POSITIVE_BIN,
    LOGIT_BINS,
    ScoreHistogram,
)

TENSOR_SPECS: Mapping[str, tf.TensorSpec] = MappingProxyType(
    OrderedDict(
        negatives=tf.TensorSpec([LOGIT_BINS], tf.int64),
        positives=tf.TensorSpec([LOGIT_BINS], tf.int64),
        log_loss_sum=tf.TensorSpec([], tf.float64),
        brier_sum=tf.TensorSpec([], tf.float64),
        calibration_counts=tf.TensorSpec([CALIBRATION_BINS], tf.int64),
        calibration_positives=tf.TensorSpec([CALIBRATION_BINS], tf.int64),
        calibration_score_sums=tf.TensorSpec([CALIBRATION_BINS], tf.float64),
        non_finite_logits=tf.TensorSpec([], tf.int64),
        invalid_labels=tf.TensorSpec([], tf.int64),
    )
)
"""A histogram as tensors. The last two count the rows that have no place in it:
a graph at an institution can't usefully raise, and dropping a row is no option,
so they travel along and `to_score_histogram` refuses."""

_LABEL_DTYPES = frozenset({tf.bool, tf.int32, tf.int64, tf.float32, tf.float64})


class InvalidRowsError(ValueError):
    """Some rows have a logit that is not finite or a label other than 0 and 1.

    A model that diverged is the usual cause; its metrics don't exist.

    Attributes:
        non_finite_logits: Rows whose logit is NaN or infinite.
        invalid_labels: Rows whose label is neither 0 nor 1.
    """

    def __init__(self, non_finite_logits: int, invalid_labels: int) -> None:
        """Stores the counts and names the arguments that they belong to."""
        self.non_finite_logits = non_finite_logits
        self.invalid_labels = invalid_labels
        found = []
        if non_finite_logits:
            found.append(f"`logits` must be finite, {non_finite_logits} of them aren't")
        if invalid_labels:
            found.append(f"`labels` must be 0 or 1, {invalid_labels} of them aren't")
        super().__init__("; ".join(found) + ".")


def histogram_tensors(
    logits: tf.Tensor, labels: tf.Tensor
) -> OrderedDict[str, tf.Tensor]:
    """Returns the histogram of scored rows as tensors.

    Works eagerly, in a `tf.function` and in a `tff.tensorflow.computation`.
    Binary cross-entropy and Brier score come from the logit, in float64, so that
    they neither saturate nor need a clipped probability. A subnormal float64
    logit (below 2.3e-308 in size) may count as 0, as TensorFlow flushes it.

    Args:
        logits: Log-odds of label 1, float32 or float64, [n] or [n, 1]; n may be 0.
        labels: 0 or 1, [n] or [n, 1], bool, int32, int64, float32 or float64.

    Returns:
        Tensors by name as in `TENSOR_SPECS`. Every row is counted once in
        `negatives` or `positives`, or else in `non_finite_logits` or
        `invalid_labels` (in both, if both are wrong) and nowhere else.

    Raises:
        TypeError: If an argument has another dtype.
        ValueError: If an argument has another shape, or the numbers of rows
            differ; where the graph can't know yet, it fails when it runs.
    """
    logits, labels = _columns(logits, labels)
    is_finite = tf.math.is_finite(logits)
    is_label = tf.math.equal(labels, 0.0) | tf.math.equal(labels, 1.0)
    valid = is_finite & is_label
    logits = tf.boolean_mask(logits, valid)
    labels = tf.boolean_mask(labels, valid)
    is_positive = tf.math.equal(labels, 1.0)
    # The logit of the class that the row does not have: cross-entropy is its
    # softplus and the Brier term its squared sigmoid, without cancellation.
    wrong = tf.where(is_positive, -logits, logits)
    negatives, positives = _counts_by_label(_logit_bin(logits), is_positive, LOGIT_BINS)
    calibration_bin = _calibration_bin(logits)
    calibration = _counts_by_label(calibration_bin, is_positive, CALIBRATION_BINS)
    return OrderedDict(
        negatives=negatives,
        positives=positives,
        log_loss_sum=tf.reduce_sum(tf.math.softplus(wrong)),
        brier_sum=tf.reduce_sum(tf.math.square(tf.math.sigmoid(wrong))),
        calibration_counts=tf.add(*calibration),
        calibration_positives=calibration[1],
        # Not `bincount` with weights, whose threads add in no fixed order.
        calibration_score_sums=tf.math.unsorted_segment_sum(
            tf.math.sigmoid(logits), calibration_bin, CALIBRATION_BINS
        ),
        non_finite_logits=_count_false(is_finite),
        invalid_labels=_count_false(is_label),
    )


def zero_tensors() -> OrderedDict[str, tf.Tensor]:
    """Returns the tensors of the histogram of no rows."""
    return OrderedDict(
        (name, tf.zeros(spec.shape, spec.dtype)) for name, spec in TENSOR_SPECS.items()
    )


def add_tensors(
    left: Mapping[str, tf.Tensor], right: Mapping[str, tf.Tensor]
) -> OrderedDict[str, tf.Tensor]:
    """Returns the tensors of both tables' rows together."""
    return OrderedDict((name, left[name] + right[name]) for name in TENSOR_SPECS)


def to_score_histogram(tensors: Mapping[str, ArrayLike]) -> ScoreHistogram:
    """Returns a computed histogram as a value.

    Args:
        tensors: By name as in `TENSOR_SPECS`: from `histogram_tensors`, run
            eagerly, or the result of `build_federated_evaluation`.

    Returns:
        The histogram.

    Raises:
        InvalidRowsError: If a logit was not finite or a label not 0 or 1.
    """
    arrays = {name: np.asarray(tensors[name]) for name in TENSOR_SPECS}
    non_finite_logits = int(arrays.pop("non_finite_logits"))
    invalid_labels = int(arrays.pop("invalid_labels"))
    if non_finite_logits or invalid_labels:
        raise InvalidRowsError(non_finite_logits, invalid_labels)
    return ScoreHistogram(
        log_loss_sum=float(arrays.pop("log_loss_sum")),
        brier_sum=float(arrays.pop("brier_sum")),
        **arrays,
    )


def histogram_from_scores(logits: ArrayLike, labels: ArrayLike) -> ScoreHistogram:
    """Returns the histogram of scored rows.

    Args:
        logits: Log-odds of label 1, float32 or float64, [n] or [n, 1]; n may be 0.
        labels: 0 or 1, [n] or [n, 1], bool, int32, int64, float32 or float64.

    Returns:
        The histogram, computed on this machine.

    Raises:
        InvalidRowsError: If a logit is not finite or a label not 0 or 1.
        TypeError: If an argument has another dtype.
        ValueError: If an argument has another shape, or the numbers of rows
            differ.
    """
    # By way of NumPy: TensorFlow alone would round Python floats to float32.
    tensors = histogram_tensors(
        tf.convert_to_tensor(np.asarray(logits)),
        tf.convert_to_tensor(np.asarray(labels)),
    )
    return to_score_histogram(tensors)


def _columns(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns logits and labels as float64[n], checked."""
    if logits.dtype not in {tf.float32, tf.float64}:
        raise TypeError(
            f"`logits` must be float32 or float64, got {logits.dtype.name}."
        )
    if labels.dtype not in _LABEL_DTYPES:
        raise TypeError(
            f"`labels` must be bool, int32, int64, float32 or float64, got "
            f"{labels.dtype.name}."
        )
    logits = tf.cast(_column("logits", logits), tf.float64)
    labels = tf.cast(_column("labels", labels), tf.float64)
    if not logits.shape.is_compatible_with(labels.shape):
        raise ValueError(
            f"`logits` and `labels` must have as many rows, got {logits.shape[0]} and "
            f"{labels.shape[0]}."
        )
    # Without it, a single label would quietly serve all logits.
    same_rows = tf.debugging.assert_equal(
        tf.shape(logits),
        tf.shape(labels),
        message="`logits` and `labels` must have as many rows.",
    )
    # Eagerly the assertion has run already and there is nothing to depend on.
    with tf.control_dependencies([] if same_rows is None else [same_rows]):
        return tf.identity(logits), tf.identity(labels)


def _column(name: str, values: tf.Tensor) -> tf.Tensor:
    """Returns [n] or [n, 1] as [n]."""
    shape = values.shape
    if shape.is_compatible_with([None]):
        return values
    if shape.is_compatible_with([None, 1]):
        return tf.squeeze(values, axis=1)
    raise ValueError(f"`{name}` must have shape [n] or [n, 1], got {shape}.")


def _logit_bin(logits: tf.Tensor) -> tf.Tensor:
    """Returns the index of each finite logit's bin, int32[n]."""
    # Clipped as floats: a huge float has no integer to be clipped as.
    bins = tf.math.floor(logits * BINS_PER_LOGIT) + FIRST_POSITIVE_BIN
    return tf.cast(tf.clip_by_value(bins, 0.0, LOGIT_BINS - 1.0), tf.int32)


def _calibration_bin(logits: tf.Tensor) -> tf.Tensor:
    """Returns the index of each finite logit's calibration bin, int32[n]."""
    edges = tf.constant(CALIBRATION_LOGIT_EDGES)
    return tf.searchsorted(edges, logits, side="right", out_type=tf.int32)


def _counts_by_label(
    bins: tf.Tensor, is_positive: tf.Tensor, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the negatives and the positives in each bin, int64[size] both."""
    # The default dtype is int32, which overflows at 2^31 rows.
    counts = tf.math.bincount(
        bins + size * tf.cast(is_positive, tf.int32),
        minlength=2 * size,
        maxlength=2 * size,
        dtype=tf.int64,
    )
    # The length is known only to us, and a sum over datasets needs it fixed.
    counts = tf.ensure_shape(counts, [2 * size])
    return counts[:size], counts[size:]


def _count_false(flags: tf.Tensor) -> tf.Tensor:
    """Returns how many flags are False, int64."""
    return tf.reduce_sum(tf.cast(tf.math.logical_not(flags), tf.int64))

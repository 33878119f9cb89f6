"""Tests of the step from scores to histograms."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from tff_finance.metrics.accumulate import (
    TENSOR_SPECS,
    InvalidRowsError,
    add_tensors,
    histogram_from_scores,
    histogram_tensors,
    to_score_histogram,
    zero_tensors,
)
from tff_finance.metrics.score_histogram import (
    CALIBRATION_LOGIT_EDGES,
    FIRST_POSITIVE_BIN,
    LOGIT_BINS,
    ScoreHistogram,
    logit_edges,
)

COUNTS = ("negatives", "positives", "calibration_counts", "calibration_positives")
SUMS = ("log_loss_sum", "brier_sum", "calibration_score_sums")

# Multiples of half a bin make ties, within bins and on edges, likely.
logit_values = st.one_of(
    st.integers(-600, 600).map(lambda halves: halves / 256),
    st.floats(-20, 20, allow_subnormal=False),
    st.sampled_from([-1e30, -16.0, -0.0, 0.0, 15.9999, 16.0, 1e30]),
)
tables = st.lists(st.tuples(logit_values, st.integers(0, 1)), max_size=60)


def columns(table: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits and labels as float64[n, 1]."""
    rows = np.array(table, np.float64).reshape(-1, 2)
    return rows[:, :1], rows[:, 1:]


def random_scores(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits float32[n, 1] and calibrated labels float32[n, 1]."""
    random = np.random.default_rng(seed)
    logits = random.normal(-1, 3, (rows, 1)).astype(np.float32)
    labels = (random.random((rows, 1)) < expit(logits)).astype(np.float32)
    return logits, labels


def assert_same(actual: ScoreHistogram, expected: ScoreHistogram) -> None:
    """Asserts equal counts and sums equal up to the order of addition."""
    for name in COUNTS:
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name))
    for name in SUMS:
        np.testing.assert_allclose(
            getattr(actual, name), getattr(expected, name), rtol=1e-12, err_msg=name
        )


@settings(deadline=None)
@given(tables)
def test_each_row_is_in_its_bin(table: list[tuple[float, int]]) -> None:
    logits, labels = columns(table)
    histogram = histogram_from_scores(logits, labels)
    bins = np.searchsorted(logit_edges()[1:-1], logits.ravel(), side="right")
    for name, label in (("negatives", 0), ("positives", 1)):
        expected = np.bincount(bins[labels.ravel() == label], minlength=LOGIT_BINS)
        np.testing.assert_array_equal(getattr(histogram, name), expected)
    assert histogram.rows == len(table)


@settings(deadline=None)
@given(tables, tables)
def test_sum_of_histograms_is_histogram_of_pooled_rows(
    left: list[tuple[float, int]], right: list[tuple[float, int]]
) -> None:
    pooled = histogram_from_scores(*columns(left + right))
    parts = [histogram_from_scores(*columns(table)) for table in (left, right)]
    assert_same(parts[0] + parts[1], pooled)


def test_sums_equal_numpy() -> None:
    logits, labels = random_scores(20_000, seed=1)
    histogram = histogram_from_scores(logits, labels)
    logits, labels = logits.astype(np.float64).ravel(), labels.ravel()
    scores = expit(logits)
    bins = np.minimum((scores * 15).astype(int), 14)
    cross_entropy = np.logaddexp(0, np.where(labels == 1, -logits, logits))
    np.testing.assert_allclose(histogram.log_loss_sum, cross_entropy.sum(), rtol=1e-12)
    np.testing.assert_allclose(
        histogram.brier_sum, ((scores - labels) ** 2).sum(), rtol=1e-12
    )
    np.testing.assert_array_equal(histogram.calibration_counts, np.bincount(bins))
    np.testing.assert_array_equal(
        histogram.calibration_positives, np.bincount(bins[labels == 1])
    )
    np.testing.assert_allclose(
        histogram.calibration_score_sums, np.bincount(bins, scores), rtol=1e-12
    )


def test_extreme_logits_neither_saturate_nor_overflow() -> None:
    histogram = histogram_from_scores(
        np.array([-800.0, 800.0, 40.0, -40.0]), np.array([1, 0, 1, 0])
    )
    assert histogram.log_loss_sum == 1600 + 2 * np.log1p(np.exp(-40.0))
    assert histogram.brier_sum == 2.0
    confident = histogram_from_scores(np.array([40.0]), np.array([1]))
    np.testing.assert_allclose(confident.log_loss_sum, np.exp(-40), rtol=1e-12)
    np.testing.assert_allclose(confident.brier_sum, np.exp(-80), rtol=1e-12)


def test_end_bins_hold_what_lies_beyond() -> None:
    logits = np.array([-np.finfo(np.float32).max, -16.5, 16.0, 3e38], np.float32)
    histogram = histogram_from_scores(logits, np.array([0, 1, 0, 1]))
    assert (histogram.negatives[0], histogram.positives[0]) == (1, 1)
    assert (histogram.negatives[-1], histogram.positives[-1]) == (1, 1)


def test_logit_zero_is_predicted_positive() -> None:
    logits = np.array([-0.0, 0.0, -1e-30, 1e-30])
    histogram = histogram_from_scores(logits, np.zeros(4))
    assert histogram.negatives[FIRST_POSITIVE_BIN] == 3
    assert histogram.negatives[FIRST_POSITIVE_BIN - 1] == 1


@pytest.mark.parametrize("shape", [(0,), (0, 1)])
def test_no_rows_give_the_zero_histogram(shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape, np.float32)
    assert histogram_from_scores(empty, empty) == ScoreHistogram.zero()
    assert to_score_histogram(zero_tensors()) == ScoreHistogram.zero()


@pytest.mark.parametrize("logit_dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "label_dtype", [np.bool_, np.int32, np.int64, np.float32, np.float64]
)
def test_shapes_and_dtypes_do_not_matter(logit_dtype: type, label_dtype: type) -> None:
    logits, labels = random_scores(50, seed=2)
    expected = histogram_from_scores(logits, labels)
    actual = histogram_from_scores(
        logits.astype(logit_dtype).ravel(), labels.astype(label_dtype)
    )
    assert actual == expected


def test_python_floats_keep_their_precision() -> None:
    histogram = histogram_from_scores([1 / 3], [0])
    np.testing.assert_allclose(
        histogram.log_loss_sum, np.logaddexp(0, 1 / 3), rtol=1e-15
    )


def test_specs_describe_the_tensors() -> None:
    tensors = histogram_tensors(*map(tf.constant, random_scores(10, seed=3)))
    assert list(tensors) == list(TENSOR_SPECS) == list(zero_tensors())
    for name, spec in TENSOR_SPECS.items():
        assert spec.is_compatible_with(tensors[name]), name
        assert spec.is_compatible_with(zero_tensors()[name]), name


def test_tensors_add_up() -> None:
    first, second = random_scores(30, seed=4), random_scores(20, seed=5)
    parts = [histogram_tensors(*map(tf.constant, part)) for part in (first, second)]
    total = add_tensors(*parts)
    expected = histogram_from_scores(*first) + histogram_from_scores(*second)
    assert to_score_histogram(total) == expected


def test_invalid_rows_are_counted_and_nothing_else_is() -> None:
    nan, inf = np.nan, np.inf
    logits = tf.constant([nan, inf, -inf, 1.0, 1.0, nan, 2.0, -2.0])
    labels = tf.constant([0.0, 1.0, 0.0, 2.0, nan, 0.5, 1.0, 0.0])
    tensors = histogram_tensors(logits, labels)
    assert int(tensors["non_finite_logits"]) == 4
    assert int(tensors["invalid_labels"]) == 3
    valid = {**tensors, **{name: 0 for name in ("non_finite_logits", "invalid_labels")}}
    expected = histogram_from_scores(np.array([2.0, -2.0]), np.array([1, 0]))
    assert to_score_histogram(valid) == expected


def test_invalid_rows_are_refused_with_counts() -> None:
    logits, labels = np.array([np.nan, 1.0, np.inf]), np.array([0, -1, 1])
    with pytest.raises(
        InvalidRowsError, match=r"`logits` .* 2 of .*; `labels` must be 0 or 1, 1 of"
    ) as raised:
        histogram_from_scores(logits, labels)
    assert raised.value.non_finite_logits == 2
    assert raised.value.invalid_labels == 1
    with pytest.raises(InvalidRowsError, match=r"^`labels`"):
        histogram_from_scores(np.zeros(2), np.array([0, 2]))


@pytest.mark.parametrize(
    ("logits", "labels", "error", "message"),
    [
        (np.zeros(3, np.int64), np.zeros(3), TypeError, "`logits` must be float32"),
        (np.zeros(3), np.array(["a"] * 3), TypeError, "`labels` must be bool"),
        (np.zeros((3, 2)), np.zeros(3), ValueError, "`logits` must have shape"),
        (np.zeros(3), np.zeros((1, 3)), ValueError, "`labels` must have shape"),
        (np.zeros(()), np.zeros(()), ValueError, "`logits` must have shape"),
        (np.zeros(3), np.zeros(1), ValueError, "as many rows, got 3 and 1"),
    ],
)
def test_bad_arguments_are_refused_by_name(
    logits: np.ndarray, labels: np.ndarray, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        histogram_from_scores(logits, labels)


def test_calibration_bins_are_closed_below() -> None:
    logits = CALIBRATION_LOGIT_EDGES
    histogram = histogram_from_scores(logits, np.ones(14))
    np.testing.assert_array_equal(histogram.calibration_counts, [0] + 14 * [1])
    just_below = histogram_from_scores(np.nextafter(logits, -np.inf), np.ones(14))
    np.testing.assert_array_equal(just_below.calibration_counts, 14 * [1] + [0])


def test_graph_refuses_one_label_for_many_logits() -> None:
    graph = tf.function(
        histogram_tensors,
        input_signature=[tf.TensorSpec([None, 1]), tf.TensorSpec([None, 1])],
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many rows"):
        graph(tf.zeros([3, 1]), tf.zeros([1, 1]))


def test_plain_graph_refuses_one_label_for_many_logits() -> None:
    # Only a `tf.function` runs an assertion that nothing depends on. All but the
    # first logit are invalid, so that no later operation misses their labels.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        logits = tf.compat.v1.placeholder(tf.float32, [None])
        labels = tf.compat.v1.placeholder(tf.float32, [None])
        tensors = histogram_tensors(logits, labels)
        feed = {logits: [0.0, np.nan, np.nan], labels: [1.0]}
        with pytest.raises(tf.errors.InvalidArgumentError, match="as many rows"):
            session.run(tensors, feed)


def _as_function() -> Callable[..., OrderedDict]:
    column = tf.TensorSpec([None, 1], tf.float32)
    return tf.function(histogram_tensors, input_signature=[column, column])


def _as_computation() -> Callable[..., OrderedDict]:
    column = tff.to_type((np.float32, [None, 1]))
    return tff.tensorflow.computation(histogram_tensors, (column, column))


@pytest.mark.usefixtures("tff_context")
@pytest.mark.parametrize("build", [_as_function, _as_computation])
@pytest.mark.parametrize("rows", [0, 1, 5_000])
def test_graphs_equal_eager(build: Callable[..., Callable], rows: int) -> None:
    logits, labels = random_scores(rows, seed=6)
    actual = to_score_histogram(build()(logits, labels))
    assert_same(actual, histogram_from_scores(logits, labels))

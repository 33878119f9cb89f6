"""Tests of federated evaluation: the sum is the pooled table's histogram."""

import functools
from collections import OrderedDict

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.metrics.accumulate import (
    TENSOR_SPECS,
    InvalidRowsError,
    histogram_from_scores,
    to_score_histogram,
)
from tff_finance.metrics.federated import build_federated_evaluation
from tff_finance.metrics.score_histogram import ScoreHistogram

ELEMENT_TYPE = OrderedDict(
    x=(np.float32, [None, 3]), y=(np.float32, [None, 1]), institution=np.str_
)
# Binary fractions of few digits: the logits are exact, in any order of addition.
KERNEL = np.array([[0.5], [-1.0], [0.25]], np.float32)
BIAS = np.array([0.125], np.float32)
WEIGHTS = tff.learning.models.ModelWeights(trainable=(KERNEL, BIAS), non_trainable=())

pytestmark = pytest.mark.usefixtures("tff_context")


def build_model() -> tff.learning.models.FunctionalModel:
    """Returns logistic regression on three features."""
    keras_model = tf.keras.Sequential(
        [tf.keras.layers.InputLayer([3]), tf.keras.layers.Dense(1)]
    )
    return tff.learning.models.functional_model_from_keras(
        keras_model,
        tf.keras.losses.BinaryCrossentropy(from_logits=True),
        (tf.TensorSpec([None, 3]), tf.TensorSpec([None, 1])),
    )


@pytest.fixture(scope="module")
def evaluation() -> tff.Computation:
    return build_federated_evaluation(build_model(), ELEMENT_TYPE)


def make_element(rows: int, seed: int) -> OrderedDict:
    """Returns one dense element of an institution's rows."""
    random = np.random.default_rng(seed)
    x = random.integers(-300, 300, (rows, 3)).astype(np.float32) / 64
    y = random.integers(0, 2, (rows, 1)).astype(np.float32)
    return OrderedDict(x=x, y=y, institution=f"bank_{seed}")


def pooled(*elements: OrderedDict) -> ScoreHistogram:
    """Returns the histogram of all elements' rows in one table."""
    x = np.concatenate([element["x"] for element in elements])
    y = np.concatenate([element["y"] for element in elements])
    return histogram_from_scores(x @ KERNEL + BIAS, y)


def assert_same(actual: ScoreHistogram, expected: ScoreHistogram) -> None:
    """Asserts equal counts, and sums equal up to the order of addition."""
    for name, spec in TENSOR_SPECS.items():
        if not hasattr(expected, name):
            continue
        tolerance = 0 if spec.dtype == tf.int64 else 1e-12
        np.testing.assert_allclose(
            getattr(actual, name), getattr(expected, name), rtol=tolerance, err_msg=name
        )


def test_type_is_as_documented(evaluation: tff.Computation) -> None:
    signature = evaluation.type_signature
    assert signature.parameter[0].placement is tff.SERVER
    assert signature.parameter[1].is_equivalent_to(
        tff.FederatedType(tff.SequenceType(ELEMENT_TYPE), tff.CLIENTS)
    )
    result = OrderedDict(
        (name, tff.TensorType(spec.dtype.as_numpy_dtype, spec.shape.as_list()))
        for name, spec in TENSOR_SPECS.items()
    )
    assert signature.result.is_equivalent_to(tff.FederatedType(result, tff.SERVER))


def test_institutions_add_up_to_the_pooled_table(evaluation: tff.Computation) -> None:
    first, second = make_element(700, seed=1), make_element(300, seed=2)
    result = to_score_histogram(evaluation(WEIGHTS, [[first], [], [second]]))
    assert result.rows == 1000
    assert_same(result, pooled(first, second))


def test_every_element_of_a_sequence_counts(evaluation: tff.Computation) -> None:
    elements = [make_element(rows, seed=rows) for rows in (5, 0, 1, 40)]
    # Concatenated, since TFF makes no dataset of a list of unlike shapes.
    dataset = functools.reduce(
        tf.data.Dataset.concatenate, map(tf.data.Dataset.from_tensors, elements)
    )
    no_rows = make_element(0, seed=3)
    result = to_score_histogram(evaluation(WEIGHTS, [dataset, [no_rows]]))
    assert_same(result, pooled(*elements))


def test_datasets_are_sequences(evaluation: tff.Computation) -> None:
    element = make_element(50, seed=4)
    dataset = tf.data.Dataset.from_tensors(element)
    assert_same(to_score_histogram(evaluation(WEIGHTS, [dataset])), pooled(element))


def test_no_institution_has_rows(evaluation: tff.Computation) -> None:
    assert to_score_histogram(evaluation(WEIGHTS, [[], []])) == ScoreHistogram.zero()
    assert to_score_histogram(evaluation(WEIGHTS, [])) == ScoreHistogram.zero()


def test_state_of_a_learning_process_fits(evaluation: tff.Computation) -> None:
    initial = tff.learning.models.ModelWeights(*build_model().initial_weights)
    element = make_element(20, seed=5)
    assert to_score_histogram(evaluation(initial, [[element]])).rows == 20


def test_diverged_model_is_refused(evaluation: tff.Computation) -> None:
    broken = WEIGHTS._replace(trainable=(KERNEL * np.nan, BIAS))
    result = evaluation(broken, [[make_element(30, seed=6)], [make_element(4, seed=7)]])
    with pytest.raises(InvalidRowsError, match="`logits` must be finite") as raised:
        to_score_histogram(result)
    assert raised.value.non_finite_logits == 34


def test_element_type_needs_features_and_labels() -> None:
    for element_type in (OrderedDict(x=np.float32), np.float32):
        with pytest.raises(ValueError, match="`element_type` must have fields"):
            build_federated_evaluation(build_model(), element_type)

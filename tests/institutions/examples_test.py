"""Dense examples: types, and what is refused at the door."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.institutions.examples import (
    client_dataset,
    dense_examples,
    examples_type,
)

X = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    "y", [np.array([0, 1, 1]), np.array([[False], [True], [True]])]
)
def test_packs_rows_as_the_type_describes(y):
    examples = dense_examples(X[:, ::-1], y, institution="Bänk")
    assert list(examples) == ["x", "y", "institution"]
    assert examples["x"].dtype == examples["y"].dtype == np.float32
    np.testing.assert_array_equal(examples["x"], [[1, 0], [3, 2], [5, 4]])
    np.testing.assert_array_equal(examples["y"], [[0], [1], [1]])
    (element,) = client_dataset(examples)
    assert element["institution"].numpy().decode() == "Bänk"
    np.testing.assert_array_equal(element["x"], examples["x"])
    spec = client_dataset(examples).element_spec
    assert examples_type(2).is_assignable_from(tff.types.tensorflow_to_type(spec))
    assert not examples_type(3).is_assignable_from(tff.types.tensorflow_to_type(spec))


def test_no_rows_are_fine():
    (element,) = client_dataset(
        dense_examples(np.zeros([0, 2]), np.zeros([0]), institution="empty")
    )
    assert element["x"].shape == (0, 2)
    assert element["y"].shape == (0, 1)
    assert element["y"].dtype == tf.float32


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X, np.zeros(2)),
        (X, np.zeros([2, 1])),
        (X, np.zeros([3, 2])),
        (X, np.zeros([1, 3])),
        (X, np.float32(1)),
        (X[0], np.zeros(2)),
        (X[np.newaxis], np.zeros(1)),
    ],
)
def test_other_shapes_are_refused(x, y):
    with pytest.raises(ValueError, match=r"`x` must be .* from 'bank_a'"):
        dense_examples(x, y, institution="bank_a")


@pytest.mark.parametrize("name", ["", ".", "..", "../bank_b", "a/b"])
def test_names_that_reach_into_other_folders_are_refused(name):
    with pytest.raises(ValueError, match="`institution` must be a name without '/'"):
        dense_examples(X, np.zeros(3), institution=name)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused(bad):
    """One such value would keep the whole institution out of every round."""
    x = np.ones((4, 2))
    x[2, 1] = bad
    with pytest.raises(ValueError, match=r"'bank_a' has 1 rows of `x`.* row 2"):
        dense_examples(x, np.zeros(4), institution="bank_a")


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_labels_other_than_0_and_1_are_refused(shape):
    y = np.reshape([0, 2, 1, 2], shape)
    with pytest.raises(ValueError, match=r"'bank_a' has 2 rows of `y`.* row 1"):
        dense_examples(np.ones((4, 2)), y, institution="bank_a")

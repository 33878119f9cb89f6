"""Simulated updates are those of training, and matching them finds the rows."""

import numpy as np
import pytest

from tests.evaluation.attacks.tables import LAYOUT, gradient, perceptron, table
from tff_finance.evaluation.attacks.disturbance import Disturbance
from tff_finance.evaluation.attacks.gradient_matching import (
    Matching,
    Observation,
    matched_rows,
    simulated_update,
)
from tff_finance.evaluation.attacks.labels import recovered_labels
from tff_finance.evaluation.attacks.peeling import row_gradient
from tff_finance.evaluation.attacks.recovery import Judge


def trained(weights, x, y, batches, learning_rate):
    """Sum of the gradients of steps of SGD, by hand."""
    current, total = list(weights), [np.zeros_like(w) for w in weights]
    for first, last in batches:
        found = gradient(current, x[first:last], y[first:last])
        total = [t + g for t, g in zip(total, found, strict=True)]
        current = [w - learning_rate * g for w, g in zip(current, found, strict=True)]
    return total


@pytest.mark.parametrize("batches", [((0, 6),), ((0, 4), (4, 6), (0, 4), (4, 6))])
def test_simulated_update_is_that_of_training(batches):
    import tensorflow as tf

    x, y = table(6)
    weights = perceptron()
    both = tf.constant(np.stack([x, x[::-1]]))
    labels = tf.constant(np.stack([y, y[::-1]]))
    made = simulated_update(weights, both, labels, batches=batches, learning_rate=0.5)
    expected = trained(weights, x, y, batches, 0.5)
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_allclose(one[0], other, atol=1e-5)


@pytest.mark.parametrize("l2_clip_norm", [0.3, 100.0])
def test_simulated_rows_are_clipped_as_private_training_does(l2_clip_norm):
    import tensorflow as tf

    x, y = table(6)
    rng = np.random.default_rng(0)
    shapes = ((8, 6), (6,), (6, 5), (5,), (5, 1), (1,))
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    made = simulated_update(
        weights,
        tf.constant(x[np.newaxis]),
        tf.constant(y[np.newaxis]),
        batches=((0, 6),),
        learning_rate=0.5,
        l2_clip_norm=l2_clip_norm,
    )
    known = Disturbance(l2_clip_norm=l2_clip_norm)
    single = [
        known.clipped(row_gradient(weights, row, label))
        for row, label in zip(x, y, strict=True)
    ]
    for one, parts in zip(made, zip(*single, strict=True), strict=True):
        np.testing.assert_allclose(one[0], np.mean(parts, axis=0), atol=1e-5)


@pytest.mark.parametrize("positives", [0, 1, 3, 4])
def test_labels_are_counted(positives):
    x, _ = table(4)
    y = (np.arange(4) < positives).astype(np.float32)
    weights = perceptron(seed=2)
    last = gradient(weights, x, y)[-1]
    hidden = np.maximum(x @ weights[0] + weights[1], 0)
    p = 1 / (1 + np.exp(-(hidden @ weights[2] + weights[3])))
    np.testing.assert_array_equal(
        recovered_labels(float(last[0]), rows=4, mean_probability=float(p.mean())), y
    )


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_the_label_of_one_row_is_certain(label):
    x, _ = table(1)
    last = gradient(perceptron(), x, np.array([label]))[-1]
    # Whatever the attacker expects of the model.
    for expected in (0.01, 0.99):
        found = recovered_labels(float(last[0]), rows=1, mean_probability=expected)
        assert found == [label]


@pytest.mark.parametrize(
    "batches", [((0, 2),), ((0, 1), (1, 2))], ids=["gradient", "two_steps"]
)
def test_rows_are_found(batches):
    x, y = table(2, seed=1)
    y = np.sort(y)[::-1].copy()
    weights = perceptron(hidden=24)
    observation = Observation(
        weights=weights,
        update=trained(weights, x, y, batches, 0.2),
        batches=batches,
        learning_rate=0.2,
    )
    found = matched_rows(observation, LAYOUT, Matching(steps=1000, starts=9))
    judge = Judge(layout=LAYOUT, means=table(200, seed=9)[0].mean(axis=0))
    assert judge.recovery(x, found).share > 0.8
    assert judge.without_information(x) < 0.5
    assert LAYOUT.is_possible(found, tolerance=0.0).all()


def test_what_does_not_belong_together_is_refused():
    weights = perceptron()
    with pytest.raises(ValueError, match="kernel and bias"):
        Observation(weights=weights, update=weights[:2], batches=((0, 1),))
    with pytest.raises(ValueError, match="one step"):
        Observation(weights=weights, update=weights, batches=())
    with pytest.raises(ValueError, match="`starts`"):
        Matching(starts=0)

"""Rows that come off one after the other, each with its label."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.attacks.tables import LAYOUT, gradient, perceptron, table
from tff_finance.evaluation.attacks.disturbance import Disturbance
from tff_finance.evaluation.attacks.feature_layout import FeatureLayout
from tff_finance.evaluation.attacks.first_layer import rows_from_first_layer
from tff_finance.evaluation.attacks.peeling import peeled_rows, row_gradient


def peel(weights, x, y, layout=LAYOUT, dtype=np.float64):
    update = [part.astype(dtype) for part in gradient(weights, x, y)]
    return peeled_rows(weights, update, layout, rows=len(x))


def found_of(x, found):
    """How many true rows are among those found."""
    return sum(np.abs(found - row).max(axis=1).min(initial=9.0) < 0.02 for row in x)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_gradient_of_a_row(label):
    x, _ = table(1)
    weights = perceptron()
    expected = gradient(weights, x, np.array([label]))
    for one, other in zip(row_gradient(weights, x[0], label), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_gradient_of_a_row_through_two_layers():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shapes = ((8, 6), (6,), (6, 5), (5,), (5, 1), (1,))
    weights = [rng.normal(size=shape) for shape in shapes]
    x, _ = table(1)
    variables = [tf.constant(w) for w in weights]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        value = tf.constant(x, tf.float64)
        for layer in range(3):
            value = value @ variables[2 * layer] + variables[2 * layer + 1]
            value = tf.nn.relu(value) if layer < 2 else value
        loss = tf.nn.sigmoid_cross_entropy_with_logits(tf.ones_like(value), value)
    for one, other in zip(
        row_gradient(weights, x[0], 1.0), tape.gradient(loss, variables), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_what_is_found_is_true(seed):
    x, y = table(5, seed)
    peeled = peel(perceptron(24, seed=seed), x, y)
    assert found_of(x, peeled.x) == len(peeled.x)
    for row, label in zip(peeled.x, peeled.y, strict=True):
        assert y[np.abs(x - row).max(axis=1).argmin()] == label


def test_more_rows_come_off_than_own_a_neuron_at_first():
    peeled, at_first = 0, 0
    for seed in range(20):
        x, y = table(7, seed)
        weights = perceptron(32, seed=seed)
        peeled += len(peel(weights, x, y).x)
        update = gradient(weights, x, y)
        at_first += found_of(x, rows_from_first_layer(*update[:2], LAYOUT))
    assert peeled > 1.2 * at_first


def test_rest_is_the_gradient_of_the_rows_that_are_left():
    for seed in range(20):
        x, y = table(10, seed)
        weights = perceptron(24, seed=seed)
        peeled = peel(weights, x, y)
        if 0 < len(peeled.x) < 10:
            break
    distance = np.abs(x[:, np.newaxis] - peeled.x).max(axis=-1).min(axis=1)
    left = distance > 0.02
    assert left.sum() == 10 - len(peeled.x)
    expected = gradient(weights, x[left], y[left])
    for one, other in zip(peeled.rest, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_in_single_precision_too():
    x, y = table(3)
    peeled = peel(perceptron(32), x, y, dtype=np.float32)
    assert found_of(x, peeled.x) == len(peeled.x) == 3


def test_rows_are_told_from_mixtures_without_any_code():
    numbers = FeatureLayout(numeric=tuple(range(8)), indicators=(), groups=())
    x, y = table(3)
    peeled = peel(perceptron(32), x, y, numbers)
    assert found_of(x, peeled.x) == len(peeled.x) == 3


def test_noise_explains_nothing():
    rng = np.random.default_rng(0)
    weights = perceptron()
    noise = [rng.normal(size=w.shape) for w in weights]
    peeled = peeled_rows(weights, noise, LAYOUT, rows=4)
    assert len(peeled.x) == 0
    np.testing.assert_allclose(peeled.rest[0], noise[0])


@pytest.mark.parametrize("noise", [0.0, 3e-4])
def test_rows_come_off_through_clipping_and_noise_that_are_known(noise):
    rng = np.random.default_rng(0)
    known = Disturbance(deviation=noise, l2_clip_norm=0.5)
    aware, blind, sought = 0, 0, 0
    for seed in range(20):
        x, y = table(3, seed)
        weights = perceptron(64, seed=seed)
        clipped = [
            known.clipped(row_gradient(weights, row, label))
            for row, label in zip(x, y, strict=True)
        ]
        seen = [
            np.mean(parts, axis=0) + rng.normal(scale=noise, size=w.shape)
            for parts, w in zip(zip(*clipped, strict=True), weights, strict=True)
        ]
        peeled = peeled_rows(weights, seen, LAYOUT, rows=3, disturbance=known)
        near = np.abs(peeled.x[:, np.newaxis] - x).max(axis=-1).min(axis=1, initial=9)
        aware += np.sum(near < 0.25)
        blind += len(peeled_rows(weights, seen, LAYOUT, rows=3).x)
        sought += 3
    assert aware > 0.6 * sought
    assert blind < 0.2 * sought


def test_known_noise_explains_nothing_either():
    rng = np.random.default_rng(0)
    weights = perceptron()
    noise = [rng.normal(size=w.shape) for w in weights]
    known = Disturbance(deviation=1.0, l2_clip_norm=1.0)
    assert len(peeled_rows(weights, noise, LAYOUT, rows=4, disturbance=known).x) == 0

"""Integrated gradients: by hand, by brute force, and that they add up."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_finance.evaluation.attributions import IntegratedGradients
from tff_finance.tasks.mlp import build_mlp

layers = tf.keras.layers
FEATURES = 5


def network(seed, hidden_units=(8, 4), *, activation="relu", scale=0.5):
    """A network whose units have biases, so that kinks lie on rows' ways."""
    model = build_mlp(FEATURES, hidden_units=hidden_units, seed=seed)
    for layer in model.layers[:-1]:
        layer.activation = tf.keras.activations.get(activation)
    rng = np.random.default_rng(seed)
    shaken = [w + rng.normal(size=w.shape) * scale for w in model.get_weights()]
    model.set_weights(shaken)
    return model


def set_weights(model, *weights):
    model.set_weights([np.array(w) for w in weights])


def by_brute_force(model, reference, row, steps=10_000):
    """The definition, as a sum over even steps in float64."""
    places = (np.arange(steps) + 0.5) / steps
    points = reference + places[:, None] * (row - reference)
    *hidden, (last, _) = (
        (layer.kernel.numpy().astype(float), layer.bias.numpy().astype(float))
        for layer in model.layers
    )
    values, slopes = (
        points,
        np.broadcast_to(np.eye(FEATURES), (steps, FEATURES, FEATURES)),
    )
    for kernel, bias in hidden:
        before = values @ kernel + bias
        slopes = (slopes @ kernel) * (before > 0)[:, None, :]
        values = np.maximum(before, 0)
    return (slopes @ last)[:, :, 0].mean(axis=0) * (row - reference)


def test_a_linear_model_is_explained_by_its_weights():
    model = network(1, ())
    kernel = model.get_weights()[0][:, 0].astype(float)
    rng = np.random.default_rng(2)
    reference, x = rng.normal(size=FEATURES), rng.normal(size=(4, FEATURES))
    found = IntegratedGradients(model, reference)(x)
    np.testing.assert_allclose(
        found.contributions, (x - reference) * kernel, rtol=1e-9, atol=1e-12
    )


def test_a_kink_is_placed_where_it_is():
    """relu(a + b - 1) from 0 to (1, 3): on from a quarter of the way."""
    model = tf.keras.Sequential(
        [
            tf.keras.Input([2]),
            layers.Dense(1, activation="relu"),
            layers.Dense(1),
        ]
    )
    set_weights(model, [[1.0], [1.0]], [-1.0], [[2.0]], [0.5])
    explain = IntegratedGradients(model, np.zeros(2))
    assert explain.reference_logit == 0.5
    found = explain(np.array([[1.0, 3.0]]))
    np.testing.assert_allclose(found.contributions, [[1.5, 4.5]], rtol=1e-5)


def test_a_unit_that_sets_in_slowly_is_seen():
    """Its features cancel along the way: the sum alone would hide it."""
    model = tf.keras.Sequential(
        [
            tf.keras.Input([2]),
            layers.Dense(1, activation="relu"),
            layers.Dense(1),
        ]
    )
    set_weights(model, [[1.0], [-1.0]], [-2e-6], [[1.0]], [0.0])
    found = IntegratedGradients(model, np.zeros(2))(np.array([[1.0, 1.0 - 1e-5]]))
    np.testing.assert_allclose(found.contributions, [[0.8, -0.8]], atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_brute_force(seed):
    model = network(seed)
    rng = np.random.default_rng(100 + seed)
    reference, x = rng.normal(size=FEATURES) / 5, rng.normal(size=(3, FEATURES)) * 2
    found = IntegratedGradients(model, reference)(x)
    for row, contributions in zip(x, found.contributions, strict=True):
        expected = by_brute_force(model, reference, row)
        np.testing.assert_allclose(contributions, expected, atol=1e-3)


NETWORKS = {
    "relu": network(3),
    "wide": network(3, (32, 16)),
    "tanh": network(3, activation="tanh"),
    "linear": network(3, ()),
}
EXPLAIN = {
    name: IntegratedGradients(model, np.full(FEATURES, 0.1))
    for name, model in NETWORKS.items()
}
rows = st.lists(
    st.floats(-8, 8, width=32) | st.sampled_from([0.0, 0.1]),
    min_size=FEATURES,
    max_size=FEATURES,
)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(list(NETWORKS)), rows)
def test_contributions_add_up_to_the_difference_of_logits(name, row):
    x = np.array([row], np.float32)
    found = EXPLAIN[name](x)
    ends = np.stack([x[0], np.full(FEATURES, 0.1, np.float32)])
    logit, reference_logit = NETWORKS[name](ends).numpy()[:, 0].astype(float)
    difference = logit - reference_logit
    assert found.complete.all()
    missed = difference - found.contributions.sum()
    rounding = 1e-5 * max(abs(logit), 1)  # the network's own, in float32
    assert abs(missed) <= 1e-3 * max(abs(difference), 0.01) + rounding
    assert found.residual[0] == pytest.approx(missed, abs=rounding)


def test_the_reference_itself_has_no_contributions():
    explain = EXPLAIN["relu"]
    found = explain(explain.reference[None])
    assert np.abs(found.contributions).max() == 0
    assert found.complete.all()


def test_a_feature_that_is_as_in_the_reference_contributes_nothing():
    x = np.full((1, FEATURES), 2.0)
    x[0, 2] = 0.1
    assert EXPLAIN["relu"](x).contributions[0, 2] == 0


def test_rows_are_explained_one_by_one():
    """More than are computed at once; none gets another's contributions."""
    x = np.random.default_rng(5).normal(size=(1100, FEATURES))
    explain = EXPLAIN["relu"]
    whole = explain(x).contributions
    for i in (0, 1023, 1024, 1099):
        alone = explain(x[i : i + 1]).contributions[0]
        np.testing.assert_allclose(whole[i], alone, atol=1e-9)


def test_no_rows_are_no_contributions():
    assert EXPLAIN["relu"](np.empty((0, FEATURES))).contributions.shape == (0, FEATURES)

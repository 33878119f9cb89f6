"""The shared perceptron: its shape, and a start that only the seed decides."""

import numpy as np
import pytest

from tff_finance.tasks.mlp import build_mlp
from tff_finance.tasks.prior_correction import PriorCorrection


def weights_of(seed):
    return build_mlp(6, hidden_units=(8, 8), seed=seed).get_weights()


def test_is_a_relu_network_with_one_logit():
    model = build_mlp(2, hidden_units=(3,), seed=0)
    hidden, bias, out, out_bias = (
        np.array([[1.0, -2.0, 0.5], [0.5, 1.0, -1.0]], np.float32),
        np.array([0.1, 0.2, 0.3], np.float32),
        np.array([[1.0], [-1.0], [2.0]], np.float32),
        np.array([-3.0], np.float32),
    )
    assert [w.shape for w in model.get_weights()] == [(2, 3), (3,), (3, 1), (1,)]
    model.set_weights([hidden, bias, out, out_bias])
    x = np.array([[1.0, 2.0], [-1.0, 0.5], [3.0, -4.0]], np.float32)
    expected = np.maximum(x @ hidden + bias, 0) @ out + out_bias
    assert expected.min() < 0  # a logit, not a probability
    np.testing.assert_allclose(model(x), expected, rtol=1e-5)


def test_without_hidden_layers_it_is_logistic_regression():
    model = build_mlp(2, hidden_units=(), seed=0)
    assert [w.shape for w in model.get_weights()] == [(2, 1), (1,)]


def test_only_the_seed_decides_the_initial_weights():
    first, *others, again = (weights_of(seed) for seed in (0, 1, 2, None, None, 0))
    for left, right in zip(again, first, strict=True):
        np.testing.assert_array_equal(left, right)
    kernels = [w[0] for w in (first, *others)]
    for i, left in enumerate(kernels):
        for right in kernels[:i]:
            assert np.abs(left - right).max() > 0.01


def test_layers_of_equal_shape_start_differently():
    model = build_mlp(8, hidden_units=(8, 8), seed=0)
    first, _, second, *_ = model.get_weights()
    assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize(
    ("num_features", "hidden_units", "name"),
    [(0, (3,), "num_features"), (2, (3, 0), "hidden_units")],
)
def test_widths_below_one_are_refused(num_features, hidden_units, name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        build_mlp(num_features, hidden_units=hidden_units)


def test_a_weight_changes_scores_but_no_variable():
    plain, weighted = (
        build_mlp(6, hidden_units=(8,), seed=1, positive_weight=w) for w in (1.0, 20.0)
    )
    assert isinstance(weighted.layers[-1], PriorCorrection)
    assert len(plain.layers) == len(weighted.layers) - 1
    for left, right in zip(plain.get_weights(), weighted.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    np.testing.assert_array_equal(weighted(x, training=True), plain(x))
    np.testing.assert_allclose(weighted(x), plain(x) - np.log(20), rtol=1e-5)


@pytest.mark.parametrize("weight", [0, -1, np.inf, np.nan])
def test_weights_that_are_not_positive_are_refused(weight):
    for build in (
        lambda: build_mlp(2, positive_weight=weight),
        lambda: PriorCorrection(weight),
    ):
        with pytest.raises(ValueError, match="`positive_weight` must be positive"):
            build()

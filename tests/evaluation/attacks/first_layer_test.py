"""Rows that the first layer's update gives away, and rows that it mixes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.attacks.tables import LAYOUT, gradient, perceptron, table
from tff_finance.evaluation.attacks.feature_layout import FeatureLayout
from tff_finance.evaluation.attacks.first_layer import (
    quotients,
    rows_from_first_layer,
)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_one_row_comes_back(seed):
    x, y = table(1, seed)
    kernel, bias, *_ = gradient(perceptron(seed=seed), x, y)
    found = rows_from_first_layer(kernel, bias, LAYOUT)
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_in_single_precision_too():
    x, y = table(1)
    update = [part.astype(np.float32) for part in gradient(perceptron(), x, y)]
    np.testing.assert_allclose(rows_from_first_layer(*update[:2], LAYOUT), x, atol=1e-3)


def test_a_quotient_is_the_mean_of_its_rows_weighted_by_their_derivatives():
    x, y = table(5)
    weights = perceptron()
    single = [gradient(weights, x[i : i + 1], y[i : i + 1]) for i in range(5)]
    kernel, bias, *_ = gradient(weights, x, y)
    shares = np.array([one[1] for one in single])  # [rows, neurons]
    reached = np.abs(shares.sum(0)) > 0
    expected = (shares.T @ x)[reached] / shares.sum(0)[reached, np.newaxis]
    np.testing.assert_allclose(quotients(kernel, bias), expected, rtol=1e-6)


def test_rows_that_own_a_neuron_come_back_from_a_batch():
    x, y = table(3)
    # Neuron i is reached by row i alone, the last by all of them.
    kernel = np.zeros([8, 4])
    bias = np.array([0.0, 0.0, 0.0, 1.0])
    for i in range(3):
        others = np.delete(x, i, axis=0)
        kernel[:, i] = np.linalg.lstsq(
            np.concatenate([x[i : i + 1], others]), np.array([1.0, -1, -1]), rcond=None
        )[0]
    weights = [kernel, bias, np.ones([4, 1]), np.zeros(1)]
    update = gradient(weights, x, y)
    found = rows_from_first_layer(*update[:2], LAYOUT)
    assert len(found) == 3
    for row in x:
        assert np.abs(found - row).max(axis=1).min() < 1e-6


def test_copies_of_a_row_are_one():
    x, _ = table(2)
    kernel = np.stack([x[0], x[1], x[1] * 3, x[1] * -2], axis=1)
    found = rows_from_first_layer(kernel, np.array([1.0, 1, 3, -2]), LAYOUT)
    # The row that more neurons have comes first.
    np.testing.assert_allclose(found, x[::-1], atol=1e-6)


def test_without_any_possible_row_all_neurons_give_one():
    kernel = np.full([8, 2], 0.4)
    found = rows_from_first_layer(kernel, np.ones(2), LAYOUT)
    np.testing.assert_allclose(found, np.full([1, 8], 0.4))


def test_without_any_possible_row_each_neuron_gives_a_guess_of_several():
    kernel = np.full([8, 3], 0.4) * [1.0, 3.0, 2.0]
    bias = np.array([1.0, 3.0, 4.0])
    found = rows_from_first_layer(kernel, bias, LAYOUT, rows=2)
    np.testing.assert_allclose(found, np.outer([0.2, 0.4], np.ones(8)))


def test_one_row_comes_back_through_a_little_noise_and_not_through_much():
    rng = np.random.default_rng(0)
    typical = np.array([0.0, 0, 0, 0, 1, 1, 0, 0])
    errors = {1e-3: [], 1.0: []}
    for seed in range(20):
        x, y = table(1, seed)
        kernel, bias, *_ = gradient(perceptron(64, seed=seed), x, y)
        for deviation, found in errors.items():
            noised = [
                part + rng.normal(scale=deviation, size=part.shape)
                for part in (kernel, bias)
            ]
            guess = rows_from_first_layer(
                *noised, LAYOUT, deviation=deviation, typical=typical
            )
            assert guess.shape == (1, 8)
            found.append(np.abs(guess - x).max())
    assert np.median(errors[1e-3]) < 0.05
    assert np.median(errors[1.0]) > 0.9


def test_no_update_gives_nothing():
    assert rows_from_first_layer(np.zeros([8, 3]), np.zeros(3), LAYOUT).shape == (0, 8)


def test_without_codes_mixtures_pass_for_rows():
    numbers = FeatureLayout(numeric=tuple(range(8)), indicators=(), groups=())
    x, y = table(4)
    kernel, bias, *_ = gradient(perceptron(), x, y)
    assert len(rows_from_first_layer(kernel, bias, numbers)) > 4


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="`kernel` must be"):
        quotients(np.zeros([8, 3]), np.zeros(4))

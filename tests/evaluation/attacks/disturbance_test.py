"""Clipping as training does it, and rows to expect behind noise."""

import numpy as np
import pytest

from tff_finance.evaluation.attacks.disturbance import Disturbance, likely_rows, tells


def test_long_gradients_are_clipped_and_short_ones_are_not():
    gradient = [np.array([[3.0, 0.0]]), np.array([4.0])]
    clipped = Disturbance(l2_clip_norm=1.0).clipped(gradient)
    np.testing.assert_allclose(clipped[0], [[0.6, 0.0]])
    np.testing.assert_allclose(clipped[1], [0.8])
    for same in (Disturbance(l2_clip_norm=5.0), Disturbance()):
        for one, other in zip(same.clipped(gradient), gradient, strict=True):
            np.testing.assert_array_equal(one, other)
    zero = [np.zeros([2, 1]), np.zeros(1)]
    assert not any(part.any() for part in Disturbance(l2_clip_norm=1.0).clipped(zero))


def seen(noise, neurons, rows=4000, seed=0):
    """Rows, and sums over the neurons of each."""
    rng = np.random.default_rng(seed)
    x, d = rng.normal(size=(rows, 3)), rng.normal(size=(rows, neurons))
    bias = d + rng.normal(scale=noise, size=d.shape)
    kernel = d[..., np.newaxis] * x[:, np.newaxis]
    kernel = kernel + rng.normal(scale=noise, size=kernel.shape)
    return x, np.einsum("rn,rnc->rc", bias, kernel), np.sum(bias**2, axis=1)


@pytest.mark.parametrize("neurons", [1, 16])
def test_without_noise_likely_rows_are_the_quotients(neurons):
    x, products, squares = seen(0.0, neurons)
    found = likely_rows(products, squares, noise=0.0, neurons=neurons)
    np.testing.assert_allclose(found, x, atol=1e-9)
    little = likely_rows(products, squares, noise=1e-9, neurons=neurons)
    np.testing.assert_allclose(little, x, atol=1e-6)


@pytest.mark.parametrize("neurons", [1, 16])
def test_behind_nothing_but_noise_typical_rows_are_likely(neurons):
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(4000, neurons, 4))
    products = np.sum(noise[..., :1] * noise[..., 1:], axis=1)
    squares = np.sum(noise[..., 0] ** 2, axis=1)
    typical = np.array([5.0, -5.0, 0.0])
    found = likely_rows(products, squares, noise=1.0, neurons=neurons, typical=typical)
    assert np.abs(found.mean(axis=0) - typical).max() < 1.5


@pytest.mark.parametrize(
    ("noise", "neurons"), [(0.1, 1), (0.5, 1), (2.0, 1), (0.5, 16)]
)
def test_likely_rows_are_nearer_than_quotients_and_typical_rows(noise, neurons):
    x, products, squares = seen(noise, neurons)
    found = likely_rows(products, squares, noise=noise, neurons=neurons)
    error = np.mean((found - x) ** 2)
    assert error < np.mean((products / squares[:, np.newaxis] - x) ** 2)
    assert error < np.mean(x**2) + 0.3


def test_wide_tolerances_tell_nothing():
    np.testing.assert_array_equal(
        tells(np.array([0.0, 0.06, 0.07])), [True, True, False]
    )


@pytest.mark.parametrize("options", [{"deviation": -1.0}, {"l2_clip_norm": 0.0}])
def test_impossible_disturbances_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Disturbance(**options)

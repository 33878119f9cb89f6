"""Noise has the distribution that it claims, and is never the same twice."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tff_finance.privacy import fresh_noise

SEED = tf.constant([2**62 + 5, 17], tf.int64)


@pytest.fixture(scope="module")
def normal():
    return fresh_noise.standard_normal(SEED, [40, 2500]).numpy()


def test_noise_is_standard_normal(normal):
    assert scipy.stats.kstest(normal.ravel(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("scale", [2 / 3, 3 / 2])
def test_the_test_tells_other_scales(normal, scale):
    assert scipy.stats.kstest(scale * normal.ravel()[:1000], "norm").pvalue < 1e-6


def test_steps_and_weights_are_independent(normal):
    for matrix in (normal[:, :40], normal[:, :40].T):
        of_pairs = np.corrcoef(matrix[:, :], rowvar=True)[np.triu_indices(40, 1)]
        assert np.abs(of_pairs).max() < 0.75  # 40 numbers each: 4.7 deviations
    along = normal.ravel()
    assert abs(np.corrcoef(along[:-1], along[1:])[0, 1]) < 0.02


def test_noise_goes_on_where_tensorflows_own_ends():
    """A sum of two reaches beyond 5.7 standard deviations, more than one can."""
    single = tf.random.stateless_normal([2, 2_000_000], SEED).numpy()
    assert abs(single).max() < 5.7
    pair = fresh_noise.standard_normal(SEED, [2_000_000]).numpy()
    np.testing.assert_allclose(
        pair, single.sum(axis=0) / np.sqrt(2), rtol=1e-5, atol=1e-6
    )


def test_the_systems_seeds_differ_within_a_graph_and_between_runs():
    @tf.function
    def seeds():
        drawn = tf.TensorArray(tf.int64, 3)
        for i in tf.range(3):
            drawn = drawn.write(i, fresh_noise.system_seed())
        apart = tf.stack([fresh_noise.system_seed(), fresh_noise.system_seed()])
        return tf.concat([drawn.stack(), apart], axis=0)

    tf.random.set_seed(1)
    first = seeds().numpy()
    tf.random.set_seed(1)
    drawn = np.concatenate([first, seeds().numpy()])
    assert drawn.shape == (10, 2)
    assert drawn.dtype == np.int64
    assert len(np.unique(drawn)) == 20


def test_split_seeds_differ_by_the_whole_seed():
    """Two seeds that agree in half of their bits have nothing in common."""
    others = [tf.constant(bits, tf.int64) for bits in ([0, 2**40], [2**40, 0])]
    seeds = [SEED, *(SEED + bits for bits in others)]
    parts = np.stack([part for seed in seeds for part in fresh_noise.split(seed, 2)])
    assert parts.shape == (6, 2)
    assert len(np.unique(parts)) == 12

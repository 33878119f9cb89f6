"""The noise that is added is the noise that is stated, over the expected batch."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tff_finance.client_work.gradient_estimator import build_mean_gradient
from tff_finance.client_work.private_gradient import build_private_gradient
from tff_finance.privacy import fresh_noise
from tff_finance.privacy.clipping import Units

CLIP = 0.3
MULTIPLIER = 1.7
EXPECTED = 50.0


def weights_of(model):
    trainable, _ = model.initial_weights
    return tuple(tf.constant(w) for w in trainable), ()


def batch(model, number, seed=0):
    """Rows as units; the plain estimator's arguments besides."""
    del model
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(number, 2)).astype(np.float32)
    y = rng.integers(2, size=(number, 1)).astype(np.float32)
    units = Units(
        tf.constant(x[:, None]), tf.constant(y[:, None]), tf.ones([number, 1], tf.bool)
    )
    return units, tf.constant(x), tf.constant(y)


def gradients(model, *, multiplier, steps, number, clip=CLIP, expected=EXPECTED):
    """Private gradients of many steps at the same weights, [steps, elements]."""
    estimator = build_private_gradient(
        model, l2_clip_norm=clip, noise_multiplier=multiplier
    )
    weights = weights_of(model)
    noise = estimator.noise(
        weights[0],
        tf.constant(steps),
        tf.constant([5, 6], tf.int64),
        num_units=tf.constant(number),
    )
    units, *_ = batch(model, number)

    @tf.function
    def step(noise_of_step):
        return estimator.gradient(
            *weights, units, noise=noise_of_step, expected_units=tf.constant(expected)
        )

    return np.array(
        [np.concatenate([np.ravel(w) for w in step(noise[i])]) for i in range(steps)]
    )


def is_gaussian(values, deviation):
    """Whether scale and form agree, at a level that 2/3 and 3/2 don't reach."""
    law = scipy.stats.norm(scale=deviation)
    squares = np.square(values / deviation).sum()
    tail = scipy.stats.chi2(values.size)
    return (
        scipy.stats.kstest(values, law.cdf).pvalue > 1e-3
        and 1e-3 < tail.cdf(squares) < 1 - 1e-3
    )


@pytest.mark.parametrize("number", [0, 7])
def test_noise_on_the_sum_is_multiplier_times_clipping_norm(eager_model, number):
    plain = gradients(eager_model, multiplier=0, steps=1, number=number)
    noised = gradients(eager_model, multiplier=MULTIPLIER, steps=200, number=number)
    of_sum = ((noised - plain) * EXPECTED).ravel()
    assert of_sum.size == 600
    assert is_gaussian(of_sum, MULTIPLIER * CLIP)
    assert not is_gaussian(of_sum, MULTIPLIER * CLIP * 2 / 3)
    assert not is_gaussian(of_sum, MULTIPLIER * CLIP * 3 / 2)
    assert (plain == 0).all() == (number == 0)


@pytest.mark.parametrize(("number", "expected"), [(7, 0.5), (9, 3.0)])
def test_noise_is_that_of_the_number_of_units(eager_model, number, expected):
    noised = gradients(
        eager_model, multiplier={9: 3.0, 7: 0.5}, steps=200, number=number
    )
    plain = gradients(eager_model, multiplier=0, steps=1, number=number)
    of_sum = ((noised - plain) * EXPECTED).ravel()
    assert is_gaussian(of_sum, expected * CLIP)
    assert not is_gaussian(of_sum, expected * CLIP * 2 / 3)
    assert not is_gaussian(of_sum, expected * CLIP * 3 / 2)


def test_nobody_trains_with_the_noise_of_another_number(eager_model):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="no noise multiplier is given for this"
    ):
        gradients(eager_model, multiplier={9: 3.0, 7: 0.5}, steps=1, number=8)


def test_division_is_by_the_expected_and_not_by_the_drawn_number(eager_model):
    small, large = (
        gradients(eager_model, multiplier=0, steps=1, number=7, expected=expected)
        for expected in (10.0, 40.0)
    )
    np.testing.assert_allclose(small, 4 * large, rtol=1e-6)


def test_without_noise_and_clipping_it_is_the_plain_gradient(eager_model):
    found = gradients(
        eager_model, multiplier=0, steps=1, number=9, clip=1e9, expected=9.0
    )
    _, x, y = batch(eager_model, 9)
    plain = build_mean_gradient(eager_model)(*weights_of(eager_model), x, y)
    expected = np.concatenate([np.ravel(w) for w in plain.gradient])
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_seeds_come_from_the_system_unless_a_test_injects_them(eager_model):
    estimator = build_private_gradient(
        eager_model, l2_clip_norm=1.0, noise_multiplier=1.0
    )
    assert estimator.seed_source is fresh_noise.system_seed
    assert (estimator.seed_source() != estimator.seed_source()).numpy().any()


def test_it_refuses_batches_that_are_not_poisson_sampled(eager_model):
    estimator = build_private_gradient(
        eager_model, l2_clip_norm=1.0, noise_multiplier=1.0
    )
    with pytest.raises(ValueError, match="needs `PoissonBatches`"):
        estimator(*weights_of(eager_model), tf.zeros([3, 2]), tf.zeros([3, 1]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("l2_clip_norm", 0),
        ("noise_multiplier", -1),
        ("noise_multiplier", np.nan),
        ("noise_multiplier", {3: 1.0, 4: -1.0}),
    ],
)
def test_bad_numbers_are_named(eager_model, name, value):
    good = {"l2_clip_norm": 1.0, "noise_multiplier": 1.0}
    with pytest.raises(ValueError, match=f"`{name}`"):
        build_private_gradient(eager_model, **(good | {name: value}))

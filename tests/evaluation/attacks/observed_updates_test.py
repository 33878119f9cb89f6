"""What the server sees is what institutions send, and inverting it gives rows back."""

import numpy as np
import pytest

from tests.evaluation.attacks.tables import LAYOUT, gradient, table
from tff_finance.evaluation.attacks.disturbance import Disturbance
from tff_finance.evaluation.attacks.first_layer import rows_from_first_layer
from tff_finance.evaluation.attacks.imprint import (
    prepared_weights,
    rows_from_differences,
)
from tff_finance.evaluation.attacks.observed_updates import ObservedUpdates, summed
from tff_finance.evaluation.attacks.recovery import Judge
from tff_finance.privacy import accounting
from tff_finance.privacy.mechanisms import PoissonSampledGaussian
from tff_finance.runtime import in_process
from tff_finance.tasks.mlp import build_mlp

JUDGE = Judge(layout=LAYOUT, means=table(500, seed=9)[0].mean(axis=0))


def build():
    return build_mlp(8, hidden_units=(64,), seed=1)


def weights_of(model):
    return [np.asarray(v) for v in model.trainable_variables]


@pytest.fixture(scope="module")
def updates():
    with in_process.execution_context():
        yield ObservedUpdates(build_keras_model=build)


@pytest.fixture(scope="module")
def plain(updates):
    return updates.gradient()


def private(updates, rows, noise_multiplier):
    """DP-SGD's update, and what an attacker knows of it."""
    update = updates.private_gradient(
        l2_clip_norm=1.0, noise_multiplier=noise_multiplier
    )
    return update, Disturbance(deviation=noise_multiplier / rows, l2_clip_norm=1.0)


def noise_of_epsilon_8(rows):
    """Of training over 1,000 rows in 100 rounds."""
    return accounting.noise_multiplier(
        lambda noise: PoissonSampledGaussian.of_training(
            noise_multiplier=noise, population=1000, batch_size=rows, rounds=100
        ),
        neighbouring="add_or_remove_one",
        epsilon=8.0,
        delta=1e-5,
        accountant="rdp",
    )


def test_gradient_is_that_of_the_mean_loss(plain):
    x, y = table(5)
    weights = weights_of(build())
    for one, other in zip(plain(weights, x, y), gradient(weights, x, y), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_one_local_step_is_the_gradient(updates, plain):
    x, y = table(5)
    weights = weights_of(build())
    step = updates.local_epochs(epochs=1, batch_size=8, learning_rate=0.1)
    for one, other in zip(step(weights, x, y), plain(weights, x, y), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_several_steps_are_several_gradients(updates):
    x, y = table(1)
    weights = weights_of(build())
    update = updates.local_epochs(epochs=3, batch_size=1, learning_rate=0.5)(
        weights, x, y
    )
    current, total = weights, [np.zeros_like(w) for w in weights]
    for _ in range(3):
        step = gradient(current, x, y)
        total = [t + g for t, g in zip(total, step, strict=True)]
        current = [w - 0.5 * g for w, g in zip(current, step, strict=True)]
    for one, other in zip(update, total, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    # One row's quotient is that row, however many steps it took.
    assert JUDGE.recovery(x, rows_from_first_layer(*update[:2], LAYOUT)).share == 1


def test_a_sum_is_the_gradient_over_all_rows(plain):
    weights = weights_of(build())
    x, y = table(6)
    parts = [plain(weights, x[i : i + 2], y[i : i + 2]) for i in (0, 2, 4)]
    for one, other in zip(summed(parts), plain(weights, x, y), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_batch_of_one_row_gives_it_all_away(plain):
    weights = weights_of(build())
    x, y = table(40)
    shares = [
        JUDGE.recovery(
            x[i : i + 1],
            rows_from_first_layer(
                *plain(weights, x[i : i + 1], y[i : i + 1])[:2], LAYOUT
            ),
        ).share
        for i in range(40)
    ]
    assert np.mean(shares) >= 0.95


def test_some_rows_come_back_from_a_sum_of_three(plain):
    weights = weights_of(build())
    records, x_y = [], table(60)
    for i in range(0, 60, 3):
        x, y = (part[i : i + 3] for part in x_y)
        seen = summed([plain(weights, x[k : k + 1], y[k : k + 1]) for k in range(3)])
        records.append(
            JUDGE.recovery(x, rows_from_first_layer(*seen[:2], LAYOUT)).records
        )
    assert np.mean(records) > 0.2


def gained_of_single_rows(updates, noise_multiplier, rows=60):
    """Beyond no information, mean and standard error over rows."""
    weights = weights_of(build())
    x, y = table(rows)
    update, known = private(updates, 1, noise_multiplier)
    gained = []
    for i in range(rows):
        row = x[i : i + 1]
        seen = update(weights, row, y[i : i + 1])
        guesses = rows_from_first_layer(
            *seen[:2], LAYOUT, deviation=known.deviation, typical=JUDGE.typical_row
        )
        share = JUDGE.recovery(row, guesses).share
        gained.append(share - JUDGE.without_information(row))
    return np.mean(gained), np.std(gained) / np.sqrt(rows)


def test_a_single_rows_privacy_is_the_noises(updates):
    little, _ = gained_of_single_rows(updates, 1e-3)
    assert little > 0.5
    mean, error = gained_of_single_rows(updates, noise_of_epsilon_8(1))
    assert mean <= 2 * error


def test_a_batch_of_32_gives_much_away_but_for_the_noise(updates, plain):
    x, y = table(32, seed=3)
    prepared = prepared_weights(weights_of(build()), LAYOUT, seed=0)
    nothing = JUDGE.without_information(x)

    def recovered(update, known):
        found = rows_from_differences(
            prepared,
            update(prepared, x, y),
            LAYOUT,
            rows=32,
            disturbance=known,
            typical=JUDGE.typical_row,
        )
        return JUDGE.recovery(x, found).share

    assert recovered(plain, Disturbance()) > nothing + 0.1
    # Clipping and noise alone don't blind the attack: only their size does.
    assert recovered(*private(updates, 32, 1e-4)) > nothing + 0.1
    assert recovered(*private(updates, 32, noise_of_epsilon_8(32))) <= nothing


def test_private_local_epochs_are_noised_in_every_step(updates):
    x, y = table(4)
    weights = weights_of(build())
    steps, clip, noise = 4, 0.5, 3.0
    update = updates.private_local_epochs(
        epochs=2,
        batch_size=2,
        learning_rate=0.1,
        l2_clip_norm=clip,
        noise_multiplier=noise,
    )
    # Of the first kernel, 512 numbers: what noise there is outweighs all gradients.
    seen = [update(weights, x, y)[0] for _ in range(4)]
    expected = noise * clip / 2 * np.sqrt(steps)
    assert np.std(seen) == pytest.approx(expected, rel=0.1)
    assert np.std(seen[0] - seen[1]) == pytest.approx(expected * np.sqrt(2), rel=0.15)


def test_private_local_epochs_without_noise_are_clipped_gradients(updates):
    x, y = table(1)
    weights = weights_of(build())
    update = updates.private_local_epochs(
        epochs=1,
        batch_size=1,
        learning_rate=0.1,
        l2_clip_norm=0.1,
        noise_multiplier=0.0,
    )
    expected = Disturbance(l2_clip_norm=0.1).clipped(gradient(weights, x, y))
    for one, other in zip(update(weights, x, y), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)

"""What a prepared model gives away, also where batches hide rows from others."""

import itertools

import numpy as np
import pytest

from tests.evaluation.attacks.tables import LAYOUT, perceptron, table
from tff_finance.evaluation.attacks.disturbance import Disturbance
from tff_finance.evaluation.attacks.imprint import (
    prepared_weights,
    rows_from_differences,
)
from tff_finance.evaluation.attacks.peeling import row_gradient
from tff_finance.evaluation.attacks.recovery import Judge

JUDGE = Judge(layout=LAYOUT, means=table(500, seed=9)[0].mean(axis=0))


def weights_of(neurons, layers=2, seed=0):
    rng = np.random.default_rng(seed)
    widths = (8, neurons, *[6] * (layers - 1), 1)
    shapes = [
        shape
        for one, other in itertools.pairwise(widths)
        for shape in ((one, other), (other,))
    ]
    return [rng.normal(size=shape) for shape in shapes]


def mean_gradient(weights, x, y, dtype=np.float32):
    single = [
        row_gradient(weights, row, label) for row, label in zip(x, y, strict=True)
    ]
    return [np.mean(parts, axis=0).astype(dtype) for parts in zip(*single, strict=True)]


def attacked(neurons, rows, seed=0, layers=2):
    x, y = table(rows, seed)
    prepared = prepared_weights(weights_of(neurons, layers), LAYOUT, seed=seed)
    seen = mean_gradient(prepared, x, y)
    return x, rows_from_differences(prepared, seen, LAYOUT, rows=rows)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_what_is_found_is_true(layers):
    for seed in range(10):
        x, found = attacked(64, 16, seed, layers)
        assert len(found) > 4
        for row in found:
            assert np.abs(x - row).max(axis=1).min() < 0.02


def test_a_batch_of_32_comes_back_for_the_most_part():
    shares, nothing = [], []
    for seed in range(5):
        x, found = attacked(128, 32, seed)
        shares.append(JUDGE.recovery(x, found).records)
        nothing.append(JUDGE.without_information(x))
    # Alone between thresholds: (1 - 1/128)^31 of the rows, 0.78, less those below all.
    assert 0.6 < np.mean(shares) < 0.9
    assert np.mean(nothing) < 0.45


def test_fewer_neurons_than_rows_give_less():
    shares = [
        JUDGE.recovery(*attacked(neurons, 64, seed=1)).records
        for neurons in (16, 64, 256)
    ]
    assert shares[0] < shares[1] < shares[2]


def private_attack(noise_multiplier, seed, neurons=128, rows=32):
    """Rows behind a batch of DP-SGD, and what an attacker who knows its noise finds."""
    x, y = table(rows, seed)
    prepared = prepared_weights(weights_of(neurons), LAYOUT, seed=seed)
    disturbance = Disturbance(deviation=noise_multiplier / rows, l2_clip_norm=1.0)
    clipped = [
        disturbance.clipped(row_gradient(prepared, row, label))
        for row, label in zip(x, y, strict=True)
    ]
    rng = np.random.default_rng(seed)
    seen = [
        np.mean(parts, axis=0) + rng.normal(scale=disturbance.deviation, size=w.shape)
        for parts, w in zip(zip(*clipped, strict=True), prepared, strict=True)
    ]
    found = rows_from_differences(
        prepared,
        [part.astype(np.float32) for part in seen],
        LAYOUT,
        rows=rows,
        disturbance=disturbance,
        typical=JUDGE.typical_row,
    )
    return x, found


def gained(noise_multiplier, seeds=8):
    """What guesses have right of their rows, beyond what they have of other rows."""
    differences = []
    for seed in range(seeds):
        x, found = private_attack(noise_multiplier, seed)
        others = [table(32, seed=1000 + seed * 4 + i)[0] for i in range(4)]
        chance = np.mean([JUDGE.recovery(other, found).share for other in others])
        differences.append(JUDGE.recovery(x, found).share - chance)
    return np.mean(differences), np.std(differences) / np.sqrt(seeds)


def test_little_noise_leaves_rows_and_much_leaves_nothing():
    shares = []
    for noise_multiplier in (1e-5, 1e-4, 1e-3, 1e-2):
        x, found = private_attack(noise_multiplier, seed=0)
        shares.append(JUDGE.recovery(x, found).share)
    nothing = JUDGE.without_information(x)
    assert shares[0] > nothing + 0.3
    assert shares[1] > nothing + 0.2
    assert shares[0] >= shares[1] - 0.05 > shares[2] > shares[3]
    assert shares[3] <= nothing


def test_noise_of_epsilon_8_leaves_no_more_of_ones_own_rows_than_of_others():
    little, _ = gained(1e-4)
    assert little > 0.2
    # What epsilon 8 takes in a single step of all rows; more steps take more.
    mean, error = gained(0.6)
    assert mean <= 2 * error


def test_prepared_weights_have_the_models_shapes():
    weights = perceptron()
    prepared = prepared_weights(weights, LAYOUT, seed=0)
    assert [p.shape for p in prepared] == [w.shape for w in weights]
    # Codes, of which there are few values, don't decide a row's place.
    np.testing.assert_array_equal(prepared[0][4:], 0)

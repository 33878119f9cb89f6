"""What a prepared model gives away, also where batches hide rows from others."""

import itertools

import numpy as np
import pytest

from tests.evaluation.attacks.tables import LAYOUT, perceptron, table
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


def test_clipping_and_noise_leave_nothing():
    rng = np.random.default_rng(0)
    x, y = table(32)
    prepared = prepared_weights(weights_of(128), LAYOUT, seed=0)
    seen = mean_gradient(prepared, x, y)
    norm = np.sqrt(sum(np.sum(part**2) for part in seen))
    noisy = [part + rng.normal(scale=norm / 32, size=part.shape) for part in seen]
    assert len(rows_from_differences(prepared, noisy, LAYOUT, rows=32)) == 0


def test_prepared_weights_have_the_models_shapes():
    weights = perceptron()
    prepared = prepared_weights(weights, LAYOUT, seed=0)
    assert [p.shape for p in prepared] == [w.shape for w in weights]
    # Codes, of which there are few values, don't decide a row's place.
    np.testing.assert_array_equal(prepared[0][4:], 0)

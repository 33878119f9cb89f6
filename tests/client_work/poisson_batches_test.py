"""Every unit is in every batch by a coin of its own."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tff_finance.client_work import poisson_batches
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.institutions.rows import Table


def drawn(num_units, *, batch_size, epochs=1, seed=0):
    plan = PoissonBatches(epochs=epochs, batch_size=batch_size).plan(
        tf.constant(num_units), tf.constant([seed, 3], tf.int64)
    )
    return plan, plan.units.numpy()


def membership(units, num_units):
    """Whether a unit is in a batch, bool[steps, units]."""
    found = np.zeros([len(units), num_units], bool)
    for step, batch in enumerate(units):
        found[step, batch[batch >= 0]] = True
    return found


@pytest.mark.parametrize(("num_units", "batch_size"), [(40, 8), (37, 1), (50, 45)])
def test_units_are_drawn_alone_with_the_same_probability(num_units, batch_size):
    epochs = 4000
    plan, units = drawn(num_units, batch_size=batch_size, epochs=epochs)
    steps = epochs * -(-num_units // batch_size)
    assert plan.num_steps == len(units) == steps
    assert plan.expected_units == batch_size
    found = membership(units, num_units)
    assert found.sum() == (units >= 0).sum()  # nobody twice
    probability = batch_size / num_units
    # Each unit, and the last as the first.
    deviation = np.sqrt(steps * probability * (1 - probability))
    assert np.abs(found.sum(axis=0) - steps * probability).max() < 4.5 * deviation
    # Batch sizes are binomial.
    sizes = found.sum(axis=1)
    law = scipy.stats.binom(num_units, probability)
    low, high = law.ppf([0.01, 0.99])
    values = np.arange(low, high + 1)
    expected = np.array([law.cdf(low), *law.pmf(values[1:-1]), law.sf(high - 1)])
    counts = np.array([(np.clip(sizes, low, high) == v).sum() for v in values])
    test = scipy.stats.chisquare(counts, expected / expected.sum() * steps)
    assert test.pvalue > 1e-4
    # Neighbours and steps don't know of each other.
    centred = found - probability
    for left, right in (
        (centred[:, 1:], centred[:, :-1]),
        (centred[1:], centred[:-1]),
    ):
        variance = probability * (1 - probability)
        correlation = (left * right).mean() / variance
        assert abs(correlation) < 5 / np.sqrt(left.size)


def test_a_large_batch_loses_nobody(monkeypatch):
    """Batches beyond the usual width are drawn to their end."""
    usual = membership(drawn(300, batch_size=100, epochs=300)[1], 300)
    monkeypatch.setattr(poisson_batches, "_SPREAD", -5.0)  # 45 columns at once
    plan, units = drawn(300, batch_size=100, epochs=300)
    assert units.shape[1] > 2 * 45
    found = membership(units, 300)
    assert plan.num_steps == 900
    for sizes in (usual.sum(axis=1), found.sum(axis=1)):
        assert abs(sizes.mean() - 100) < 5 * np.sqrt(100 * 2 / 3 / 900)
    assert found.sum(axis=0).min() > 300 - 6 * np.sqrt(900 * 2 / 9)


@pytest.mark.parametrize("num_units", [1, 7, 8])
def test_few_units_are_all_in_every_batch(num_units):
    plan, units = drawn(num_units, batch_size=8, epochs=3)
    assert plan.num_steps == 3
    assert plan.expected_units == num_units
    assert membership(units, num_units).all()


def test_without_units_there_are_no_steps():
    plan, units = drawn(0, batch_size=8)
    assert plan.num_steps == 0
    assert len(units) == 0


def test_batches_hold_the_rows_of_their_units():
    plan, units = drawn(20, batch_size=5, epochs=2)
    x = np.arange(40, dtype=np.float32).reshape(20, 2)
    table = Table(tf.constant(x), tf.constant(x[:, :1] % 4))
    padded, padded_table = plan.padded(table)
    assert len(padded.units) == 8
    assert len(padded_table.x) == 20 // 5 * 5
    for number in range(8):
        mine = units[number][units[number] >= 0]
        for batch in (
            plan.batch(table, tf.constant(number)),
            padded.batch(padded_table, tf.constant(number)),
        ):
            present = batch.present.numpy()
            assert present.shape == (units.shape[1], 1)
            assert present.sum() == len(mine)
            np.testing.assert_array_equal(batch.x.numpy()[present], x[mine])
            np.testing.assert_array_equal(batch.y.numpy()[present], x[mine, :1] % 4)


def test_another_seed_draws_other_batches():
    first, second, again = (drawn(50, batch_size=9, seed=s)[1] for s in (0, 1, 0))
    assert (first != second).any()
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_numbers_below_1_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1"):
        PoissonBatches(**({"epochs": 1, "batch_size": 1} | {name: 0}))

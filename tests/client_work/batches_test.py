"""Batches: each row once per epoch, and an order that only the seeds decide."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_finance.client_work.batches import (
    LocalEpochs,
    institution_round_seed,
)
from tff_finance.institutions.rows import Table

SEED = (3, 5)


def batches_of(local_epochs, num_rows, seed=SEED, *, padded=False):
    """The row numbers of each step."""
    plan = local_epochs.plan(tf.constant(num_rows), tf.constant(seed, tf.int32))
    numbers = tf.reshape(tf.range(num_rows, dtype=tf.float32), [-1, 1])
    table = Table(numbers, -numbers)
    if padded:
        plan, table = plan.padded(table)
    cut = []
    for epoch in range(plan.epochs):
        cut += [
            plan.full_batch(table, tf.constant(epoch), tf.constant(number))
            for number in range(plan.full_batches)
        ]
        if plan.remaining_rows > 0:
            cut.append(plan.remainder_batch(table, tf.constant(epoch)))
    assert plan.num_steps == len(cut)
    for x, y in cut:
        np.testing.assert_array_equal(x, -y)
    return [x[:, 0].numpy().astype(int).tolist() for x, _ in cut]


def order_of(num_rows, seed=SEED, epochs=1):
    """The row numbers of the round, as one tuple."""
    local_epochs = LocalEpochs(epochs=epochs, batch_size=7)
    return tuple(np.concatenate(batches_of(local_epochs, num_rows, seed)))


@settings(max_examples=40, deadline=None)
@given(
    num_rows=st.integers(0, 40),
    batch_size=st.integers(1, 45),
    epochs=st.integers(1, 4),
    shuffle=st.booleans(),
    seed=st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)),
)
def test_each_epoch_has_each_row_once_in_full_batches_and_a_remainder(
    num_rows, batch_size, epochs, shuffle, seed
):
    local_epochs = LocalEpochs(epochs=epochs, batch_size=batch_size, shuffle=shuffle)
    batches = batches_of(local_epochs, num_rows, seed)
    full, remainder = divmod(num_rows, batch_size)
    sizes = [batch_size] * full + [remainder] * (remainder > 0)
    assert [len(batch) for batch in batches] == sizes * epochs
    for epoch in range(epochs):
        steps = batches[epoch * len(sizes) : (epoch + 1) * len(sizes)]
        rows = [row for batch in steps for row in batch]
        if shuffle:
            rows.sort()
        assert rows == list(range(num_rows))


@pytest.mark.parametrize("num_rows", [0, 1, 6, 7, 13, 14, 15, 28, 29, 100])
@pytest.mark.parametrize("shuffle", [False, True])
def test_padding_leaves_the_batches_as_they_are(num_rows, shuffle):
    local_epochs = LocalEpochs(epochs=2, batch_size=7, shuffle=shuffle)
    plain = batches_of(local_epochs, num_rows)
    assert batches_of(local_epochs, num_rows, padded=True) == plain


@pytest.mark.parametrize(
    ("num_rows", "batches"), [(0, 1), (7, 1), (8, 2), (14, 2), (15, 4), (29, 8)]
)
def test_padded_sizes_are_powers_of_two_of_batches(num_rows, batches):
    """So that XLA meets few sizes, however many institutions meet."""
    plan = LocalEpochs(epochs=3, batch_size=7).plan(tf.constant(num_rows), SEED)
    plan, table = plan.padded(Table(tf.ones([num_rows, 2]), tf.ones([num_rows, 1])))
    assert table.x.shape == (7 * batches, 2)
    assert table.y.shape == (7 * batches, 1)
    assert plan.order.shape == (3, 7 * batches)
    assert plan.num_rows == num_rows


def test_the_seed_decides_the_order():
    assert order_of(30) == order_of(30)
    assert order_of(30) != order_of(30, seed=(3, 6))
    assert order_of(30) != order_of(30, seed=(4, 5))


def test_each_epoch_has_an_order_of_its_own():
    order = order_of(30, epochs=3)
    assert len({order[:30], order[30:60], order[60:], tuple(range(30))}) == 4


def test_run_round_and_institution_each_change_the_seed():
    def seed(run, number, institution):
        return tuple(
            institution_round_seed(
                tf.constant(run), tf.constant(number), tf.constant(institution)
            ).numpy()
        )

    settings_of_seeds = [
        (run, number, institution)
        for run in range(5)
        for number in range(5)
        for institution in ("bank_a", "bank_b", "Bänk", "")
    ]
    seeds = [seed(*setting) for setting in settings_of_seeds]
    assert len(set(seeds)) == len(seeds)
    assert seed(1, 2, "bank_a") == seed(1, 2, "bank_a")
    orders = {order_of(20, s) for s in seeds}
    assert len(orders) == len(seeds)


def test_orders_are_uniform_over_rounds_institutions_and_epochs():
    """Chi-square on the positions of rows, and on pairs of epochs."""
    num_rows, rounds, epochs = 6, 400, 3
    local_epochs = LocalEpochs(epochs=epochs, batch_size=num_rows)

    @tf.function
    def orders(number, institution):
        seed = institution_round_seed(tf.constant(11), number, institution)
        return tf.reshape(
            local_epochs.plan(tf.constant(num_rows), seed).order, [epochs, num_rows]
        )

    drawn = np.stack(
        [
            orders(tf.constant(number), tf.constant(institution)).numpy()
            for number in range(rounds)
            for institution in ("bank_a", "bank_b")
        ]
    )
    for epoch in range(epochs):
        for position in range(num_rows):
            counts = np.bincount(drawn[:, epoch, position], minlength=num_rows)
            assert scipy.stats.chisquare(counts).pvalue > 1e-4
    for one, other in ((0, 1), (1, 2), (0, 2)):  # epochs are independent
        pairs = drawn[:, one, 0] * num_rows + drawn[:, other, 0]
        counts = np.bincount(pairs, minlength=num_rows**2)
        assert scipy.stats.chisquare(counts).pvalue > 1e-4
    neighbours = drawn[0::2, 0, 0] * num_rows + drawn[1::2, 0, 0]  # so are banks
    counts = np.bincount(neighbours, minlength=num_rows**2)
    assert scipy.stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        LocalEpochs(**{"epochs": 1, "batch_size": 1, name: 0})

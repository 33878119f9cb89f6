"""The local loop: what estimator, rule and optimizer are each given."""

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.gradient_estimator import GradientEstimate
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.client_work.local_training import LocalTraining
from tff_finance.institutions.examples import dense_examples
from tff_finance.institutions.rows import Shards, Table
from tff_finance.institutions.shards import write_shards

RATE = 0.1
X = np.array([[1.0], [2.0], [4.0], [8.0], [16.0]], np.float32)
Y = -X


def sum_of_batch(trainable, non_trainable, x, y):
    """Pretends that the gradient is the batch's sum and the loss the weight."""
    tf.debugging.assert_equal(non_trainable[0], 7.0)
    tf.debugging.assert_equal(y, -x)
    return GradientEstimate((tf.reduce_sum(x),), trainable[0])


class Recording(LocalRule):
    """Adds up all that a rule is given, weighted so that each part shows."""

    def correct(self, gradient, *, weights, global_weights, state, shared):
        parts = zip(gradient, weights, global_weights, state, shared, strict=True)
        return tuple(
            g + 0.1 * w + 0.01 * start + 0.001 * s + 0.02 * common
            for g, w, start, s, common in parts
        )


def run(rule, optimizer, *, epochs=2, rows=5):
    """From the weight 3, with rule state 5 and shared value 11."""
    training = LocalTraining(
        optimizer=optimizer, gradient_estimator=sum_of_batch, local_rule=rule
    )
    return training.run(
        trainable=(tf.constant(3.0),),
        non_trainable=(tf.constant(7.0),),
        optimizer_state=tf.nest.map_structure(
            tf.convert_to_tensor, optimizer.initialize((tf.TensorSpec([]),))
        ),
        rule_state=(tf.constant(5.0),),
        shared=(tf.constant(11.0),),
        rows=Table(tf.constant(X[:rows]), tf.constant(Y[:rows])),
        batches=LocalEpochs(epochs=epochs, batch_size=2, shuffle=False),
        seed=tf.constant([0, 0]),
        finish=lambda result: result,
    )


def test_each_step_has_its_batch_and_its_correction():
    optimizer = tff.learning.optimizers.build_sgdm(RATE, momentum=0.5)
    result = run(Recording(), optimizer)
    weight, velocity, loss_sum = 3.0, 0.0, 0.0
    for rows in 2 * [[0, 1], [2, 3], [4]]:
        loss_sum += weight * len(rows)
        gradient = X[rows].sum() + 0.1 * weight + 0.01 * 3.0 + 0.001 * 5.0 + 0.02 * 11.0
        velocity = 0.5 * velocity + gradient
        weight -= RATE * velocity
    np.testing.assert_allclose(result.trainable[0], weight, rtol=1e-6)
    np.testing.assert_allclose(result.loss_sum, loss_sum, rtol=1e-5)
    np.testing.assert_allclose(
        result.optimizer_state["accumulator"][0], velocity, rtol=1e-6
    )


def test_the_plain_rule_corrects_nothing_and_keeps_nothing():
    result = run(LocalRule(), tff.learning.optimizers.build_sgdm(RATE), epochs=1)
    np.testing.assert_allclose(result.trainable[0], 3.0 - RATE * X.sum(), rtol=1e-6)
    assert LocalRule().state_spec((tf.TensorSpec([]),)) == ()
    assert LocalRule().shared_spec((tf.TensorSpec([]),)) == ()


def test_the_loss_of_many_rows_keeps_the_last_ones():
    """In float32, 2^24 and 1 are 2^24: a hundred million rows add up to too few."""
    optimizer = tff.learning.optimizers.build_sgdm(RATE)
    training = LocalTraining(
        optimizer=optimizer,
        gradient_estimator=lambda weights, _, x, y: GradientEstimate(
            (tf.zeros([]),), tf.reduce_mean(y)
        ),
        local_rule=LocalRule(),
    )
    losses = [[2.0**24], *[[1.0]] * 8]
    result = training.run(
        trainable=(tf.constant(0.0),),
        non_trainable=(),
        optimizer_state=tf.nest.map_structure(
            tf.convert_to_tensor, optimizer.initialize((tf.TensorSpec([]),))
        ),
        rule_state=(),
        shared=(),
        rows=Table(tf.zeros([9, 1]), tf.constant(losses)),
        batches=LocalEpochs(epochs=1, batch_size=1, shuffle=False),
        seed=tf.constant([0, 0]),
        finish=lambda result: result.loss_sum,
    )
    assert result == 2**24 + 8


def test_shards_are_visited_in_an_order_of_each_epoch(tmp_path):
    """As in a table of one row a batch, with shards for rows."""
    optimizer = tff.learning.optimizers.build_sgdm(RATE)
    names = write_shards(
        [dense_examples(X, np.zeros(5), institution="bank")], tmp_path, rows_per_shard=1
    )
    batches, seed = LocalEpochs(epochs=3, batch_size=1), tf.constant([1, 2])
    training = LocalTraining(
        optimizer=optimizer,
        gradient_estimator=lambda weights, _, x, y: GradientEstimate(
            (tf.reduce_sum(x),), weights[0]
        ),
        local_rule=LocalRule(),
    )
    found = training.run(
        trainable=(tf.constant(3.0),),
        non_trainable=(),
        optimizer_state=tf.nest.map_structure(
            tf.convert_to_tensor, optimizer.initialize((tf.TensorSpec([]),))
        ),
        rule_state=(),
        shared=(),
        rows=Shards(tf.constant(names["files"]), tf.constant(names["rows"]), 1),
        batches=batches,
        seed=seed,
        finish=lambda result: result.loss_sum,
    )
    order = batches.shard_order(tf.constant(5), seed).numpy()
    np.testing.assert_array_equal(np.sort(order), [range(5)] * 3)
    assert len({tuple(epoch) for epoch in order}) == 3
    weight, expected = 3.0, 0.0
    for shard in order.ravel():
        expected += weight
        weight -= RATE * X[shard, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_each_shard_has_its_own_order_of_rows():
    batches, seed = LocalEpochs(epochs=1, batch_size=4), tf.constant([1, 2])
    orders = [
        batches.plan_of_shard(
            tf.constant(20), seed, shard=tf.constant(shard), epoch=tf.constant(epoch)
        ).order.numpy()
        for shard in range(2)
        for epoch in range(2)
    ]
    assert len({tuple(order[0]) for order in orders}) == 4


def test_without_rows_nothing_moves():
    result = run(Recording(), tff.learning.optimizers.build_sgdm(RATE), rows=0)
    assert result.trainable[0] == 3.0
    assert result.loss_sum == 0.0

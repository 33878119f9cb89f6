"""Which rows make up each local step's batch."""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from tff_finance import checks


class BatchPlan(NamedTuple):
    """The batches of one round at one institution.

    Attributes:
        order: Row numbers, epoch after epoch, int32[epochs * rows].
        num_rows: Rows of the table, int32[].
        steps_per_epoch: Batches of an epoch, the remainder batch included.
        num_steps: Batches of the round, int32[].
        batch_size: Rows of a full batch.
    """

    order: tf.Tensor
    num_rows: tf.Tensor
    steps_per_epoch: tf.Tensor
    num_steps: tf.Tensor
    batch_size: int

    def rows(self, step: tf.Tensor) -> tf.Tensor:
        """Row numbers of a step's batch, int32[up to batch_size]."""
        epoch, batch = step // self.steps_per_epoch, step % self.steps_per_epoch
        first = epoch * self.num_rows + batch * self.batch_size
        last = tf.minimum(first + self.batch_size, (epoch + 1) * self.num_rows)
        return self.order[first:last]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalEpochs:
    """Full passes over the table in minibatches; the remainder batch is kept.

    Attributes:
        epochs: Passes per round.
        batch_size: Rows of a batch.
        shuffle: Whether each pass has an order of its own.
    """

    epochs: int
    batch_size: int
    shuffle: bool = True

    def __post_init__(self) -> None:
        """Refuses numbers below 1."""
        checks.check_at_least("epochs", self.epochs, 1)
        checks.check_at_least("batch_size", self.batch_size, 1)

    def plan(self, num_rows: tf.Tensor, seed: tf.Tensor) -> BatchPlan:
        """Plans a round's batches.

        Args:
            num_rows: Rows of the institution's table, int32[]; may be 0.
            seed: Of round and institution, int32[2]; same seed, same order.

        Returns:
            The plan; it has no steps if there are no rows.
        """
        steps_per_epoch = -(-num_rows // self.batch_size)
        orders = [self._order(num_rows, seed, epoch) for epoch in range(self.epochs)]
        return BatchPlan(
            order=tf.concat(orders, axis=0),
            num_rows=num_rows,
            steps_per_epoch=steps_per_epoch,
            num_steps=self.epochs * steps_per_epoch,
            batch_size=self.batch_size,
        )

    def _order(self, num_rows: tf.Tensor, seed: tf.Tensor, epoch: int) -> tf.Tensor:
        rows = tf.range(num_rows)
        if not self.shuffle:
            return rows
        epoch_seed = tf.random.experimental.stateless_fold_in(seed, epoch)
        return tf.random.experimental.stateless_shuffle(rows, epoch_seed)


def institution_round_seed(
    run_seed: tf.Tensor, round_number: tf.Tensor, institution: tf.Tensor
) -> tf.Tensor:
    """Seed of one institution's randomness in one round, int32[2].

    Args:
        run_seed: Of the whole run, int32[].
        round_number: Counts from 0, int32[].
        institution: Name, string[].

    Returns:
        A seed that differs between rounds and between institutions.
    """
    number = tf.strings.to_hash_bucket_strong(institution, 2**31 - 1, key=[17, 29])
    seed = tf.stack([run_seed, round_number])
    return tf.random.experimental.stateless_fold_in(seed, tf.cast(number, tf.int32))

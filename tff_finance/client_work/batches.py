"""Which rows make up each local step's batch."""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from tff_finance import checks
from tff_finance.institutions.rows import Table

_MOST_DOUBLINGS = 21  # times 1,024 rows of a batch is the most that int32 counts


def next_power_of_two(number: tf.Tensor) -> tf.Tensor:
    """The least power of two that is at least `number`, int32[]."""
    powers = tf.constant([2**exponent for exponent in range(_MOST_DOUBLINGS)])
    return tf.reduce_min(tf.where(powers >= number, powers, powers[-1]))


def padded_rows(num_rows: tf.Tensor, batch_size: int) -> tf.Tensor:
    """How many rows a table is given, so that few tables differ in size.

    XLA compiles a function for every size that it meets, and institutions all have
    sizes of their own.

    Args:
        num_rows: Rows of the table, int32[].
        batch_size: Rows of a batch.

    Returns:
        The next power of two of batches, in rows, int32[].
    """
    return next_power_of_two(-(-num_rows // batch_size)) * batch_size


class BatchPlan(NamedTuple):
    """The batches of one round at one institution.

    An epoch is its full batches, then the remainder batch if rows are left.

    Attributes:
        order: Row numbers in the order of training, int32[epochs, n]; None for
            the order of the table.
        num_rows: Rows of the table, int32[].
        epochs: Passes over them.
        batch_size: Rows of a full batch.
    """

    order: tf.Tensor | None
    num_rows: tf.Tensor
    epochs: int
    batch_size: int

    @property
    def full_batches(self) -> tf.Tensor:
        """Full batches of an epoch, int32[]."""
        return self.num_rows // self.batch_size

    @property
    def remaining_rows(self) -> tf.Tensor:
        """Rows of an epoch's remainder batch, int32[]; 0 if there is none."""
        return self.num_rows % self.batch_size

    @property
    def num_steps(self) -> tf.Tensor:
        """Batches of the round, int32[]."""
        return self.epochs * -(-self.num_rows // self.batch_size)

    def full_batch(self, table: Table, epoch: tf.Tensor, number: tf.Tensor) -> Table:
        """One of an epoch's full batches, with a static number of rows."""
        first, size = number * self.batch_size, self.batch_size
        if self.order is None:
            return Table(*(tf.slice(t, [first, 0], [size, t.shape[1]]) for t in table))
        rows = tf.slice(self.order, [epoch, first], [1, size])[0]
        return Table(*(tf.gather(t, rows) for t in table))

    def remainder_batch(self, table: Table, epoch: tf.Tensor) -> Table:
        """An epoch's remainder batch, of up to `batch_size - 1` rows."""
        # XLA takes the length of `where` for what it is, a number known when it
        # runs. A slice would be compiled anew for every length.
        within = tf.where(tf.range(self.batch_size) < self.remaining_rows)[:, 0]
        rows = self.full_batches * self.batch_size + tf.cast(within, tf.int32)
        if self.order is not None:
            rows = tf.gather(self.order[epoch], rows)
        return Table(*(tf.gather(t, rows) for t in table))

    def padded(self, table: Table) -> tuple["BatchPlan", Table]:
        """Plan and table with rows added that belong to no batch.

        Args:
            table: The rows that the plan is for.

        Returns:
            The plan, with as many columns of `order` as the table has rows now,
            and the table.
        """
        extra = padded_rows(self.num_rows, self.batch_size) - self.num_rows
        below = [[0, extra], [0, 0]]
        order = self.order
        if order is not None:
            order = tf.pad(order, [[0, 0], [0, extra]])
        return self._replace(order=order), Table(*(tf.pad(t, below) for t in table))


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
        orders = [self._order(num_rows, seed, epoch) for epoch in range(self.epochs)]
        return BatchPlan(
            order=tf.stack(orders) if self.shuffle else None,
            num_rows=num_rows,
            epochs=self.epochs,
            batch_size=self.batch_size,
        )

    def shard_order(self, num_shards: tf.Tensor, seed: tf.Tensor) -> tf.Tensor | None:
        """Order of an institution's shards, int32[epochs, shards]; None for theirs."""
        if not self.shuffle:
            return None
        # Beside the epochs' numbers, which order the rows.
        apart = tf.random.experimental.stateless_fold_in(seed, -1)
        orders = [self._order(num_shards, apart, e) for e in range(self.epochs)]
        return tf.stack(orders)

    def plan_of_shard(
        self,
        num_rows: tf.Tensor,
        seed: tf.Tensor,
        *,
        shard: tf.Tensor,
        epoch: tf.Tensor,
    ) -> BatchPlan:
        """Plans one pass over one of an institution's shards.

        Args:
            num_rows: Rows of the shard, int32[].
            seed: Of round and institution, int32[2].
            shard: Its number, int32[].
            epoch: The pass, int32[].

        Returns:
            The plan, of one epoch. The first shard has the order of a table that is
            in memory.
        """
        own = tf.random.experimental.stateless_fold_in(seed, -1 - shard)
        # `==` of tensors compares objects in the graphs that TFF traces.
        seed = tf.where(tf.equal(shard, 0), seed, own)
        order = self._order(num_rows, seed, epoch)[tf.newaxis] if self.shuffle else None
        return BatchPlan(
            order=order, num_rows=num_rows, epochs=1, batch_size=self.batch_size
        )

    def _order(
        self, num_rows: tf.Tensor, seed: tf.Tensor, epoch: int | tf.Tensor
    ) -> tf.Tensor:
        epoch_seed = tf.random.experimental.stateless_fold_in(seed, epoch)
        return tf.random.experimental.stateless_shuffle(tf.range(num_rows), epoch_seed)


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

"""Poisson-sampled batches: each unit is in each of them by a coin of its own.

What the accounting of DP-SGD assumes. Batches differ in size, and a unit may be in
several of them, or in none.
"""

import dataclasses
import math
from typing import NamedTuple

import tensorflow as tf

from tff_finance import checks
from tff_finance.client_work.batches import next_power_of_two, padded_rows
from tff_finance.institutions.rows import CustomerTable, Table
from tff_finance.privacy import fresh_noise
from tff_finance.privacy.clipping import Units

_SPREAD = 6.0  # standard deviations that a batch may exceed its mean by in one draw


class PoissonPlan(NamedTuple):
    """The batches of one round at one institution.

    Attributes:
        units: Of each batch, in ascending order, then -1, int32[steps, most]. Nobody
            is left out of a large batch: `most` is as large as it has to be.
        num_steps: Batches, int32[].
        expected_units: Of a batch, float32[].
        batch_size: As in `PoissonBatches`.
    """

    units: tf.Tensor
    num_steps: tf.Tensor
    expected_units: tf.Tensor
    batch_size: int

    def batch(self, table: Table | CustomerTable, step: tf.Tensor) -> Units:
        """A step's batch of units."""
        units = self.units[step]
        rows = table.rows_of_units(units)
        rows = tf.where((units >= 0)[:, tf.newaxis], rows, -tf.ones_like(rows))
        existing = tf.maximum(rows, 0)
        return Units(
            tf.gather(table.x, existing), tf.gather(table.y, existing), rows >= 0
        )

    def padded(
        self, table: Table | CustomerTable
    ) -> tuple["PoissonPlan", Table | CustomerTable]:
        """Plan and table of sizes that XLA has met before, as `BatchPlan.padded`."""
        steps = next_power_of_two(self.num_steps)
        below = [[0, steps - self.num_steps], [0, 0]]
        return (
            self._replace(units=tf.pad(self.units, below)),
            table.padded(padded_rows(table.num_rows, self.batch_size)),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoissonBatches:
    """As many steps as `LocalEpochs` has, with Poisson-sampled batches.

    Of n units each is in a batch with probability `min(1, batch_size / n)`.
    `privacy.mechanisms.PoissonSampledGaussian.of_training` is its mechanism.

    Attributes:
        epochs: A round has `epochs * ceil(n / batch_size)` steps.
        batch_size: Expected units of a batch; n if there are fewer.
    """

    epochs: int
    batch_size: int

    def __post_init__(self) -> None:
        """Refuses numbers below 1."""
        checks.check_at_least("epochs", self.epochs, 1)
        checks.check_at_least("batch_size", self.batch_size, 1)

    def plan(self, num_units: tf.Tensor, seed: tf.Tensor) -> PoissonPlan:
        """Draws a round's batches, in time proportional to what is drawn.

        From one unit of a batch to the next it is a geometric number of units.

        Args:
            num_units: Of the institution, int32[]; may be 0.
            seed: int64[2], secret: who knows the batches has no part in the
                amplification by sampling.

        Returns:
            The plan; it has no steps if there are no units.
        """
        steps = self.epochs * -(-num_units // self.batch_size)
        number = tf.cast(num_units, tf.float64)
        probability = tf.minimum(tf.constant(1.0, tf.float64), self.batch_size / number)
        width = self.batch_size + math.ceil(_SPREAD * (math.sqrt(self.batch_size) + 1))

        def draw(
            units: tf.Tensor, last: tf.Tensor, seed: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            now, later = fresh_noise.split(seed, 2)
            uniform = tf.random.stateless_uniform([steps, width], now, dtype=tf.float64)
            skipped = tf.floor(tf.math.log1p(-uniform) / tf.math.log1p(-probability))
            drawn = last[:, tf.newaxis] + tf.cumsum(skipped + 1, axis=1)
            within = tf.where(drawn < number, drawn, -tf.ones_like(drawn))
            more = tf.concat([units, tf.cast(within, tf.int32)], axis=1)
            return more, drawn[:, -1], later

        before_first = -tf.ones([steps], tf.float64)
        units, _, _ = tf.while_loop(
            lambda _, last, __: tf.reduce_any(last + 1 < number),
            draw,
            draw(tf.zeros([steps, 0], tf.int32), before_first, seed),
            shape_invariants=(
                tf.TensorShape([None, None]),
                tf.TensorShape([None]),
                tf.TensorShape([2]),
            ),
        )
        return PoissonPlan(
            units=units,
            num_steps=steps,
            expected_units=tf.cast(tf.minimum(num_units, self.batch_size), tf.float32),
            batch_size=self.batch_size,
        )

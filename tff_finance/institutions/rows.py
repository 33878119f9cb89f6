"""An institution's rows as its own graph sees them: in memory, or shard by shard."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf

from tff_finance.institutions.shards import read_shard

T = TypeVar("T")


class Table(NamedTuple):
    """Rows of an institution, or some of them.

    Attributes:
        x: Features, float32[n, features].
        y: Labels, float32[n, 1].
    """

    x: tf.Tensor
    y: tf.Tensor

    @property
    def num_rows(self) -> tf.Tensor:
        """How many, int32[]."""
        return tf.shape(self.x)[0]

    def rows_of_units(self, units: tf.Tensor) -> tf.Tensor:
        """Rows int32[units, 1] of units int32[units]: each row is one."""
        return units[:, tf.newaxis]

    def padded(self, num_rows: tf.Tensor) -> "Table":
        """With rows of zeros below, `num_rows` in all."""
        below = [[0, num_rows - self.num_rows], [0, 0]]
        return Table(*(tf.pad(t, below) for t in self))


class CustomerTable(NamedTuple):
    """Rows of an institution by the customers whose they are.

    Attributes:
        x: Features, float32[n, features].
        y: Labels, float32[n, 1].
        customer_rows: Each customer's row numbers, then -1, int32[customers, most].
    """

    x: tf.Tensor
    y: tf.Tensor
    customer_rows: tf.Tensor

    @property
    def num_rows(self) -> tf.Tensor:
        """How many customers, int32[]: they are what counts, and what is public."""
        return tf.shape(self.customer_rows)[0]

    def rows_of_units(self, units: tf.Tensor) -> tf.Tensor:
        """Rows int32[units, most], then -1, of customers int32[units]."""
        return tf.gather(self.customer_rows, tf.maximum(units, 0))

    def padded(self, num_rows: tf.Tensor) -> "CustomerTable":
        """With customers and rows added that belong to nobody."""
        most = self.customer_rows.shape[1]
        of_customers = [[0, num_rows - self.num_rows], [0, 0]]
        of_rows = [[0, num_rows * most - tf.shape(self.x)[0]], [0, 0]]
        return CustomerTable(
            tf.pad(self.x, of_rows),
            tf.pad(self.y, of_rows),
            tf.pad(self.customer_rows, of_customers, constant_values=-1),
        )


class Shards(NamedTuple):
    """Rows of an institution in files, of which one at a time is in memory.

    Attributes:
        files: Names, string[shards].
        rows: Of each shard, int64[shards].
        num_features: Width of the table.
    """

    files: tf.Tensor
    rows: tf.Tensor
    num_features: int

    @property
    def num_rows(self) -> tf.Tensor:
        """Rows of all shards, int32[]."""
        return tf.cast(tf.reduce_sum(self.rows), tf.int32)

    @property
    def num_shards(self) -> tf.Tensor:
        """How many files, int32[]; without empty ones, which only follow others."""
        return tf.math.count_nonzero(self.rows, dtype=tf.int32)

    def read(self, number: tf.Tensor) -> Table:
        """Reads one shard."""
        return Table(
            *read_shard(self.files[number], self.rows[number], self.num_features)
        )


def rows_of(element: Any, num_features: int) -> Table | CustomerTable | Shards:
    """Rows of an institution's element, or of a member of a group.

    Args:
        element: As a client's graph gets it.
        num_features: Width of the table.

    Returns:
        What its rows are in.
    """
    if "files" in element:
        return Shards(element["files"], element["rows"], num_features)
    if "customer_rows" in element:
        return CustomerTable(element["x"], element["y"], element["customer_rows"])
    if "num_rows" in element:
        number = element["num_rows"]
        return Table(element["x"][:number], element["y"][:number])
    return Table(element["x"], element["y"])


def sum_over(rows: Table | CustomerTable | Shards, sums_of: Callable[[Table], T]) -> T:
    """Sums over an institution's rows.

    Args:
        rows: The institution's.
        sums_of: Sums over the rows of a table, in any structure of tensors; of no
            rows, zeros.

    Returns:
        The sums over all rows.
    """
    if isinstance(rows, CustomerTable):
        rows = Table(rows.x, rows.y)
    if isinstance(rows, Table):
        return sums_of(rows)
    nothing = Table(tf.zeros([0, rows.num_features]), tf.zeros([0, 1]))
    _, total = tf.while_loop(
        lambda number, _: number < rows.num_shards,
        lambda number, total: (
            number + 1,
            tf.nest.map_structure(tf.add, total, sums_of(rows.read(number))),
        ),
        (tf.constant(0), sums_of(nothing)),
        parallel_iterations=1,
    )
    return total

"""Units: what a partition or a split may not tear apart."""

import dataclasses

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Units:
    """The rows of a table, or its clusters of rows, as things to be dealt out.

    Attributes:
        table: All rows.
        of_row: Each row's unit, int64[rows].
        rows: Rows of each unit, int64[units].
        labels: Each unit's label; None if no label column is named. A cluster has
            the greatest label of its rows: one default makes a defaulter.
        clusters: The column that makes clusters, None if every row is a unit.
    """

    table: pd.DataFrame
    of_row: NDArray[np.int64]
    rows: NDArray[np.int64]
    labels: NDArray | None
    clusters: str | None

    def __len__(self) -> int:
        """Number of units."""
        return len(self.rows)

    def common(self, values: NDArray[np.int64], column: str) -> NDArray[np.int64]:
        """The value that all rows of each unit share.

        Args:
            values: Of each row, int64[rows].
            column: What the values come from; for the error.

        Returns:
            int64[units].

        Raises:
            ValueError: If the rows of a unit differ.
        """
        shared = np.zeros(len(self), np.int64)
        shared[self.of_row] = values
        if np.any(torn := values != shared[self.of_row]):
            count = len(np.unique(self.of_row[torn]))
            example = self.table[self.clusters].to_numpy()[torn.argmax()]
            raise ValueError(
                f"`clusters` {self.clusters!r} must stay together, but {count} of them "
                f"have rows in several groups of {column!r}, for example {example!r}."
            )
        return shared


def units_of(
    table: pd.DataFrame, *, label: str | None = None, clusters: str | None = None
) -> Units:
    """The units of a table.

    Args:
        table: All rows.
        label: Column of labels, if there is one.
        clusters: Column whose equal values stay together; None makes every row
            a unit.

    Returns:
        The units, in the order in which they occur.

    Raises:
        ValueError: If a column is missing or has no value in some rows.
    """
    if clusters is None:
        of_row = np.arange(len(table))
    else:
        of_row, _ = pd.factorize(present(table, clusters, "clusters"))
    labels = None
    if label is not None:
        by_unit = present(table, label, "label").groupby(of_row, sort=True)
        labels = by_unit.max().to_numpy()
    return Units(
        table=table,
        of_row=of_row.astype(np.int64),
        rows=np.bincount(of_row).astype(np.int64),
        labels=labels,
        clusters=clusters,
    )


def column_of(table: pd.DataFrame, name: str, argument: str) -> pd.Series:
    """A column of a table; ValueError names the argument if there is none."""
    if name not in table.columns:
        columns = ", ".join(map(str, table.columns))
        raise ValueError(
            f"`{argument}` must be a column of the table, got {name!r}; "
            f"there are {columns}."
        )
    return table[name]


def present(table: pd.DataFrame, name: str, argument: str) -> pd.Series:
    """A column of a table that has a value in every row; else ValueError."""
    values = column_of(table, name, argument)
    if missing := int(values.isna().sum()):
        raise ValueError(
            f"`{argument}` {name!r} must have a value in every row, {missing} of "
            f"{len(table)} have none."
        )
    return values

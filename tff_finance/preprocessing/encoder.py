"""The encoder that all institutions share: standardised numbers, one-hot codes."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tff_finance import checks
from tff_finance.datasets.contract import Contract
from tff_finance.preprocessing.statistics import TableStatistics, transformed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoder:
    """Turns a validated table into `x: float32[n, features]`.

    For each numeric column: the transformed value minus mean over standard
    deviation, 0 where missing; then an indicator of missing values if any
    institution misses some. For each categorical column: one indicator per kept
    category, and one for all others together if there are others. Rows without a
    code have the category "missing". Columns for audit are no features.

    Attributes:
        contract: The columns, in encoding order.
        mean: By numeric column, after its transform.
        deviation: Standard deviation by numeric column, 1 where constant.
        with_indicator: Numeric columns that get an indicator of missing values.
        kept_categories: By categorical column, those with their own indicator.
    """

    contract: Contract
    mean: dict[str, float]
    deviation: dict[str, float]
    with_indicator: frozenset[str]
    kept_categories: dict[str, tuple[str, ...]]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the encoded columns, in order."""
        names = []
        for column in self.contract.numeric_columns:
            names.append(column.name)
            if column.name in self.with_indicator:
                names.append(f"{column.name}_missing")
        for column in self.contract.categorical_columns:
            kept = self.kept_categories[column.name]
            names += [f"{column.name}={category}" for category in kept]
            if len(kept) < len(column.levels):
                names.append(f"{column.name}=other")
        return tuple(names)

    def features(self, table: pd.DataFrame) -> np.ndarray:
        """Encodes the features of a validated table, float32[n, features]."""
        # One column at a time: all of them in float64 would take twice the memory.
        x = np.empty([len(table), len(self.feature_names)], np.float32)
        for i, values in enumerate(self._encoded_columns(table)):
            x[:, i] = values
        return x

    def labels(self, table: pd.DataFrame) -> np.ndarray:
        """The labels of a validated table, float32[n]."""
        return table[self.contract.label].to_numpy(np.float32)

    def _encoded_columns(self, table: pd.DataFrame) -> Iterator[np.ndarray]:
        """The encoded columns in the order of `feature_names`."""
        for column in self.contract.numeric_columns:
            values = transformed(table[column.name], column)
            missing = np.isnan(values)
            scaled = (values - self.mean[column.name]) / self.deviation[column.name]
            yield np.where(missing, 0.0, scaled)
            if column.name in self.with_indicator:
                yield missing
        for column in self.contract.categorical_columns:
            kept = self.kept_categories[column.name]
            codes = pd.Categorical(table[column.name], categories=list(kept)).codes
            for i in range(len(kept)):
                yield codes == i
            if len(kept) < len(column.levels):
                yield codes < 0


def encoder_from_statistics(
    statistics: TableStatistics, contract: Contract, *, min_category_rows: int = 10
) -> Encoder:
    """Fits the encoder from summable statistics alone.

    Args:
        statistics: Over the training rows of all institutions.
        contract: Names the columns.
        min_category_rows: Categories with fewer rows in all share one
            indicator: too few to learn from.

    Returns:
        The encoder.
    """
    checks.check_at_least("min_category_rows", min_category_rows, 0)
    return Encoder(
        contract=contract,
        mean=dict(statistics.mean),
        deviation={name: _deviation(statistics, name) for name in statistics.mean},
        with_indicator=frozenset(n for n, m in statistics.missing.items() if m > 0),
        kept_categories={
            name: tuple(c for c, rows in counts.items() if rows >= min_category_rows)
            for name, counts in statistics.category_counts.items()
        },
    )


def _deviation(statistics: TableStatistics, name: str) -> float:
    """Standard deviation of a column, 1 if it is constant: it becomes 0."""
    # The variance of a constant need not be 0, as the mean carries the rounding of
    # a sum; divided by that alone, the column would become 1 or -1. The limit is
    # that of scikit-learn's `StandardScaler`.
    deviation = float(np.sqrt(statistics.variance[name]))
    rounding = statistics.rows * np.finfo(np.float64).eps * abs(statistics.mean[name])
    return deviation if deviation > rounding else 1.0

"""The encoder that all institutions share: standardised numbers, one-hot codes."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

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
        return tuple(name for name, _ in self._named_features())

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """For each encoded column, the contract's column that it comes from."""
        return tuple(column for _, column in self._named_features())

    def _named_features(self) -> Iterator[tuple[str, str]]:
        for column in self.contract.numeric_columns:
            yield column.name, column.name
            if column.name in self.with_indicator:
                yield f"{column.name}_missing", column.name
        for column in self.contract.categorical_columns:
            kept = self.kept_categories[column.name]
            for category in kept:
                yield f"{column.name}={category}", column.name
            if len(kept) < len(column.levels):
                yield f"{column.name}=other", column.name

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


def encoder_to_mapping(encoder: Encoder) -> dict[str, Any]:
    """What `encoder_from_mapping` needs beside the contract; JSON can hold it."""
    return {
        "numeric": {
            column.name: {
                "mean": encoder.mean[column.name],
                "deviation": encoder.deviation[column.name],
                "indicator": column.name in encoder.with_indicator,
            }
            for column in encoder.contract.numeric_columns
        },
        "categorical": {
            column.name: list(encoder.kept_categories[column.name])
            for column in encoder.contract.categorical_columns
        },
    }


def encoder_from_mapping(mapping: Mapping[str, Any], contract: Contract) -> Encoder:
    """The encoder from what `encoder_to_mapping` gave.

    Args:
        mapping: As read back from JSON, which keeps floats to the last digit.
        contract: The contract that the encoder was fitted under.

    Returns:
        An equal encoder.

    Raises:
        ValueError: If the mapping is of other columns than the contract's, or holds
            what no fit can give.
    """
    numeric, categorical = mapping["numeric"], mapping["categorical"]
    for kind, found, columns in (
        ("numeric", numeric, contract.numeric_columns),
        ("categorical", categorical, contract.categorical_columns),
    ):
        names = [column.name for column in columns]
        if sorted(found) != sorted(names):
            raise ValueError(
                f"`{kind}` has columns {sorted(found)}, but contract "
                f"{contract.name!r} has {sorted(names)}."
            )
    for column in contract.categorical_columns:
        if extra := set(categorical[column.name]) - set(column.levels):
            raise ValueError(
                f"`categorical` of {column.name!r} has categories that the contract "
                f"doesn't have: {', '.join(sorted(extra))}."
            )
    for name, fitted in numeric.items():
        checks.check_positive(f"deviation of {name}", fitted["deviation"])
    return Encoder(
        contract=contract,
        mean={name: float(fitted["mean"]) for name, fitted in numeric.items()},
        deviation={
            name: float(fitted["deviation"]) for name, fitted in numeric.items()
        },
        with_indicator=frozenset(n for n, f in numeric.items() if f["indicator"]),
        kept_categories={name: tuple(kept) for name, kept in categorical.items()},
    )


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

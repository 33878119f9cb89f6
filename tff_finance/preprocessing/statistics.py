"""Summable statistics of the institutions' tables, computed by TFF.

Two rounds: counts and sums first, from which everybody knows the means; then
squared deviations from those means. A single round of sums of squares would
lose all digits for columns whose mean is large against their spread. What
leaves an institution is per column: a count of missing values, a sum, a sum of
squared deviations, and the count of each category.
"""

import collections
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.datasets.contract import Contract, NumericColumn
from tff_finance.runtime import attendance


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableStatistics:
    """Statistics over the rows of all institutions.

    Attributes:
        rows: Number of rows.
        missing: Missing values by numeric column.
        mean: Mean of the transformed present values by numeric column.
        variance: Their variance, division by their number.
        category_counts: Rows of each category, by categorical column.
    """

    rows: int
    missing: Mapping[str, int]
    mean: Mapping[str, float]
    variance: Mapping[str, float]
    category_counts: Mapping[str, Mapping[str, int]]


def federated_statistics(
    tables: Sequence[pd.DataFrame],
    contract: Contract,
    *,
    institutions: Sequence[str] | None = None,
) -> TableStatistics:
    """Computes the statistics over all tables without pooling a row.

    Args:
        tables: One validated table per institution; training rows.
        contract: Names the columns and their transforms.
        institutions: Whose tables they are, in the same order, for runtimes that
            run an institution where its rows may be. None if that doesn't matter.

    Returns:
        The statistics; equal to those of the pooled rows.

    Raises:
        ValueError: If a numeric column has no value at any institution.
    """
    columns = [
        _client_columns(table, contract, name)
        for table, name in zip(tables, institutions or [""] * len(tables), strict=True)
    ]
    # The second pass divides by counts of the first one.
    with attendance.everyone_needed("the encoder"):
        return _statistics(columns, contract)


def _statistics(
    columns: Sequence[tf.data.Dataset], contract: Contract
) -> TableStatistics:
    computations = _build_computations(contract)
    sums = computations.sums(columns)
    names = [column.name for column in contract.numeric_columns]
    rows, missing = int(sums["rows"]), np.asarray(sums["missing"])
    present = rows - missing
    if empty := [name for name, n in zip(names, present, strict=True) if n == 0]:
        raise ValueError(f"`tables` have no value in {', '.join(empty)}.")
    mean = np.asarray(sums["sum"]) / present
    deviations = computations.squared_deviations(mean, columns)
    return TableStatistics(
        rows=rows,
        missing=_by_name(names, missing.tolist()),
        mean=_by_name(names, mean.tolist()),
        variance=_by_name(names, (np.asarray(deviations) / present).tolist()),
        category_counts=_category_counts(sums["categories"], contract),
    )


def exchanged_types(contract: Contract) -> tuple[list[tff.Type], list[tff.Type]]:
    """Types of what each institution receives, and of what it sends, to fit."""
    computations = _build_computations(contract)
    means, _ = computations.squared_deviations.type_signature.parameter
    received = [means.member]
    sent = [
        computations.sums.type_signature.result.member,
        computations.squared_deviations.type_signature.result.member,
    ]
    return received, sent


def transformed(values: pd.Series, column: NumericColumn) -> np.ndarray:
    """A column after the contract's transform, float64[rows], NaN if missing."""
    numbers = values.to_numpy(np.float64)
    if column.transform == "log1p":
        return np.log1p(numbers)
    if column.transform == "signed_log1p":
        return np.sign(numbers) * np.log1p(np.abs(numbers))
    return numbers


@dataclasses.dataclass(frozen=True)
class _Computations:
    sums: tff.Computation
    squared_deviations: tff.Computation


def _client_columns(
    table: pd.DataFrame, contract: Contract, institution: str
) -> tf.data.Dataset:
    """One element: numbers float64[n, numeric], codes int32[n, categorical], name."""
    numbers = [transformed(table[c.name], c) for c in contract.numeric_columns]
    codes = [
        pd.Categorical(table[c.name], categories=list(c.levels)).codes
        for c in contract.categorical_columns
    ]
    rows = len(table)
    return tf.data.Dataset.from_tensors(
        collections.OrderedDict(
            numbers=np.reshape(numbers, [len(numbers), rows]).T.astype(np.float64),
            codes=np.reshape(codes, [len(codes), rows]).T.astype(np.int32),
            institution=np.array(institution.encode(), np.object_),
        )
    )


@functools.cache  # traced once for all seeds
def _build_computations(contract: Contract) -> _Computations:
    width = len(contract.numeric_columns)
    sizes = [len(column.levels) for column in contract.categorical_columns]
    data_type = tff.SequenceType(
        tff.to_type(
            collections.OrderedDict(
                numbers=(np.float64, [None, width]),
                codes=(np.int32, [None, len(sizes)]),
                institution=np.str_,
            )
        )
    )

    @tff.tensorflow.computation(data_type)
    def client_sums(dataset: Any) -> Any:
        element = dataset.get_single_element()
        numbers, codes = element["numbers"], element["codes"]
        missing = tf.math.is_nan(numbers)
        return collections.OrderedDict(
            rows=tf.shape(numbers, tf.int64)[0],
            missing=tf.reduce_sum(tf.cast(missing, tf.int64), axis=0),
            sum=tf.reduce_sum(
                tf.where(missing, tf.zeros_like(numbers), numbers), axis=0
            ),
            categories=tuple(
                tf.reduce_sum(tf.one_hot(codes[:, i], size, dtype=tf.int64), axis=0)
                for i, size in enumerate(sizes)
            ),
        )

    @tff.tensorflow.computation(tff.TensorType(np.float64, [width]), data_type)
    def client_squared_deviations(mean: Any, dataset: Any) -> Any:
        numbers = dataset.get_single_element()["numbers"]
        deviations = tf.where(
            tf.math.is_nan(numbers), tf.zeros_like(numbers), numbers - mean
        )
        return tf.reduce_sum(deviations**2, axis=0)

    @tff.federated_computation(tff.FederatedType(data_type, tff.CLIENTS))
    def sums(data: Any) -> Any:
        return tff.federated_sum(tff.federated_map(client_sums, data))

    @tff.federated_computation(
        tff.FederatedType(tff.TensorType(np.float64, [width]), tff.SERVER),
        tff.FederatedType(data_type, tff.CLIENTS),
    )
    def squared_deviations(mean: Any, data: Any) -> Any:
        arguments = (tff.federated_broadcast(mean), data)
        return tff.federated_sum(
            tff.federated_map(client_squared_deviations, arguments)
        )

    return _Computations(sums, squared_deviations)


def _category_counts(
    counts: Sequence[np.ndarray], contract: Contract
) -> Mapping[str, Mapping[str, int]]:
    return {
        column.name: _by_name(column.levels, np.asarray(numbers).tolist())
        for column, numbers in zip(contract.categorical_columns, counts, strict=True)
    }


def _by_name(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))

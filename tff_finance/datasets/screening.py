"""Screening: which rows of a table keep the contract, and what is wrong with others.

The rules are those of validation, applied row by row. A table that is scored
may be too large for memory, so it comes in parts, and faults of parts add up.
"""

import collections
import dataclasses
import numbers
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tff_finance.datasets.columns import NumericColumn
from tff_finance.datasets.door import Door
from tff_finance.datasets.faults import Fault, column_label, fault_of, shown_value
from tff_finance.datasets.rules import NUMBERS, Rule


@dataclasses.dataclass(frozen=True, kw_only=True)
class Screened:
    """The rows of a table, or of a part of one, told apart.

    Attributes:
        features: Features of the rows that keep the contract, in contract order.
        kept: Which rows these are, bool[rows].
        faults: One per column and broken rule; rows are counted within the part.
        reasons: By position of a row that is not kept, what is wrong with it.
    """

    features: pd.DataFrame
    kept: NDArray[np.bool_]
    faults: tuple[Fault, ...]
    reasons: dict[int, list[str]]


class FaultTally:
    """Faults of a table's parts, added up."""

    def __init__(self) -> None:
        """Starts without a fault."""
        self._faults: dict[tuple[str, str], Fault] = {}

    def add(self, faults: tuple[Fault, ...], *, rows_before: int) -> None:
        """Adds a part's faults.

        Args:
            faults: Of the part, rows counted within it.
            rows_before: Rows of the table before the part.
        """
        for fault in faults:
            key = fault.column, fault.rule
            seen = self._faults.get(key)
            self._faults[key] = (
                dataclasses.replace(seen, rows=seen.rows + fault.rows)
                if seen
                else dataclasses.replace(fault, first=fault.first + rows_before)
            )

    @property
    def lines(self) -> list[str]:
        """One line per column and broken rule."""
        return [str(fault) for fault in self._faults.values()]


def screen(arrived: pd.DataFrame, door: Door) -> Screened:
    """Screens a table that has all columns once.

    Args:
        arrived: As `Door.renamed` returned it.
        door: Has the rules.

    Returns:
        The rows told apart.
    """
    numeric = [c for c in door.columns if isinstance(c, NumericColumn)]
    no_numbers = {c.name: _no_numbers(arrived[c.name], c) for c in numeric}
    cleared = arrived.copy(deep=False)
    for name, broken in no_numbers.items():
        if broken.any():
            cleared[name] = arrived[name].mask(broken)
    prepared = door.in_contract_units(_with_number_types(cleared, numeric))
    prepared = _with_number_types(prepared, numeric)
    found = list(_broken(door, prepared, no_numbers))
    kept = np.ones(len(arrived), bool)
    reasons: dict[int, list[str]] = collections.defaultdict(list)
    for name, rule, broken in found:
        kept &= ~broken
        label = column_label(door, name)
        for row in np.flatnonzero(broken):
            value = shown_value(door, name, arrived[name].iloc[row])
            got = f", got {value}" if value else ""
            reasons[int(row)].append(f"{label}: {rule.text}{got}")
    return Screened(
        features=door.admitted(prepared.loc[kept])[[c.name for c in door.columns]],
        kept=kept,
        faults=tuple(
            fault_of(door, name, rule, broken, arrived[name])
            for name, rule, broken in found
        ),
        reasons=dict(reasons),
    )


def _broken(
    door: Door, prepared: pd.DataFrame, no_numbers: dict[str, NDArray[np.bool_]]
) -> Iterator[tuple[str, Rule, NDArray[np.bool_]]]:
    """Each rule that some rows break, and which."""
    for name, rules in door.rules().items():
        odd = no_numbers.get(name, np.zeros(len(prepared), bool))
        for rule in rules:
            # What is no number has been cleared: it is neither missing nor too large.
            broken = odd if rule is NUMBERS else rule.broken(prepared[name]) & ~odd
            if broken.any():
                yield name, rule, broken


def _no_numbers(values: pd.Series, column: NumericColumn) -> NDArray[np.bool_]:
    """Where a value is neither a number nor missing, bool[rows]."""
    if pd.api.types.is_numeric_dtype(values):
        return np.zeros(len(values), bool)
    is_number = values.map(lambda value: isinstance(value, numbers.Number))
    other = values.notna() & ~is_number.astype(bool)
    return (other & ~values.isin(list(column.missing_values))).to_numpy()


def _with_number_types(
    table: pd.DataFrame, columns: list[NumericColumn]
) -> pd.DataFrame:
    """The table, float64 where a column of numbers has only numbers left."""
    typed = table.copy(deep=False)
    for column in columns:
        values = table[column.name]
        if pd.api.types.is_numeric_dtype(values):
            continue
        is_number = values.map(lambda value: isinstance(value, numbers.Number))
        if (values.isna() | is_number.astype(bool)).all():
            typed[column.name] = pd.to_numeric(values.astype(object)).astype(float)
    return typed

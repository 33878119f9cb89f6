"""Faults of a table in words: column, number of rows, an example and its row."""

import dataclasses
import numbers
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pandas as pd

from tff_finance.datasets.door import Door
from tff_finance.datasets.near_misses import did_you_mean
from tff_finance.datasets.rules import NUMBERS, PRESENT, Rule

_LONGEST_EXAMPLE = 60


class ContractError(ValueError):
    """A table that breaks its contract; the message lists all faults.

    Attributes:
        institution: Whose table it is.
        contract: Name of the contract.
        faults: One line per column and broken rule.
    """

    def __init__(
        self,
        institution: str,
        contract: str,
        faults: Sequence[str],
        *,
        source: str = "",
    ) -> None:
        """Joins the faults into one message.

        Args:
            institution: Whose table it is; "" if nobody's in particular.
            contract: Name of the contract.
            faults: One line per column and broken rule.
            source: The file that the table was read from.
        """
        self.institution, self.contract = institution, contract
        self.faults = tuple(faults)
        lines = "\n  ".join(faults)
        whose = f" of {institution!r}" if institution else ""
        file = f", {source}," if source and whose else f" {source}" if source else ""
        super().__init__(
            f"Table{whose}{file} breaks contract {contract!r}:\n  {lines}\n"
            "Rows are counted from 1, without a header."
        )


def fault_lines(
    cases: pd.DataFrame,
    door: Door,
    arrived: pd.DataFrame,
    prepared: pd.DataFrame,
    known: Collection[str],
) -> Iterator[str]:
    """One line per column that can't be found, then per column and broken rule.

    Args:
        cases: Pandera's failure cases.
        door: Has the rules.
        arrived: The rows as they arrived, under the contract's names.
        prepared: The same, as pandera saw them.
        known: Names of all columns of the institution's table.

    Yields:
        Each fault; the example is the value that the institution's table holds.
    """
    yield from column_faults(door, arrived, known)
    twice = set(arrived.columns[arrived.columns.duplicated()])
    found = set(zip(cases["column"], cases["check"], strict=True))
    for name, rules in door.rules().items():
        if name in twice:
            continue
        if (name, NUMBERS.text) in found:
            text = f"{NUMBERS.text}; {_example_of_type(prepared[name])}"
            yield f"{column_label(door, name)}: {text}"
            continue
        for rule in rules:
            if (name, rule.text) in found:
                broken = rule.broken(prepared[name])
                yield str(fault_of(door, name, rule, broken, arrived[name]))


def column_faults(
    door: Door, arrived: pd.DataFrame, known: Collection[str]
) -> Iterator[str]:
    """One line per column that is absent or there more than once.

    Args:
        door: Has the columns.
        arrived: The rows as they arrived, under the contract's names.
        known: Names of all columns of the institution's table.

    Yields:
        Each fault. A missing column that is to be renamed is none of them:
        `Door.rename_faults` names it.
    """
    twice = set(arrived.columns[arrived.columns.duplicated()])
    for column in door.checked:
        name = column.name
        label = column_label(door, name)
        if name in twice:
            yield f"{label}: is in the table more than once"
        elif name not in arrived.columns and door.form.source_name(name) == name:
            yield f"{label}: is not in the table{did_you_mean(name, known)}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """Rows that break a rule of one column.

    Attributes:
        column: The column, as `column_label` names it.
        rule: What must hold, in words.
        rows: How many rows break it.
        first: The first of them, counted from 1.
        example: The value there; "" if it is missing.
    """

    column: str
    rule: str
    rows: int
    first: int
    example: str

    def __str__(self) -> str:
        """The line of an error."""
        word = "missing" if self.rule == PRESENT.text else "not"
        text = f"{self.column}: {self.rule}; {_rows(self.rows)} {word}"
        if not self.example:
            return f"{text}, the first is row {self.first}"
        return f"{text}, for example {self.example} in row {self.first}"


def fault_of(
    door: Door,
    name: str,
    rule: Rule,
    broken: np.ndarray,
    values: pd.Series,
) -> Fault:
    """The fault of a column that breaks a rule.

    Args:
        door: Has the institution's format.
        name: The contract's name of the column.
        rule: The rule.
        broken: Where the column breaks it, bool[rows]; somewhere.
        values: The column as it arrived.

    Returns:
        The fault, with the first broken row as its example.
    """
    first = int(broken.argmax())
    return Fault(
        column=column_label(door, name),
        rule=rule.text,
        rows=int(broken.sum()),
        first=first + 1,
        example=shown_value(door, name, values.iloc[first]),
    )


def column_label(door: Door, name: str) -> str:
    """A column by the contract's name, and by the institution's if it differs."""
    source = door.form.source_name(name)
    return f"column {name!r}" + (f" ({source!r})" if source != name else "")


def shown_value(door: Door, name: str, value: object) -> str:
    """A value as the institution's table holds it; "" if it is missing."""
    if pd.isna(value):  # pyright: ignore[reportArgumentType, reportCallIssue]
        return ""
    factor = door.form.factor.get(name)
    return _shown(value) + ("" if factor is None else f" times {factor:g}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_EXAMPLE else text[:_LONGEST_EXAMPLE] + "..."


def _example_of_type(values: pd.Series) -> str:
    text = f"{_rows(len(values))} of type {values.dtype}"
    is_number = values.map(lambda value: isinstance(value, numbers.Number))
    odd = (values.notna() & ~is_number.astype(bool)).to_numpy()
    if not odd.any():
        return text
    first = int(odd.argmax())
    example = f"for example {_shown(values.iloc[first])} in row {first + 1}"
    return f"{text}, {example} ({_rows(int(odd.sum()))} no number)"


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"

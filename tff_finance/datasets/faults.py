"""Faults of a table in words: column, number of rows, an example and its row."""

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
            institution: Whose table it is.
            contract: Name of the contract.
            faults: One line per column and broken rule.
            source: The file that the table was read from.
        """
        self.institution, self.contract = institution, contract
        self.faults = tuple(faults)
        lines = "\n  ".join(faults)
        file = f", {source}," if source else ""
        super().__init__(
            f"Table of {institution!r}{file} breaks contract {contract!r}:\n  {lines}\n"
            "Rows are counted from 1, without a header."
        )


def fault_lines(
    cases: pd.DataFrame,
    door: Door,
    arrived: pd.DataFrame,
    prepared: pd.DataFrame,
    known: Collection[str],
) -> Iterator[str]:
    """One line per column and broken rule, in the order of the contract.

    Args:
        cases: Pandera's failure cases.
        door: Has the rules.
        arrived: The rows as they arrived, under the contract's names.
        prepared: The same, as pandera saw them.
        known: Names of all columns of the institution's table.

    Yields:
        Each fault; the example is the value that the institution's table holds.
    """
    absent = set(cases.loc[cases["check"] == "column_in_dataframe", "failure_case"])
    twice = set(arrived.columns[arrived.columns.duplicated()])
    found = set(zip(cases["column"], cases["check"], strict=True))
    for name, rules in door.rules().items():
        source = door.form.source_name(name)
        column = f"column {name!r}" + (f" ({source!r})" if source != name else "")
        if name in absent:
            # Where a column is missing that is to be renamed, that has been said.
            if source == name:
                yield f"{column}: is not in the table{did_you_mean(name, known)}"
        elif name in twice:
            yield f"{column}: is in the table more than once"
        elif (name, NUMBERS.text) in found:
            yield f"{column}: {NUMBERS.text}; {_example_of_type(prepared[name])}"
        else:
            for rule in rules:
                if (name, rule.text) in found:
                    broken = rule.broken(prepared[name])
                    factor = door.form.factor.get(name)
                    yield f"{column}: " + _broken(rule, broken, arrived[name], factor)


def _broken(
    rule: Rule, broken: np.ndarray, values: pd.Series, factor: float | None
) -> str:
    count, first = int(broken.sum()), int(broken.argmax())
    word = "missing" if rule is PRESENT else "not"
    text = f"{rule.text}; {_rows(count)} {word}"
    if pd.isna(values.iloc[first]):
        return f"{text}, the first is row {first + 1}"
    times = "" if factor is None else f" times {factor:g}"
    example = f"{_shown(values.iloc[first])}{times}"
    return f"{text}, for example {example} in row {first + 1}"


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

"""Faults of a table in words: column, number of rows, an example and its row."""

import numbers
from collections.abc import Collection, Iterator, Sequence

import pandas as pd

from tff_finance.datasets.institution_format import InstitutionFormat
from tff_finance.datasets.near_misses import did_you_mean

NOT_A_NUMBER = "must be a number"
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
    table: pd.DataFrame,
    form: InstitutionFormat,
    known: Collection[str],
) -> Iterator[str]:
    """One line per column and broken check of pandera's failure cases.

    Args:
        cases: Pandera's failure cases; their index counts the rows from 0.
        table: The rows as they arrived, under the contract's names.
        form: How the institution's tables differ.
        known: Names of all columns of the institution's table.

    Yields:
        Each fault; the example is the value that the institution's table holds.
    """
    absent = cases.loc[cases["check"] == "column_in_dataframe", "failure_case"]
    for name in absent:
        # Where a column is missing that is to be renamed, that has been said.
        if form.source_name(name) == name:
            yield f"column {name!r}: is not in the table{did_you_mean(name, known)}"
    twice = set(table.columns[table.columns.duplicated()])
    for name in sorted(twice):
        yield f"{_column(name, form)}: is in the table more than once"
    not_numbers = set(cases.loc[cases["check"] == NOT_A_NUMBER, "column"]) - twice
    present = cases[~cases["column"].isin(twice)]
    for (name, check), group in present.groupby(["column", "check"], sort=False):
        column = _column(name, form)
        if check == NOT_A_NUMBER:
            yield f"{column}: {check}; {_example_of_type(table[name])}"
        elif name in not_numbers:
            continue  # a range check of text says nothing new
        else:
            first = int(group["index"].min())
            value, row = table[name].iloc[first], f"in row {first + 1}"
            if check != "not_nullable":
                example = f"for example {_shown(value)}{_factor(name, form)} {row}"
                yield f"{column}: {check}; {_rows(len(group))} not, {example}"
            elif pd.isna(value):
                yield (
                    f"{column}: must not be missing; {_rows(len(group))} missing, "
                    f"the first is row {first + 1}"
                )
            else:
                yield (
                    f"{column}: must not be missing; {_rows(len(group))} missing, "
                    f"for example {_shown(value)} {row}"
                )


def _column(name: str, form: InstitutionFormat) -> str:
    source = form.source_name(name)
    return f"column {name!r}" + (f" ({source!r})" if source != name else "")


def _factor(name: str, form: InstitutionFormat) -> str:
    return f" times {form.factor[name]:g}" if name in form.factor else ""


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
    return f"{text}, for example {_shown(values.iloc[first])} in row {first + 1}"


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"

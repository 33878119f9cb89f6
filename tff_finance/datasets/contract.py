"""The feature contract: columns, units and label that all institutions agreed on.

A table is validated against its contract once, when it enters; everything
behind that door may rely on it. Validation finds all faults of a table in one
pass (pandera) and changes nothing: no value is coerced and no row dropped.
"""

import dataclasses
import numbers
from collections.abc import Iterator
from typing import Literal, get_args

import pandas as pd
import pandera.errors
import pandera.pandas as pa

from tff_finance import checks

Transform = Literal["identity", "log1p"]
_NOT_A_NUMBER = "must be a number"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumericColumn:
    """A column of numbers.

    Attributes:
        name: Column name in the table.
        unit: What one unit of the value is, for example "EUR per year".
        description: What the column says about a customer.
        minimum: Smallest allowed value.
        maximum: Largest allowed value.
        allow_missing: Whether a value may be missing (NaN). The encoder then
            adds an indicator, so that a model can tell missing from average.
        transform: Applied before standardisation; agreed in the contract, not
            fitted. "log1p" suits amounts with a long tail.
    """

    name: str
    unit: str
    description: str
    minimum: float
    maximum: float
    allow_missing: bool = False
    transform: Transform = "identity"

    def __post_init__(self) -> None:
        """Refuses an empty range, and one in which the transform is undefined."""
        if not self.minimum <= self.maximum:
            raise ValueError(
                f"`minimum` of column {self.name!r} must not exceed `maximum`, got "
                f"{self.minimum} and {self.maximum}."
            )
        checks.check_one_of("transform", self.transform, get_args(Transform))
        if self.transform == "log1p" and self.minimum <= -1:
            raise ValueError(
                f"`minimum` of column {self.name!r} must exceed -1 for log1p, "
                f"got {self.minimum}."
            )

    def schema(self) -> pa.Column:
        """The pandera column that enforces this one."""
        return pa.Column(
            checks=[
                pa.Check(pd.api.types.is_numeric_dtype, error=_NOT_A_NUMBER),
                pa.Check(
                    lambda values: values.between(self.minimum, self.maximum),
                    error=f"must be between {self.minimum:g} and {self.maximum:g} "
                    f"{self.unit}",
                ),
            ],
            nullable=self.allow_missing,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CategoricalColumn:
    """A column of codes.

    Attributes:
        name: Column name in the table.
        description: What the column says about a customer.
        categories: All values that the institutions agreed on.
    """

    name: str
    description: str
    categories: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuses categories that are missing or named twice."""
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise ValueError(
                f"`categories` of column {self.name!r} must be distinct values, got "
                f"{self.categories}."
            )

    def schema(self) -> pa.Column:
        """The pandera column that enforces this one."""
        allowed = ", ".join(self.categories)
        return pa.Column(
            checks=[
                pa.Check(
                    lambda values: values.isin(self.categories),
                    error=f"must be one of {allowed}",
                )
            ],
            nullable=False,
        )


Column = NumericColumn | CategoricalColumn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contract:
    """What every institution's table looks like.

    Attributes:
        name: Short name of the contract.
        columns: Features, in the order in which the encoder takes them.
        label: Name of the label column; its values are 0 and 1.
        label_meaning: What label 1 stands for.
    """

    name: str
    columns: tuple[Column, ...]
    label: str
    label_meaning: str

    def __post_init__(self) -> None:
        """Refuses a name that occurs twice."""
        names = [column.name for column in self.columns] + [self.label]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"`columns` names {', '.join(twice)} more than once.")

    @property
    def numeric_columns(self) -> tuple[NumericColumn, ...]:
        """The columns of numbers, in contract order."""
        return tuple(c for c in self.columns if isinstance(c, NumericColumn))

    @property
    def categorical_columns(self) -> tuple[CategoricalColumn, ...]:
        """The columns of codes, in contract order."""
        return tuple(c for c in self.columns if isinstance(c, CategoricalColumn))

    def validate(self, table: pd.DataFrame, *, institution: str) -> pd.DataFrame:
        """Checks a table and returns the contract's columns of it.

        Args:
            table: One institution's rows. Columns beyond the contract are left
                out of the result.
            institution: Named in the error.

        Returns:
            The features in contract order, then the label; values unchanged.

        Raises:
            ContractError: Lists every fault with institution, column, number
                of rows and an example value.
        """
        columns = {column.name: column.schema() for column in self.columns}
        columns[self.label] = pa.Column(
            checks=[
                pa.Check(lambda values: values.isin((0, 1)), error="must be 0 or 1")
            ],
            nullable=False,
        )
        named = table.loc[:, table.columns.isin(list(columns))]
        # One of two columns of the same name would have to be chosen.
        schema = pa.DataFrameSchema(columns, unique_column_names=True)
        try:
            schema.validate(named, lazy=True)
        except pandera.errors.SchemaErrors as error:
            faults = list(_faults(error.failure_cases, named))
            raise ContractError(institution, self.name, faults) from error
        return named[list(columns)]


class ContractError(ValueError):
    """A table that breaks its contract; the message lists all faults."""

    def __init__(self, institution: str, contract: str, faults: list[str]) -> None:
        """Keeps the faults and joins them into one message."""
        self.faults = tuple(faults)
        lines = "\n  ".join(faults)
        super().__init__(
            f"Table of {institution!r} breaks contract {contract!r}:\n  {lines}"
        )


def _faults(cases: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    """One line per column and broken check of pandera's failure cases."""
    absent = cases.loc[cases["check"] == "column_in_dataframe", "failure_case"]
    for name in absent:
        yield f"column {name!r}: is not in the table"
    twice = set(table.columns[table.columns.duplicated()])
    for name in sorted(twice):
        yield f"column {name!r}: is in the table more than once"
    not_numbers = set(cases.loc[cases["check"] == _NOT_A_NUMBER, "column"]) - twice
    present = cases[~cases["column"].isin(twice)]
    for (name, check), group in present.groupby(["column", "check"], sort=False):
        if check == _NOT_A_NUMBER:
            yield f"column {name!r}: {check}; {_example_of_type(table[name])}"
        elif name in not_numbers:
            continue  # a range check of text says nothing new
        elif check == "not_nullable":
            yield f"column {name!r}: must not be missing; {_rows(len(group))} missing"
        else:
            yield (
                f"column {name!r}: {check}; {_rows(len(group))} not, "
                f"for example {group['failure_case'].iloc[0]!r}"
            )


def _example_of_type(values: pd.Series) -> str:
    text = f"{_rows(len(values))} of type {values.dtype}"
    is_number = values.map(lambda value: isinstance(value, numbers.Number))
    odd = values[values.notna() & ~is_number.astype(bool)]
    return text + (f", for example {odd.iloc[0]!r}" if len(odd) else "")


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"

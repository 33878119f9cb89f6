"""The feature contract: columns, units and label that all institutions agreed on.

A table is validated against its contract once, when it enters; everything
behind that door may rely on it. Validation finds all faults of a table in one
pass (pandera). No row is dropped, and a value changes only where the contract
says so: an institution's names, units and codes become the contract's, values
that mean "missing" become missing, and the label becomes 0 or 1.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping

import pandas as pd
import pandera.errors

from tff_finance.datasets.columns import (
    CategoricalColumn,
    Column,
    LabelColumn,
    NumericColumn,
)
from tff_finance.datasets.door import Door
from tff_finance.datasets.faults import (
    ContractError,
    column_faults,
    fault_lines,
)
from tff_finance.datasets.institution_format import InstitutionFormat
from tff_finance.datasets.screening import Screened, screen

__all__ = ["CategoricalColumn", "Column", "Contract", "ContractError", "NumericColumn"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contract:
    """What every institution's table looks like.

    Attributes:
        name: Short name of the contract.
        columns: Features, in the order in which the encoder takes them, and
            columns for audit.
        label: Name of the label column.
        label_meaning: What label 1 stands for.
        positive: The tables' value for label 1: an integer, compared as a
            number, or a text, compared with the value's text.
        negative: The tables' value for label 0.
        forbidden: Why by column: it leaks the label or identifies a customer.
        formats: How an institution's tables differ, by its name.
    """

    name: str
    columns: tuple[Column, ...]
    label: str
    label_meaning: str
    positive: int | str = 1
    negative: int | str = 0
    forbidden: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    formats: Mapping[str, InstitutionFormat] = dataclasses.field(
        default_factory=dict, hash=False
    )

    def __post_init__(self) -> None:
        """Refuses what contradicts itself; the message lists all of it."""
        if faults := list(self._faults()):
            raise ValueError("\n".join(faults))

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that models see, in contract order."""
        return tuple(c for c in self.columns if c.use == "feature")

    @property
    def audit_columns(self) -> tuple[Column, ...]:
        """The columns kept for reporting only, in contract order."""
        return tuple(c for c in self.columns if c.use == "audit")

    @property
    def numeric_columns(self) -> tuple[NumericColumn, ...]:
        """The features that are numbers, in contract order."""
        return tuple(c for c in self.features if isinstance(c, NumericColumn))

    @property
    def categorical_columns(self) -> tuple[CategoricalColumn, ...]:
        """The features that are codes, in contract order."""
        return tuple(c for c in self.features if isinstance(c, CategoricalColumn))

    def format_of(self, institution: str) -> InstitutionFormat:
        """How the institution's tables differ; not at all unless agreed."""
        return self.formats.get(institution, InstitutionFormat())

    def target_of(self, institution: str) -> str:
        """What label 1 of the institution's tables stands for."""
        return self.format_of(institution).label_meaning or self.label_meaning

    def validate(
        self,
        table: pd.DataFrame,
        *,
        institution: str,
        other_columns: Collection[str] = (),
    ) -> pd.DataFrame:
        """Checks a table and returns the contract's columns of it.

        Codes are compared by their text: the integer 1, and 1.0 in a column of
        floats, is "1". A column of codes that held texts still does; any other
        becomes a pandas categorical of `CategoricalColumn.levels`.

        Args:
            table: One institution's rows, in its own format. Columns beyond the
                contract are left out of the result.
            institution: Names the format, and is named in the error.
            other_columns: Names of columns that were not read from the file;
                they help to tell what a column that is not there may be called.

        Returns:
            The features in contract order, the label as int64 0 or 1, then the
            columns for audit. The index is the table's.

        Raises:
            ContractError: Lists every fault with institution, column, number
                of rows, an example value and the first row, counted from 1.
        """
        door = Door(self.columns, self._label_column, self.format_of(institution))
        arrived = door.renamed(table)
        prepared = door.in_contract_units(arrived)
        known = {*map(str, table.columns), *other_columns}
        faults = list(door.rename_faults(known))
        try:
            door.schema().validate(prepared, lazy=True)
        except pandera.errors.SchemaErrors as error:
            faults += fault_lines(error.failure_cases, door, arrived, prepared, known)
        if faults:
            raise ContractError(institution, self.name, faults)
        valid = door.admitted(prepared)
        order = [*self.features, self._label_column, *self.audit_columns]
        return valid[[column.name for column in order]]

    def screen(
        self,
        table: pd.DataFrame,
        *,
        institution: str,
        other_columns: Collection[str] = (),
    ) -> Screened:
        """Tells rows that can be scored from those that break the contract.

        Unlike `validate` it needs neither the label nor columns for audit, and
        judges row by row, so that a table may come in parts.

        Args:
            table: One institution's rows, in its own format.
            institution: Names the format, and is named in the error.
            other_columns: As for `validate`.

        Returns:
            The features of the rows that keep the contract, as `validate` gives
            them, and the faults of all others.

        Raises:
            ContractError: If a feature's column is missing or there twice.
        """
        door = Door(self.features, None, self.format_of(institution))
        known = {*map(str, table.columns), *other_columns}
        arrived = door.renamed(table)
        faults = [
            *door.rename_faults(known),
            *column_faults(door, arrived, known),
        ]
        if faults:
            raise ContractError(institution, self.name, faults)
        return screen(arrived, door)

    @property
    def _label_column(self) -> LabelColumn:
        return LabelColumn(
            name=self.label, positive=self.positive, negative=self.negative
        )

    def _faults(self) -> Iterator[str]:
        names = [column.name for column in self.columns] + [self.label]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield f"`columns` names {', '.join(twice)} more than once."
        if not self.features:
            yield "`columns` must have a feature."
        for name, reason in self.forbidden.items():
            if name in names:
                yield f"`columns` names {name!r}, which is forbidden: {reason}."
        try:
            label = self._label_column
        except ValueError as error:
            yield str(error)
            return
        for institution, form in self.formats.items():
            for fault in form.faults(self.columns, label, self.forbidden):
                yield f"`formats` of {institution!r}: {fault}"

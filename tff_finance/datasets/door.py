"""The door through which one institution's table enters: what is checked there.

A table is renamed and brought to the contract's units, checked while its codes
are still the institution's own, and only then translated: a translation of
codes that were all checked has no unmapped case.
"""

import dataclasses
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pandas as pd
import pandera.pandas as pa

from tff_finance.datasets.code_texts import code_texts
from tff_finance.datasets.columns import (
    MISSING,
    CategoricalColumn,
    Column,
    LabelColumn,
    NumericColumn,
)
from tff_finance.datasets.institution_format import InstitutionFormat
from tff_finance.datasets.near_misses import did_you_mean
from tff_finance.datasets.rules import NUMBERS, PRESENT, Rule, between, one_of


@dataclasses.dataclass(frozen=True)
class Door:
    """What happens to one institution's tables.

    Attributes:
        columns: Columns of the contract: all, or the features where rows are
            scored.
        label: Its label column; None where rows are scored, which have none yet.
        form: How the institution's tables differ.
    """

    columns: Sequence[Column]
    label: LabelColumn | None
    form: InstitutionFormat

    @property
    def checked(self) -> tuple[Column | LabelColumn, ...]:
        """All columns that a table must have."""
        return (*self.columns, *([self.label] if self.label else []))

    def renamed(self, table: pd.DataFrame) -> pd.DataFrame:
        """The contract's columns of a table, under the contract's names."""
        renamed = table.rename(columns=dict(self.form.rename))
        names = [column.name for column in self.checked]
        return renamed.loc[:, renamed.columns.isin(names)]

    def rename_faults(self, known: Collection[str]) -> Iterator[str]:
        """One line per column that should be renamed and isn't in the table."""
        names = [column.name for column in self.checked]
        for source, target in self.form.rename.items():
            if source not in known and target in names:
                yield (
                    f"column {source!r}: is not in the table, but is to be renamed "
                    f"to {target!r}{did_you_mean(source, known)}"
                )

    def in_contract_units(self, table: pd.DataFrame) -> pd.DataFrame:
        """Numbers in the contract's units, codes as texts, missing ones missing.

        Args:
            table: As `renamed` returned it.

        Returns:
            The same rows; values that can't be brought there stay as they are.
        """
        prepared = table.copy(deep=False)
        # A column that occurs twice is a fault, and is left as it is.
        once = set(table.columns[~table.columns.duplicated(keep=False)])
        for column in self.checked:
            if column.name in once:
                prepared[column.name] = self._prepared(table[column.name], column)
        return prepared

    def rules(self) -> dict[str, list[Rule]]:
        """By column, the rules of a table that `in_contract_units` returned."""
        rules = {}
        for column in self.checked:
            if isinstance(column, NumericColumn):
                limits = between(column.minimum, column.maximum, column.unit)
                rules[column.name] = [NUMBERS, limits]
            else:
                rules[column.name] = [self._listed(column)]
            if isinstance(column, LabelColumn) or not column.allow_missing:
                rules[column.name].append(PRESENT)
        return rules

    def schema(self) -> pa.DataFrameSchema:
        """The pandera schema of these rules."""
        columns = {
            name: pa.Column(checks=[rule.check() for rule in rules], nullable=True)
            for name, rules in self.rules().items()
        }
        # One of two columns of the same name would have to be chosen.
        return pa.DataFrameSchema(columns, unique_column_names=True)

    def admitted(self, table: pd.DataFrame) -> pd.DataFrame:
        """Translates the codes of a table that keeps the schema."""
        admitted = table.copy(deep=False)
        for column in self.columns:
            if isinstance(column, CategoricalColumn):
                admitted[column.name] = self._levels(table[column.name], column)
        if self.label:
            admitted[self.label.name] = self._labels(table, self.label)
        return admitted

    def _labels(self, table: pd.DataFrame, label: LabelColumn) -> pd.Series:
        """Checked labels as 0 or 1."""
        codes = self.form.codes.get(label.name)
        if codes is not None:
            positive = [c for c, v in codes.items() if v == str(label.positive)]
        else:
            positive = [label.positive]
        return table[label.name].isin(positive).astype(np.int64)

    def _prepared(self, values: pd.Series, column: Column | LabelColumn) -> pd.Series:
        if isinstance(column, NumericColumn):
            numbers = _without(values, column.missing_values).infer_objects()
            factor = self.form.factor.get(column.name)
            if factor is None or not pd.api.types.is_numeric_dtype(numbers):
                return numbers
            return numbers * factor
        if isinstance(column, CategoricalColumn):
            return _without(code_texts(values), column.missing_values)
        is_text = isinstance(column.positive, str) or column.name in self.form.codes
        return code_texts(values) if is_text else values

    def _listed(self, column: CategoricalColumn | LabelColumn) -> Rule:
        codes = self.form.codes.get(column.name)
        if codes is not None:
            text = f"must be a code that its format maps, {', '.join(codes)}"
            return one_of(codes, text)
        if isinstance(column, CategoricalColumn):
            return one_of(column.levels, f"must be one of {', '.join(column.levels)}")
        values = (column.negative, column.positive)
        return one_of(values, "must be {} or {}".format(*values))

    def _levels(self, texts: pd.Series, column: CategoricalColumn) -> pd.Series:
        """Checked codes as the contract's levels."""
        codes = self.form.codes.get(column.name)
        if codes is None and texts.dtype == object and not texts.hasnans:
            return texts
        if codes is not None:
            texts = texts.map(codes)
        levels = pd.CategoricalDtype(list(column.levels))
        translated = texts.astype(levels)
        return translated.fillna(MISSING) if column.allow_missing else translated


def _without(values: pd.Series, missing: Sequence[float | str]) -> pd.Series:
    """The values, missing where they are one of `missing`."""
    if pd.api.types.is_numeric_dtype(values):
        missing = [code for code in missing if not isinstance(code, str)]
    found = values.isin(list(missing))
    return values.mask(found) if found.any() else values

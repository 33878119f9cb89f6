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
from tff_finance.datasets.faults import NOT_A_NUMBER
from tff_finance.datasets.institution_format import InstitutionFormat
from tff_finance.datasets.near_misses import did_you_mean


@dataclasses.dataclass(frozen=True)
class Door:
    """What happens to one institution's tables.

    Attributes:
        columns: All columns of the contract.
        label: Its label column.
        form: How the institution's tables differ.
    """

    columns: Sequence[Column]
    label: LabelColumn
    form: InstitutionFormat

    def renamed(self, table: pd.DataFrame) -> pd.DataFrame:
        """The contract's columns of a table, under the contract's names."""
        renamed = table.rename(columns=dict(self.form.rename))
        names = [column.name for column in (*self.columns, self.label)]
        return renamed.loc[:, renamed.columns.isin(names)]

    def rename_faults(self, known: Collection[str]) -> Iterator[str]:
        """One line per column that should be renamed and isn't in the table."""
        for source, target in self.form.rename.items():
            if source not in known:
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
        for column in (*self.columns, self.label):
            if column.name in once:
                prepared[column.name] = self._prepared(table[column.name], column)
        return prepared

    def schema(self) -> pa.DataFrameSchema:
        """The pandera schema of a table that `in_contract_units` returned."""
        columns = {column.name: self._column_schema(column) for column in self.columns}
        columns[self.label.name] = self._label_schema()
        # One of two columns of the same name would have to be chosen.
        return pa.DataFrameSchema(columns, unique_column_names=True)

    def admitted(self, table: pd.DataFrame) -> pd.DataFrame:
        """Translates the codes of a table that keeps the schema."""
        admitted = table.copy(deep=False)
        for column in self.columns:
            if isinstance(column, CategoricalColumn):
                admitted[column.name] = self._levels(table[column.name], column)
        labels, codes = table[self.label.name], self.form.codes.get(self.label.name)
        if codes is not None:
            positive = [c for c, v in codes.items() if v == str(self.label.positive)]
        else:
            positive = [self.label.positive]
        admitted[self.label.name] = labels.isin(positive).astype(np.int64)
        return admitted

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

    def _column_schema(self, column: Column) -> pa.Column:
        if isinstance(column, CategoricalColumn):
            text = f"must be one of {', '.join(column.levels)}"
            check = self._allowed(column.name, column.levels, text)
            return pa.Column(checks=[check], nullable=column.allow_missing)
        return pa.Column(
            checks=[
                pa.Check(pd.api.types.is_numeric_dtype, error=NOT_A_NUMBER),
                pa.Check(
                    lambda values: values.between(column.minimum, column.maximum),
                    error=f"must be between {column.minimum:g} and "
                    f"{column.maximum:g} {column.unit}",
                ),
            ],
            nullable=column.allow_missing,
        )

    def _label_schema(self) -> pa.Column:
        values = (self.label.negative, self.label.positive)
        text = "must be {} or {}".format(*values)
        check = self._allowed(self.label.name, values, text)
        return pa.Column(checks=[check], nullable=False)

    def _allowed(self, name: str, values: Sequence[int | str], text: str) -> pa.Check:
        allowed = self.form.codes.get(name, values)
        if allowed is not values:
            text = f"must be a code that its format maps, {', '.join(allowed)}"
        return pa.Check(lambda found: found.isin(list(allowed)), error=text)

    def _levels(self, texts: pd.Series, column: CategoricalColumn) -> pd.Series:
        """Checked codes as the contract's levels."""
        codes = self.form.codes.get(column.name)
        if codes is None and texts.dtype == object and not texts.hasnans:
            return texts
        categorical = pd.Categorical(texts)
        known = list(categorical.categories)
        levels = known if codes is None else [codes.get(code) for code in known]
        position = pd.Index(column.levels).get_indexer(levels)
        missing = column.levels.index(MISSING) if column.allow_missing else -1
        translated = np.append(position, missing)[categorical.codes]
        return pd.Series(
            pd.Categorical.from_codes(translated, categories=list(column.levels)),
            index=texts.index,
            name=texts.name,
        )


def _without(values: pd.Series, missing: Sequence[float | str]) -> pd.Series:
    """The values, missing where they are one of `missing`."""
    if pd.api.types.is_numeric_dtype(values):
        missing = [code for code in missing if not isinstance(code, str)]
    found = values.isin(list(missing))
    return values.mask(found) if found.any() else values

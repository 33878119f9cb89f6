"""How one institution writes its tables, where that differs from the contract.

Institutions rarely call a column the same, count in the same unit or use the
same codes. Each difference is written down; nothing is guessed. The differences
are undone once, when a table is validated.
"""

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from tff_finance.datasets.columns import (
    CategoricalColumn,
    Column,
    LabelColumn,
    NumericColumn,
)
from tff_finance.datasets.near_misses import did_you_mean


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstitutionFormat:
    """One institution's names, units, codes and way of writing CSV files.

    Attributes:
        rename: Name in the contract by name in the institution's table.
        factor: The contract's unit per the institution's unit, by the
            contract's name of a numeric column; values are multiplied by it.
        codes: By the contract's name of a categorical column or of the label:
            the contract's value by the institution's code. Every code of that
            column must be listed.
        separator: Between the fields of its CSV files; detected if None.
        decimal: Decimal point of its CSV files, "." or ",".
        label_meaning: What label 1 of its tables stands for, where that isn't what the
            contract says: institutions may have the same features and different
            targets. Empty for the contract's.
    """

    rename: Mapping[str, str] = dataclasses.field(default_factory=dict)
    factor: Mapping[str, float] = dataclasses.field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    separator: str | None = None
    decimal: str = "."
    label_meaning: str = ""

    def source_name(self, name: str) -> str:
        """What the institution's table calls a column of the contract."""
        return next((s for s, target in self.rename.items() if target == name), name)

    def faults(
        self,
        columns: Sequence[Column],
        label: LabelColumn,
        forbidden: Collection[str] = (),
    ) -> Iterator[str]:
        """What contradicts the contract, one line each.

        Args:
            columns: All columns of the contract.
            label: Its label column.
            forbidden: Names of columns that must not be used.

        Yields:
            Each fault, beginning with the key at fault.
        """
        known = {column.name: column for column in (*columns, label)}
        yield from self._rename_faults(known, forbidden)
        for name, factor in self.factor.items():
            if name not in known:
                yield f"factor: {_unknown(name, known)}"
            elif not isinstance(known[name], NumericColumn):
                yield f"factor: {name!r} has codes; a factor is for numeric columns."
            elif not (math.isfinite(factor) and factor > 0):
                yield f"factor: that of {name!r} must be positive, got {factor}."
        for name, codes in self.codes.items():
            if name not in known:
                yield f"codes: {_unknown(name, known)}"
            elif isinstance(column := known[name], NumericColumn):
                yield f"codes: {name!r} is numeric; codes are for categorical columns."
            else:
                yield from _code_faults(column, codes)
        if self.decimal not in {".", ","} or self.separator == self.decimal:
            yield (
                "decimal: must be '.' or ',' and not the separator, got "
                f"{self.decimal!r}."
            )

    def _rename_faults(
        self, known: Collection[str], forbidden: Collection[str]
    ) -> Iterator[str]:
        targets = list(self.rename.values())
        for source, target in self.rename.items():
            if target not in known:
                yield f"rename: {source!r} becomes {target!r}, but " + _unknown(
                    target, known
                )
            elif targets.count(target) > 1:
                yield f"rename: {source!r} is not the only column to become {target!r}."
            if source in forbidden:
                yield f"rename: {source!r} is forbidden."


def _code_faults(
    column: CategoricalColumn | LabelColumn, codes: Mapping[str, str]
) -> Iterator[str]:
    if isinstance(column, LabelColumn):
        levels, missing = (str(column.negative), str(column.positive)), ()
    else:
        levels, missing = column.levels, column.missing_values
    for code, value in codes.items():
        if value not in levels:
            yield (
                f"codes: {code!r} of {column.name!r} must become one of "
                f"{', '.join(levels)}; got {value!r}."
            )
        if code in missing:
            yield f"codes: {code!r} of {column.name!r} is in its `missing_values`."
    if not codes:
        yield f"codes: {column.name!r} lists no code."


def _unknown(name: str, known: Collection[str]) -> str:
    hint = did_you_mean(name, known)
    return f"the contract has no column {name!r}" + (hint or ".")

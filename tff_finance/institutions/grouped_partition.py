"""Partitions by what a row says: a column's values, or bands of a number."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.institutions.text_form import form, number_text, quote
from tff_finance.institutions.units import Units, column_of, present


@dataclasses.dataclass(frozen=True)
class ByColumn:
    """Each value of a column is an institution; small ones are merged.

    Institutions are named by their values and ordered by name, the rest last.

    Attributes:
        column: Name of the column.
        min_rows: Values with fewer rows, and rows without a value, are merged
            into the rest. 1 merges nothing, and refuses rows without a value.
        rest: Name of the institution that they make together.
    """

    column: str
    _: dataclasses.KW_ONLY
    min_rows: int = 1
    rest: str = "rest"

    def __post_init__(self) -> None:
        """Refuses a number below 1 and names of nothing."""
        checks.check_at_least("min_rows", self.min_rows, 1)
        for name in ("column", "rest"):
            if not getattr(self, name):
                raise ValueError(f"`{name}` must be a name, got ''.")

    def __str__(self) -> str:
        """The text form."""
        return form(
            "column",
            quote(self.column),
            min_rows=None if self.min_rows == 1 else str(self.min_rows),
            rest=None if self.rest == "rest" else quote(self.rest),
        )

    def assign(
        self, units: Units, rng: np.random.Generator
    ) -> tuple[list[str], NDArray[np.int64]]:
        """See `Partition`."""
        del rng  # nothing is left to chance
        names = self._names(units.table)
        counts = names.value_counts()
        large = sorted(name for name in counts.index if counts[name] >= self.min_rows)
        _check_names(large, self.column)
        if self.rest in large and len(large) < len(counts):
            raise ValueError(
                f"`rest` must not be a value of {self.column!r}, got {self.rest!r}: "
                "give another name with `rest=`."
            )
        places = pd.Categorical(names, categories=large).codes.astype(np.int64)
        if np.any(places < 0):
            places[places < 0] = len(large)
            large = [*large, self.rest]
        return large, units.common(places, self.column)

    def _names(self, table: pd.DataFrame) -> pd.Series:
        """Each row's value as text, missing where it is missing."""
        if self.min_rows == 1:
            values = present(table, self.column, "column")
        else:
            values = column_of(table, self.column, "column")
        return values.astype(object).map(_name, na_action="ignore")


@dataclasses.dataclass(frozen=True)
class ByBands:
    """Each band of a numeric column is an institution.

    A band holds the numbers above its lower edge up to and including its upper
    edge. Names are `up_to_50000`, `50000_to_100000`, ..., `above_300000`.

    Attributes:
        column: Name of the column.
        edges: Inner edges, ascending.
        min_rows: Least rows of a band; a smaller one is refused.
    """

    column: str
    edges: tuple[float, ...]
    _: dataclasses.KW_ONLY
    min_rows: int = 1

    def __post_init__(self) -> None:
        """Refuses edges that don't ascend."""
        if not self.column:
            raise ValueError("`column` must be a name, got ''.")
        if not self.edges or not np.all(np.isfinite(self.edges)):
            raise ValueError(f"`edges` must be finite numbers, got {self.edges}.")
        if np.any(np.diff(self.edges) <= 0):
            raise ValueError(f"`edges` must ascend, got {self.edges}.")
        checks.check_at_least("min_rows", self.min_rows, 1)

    def __str__(self) -> str:
        """The text form."""
        return form(
            "bands",
            quote(self.column),
            ",".join(map(number_text, self.edges)),
            min_rows=None if self.min_rows == 1 else str(self.min_rows),
        )

    def assign(
        self, units: Units, rng: np.random.Generator
    ) -> tuple[list[str], NDArray[np.int64]]:
        """See `Partition`."""
        del rng  # nothing is left to chance
        values = present(units.table, self.column, "column")
        if not pd.api.types.is_numeric_dtype(values):
            raise ValueError(
                f"`column` {self.column!r} must hold numbers, got {values.dtype}."
            )
        places = np.searchsorted(self.edges, values.to_numpy(np.float64), side="left")
        texts = [number_text(edge) for edge in self.edges]
        inner = [f"{a}_to_{b}" for a, b in itertools.pairwise(texts)]
        names = [f"up_to_{texts[0]}", *inner, f"above_{texts[-1]}"]
        return names, units.common(places.astype(np.int64), self.column)


def _name(value: object) -> str:
    """A value as an institution's name; 2.0 as 2, since NaN makes floats of codes."""
    if isinstance(value, float | np.floating):
        return number_text(float(value))
    return str(value)


def _check_names(names: list[str], column: str) -> None:
    """Refuses values that can't name an institution, whose state has a folder."""
    for name in names:
        if name in {"", ".", ".."} or "/" in name:
            raise ValueError(
                f"`column` {column!r} has the value {name!r}, which can't name an "
                "institution: rename it without '/'."
            )

"""Partitions: one public table dealt out to institutions.

By whom a row belongs to (a column's values, bands of a number), or by a rule
that makes institutions differ in a known way: their label shares, their sizes,
or nothing at all. A partition is a value with a text form, `str(partition)`,
which `parse_partition` reads back; results name it.

Every row goes to exactly one institution. Where `clusters` names a column, all
rows of a cluster, such as a customer's payments, go to the same one.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tff_finance.institutions.grouped_partition import ByBands, ByColumn
from tff_finance.institutions.random_partition import (
    AtRandom,
    LabelDirichlet,
    SizeDirichlet,
    SizePowerLaw,
)
from tff_finance.institutions.text_form import Form, take_apart
from tff_finance.institutions.units import Units, units_of

__all__ = [
    "AtRandom",
    "ByBands",
    "ByColumn",
    "LabelDirichlet",
    "Partition",
    "SizeDirichlet",
    "SizePowerLaw",
    "deal",
    "parse_partition",
]


class Partition(Protocol):
    """A rule that gives each unit, a row or a cluster of rows, to an institution."""

    @property
    def min_rows(self) -> int:
        """Least rows of an institution."""
        ...

    def __str__(self) -> str:
        """The text form; `parse_partition` gives an equal partition back."""
        ...

    def assign(
        self, units: Units, rng: np.random.Generator
    ) -> tuple[list[str], NDArray[np.int64]]:
        """Names of the institutions in order, and each unit's place among them."""
        ...


SYNTAXES: Mapping[str, str] = {
    "column": "column:COLUMN",
    "bands": "bands:COLUMN:EDGE,EDGE,...",
    "label_dirichlet": "label_dirichlet:ALPHA:INSTITUTIONS",
    "size_dirichlet": "size_dirichlet:ALPHA:INSTITUTIONS",
    "size_power_law": "size_power_law:EXPONENT:INSTITUTIONS",
    "random": "random:INSTITUTIONS",
}
"""Text form of each kind of partition, without options; for the help of flags."""

_OPTIONS = {kind: ("min_rows",) for kind in SYNTAXES} | {"column": ("min_rows", "rest")}


def parse_partition(text: str) -> Partition:
    """Reads a partition's text form.

    Args:
        text: One of `SYNTAXES`, for example `column:job:min_rows=2000`,
            `bands:LIMIT_BAL:50000,100000` or `label_dirichlet:0.1:8`.

    Returns:
        The partition; `str` gives its text back, defaults left out.

    Raises:
        ValueError: If the text is no partition; says what one looks like.
    """
    kind, form = take_apart("partition", text, SYNTAXES, _OPTIONS)
    try:
        return _partition(kind, form)
    except ValueError as error:
        raise ValueError(f"`partition` {text!r}: {error}") from error


def deal(
    table: pd.DataFrame,
    partition: Partition,
    *,
    rng: np.random.Generator,
    label: str | None = None,
    clusters: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Deals a table out to institutions.

    Args:
        table: All rows.
        partition: Who gets which.
        rng: Decides where the partition leaves something to chance.
        label: Column of labels; label skew needs it.
        clusters: Column whose equal values stay together; None lets every row
            go its own way.

    Returns:
        Each institution's rows by name, in their order in `table`; every row is
        in exactly one.

    Raises:
        ValueError: If a column is missing or has no value in some rows, if a
            cluster would be torn apart, or if an institution would have fewer
            rows than the partition's `min_rows`.
    """
    units = units_of(table, label=label, clusters=clusters)
    names, places = partition.assign(units, rng)
    sizes = np.bincount(places, units.rows, minlength=len(names)).astype(int)
    if too_small := {
        name: int(rows)
        for name, rows in zip(names, sizes, strict=True)
        if rows < max(1, partition.min_rows)
    }:
        raise ValueError(
            f"`partition` {str(partition)!r} leaves {_listed(too_small)} of "
            f"{len(table)} rows, fewer than {max(1, partition.min_rows)}: deal out to "
            "fewer institutions, skew less, or lower `min_rows`."
        )
    of_row = places[units.of_row]
    return {name: table.loc[of_row == place] for place, name in enumerate(names)}


def _partition(kind: str, form: Form) -> Partition:
    match kind:
        case "column":
            return ByColumn(
                form.column(0),
                min_rows=form.option_integer("min_rows", ByColumn.min_rows),
                rest=form.option_text("rest", ByColumn.rest),
            )
        case "bands":
            return ByBands(
                form.column(0),
                form.numbers(1),
                min_rows=form.option_integer("min_rows", ByBands.min_rows),
            )
        case "random":
            return AtRandom(
                form.integer(0),
                min_rows=form.option_integer("min_rows", AtRandom.min_rows),
            )
        case "size_power_law":
            return SizePowerLaw(
                form.number(0),
                form.integer(1),
                min_rows=form.option_integer("min_rows", SizePowerLaw.min_rows),
            )
        case _:
            skew = LabelDirichlet if kind == "label_dirichlet" else SizeDirichlet
            return skew(
                form.number(0),
                form.integer(1),
                min_rows=form.option_integer("min_rows", skew.min_rows),
            )


def _listed(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{name!r} {count}" for name, count in rows.items())

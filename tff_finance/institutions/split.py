"""Splits: an institution's rows into train, validation and test.

Shuffled, or by time: whoever trains on the past should be judged on the future.
A split is a value with a text form, `str(split)`, which `parse_split` reads
back; results name it.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tff_finance.institutions.institution import Institution
from tff_finance.institutions.shuffled_split import ShuffledSplit
from tff_finance.institutions.split_tables import TABLES
from tff_finance.institutions.text_form import Form, take_apart
from tff_finance.institutions.time_split import PeriodSplit, TimeSplit
from tff_finance.institutions.units import Units, units_of

__all__ = [
    "PeriodSplit",
    "ShuffledSplit",
    "Split",
    "TimeSplit",
    "parse_split",
    "split_table",
]


class Split(Protocol):
    """A rule that puts each row into a table of its institution, or into none."""

    def __str__(self) -> str:
        """The text form; `parse_split` gives an equal split back."""
        ...

    def places(self, units: Units, rng: np.random.Generator) -> NDArray[np.int64]:
        """Each row's table by its place in `TABLES`, or `LEFT_OUT`, int64[rows]."""
        ...


SYNTAXES: Mapping[str, str] = {
    "shuffled": "shuffled:TRAIN,VALIDATION,TEST",
    "stratified": "stratified:TRAIN,VALIDATION,TEST",
    "time": "time:COLUMN:TRAIN,VALIDATION,TEST",
    "row_order": "row_order:TRAIN,VALIDATION,TEST",
    "periods": "periods:COLUMN:FROM..TO,FROM..TO,FROM..TO",
}
"""Text form of each kind of split, without options; for the help of flags."""

_OPTIONS = {"time": ("gap",), "row_order": ("gap",)}


def parse_split(text: str) -> Split:
    """Reads a split's text form.

    Args:
        text: One of `SYNTAXES`, for example `shuffled:0.6,0.2,0.2`,
            `time:TX_DATETIME:0.6,0.2,0.2:gap=7` or
            `periods:TX_TIME_DAYS:115..121,121..122,129..136`.

    Returns:
        The split; `str` gives its text back.

    Raises:
        ValueError: If the text is no split; says what one looks like.
    """
    kind, form = take_apart("split", text, SYNTAXES, _OPTIONS)
    try:
        return _split(kind, form)
    except ValueError as error:
        raise ValueError(f"`split` {text!r}: {error}") from error


def split_table(
    name: str,
    table: pd.DataFrame,
    split: Split,
    *,
    rng: np.random.Generator,
    label: str | None = None,
    clusters: str | None = None,
) -> Institution:
    """Splits an institution's table.

    Args:
        name: Name of the institution.
        table: All its rows.
        split: Which row goes where.
        rng: Decides where the split leaves something to chance.
        label: Column of labels; a stratified split needs it.
        clusters: Column whose equal values stay together; not by time.

    Returns:
        The institution. No row is in two tables; every row is in one, but for
        those in a gap of the split. Rows keep their order.

    Raises:
        ValueError: If a column is missing or has no value in some rows, or if a
            table would be empty.
    """
    try:
        units = units_of(table, label=label, clusters=clusters)
        places = split.places(units, rng)
    except ValueError as error:
        raise ValueError(f"{name!r}: {error}") from error
    tables = [table.loc[places == place] for place in range(len(TABLES))]
    if not all(map(len, tables)):
        counts = ", ".join(
            f"{rows} for {of}"
            for of, rows in zip(TABLES, map(len, tables), strict=True)
        )
        raise ValueError(
            f"`split` {str(split)!r} leaves {name!r} {counts} of {len(table)} rows: "
            "each of its tables needs some."
        )
    train, validation, test = tables
    return Institution(name=name, train=train, validation=validation, test=test)


def _split(kind: str, form: Form) -> Split:
    match kind:
        case "time":
            return TimeSplit(
                form.column(0),
                form.numbers(1),  # type: ignore[arg-type]  # checked there
                gap=form.option_number("gap", 0.0),
            )
        case "row_order":
            return TimeSplit(
                None,
                form.numbers(0),  # type: ignore[arg-type]
                gap=form.option_number("gap", 0.0),
            )
        case "periods":
            return PeriodSplit(form.column(0), form.periods(1))  # type: ignore[arg-type]
        case _:
            return ShuffledSplit(
                form.numbers(0),  # type: ignore[arg-type]
                stratified=kind == "stratified",
            )

"""Splits by time: training before validation before test."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.institutions.split_tables import (
    LEFT_OUT,
    TABLES,
    Fractions,
    check_fractions,
    cuts,
)
from tff_finance.institutions.text_form import form, number_text, quote
from tff_finance.institutions.units import Units, present

_DAY = pd.Timedelta(days=1)

Period = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class TimeSplit:
    """The earliest rows for training, the latest for the test.

    Rows of one time stay together, in the later table. With a gap, a table's
    rows are at least that much later than the end of the one before; rows
    in between, whose labels were not known yet, are in no table.

    Attributes:
        column: Column of times, dates or numbers. None: rows are in order of time.
        fractions: Shares of train, validation and test, before gaps.
        gap: Least distance of tables, in days for dates, else in units of the
            column.
    """

    column: str | None
    fractions: Fractions = (0.6, 0.2, 0.2)
    _: dataclasses.KW_ONLY
    gap: float = 0.0

    def __post_init__(self) -> None:
        """Refuses fractions that are not those of a whole, and negative gaps."""
        check_fractions(self.fractions)
        checks.check_at_least("gap", self.gap, 0)
        if self.column == "":
            raise ValueError("`column` must be a name, got ''.")

    def __str__(self) -> str:
        """The text form."""
        fractions = ",".join(map(number_text, self.fractions))
        gap = number_text(self.gap) if self.gap else None
        if self.column is None:
            return form("row_order", fractions, gap=gap)
        return form("time", quote(self.column), fractions, gap=gap)

    def places(self, units: Units, rng: np.random.Generator) -> NDArray[np.int64]:
        """See `Split`."""
        del rng  # nothing is left to chance
        _refuse_clusters(units, str(self))
        times = _times(units.table, self.column)
        is_date = pd.api.types.is_datetime64_any_dtype(times)
        gap = self.gap * _DAY if is_date else self.gap
        in_order = times.sort_values(kind="stable")
        places = np.zeros(len(times), np.int64)
        for place, cut in enumerate(cuts(self.fractions, len(times)), start=1):
            if cut == len(times):
                break
            end = in_order.iloc[cut]  # of the table before
            places[(times >= end).to_numpy()] = LEFT_OUT
            places[(times >= end + gap).to_numpy()] = place
        return places


@dataclasses.dataclass(frozen=True)
class PeriodSplit:
    """A period for each table, as in a protocol of weeks.

    A period is from its first time up to, not including, its second. Rows
    outside all periods, such as those of a week of delay, are in no table. The test
    comes last. Validation may come before training, so that the latest rows whose
    labels are known can be trained on.

    Attributes:
        column: Column of times, dates or numbers.
        periods: Of train, validation and test, as text: `("2018-07-25",
            "2018-08-01")` for dates, `("115", "122")` for numbers.
    """

    column: str
    periods: tuple[Period, Period, Period]

    def __post_init__(self) -> None:
        """Refuses a number of periods other than three."""
        if not self.column:
            raise ValueError("`column` must be a name, got ''.")
        well_formed = len(self.periods) == len(TABLES) and all(
            len(period) == 2 and all(period)  # noqa: PLR2004
            for period in self.periods
        )
        if not well_formed:
            raise ValueError(
                "`periods` must be one `FROM..TO` for each of train, validation and "
                f"test, got {self.periods}."
            )

    def __str__(self) -> str:
        """The text form."""
        periods = (f"{quote(start)}..{quote(end)}" for start, end in self.periods)
        return form("periods", quote(self.column), ",".join(periods))

    def places(self, units: Units, rng: np.random.Generator) -> NDArray[np.int64]:
        """See `Split`."""
        del rng  # nothing is left to chance
        _refuse_clusters(units, str(self))
        times = _times(units.table, self.column)
        periods = [
            (_time(start, times), _time(end, times)) for start, end in self.periods
        ]
        # Tables that are empty are refused later.
        in_order = [*sorted(periods[:-1]), periods[-1]]
        limits = [limit for period in in_order for limit in period]
        if any(later < earlier for earlier, later in itertools.pairwise(limits)):
            raise ValueError(
                "`periods` must not overlap, and the test must be the last, got "
                f"{str(self)!r}."
            )
        places = np.full(len(times), LEFT_OUT)
        for place, (start, end) in enumerate(periods):
            places[((times >= start) & (times < end)).to_numpy()] = place
        return places


def _times(table: pd.DataFrame, column: str | None) -> pd.Series:
    """Times that can be compared: dates or numbers."""
    if column is None:
        return pd.Series(np.arange(len(table)))
    times = present(table, column, "column")
    if pd.api.types.is_datetime64_any_dtype(times) or (
        pd.api.types.is_numeric_dtype(times) and not pd.api.types.is_bool_dtype(times)
    ):
        return times
    raise ValueError(
        f"`column` {column!r} must hold dates or numbers, got {times.dtype}: turn text "
        "into dates with `pandas.to_datetime`."
    )


def _time(text: str, times: pd.Series) -> Any:
    """The limit of a period, as the column has times."""
    is_date = pd.api.types.is_datetime64_any_dtype(times)
    try:
        if not is_date:
            return float(text)
        limit = pd.Timestamp(text)
        zone = times.dt.tz
        return limit if zone is None or limit.tz else limit.tz_localize(zone)
    except ValueError as error:
        kind = "dates" if is_date else "numbers"
        raise ValueError(
            f"`periods` must be {kind}, as {times.name!r} has, got {text!r}."
        ) from error


def _refuse_clusters(units: Units, split: str) -> None:
    if units.clusters is not None:
        raise ValueError(
            f"`clusters` {units.clusters!r} can't be kept together by {split!r}: the "
            "same customer is seen earlier and later. Leave `clusters` out."
        )

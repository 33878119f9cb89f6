"""Payments and frauds per terminal and period: what banks can add up.

A terminal that was compromised at one bank is a warning for the others. The risk of a
terminal is frauds over payments in a window of time, so it follows from two counts
that are sums over banks: adding all banks' counts gives the risk of the pooled
payments, and no payment leaves its bank.

Periods are three hours by default. The finer they are, the more they reveal: with
periods of one second the counts are the payments' own times and the risk is that of
the book to the last digit, but so fine a count is no more private than the payments.
The longer they are, the older the news: a window ends with the last period that was
over a label delay ago. By days that is half a day on average, which costs as much as
pooling gains; three hours are the longest that cost nothing: see
data/handbook_fraud.md.

Source: Le Borgne et al. (2022), chapter 3, "Baseline feature transformation".
"""

import dataclasses

import numpy as np
import pandas as pd

from tff_finance.datasets.windows import SECONDS_PER_DAY, EventWindows

WINDOWS_IN_DAYS = (1, 7, 30)
LABEL_DELAY_DAYS = 7
PERIOD_SECONDS = 3 * 60 * 60


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TerminalCounts:
    """Counts of the terminals and periods in which there was a payment.

    Attributes:
        period_seconds: Length of a period; period 0 begins at second 0.
        terminals: int64[n].
        periods: int64[n]; a terminal and a period together occur once.
        payments: int64[n].
        frauds: int64[n].
    """

    period_seconds: int
    terminals: np.ndarray
    periods: np.ndarray
    payments: np.ndarray
    frauds: np.ndarray

    def __post_init__(self) -> None:
        """Refuses a period that doesn't divide a day."""
        _check_period(self.period_seconds)

    def __add__(self, other: "TerminalCounts") -> "TerminalCounts":
        """The counts of both banks' payments together."""
        if self.period_seconds != other.period_seconds:
            raise ValueError(
                "`period_seconds` of counts that are added must agree, got "
                f"{self.period_seconds} and {other.period_seconds}."
            )
        return _counted(
            self.period_seconds,
            np.concatenate([self.terminals, other.terminals]),
            np.concatenate([self.periods, other.periods]),
            np.concatenate([self.payments, other.payments]),
            np.concatenate([self.frauds, other.frauds]),
        )

    def within(self, periods: range) -> "TerminalCounts":
        """The counts of these periods only, such as `needed_periods`."""
        kept = (self.periods >= periods.start) & (self.periods < periods.stop)
        return TerminalCounts(
            period_seconds=self.period_seconds,
            terminals=self.terminals[kept],
            periods=self.periods[kept],
            payments=self.payments[kept],
            frauds=self.frauds[kept],
        )

    def to_array(
        self, *, terminals: int, periods: int, first_period: int = 0
    ) -> np.ndarray:
        """The counts as a dense array, in which all banks' shapes agree.

        Args:
            terminals: Terminals of the market, numbered from 0.
            periods: Number of periods.
            first_period: The first of them.

        Returns:
            int64[terminals, periods, 2]: payments and frauds.

        Raises:
            ValueError: If a payment lies outside.
        """
        columns = self.periods - first_period
        for name, numbers, size in (
            ("terminals", self.terminals, terminals),
            ("periods", columns, periods),
        ):
            if numbers.size and not 0 <= numbers.min() <= numbers.max() < size:
                raise ValueError(
                    f"`{name}` must be enough for numbers {numbers.min()} to "
                    f"{numbers.max()}, counted from the first; got {size}."
                )
        array = np.zeros((terminals, periods, 2), np.int64)
        array[self.terminals, columns, 0] = self.payments
        array[self.terminals, columns, 1] = self.frauds
        return array

    @classmethod
    def from_array(
        cls,
        array: np.ndarray,
        *,
        period_seconds: int = PERIOD_SECONDS,
        first_period: int = 0,
    ) -> "TerminalCounts":
        """Counts from int64[terminals, periods, 2], as `to_array` makes it."""
        terminals, periods = np.nonzero(array.any(axis=2))
        payments, frauds = array[terminals, periods].astype(np.int64).T
        return cls(
            period_seconds=period_seconds,
            terminals=terminals,
            periods=periods + first_period,
            payments=payments,
            frauds=frauds,
        )


def terminal_counts(
    payments: pd.DataFrame, *, period_seconds: int = PERIOD_SECONDS
) -> TerminalCounts:
    """Counts a bank's payments and frauds by terminal and period.

    Args:
        payments: Columns TERMINAL_ID, TX_TIME_SECONDS, TX_FRAUD; any order.
        period_seconds: Length of a period; divides a day.

    Returns:
        The counts. They hold every label of the table: a window leaves out those that
        are not known yet at the time of a payment.

    Raises:
        ValueError: If the period doesn't divide a day.
    """
    _check_period(period_seconds)
    return _counted(
        period_seconds,
        payments["TERMINAL_ID"].to_numpy(np.int64),
        payments["TX_TIME_SECONDS"].to_numpy(np.int64) // period_seconds,
        np.ones(len(payments), np.int64),
        payments["TX_FRAUD"].to_numpy(np.int64),
    )


def needed_periods(
    first_second: int,
    last_second: int,
    *,
    period_seconds: int = PERIOD_SECONDS,
    windows_in_days: tuple[int, ...] = WINDOWS_IN_DAYS,
    label_delay_days: int = LABEL_DELAY_DAYS,
) -> range:
    """The periods that the features of payments between two times look at.

    Args:
        first_second: Of the first payment that gets features.
        last_second: Of the last.
        period_seconds: Length of a period; divides a day.
        windows_in_days: As in `terminal_features`.
        label_delay_days: As in `terminal_features`.

    Returns:
        From the first period of the first payment's longest window to the last of the
        last payment's. All others may be left out of the counts.

    Raises:
        ValueError: If the period doesn't divide a day.
    """
    _check_period(period_seconds)
    longest = max(windows_in_days) * SECONDS_PER_DAY // period_seconds
    first, last = _last_known_period(
        np.array([first_second, last_second]), period_seconds, label_delay_days
    ).tolist()
    return range(first - longest + 1, last + 1)


def terminal_features(
    payments: pd.DataFrame,
    counts: TerminalCounts,
    *,
    windows_in_days: tuple[int, ...] = WINDOWS_IN_DAYS,
    label_delay_days: int = LABEL_DELAY_DAYS,
) -> pd.DataFrame:
    """Number of payments and share of frauds at a payment's terminal, before it.

    A window of w days ends a label delay before the payment: what happened since has
    no labels yet. It begins w days earlier, and holds the periods that lie within:
    the last is the last that was over by its end.

    Args:
        payments: The payments that get features; columns TERMINAL_ID,
            TX_TIME_SECONDS.
        counts: Of the bank's own payments, or summed over banks.
        windows_in_days: Lengths of the windows.
        label_delay_days: Days until it is known whether a payment was a fraud.

    Returns:
        For each window TERMINAL_ID_NB_TX_{w}DAY_WINDOW and
        TERMINAL_ID_RISK_{w}DAY_WINDOW (0 without payments), with the index of
        `payments`.
    """
    period = counts.period_seconds
    events = EventWindows(
        counts.terminals,
        counts.periods,
        np.stack([counts.payments, counts.frauds], axis=1),
    )
    terminals = payments["TERMINAL_ID"].to_numpy(np.int64)
    seconds = payments["TX_TIME_SECONDS"].to_numpy(np.int64)
    last = _last_known_period(seconds, period, label_delay_days)
    until_last = events.until(terminals, last)
    columns = {}
    for days in windows_in_days:
        before = events.until(terminals, last - days * SECONDS_PER_DAY // period)
        number, frauds = (until_last - before).T
        columns[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"] = number
        columns[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"] = np.divide(
            frauds, number, out=np.zeros(len(number)), where=number != 0
        )
    return pd.DataFrame(columns, index=payments.index)


def _last_known_period(seconds: np.ndarray, period: int, delay_days: int) -> np.ndarray:
    """The last period that was over a label delay before these times."""
    # Times are whole seconds: a period is over with its last one.
    return (seconds - delay_days * SECONDS_PER_DAY + 1) // period - 1


def _counted(
    period_seconds: int,
    terminals: np.ndarray,
    periods: np.ndarray,
    payments: np.ndarray,
    frauds: np.ndarray,
) -> TerminalCounts:
    """Adds up what belongs to the same terminal and period."""
    sums = (
        pd.DataFrame({"t": terminals, "p": periods, "n": payments, "f": frauds})
        .groupby(["t", "p"], as_index=False)
        .sum()
    )
    return TerminalCounts(
        period_seconds=period_seconds,
        terminals=sums["t"].to_numpy(),
        periods=sums["p"].to_numpy(),
        payments=sums["n"].to_numpy(),
        frauds=sums["f"].to_numpy(),
    )


def _check_period(seconds: int) -> None:
    if seconds < 1 or SECONDS_PER_DAY % seconds:
        raise ValueError(
            f"`period_seconds` must divide a day of {SECONDS_PER_DAY} seconds, got "
            f"{seconds}."
        )

"""Whose payments a terminal's risk comes from: the three arms of a comparison.

own: each bank's payments alone, to the second; the best that it can do by itself.
pooled: all banks' payments to the second, as the Fraud Detection Handbook has it;
payments would have to leave their bank.
federated: counts of all banks by three hours, summed by a TFF computation; see
`terminal_counts` for what it reveals.
"""

import dataclasses
import functools
import operator
from collections.abc import Mapping

import pandas as pd

from tff_finance import checks
from tff_finance.datasets.payment_features import payment_features
from tff_finance.datasets.terminal_counts import (
    LABEL_DELAY_DAYS,
    PERIOD_SECONDS,
    WINDOWS_IN_DAYS,
    TerminalCounts,
    needed_periods,
    terminal_counts,
)
from tff_finance.datasets.windows import SECONDS_PER_DAY
from tff_finance.preprocessing.terminal_counts import (
    SummedCounts,
    federated_terminal_counts,
)
from tff_finance.records.comparison_config import TERMINAL_RISKS


@dataclasses.dataclass(frozen=True, kw_only=True)
class BankPayments:
    """Payments with features, by bank, and what was exchanged for them.

    Attributes:
        tables: The payments of the days asked for, by bank, with the columns of
            `payment_features`.
        summed: What the federated arm exchanged; None in the other arms.
    """

    tables: Mapping[str, pd.DataFrame]
    summed: SummedCounts | None


def add_features(
    banks: Mapping[str, pd.DataFrame],
    *,
    terminal_risk: str,
    days: range,
    terminals: int,
    period_seconds: int = PERIOD_SECONDS,
    secure: bool = False,
) -> BankPayments:
    """Adds the Handbook's features to every bank's payments of some days.

    Args:
        banks: Raw payments of each bank, as `payment_features` takes them, those of
            the 37 days before `days` included; a card is at one bank.
        terminal_risk: One of `TERMINAL_RISKS`.
        days: The days (from day 0, by TX_TIME_SECONDS) whose payments get features.
        terminals: Terminals of the market, numbered from 0.
        period_seconds: Length of the periods of the federated arm.
        secure: Whether the federated arm sums securely; see
            `federated_terminal_counts`.

    Returns:
        The payments. Only the terminals' features differ between arms.

    Raises:
        ValueError: If there is no such arm, no bank or no day, or if payments don't
            have the columns.
    """
    checks.check_one_of("terminal_risk", terminal_risk, TERMINAL_RISKS)
    checks.check_at_least("banks", len(banks), 1)
    checks.check_at_least("days", len(days), 1)
    begin, end = days.start * SECONDS_PER_DAY, days.stop * SECONDS_PER_DAY
    history = begin - (LABEL_DELAY_DAYS + max(WINDOWS_IN_DAYS)) * SECONDS_PER_DAY
    banks = {name: _between(bank, history, end) for name, bank in banks.items()}
    summed, counts = None, None
    if terminal_risk == "pooled":
        counts = _sum([terminal_counts(b, period_seconds=1) for b in banks.values()])
    elif terminal_risk == "federated":
        summed = federated_terminal_counts(
            [
                terminal_counts(bank, period_seconds=period_seconds)
                for bank in banks.values()
            ],
            terminals=terminals,
            periods=summed_periods(days, period_seconds=period_seconds),
            secure=secure,
        )
        counts = summed.counts
    tables = {
        name: _between(payment_features(payments, counts=counts), begin, end)
        for name, payments in banks.items()
    }
    return BankPayments(tables=tables, summed=summed)


def summed_periods(days: range, *, period_seconds: int = PERIOD_SECONDS) -> range:
    """The periods whose counts the federated arm exchanges; see `add_features`.

    Returns:
        Periods that follow from the days, and from no payment: they are public.
    """
    return needed_periods(
        days.start * SECONDS_PER_DAY,
        days.stop * SECONDS_PER_DAY - 1,
        period_seconds=period_seconds,
    )


def _between(payments: pd.DataFrame, begin: int, end: int) -> pd.DataFrame:
    """Payments from one second up to, not including, another."""
    seconds = payments["TX_TIME_SECONDS"]
    return payments[(seconds >= begin) & (seconds < end)]


def _sum(counts: list[TerminalCounts]) -> TerminalCounts:
    return functools.reduce(operator.add, counts)

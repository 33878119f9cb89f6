"""What the Handbook's payments need before banks can learn from them.

A home region for each card, the features of each payment (with terminals' risk from
one of three sources), and no payments of cards that would be blocked.
"""

import dataclasses
from collections.abc import Mapping

import pandas as pd
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.datasets.handbook_protocol import (
    DAY_COLUMN,
    TERMINALS,
    blocked_payments,
    home_regions,
)
from tff_finance.institutions.day_periods import day_periods
from tff_finance.institutions.split import Split
from tff_finance.preprocessing import terminal_counts, terminal_risk
from tff_finance.records.comparison_config import TERMINAL_RISKS


@dataclasses.dataclass(frozen=True, kw_only=True)
class HandbookPreparation:
    """Prepares the raw payments of a market for the days that a split looks at.

    Attributes:
        terminal_risk: One of `TERMINAL_RISKS`.
        days: The days whose payments get features; others only go into them.
        blocked_since: Cards are blocked for frauds from this day on.
        secure: Whether federated counts are summed securely.
    """

    terminal_risk: str
    days: range
    blocked_since: int
    secure: bool = False

    def __post_init__(self) -> None:
        """Refuses an arm that doesn't exist, and a secure sum of nothing."""
        checks.check_one_of("terminal_risk", self.terminal_risk, TERMINAL_RISKS)
        if self.secure and self.terminal_risk != "federated":
            raise ValueError(
                "`secure` sums are of federated terminal risk only, got "
                f"{self.terminal_risk!r}."
            )

    @classmethod
    def for_split(
        cls, split: Split, *, terminal_risk: str, secure: bool = False
    ) -> "HandbookPreparation":
        """For the periods of a split.

        Args:
            split: As for `day_periods`, by TX_TIME_DAYS.
            terminal_risk: One of `TERMINAL_RISKS`.
            secure: Whether federated counts are summed securely.

        Returns:
            Features from the first day of any period to the last, and cards blocked
            for frauds from the first day of training on.

        Raises:
            ValueError: If the split is another, or there is no such arm.
        """
        periods = day_periods(split, DAY_COLUMN)
        return cls(
            terminal_risk=terminal_risk,
            days=range(
                min(days.start for days in periods), max(days.stop for days in periods)
            ),
            blocked_since=periods[0].start,
            secure=secure,
        )

    def __str__(self) -> str:
        """What results name."""
        source = self.terminal_risk
        if source == "federated":
            aggregation = (
                terminal_counts.SECURE if self.secure else terminal_counts.PLAIN
            )
            source += f" ({aggregation} of counts)"
        return (
            f"features of days {self.days.start}..{self.days.stop}, terminal risk "
            f"{source}, cards blocked for frauds since day {self.blocked_since}"
        )

    def before_dealing(self, table: pd.DataFrame) -> pd.DataFrame:
        """Adds `home_region`, by which payments can be dealt out."""
        return table.assign(home_region=home_regions(table["CUSTOMER_ID"]))

    def at_institutions(
        self, dealt: Mapping[str, pd.DataFrame]
    ) -> Mapping[str, pd.DataFrame]:
        """Adds features; leaves out other days, and payments of blocked cards.

        Must be called in an execution context if terminals' risk is federated.

        Args:
            dealt: Raw payments by bank; a card is at one bank.

        Returns:
            What is left of them, with features.

        Raises:
            ValueError: If a card is at several banks, which would each see a part of
                its payments.
        """
        _check_cards(dealt)
        banks = terminal_risk.add_features(
            dealt,
            terminal_risk=self.terminal_risk,
            days=self.days,
            terminals=TERMINALS,
            secure=self.secure,
        )
        return {name: self._unblocked(table) for name, table in banks.tables.items()}

    def exchanged_types(self) -> tuple[list[tff.Type], list[tff.Type]]:
        """Types of what each bank receives, and of what it sends, for the features.

        Returns:
            Counts, if terminal risk is federated; else nothing. Pooled terminal risk
            takes the payments themselves, whose number no type knows.
        """
        if self.terminal_risk != "federated":
            return [], []
        periods = terminal_risk.summed_periods(self.days)
        return terminal_counts.exchanged_types(
            terminals=TERMINALS, periods=len(periods)
        )

    def _unblocked(self, table: pd.DataFrame) -> pd.DataFrame:
        days = table[DAY_COLUMN].to_numpy()
        return table[~blocked_payments(table, days, since=self.blocked_since)]


def _check_cards(dealt: Mapping[str, pd.DataFrame]) -> None:
    cards = pd.concat(
        [pd.Series(bank["CUSTOMER_ID"].unique()) for bank in dealt.values()]
    )
    if several := int(cards[cards.duplicated()].nunique()):
        raise ValueError(
            f"`partition` must leave each card at one bank, but {several} cards are at "
            "several: deal by home_region, or with CUSTOMER_ID as `clusters`."
        )

"""Cards that are checked each day, and which of them are found compromised.

As the Fraud Detection Handbook defines card precision top-k (Le Borgne et al.
2022, chapter 4, "Precision top-k metrics"): a day's score of a card is the highest
among its payments of the day. The k cards with the highest scores are checked; a card
found compromised, one with a fraudulent payment that day, is blocked and left
out on later days.

Whom the k highest of all institutions are is known to nobody before the sum. So
the days take turns: the institutions' card histograms of a day are summed, the sum
tells the score down to which cards are checked, and each institution blocks its own
compromised cards above it. Cards never leave their institution.

A bin may be checked in part. Then as many compromised cards count as a random choice
among its cards is expected to hold, and none of them is blocked.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tff_finance import checks
from tff_finance.metrics.daily_histogram import (
    DailyHistogram,
    checked_days,
    checked_scores,
    logit_bin,
)
from tff_finance.metrics.score_histogram import LOGIT_BINS
from tff_finance.metrics.selection import taken_shares


class CardLedger:
    """One institution's cards by day; what it keeps to itself.

    Attributes:
        first_day: Number of the first day.
        days: How many days.
    """

    def __init__(
        self,
        logits: ArrayLike,
        labels: ArrayLike,
        day: ArrayLike,
        cards: ArrayLike,
        *,
        first_day: int,
        days: int,
    ) -> None:
        """Keeps each card's highest score of each day.

        Args:
            logits: Log-odds of fraud of each payment, real[n]; n may be 0.
            labels: 0 or 1, [n].
            day: Number of each payment's day, integer[n].
            cards: The card of each payment, [n]; a card is at one institution.
            first_day: Number of the first day that all institutions agreed on.
            days: How many days; every payment is on one of them.

        Raises:
            ValueError: If a logit is not finite, a label not 0 or 1, a day outside
                the days, or if the numbers of payments differ.
        """
        scores, is_positive = checked_scores(logits, labels)
        places = checked_days(day, len(scores), first_day=first_day, days=days)
        codes, names = pd.factorize(np.asarray(cards))
        if codes.shape != scores.shape or np.any(codes < 0):
            raise ValueError(
                f"`cards` must name a card for each of {len(scores)} payments, got "
                f"{codes.shape} of which {np.sum(codes < 0)} have none."
            )
        payments = pd.DataFrame(
            {
                "day": places,
                "card": codes,
                "bin": logit_bin(scores),
                "compromised": is_positive,
            }
        )
        self.first_day, self.days = first_day, days
        self._cards = payments.groupby(["day", "card"], as_index=False).max()
        self._is_blocked = np.zeros(len(names), bool)

    def day_counts(self, place: int) -> NDArray[np.int64]:
        """Cards of a day that are not blocked, by label and bin, int64[2, 4096].

        Args:
            place: The day, counted from the first.

        Returns:
            Cards without and with a fraudulent payment that day.
        """
        cards = self._active(place)
        cells = cards["compromised"].to_numpy() * LOGIT_BINS + cards["bin"].to_numpy()
        counts = np.bincount(cells, minlength=2 * LOGIT_BINS)
        return counts.astype(np.int64).reshape(2, LOGIT_BINS)

    def block(self, place: int, *, from_bin: int) -> None:
        """Blocks a day's compromised cards whose score is in a bin or above."""
        cards = self._active(place)
        found = cards["compromised"] & (cards["bin"] >= from_bin)
        self._is_blocked[cards.loc[found, "card"]] = True

    def unblock_all(self) -> None:
        """Forgets which cards were found."""
        self._is_blocked[:] = False

    def _active(self, place: int) -> pd.DataFrame:
        cards = self._cards[self._cards["day"] == place]
        return cards[~self._is_blocked[cards["card"]]]


def daily_card_histogram(
    ledgers: Sequence[CardLedger], *, alerts_per_day: int, block_found: bool = True
) -> DailyHistogram:
    """Returns the cards that could be checked on each day, over all institutions.

    Each day takes one exchange: 64 kB of counts from each institution, one number
    back.

    Args:
        ledgers: One for each institution.
        alerts_per_day: How many cards are checked each day, k.
        block_found: Whether cards found compromised are left out later on, as in
            the book. Without it the days need not take turns.

    Returns:
        Cards by day and bin of their highest score, those found on days before left
        out; `card_precision` tells how many of the first k are compromised.

    Raises:
        ValueError: If there is no ledger, or if they have different days.
    """
    checks.check_at_least("alerts_per_day", alerts_per_day, 1)
    days = {(ledger.first_day, ledger.days) for ledger in ledgers}
    if len(days) != 1:
        raise ValueError(
            f"`ledgers` must all have the same days, got {sorted(days)} as first day "
            "and number of days."
        )
    ((first_day, number),) = days
    for ledger in ledgers:
        ledger.unblock_all()
    counts = []
    for place in range(number):
        total = np.sum([ledger.day_counts(place) for ledger in ledgers], axis=0)
        counts.append(total)
        if block_found:
            from_bin = _checked_whole_from(total.sum(axis=0), alerts_per_day)
            for ledger in ledgers:
                ledger.block(place, from_bin=from_bin)
    negatives, positives = np.stack(counts, axis=1)
    return DailyHistogram(
        first_day=first_day,
        negatives=negatives,
        positives=positives,
        positive_amounts=np.zeros_like(positives),
    )


def _checked_whole_from(cards: NDArray[np.int64], alerts: int) -> int:
    """The lowest bin from which on every card is checked."""
    partly = np.flatnonzero(taken_shares(cards[::-1], alerts) < (cards[::-1] > 0))
    return LOGIT_BINS - int(partly[0]) if partly.size else 0

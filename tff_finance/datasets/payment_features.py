"""Features of a card payment, from the payments before it.

What a bank knows at the time of a payment: its time and amount, how the card was used
in the last 1, 7 and 30 days, and how the terminal fared in windows that end when
labels are known. All but the last come from a bank's own payments alone; terminals
serve several banks, see `terminal_counts`.

Source: Le Borgne et al., "Reproducible Machine Learning for Credit Card Fraud
Detection - Practical Handbook" (2022), chapter 3, "Baseline feature transformation".
"""

import numpy as np
import pandas as pd

from tff_finance.datasets.terminal_counts import (
    WINDOWS_IN_DAYS,
    TerminalCounts,
    terminal_counts,
    terminal_features,
)
from tff_finance.datasets.windows import SECONDS_PER_DAY, EventWindows

NIGHT_UNTIL_HOUR = 6  # payments up to 6:59 are at night
SATURDAY = 5
_COLUMNS = (
    "TRANSACTION_ID",
    "TX_DATETIME",
    "CUSTOMER_ID",
    "TERMINAL_ID",
    "TX_AMOUNT",
    "TX_TIME_SECONDS",
    "TX_FRAUD",
)
_CENT_TOLERANCE = 1e-6


def payment_features(
    payments: pd.DataFrame, *, counts: TerminalCounts | None = None
) -> pd.DataFrame:
    """Adds the book's 14 features to payments.

    Args:
        payments: All payments of a bank, 37 days before the first one of interest
            included: columns TRANSACTION_ID, TX_DATETIME, CUSTOMER_ID, TERMINAL_ID,
            TX_AMOUNT (whole cents), TX_TIME_SECONDS (whole seconds), TX_FRAUD (0 or
            1), in any order. Payments of one card at the same second count in the
            order of the table.
        counts: Terminals' counts, such as summed over banks. Default: of these
            payments by the second, which is what the book computes.

    Returns:
        The payments, their rows and columns as they were, and after them
        TX_DURING_WEEKEND, TX_DURING_NIGHT (0 or 1), CUSTOMER_ID_NB_TX_{w}DAY_WINDOW,
        CUSTOMER_ID_AVG_AMOUNT_{w}DAY_WINDOW, TERMINAL_ID_NB_TX_{w}DAY_WINDOW and
        TERMINAL_ID_RISK_{w}DAY_WINDOW for w = 1, 7, 30.

    Raises:
        ValueError: If a column is missing, or an amount isn't of whole cents.
    """
    missing = [name for name in _COLUMNS if name not in payments]
    if missing:
        raise ValueError(f"`payments` must have columns {', '.join(missing)}.")
    if counts is None:
        counts = terminal_counts(payments, period_seconds=1)
    return pd.concat(
        [
            payments,
            time_features(payments),
            customer_features(payments),
            terminal_features(payments, counts),
        ],
        axis=1,
    )


def time_features(payments: pd.DataFrame) -> pd.DataFrame:
    """TX_DURING_WEEKEND and TX_DURING_NIGHT (0:00 to 6:59), 0 or 1."""
    times = payments["TX_DATETIME"].dt
    return pd.DataFrame(
        {
            "TX_DURING_WEEKEND": (times.weekday >= SATURDAY).astype("int64"),
            "TX_DURING_NIGHT": (times.hour <= NIGHT_UNTIL_HOUR).astype("int64"),
        }
    )


def customer_features(
    payments: pd.DataFrame, *, windows_in_days: tuple[int, ...] = WINDOWS_IN_DAYS
) -> pd.DataFrame:
    """Number and mean amount of the card's payments in windows up to the payment.

    A window of w days holds the payment itself and those less than w days before it.

    Args:
        payments: Columns CUSTOMER_ID, TX_TIME_SECONDS, TX_AMOUNT; any order.
        windows_in_days: Lengths of the windows.

    Returns:
        For each window CUSTOMER_ID_NB_TX_{w}DAY_WINDOW and
        CUSTOMER_ID_AVG_AMOUNT_{w}DAY_WINDOW, with the index of `payments`.

    Raises:
        ValueError: If an amount isn't of whole cents.
    """
    customers = payments["CUSTOMER_ID"].to_numpy(np.int64)
    seconds = payments["TX_TIME_SECONDS"].to_numpy(np.int64)
    cents = _cents(payments["TX_AMOUNT"].to_numpy(np.float64))
    ones = np.ones_like(cents)
    events = EventWindows(customers, seconds, np.stack([ones, cents], axis=1))
    until_now = events.until_each()
    columns = {}
    for days in windows_in_days:
        before = events.until(customers, seconds - days * SECONDS_PER_DAY)
        number, amount = (until_now - before).T
        columns[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"] = number
        columns[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"] = amount / 100 / number
    return pd.DataFrame(columns, index=payments.index)


def _cents(amounts: np.ndarray) -> np.ndarray:
    """Amounts as whole cents, whose sums are exact."""
    finite = np.isfinite(amounts)
    exact = np.where(finite, amounts, 0.0) * 100
    cents = np.rint(exact)
    odd = ~finite | (np.abs(exact - cents) > _CENT_TOLERANCE)
    if odd.any():
        raise ValueError(
            f"`TX_AMOUNT` must be of whole cents; {odd.sum()} are not, for example "
            f"{amounts[odd][0]}."
        )
    return cents.astype(np.int64)

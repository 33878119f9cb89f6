"""Payments made up for tests."""

import numpy as np
import pandas as pd

START = pd.Timestamp("2018-04-01")
DAY = 86_400


def payments_of(rows):
    """Payments from (customer, terminal, second, amount, fraud)."""
    table = pd.DataFrame(
        rows,
        columns=[
            "CUSTOMER_ID",
            "TERMINAL_ID",
            "TX_TIME_SECONDS",
            "TX_AMOUNT",
            "TX_FRAUD",
        ],
    )
    table["TRANSACTION_ID"] = np.arange(len(table))
    table["TX_DATETIME"] = START + pd.to_timedelta(table["TX_TIME_SECONDS"], unit="s")
    return table


def random_payments(seed, *, rows=400, days=60, customers=6, terminals=5):
    """Payments with many at the same second, many at a window's very edge."""
    rng = np.random.default_rng(seed)
    # Few times of day, so that windows of whole days end just at other payments.
    seconds = rng.integers(0, days, rows) * DAY + rng.choice([0, 1, 43_200], rows)
    return payments_of(
        {
            "CUSTOMER_ID": rng.integers(0, customers, rows),
            "TERMINAL_ID": rng.integers(0, terminals, rows),
            "TX_TIME_SECONDS": seconds,
            "TX_AMOUNT": rng.integers(1, 50_000, rows) / 100,
            "TX_FRAUD": rng.integers(0, 2, rows),
        }
    )

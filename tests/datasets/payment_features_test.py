"""Features of payments: pandas' rolling windows, and the book's own numbers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.payments import DAY, payments_of, random_payments
from tff_finance.datasets import public
from tff_finance.datasets.payment_features import (
    customer_features,
    payment_features,
    time_features,
)
from tff_finance.datasets.tables.handbook import payments_table

# Two payments of a card at the same second, which the book's unstable sort swaps.
SWAPPED = (1_240_489, 1_240_490)


def book_features(payments):
    """The book's loops over customers and terminals (chapter 3), stable in time."""
    groups = []
    for _, group in payments.groupby("CUSTOMER_ID"):
        table = group.sort_values("TX_DATETIME", kind="stable")
        amounts = table.set_index("TX_DATETIME")["TX_AMOUNT"]
        for days in (1, 7, 30):
            rolling = amounts.rolling(f"{days}d")
            number = rolling.count().to_numpy()
            table[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"] = number
            table[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"] = (
                rolling.sum().to_numpy() / number
            )
        groups.append(table)
    payments = pd.concat(groups).sort_index()
    groups = []
    for _, group in payments.groupby("TERMINAL_ID"):
        table = group.sort_values("TX_DATETIME", kind="stable")
        frauds = table.set_index("TX_DATETIME")["TX_FRAUD"]
        delay = frauds.rolling("7d")
        for days in (1, 7, 30):
            both = frauds.rolling(f"{7 + days}d")
            number = (both.count() - delay.count()).to_numpy()
            fraud = (both.sum() - delay.sum()).to_numpy()
            table[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"] = number
            table[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"] = np.divide(
                fraud, number, out=np.zeros(len(number)), where=number > 0
            )
        groups.append(table)
    return pd.concat(groups).sort_index()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 300))
def test_features_are_those_of_the_book(seed, rows):
    payments = random_payments(seed, rows=rows)
    expected = book_features(payments)
    found = payment_features(payments)
    for name in [each for each in expected if each.endswith("WINDOW")]:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-9)
    pd.testing.assert_frame_equal(found[payments.columns], payments, check_exact=True)


def test_order_of_rows_and_their_index_mean_nothing():
    # No two payments of a card at the same second.
    payments = random_payments(1).drop_duplicates(["CUSTOMER_ID", "TX_TIME_SECONDS"])
    shuffled = payments.sample(frac=1, random_state=0)
    expected = payment_features(payments)
    pd.testing.assert_frame_equal(
        payment_features(shuffled).loc[payments.index], expected, check_exact=True
    )


def test_window_holds_the_payment_and_not_the_one_a_whole_window_ago():
    payments = payments_of(
        [
            (1, 0, 0, 10.0, 0),
            (2, 0, 5, 99.0, 0),
            (1, 0, DAY - 1, 20.0, 0),
            (1, 0, DAY, 40.0, 0),
        ]
    )
    features = customer_features(payments, windows_in_days=(1,))
    assert features["CUSTOMER_ID_NB_TX_1DAY_WINDOW"].tolist() == [1, 1, 2, 2]
    means = features["CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW"].tolist()
    assert means == [10.0, 99.0, 15.0, 30.0]


def test_customer_features_of_a_bank_need_nothing_of_others():
    """A card belongs to one bank, so that its windows do."""
    payments = random_payments(2)
    own = payments[payments["CUSTOMER_ID"] < 3]
    pd.testing.assert_frame_equal(
        customer_features(own), customer_features(payments).loc[own.index]
    )


@pytest.mark.parametrize(
    ("time", "weekend", "night"),
    [
        ("2018-04-06 23:59:59", 0, 0),  # Friday
        ("2018-04-07 00:00:00", 1, 1),
        ("2018-04-08 06:59:59", 1, 1),
        ("2018-04-08 07:00:00", 1, 0),
        ("2018-04-09 00:00:00", 0, 1),
    ],
)
def test_weekend_and_night(time, weekend, night):
    found = time_features(pd.DataFrame({"TX_DATETIME": [pd.Timestamp(time)]}))
    assert found.iloc[0].tolist() == [weekend, night]


@pytest.mark.parametrize("amount", [0.005, np.nan, np.inf])
def test_amounts_of_other_than_whole_cents_are_refused(amount):
    payments = payments_of([(0, 0, 0, 1.0, 0), (0, 0, 1, amount, 0)])
    with pytest.raises(ValueError, match=f"1 are not, for example {amount}"):
        payment_features(payments)


def test_missing_columns_are_named():
    payments = random_payments(0).drop(columns=["TX_FRAUD", "TX_AMOUNT"])
    with pytest.raises(ValueError, match="TX_AMOUNT, TX_FRAUD"):
        payment_features(payments)


def test_pooled_features_are_the_published_ones(public_data):
    """Cell by cell, 201,295 payments; sums differ by rounding of the book's floats."""
    payments = payments_table(["2018-06", "2018-07", "2018-08"])
    raw = payments.fetch(public_data).read()
    in_time = raw["TX_DATETIME"].between("2018-06-17", "2018-08-15")  # 38 days before
    raw = raw[in_time].reset_index(drop=True)
    first, second = (raw.index[raw["TRANSACTION_ID"] == each][0] for each in SWAPPED)
    order = raw.index.to_list()
    order[first], order[second] = order[second], order[first]
    found = payment_features(raw.loc[order]).sort_index()

    stored = public.load("handbook_features", public_data)
    found = found[found["TRANSACTION_ID"].isin(stored["TRANSACTION_ID"])]
    found = found.reset_index(drop=True)
    assert list(found) == list(stored)
    means = [name for name in stored if "AVG_AMOUNT" in name]
    pd.testing.assert_frame_equal(
        found.drop(columns=means), stored.drop(columns=means), check_exact=True
    )
    np.testing.assert_allclose(found[means], stored[means], rtol=0, atol=1e-11)

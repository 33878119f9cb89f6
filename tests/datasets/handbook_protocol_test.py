"""Home regions and the split by weeks, against what the book publishes."""

import datetime

import numpy as np
import pandas as pd
import pytest

from tests.datasets.payments import DAY, START, payments_of
from tff_finance.datasets import public
from tff_finance.datasets.handbook_protocol import (
    blocked_payments,
    customer_positions,
    home_regions,
    split_by_weeks,
)


def test_regions_are_bands_of_the_simulators_map(public_data):
    customers = pd.read_csv(
        public_data / "fraud_simulated" / "customers.csv.gz",
        float_precision="round_trip",
    )
    stored = customers[["x_customer_id", "y_customer_id"]].to_numpy()
    np.testing.assert_array_equal(customer_positions(), stored)
    regions = home_regions(customers["CUSTOMER_ID"])
    bounds = customers.groupby(regions)["x_customer_id"].agg(["min", "max"])
    assert list(bounds.index) == [f"region_{number}" for number in range(1, 6)]
    assert (bounds["min"] >= [0, 20, 40, 60, 80]).all()
    assert (bounds["max"] < [20, 40, 60, 80, 100]).all()


def test_regions_without_the_map_are_the_simulators():
    # x of the first three customers: 54.88, 42.37, 96.37.
    customers = pd.Series([2, 0, 1, 0], index=[9, 8, 7, 6])
    regions = home_regions(customers)
    assert regions.tolist() == ["region_5", "region_3", "region_3", "region_3"]
    assert regions.index.tolist() == [9, 8, 7, 6]
    assert regions.name == "home_region"


@pytest.mark.parametrize("customer", [-1, 5_000])
def test_customers_of_other_tables_are_refused(customer):
    with pytest.raises(ValueError, match="CUSTOMER_ID"):
        home_regions(pd.Series([0, customer]))


def test_split_has_the_books_sizes(public_data):
    payments = public.load("handbook_features", public_data)
    split = split_by_weeks(payments)
    assert (len(split.train), split.train["TX_FRAUD"].sum()) == (67_240, 598)
    assert (len(split.test), split.test["TX_FRAUD"].sum()) == (58_264, 385)
    times = {
        name: (table["TX_DATETIME"].min().date(), table["TX_DATETIME"].max().date())
        for name, table in vars(split).items()
    }
    assert times == {
        "train": (datetime.date(2018, 7, 25), datetime.date(2018, 7, 31)),
        "delay": (datetime.date(2018, 8, 1), datetime.date(2018, 8, 7)),
        "test": (datetime.date(2018, 8, 8), datetime.date(2018, 8, 14)),
    }


def test_card_is_removed_from_the_day_on_which_its_fraud_is_known():
    """Two days each: train 0 and 1, delay 2 and 3, test 4 and 5."""
    pays_daily = {0: [1], 1: [2], 2: [3], 3: [4], 4: []}  # days with a fraud
    payments = payments_of(
        [
            (card, 0, day * DAY, 1.0, int(day in frauds))
            for day in range(7)
            for card, frauds in pays_daily.items()
        ]
    )
    split = split_by_weeks(
        payments, train_start=START.date(), train_days=2, delay_days=2, test_days=2
    )
    assert len(split.train) == len(split.delay) == 10
    tested = split.test.groupby("CUSTOMER_ID")["TX_TIME_SECONDS"].agg(
        lambda seconds: (seconds // DAY).tolist()
    )
    # Card 0 is known from the start; card 1 from day 5 on: its fraud was on day 2.
    assert tested.to_dict() == {1: [4], 2: [4, 5], 3: [4, 5], 4: [4, 5]}


def test_payments_are_blocked_once_a_fraud_is_known():
    """Card 0: fraud before `since`; 1: on day 3 and later; 2: none."""
    frauds = {(0, 1), (1, 3), (1, 4)}
    rows = [(card, day) for day in range(14) for card in range(3)]
    payments = payments_of(
        [(card, 0, day * DAY, 1.0, int((card, day) in frauds)) for card, day in rows]
    )
    days = (payments["TX_TIME_SECONDS"] // DAY).to_numpy()
    blocked = blocked_payments(payments, days, since=2)
    found = [row for row, is_blocked in zip(rows, blocked, strict=True) if is_blocked]
    assert found == [(1, 11), (1, 12), (1, 13)]
    none = payments.assign(TX_FRAUD=0)
    assert not blocked_payments(none, days, since=0).any()


def test_period_without_payments_is_named():
    payments = payments_of([(0, 0, 0, 1.0, 0)])
    with pytest.raises(ValueError, match="delay, test"):
        split_by_weeks(payments, train_start=START.date())
    with pytest.raises(ValueError, match="test_days"):
        split_by_weeks(payments, train_start=START.date(), test_days=0)

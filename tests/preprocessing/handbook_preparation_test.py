"""The Handbook's payments of five banks, ready to learn from."""

import numpy as np
import pandas as pd
import pytest

from tests.datasets.payments import DAY, random_payments
from tff_finance.datasets import public
from tff_finance.datasets.tables.handbook import payments_table
from tff_finance.institutions.partition import deal, parse_partition
from tff_finance.institutions.split import parse_split, split_table
from tff_finance.preprocessing.handbook_preparation import HandbookPreparation
from tff_finance.preprocessing.terminal_counts import PLAIN, SECURE
from tff_finance.runtime.in_process import execution_context

BOOK_WEEKS = "periods:TX_TIME_DAYS:115..122,101..108,129..136"


def prepared_payments(payments, preparation):
    table = preparation.before_dealing(payments)
    dealt = deal(
        table,
        parse_partition("column:home_region"),
        rng=np.random.default_rng(0),
        clusters="CUSTOMER_ID",
    )
    with execution_context():
        return preparation.at_institutions(dealt)


def test_made_for_the_periods_of_a_split():
    made = HandbookPreparation.for_split(
        parse_split(BOOK_WEEKS), terminal_risk="federated"
    )
    assert made == HandbookPreparation(
        terminal_risk="federated", days=range(101, 136), blocked_since=115
    )
    assert str(made) == (
        "features of days 101..136, terminal risk federated (federated_sum of counts), "
        "cards blocked for frauds since day 115"
    )


def test_results_name_which_sum_ran():
    names = {
        secure: str(
            HandbookPreparation(
                terminal_risk="federated",
                days=range(2),
                blocked_since=0,
                secure=secure,
            )
        )
        for secure in (False, True)
    }
    assert PLAIN in names[False]
    assert SECURE in names[True]


def test_counts_are_all_that_is_exchanged():
    """30 days and 35, eight periods each, of 10,000 terminals."""
    federated, own, pooled = (
        HandbookPreparation.for_split(parse_split(BOOK_WEEKS), terminal_risk=source)
        for source in ("federated", "own", "pooled")
    )
    received, sent = federated.exchanged_types()
    assert [str(each) for each in (*received, *sent)] == 2 * ["int32[10000,520,2]"]
    assert own.exchanged_types() == pooled.exchanged_types() == ([], [])


@pytest.mark.parametrize(
    ("text", "options", "named"),
    [
        ("shuffled:0.6,0.2,0.2", {}, "must be `periods:TX_TIME_DAYS:FROM..TO"),
        ("periods:TX_DATETIME:1..2,2..3,3..4", {}, "must be `periods:TX_TIME_DAYS"),
        ("periods:TX_TIME_DAYS:1.5..2,2..3,3..4", {}, "whole days .*'1.5'"),
        (BOOK_WEEKS, {"terminal_risk": "shared"}, "must be one of own, pooled, fed"),
        (BOOK_WEEKS, {"terminal_risk": "own", "secure": True}, "`secure` sums"),
    ],
)
def test_what_makes_no_sense_is_refused(text, options, named):
    arguments = {"terminal_risk": "federated"} | options
    with pytest.raises(ValueError, match=named):
        HandbookPreparation.for_split(parse_split(text), **arguments)


@pytest.mark.parametrize("terminal_risk", ["own", "pooled", "federated"])
def test_blocked_cards_and_other_days_are_left_out(terminal_risk):
    payments = random_payments(1, rows=3_000)
    payments["TX_TIME_DAYS"] = payments["TX_TIME_SECONDS"] // DAY
    preparation = HandbookPreparation(
        terminal_risk=terminal_risk, days=range(40, 60), blocked_since=45
    )
    tables = prepared_payments(payments, preparation)
    found = pd.concat(tables.values())
    assert found["TX_TIME_DAYS"].between(40, 59).all()
    late = payments[payments["TX_TIME_DAYS"] >= 45]
    first = late[late["TX_FRAUD"] == 1].groupby("CUSTOMER_ID")["TX_TIME_DAYS"].min()
    known = payments["TX_TIME_DAYS"] > payments["CUSTOMER_ID"].map(first) + 7
    wanted = payments[payments["TX_TIME_DAYS"].between(40, 59) & ~known]
    assert 0 < known.sum() < len(payments)
    assert sorted(found["TRANSACTION_ID"]) == sorted(wanted["TRANSACTION_ID"])
    for region, table in tables.items():
        assert (table["home_region"] == region).all()


@pytest.mark.parametrize("terminal_risk", ["own", "pooled"])
def test_a_card_is_in_features_of_others(terminal_risk):
    """Why no guarantee covers them: one card less moves rows of other cards."""
    payments = random_payments(1, rows=3_000)
    payments["TX_TIME_DAYS"] = payments["TX_TIME_SECONDS"] // DAY
    preparation = HandbookPreparation(
        terminal_risk=terminal_risk, days=range(40, 60), blocked_since=60
    )
    without = payments[payments["CUSTOMER_ID"] != 0]
    risk = "TERMINAL_ID_RISK_7DAY_WINDOW"
    with_all, with_fewer = (
        pd.concat(prepared_payments(rows, preparation).values())
        .set_index("TRANSACTION_ID")[risk]
        .loc[lambda values: values.index.isin(without["TRANSACTION_ID"])]
        .sort_index()
        for rows in (payments, without)
    )
    assert list(with_all.index) == list(with_fewer.index)
    assert (with_all != with_fewer).any()


def test_cards_at_several_banks_are_refused():
    payments = random_payments(2, customers=6)
    preparation = HandbookPreparation(
        terminal_risk="own", days=range(40, 60), blocked_since=45
    )
    halves = {"bank_a": payments[:200], "bank_b": payments[200:]}
    with pytest.raises(ValueError, match="one bank, but 6 cards are at several"):
        preparation.at_institutions(halves)


def test_weeks_of_the_book(public_data):
    """Five banks, whose rows together are the book's, nearly with its features."""
    months = payments_table(["2018-06", "2018-07", "2018-08"])
    payments = months.fetch(public_data).read()
    split = parse_split(BOOK_WEEKS)
    made = HandbookPreparation.for_split(split, terminal_risk="federated")
    banks = [
        split_table(name, table, split, rng=np.random.default_rng(0))
        for name, table in prepared_payments(payments, made).items()
    ]
    assert [bank.name for bank in banks] == [f"region_{i}" for i in range(1, 6)]
    for part, expected in (("train", (67_240, 598)), ("test", (58_264, 385))):
        whole = pd.concat([getattr(bank, part) for bank in banks])
        assert (len(whole), whole["TX_FRAUD"].sum()) == expected
    risk = "TERMINAL_ID_RISK_7DAY_WINDOW"
    published = public.load("handbook_features", public_data)
    published = published.set_index("TRANSACTION_ID")[risk]
    ours = whole.set_index("TRANSACTION_ID")[risk]
    assert 0 < (ours - published[ours.index]).abs().mean() < 3e-4

"""Cards checked by day against the book's definition on pooled payments."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tff_finance.metrics.card_alerts import CardLedger, daily_card_histogram
from tff_finance.metrics.fraud import card_precision

# Payments (card, day, bin, fraud); each card has its own bins, so that no two tie.
payments = st.lists(
    st.tuples(
        st.integers(0, 11), st.integers(0, 3), st.integers(-30, 30), st.booleans()
    ),
    min_size=1,
    max_size=60,
)


def frame(rows):
    table = pd.DataFrame(rows, columns=["card", "day", "bin", "fraud"])
    # The card decides within 12 bins: a tie of cards is impossible.
    table["day"] = table["day"].rank(method="dense").astype(int) - 1
    table["score"] = (12 * table["bin"] + table["card"] + 0.5) / 128
    return table.astype({"fraud": int})


def book_precision(table, k, *, remove=True):
    """The mean of days as the book's chapter 4 defines it, in its own steps."""
    found, precisions = set(), []
    for day in sorted(table["day"].unique()):
        on_day = table[(table["day"] == day) & ~table["card"].isin(found)]
        cards = on_day.groupby("card")[["score", "fraud"]].max()
        top = cards.sort_values("score", ascending=False).head(k)
        detected = set(top.index[top["fraud"] == 1])
        precisions.append(len(detected) / k)
        if remove:
            found |= detected
    return np.mean(precisions)


def ledger(table, days=4):
    return CardLedger(
        table["score"],
        table["fraud"],
        table["day"],
        table["card"],
        first_day=0,
        days=days,
    )


def precision(ledgers, k, **options):
    cards = daily_card_histogram(ledgers, alerts_per_day=k, **options)
    return card_precision(cards, alerts_per_day=k)


@settings(deadline=None, max_examples=40)
@given(payments, st.integers(1, 6), st.booleans())
def test_equals_the_book_where_no_cards_tie(rows, k, remove):
    table = frame(rows)
    expected = book_precision(table, k, remove=remove)
    days = table["day"].nunique()
    value = precision([ledger(table, days)], k, block_found=remove)
    assert value == pytest.approx(expected)


@settings(deadline=None, max_examples=40)
@given(payments, st.integers(1, 6))
def test_institutions_together_equal_one_that_has_all_cards(rows, k):
    table = frame(rows)
    banks = [ledger(table[table["card"] % 3 == bank]) for bank in range(3)]
    together = daily_card_histogram(banks, alerts_per_day=k)
    assert together == daily_card_histogram([ledger(table)], alerts_per_day=k)
    # Asking again starts anew.
    assert daily_card_histogram(banks, alerts_per_day=k) == together


def test_golden():
    # Day 0: card a is checked and found. Day 1: it would be first again, but is
    # blocked; b is checked, and found by its highest payment, not by the fraud's.
    table = pd.DataFrame(
        [
            ("a", 0, 3.0, 1),
            ("b", 0, 2.0, 0),
            ("a", 1, 3.0, 1),
            ("b", 1, 1.0, 0),
            ("b", 1, -5.0, 1),
            ("c", 1, 0.0, 0),
            ("c", 2, 0.0, 0),
        ],
        columns=["card", "day", "score", "fraud"],
    )
    cards = daily_card_histogram([ledger(table)], alerts_per_day=1)
    assert cards.positives.sum(axis=1).tolist() == [1, 1, 0, 0]
    assert cards.negatives.sum(axis=1).tolist() == [1, 1, 1, 0]
    assert card_precision(cards, alerts_per_day=1) == 2 / 4
    kept = daily_card_histogram([ledger(table)], alerts_per_day=1, block_found=False)
    assert kept.positives.sum(axis=1).tolist() == [1, 2, 0, 0]


def test_cards_of_a_bin_that_is_checked_in_part_are_not_blocked():
    table = pd.DataFrame(
        [("a", 0, 1.0, 1), ("b", 0, 1.0, 0), ("a", 1, 1.0, 1)],
        columns=["card", "day", "score", "fraud"],
    )
    cards = daily_card_histogram([ledger(table, days=2)], alerts_per_day=1)
    assert cards.positives.sum(axis=1).tolist() == [1, 1]
    assert card_precision(cards, alerts_per_day=1) == (0.5 + 1) / 2


def test_a_bank_without_payments_takes_part():
    table = frame([(1, 0, 3, True), (2, 0, 1, False)])
    with_idle = precision([ledger(table), ledger(table.iloc[:0])], 1)
    assert with_idle == precision([ledger(table)], 1) == 1 / 4


def test_different_days_are_refused():
    table = frame([(1, 0, 3, True)])
    with pytest.raises(ValueError, match=r"same days, got \[\(0, 4\), \(0, 5\)\]"):
        daily_card_histogram([ledger(table), ledger(table, days=5)], alerts_per_day=1)
    with pytest.raises(ValueError, match="`ledgers` must all have the same days"):
        daily_card_histogram([], alerts_per_day=1)
    with pytest.raises(ValueError, match="`alerts_per_day` must be at least 1"):
        daily_card_histogram([ledger(table)], alerts_per_day=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cards": ["a"]}, r"a card for each of 2 payments, got \(1,\)"),
        ({"cards": ["a", None]}, "of which 1 have none"),
        ({"day": [0, 9]}, "`day` must be from 0 to 3, 1 of 2"),
        ({"logits": [np.inf, 1]}, "`logits` must be finite"),
    ],
)
def test_unusable_payments_are_refused(change, message):
    arguments = {"logits": [1, 2], "labels": [0, 1], "day": [0, 1], "cards": ["a", "b"]}
    with pytest.raises(ValueError, match=message):
        CardLedger(**{**arguments, **change}, first_day=0, days=4)


def test_the_books_logistic_regression_on_its_own_week(public_data):
    """Chapter 3, baseline: 0.291 with 15 features, known cards out of the test."""
    table = pd.read_csv(
        public_data / "fraud_simulated" / "features-2018-07-25_2018-08-14.csv.gz"
    )
    features = ["TX_AMOUNT", "TX_DURING_WEEKEND", "TX_DURING_NIGHT"]
    features += [name for name in table.columns if "_WINDOW" in name]
    assert len(features) == 15
    train = table[table["TX_DATETIME"] < "2018-08-01"]
    first_day = int(train["TX_TIME_DAYS"].max()) + 8
    weeks = []
    for place in range(7):
        on_day = table[table["TX_TIME_DAYS"] == first_day + place]
        known = table[
            (table["TX_FRAUD"] == 1)
            & (table["TX_TIME_DAYS"] < first_day + place - 7)
            & (table["TX_TIME_DAYS"] >= train["TX_TIME_DAYS"].min())
        ]
        weeks.append(on_day[~on_day["CUSTOMER_ID"].isin(known["CUSTOMER_ID"])])
    test = pd.concat(weeks)
    assert (len(train), len(test)) == (67_240, 58_264)
    scaler = StandardScaler().fit(train[features])
    model = LogisticRegression(random_state=0)
    model.fit(scaler.transform(train[features]), train["TX_FRAUD"])
    week = pd.DataFrame(
        {
            "score": model.decision_function(scaler.transform(test[features])),
            "fraud": test["TX_FRAUD"],
            "day": test["TX_TIME_DAYS"] - first_day,
            "card": test["CUSTOMER_ID"],
        }
    )
    banks = [ledger(week[week["card"] % 5 == bank], days=7) for bank in range(5)]
    assert precision(banks, 100) == pytest.approx(book_precision(week, 100), abs=3e-3)
    assert book_precision(week, 100) == pytest.approx(0.291, abs=5e-4)

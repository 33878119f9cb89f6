"""Counts add up over banks, and the sum gives what pooled payments give."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.payments import DAY, payments_of, random_payments
from tff_finance.datasets.terminal_counts import (
    PERIOD_SECONDS,
    TerminalCounts,
    needed_periods,
    terminal_counts,
    terminal_features,
)

PERIODS = [1, 3_600, 10_800, 43_200, DAY]


def daily_counts(payments):
    return terminal_counts(payments, period_seconds=DAY)


def banks_of(payments, number, seed):
    bank = np.random.default_rng(seed).integers(0, number, len(payments))
    return [payments[bank == each] for each in range(number)]


def assert_same(one, other):
    assert one.period_seconds == other.period_seconds
    for name in ("terminals", "periods", "payments", "frauds"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    banks=st.integers(1, 4),
    period=st.sampled_from(PERIODS),
    rows=st.integers(0, 200),
)
def test_added_over_banks_they_are_those_of_all_payments(seed, banks, period, rows):
    payments = random_payments(seed, rows=rows)
    pooled = terminal_counts(payments, period_seconds=period)
    total = None
    for own in banks_of(payments, banks, seed):
        counts = terminal_counts(own, period_seconds=period)
        total = counts if total is None else total + counts
    assert_same(total, pooled)
    pd.testing.assert_frame_equal(
        terminal_features(payments, total), terminal_features(payments, pooled)
    )


def test_dense_arrays_add_up_just_so():
    """As a secure sum adds them."""
    payments = random_payments(3)
    arrays = [
        daily_counts(own).to_array(terminals=7, periods=61)
        for own in banks_of(payments, 3, 0)
    ]
    total = TerminalCounts.from_array(sum(arrays), period_seconds=DAY)
    assert_same(total, daily_counts(payments))
    assert arrays[0].shape == (7, 61, 2)
    assert sum(arrays)[..., 0].sum() == len(payments)
    assert sum(arrays)[..., 1].sum() == payments["TX_FRAUD"].sum()


def by_hand(payments, period, days):
    """Number of payments and frauds of the periods in the window, row by row."""
    numbers, frauds = [], []
    for row in payments.itertuples():
        end = row.TX_TIME_SECONDS - 7 * DAY
        begins = payments["TX_TIME_SECONDS"] // period * period
        last_begin = (end + 1) // period * period - period  # the last that is over
        inside = (begins <= last_begin) & (begins > last_begin - days * DAY)
        rows = payments[inside & (payments["TERMINAL_ID"] == row.TERMINAL_ID)]
        assert (rows["TX_TIME_SECONDS"] <= end).all()  # labels are known
        numbers.append(len(rows))
        frauds.append(rows["TX_FRAUD"].sum())
    return np.array(numbers), np.array(frauds)


@pytest.mark.parametrize("period", PERIODS)
def test_windows_hold_whole_periods_with_known_labels(period):
    payments = random_payments(4, rows=150)
    counts = terminal_counts(payments, period_seconds=period)
    features = terminal_features(payments, counts)
    for days in (1, 7, 30):
        numbers, frauds = by_hand(payments, period, days)
        risks = frauds / np.maximum(numbers, 1)
        found = features[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"]
        np.testing.assert_array_equal(found, numbers)
        found = features[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"]
        np.testing.assert_array_equal(found, risks)


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize(("first_day", "days"), [(45, 6), (50, 1), (0, 60)])
def test_counts_of_needed_periods_are_enough(period, first_day, days):
    payments = random_payments(7)
    day = payments["TX_TIME_SECONDS"] // DAY
    wanted = payments[(day >= first_day) & (day < first_day + days)]
    counts = terminal_counts(payments, period_seconds=period)
    periods = needed_periods(
        first_day * DAY, (first_day + days) * DAY - 1, period_seconds=period
    )
    cropped = counts.within(periods)
    assert set(cropped.periods) <= set(periods)
    pd.testing.assert_frame_equal(
        terminal_features(wanted, cropped), terminal_features(wanted, counts)
    )


@pytest.mark.parametrize("period", PERIODS)
def test_no_needed_period_is_idle(period):
    """The first and the last of them each change a feature; those beyond don't."""
    time = 50 * DAY + 43_200
    periods = needed_periods(time, time, period_seconds=period)
    wanted = payments_of([(0, 0, time, 9.0, 0)])
    for second in (periods[0] * period, periods[-1] * period):
        counts = terminal_counts(
            payments_of([(0, 0, second, 9.0, 1)]), period_seconds=period
        )
        features = terminal_features(wanted, counts)
        assert features["TERMINAL_ID_NB_TX_30DAY_WINDOW"].tolist() == [1]
    for second in ((periods.start - 1) * period, periods.stop * period):
        counts = terminal_counts(
            payments_of([(0, 0, second, 9.0, 1)]), period_seconds=period
        )
        assert not terminal_features(wanted, counts).to_numpy().any()


def test_three_hours_are_the_default():
    payments = random_payments(8)
    assert PERIOD_SECONDS == 3 * 3_600
    assert_same(
        terminal_counts(payments), terminal_counts(payments, period_seconds=10_800)
    )
    assert needed_periods(0, DAY) == needed_periods(0, DAY, period_seconds=10_800)


@pytest.mark.parametrize("period", PERIODS)
def test_labels_younger_than_the_delay_change_nothing(period):
    payments = random_payments(5)
    now = payments["TX_TIME_SECONDS"].max()
    young = payments["TX_TIME_SECONDS"] > now - 7 * DAY
    changed = payments.assign(TX_FRAUD=payments["TX_FRAUD"].where(~young, 1))
    last = payments[payments["TX_TIME_SECONDS"] == now]
    features = [
        terminal_features(last, terminal_counts(each, period_seconds=period))
        for each in (payments, changed, payments[~young])
    ]
    risks = [each.filter(like="RISK") for each in features]
    pd.testing.assert_frame_equal(risks[0], risks[1])
    pd.testing.assert_frame_equal(features[0], features[2])


def test_warning_of_another_bank_arrives():
    """The point of it: one bank's frauds raise the risk at the other."""
    noon = DAY // 2
    first = payments_of([(0, 5, day * DAY + noon, 9.0, 1) for day in range(3)])
    second = payments_of([(1, 5, 10 * DAY + noon, 9.0, 0)])
    own = terminal_features(second, daily_counts(second))
    both = terminal_features(second, daily_counts(first) + daily_counts(second))
    assert own["TERMINAL_ID_RISK_7DAY_WINDOW"].tolist() == [0.0]
    assert both["TERMINAL_ID_RISK_7DAY_WINDOW"].tolist() == [1.0]
    assert both["TERMINAL_ID_NB_TX_7DAY_WINDOW"].tolist() == [3]
    assert both["TERMINAL_ID_NB_TX_1DAY_WINDOW"].tolist() == [1]


def test_terminal_without_counts_has_no_risk():
    counts = terminal_counts(payments_of([(0, 5, 0, 9.0, 1)]))
    others = payments_of([(0, each, 20 * DAY, 9.0, 0) for each in (0, 4, 6)])
    assert not terminal_features(others, counts).to_numpy().any()


@pytest.mark.parametrize("period", [0, -1, 7, 2 * DAY])
def test_periods_that_do_not_divide_a_day_are_refused(period):
    with pytest.raises(
        ValueError, match=f"divide a day of 86400 seconds, got {period}"
    ):
        terminal_counts(random_payments(0), period_seconds=period)


def test_counts_of_different_periods_do_not_add():
    payments = random_payments(0)
    with pytest.raises(ValueError, match="86400 and 3600"):
        daily_counts(payments) + terminal_counts(payments, period_seconds=3_600)


def test_array_may_begin_later():
    payments = random_payments(6, days=20)
    counts = daily_counts(payments)
    late = daily_counts(
        payments.assign(TX_TIME_SECONDS=payments["TX_TIME_SECONDS"] + 30 * DAY)
    )
    array = late.to_array(terminals=5, periods=20, first_period=30)
    np.testing.assert_array_equal(array, counts.to_array(terminals=5, periods=20))
    again = TerminalCounts.from_array(array, period_seconds=DAY, first_period=30)
    assert_same(again, late)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"terminals": 4, "periods": 60}, "`terminals`.* to 4, .*got 4"),
        ({"terminals": 5, "periods": 59}, "`periods`.*got 59"),
        ({"terminals": 5, "periods": 60, "first_period": 1}, "`periods`.* -1 to 58"),
    ],
)
def test_array_that_is_too_small_is_refused(options, named):
    with pytest.raises(ValueError, match=named):
        daily_counts(random_payments(0)).to_array(**options)

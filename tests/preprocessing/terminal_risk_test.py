"""Three arms: own, pooled, and federated, whose difference is the terminals' past."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.payments import DAY, payments_of, random_payments
from tff_finance.datasets.payment_features import payment_features
from tff_finance.preprocessing.terminal_risk import add_features
from tff_finance.records.comparison_config import TERMINAL_RISKS
from tff_finance.runtime.in_process import execution_context

TERMINALS = 5
DAYS = range(45, 55)


@pytest.fixture(scope="module", autouse=True)
def context():
    with execution_context():
        yield


def banks_of(payments):
    """Cards belong to one bank."""
    bank = payments["CUSTOMER_ID"] % 3
    return {f"bank_{each}": payments[bank == each] for each in range(3)}


def features(payments, terminal_risk, **options):
    arguments = {"days": DAYS, "terminals": TERMINALS} | options
    return add_features(banks_of(payments), terminal_risk=terminal_risk, **arguments)


def together(banks):
    return pd.concat(banks.tables.values()).sort_index()


def wanted(table):
    day = table["TX_TIME_SECONDS"] // DAY
    return table[(day >= DAYS.start) & (day < DAYS.stop)]


def test_own_is_what_each_bank_computes_by_itself():
    payments = random_payments(1)
    result = features(payments, "own")
    for name, own in banks_of(payments).items():
        pd.testing.assert_frame_equal(
            result.tables[name], wanted(payment_features(own))
        )


def test_pooled_is_what_one_table_of_all_payments_has():
    payments = random_payments(2)
    pd.testing.assert_frame_equal(
        together(features(payments, "pooled")), wanted(payment_features(payments))
    )


@pytest.mark.parametrize("secure", [False, True])
def test_federated_is_pooled_where_payments_end_a_period(secure):
    """A window then ends at the same second with periods and without."""
    payments = random_payments(3)
    seconds = payments["TX_TIME_SECONDS"]
    payments["TX_TIME_SECONDS"] = seconds - seconds % 10_800 + 10_799
    federated = features(payments, "federated", secure=secure)
    pooled = features(payments, "pooled")
    pd.testing.assert_frame_equal(together(federated), together(pooled))


@pytest.mark.parametrize("terminal_risk", TERMINAL_RISKS)
def test_only_terminals_differ_between_arms(terminal_risk):
    payments = random_payments(4)
    own, other = together(features(payments, "own")), features(payments, terminal_risk)
    assert (other.summed is not None) == (terminal_risk == "federated")
    columns = [name for name in own if not name.startswith("TERMINAL_ID_")]
    pd.testing.assert_frame_equal(own[columns], together(other)[columns])


@pytest.mark.parametrize("terminal_risk", ["pooled", "federated"])
def test_warning_of_another_bank_arrives(terminal_risk):
    noon = DAY // 2
    frauds = [(1, 4, 40 * DAY + noon, 9.0, 1)]
    payments = payments_of([*frauds, (2, 4, 48 * DAY, 9.0, 0), (3, 3, 0, 9.0, 0)])
    column = "TERMINAL_ID_RISK_7DAY_WINDOW"
    assert features(payments, "own").tables["bank_2"][column].tolist() == [0.0]
    warned = features(payments, terminal_risk).tables["bank_2"][column]
    assert warned.tolist() == [1.0]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    place=st.integers(0, 399),
    terminal_risk=st.sampled_from(TERMINAL_RISKS),
)
def test_fraud_is_news_to_nobody_for_seven_days(seed, place, terminal_risk):
    """Whatever a label says, payments of the next 7 days have the same features."""
    payments = random_payments(seed)
    changed = payments.assign(TX_FRAUD=payments["TX_FRAUD"].to_numpy(copy=True))
    changed.loc[place, "TX_FRAUD"] = 1 - changed.loc[place, "TX_FRAUD"]
    before, after = (
        together(features(each, terminal_risk)) for each in (payments, changed)
    )
    known = payments.loc[place, "TX_TIME_SECONDS"] + 7 * DAY
    too_early = before["TX_TIME_SECONDS"] < known
    names = before.columns.drop("TX_FRAUD")
    pd.testing.assert_frame_equal(
        before.loc[too_early, names], after.loc[too_early, names]
    )


def test_fraud_is_news_to_all_banks_after_that():
    """The delay is no longer than it must be: one period after the 7 days at most."""
    begin = 40 * DAY
    later = [
        (card, 4, begin + 7 * DAY + seconds, 9.0, 0)
        for card, seconds in ((1, -1), (2, 2 * 10_800))
    ]
    payments = payments_of([(0, 4, begin, 9.0, 1), *later])
    result = together(features(payments, "federated"))
    assert result["TERMINAL_ID_RISK_1DAY_WINDOW"].tolist() == [0.0, 1.0]


def test_order_of_banks_is_irrelevant():
    banks = banks_of(random_payments(5))
    backwards = dict(reversed(banks.items()))
    options = {"terminal_risk": "federated", "days": DAYS, "terminals": TERMINALS}
    one, other = (add_features(each, **options) for each in (banks, backwards))
    for name in banks:
        pd.testing.assert_frame_equal(one.tables[name], other.tables[name])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"terminal_risk": "shared"}, "`terminal_risk` must be one of own, pooled"),
        ({"days": range(5, 5)}, "`days` must be at least 1"),
        ({"banks": {}}, "`banks` must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, named):
    arguments = {
        "banks": banks_of(random_payments(6)),
        "terminal_risk": "own",
        "days": DAYS,
        "terminals": TERMINALS,
    }
    with pytest.raises(ValueError, match=named):
        add_features(**(arguments | changes))


def test_payments_keep_their_rows_and_columns():
    payments = random_payments(7)
    result = together(features(payments, "federated"))
    pd.testing.assert_frame_equal(result[payments.columns], wanted(payments))
    assert np.isfinite(result.filter(like="RISK").to_numpy()).all()

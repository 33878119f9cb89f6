"""Summed over banks by TFF, counts are those of the pooled payments, and no more."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow_federated as tff
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.payments import DAY, random_payments
from tff_finance.datasets.terminal_counts import needed_periods, terminal_counts
from tff_finance.preprocessing.terminal_counts import (
    PLAIN,
    SECURE,
    build_terminal_counts_sum,
    exchanged_types,
    federated_terminal_counts,
)
from tff_finance.runtime.in_process import execution_context

TERMINALS = 5
ALL_PERIODS = range(60 * 8)


@pytest.fixture(scope="module", autouse=True)
def context():
    with execution_context():
        yield


def banks_of(payments, number, seed):
    bank = np.random.default_rng(seed).integers(0, number, len(payments))
    return [terminal_counts(payments[bank == each]) for each in range(number)]


def summed(banks, **options):
    arguments = {"terminals": TERMINALS, "periods": ALL_PERIODS} | options
    return federated_terminal_counts(banks, **arguments)


def assert_same(one, other):
    assert one.period_seconds == other.period_seconds
    for name in ("terminals", "periods", "payments", "frauds"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32), banks=st.integers(1, 4), rows=st.sampled_from([0, 300])
)
def test_sum_is_that_of_the_pooled_payments(seed, banks, rows):
    payments = random_payments(seed, rows=rows)
    result = summed(banks_of(payments, banks, seed))
    assert result.aggregation == PLAIN
    assert_same(result.counts, terminal_counts(payments))


def test_order_of_banks_is_irrelevant():
    banks = banks_of(random_payments(1), 4, 1)
    first = summed(banks).counts
    for order in ([3, 1, 0, 2], [2, 3, 1, 0]):
        assert_same(summed([banks[place] for place in order]).counts, first)


def test_secure_sum_is_the_same():
    payments = random_payments(2)
    result = summed(banks_of(payments, 3, 2), secure=True)
    assert result.aggregation == SECURE
    assert_same(result.counts, terminal_counts(payments))


def test_only_needed_periods_are_sent():
    payments = random_payments(3)
    periods = needed_periods(50 * DAY, 52 * DAY - 1)
    result = summed(banks_of(payments, 3, 3), periods=periods)
    assert_same(result.counts, terminal_counts(payments).within(periods))
    for types in exchanged_types(terminals=TERMINALS, periods=len(periods)):
        assert [str(each) for each in types] == [f"int32[{TERMINALS},{len(periods)},2]"]


@pytest.mark.parametrize("secure", [False, True])
def test_counts_alone_leave_a_bank(secure):
    """What the server aggregates has one shape, however many payments there are."""
    computation = build_terminal_counts_sum(terminals=7, periods=9, secure=secure)
    form = tff.backends.mapreduce.get_map_reduce_form_for_computation(
        _with_state(computation)
    )
    leaves = [
        str(leaf)
        for leaf in tff.structure.flatten(form.work.type_signature.result)
        if leaf is not None
    ]
    assert leaves == ["int32[7,9,2]"]
    assert form.securely_aggregates_tensors == secure
    assert str(computation.type_signature.result) == "int32[7,9,2]@SERVER"


def _with_state(computation):
    """In the form of a round, which TFF can split into bank and server."""
    state_type = tff.FederatedType(np.int32, tff.SERVER)

    @tff.federated_computation(state_type, computation.type_signature.parameter)
    def round_of(state, banks):
        return state, computation(banks)

    return round_of


def test_amounts_and_cards_change_nothing():
    payments = random_payments(4)
    others = payments.assign(TX_AMOUNT=1.0, CUSTOMER_ID=0, TRANSACTION_ID=0)
    assert_same(
        summed(banks_of(payments, 2, 4)).counts, summed(banks_of(others, 2, 4)).counts
    )


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"terminals": 4}, "`terminals` must be enough for numbers 0 to 4, got 4"),
        ({"terminals": 0}, "`terminals` must be enough"),
        ({"periods": range(0)}, "`periods` must be at least 1"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        summed(banks_of(random_payments(5), 2, 5), **options)


def test_counts_that_a_secure_sum_would_garble_are_refused():
    (bank,) = banks_of(random_payments(6), 1, 6)
    huge = dataclasses.replace(bank, payments=bank.payments + 2**16)
    with pytest.raises(ValueError, match="0 to 65,535, got 0 to 65,5"):
        summed([huge])


def test_banks_must_agree_on_periods():
    payments = random_payments(7)
    by_hour = terminal_counts(payments, period_seconds=3_600)
    with pytest.raises(ValueError, match=r"got 2 with \[3600, 10800\]"):
        summed([terminal_counts(payments), by_hour])
    with pytest.raises(ValueError, match=r"got 0 with \[\]"):
        summed([])


def test_largest_counts_of_many_banks_fit():
    """Sums are int32: 16 bits of each of more banks than there will be."""
    one = pd.DataFrame({"TERMINAL_ID": [0], "TX_TIME_SECONDS": [0], "TX_FRAUD": [1]})
    (bank,) = (terminal_counts(one),)
    full = dataclasses.replace(
        bank, payments=np.array([2**16 - 1]), frauds=np.array([2**16 - 1])
    )
    counts = summed([full] * 200, terminals=1, periods=range(1)).counts
    assert counts.payments.tolist() == counts.frauds.tolist() == [200 * (2**16 - 1)]

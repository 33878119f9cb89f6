"""Rows of promises: each bank's own, and what all of them release about one person."""

import pytest

from tff_finance.evaluation.promises import Promise, privacy_rows, released_besides
from tff_finance.privacy import accounting
from tff_finance.privacy.ledger import Ledger
from tff_finance.privacy.mechanisms import FullParticipation, PoissonSampledGaussian
from tff_finance.records.privacy_row import ADVERSARIES

RELATION = "add_or_remove_one"
STATISTICS = FullParticipation(noise_multiplier=20.0)


def training(noise):
    return PoissonSampledGaussian(
        noise_multiplier=noise, sampling_probability=0.1, steps=30
    )


def promise(owner, *, noise=2.0, population=1000, unit="record", model="global"):
    ledger = Ledger(
        owner=owner, unit=unit, neighbouring=RELATION, population=population
    )
    return Promise(
        model=model,
        training=training(noise),
        ledger=ledger.with_release("preprocessing", "means", STATISTICS)
        .with_release("training", "updates", training(noise))
        .with_nothing_released("validation", "a test"),
        against=ADVERSARIES,
        sampling_probability=0.1,
        steps=30,
        l2_clip_norm=1.0,
    )


def rows(*promises):
    entries = released_besides(label_counts=False, feature_counts=False)
    return privacy_rows(promises, entries, seed=0, method="fed_avg_dp_sgd")


@pytest.mark.parametrize("unit", ["record", "customer"])
def test_banks_with_different_noise_add_up_with_all_they_release(unit):
    """Not only their training; with the least of their deltas."""
    found = rows(
        promise("a", unit=unit),
        promise("b", noise=3.0, population=100_000, unit=unit),
    )
    expected = accounting.epsilon(
        [STATISTICS, training(2.0), STATISTICS, training(3.0)],
        neighbouring=RELATION,
        delta=1e-6,
    )
    assert {row.across_epsilon for row in found} == {expected.value}
    assert {row.across_delta for row in found} == {1e-6}
    assert {row.across_accountant for row in found} == {expected.accountant}
    assert [row.delta for row in found] == [1e-5, 1e-6]
    assert expected.value > max(row.epsilon for row in found)


@pytest.mark.parametrize(
    "promises",
    [
        [promise("a")],
        [promise("consortium", unit="branch")],
        [promise("a", unit="branch"), promise("b", unit="branch")],
        [promise("a", unit="institution"), promise("b", unit="institution")],
    ],
)
def test_one_bank_or_another_level_has_nobody_at_several(promises):
    for row in rows(*promises):
        assert (row.across_epsilon, row.across_delta) == (None, None)
        assert row.across_accountant == ""


def test_without_promises_there_are_no_rows():
    assert rows() == ()

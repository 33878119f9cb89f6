"""Ledgers forget nothing, add up, and stop training in time."""

import json

import pytest

from tff_finance.privacy import accounting, mechanisms
from tff_finance.privacy.budget import Budget, most_rounds
from tff_finance.privacy.guarantee import Guarantee, default_delta
from tff_finance.privacy.ledger import (
    STAGES,
    Entry,
    IncompleteLedgerError,
    Ledger,
    guarantee_across,
)
from tff_finance.privacy.mechanisms import (
    FixedSizeCohorts,
    FullParticipation,
    PoissonSampledGaussian,
    TreeAggregation,
)

ADD_OR_REMOVE = "add_or_remove_one"
STATISTICS = FullParticipation(noise_multiplier=20.0, releases=3)


def training(rounds, *, noise=1.5, population=10_000):
    return PoissonSampledGaussian.of_training(
        noise_multiplier=noise, population=population, batch_size=256, rounds=rounds
    )


def empty_ledger(owner="bank_a", population=10_000):
    return Ledger(
        owner=owner, unit="record", neighbouring=ADD_OR_REMOVE, population=population
    )


def complete_ledger(owner="bank_a", population=10_000, rounds=20):
    return (
        empty_ledger(owner, population)
        .with_release("preprocessing", "means and variances", STATISTICS)
        .with_release("training", "updates", training(rounds, population=population))
        .with_unprotected("validation", "loss of each round", "published aggregate")
        .with_nothing_released("tuning", "settings of another data set")
        .with_unprotected("evaluation", "score histograms", "shared under contract")
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_ledger_in_which_a_stage_is_forgotten_gives_no_guarantee(stage):
    whole = complete_ledger()
    entries = tuple(entry for entry in whole.entries if entry.stage != stage)
    ledger = Ledger.from_mapping(
        whole.to_mapping() | {"entries": [e.to_mapping() for e in entries]}
    )
    assert ledger.missing_stages == (stage,)
    with pytest.raises(
        IncompleteLedgerError, match=f"'bank_a' has no entry for {stage}"
    ):
        ledger.guarantee()
    with pytest.raises(IncompleteLedgerError, match=stage):
        guarantee_across([whole, ledger])


def test_a_guarantee_says_what_it_covers_and_what_not():
    guarantee = complete_ledger().guarantee()
    expected = accounting.epsilon(
        [STATISTICS, training(20)], neighbouring=ADD_OR_REMOVE, delta=1e-5
    )
    assert expected.accountant == "pld"
    assert guarantee == Guarantee(
        unit="record",
        neighbouring=ADD_OR_REMOVE,
        epsilon=expected.value,
        delta=1e-5,
        accountant="pld",
        not_covered=(
            "bank_a: validation: loss of each round (published aggregate)",
            "bank_a: evaluation: score histograms (shared under contract)",
        ),
    )


def test_statistics_cost_and_unprotected_releases_do_not_count():
    bare = empty_ledger().with_release("training", "updates", training(20))
    for stage in STAGES:
        if stage != "training":
            bare = bare.with_unprotected(stage, "all of it", "a test")
    found = bare.guarantee(accountant="rdp")
    assert found.epsilon < complete_ledger().guarantee(accountant="rdp").epsilon
    assert len(found.not_covered) == 4


def test_a_ledger_without_protection_has_no_guarantee():
    ledger = empty_ledger()
    for stage in STAGES:
        ledger = ledger.with_unprotected(stage, "all of it", "a test")
    with pytest.raises(ValueError, match="no protected release"):
        ledger.guarantee()


def test_a_customer_of_two_banks_has_the_sum_of_both():
    one, other = complete_ledger(), complete_ledger("bank_b", 200_000, rounds=5)
    both = guarantee_across([one, other], accountant="rdp")
    assert both.delta == default_delta(200_000) == 5e-7
    expected = accounting.epsilon(
        [*one.mechanisms, *other.mechanisms],
        neighbouring=ADD_OR_REMOVE,
        delta=5e-7,
        accountant="rdp",
    )
    assert both.epsilon == expected.value
    alone = [ledger.guarantee(accountant="rdp") for ledger in (one, other)]
    assert both.epsilon > max(guarantee.epsilon for guarantee in alone)
    assert len(both.not_covered) == 4
    assert guarantee_across([one], accountant="rdp") == alone[0]


def test_different_units_and_relations_are_not_added():
    institutions = Ledger(
        owner="consortium",
        unit="institution",
        neighbouring="replace_one",
        population=3000,
    )
    for ledgers in ([], [complete_ledger(), institutions]):
        with pytest.raises(ValueError, match="`ledgers` must be some of one unit"):
            guarantee_across(ledgers)


def test_a_mechanism_of_another_relation_is_refused_at_once():
    cohorts = FixedSizeCohorts(noise_multiplier=1, population=30, cohort=3, rounds=1)
    with pytest.raises(accounting.UnsupportedMechanismError, match="FixedSizeCohorts"):
        empty_ledger().with_release("training", "updates", cohorts)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"stage": "deployment", "what": "x", "reason": "y"}, "`stage`"),
        ({"stage": "tuning", "what": "", "reason": "y"}, "`what`"),
        ({"stage": "tuning", "what": "x"}, "`reason`"),
        (
            {
                "stage": "tuning",
                "what": "x",
                "mechanism": STATISTICS,
                "released": False,
            },
            "not released",
        ),
    ],
)
def test_entries_say_what_they_must(values, named):
    with pytest.raises(ValueError, match=named):
        Entry(**values)


@pytest.mark.parametrize(
    ("population", "delta"), [(3, 1e-5), (10_000, 1e-5), (10_001, 1 / 100_010)]
)
def test_delta_is_well_below_one_in_the_population(population, delta):
    assert default_delta(population) == pytest.approx(delta, rel=1e-12)
    assert empty_ledger(population=population).delta == default_delta(population)


@pytest.mark.parametrize(
    "mechanism",
    [
        training(3),
        STATISTICS,
        FixedSizeCohorts(noise_multiplier=1, population=30, cohort=3, rounds=1),
        TreeAggregation(
            noise_multiplier=1, steps_between_restarts=(4, 4), participations=1
        ),
    ],
)
def test_mechanisms_survive_json(mechanism):
    text = json.dumps(mechanisms.to_mapping(mechanism), allow_nan=False)
    assert mechanisms.from_mapping(json.loads(text)) == mechanism


def test_ledgers_and_guarantees_survive_json():
    ledger = complete_ledger()
    text = json.dumps(ledger.to_mapping(), allow_nan=False)
    assert Ledger.from_mapping(json.loads(text)) == ledger
    guarantee = ledger.guarantee(accountant="rdp")
    text = json.dumps(guarantee.to_mapping(), allow_nan=False)
    assert Guarantee.from_mapping(json.loads(text)) == guarantee


@pytest.mark.parametrize(
    "changes",
    [
        {"unit": "row"},
        {"neighbouring": "swap"},
        {"epsilon": float("inf")},
        {"delta": 2.0},
        {"accountant": "moments"},
    ],
)
def test_guarantees_without_meaning_are_refused(changes):
    mapping = complete_ledger().guarantee(accountant="rdp").to_mapping()
    [name] = changes
    with pytest.raises(ValueError, match=f"`{name}`"):
        Guarantee.from_mapping(mapping | changes)


def budget(epsilon=2.0, ledger=None, **options):
    ledger = ledger or empty_ledger().with_release(
        "preprocessing", "means and variances", STATISTICS
    )
    return Budget(
        epsilon=epsilon,
        ledger=ledger,
        rounds_mechanism=training,
        accountant="rdp",
        **options,
    )


def test_training_ends_before_the_round_that_exceeds():
    kept = budget()
    rounds = 0
    while not kept.would_exceed(rounds):
        rounds += 1
    assert rounds == kept.most_rounds > 1
    assert kept.spent(rounds) <= 2.0 < kept.spent(rounds + 1)
    assert kept.would_exceed(rounds + 1)


def test_a_budget_too_small_for_one_round_allows_none():
    small = budget(epsilon=budget().spent(1) * 0.99)
    assert small.spent(0) < small.epsilon
    assert small.most_rounds == 0
    assert small.would_exceed(0)


def test_a_budget_that_is_spent_before_training_is_refused():
    with pytest.raises(ValueError, match="'bank_a' spends without training"):
        _ = budget(epsilon=budget().spent(0) / 2).most_rounds


def test_rounds_that_all_budgets_bear_are_not_searched_for():
    plan = budget()
    fits = plan.most_rounds
    assert most_rounds([budget()], at_most=fits) == fits
    assert most_rounds([budget()], at_most=fits - 1) == fits - 1
    assert most_rounds([budget()], at_most=fits + 1) == fits


def test_the_institution_whose_budget_ends_first_ends_training():
    budgets = [budget(epsilon) for epsilon in (3.0, 1.5, 2.0)]
    assert most_rounds(budgets) == budgets[1].most_rounds < budgets[2].most_rounds

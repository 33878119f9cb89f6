"""Scenarios: who serves whom, at every heterogeneity."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tff_finance.datasets import population
from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.datasets.scenarios import SCENARIOS, Bank, Scenario
from tff_finance.records.training_config import TrainingConfig

LABEL = CREDIT_CONTRACT.label


def bank(name, segment, rows):
    return Bank(
        name=name,
        segment=segment,
        train_rows=rows,
        validation_rows=rows // 2,
        test_rows=3 * rows,
    )


def unequal_scenario(heterogeneity):
    """Two segments served, one of them by two banks of different size."""
    return Scenario(
        name="unequal",
        description="",
        banks=(
            bank("a", "young", 100),
            bank("b", "young", 300),
            bank("c", "self_employed", 1200),
        ),
        heterogeneity=heterogeneity,
        training=TrainingConfig(),
        law=population.DefaultLaw(),
    )


def pooled_shares(scenario):
    rows = [bank.rows for bank in scenario.banks]
    shares = [scenario.segment_shares(bank) for bank in scenario.banks]
    return np.average(shares, axis=0, weights=rows)


@pytest.mark.parametrize("heterogeneity", [0.0, 0.2, 0.75, 1.0])
def test_market_is_the_same_at_every_heterogeneity(heterogeneity):
    np.testing.assert_allclose(
        pooled_shares(unequal_scenario(heterogeneity)), [0.25, 0.0, 0.75], atol=1e-12
    )


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_published_scenarios_keep_their_market(scenario):
    changed = [
        pooled_shares(dataclasses.replace(scenario, heterogeneity=h))
        for h in (0.0, 0.5, 1.0)
    ]
    np.testing.assert_allclose(changed[1:], [changed[0]] * 2, atol=1e-12)


def test_shares_go_from_alike_to_one_segment():
    for number, own in enumerate(([1, 0, 0], [1, 0, 0], [0, 0, 1])):
        alike, half, apart = (
            scenario.segment_shares(scenario.banks[number])
            for scenario in map(unequal_scenario, (0.0, 0.5, 1.0))
        )
        np.testing.assert_allclose(alike, [0.25, 0, 0.75])
        np.testing.assert_allclose(apart, own)
        np.testing.assert_allclose(half, (alike + apart) / 2)


@pytest.mark.parametrize("heterogeneity", [0.0, 0.6, 1.0])
def test_customers_are_drawn_by_these_shares(heterogeneity, monkeypatch):
    drawn = []

    def draw_customers(segments, law, rng):
        del law, rng
        drawn.append(np.bincount(segments, minlength=3))
        return pd.DataFrame(index=range(len(segments)))

    monkeypatch.setattr(population, "draw_customers", draw_customers)
    scenario = unequal_scenario(heterogeneity)
    tables = scenario.draw(np.random.default_rng(0))
    assert list(tables) == ["a", "b", "c"]
    for bank_, counts in zip(scenario.banks, drawn, strict=True):
        assert counts.sum() == bank_.rows == len(tables[bank_.name])
        shares = scenario.segment_shares(bank_)
        spread = np.sqrt(bank_.rows * shares * (1 - shares))
        assert np.all(np.abs(counts - bank_.rows * shares) <= 4 * spread)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
@pytest.mark.parametrize("seed", range(3))
def test_majority_class_stays_below_0_65(scenario, seed):
    tables = scenario.draw(np.random.default_rng(seed))
    positive_rate = pd.concat(tables.values())[LABEL].mean()
    assert max(positive_rate, 1 - positive_rate) < 0.65


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
@pytest.mark.parametrize("heterogeneity", [0.0, 1.0])
def test_every_bank_keeps_the_contract(scenario, heterogeneity):
    scenario = dataclasses.replace(scenario, heterogeneity=heterogeneity)
    for name, table in scenario.draw(np.random.default_rng(11)).items():
        valid = CREDIT_CONTRACT.validate(table, institution=name)
        assert valid[LABEL].nunique() == 2


def test_seed_decides_the_tables():
    scenario = unequal_scenario(0.5)
    first, again, other = (
        scenario.draw(np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, again[name], check_exact=True)
        assert not table.equals(other[name])
    assert not first["a"].equals(first["b"].iloc[: len(first["a"])])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heterogeneity": 1.01}, "`heterogeneity` must be between"),
        ({"heterogeneity": float("nan")}, "`heterogeneity` must be between"),
        ({"banks": ()}, "`banks` must have distinct names"),
        ({"banks": (bank("a", "young", 4),) * 2}, "`banks` must have distinct names"),
    ],
)
def test_scenario_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(unequal_scenario(0.5), **change)


@pytest.mark.parametrize(
    ("name", "value"),
    [("segment", "old"), ("train_rows", 0), ("validation_rows", 0), ("test_rows", 0)],
)
def test_bank_refuses(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        dataclasses.replace(bank("a", "young", 4), **{name: value})


def test_names_are_keys():
    assert all(name == scenario.name for name, scenario in SCENARIOS.items())

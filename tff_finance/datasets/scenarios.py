"""Scenarios: which banks serve which part of the synthetic market.

The market is the same at every heterogeneity; only the dealing of customers to
banks changes. Bank k draws a customer's segment from

    (1 - heterogeneity) * market shares + heterogeneity * (its own segment only)

where a segment's market share is the share of rows of the banks that serve it.
So at 0 the banks' customers are alike, at 1 a bank serves one segment only, and
the pooled market keeps its composition in between.

The constants were calibrated by `python -m experiments.calibrate_scenarios` on
seeds from 1000 on, which are never reported.
"""

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd

from tff_finance import checks
from tff_finance.datasets import population
from tff_finance.datasets.contract import Contract
from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.datasets.institution_format import InstitutionFormat
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.records.training_config import TrainingConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bank:
    """A bank of a scenario.

    Attributes:
        name: Name of the institution.
        segment: The segment it specialises in; one of `population.SEGMENTS`.
        train_rows: Labelled customers to train on.
        validation_rows: Labelled customers for early stopping.
        test_rows: Customers for the final evaluation.
        target: What its label stands for; empty for what the contract says.
        law: Decides who has that label; None for the scenario's.
    """

    name: str
    segment: str
    train_rows: int
    validation_rows: int
    test_rows: int
    target: str = ""
    law: population.DefaultLaw | None = None

    def __post_init__(self) -> None:
        """Refuses a segment the population does not know."""
        checks.check_one_of("segment", self.segment, population.SEGMENTS)
        checks.check_at_least("train_rows", self.train_rows, 1)
        checks.check_at_least("validation_rows", self.validation_rows, 1)
        checks.check_at_least("test_rows", self.test_rows, 1)

    @property
    def rows(self) -> int:
        """All rows of the bank."""
        return self.train_rows + self.validation_rows + self.test_rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenario:
    """Banks, how much their customers differ, and the law they share.

    Attributes:
        name: Name on the command line.
        description: How the scenario works, for tables and reports; says
            nothing about results.
        banks: The institutions.
        heterogeneity: 0 if the banks' customers are alike, 1 if each bank
            serves one segment only.
        training: Settings that suit the scenario's sizes.
        law: Decides who defaults.
    """

    name: str
    description: str
    banks: tuple[Bank, ...]
    heterogeneity: float
    training: TrainingConfig
    law: population.DefaultLaw

    def __post_init__(self) -> None:
        """Refuses a heterogeneity outside 0 to 1 and repeated bank names."""
        checks.check_in_range("heterogeneity", self.heterogeneity, 0.0, 1.0)
        names = [bank.name for bank in self.banks]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"`banks` must have distinct names, got {names}.")

    @property
    def contract(self) -> Contract:
        """The contract of the population, with what each bank's label stands for."""
        formats = {
            bank.name: InstitutionFormat(label_meaning=bank.target)
            for bank in self.banks
            if bank.target
        }
        return dataclasses.replace(CREDIT_CONTRACT, formats=formats)

    @property
    def train_rows(self) -> dict[str, int]:
        """Of each bank, by name."""
        return {bank.name: bank.train_rows for bank in self.banks}

    def segment_shares(self, bank: Bank) -> np.ndarray:
        """Probability of each segment among a bank's customers, float64[3]."""
        market = np.zeros(len(population.SEGMENTS))
        for other in self.banks:
            market[population.SEGMENTS.index(other.segment)] += other.rows
        own = np.zeros(len(population.SEGMENTS))
        own[population.SEGMENTS.index(bank.segment)] = 1.0
        return (
            1.0 - self.heterogeneity
        ) * market / market.sum() + self.heterogeneity * own

    def to_mapping(self) -> dict[str, Any]:
        """Description, banks and constants, as JSON holds them."""
        mapping = dataclasses.asdict(self)
        del mapping["training"]  # the run's own configuration holds it
        return json.loads(json.dumps(mapping))

    def draw(self, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
        """Draws each bank's customers, in random order, by bank name."""
        streams = rng.spawn(len(self.banks))
        return {
            bank.name: population.draw_customers(
                stream.choice(
                    len(population.SEGMENTS),
                    size=bank.rows,
                    p=self.segment_shares(bank),
                ),
                bank.law or self.law,
                stream,
            )
            for bank, stream in zip(self.banks, streams, strict=True)
        }


MARKET = Scenario(
    name="market",
    description=(
        "One law of default holds for the whole market. At heterogeneity 1 each of "
        "three large banks serves one segment of it and sees only the part of the law "
        "that matters there, so that a bank's own model has never seen most of the "
        "market it is judged on under 'all rows'; at 0 the banks' customers are alike, "
        "and each bank sees all of the law. Whether a bank gains on the customers it "
        "has is another question: see its own rows, and the scenario scarce_labels."
    ),
    banks=tuple(
        Bank(
            name=name,
            segment=segment,
            train_rows=4_000,
            validation_rows=1_000,
            test_rows=2_000,
        )
        for name, segment in zip(
            ("bank_a", "bank_b", "bank_c"), population.SEGMENTS, strict=True
        )
    ),
    heterogeneity=1.0,
    training=TrainingConfig(dp_sgd=DpSgdConfig(batch_size=1024, rounds=200)),
    law=population.DefaultLaw(),
)

SCARCE_LABELS = Scenario(
    name="scarce_labels",
    description=(
        "Three banks have few labelled customers, who differ mildly. A bank is judged "
        "on its own customers: what it can gain there is what the others' labels teach "
        "and its own are too few to teach, the choice of the stopping round included. "
        "With enough labels of its own there is nothing to gain."
    ),
    banks=tuple(
        Bank(
            name=name,
            segment=segment,
            train_rows=rows,
            validation_rows=rows // 2,
            test_rows=4_000,
        )
        for name, segment, rows in zip(
            ("bank_a", "bank_b", "bank_c"),
            population.SEGMENTS,
            (100, 250, 500),
            strict=True,
        )
    ),
    heterogeneity=0.3,
    training=TrainingConfig(client_learning_rate=0.2, batch_size=32),
    law=population.DefaultLaw(),
)

DOMINANT_BANK = Scenario(
    name="dominant_bank",
    description=(
        "One bank has eight times the labelled customers of each of two others, and "
        "customers differ. The joint model leans towards the large bank's segment and "
        "has little to teach it; what a bank gains on its own customers depends on how "
        "much of the model is its own."
    ),
    banks=tuple(
        Bank(
            name=name,
            segment=segment,
            train_rows=rows,
            validation_rows=rows // 2,
            test_rows=4_000,
        )
        for name, segment, rows in zip(
            ("bank_a", "bank_b", "bank_c"),
            population.SEGMENTS,
            (2_000, 250, 250),
            strict=True,
        )
    ),
    heterogeneity=0.7,
    training=TrainingConfig(client_learning_rate=0.2, batch_size=32),
    law=population.DefaultLaw(),
)

FIVE_BANKS = Scenario(
    name="five_banks",
    description=(
        "Five banks of one size, whose customers differ mildly: a majority, of which a "
        "bank that isn't honest can be told apart. For experiments.compare_robustness."
    ),
    banks=tuple(
        Bank(
            name=f"bank_{letter}",
            segment=population.SEGMENTS[number % len(population.SEGMENTS)],
            train_rows=2_000,
            validation_rows=500,
            test_rows=1_000,
        )
        for number, letter in enumerate("abcde")
    ),
    heterogeneity=0.3,
    training=TrainingConfig(batch_size=128, rounds=60, patience=60),
    law=population.DefaultLaw(),
)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (MARKET, SCARCE_LABELS, DOMINANT_BANK, FIVE_BANKS)
}

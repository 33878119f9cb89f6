"""The bank case study: a synthetic population, drawn anew under each seed."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.datasets.population import DefaultLaw
from tff_finance.datasets.scenarios import SCENARIOS, Scenario
from tff_finance.evaluation.study import Study, run_study
from tff_finance.institutions.institution import Institution, split_at_random
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.run_folder import RunFolder
from tff_finance.records.run_record import RunRecord

EXPERIMENT = "bank_case_study"


def run_case_study(
    config: CaseStudyConfig,
    *,
    report_progress: Callable[[str], None],
    folder: RunFolder | None = None,
    law: DefaultLaw | None = None,
    scenario: Scenario | None = None,
) -> RunRecord:
    """Trains and judges every method under every seed.

    Must be called in an execution context (`runtime.local`).

    Args:
        config: What to run.
        report_progress: As for `run_study`.
        folder: As for `run_study`.
        law: Replaces the scenario's law of default; for calibration.
        scenario: The one that `config` names, if it isn't one of `SCENARIOS`.

    Returns:
        The record of the run.

    Raises:
        RunFailedError: As `run_study`.
    """
    scenario = scenario_of(config, scenario)
    scenario = dataclasses.replace(scenario, law=law or scenario.law)
    study = Study(
        experiment=EXPERIMENT,
        config=config,
        scenario=scenario.to_mapping(),
        contract=CREDIT_CONTRACT,
        institutions=lambda seed: draw_institutions(scenario, seed),
        targets=scenario.targets,
    )
    return run_study(study, report_progress=report_progress, folder=folder)


def scenario_of(config: CaseStudyConfig, scenario: Scenario | None = None) -> Scenario:
    """The scenario of a configuration, or another one with its heterogeneity."""
    return dataclasses.replace(
        scenario or SCENARIOS[config.scenario], heterogeneity=config.heterogeneity
    )


def draw_institutions(scenario: Scenario, seed: int) -> list[Institution]:
    """Draws the banks' customers and splits them, all from one seed."""
    population_rng, *split_rngs = np.random.default_rng(seed).spawn(
        1 + len(scenario.banks)
    )
    tables = scenario.draw(population_rng)
    return [
        split_at_random(
            bank.name,
            CREDIT_CONTRACT.validate(tables[bank.name], institution=bank.name),
            validation_rows=bank.validation_rows,
            test_rows=bank.test_rows,
            rng=rng,
        )
        for bank, rng in zip(scenario.banks, split_rngs, strict=True)
    ]

"""The bank case study: scenario, methods and seeds in, run record out."""

import dataclasses
import importlib.metadata
import platform
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.datasets.population import DefaultLaw
from tff_finance.datasets.scenarios import SCENARIOS, Scenario
from tff_finance.evaluation.judging import Judgement, judge
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.evaluation.methods import Fitted, Method
from tff_finance.institutions.institution import Institution, split_at_random
from tff_finance.preprocessing.consortium import encode_consortium
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.run_record import InstitutionRow, RunRecord

EXPERIMENT = "bank_case_study"

_PACKAGES = (
    "tff-finance",
    "tensorflow",
    "tensorflow-federated",
    "numpy",
    "pandas",
    "scikit-learn",
)


def run_case_study(
    config: CaseStudyConfig,
    *,
    report_progress: Callable[[str], None],
    law: DefaultLaw | None = None,
) -> RunRecord:
    """Trains and judges every method under every seed.

    Must be called in an execution context (`runtime.local`).

    Args:
        config: What to run.
        report_progress: Takes a line whenever a method is done.
        law: Replaces the scenario's law of default; for calibration.

    Returns:
        The record of the run.
    """
    scenario = SCENARIOS[config.scenario]
    scenario = dataclasses.replace(
        scenario, heterogeneity=config.heterogeneity, law=law or scenario.law
    )
    methods: dict[int, list[Method]] = {}
    institution_rows: list[InstitutionRow] = []
    fitted: list[Fitted] = []
    judgements: list[Judgement] = []
    for seed in config.seeds:
        institutions = draw_institutions(scenario, seed)
        institution_rows += [_institution_row(i, seed) for i in institutions]
        consortium = encode_consortium(institutions, CREDIT_CONTRACT)
        width = len(consortium.encoder.feature_names)
        if width not in methods:
            methods[width] = build_methods(config.methods, width, config.training)
        for method in methods[width]:
            start = time.monotonic()
            result = method.fit(consortium.training, seed=seed)
            judgement = judge(
                result.scorers, consortium.test, seed=seed, method=method.name
            )
            fitted.append(result)
            judgements.append(judgement)
            seconds = time.monotonic() - start
            report_progress(_progress_line(seed, method.name, result, seconds))
    return RunRecord(
        experiment=EXPERIMENT,
        config=config.to_mapping(),
        versions=package_versions(),
        institutions=tuple(institution_rows),
        metrics=tuple(row for j in judgements for row in j.metrics),
        curves=tuple(row for f in fitted for row in f.curves),
        runs=tuple(row for f in fitted for row in f.runs),
        histograms=tuple(row for j in judgements for row in j.histograms),
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


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version()} | versions


def _institution_row(institution: Institution, seed: int) -> InstitutionRow:
    label = CREDIT_CONTRACT.label
    everything = pd.concat(
        [
            institution.train[label],
            institution.validation[label],
            institution.test[label],
        ]
    )
    return InstitutionRow(
        seed=seed,
        institution=institution.name,
        train_rows=len(institution.train),
        validation_rows=len(institution.validation),
        test_rows=len(institution.test),
        test_positives=int(institution.test[label].sum()),
        positive_rate=float(everything.mean()),
    )


def _progress_line(seed: int, method: str, fitted: Fitted, seconds: float) -> str:
    rounds = max(run.rounds for run in fitted.runs)
    return f"seed {seed}  {method:<17} {rounds:>4} rounds  {seconds:5.1f} s"

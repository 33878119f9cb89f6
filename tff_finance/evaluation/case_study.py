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
from tff_finance.evaluation.feature_means import feature_rows
from tff_finance.evaluation.judging import judge
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.evaluation.methods import Method
from tff_finance.institutions.institution import Institution, split_at_random
from tff_finance.preprocessing.consortium import Consortium, encode_consortium
from tff_finance.preprocessing.statistics import exchanged_types
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.run_record import InstitutionRow, RunRecord, join_rows
from tff_finance.training import communication

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
    save: Callable[[RunRecord], None] | None = None,
    law: DefaultLaw | None = None,
) -> RunRecord:
    """Trains and judges every method under every seed.

    Must be called in an execution context (`runtime.local`).

    Args:
        config: What to run.
        report_progress: Takes a line whenever a method is done.
        save: Takes the record so far whenever a seed is done.
        law: Replaces the scenario's law of default; for calibration.

    Returns:
        The record of the run.
    """
    scenario = SCENARIOS[config.scenario]
    scenario = dataclasses.replace(
        scenario, heterogeneity=config.heterogeneity, law=law or scenario.law
    )
    header = _empty_record(config, scenario)
    # Computations are built once for all seeds. The encoder's width may differ
    # between seeds, where a rare category or a missing value occurs in one only.
    methods: dict[int, list[Method]] = {}
    seeds: list[RunRecord] = []
    for seed in config.seeds:
        institutions = draw_institutions(scenario, seed)
        consortium = encode_consortium(institutions, CREDIT_CONTRACT)
        names = consortium.encoder.feature_names
        width = len(names)
        if width not in methods:
            methods[width] = build_methods(config.methods, width, config.training)
        rows = [
            _run_method(method, consortium, header, seed, report_progress)
            for method in methods[width]
        ]
        described = dataclasses.replace(
            header,
            institutions=tuple(_institution_row(i, seed) for i in institutions),
            features=tuple(feature_rows(consortium.training, names, seed=seed)),
        )
        seeds.append(join_rows([described, *rows]))
        if save:
            save(join_rows(seeds))
    return join_rows(seeds)


def _run_method(
    method: Method,
    consortium: Consortium,
    header: RunRecord,
    seed: int,
    report_progress: Callable[[str], None],
) -> RunRecord:
    """Fits one method under one seed, then lets its models see the test rows."""
    start = time.monotonic()
    fitted = method.fit(consortium.training, seed=seed)
    judgement = judge(fitted.scorers, consortium.test, seed=seed, method=method.name)
    rounds = max(run.rounds for run in fitted.runs)
    seconds = time.monotonic() - start
    report_progress(
        f"seed {seed}  {method.name:<17} {rounds:>4} rounds  {seconds:5.1f} s"
    )
    return dataclasses.replace(
        header,
        metrics=judgement.metrics,
        curves=fitted.curves,
        runs=fitted.runs,
        histograms=judgement.histograms,
    )


def _empty_record(config: CaseStudyConfig, scenario: Scenario) -> RunRecord:
    """A record without rows: what was asked for, and of which data."""
    received, sent = exchanged_types(CREDIT_CONTRACT)
    return RunRecord(
        experiment=EXPERIMENT,
        config=config.to_mapping(),
        scenario=scenario.to_mapping(),
        preprocessing={
            "bytes_down": sum(map(communication.type_bytes, received)),
            "bytes_up": sum(map(communication.type_bytes, sent)),
            "source": f"{communication.SOURCE}, for each institution, once",
        },
        versions=package_versions(),
        institutions=(),
        metrics=(),
        curves=(),
        runs=(),
        histograms=(),
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

"""The bank case study: scenario, methods and seeds in, run record out."""

import contextlib
import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from tff_finance import checks
from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.datasets.population import DefaultLaw
from tff_finance.datasets.scenarios import SCENARIOS, Scenario
from tff_finance.evaluation.feature_means import feature_rows
from tff_finance.evaluation.judging import judge
from tff_finance.evaluation.method_suite import build_methods
from tff_finance.evaluation.methods import Method
from tff_finance.institutions.examples import ExampleStore, InMemory
from tff_finance.institutions.institution import Institution, split_at_random
from tff_finance.institutions.shards import ShardFiles
from tff_finance.preprocessing.consortium import Consortium, encode_consortium
from tff_finance.preprocessing.statistics import exchanged_types
from tff_finance.records.config import CaseStudyConfig
from tff_finance.records.run_folder import RunFolder, differences
from tff_finance.records.run_record import InstitutionRow, RunRecord, join_rows
from tff_finance.records.versions import result_versions
from tff_finance.training import communication
from tff_finance.training.folder import TrainingFolder

EXPERIMENT = "bank_case_study"

# The part of a seed that no method has.
_INSTITUTIONS = "institutions"


def run_case_study(
    config: CaseStudyConfig,
    *,
    report_progress: Callable[[str], None],
    folder: RunFolder | None = None,
    law: DefaultLaw | None = None,
) -> RunRecord:
    """Trains and judges every method under every seed.

    Must be called in an execution context (`runtime.local`).

    Args:
        config: What to run.
        report_progress: Takes a line whenever a method is done.
        folder: Takes each part that is done and the record so far after each
            seed, and gives what an earlier process of the same run has done. To
            be claimed by the caller. None keeps nothing.
        law: Replaces the scenario's law of default; for calibration.

    Returns:
        The record of the run.

    Raises:
        RunFailedError: If training diverges, or if a checkpoint or a part that is
            done can't be used.
    """
    scenario = SCENARIOS[config.scenario]
    with (
        _example_store(config.runtime, folder) as store,
        _state_directory(folder) as state_directory,
    ):
        study = _CaseStudy(
            config=config,
            scenario=dataclasses.replace(
                scenario, heterogeneity=config.heterogeneity, law=law or scenario.law
            ),
            report_progress=report_progress,
            folder=folder,
            store=store,
            state_directory=state_directory,
        )
        seeds: list[RunRecord] = []
        for seed in config.seeds:
            done, record = study.run_seed(seed)
            seeds.append(record)
            # Where nothing is new, the folder's record may have later seeds as well.
            if folder and (not done or seed == config.seeds[-1]):
                folder.write_record(join_rows(seeds))
    return join_rows(seeds)


@contextlib.contextmanager
def _example_store(runtime: str, folder: RunFolder | None) -> Iterator[ExampleStore]:
    """By file where another process of this machine runs the rounds.

    Workers may be on machines that don't see this one's files.
    """
    if runtime != "tff":
        yield InMemory()
    elif folder:
        with folder.scratch() as directory:
            yield ShardFiles(directory)
    else:
        with tempfile.TemporaryDirectory(prefix="tff_finance_") as name:
            yield ShardFiles(pathlib.Path(name))


@contextlib.contextmanager
def _state_directory(folder: RunFolder | None) -> Iterator[pathlib.Path]:
    """Where institutions keep state between rounds: with the run's checkpoints."""
    if folder:
        yield folder.institution_state
    else:
        with tempfile.TemporaryDirectory(prefix="tff_finance_") as name:
            yield pathlib.Path(name)


class _CaseStudy:
    """The study's parts: under each seed the institutions, then each method."""

    def __init__(
        self,
        *,
        config: CaseStudyConfig,
        scenario: Scenario,
        report_progress: Callable[[str], None],
        folder: RunFolder | None,
        store: ExampleStore,
        state_directory: pathlib.Path,
    ) -> None:
        self._config = config
        self._scenario = scenario
        self._report_progress = report_progress
        self._folder = folder
        self._store = store
        self._state_directory = state_directory
        self._header = _empty_record(config, scenario)
        # Computations are built once for all seeds. The encoder's width may differ
        # between seeds, where a rare category or a missing value occurs in one only.
        self._methods: dict[int, list[Method]] = {}

    def run_seed(self, seed: int) -> tuple[bool, RunRecord]:
        """Runs the parts that an earlier process hasn't finished.

        Returns:
            Whether it had finished them all, and the record of the seed.
        """
        names = (_INSTITUTIONS, *self._config.methods)
        records = {name: self._finished(seed, name) for name in names}
        if all(records.values()):
            return True, join_rows([record for record in records.values() if record])
        institutions = draw_institutions(self._scenario, seed)
        consortium = encode_consortium(institutions, CREDIT_CONTRACT)
        if not records[_INSTITUTIONS]:
            records[_INSTITUTIONS] = self._finish(
                seed, _INSTITUTIONS, self._describe(institutions, consortium, seed)
            )
        for method in self._methods_for(consortium):
            if not records[method.name]:
                records[method.name] = self._finish(
                    seed, method.name, self._run_method(method, consortium, seed)
                )
        return False, join_rows([record for record in records.values() if record])

    def _finished(self, seed: int, name: str) -> RunRecord | None:
        record = self._folder.finished(_part(seed, name)) if self._folder else None
        if record:
            self._check_same_run(record, _part(seed, name))
        if record and name != _INSTITUTIONS:
            self._report_progress(f"seed {seed}  {name:<17} was finished before")
        return record

    def _check_same_run(self, record: RunRecord, part: str) -> None:
        """Refuses a part copied from another run's folder, or left by one."""
        of = ("experiment", "config", "scenario", "preprocessing", "versions")
        before, now = (
            {name: getattr(one, name) for name in of} for one in (record, self._header)
        )
        if differing := differences(before, now):
            raise checks.RunFailedError(
                f"checkpoints/{part}/record is a part of another run: {differing[0]}. "
                "Delete it to have this part run again."
            )

    def _finish(self, seed: int, name: str, record: RunRecord) -> RunRecord:
        if self._folder:
            self._folder.finish(_part(seed, name), record)
        return record

    def _methods_for(self, consortium: Consortium) -> list[Method]:
        width = len(consortium.encoder.feature_names)
        if width not in self._methods:
            self._methods[width] = build_methods(
                self._config.methods,
                width,
                self._config.training,
                store=self._store,
                num_institutions=len(consortium.training),
                state_directory=self._state_directory,
            )
        return self._methods[width]

    def _describe(
        self, institutions: list[Institution], consortium: Consortium, seed: int
    ) -> RunRecord:
        names = consortium.encoder.feature_names
        return dataclasses.replace(
            self._header,
            institutions=tuple(_institution_row(i, seed) for i in institutions),
            features=tuple(feature_rows(consortium.training, names, seed=seed)),
        )

    def _run_method(
        self, method: Method, consortium: Consortium, seed: int
    ) -> RunRecord:
        """Fits one method under one seed, then lets its models see the test rows."""
        start = time.monotonic()
        folder = None
        if self._folder:
            folder = TrainingFolder(run=self._folder, part=_part(seed, method.name))
        fitted = method.fit(consortium.training, seed=seed, folder=folder)
        judgement = judge(
            fitted.scorers, consortium.test, seed=seed, method=method.name
        )
        rounds = max(run.rounds for run in fitted.runs)
        seconds = time.monotonic() - start
        self._report_progress(
            f"seed {seed}  {method.name:<17} {rounds:>4} rounds  {seconds:5.1f} s"
        )
        return dataclasses.replace(
            self._header,
            metrics=judgement.metrics,
            curves=fitted.curves,
            runs=fitted.runs,
            histograms=judgement.histograms,
        )


def _part(seed: int, name: str) -> str:
    return f"seed_{seed}/{name}"


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
        versions=result_versions(),
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

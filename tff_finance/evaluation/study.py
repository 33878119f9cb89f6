"""A study: institutions, methods and seeds in, run record out.

Under each seed the institutions' tables are made, then each method is fitted and
judged. What differs between studies is where the tables come from.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tff_finance import checks
from tff_finance.datasets.contract import Contract
from tff_finance.evaluation import promises
from tff_finance.evaluation.built_methods import BuiltMethods
from tff_finance.evaluation.coalitions import CoalitionRunner, Kept
from tff_finance.evaluation.daily_judging import (
    PaymentColumns,
    PaymentDetails,
    judge_payments,
    payment_details,
)
from tff_finance.evaluation.feature_means import feature_rows
from tff_finance.evaluation.judging import judge
from tff_finance.evaluation.methods import Fitted, Method
from tff_finance.evaluation.record_rows import (
    ExchangedTypes,
    institution_row,
    traffic_once,
)
from tff_finance.evaluation.row_intervals import RowIntervals, bootstrap_rows
from tff_finance.evaluation.run_storage import example_store, state_directory
from tff_finance.evaluation.study_parts import StudyParts
from tff_finance.evaluation.targets import (
    check_nothing_pools,
    differ,
    pooling,
    targets_of,
)
from tff_finance.evaluation.test_scores import TestScores
from tff_finance.institutions.institution import Institution
from tff_finance.metrics.derived import METRICS
from tff_finance.metrics.score_histogram import ScoreHistogram
from tff_finance.metrics.values import Metric
from tff_finance.preprocessing.consortium import Consortium, encode_consortium
from tff_finance.preprocessing.statistics import exchanged_types
from tff_finance.records.coalition_row import CoalitionRow
from tff_finance.records.config import StudyConfig
from tff_finance.records.privacy_row import PrivacyRow
from tff_finance.records.run_folder import RunFolder
from tff_finance.records.run_record import (
    RunRecord,
    join_rows,
)
from tff_finance.records.versions import result_versions
from tff_finance.tasks.risk import RISK
from tff_finance.tasks.task import Task

# Parts of a seed that no method has.
_INSTITUTIONS = "institutions"
_INTERVALS = "intervals"
_CONTRIBUTION = "contribution"

Keep = Callable[[str, Fitted, Consortium, Sequence[PrivacyRow]], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """What is compared, and on which tables.

    Attributes:
        experiment: Named in the record.
        config: What was asked for.
        scenario: What the data are, as the record holds it.
        contract: The columns that all institutions agreed on.
        institutions: Their tables under a seed, satisfying the contract.
        task: Gives the model.
        judged_by: Metrics by name.
        balanced: Whether both classes weigh the same in the loss of networks.
        row_intervals: Intervals over test rows; None for data that a seed redraws.
        payments: Columns of tables of payments, which are then also judged by the
            task's metrics of days; None for other tables.
        keep: Takes each method's name, what it learnt, the encoded rows, and what it
            promises, before it is finished.
        exchanged_for_features: Types of what each institution receives and sends
            before training for its features, once; nothing for most tables.
    """

    experiment: str
    config: StudyConfig
    scenario: Mapping[str, Any]
    contract: Contract
    institutions: Callable[[int], Sequence[Institution]]
    task: Task = RISK
    judged_by: Mapping[str, Metric[ScoreHistogram]] = dataclasses.field(
        default_factory=lambda: METRICS
    )
    balanced: bool = False
    row_intervals: RowIntervals | None = None
    payments: PaymentColumns | None = None
    keep: Keep | None = None
    exchanged_for_features: ExchangedTypes = ((), ())


def run_study(
    study: Study,
    *,
    report_progress: Callable[[str], None],
    folder: RunFolder | None = None,
) -> RunRecord:
    """Trains and judges every method under every seed.

    Must be called in an execution context (`runtime.local`).

    Args:
        study: What to run.
        report_progress: Takes a line whenever a method is done.
        folder: Takes each part that is done and the record so far after each
            seed, and gives what an earlier process of the same run has done. To
            be claimed by the caller. None keeps nothing.

    Returns:
        The record of the run.

    Raises:
        RunFailedError: If training diverges, if a seed's institutions can't be made,
            or if a checkpoint or a part that is done can't be used.
    """
    config = study.config
    with (
        example_store(config.runtime, folder) as store,
        state_directory(folder) as directory,
    ):
        runner = _Runner(
            study=study,
            report_progress=report_progress,
            folder=folder,
            methods=BuiltMethods(
                config.training,
                task=study.task,
                balanced=study.balanced,
                store=store,
                state_directory=directory,
            ),
        )
        seeds: list[RunRecord] = []
        for seed in config.seeds:
            done, record = runner.run_seed(seed)
            seeds.append(record)
            # Where nothing is new, the folder's record may have later seeds as well.
            if folder and (not done or seed == config.seeds[-1]):
                folder.write_record(join_rows(seeds))
    return join_rows(seeds)


class _Runner:
    """The study's parts: under each seed the institutions, then each method."""

    def __init__(
        self,
        *,
        study: Study,
        report_progress: Callable[[str], None],
        folder: RunFolder | None,
        methods: BuiltMethods,
    ) -> None:
        self._study = study
        self._report_progress = report_progress
        self._methods = methods
        self._header = _empty_record(study)
        self._parts = StudyParts(folder, self._header)
        self._scores: dict[str, TestScores] = {}

    def run_seed(self, seed: int) -> tuple[bool, RunRecord]:
        """Runs the parts that an earlier process hasn't finished.

        Returns:
            Whether it had finished them all, and the record of the seed.
        """
        intervals = (_INTERVALS,) if self._study.row_intervals else ()
        contribution = (_CONTRIBUTION,) if self._study.config.contribution else ()
        methods = self._study.config.methods
        names = (_INSTITUTIONS, *methods, *intervals, *contribution)
        records = {name: self._finished(seed, name) for name in names}
        if all(records.values()):
            return True, join_rows([record for record in records.values() if record])
        institutions = self._institutions(seed)
        consortium = encode_consortium(institutions, self._study.contract)
        self._scores = {}
        if not records[_INSTITUTIONS]:
            records[_INSTITUTIONS] = self._parts.finish(
                seed, _INSTITUTIONS, self._describe(institutions, consortium, seed)
            )
        check_nothing_pools(
            targets_of(self._study.contract, consortium.test),
            {
                "payments": self._study.payments,
                "class_weights": self._study.balanced,
                "contribution": self._study.config.contribution,
            }
            | pooling(methods),
        )
        payments = None
        if self._study.payments:
            payments = payment_details(institutions, self._study.payments)
        for method in self._methods.suiting(
            methods, consortium.encoder, consortium.training
        ):
            done = records[method.name]
            if not (done and self._has_scores(seed, method.name)):
                record = self._run_method(method, consortium, seed, payments)
                records[method.name] = self._parts.finish(seed, method.name, record)
        if self._study.row_intervals and not records[_INTERVALS]:
            record = self._intervals(institutions, consortium, seed)
            records[_INTERVALS] = self._parts.finish(seed, _INTERVALS, record)
        if contribution and not records[_CONTRIBUTION]:
            record = self._contribution(institutions, seed)
            records[_CONTRIBUTION] = self._parts.finish(seed, _CONTRIBUTION, record)
        return False, join_rows([record for record in records.values() if record])

    def _institutions(self, seed: int) -> Sequence[Institution]:
        try:
            institutions = self._study.institutions(seed)
        except ValueError as error:  # chance may leave an institution too few rows
            raise checks.RunFailedError(
                f"Under seed {seed} the institutions can't be made: {error}"
            ) from error
        try:
            self._study.config.check_suits_institutions(
                {
                    institution.name: len(institution.train)
                    for institution in institutions
                }
            )
        except ValueError as error:
            raise checks.RunFailedError(str(error)) from error
        return institutions

    def _finished(self, seed: int, name: str) -> RunRecord | None:
        record = self._parts.finished(seed, name)
        if record and name in self._study.config.methods:
            self._report_progress(f"seed {seed}  {name:<17} was finished before")
        return record

    def _has_scores(self, seed: int, method: str) -> bool:
        """Whether a finished method's scores are there, if they are asked for."""
        if not self._study.row_intervals:
            return True
        scores = self._parts.scores(seed, method)
        if scores is not None:
            self._scores[method] = scores
        return method in self._scores

    def _describe(
        self, institutions: Sequence[Institution], consortium: Consortium, seed: int
    ) -> RunRecord:
        names = consortium.encoder.feature_names
        contract = self._study.contract
        return dataclasses.replace(
            self._header,
            institutions=tuple(
                institution_row(i, contract, seed) for i in institutions
            ),
            features=tuple(feature_rows(consortium.training, names, seed=seed)),
        )

    def _run_method(
        self,
        method: Method,
        consortium: Consortium,
        seed: int,
        payments: Mapping[str, PaymentDetails] | None,
    ) -> RunRecord:
        """Fits one method under one seed, then lets its models see the test rows."""
        start = time.monotonic()
        folder = self._parts.training(seed, method.name)
        fitted = method.fit(consortium.training, seed=seed, folder=folder)
        privacy = self._privacy(fitted, method.name, seed)
        if self._study.keep:
            self._study.keep(method.name, fitted, consortium, privacy)
        judgement = judge(
            fitted.scorers,
            consortium.test,
            seed=seed,
            method=method.name,
            judged_by=self._study.judged_by,
            targets=targets_of(self._study.contract, consortium.test),
        )
        metrics = judgement.metrics
        if payments:
            metrics += judge_payments(
                fitted.scorers,
                consortium.test,
                payments,
                task=self._study.task,
                seed=seed,
                method=method.name,
            )
        if self._study.row_intervals:
            scores = TestScores.of(fitted.scorers, consortium.test)
            self._scores[method.name] = scores
            self._parts.keep_scores(seed, method.name, scores)
        rounds = max(run.rounds for run in fitted.runs)
        seconds = time.monotonic() - start
        self._report_progress(
            f"seed {seed}  {method.name:<17} {rounds:>4} rounds  {seconds:5.1f} s"
        )
        if privacy:
            self._report_progress(
                f"seed {seed}  {method.name:<17} epsilon at most "
                f"{max(row.epsilon for row in privacy):.2f} {privacy[0].unit_in_words}"
            )
        return dataclasses.replace(
            self._header,
            metrics=metrics,
            curves=fitted.curves,
            runs=fitted.runs,
            histograms=judgement.histograms,
            privacy=privacy,
        )

    def _privacy(
        self, fitted: Fitted, method: str, seed: int
    ) -> tuple[PrivacyRow, ...]:
        """What a method promises, and what of rows its results give away besides."""
        config = self._study.config
        return promises.privacy_rows(
            fitted.promises,
            promises.released_besides(
                label_counts=self._study.balanced,
                feature_counts=any(self._study.exchanged_for_features),
                features_of_other_rows=config.features_of_other_rows,
                table_checksums=config.table_checksums,
                model_kept=self._study.keep is not None,
            ),
            seed=seed,
            method=method,
            several_rows=config.several_rows,
        )

    def _intervals(
        self,
        institutions: Sequence[Institution],
        consortium: Consortium,
        seed: int,
    ) -> RunRecord:
        asked = self._study.row_intervals
        assert asked
        clusters = None
        if asked.clusters:
            clusters = {i.name: i.test[asked.clusters].to_numpy() for i in institutions}
        rows = bootstrap_rows(
            {name: self._scores[name] for name in self._study.config.methods},
            consortium.test,
            clusters=clusters,
            seed=seed,
            resamples=asked.resamples,
            pooled=not differ(targets_of(self._study.contract, consortium.test)),
        )
        return dataclasses.replace(self._header, bootstraps=rows)

    def _contribution(
        self, institutions: Sequence[Institution], seed: int
    ) -> RunRecord:
        asked = self._study.config.contribution
        assert asked

        def part(name: str) -> str:
            return f"{_CONTRIBUTION}/{name}"

        def finished(name: str) -> tuple[CoalitionRow, ...] | None:
            record = self._finished(seed, part(name))
            return record.coalitions if record else None

        def finish(name: str, rows: tuple[CoalitionRow, ...]) -> None:
            record = dataclasses.replace(self._header, coalitions=rows)
            self._parts.finish(seed, part(name), record)

        runner = CoalitionRunner(
            institutions=institutions,
            asked=asked,
            contract=self._study.contract,
            methods=self._methods,
            seed=seed,
            kept=Kept(
                finished=finished,
                finish=finish,
                training=lambda name: self._parts.training(seed, part(name)),
            ),
            report_progress=self._report_progress,
        )
        return dataclasses.replace(self._header, coalitions=runner.run())


def _empty_record(study: Study) -> RunRecord:
    """A record without rows: what was asked for, and of which data."""
    preprocessing = traffic_once(exchanged_types(study.contract))
    if any(study.exchanged_for_features):
        preprocessing["features"] = traffic_once(study.exchanged_for_features)
    return RunRecord(
        experiment=study.experiment,
        config=study.config.to_mapping(),
        scenario=dict(study.scenario),
        preprocessing=preprocessing,
        versions=result_versions(),
        institutions=(),
        metrics=(),
        curves=(),
        runs=(),
        histograms=(),
    )

"""A comparison of methods on real tables: public ones, or institutions' own."""

from collections.abc import Callable, Mapping
from typing import Any

from tff_finance.datasets.contract import Contract
from tff_finance.evaluation.daily_judging import PaymentColumns
from tff_finance.evaluation.record_rows import ExchangedTypes
from tff_finance.evaluation.row_intervals import RowIntervals
from tff_finance.evaluation.study import (
    Keep,
    Study,
    run_study,
)
from tff_finance.institutions.table_source import TableSource
from tff_finance.records.comparison_config import PAYMENT_COLUMNS, ComparisonConfig
from tff_finance.records.run_folder import RunFolder
from tff_finance.records.run_record import RunRecord
from tff_finance.tasks.catalogue import TASKS

EXPERIMENT = "comparison"


def run_comparison(
    config: ComparisonConfig,
    source: TableSource,
    contract: Contract,
    *,
    scenario: Mapping[str, Any],
    report_progress: Callable[[str], None],
    folder: RunFolder | None = None,
    keep: Keep | None = None,
    exchanged_for_features: ExchangedTypes = ((), ()),
) -> RunRecord:
    """Trains and judges every method on the same rows, under every seed.

    Must be called in an execution context (`runtime.local`). Intervals are over
    test rows, see `docs/statistics.md`.

    Args:
        config: What to run.
        source: The institutions' tables.
        contract: That they satisfy.
        scenario: What the data are; the record holds it.
        report_progress: As for `run_study`.
        folder: As for `run_study`.
        keep: As in `Study`.
        exchanged_for_features: As for `Study`.

    Returns:
        The record of the run.

    Raises:
        RunFailedError: As `run_study`.
    """
    task = TASKS[config.task]
    study = Study(
        experiment=EXPERIMENT,
        config=config,
        scenario=scenario,
        contract=contract,
        institutions=source.institutions,
        task=task,
        judged_by=task.metrics,
        exchanged_for_features=exchanged_for_features,
        balanced=config.class_weights == "balanced",
        row_intervals=RowIntervals(
            resamples=config.resamples, clusters=config.clusters
        ),
        payments=(
            PaymentColumns(**dict(zip(PAYMENT_COLUMNS, config.payments, strict=True)))
            if config.payments
            else None
        ),
        keep=keep,
    )
    return run_study(study, report_progress=report_progress, folder=folder)

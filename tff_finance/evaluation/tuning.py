"""Validation losses of the case study and of real tables, for a search to minimize."""

from collections.abc import Callable

from tff_finance.datasets.contract import Contract
from tff_finance.datasets.credit_contract import CREDIT_CONTRACT
from tff_finance.evaluation.case_study import draw_institutions, scenario_of
from tff_finance.evaluation.validation_loss import Context, ValidationLoss
from tff_finance.institutions.held_back import WithoutReportedTestRows
from tff_finance.institutions.table_source import DealtTable, OwnTables
from tff_finance.records.comparison_config import ComparisonConfig
from tff_finance.records.config import CaseStudyConfig
from tff_finance.tasks.catalogue import TASKS
from tff_finance.tasks.risk import RISK


def case_study_loss(
    config: CaseStudyConfig,
    *,
    context: Context,
    report_progress: Callable[[str], None],
) -> ValidationLoss:
    """On the case study's population, which each seed draws anew.

    Args:
        config: Of one method, and of the seeds that are tuned on.
        context: As for `ValidationLoss`.
        report_progress: As for `ValidationLoss`.

    Returns:
        What to minimize.
    """
    scenario = scenario_of(config)
    return ValidationLoss(
        config,
        contract=CREDIT_CONTRACT,
        institutions=lambda seed: draw_institutions(scenario, seed),
        task=RISK,
        balanced=False,
        context=context,
        report_progress=report_progress,
    )


def comparison_loss(
    config: ComparisonConfig,
    source: DealtTable | OwnTables,
    contract: Contract,
    *,
    reported_seeds: tuple[int, ...],
    context: Context,
    report_progress: Callable[[str], None],
) -> ValidationLoss:
    """On real tables, without the test rows of any seed that results are reported for.

    Args:
        config: Of one method, and of the seeds that are tuned on.
        source: The institutions' tables.
        contract: That they satisfy.
        reported_seeds: Whose test rows are taken out.
        context: As for `ValidationLoss`.
        report_progress: As for `ValidationLoss`.

    Returns:
        What to minimize.
    """
    held = WithoutReportedTestRows(source=source, reported_seeds=reported_seeds)
    return ValidationLoss(
        config,
        contract=contract,
        institutions=held.institutions,
        task=TASKS[config.task],
        balanced=config.class_weights == "balanced",
        context=context,
        report_progress=report_progress,
    )

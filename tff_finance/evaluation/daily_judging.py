"""Judging by day: alerts and cards found of a model, from sums over institutions."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.evaluation.judging import scopes
from tff_finance.evaluation.scorers import Scorer
from tff_finance.institutions.examples import Examples
from tff_finance.institutions.institution import Institution
from tff_finance.metrics.card_alerts import CardLedger, daily_card_histogram
from tff_finance.metrics.daily_histogram import DailyHistogram, daily_histogram
from tff_finance.metrics.fraud import CARDS_PER_DAY
from tff_finance.metrics.values import Metric, Undefined, Value
from tff_finance.records.run_rows import MetricRow
from tff_finance.tasks.task import Task

# Ten years; a histogram has 4,096 bins for each day.
_MOST_DAYS = 3_660


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PaymentDetails:
    """What judging needs of test payments besides features, in the same order.

    Attributes:
        day: Number of the day, integer[n].
        card: The card that paid, [n]; a card is at one institution.
        amount: In units of the currency, real[n].
    """

    day: NDArray
    card: NDArray
    amount: NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class PaymentColumns:
    """Columns of tables whose rows are payments.

    Attributes:
        day: Number of the day, whole.
        card: The card that paid.
        amount: In units of the currency.
    """

    day: str
    card: str
    amount: str


def payment_details(
    institutions: Sequence[Institution], columns: PaymentColumns
) -> dict[str, PaymentDetails]:
    """Details of every institution's test rows.

    Args:
        institutions: Their tables have the columns.
        columns: Which these are.

    Returns:
        By institution.

    Raises:
        RunFailedError: If a column is missing, or a day is no whole number.
    """
    details = {}
    for institution in institutions:
        table = institution.test
        for name in dataclasses.astuple(columns):
            if name not in table.columns:
                raise checks.RunFailedError(
                    f"the test rows of {institution.name} have no column {name!r}, "
                    f"only {', '.join(map(str, table.columns))}."
                )
        days = table[columns.day].to_numpy(float)
        if not np.array_equal(days, np.round(days)):
            raise checks.RunFailedError(
                f"column {columns.day!r} of {institution.name} must number the days, "
                f"got {days[days != np.round(days)][0]}."
            )
        if len(days) and np.ptp(days) >= _MOST_DAYS:
            raise checks.RunFailedError(
                f"column {columns.day!r} of {institution.name} must number the days, "
                f"got {np.ptp(days) + 1:.0f} of them: are these seconds?"
            )
        details[institution.name] = PaymentDetails(
            day=days.astype(np.int64),
            card=table[columns.card].to_numpy(),
            amount=table[columns.amount].to_numpy(float),
        )
    return details


def judge_days(
    scorers: Mapping[str, Scorer],
    test: Mapping[str, Examples],
    details: Mapping[str, PaymentDetails],
    *,
    task: Task,
    first_day: int,
    days: int,
    seed: int,
    method: str,
) -> tuple[MetricRow, ...]:
    """Judges a method's models by a task's metrics of days.

    The number of alerts is the same for one institution's payments and for all:
    it is what one team can check.

    Args:
        scorers: "global", or one per institution.
        test: Test rows by institution.
        details: Of the same rows, by institution.
        task: Has the metrics.
        first_day: Number of the first day that all institutions agreed on.
        days: How many days; every payment is on one of them.
        seed: Named in the rows.
        method: Named in the rows.

    Returns:
        Rows for the same scopes as `judging.judge` has.

    Raises:
        ValueError: If institutions lack details, or a payment is not on the days.
    """
    if set(test) != set(details):
        raise ValueError(
            f"`details` must be of the institutions {sorted(test)}, got "
            f"{sorted(details)}."
        )
    checks.check_at_least("days", days, 1)
    period = {"first_day": first_day, "days": days}
    rows: list[MetricRow] = []
    for model, scorer in scorers.items():
        payments, ledgers = {}, {}
        for name, examples in test.items():
            of, labels = details[name], examples["y"].reshape(-1)
            logits = scorer(examples["x"])
            payments[name] = daily_histogram(
                logits, labels, of.day, amounts=of.amount, **period
            )
            ledgers[name] = CardLedger(logits, labels, of.day, of.card, **period)
        nothing = DailyHistogram.zero(**period)
        for scope, institution, names in scopes(model, tuple(test)):
            values = _values(
                task,
                sum((payments[name] for name in names), nothing),
                [ledgers[name] for name in names],
            )
            rows += [
                MetricRow(
                    seed=seed,
                    method=method,
                    model=model,
                    scope=scope,
                    institution=institution,
                    metric=metric,
                    **_outcome(value),
                )
                for metric, value in values.items()
            ]
    return tuple(rows)


def judge_payments(
    scorers: Mapping[str, Scorer],
    test: Mapping[str, Examples],
    details: Mapping[str, PaymentDetails],
    *,
    task: Task,
    seed: int,
    method: str,
) -> tuple[MetricRow, ...]:
    """Judges by days, from the first to the last day of anybody's test rows.

    Args:
        scorers: "global", or one per institution.
        test: Test rows by institution.
        details: Of the same rows, by institution.
        task: Has the metrics.
        seed: Named in the rows.
        method: Named in the rows.

    Returns:
        As `judge_days`.
    """
    days = np.concatenate([payments.day for payments in details.values()])
    return judge_days(
        scorers,
        test,
        details,
        task=task,
        first_day=int(days.min()),
        days=int(days.max() - days.min()) + 1,
        seed=seed,
        method=method,
    )


def _values(
    task: Task, payments: DailyHistogram, ledgers: Sequence[CardLedger]
) -> dict[str, Value]:
    values = _compute(task.payment_metrics, payments)
    if not task.card_metrics:
        return values
    cards = DailyHistogram.zero(first_day=payments.first_day, days=payments.days)
    if ledgers:
        cards = daily_card_histogram(ledgers, alerts_per_day=CARDS_PER_DAY)
    return values | _compute(task.card_metrics, cards)


def _compute(
    metrics: Sequence[Metric[DailyHistogram]], histogram: DailyHistogram
) -> dict[str, Value]:
    return {metric.name: metric.compute(histogram) for metric in metrics}


def _outcome(value: Value) -> dict[str, Any]:
    if isinstance(value, Undefined):
        return {"value": None, "reason": value.reason}
    return {"value": value}

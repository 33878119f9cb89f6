"""Judging: score histograms of models on test rows, and metrics from their sums."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tff_finance.evaluation.methods import GLOBAL
from tff_finance.evaluation.scorers import Scorer
from tff_finance.evaluation.targets import differ
from tff_finance.institutions.examples import Examples
from tff_finance.metrics.accumulate import histogram_from_scores
from tff_finance.metrics.derived import METRICS, all_metrics, auc_bounds
from tff_finance.metrics.score_histogram import ScoreHistogram
from tff_finance.metrics.values import Metric, Undefined
from tff_finance.records.run_record import DIFFERENT_TARGETS
from tff_finance.records.run_rows import HistogramRow, MetricRow


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judgement:
    """Metrics and score histograms of one method under one seed."""

    metrics: tuple[MetricRow, ...]
    histograms: tuple[HistogramRow, ...]


def judge(
    scorers: Mapping[str, Scorer],
    test: Mapping[str, Examples],
    *,
    seed: int,
    method: str,
    judged_by: Mapping[str, Metric[ScoreHistogram]] = METRICS,
    targets: Mapping[str, str] | None = None,
) -> Judgement:
    """Judges a method's models on every institution's test rows.

    Each model's scores become one histogram per institution; metrics on other
    banks' rows and on all rows come from sums of histograms, never from
    averages of metrics.

    Args:
        scorers: "global", or one per institution.
        test: Test rows by institution.
        seed: Named in the rows.
        method: Named in the rows.
        judged_by: Metrics by name, in the order of rows; a task has its own besides.
        targets: What each institution's label says; None if all say the same. Rows
            of different targets, or of another than the model's, have no metric.

    Returns:
        A global model is judged on each institution's own rows; an
        institution's model on its own, the others' and all rows.
    """
    metrics: list[MetricRow] = []
    histograms: list[HistogramRow] = []
    for model, scorer in scorers.items():
        by_institution = {
            name: histogram_from_scores(scorer(rows["x"]), rows["y"])
            for name, rows in test.items()
        }
        for scope, institution, names in scopes(model, tuple(test)):
            histogram = _sum([by_institution[name] for name in names])
            values = all_metrics(histogram, judged_by)
            if targets and _differ(targets, model, names):
                values = dict.fromkeys(values, Undefined(DIFFERENT_TARGETS))
            metrics += [
                MetricRow(
                    seed=seed,
                    method=method,
                    model=model,
                    scope=scope,
                    institution=institution,
                    metric=metric,
                    **_outcome(histogram, metric, value),
                )
                for metric, value in values.items()
            ]
        for name, histogram in by_institution.items():
            histograms += _histogram_rows(histogram, seed, method, model, name)
    return Judgement(metrics=tuple(metrics), histograms=tuple(histograms))


def _differ(targets: Mapping[str, str], model: str, names: Sequence[str]) -> bool:
    """Whether rows, and the model that they are judged by, have several targets."""
    of = names if model == GLOBAL else (model, *names)
    return differ({name: targets[name] for name in of})


def scopes(
    model: str, institutions: Sequence[str]
) -> Iterator[tuple[str, str, Sequence[str]]]:
    """The sets of rows that a model is judged on.

    Args:
        model: "global", or the institution that it is for.
        institutions: Names of all that have test rows.

    Yields:
        Scope, the institution that it is about ("" for all), and whose rows it has.
    """
    yield "pooled", "", institutions
    for name in institutions if model == GLOBAL else (model,):
        yield "own", name, (name,)
        yield "others", name, tuple(n for n in institutions if n != name)


def _outcome(
    histogram: ScoreHistogram, metric: str, value: float | Undefined
) -> dict[str, Any]:
    if isinstance(value, Undefined):
        return {"value": None, "reason": value.reason}
    if metric != "auc":
        return {"value": value}
    bounds = auc_bounds(histogram)
    low, high = (None, None) if isinstance(bounds, Undefined) else bounds
    return {"value": value, "low": low, "high": high}


def _sum(histograms: Sequence[ScoreHistogram]) -> ScoreHistogram:
    return sum(histograms, ScoreHistogram.zero())


def _histogram_rows(
    histogram: ScoreHistogram, seed: int, method: str, model: str, institution: str
) -> Iterator[HistogramRow]:
    occupied = np.flatnonzero(histogram.negatives + histogram.positives)
    for number in occupied:
        yield HistogramRow(
            seed=seed,
            method=method,
            model=model,
            institution=institution,
            bin=int(number),
            negatives=int(histogram.negatives[number]),
            positives=int(histogram.positives[number]),
        )

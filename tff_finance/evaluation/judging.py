"""Judging: score histograms of models on test rows, and metrics from their sums."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tff_finance.evaluation.methods import GLOBAL
from tff_finance.evaluation.scorers import Scorer
from tff_finance.institutions.examples import Examples
from tff_finance.metrics.accumulate import histogram_from_scores
from tff_finance.metrics.derived import METRICS, all_metrics, auc_bounds
from tff_finance.metrics.score_histogram import ScoreHistogram
from tff_finance.metrics.values import Metric, Undefined
from tff_finance.records.run_record import HistogramRow, MetricRow

_Histograms = Mapping[str, ScoreHistogram]


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
        for scope, institution, histogram in _scopes(model, by_institution):
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
                for metric, value in all_metrics(histogram, judged_by).items()
            ]
        for name, histogram in by_institution.items():
            histograms += _histogram_rows(histogram, seed, method, model, name)
    return Judgement(metrics=tuple(metrics), histograms=tuple(histograms))


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


def _scopes(
    model: str, by_institution: _Histograms
) -> Iterator[tuple[str, str, ScoreHistogram]]:
    """Scope, institution and histogram of each set of rows to judge."""
    yield "pooled", "", _sum(by_institution)
    for name in by_institution if model == GLOBAL else (model,):
        others = {n: h for n, h in by_institution.items() if n != name}
        yield "own", name, by_institution[name]
        yield "others", name, _sum(others)


def _sum(histograms: _Histograms) -> ScoreHistogram:
    return sum(histograms.values(), ScoreHistogram.zero())


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

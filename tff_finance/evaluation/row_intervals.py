"""Intervals over test rows of a study's values, gains and distances to pooling."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tff_finance.evaluation.bootstrap import (
    Comparison,
    PairedDifference,
    bootstrap_comparisons,
)
from tff_finance.evaluation.summary import (
    CENTRALIZED,
    FED_AVG,
    LOCAL,
    compared_with_fed_avg,
)
from tff_finance.evaluation.test_scores import TestScores
from tff_finance.institutions.examples import Examples
from tff_finance.metrics.values import Undefined
from tff_finance.records.run_rows import BootstrapRow

# Keeps the resamples apart from what else a seed decides.
_STREAM = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowIntervals:
    """Asks for intervals over test rows: of tables that no seed redraws.

    Attributes:
        resamples: Of the bootstrap.
        clusters: Column of the institutions' tables whose equal values belong
            together; empty if rows are independent.
    """

    resamples: int
    clusters: str = ""


def bootstrap_rows(
    scores: Mapping[str, TestScores],
    test: Mapping[str, Examples],
    *,
    clusters: Mapping[str, ArrayLike] | None,
    seed: int,
    resamples: int,
    pooled: bool = True,
) -> tuple[BootstrapRow, ...]:
    """Bootstraps test rows under one seed, the same resamples for all methods.

    Args:
        scores: By method; of the same rows in the same order.
        test: Test rows by institution.
        clusters: Whose row each is, by institution; equal values at two
            institutions are two clusters. None if rows are independent.
        seed: Named in the rows; decides the resamples.
        resamples: At least 100.
        pooled: Whether there are values on all rows, as there are not if the
            institutions' labels stand for different things.

    Returns:
        On all rows each method's values, its distance to `centralized` and to the
        mean of `local` models, and that of other federated methods to `fed_avg`; on
        each institution's own rows the values and the gain over `local`. Of the
        metrics in `row_metrics`.
    """
    found: list[BootstrapRow] = []
    if pooled:
        on_all = bootstrap_comparisons(
            np.concatenate([rows["y"] for rows in test.values()]),
            {method: of.pooled() for method, of in scores.items()},
            [
                *_comparisons(list(scores), (CENTRALIZED, LOCAL)),
                *(Comparison(m, FED_AVG) for m in compared_with_fed_avg(list(scores))),
            ],
            generator=np.random.default_rng([seed, _STREAM]),
            clusters=_numbered(clusters, list(test)) if clusters else None,
            resamples=resamples,
        )
        positives = sum(int(rows["y"].sum()) for rows in test.values())
        found = _rows(on_all, seed=seed, scope="pooled", institution="", of=positives)
    for name, rows in test.items():
        own = bootstrap_comparisons(
            rows["y"],
            {method: of.own(name) for method, of in scores.items()},
            _comparisons(list(scores), (LOCAL,)),
            generator=np.random.default_rng([seed, _STREAM]),
            clusters=clusters[name] if clusters else None,
            resamples=resamples,
        )
        positives = int(rows["y"].sum())
        found += _rows(own, seed=seed, scope="own", institution=name, of=positives)
    return tuple(found)


def _comparisons(methods: Sequence[str], references: Sequence[str]) -> list[Comparison]:
    """Every method by itself, and against each reference that there is."""
    alone = [Comparison(method, None) for method in methods]
    return alone + [
        Comparison(method, reference)
        for reference in references
        for method in methods
        if reference in methods and method != reference
    ]


def _rows(
    results: Mapping[Comparison, Mapping[str, PairedDifference]],
    *,
    seed: int,
    scope: str,
    institution: str,
    of: int,
) -> list[BootstrapRow]:
    rows = []
    for comparison, metrics in results.items():
        for metric, result in metrics.items():
            undefined = [
                value
                for value in (result.difference, result.ci95)
                if isinstance(value, Undefined)
            ]
            low, high = (
                (None, None) if isinstance(result.ci95, Undefined) else result.ci95
            )
            rows.append(
                BootstrapRow(
                    seed=seed,
                    method=comparison.model,
                    reference=comparison.reference or "",
                    scope=scope,
                    institution=institution,
                    metric=metric,
                    value=None
                    if isinstance(result.difference, Undefined)
                    else result.difference,
                    low=low,
                    high=high,
                    reason=undefined[0].reason if undefined else "",
                    rows=result.rows,
                    positives=of,
                    units=result.units,
                    resamples=result.resamples,
                )
            )
    return rows


def _numbered(
    clusters: Mapping[str, ArrayLike], institutions: Sequence[str]
) -> NDArray[np.int64]:
    """Clusters of all institutions' rows, numbered so that none is at two."""
    numbers, first = [], 0
    for name in institutions:
        codes, names = pd.factorize(np.asarray(clusters[name]))
        numbers.append(codes + first)
        first += len(names)
    return np.concatenate(numbers)

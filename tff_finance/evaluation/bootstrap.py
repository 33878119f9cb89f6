"""Paired bootstrap over test rows: how far would other test rows move a difference?

For public tables, whose rows no seed redraws. Both models are judged on the same
resample of rows, so what makes a resample hard for both cancels. Rows of one
customer are resampled together (`clusters`): they are no independent evidence.

The interval is the percentile interval (Efron and Tibshirani, 1993, An
Introduction to the Bootstrap, chapter 13), its levels expanded for the number of
units as in Hesterberg (2015), https://arxiv.org/abs/1411.5279: plain percentiles
are too narrow by sqrt((n - 1) / n) and by normal instead of t quantiles, 6 % at 30
units and nothing at 1,000. Metrics that compare the classes count the units of the
smaller class, as Student's t with two samples does when it is careful.

BCa would add an acceleration from one more evaluation per row (58,000 of them,
against 1,000 resamples) to correct a skewness that paired differences of means and
ranks hardly have. `scipy.stats.bootstrap` knows no clusters and would sort every
resample anew; here a resample is a row of integer weights, scores are sorted once.

No stratification: units are drawn from all of them, so class shares, and banks'
shares of pooled rows, vary as they would in another sample of customers. Only
resamples without one of the classes are drawn again, which the demand for 5 units
of each class keeps below 1.4 %.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from tff_finance.checks import check_at_least
from tff_finance.evaluation.intervals import (
    CONFIDENCE,
    MIN_CLASS_ROWS,
    MIN_TEST_ROWS,
    too_few_rows,
)
from tff_finance.evaluation.row_metrics import ROW_METRICS, Evaluate, RowMetric
from tff_finance.metrics.derived import Undefined, Value

RESAMPLES = 1000

# Limits of a few hundred resamples are mostly the luck of the draw.
_MIN_RESAMPLES = 100
# Weights in memory at once: 2 MB, which a cache holds.
_BATCH_CELLS = 1 << 18


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """A metric's difference between two models on the same test rows.

    Attributes:
        difference: The model's value minus the reference's on the rows themselves.
        ci95: Limits of the 95 % interval over test rows, or why there are none.
        rows: Test rows.
        units: What was resampled: as many rows, or clusters of rows.
        resamples: Bootstrap resamples.
    """

    difference: Value
    ci95: tuple[float, float] | Undefined
    rows: int
    units: int
    resamples: int


def paired_bootstrap(
    labels: ArrayLike,
    logits: ArrayLike,
    reference_logits: ArrayLike,
    *,
    generator: np.random.Generator,
    clusters: ArrayLike | None = None,
    metrics: Mapping[str, RowMetric] = ROW_METRICS,
    resamples: int = RESAMPLES,
) -> dict[str, PairedDifference]:
    """Bootstraps the differences between two models on the same test rows.

    One set of resamples serves both models and all metrics. Covered is the choice
    of test rows (customers), for these two models as they were trained; training
    again with another seed is another source of variation, see
    `docs/statistics.md`.

    Args:
        labels: 0 or 1, [n] or [n, 1].
        logits: Log-odds of label 1 under the model, [n]; or under several models,
            [n, models], of whose values the mean is taken.
        reference_logits: The same rows under the reference, in the same order.
        generator: Draws the resamples; the same state gives the same interval.
        clusters: Whose row each is (a customer), [n]; None if rows are independent.
        metrics: By name, see `row_metrics`.
        resamples: At least 100.

    Returns:
        By metric. `ci95` is `Undefined` below 30 units or 5 that hold a class, a
        difference as well if the metric does not exist on these rows.

    Raises:
        ValueError: If arrays differ in length, a label is not 0 or 1, a logit is
            not finite, a cluster is missing, or a metric of a resample is not
            finite.
    """
    comparison = Comparison("logits", "reference_logits")
    results = bootstrap_comparisons(
        labels,
        {"logits": logits, "reference_logits": reference_logits},
        [comparison],
        generator=generator,
        clusters=clusters,
        metrics=metrics,
        resamples=resamples,
    )
    return results[comparison]


class Comparison(NamedTuple):
    """Whose values are bootstrapped: a model's, minus those of its reference.

    Attributes:
        model: Name of the model's scores.
        reference: Name of the reference's; None for the model's own values.
    """

    model: str
    reference: str | None


def bootstrap_comparisons(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    comparisons: Sequence[Comparison],
    *,
    generator: np.random.Generator,
    clusters: ArrayLike | None = None,
    metrics: Mapping[str, RowMetric] = ROW_METRICS,
    resamples: int = RESAMPLES,
) -> dict[Comparison, dict[str, PairedDifference]]:
    """Bootstraps several comparisons on the same test rows and resamples.

    Each model is evaluated once per resample, however often it is compared.

    Args:
        labels: As for `paired_bootstrap`.
        scores: Logits by name, each as for `paired_bootstrap`.
        comparisons: Among the names of `scores`.
        generator: As for `paired_bootstrap`.
        clusters: The same.
        metrics: The same.
        resamples: The same.

    Returns:
        By comparison and metric, as `paired_bootstrap` returns it.

    Raises:
        ValueError: As `paired_bootstrap`.
    """
    check_at_least("resamples", resamples, _MIN_RESAMPLES)
    truth = _column("labels", labels)
    models = {name: _columns(name, values) for name, values in scores.items()}
    _check_rows(truth, models)
    owners = np.arange(truth.size) if clusters is None else _owners(clusters, truth)
    units = _Units(owners, truth)

    evaluators = {
        (name, metric): _mean_over_models(definition, truth, logits)
        for name, logits in models.items()
        for metric, definition in metrics.items()
        if not _undefined(definition, truth)
    }

    def evaluate(weights: NDArray[np.float64]) -> dict[tuple[str, str], NDArray]:
        return {key: evaluator(weights) for key, evaluator in evaluators.items()}

    observed = evaluate(np.ones((1, truth.size)))
    refusal = units.refusal(clustered=clusters is not None)
    batches = (
        []
        if refusal
        else [evaluate(weights) for weights in units.resampled(resamples, generator)]
    )
    replicates = {
        key: np.concatenate([batch[key] for batch in batches])
        for key in (evaluators if batches else ())
    }

    def result(
        comparison: Comparison, name: str, metric: RowMetric
    ) -> PairedDifference:
        undefined = _undefined(metric, truth)
        if refusal and not undefined:
            ci95 = Undefined(refusal)
        else:
            ci95 = undefined or _percentile_interval(
                name,
                _difference(replicates, comparison, name),
                units.of_smaller_class if metric.needs_both_classes else units.count,
            )
        return PairedDifference(
            difference=undefined or _difference(observed, comparison, name).item(),
            ci95=ci95,
            rows=truth.size,
            units=units.count,
            resamples=0 if refusal else resamples,
        )

    return {
        comparison: {
            name: result(comparison, name, metric) for name, metric in metrics.items()
        }
        for comparison in comparisons
    }


def _mean_over_models(
    metric: RowMetric, truth: NDArray[np.float64], logits: NDArray[np.float64]
) -> Evaluate:
    """The metric's mean over models, for logits [models, n]."""
    evaluators = [metric.prepare(truth, column) for column in logits]
    return lambda weights: np.mean([each(weights) for each in evaluators], axis=0)


def _difference(
    values: Mapping[tuple[str, str], NDArray], comparison: Comparison, metric: str
) -> NDArray:
    model = values[comparison.model, metric]
    if comparison.reference is None:
        return model
    return model - values[comparison.reference, metric]


class _Units:
    """What is resampled: rows, or all rows of a customer together."""

    def __init__(self, owners: NDArray[np.int64], truth: NDArray[np.float64]) -> None:
        self._owners = owners
        self.count = int(owners.max()) + 1 if owners.size else 0
        self._holds = [
            np.bincount(owners[truth == label], minlength=self.count) > 0
            for label in (0, 1)
        ]

    @property
    def of_smaller_class(self) -> int:
        """Units that hold a row of the class that fewer of them hold."""
        return min(int(holds.sum()) for holds in self._holds)

    def refusal(self, *, clustered: bool) -> str:
        """Why there is no interval; empty if there is one."""
        negative, positive = (int(holds.sum()) for holds in self._holds)
        if not clustered:
            return too_few_rows(self.count, positive)
        if self.count < MIN_TEST_ROWS or self.of_smaller_class < MIN_CLASS_ROWS:
            return (
                f"too few clusters for an interval: {self.count}, {positive} with a "
                f"positive and {negative} with a negative row"
            )
        return ""

    def resampled(
        self, resamples: int, generator: np.random.Generator
    ) -> Iterator[NDArray[np.float64]]:
        """Yields weights of rows, [some, rows], until there are `resamples`."""
        at_once = max(1, _BATCH_CELLS // self._owners.size)
        one_row_each = self.count == self._owners.size
        for start in range(0, resamples, at_once):
            counts = self._draw(min(at_once, resamples - start), generator)
            yield counts if one_row_each else counts.take(self._owners, axis=1)

    def _draw(self, size: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """How often each unit is drawn, [size, units]; both classes are there."""
        counts = np.empty((size, self.count))
        missing = np.arange(size)
        while missing.size:
            draws = generator.integers(self.count, size=(missing.size, self.count))
            draws += np.arange(missing.size)[:, np.newaxis] * self.count
            flat = np.bincount(draws.ravel(), minlength=missing.size * self.count)
            counts[missing] = flat.reshape(missing.size, self.count)
            lacks = [counts[missing] @ holds == 0 for holds in self._holds]
            missing = missing[lacks[0] | lacks[1]]
        return counts


def _percentile_interval(name: str, values: NDArray, units: int) -> tuple[float, float]:
    """Percentiles at the levels that suit so many units."""
    if not np.all(np.isfinite(values)):
        raise ValueError(
            f"`metrics` must be finite on every resample, {name!r} is not: set "
            "`needs_both_classes`, or leave it out."
        )
    quantile = scipy.stats.t.ppf(0.5 - CONFIDENCE / 2, units - 1)
    level = scipy.stats.norm.cdf(quantile * np.sqrt(units / (units - 1)))
    # Of B resamples the one at place (B + 1) level, as Efron and Tibshirani have
    # it; NumPy's own places lie a little inward.
    low, high = np.quantile(values, [level, 1 - level], method="weibull")
    return float(low), float(high)


def _undefined(metric: RowMetric, truth: NDArray[np.float64]) -> Undefined | None:
    """Why a metric does not exist on these rows, or None if it does."""
    if truth.size == 0:
        return Undefined("The table has no rows.")
    if metric.needs_both_classes and np.all(truth == truth[0]):
        kind = "positive" if truth[0] == 1 else "negative"
        return Undefined(f"All {truth.size} rows are {kind}.")
    return None


def _column(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Returns [n] or [n, 1] as float64[n]."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1 or array.shape[1:] == (1,):
        return array.reshape(-1)
    raise ValueError(f"`{name}` must have shape [n] or [n, 1], got {array.shape}.")


def _columns(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Returns [n] or [n, models] as float64[models, n]."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        return array[np.newaxis]
    if array.ndim == 2 and array.shape[1]:  # noqa: PLR2004
        return array.T
    raise ValueError(f"`{name}` must have shape [n] or [n, models], got {array.shape}.")


def _check_rows(
    truth: NDArray[np.float64], models: Mapping[str, NDArray[np.float64]]
) -> None:
    """Raises ValueError unless labels and all models' logits fit together."""
    wrong = int(np.sum((truth != 0) & (truth != 1)))
    if wrong:
        raise ValueError(f"`labels` must be 0 or 1, {wrong} of them aren't.")
    for name, values in models.items():
        if values.shape[1] != truth.size:
            raise ValueError(
                f"`{name}` must have as many rows as `labels`, {truth.size}; got "
                f"{values.shape[1]}."
            )
        wrong = int(np.sum(~np.isfinite(values)))
        if wrong:
            raise ValueError(f"`{name}` must be finite, {wrong} of them aren't.")


def _owners(clusters: ArrayLike, truth: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers the clusters from 0, int64[n]."""
    names = np.asarray(clusters)
    if names.shape != truth.shape:
        raise ValueError(
            f"`clusters` must have shape [{truth.size}], one per row; got "
            f"{list(names.shape)}."
        )
    owners, _ = pd.factorize(names)
    missing = int(np.sum(owners < 0))
    if missing:
        raise ValueError(
            f"`clusters` must name every row's cluster, {missing} of them are missing."
        )
    return owners.astype(np.int64)

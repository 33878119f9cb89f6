"""Arms of an experiment: the same methods and test rows, features of another source.

Runs of one comparison that differ in how features were prepared are compared by the
scores that they gave to the same test payments, with intervals from one set of
resampled cards for all arms and methods.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tff_finance.evaluation.across_seeds import over_seeds
from tff_finance.evaluation.bootstrap import (
    RESAMPLES,
    Comparison,
    PairedDifference,
    bootstrap_comparisons,
)
from tff_finance.evaluation.daily_row_metrics import card_precision, recall_at_alerts
from tff_finance.evaluation.row_metrics import ROW_METRICS, RowMetric
from tff_finance.evaluation.test_scores import TestScores
from tff_finance.metrics.fraud import CARDS_PER_DAY

LOCAL = "local"

# Keeps the resamples apart from what else a seed decides.
_STREAM = 2

SeedScores = Mapping[str, Mapping[str, TestScores]]
"""Under one seed: by arm and method."""

Model = tuple[str, str]
"""An arm and a method."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TestPayments:
    """Test payments of all institutions, in the order of their scores.

    Attributes:
        institutions: Names, in order.
        labels: 0 or 1, [n].
        cards: Whose payment each is, [n].
        days: Number of each payment's day, integer[n].
    """

    __test__ = False  # no test, whatever pytest makes of the name

    institutions: Sequence[str]
    labels: NDArray
    cards: NDArray
    days: NDArray


def compare_arms(
    scores: Mapping[int, SeedScores],
    payments: TestPayments,
    pairs: Sequence[tuple[Model, Model]],
    *,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Compares arms and methods on the same test payments.

    Args:
        scores: By seed, arm and method; the same arms and methods under each seed.
            Of `local`, each institution's model scores its own payments.
        payments: The test payments.
        pairs: Whose difference is asked for: a model and the one that is taken off.
        resamples: Of the bootstrap, at least 100; cards are resampled.

    Returns:
        `values`: by arm, method and metric; `differences`: for each pair `arm`,
        `method`, `reference_arm`, `reference_method` and `metrics`. Values as
        `DifferenceOverSeeds.to_json` has them.
    """
    arms = next(iter(scores.values()))
    models = [(arm, method) for arm, methods in arms.items() for method in methods]
    by_seed = {
        seed: bootstrap_comparisons(
            payments.labels,
            {
                _key((arm, method)): _logits(of_seed[arm][method], method, payments)
                for arm, method in models
            },
            [*map(_comparison, models), *(_comparison(*pair) for pair in pairs)],
            generator=np.random.default_rng([seed, _STREAM]),
            clusters=payments.cards,
            metrics=payment_metrics(payments),
            resamples=resamples,
        )
        for seed, of_seed in scores.items()
    }
    values: dict[str, Any] = {arm: {} for arm in arms}
    for arm, method in models:
        values[arm][method] = _over_seeds(by_seed, _comparison((arm, method)))
    return {
        "values": values,
        "differences": [
            {
                "arm": model[0],
                "method": model[1],
                "reference_arm": reference[0],
                "reference_method": reference[1],
                "metrics": _over_seeds(by_seed, _comparison(model, reference)),
            }
            for model, reference in pairs
        ],
    }


def payment_metrics(payments: TestPayments) -> Mapping[str, RowMetric]:
    """What models of fraud are compared by, by the names of `metrics`."""
    return {
        "auc": ROW_METRICS["auc"],
        "average_precision": ROW_METRICS["average_precision"],
        f"card_precision_at_{CARDS_PER_DAY}": card_precision(
            payments.days, payments.cards, alerts_per_day=CARDS_PER_DAY
        ),
        "recall_at_100_alerts": recall_at_alerts(payments.days, alerts_per_day=100),
    }


def _key(model: Model) -> str:
    return "/".join(model)


def _comparison(model: Model, reference: Model | None = None) -> Comparison:
    return Comparison(_key(model), _key(reference) if reference else None)


def _logits(scores: TestScores, method: str, payments: TestPayments) -> NDArray:
    """The scores that institutions would act on."""
    if method == LOCAL:
        return np.concatenate([scores.own(name) for name in payments.institutions])
    return scores.pooled()[:, 0]


def _over_seeds(
    by_seed: Mapping[int, Mapping[Comparison, Mapping[str, PairedDifference]]],
    comparison: Comparison,
) -> dict[str, Any]:
    metrics = next(iter(by_seed.values()))[comparison]
    return {
        metric: over_seeds(
            {seed: results[comparison][metric] for seed, results in by_seed.items()}
        ).to_json()
        for metric in metrics
    }

"""AUC against simulated time, and when methods reach what FedAvg ends at.

At any time a run would keep the weights with the best validation loss so far: their
AUC on all institutions' test rows is the curve. Test rows are scored after training
has ended, and decide nothing.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn.metrics

from tff_finance.evaluation.intervals import summarize
from tff_finance.evaluation.methods import GLOBAL, Learner
from tff_finance.preprocessing.consortium import Consortium
from tff_finance.training.progress import ModelWeights


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimedCurve:
    """A run's AUC by simulated time: constant from each time to the next.

    Attributes:
        seconds: When other weights became the best, ascending.
        auc: Of these weights from then on.
        rounds: Rounds run.
        end_seconds: When the last one ended.
        stopped_by: As in `training.loop.Trained`.
        late_updates: Dropped, being too stale.
        lost_updates: Broken off by outages.
    """

    seconds: tuple[float, ...]
    auc: tuple[float, ...]
    rounds: int
    end_seconds: float
    stopped_by: str
    late_updates: int
    lost_updates: int

    @property
    def final_auc(self) -> float:
        """Of the weights that training kept."""
        return self.auc[-1]

    def reaches(self, target: float) -> float | None:
        """From when on the AUC is at least a target; None if it isn't at the end."""
        below = [number for number, auc in enumerate(self.auc) if auc < target]
        first = below[-1] + 1 if below else 0
        return self.seconds[first] if first < len(self.seconds) else None


def timed_curve(
    learner: Learner, consortium: Consortium, *, seed: int, label: str
) -> TimedCurve:
    """Trains on a simulated clock, then scores what was kept on the way.

    Args:
        learner: With a clock; validates every round in which the model moves.
        consortium: Encoded tables.
        seed: Of initialisation, order and clock.
        label: Shown beside the progress bar.

    Returns:
        The curve.
    """
    validated: list[ModelWeights] = []
    trained = learner.train(
        [i.train for i in consortium.training],
        [i.validation for i in consortium.training],
        seed=seed,
        label=label,
        model=GLOBAL,
        folder=None,
        watch=validated.append,
    )
    seconds, auc, best = [], [], np.inf
    judged = [point for point in trained.curve if point.validation_loss is not None]
    for point, weights in zip(judged, validated, strict=True):
        assert point.simulated_seconds is not None, "there must be a clock"
        assert point.validation_loss is not None  # or it isn't judged
        if point.validation_loss < best:
            best = point.validation_loss
            seconds.append(point.simulated_seconds)
            auc.append(_test_auc(learner, weights, consortium))
    return TimedCurve(
        seconds=tuple(seconds),
        auc=tuple(auc),
        rounds=trained.rounds,
        end_seconds=trained.curve[-1].simulated_seconds or 0.0,
        stopped_by=trained.stopped_by,
        late_updates=sum(point.late_updates or 0 for point in trained.curve),
        lost_updates=sum(point.lost_updates or 0 for point in trained.curve),
    )


def compare_times(
    curves: Sequence[tuple[TimedCurve, TimedCurve]], *, tolerance: float
) -> dict[str, Any]:
    """When FedAvg and FedBuff reach FedAvg's final AUC less a tolerance, by seed.

    Args:
        curves: Of FedAvg and FedBuff under each seed.
        tolerance: In AUC.

    Returns:
        `{"final_auc": {method: summary}, "difference": summary, "seconds": {method:
        summary}, "ratio": summary}`, summaries as `intervals.summarize` makes them;
        a ratio is FedBuff's time over FedAvg's, undefined if either never arrives.
    """
    never = "the AUC isn't reached under every seed"
    targets = [synchronous.final_auc - tolerance for synchronous, _ in curves]
    times = [
        [run.reaches(target) for run in pair]
        for pair, target in zip(curves, targets, strict=True)
    ]
    finals = [[run.final_auc for run in pair] for pair in curves]
    names = ("fed_avg", "fed_buff")
    return {
        "final_auc": {
            name: summarize([of[number] for of in finals])
            for number, name in enumerate(names)
        },
        "difference": summarize([of[1] - of[0] for of in finals]),
        "seconds": {
            name: summarize([of[number] for of in times], reason=never)
            for number, name in enumerate(names)
        },
        "ratio": summarize(
            [
                None if one is None or other is None else other / one
                for one, other in times
            ],
            reason=never,
        ),
    }


def _test_auc(learner: Learner, weights: ModelWeights, consortium: Consortium) -> float:
    scorer = learner.scorer(weights)
    scores = [scorer(rows["x"]) for rows in consortium.test.values()]
    labels = [rows["y"][:, 0] for rows in consortium.test.values()]
    return float(
        sklearn.metrics.roc_auc_score(np.concatenate(labels), np.concatenate(scores))
    )

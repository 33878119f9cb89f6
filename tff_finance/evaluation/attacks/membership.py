"""How well scores tell members of a training table from other rows.

AUC, the attacker's advantage (true minus false positive rate, Yeom et al., 2018,
https://arxiv.org/abs/1709.01604), and the true positive rate at low false positive
rates (Carlini et al., 2022, https://arxiv.org/abs/2112.03570): an attack that is right
about a few rows, and knows it, has an AUC near 0.5.

No threshold is judged by the rows that chose it, or else an attack that knows nothing
would seem to know something.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from tff_finance.evaluation.attacks.estimate import Estimate
from tff_finance.evaluation.intervals import MIN_TEST_ROWS

FALSE_POSITIVE_RATES = {"tpr_at_fpr_1": 0.01, "tpr_at_fpr_0_1": 0.001}
METRICS = ("auc", "advantage", *FALSE_POSITIVE_RATES)

_RESAMPLES = 500
_DEVIATIONS = float(scipy.stats.norm.ppf(0.975))


def membership_metrics(
    members: ArrayLike,
    others: ArrayLike,
    *,
    generator: np.random.Generator,
    resamples: int = _RESAMPLES,
) -> dict[str, Estimate]:
    """Judges an attack by its scores, larger for rows that it takes for members.

    Args:
        members: Scores of members, float[n].
        others: Scores of rows of the same law that training never saw, float[m].
        generator: Draws the resamples.
        resamples: Of the bootstrap, members and others each among themselves.

    Returns:
        By name of `METRICS`, with 95 % intervals over rows for the models as they are.
        An attack that knows nothing has an AUC of 0.5, an advantage of 0, and rates
        that are the false positive rates or a little less: an other row, not among
        these, passes their thresholds with at most that probability. Undefined where
        so few others can't promise that.

    Raises:
        ValueError: If there are no rows or a score isn't a number.
    """
    scores = [_scores("members", members), _scores("others", others)]
    value = _metrics(*scores)
    rows = [len(one) for one in scores]
    few = ""
    limits = {}
    if min(rows) < MIN_TEST_ROWS:
        few = f"too few rows for an interval: {rows[0]} and {rows[1]}"
    else:
        drawn = [
            _metrics(*(generator.choice(one, len(one)) for one in scores))
            for _ in range(resamples)
        ]
        limits = {
            name: np.quantile([one[name] for one in drawn], (0.025, 0.975))
            for name in value
        }
    results = {}
    for name, found in value.items():
        low, high = limits.get(name, (None, None))
        results[name] = Estimate(
            value=found,
            low=None if low is None else float(low),
            high=None if high is None else float(high),
            trials=sum(rows),
            reason=few,
        )
    results["advantage"] = _advantage(*scores, generator=generator, few=few)
    for name, rate in FALSE_POSITIVE_RATES.items():
        if (least := round(1 / rate) - 1) > rows[1]:
            results[name] = Estimate(
                value=None,
                trials=sum(rows),
                reason=f"a false positive rate of {100 * rate:g} % needs at least "
                f"{least} non-members, there are {rows[1]}",
            )
    return {name: results[name] for name in METRICS}


def _metrics(
    members: NDArray[np.float64], others: NDArray[np.float64]
) -> dict[str, float]:
    """AUC and rates; equal scores are all taken for members or none."""
    ranks = scipy.stats.rankdata(np.concatenate([members, others]))[: len(members)]
    below = ranks.sum() - len(members) * (len(members) + 1) / 2
    curve = _Curve.of(members, others)
    # Of m others and a new one each is as likely to be among the k + 1 largest.
    expected = (curve.false + 1) / (len(others) + 1)
    return {
        "auc": float(below / (len(members) * len(others))),
        **{
            # 1e-12: 1 / 1000 is above 0.001 in binary.
            name: float(np.max(curve.true[expected <= rate + 1e-12], initial=0))
            / len(members)
            for name, rate in FALSE_POSITIVE_RATES.items()
        },
    }


class _Curve(NamedTuple):
    """How many scores are at or above each threshold, thresholds descending."""

    thresholds: NDArray[np.float64]
    true: NDArray[np.int64]
    false: NDArray[np.int64]

    @classmethod
    def of(cls, members: NDArray[np.float64], others: NDArray[np.float64]) -> "_Curve":
        thresholds = np.unique(np.concatenate([members, others]))[::-1]
        return cls(
            thresholds,
            *(
                len(one) - np.searchsorted(np.sort(one), thresholds)
                for one in (members, others)
            ),
        )


def _advantage(
    members: NDArray[np.float64],
    others: NDArray[np.float64],
    *,
    generator: np.random.Generator,
    few: str,
) -> Estimate:
    """True minus false positive rate at the best threshold of the other half's rows.

    Returns:
        The mean over both halves, each judging the threshold that the other one chose,
        with Agresti's and Caffo's interval, as wide as if both erred together.
    """
    trials = len(members) + len(others)
    if min(len(members), len(others)) < 2:  # noqa: PLR2004
        return Estimate(
            value=None, trials=trials, reason="one row can't be cut into halves"
        )
    halves = [
        np.array_split(one[generator.permutation(len(one))], 2)
        for one in (members, others)
    ]
    values, centers, deviations = [], [], []
    for chooses, judges in ((0, 1), (1, 0)):
        threshold = _best_threshold(halves[0][chooses], halves[1][chooses])
        hits = [np.sum(side[judges] >= threshold) for side in halves]
        rows = [len(side[judges]) for side in halves]
        values.append(hits[0] / rows[0] - hits[1] / rows[1])
        rates = [(hit + 1) / (n + 2) for hit, n in zip(hits, rows, strict=True)]
        variances = [p * (1 - p) / (n + 2) for p, n in zip(rates, rows, strict=True)]
        centers.append(rates[0] - rates[1])
        deviations.append(math.sqrt(sum(variances)))
    value, center = float(np.mean(values)), float(np.mean(centers))
    if few:
        return Estimate(value=value, trials=trials, reason=few)
    half = _DEVIATIONS * float(np.mean(deviations))
    return Estimate(
        value=value,
        low=min(max(center - half, -1.0), value),
        high=max(min(center + half, 1.0), value),
        trials=trials,
    )


def _best_threshold(members: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Where the two rates differ most; infinite, taking nobody, if none helps."""
    curve = _Curve.of(members, others)
    gained = curve.true / len(members) - curve.false / len(others)
    best = int(np.argmax(gained))
    return float(curve.thresholds[best]) if gained[best] > 0 else math.inf


def _scores(name: str, values: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(values, np.float64)
    if scores.ndim != 1 or not scores.size or np.isnan(scores).any():
        raise ValueError(
            f"`{name}` must be scores [n] without NaN, n at least 1; got shape "
            f"{scores.shape} with {int(np.isnan(scores).sum())} NaN."
        )
    return scores

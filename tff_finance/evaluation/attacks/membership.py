"""How well scores tell members of a training table from other rows.

AUC, the attacker's advantage (the largest true minus false positive rate, Yeom et
al., 2018, https://arxiv.org/abs/1709.01604), and the true positive rate at low false
positive rates (Carlini et al., 2022, https://arxiv.org/abs/2112.03570): an attack
that is right about a few rows, and knows it, has an AUC near 0.5.
"""

import math

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from tff_finance.evaluation.attacks.estimate import Estimate
from tff_finance.evaluation.intervals import MIN_TEST_ROWS

FALSE_POSITIVE_RATES = {"tpr_at_fpr_1": 0.01, "tpr_at_fpr_0_1": 0.001}
METRICS = ("auc", "advantage", *FALSE_POSITIVE_RATES)

_RESAMPLES = 500
# By how much one empirical distribution lies above another of the same law at most,
# over sqrt(1/n + 1/m), in the mean: Smirnov's limit, `P(> t) = exp(-2 t^2)`.
_SMIRNOV_MEAN = math.sqrt(math.pi / 8)


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
        By name of `METRICS`, with 95 % percentile intervals over rows for the models
        as they are. A rate at a false positive rate that so few others can't show is
        undefined. The advantage of an attack that knows nothing isn't 0, but about
        `advantage_by_chance`.

    Raises:
        ValueError: If there are no rows or a score isn't a number.
    """
    scores = [_scores("members", members), _scores("others", others)]
    value = _metrics(*scores)
    trials = sum(len(one) for one in scores)
    if min(len(one) for one in scores) < MIN_TEST_ROWS:
        reason = f"too few rows for an interval: {len(scores[0])} and {len(scores[1])}"
        limits = {}
    else:
        reason = ""
        drawn = [
            _metrics(*(generator.choice(one, len(one)) for one in scores))
            for _ in range(resamples)
        ]
        limits = {
            name: np.quantile([one[name] for one in drawn], (0.025, 0.975))
            for name in METRICS
        }
    results = {}
    for name in METRICS:
        rate = FALSE_POSITIVE_RATES.get(name)
        if rate and len(scores[1]) * rate < 1:
            results[name] = Estimate(
                value=None,
                trials=trials,
                reason=f"a false positive rate of {100 * rate:g} % needs at least "
                f"{math.ceil(1 / rate)} non-members, there are {len(scores[1])}",
            )
            continue
        low, high = limits.get(name, (None, None))
        results[name] = Estimate(
            value=value[name],
            low=None if low is None else float(low),
            high=None if high is None else float(high),
            trials=trials,
            reason=reason,
        )
    return results


def advantage_by_chance(members: int, others: int) -> float:
    """The mean advantage of an attack without any information, of so many rows."""
    return _SMIRNOV_MEAN * math.sqrt(1 / members + 1 / others)


def _metrics(
    members: NDArray[np.float64], others: NDArray[np.float64]
) -> dict[str, float]:
    """AUC, advantage and rates; equal scores are all taken for members or none."""
    thresholds = np.unique(np.concatenate([members, others]))[::-1]
    true, false = (
        # As counts over their number, so that 1 of 1,000 is not above 0.001.
        (len(one) - np.searchsorted(np.sort(one), thresholds)) / len(one)
        for one in (members, others)
    )
    ranks = scipy.stats.rankdata(np.concatenate([members, others]))[: len(members)]
    below = ranks.sum() - len(members) * (len(members) + 1) / 2
    at_rates = {
        name: float(np.max(true[false <= rate], initial=0.0))
        for name, rate in FALSE_POSITIVE_RATES.items()
    }
    return {
        "auc": float(below / (len(members) * len(others))),
        "advantage": float(np.max(true - false, initial=0.0)),
        **at_rates,
    }


def _scores(name: str, values: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(values, np.float64)
    if scores.ndim != 1 or not scores.size or np.isnan(scores).any():
        raise ValueError(
            f"`{name}` must be scores [n] without NaN, n at least 1; got shape "
            f"{scores.shape} with {int(np.isnan(scores).sum())} NaN."
        )
    return scores

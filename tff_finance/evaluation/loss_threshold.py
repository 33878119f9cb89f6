"""Membership inference by a threshold on the loss: was this row in training?

The attacker has the model and the row with its label, and takes rows of small loss
for members. Simple, and no lower bound on what better attackers reach.

Source: Yeom et al. (2018), https://arxiv.org/abs/1709.01604; true positive rates at
low false positive rates: Carlini et al. (2022), https://arxiv.org/abs/2112.03570.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

FALSE_POSITIVE_RATES = {"tpr_at_fpr_1": 0.01, "tpr_at_fpr_0_1": 0.001}
METRICS = ("auc", *FALSE_POSITIVE_RATES)
_RESAMPLES = 200


class Estimate(NamedTuple):
    """A value, and the limits of its 95 % interval."""

    value: float
    low: float
    high: float


def loss_scores(logits: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Scores that are larger for rows taken for members.

    Args:
        logits: Log-odds of label 1, [n].
        labels: 0 or 1, [n] or [n, 1].

    Returns:
        Minus the loss in nats, float64[n].
    """
    z = np.asarray(logits, np.float64).reshape(-1)
    y = np.asarray(labels).reshape(-1)
    return -np.logaddexp(0.0, np.where(y == 1, -z, z))


def membership_metrics(
    members: NDArray[np.float64],
    others: NDArray[np.float64],
    *,
    generator: np.random.Generator,
    resamples: int = _RESAMPLES,
) -> Mapping[str, Estimate]:
    """Judges an attack by its scores.

    Args:
        members: Scores of rows of training, [n].
        others: Of rows of the same law that training never saw, [m].
        generator: Draws the resamples.
        resamples: Of the bootstrap, members and others each among themselves.

    Returns:
        By name of `METRICS`, with percentile intervals over rows, for the model as it
        is. An attack that knows nothing has 0.5, 0.01
        and 0.001.
    """
    value = _metrics(members, others)
    drawn = [
        _metrics(*(generator.choice(one, len(one)) for one in (members, others)))
        for _ in range(resamples)
    ]
    limits = {
        name: np.quantile([one[name] for one in drawn], (0.025, 0.975))
        for name in METRICS
    }
    return {name: Estimate(value[name], *map(float, limits[name])) for name in METRICS}


def _metrics(
    members: NDArray[np.float64], others: NDArray[np.float64]
) -> dict[str, float]:
    ranks = scipy.stats.rankdata(np.concatenate([members, others]))[: len(members)]
    below = ranks.sum() - len(members) * (len(members) + 1) / 2
    found = {"auc": float(below / (len(members) * len(others)))}
    descending = np.sort(others)[::-1]
    for name, rate in FALSE_POSITIVE_RATES.items():
        # Above the first of the others that must not be taken for a member.
        first = descending[min(int(rate * len(others)), len(others) - 1)]
        found[name] = float(np.mean(members > first))
    return found

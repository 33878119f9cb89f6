"""A lower bound on epsilon that attacks on canaries prove.

A canary is a record made to stand out. If training is (epsilon, delta)-private, then
whatever an attacker decides by, `P(yes | canary) <= e^epsilon P(yes | none) + delta`,
and the same of "no". Many runs with and without the canary measure both sides; their
confidence limits bound epsilon from below. A bound above the claim refutes it. One
below proves nothing more than that this attack didn't.

Source: Jagielski et al. (2020), https://arxiv.org/abs/2006.07709; Nasr et al. (2021),
https://arxiv.org/abs/2101.04535.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from tff_finance import checks

CONFIDENCE = 0.999


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpsilonBound:
    """What runs with and without a canary prove.

    Attributes:
        value: Epsilon is at least this, with the stated confidence; 0 if nothing is
            proven.
        largest: The value that as many runs give if the attack is always right: more
            could not have been proven.
        threshold: Scores from it on are taken for runs with the canary.
        hits: Runs with the canary that the attack decided so, of `inserted_runs`.
        false_alarms: Runs without that it took for such, of `absent_runs`.
        inserted_runs: With the canary, among those that the bound rests on.
        absent_runs: Without it, likewise.
        confidence: That the bound holds.
    """

    value: float
    largest: float
    threshold: float
    hits: int
    false_alarms: int
    inserted_runs: int
    absent_runs: int
    confidence: float


class Rate(NamedTuple):
    """How many of so many runs.

    Attributes:
        events: Runs with the answer in question, one number or several.
        runs: All of them.
    """

    events: int | NDArray
    runs: int


def bound_of_counts(
    hits: Rate, alarms: Rate, *, delta: float, confidence: float
) -> NDArray[np.float64]:
    """log((low limit of the hit rate - delta) / high limit of the alarm rate).

    Args:
        hits: Runs of one kind with an answer.
        alarms: Runs of the other kind with the same answer.
        delta: Of the claim.
        confidence: That both limits hold.

    Returns:
        The lower bound on epsilon, at least 0, for each number of events.
    """
    tail = (1 - confidence) / 2
    number = np.asarray(hits.events, np.float64)
    low = scipy.stats.beta.ppf(tail, np.maximum(number, 1), hits.runs - number + 1)
    low = np.where(number > 0, low, 0)
    number = np.minimum(alarms.events, alarms.runs - 1)
    high = scipy.stats.beta.isf(tail, number + 1.0, alarms.runs - number)
    high = np.where(number == alarms.events, high, 1)
    return np.log(np.maximum(np.maximum(low - delta, 0) / high, 1))


def epsilon_bound(
    inserted: ArrayLike,
    absent: ArrayLike,
    *,
    delta: float,
    confidence: float = CONFIDENCE,
) -> EpsilonBound:
    """Bounds epsilon from below by the scores of independent runs.

    The first half of the runs chooses the threshold, and whether yes or no is the
    rarer answer; the second half alone gives the bound, by two Clopper-Pearson limits
    that share the error. The best of many thresholds on the same runs, which is what
    tensorflow-empirical-privacy reports, has no such confidence, and leaves delta out;
    for one threshold and delta 0 the two agree.

    Args:
        inserted: Scores of runs with the canary, larger where it is suspected.
        absent: Scores of runs without.
        delta: Of the claim.
        confidence: That the bound holds.

    Returns:
        The bound.

    Raises:
        ValueError: If there are fewer than 4 runs of a kind, or a score is NaN.
    """
    checks.check_in_range("delta", delta, 0, 1)
    checks.check_in_range("confidence", confidence, 0.5, 1)
    halves = [_halves(n, s) for n, s in (("inserted", inserted), ("absent", absent))]
    (try_in, in_), (try_out, out) = halves
    thresholds = np.unique(np.concatenate([try_in, try_out]))
    thresholds = np.append(thresholds, np.inf)
    bounds = np.stack(
        [
            bound_of_counts(*sides, delta=delta, confidence=confidence)
            for sides in (
                (_from(try_in, thresholds), _from(try_out, thresholds)),
                (_below(try_out, thresholds), _below(try_in, thresholds)),
            )
        ]
    )
    by_no, best = np.unravel_index(np.argmax(bounds), bounds.shape)
    threshold = _between(thresholds, int(best))
    yes = [Rate(int(np.sum(one >= threshold)), len(one)) for one in (in_, out)]
    no = [
        Rate(len(one) - int(np.sum(one >= threshold)), len(one)) for one in (out, in_)
    ]
    value = bound_of_counts(*(no if by_no else yes), delta=delta, confidence=confidence)
    most = bound_of_counts(
        Rate(len(in_), len(in_)),
        Rate(0, len(out)),
        delta=delta,
        confidence=confidence,
    )
    return EpsilonBound(
        value=float(value),
        largest=float(most),
        threshold=threshold,
        hits=int(yes[0].events),
        false_alarms=int(yes[1].events),
        inserted_runs=len(in_),
        absent_runs=len(out),
        confidence=confidence,
    )


def _halves(name: str, scores: ArrayLike) -> tuple[NDArray, NDArray]:
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or len(values) < 4 or np.isnan(values).any():  # noqa: PLR2004
        raise ValueError(
            f"`{name}` must be scores of at least 4 runs without NaN, got shape "
            f"{values.shape}."
        )
    return values[: len(values) // 2], values[len(values) // 2 :]


def _below(scores: NDArray, thresholds: NDArray) -> Rate:
    """How many scores are below each threshold."""
    return Rate(np.searchsorted(np.sort(scores), thresholds, side="left"), len(scores))


def _from(scores: NDArray, thresholds: NDArray) -> Rate:
    return Rate(len(scores) - _below(scores, thresholds).events, len(scores))


def _between(thresholds: NDArray, number: int) -> float:
    """A threshold halfway to the next score below, where new scores may fall."""
    if number == 0 or not math.isfinite(thresholds[number]):
        return float(thresholds[number])
    return float((thresholds[number - 1] + thresholds[number]) / 2)

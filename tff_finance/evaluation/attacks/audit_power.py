"""What an audit by so many runs can find out at best.

An audit that refutes nothing says something only of defects that it would have refuted.
Of DP-SGD whose weights hardly move, a canary is seen best by the sum over steps of what
went along its gradient: in units of the clipping norm the number of steps that it was
sampled in, and Gaussian noise of each step.
"""

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from tff_finance.evaluation.attacks.canaries import (
    CONFIDENCE,
    Rate,
    bound_of_counts,
)
from tff_finance.privacy.mechanisms import PoissonSampledGaussian

_THRESHOLDS = 400
_WITHIN = 5.0  # deviations of the noise around scores that thresholds are tried in
_LEAST_SHARE = 0.01
_HALVINGS = 10
_EXACT = 1e-9  # a chance that is none but for rounding rounds up to no run


def expected_bound(
    mechanism: PoissonSampledGaussian,
    *,
    delta: float,
    runs: int,
    confidence: float = CONFIDENCE,
) -> float:
    """The lower bound on epsilon to expect of the best threshold.

    Args:
        mechanism: How training really is, whatever is claimed.
        delta: Of the claim.
        runs: With the canary, and as many without, beside those that choose the
            threshold.
        confidence: That the bound holds.

    Returns:
        The bound at the numbers of runs to expect, rounded against it.
    """
    steps, noise = mechanism.steps, mechanism.noise_multiplier
    spread = noise * np.sqrt(steps)
    sampled = np.arange(steps + 1)[:, np.newaxis]
    chances = scipy.stats.binom.pmf(sampled, steps, mechanism.sampling_probability)
    thresholds = np.linspace(-_WITHIN * spread, steps + _WITHIN * spread, _THRESHOLDS)
    inserted = (chances * scipy.stats.norm.sf((thresholds - sampled) / spread)).sum(0)
    absent = scipy.stats.norm.sf(thresholds / spread)

    def bound(hits: NDArray, alarms: NDArray) -> float:
        found = bound_of_counts(
            Rate(np.floor(runs * np.minimum(hits, 1)), runs),
            Rate(np.ceil(runs * np.clip(alarms - _EXACT, 0, 1)), runs),
            delta=delta,
            confidence=confidence,
        )
        return float(found.max())

    return max(bound(inserted, absent), bound(1 - absent, 1 - inserted))


def refutable_noise_share(
    mechanism: PoissonSampledGaussian,
    *,
    epsilon: float,
    delta: float,
    runs: int,
    confidence: float = CONFIDENCE,
) -> float | None:
    """How little noise training must have for its claim to be refuted.

    Args:
        mechanism: That keeps the claim.
        epsilon: Claimed.
        delta: Claimed.
        runs: As for `expected_bound`.
        confidence: The same.

    Returns:
        The largest share of the mechanism's noise that is refuted, below 1; None if so
        few runs can't refute the claim even without noise.
    """

    def refuted(share: float) -> bool:
        really = PoissonSampledGaussian(
            noise_multiplier=share * mechanism.noise_multiplier,
            sampling_probability=mechanism.sampling_probability,
            steps=mechanism.steps,
        )
        bound = expected_bound(really, delta=delta, runs=runs, confidence=confidence)
        return bound > epsilon

    low, high = _LEAST_SHARE, 1.0
    if not refuted(low):
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low

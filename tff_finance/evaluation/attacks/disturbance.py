"""What an attacker knows of how private training disturbs an update.

Clipping norm and noise are settings of the training, and no secret. So an attacker
doesn't ask for what is seen exactly, but within the noise, and where noise leaves
little, guesses near to what is likely anyway.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tff_finance import checks

SURE = 4.0
"""Standard deviations of noise that are taken for no chance."""
_LEAST_SENSE = 0.25  # a tolerance wider than that, of what is 0 or 1, tells nothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disturbance:
    """Clipping and noise.

    Attributes:
        deviation: Standard deviation of the noise in each coordinate of a mean
            gradient; 0 for none.
        l2_clip_norm: Of each row's gradient; None for none.
    """

    deviation: float = 0.0
    l2_clip_norm: float | None = None

    def __post_init__(self) -> None:
        """Refuses numbers that make no disturbance."""
        checks.check_at_least("deviation", self.deviation, 0)
        if self.l2_clip_norm is not None:
            checks.check_positive("l2_clip_norm", self.l2_clip_norm)

    def clipped(self, gradient: Sequence[NDArray]) -> list[NDArray[np.float64]]:
        """One row's gradient as private training counts it."""
        if self.l2_clip_norm is None:
            return list(gradient)
        norm = math.sqrt(sum(float(np.sum(part**2)) for part in gradient))
        return [part / max(1.0, norm / self.l2_clip_norm) for part in gradient]


UNDISTURBED = Disturbance()


def likely_rows(
    products: NDArray,
    squares: NDArray,
    *,
    noise: float,
    neurons: int = 1,
    typical: NDArray | None = None,
) -> NDArray[np.float64]:
    """The rows to expect behind noised products of rows and derivatives.

    A neuron shows `kernel = d x + noise` and `bias = d + noise`. Their quotient is the
    row, if noise is small, and nothing, if it isn't: the expected row lies between it
    and a typical row, as numbers of deviation 1 let expect.

    Args:
        products: Of kernel and bias, summed over a row's neurons, float[m, columns].
        squares: Of the bias, summed likewise, above 0, float[m].
        noise: Standard deviation in each coordinate of kernel and bias.
        neurons: That were summed.
        typical: What is expected without any update, float[columns]; zeros if None.

    Returns:
        float64[m, columns], the quotients if there is no noise; not yet possible rows.
    """
    squares = np.asarray(squares, np.float64)[:, np.newaxis]
    if not noise:
        return products / squares
    # Noise is in the squares too, once for each neuron.
    signal = np.maximum(squares - neurons * noise**2, 0)
    total = signal**2 + noise**2 * squares
    start = np.zeros(products.shape[1]) if typical is None else np.asarray(typical)
    return start * (1 - signal**2 / total) + products * signal / total


def tells(errors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a match within so many times `SURE` relative errors is no chance."""
    return SURE * errors <= _LEAST_SENSE

"""Rows in closed form from the update of the first dense layer.

A row x moves neuron j's kernel by `d_j x` and its bias by `d_j`, with the same
derivative `d_j` of its loss. So the quotient of the two updates is the row itself
where one row alone has reached the neuron, and otherwise a mixture of the rows that
did, weighted by their derivatives, which may be negative.

Source: Phong et al. (2017), https://eprint.iacr.org/2017/715; Boenisch et al. (2021),
https://arxiv.org/abs/2112.02918, for what single neurons give away.
"""

import numpy as np
from numpy.typing import NDArray

from tff_finance.evaluation.attacks.disturbance import SURE, likely_rows, tells
from tff_finance.evaluation.attacks.feature_layout import FeatureLayout

# Of the largest bias update: below it, rounding is all there is.
_LEAST_SHARE = 1e-5
# Within which quotients of the same row agree after float32 arithmetic.
_SAME = 0.02


def quotients(kernel: NDArray, bias: NDArray) -> NDArray[np.float64]:
    """Each neuron's mixture of rows.

    Args:
        kernel: Update of the first kernel, float[features, neurons].
        bias: Update of its bias, float[neurons].

    Returns:
        float64[m, features] of the m neurons that any row has reached.

    Raises:
        ValueError: If the shapes don't belong together.
    """
    if kernel.ndim != 2 or bias.shape != kernel.shape[1:]:  # noqa: PLR2004
        raise ValueError(
            "`kernel` must be [features, neurons] and `bias` [neurons], got "
            f"{kernel.shape} and {bias.shape}."
        )
    size = np.abs(bias).astype(np.float64)
    reached = size > _LEAST_SHARE * size.max(initial=0.0)
    return kernel.T[reached].astype(np.float64) / bias[reached, np.newaxis]


def rows_from_first_layer(
    kernel: NDArray,
    bias: NDArray,
    layout: FeatureLayout,
    *,
    rows: int = 1,
    deviation: float = 0.0,
    typical: NDArray | None = None,
) -> NDArray[np.float64]:
    """Rows that the first layer's update gives away.

    Quotients that several neurons agree on come first, then all others, of these
    those that are possible rows. If none is, the best guesses: of one row all neurons
    together give one; of several those that moved most one each.

    Args:
        kernel: As for `quotients`.
        bias: The same.
        layout: Tells rows from mixtures, as far as columns are codes.
        rows: Behind the update.
        deviation: Standard deviation of the noise in each coordinate; 0 for none.
        typical: What a row is without any update, float[columns]; zeros if None.

    Returns:
        float64[m, features]; not yet made possible.
    """
    kernel, bias = np.asarray(kernel, np.float64), np.asarray(bias, np.float64)
    size = np.abs(bias)
    reached = size > max(_LEAST_SHARE * size.max(initial=0.0), 0.0)
    if not reached.any():
        return np.empty([0, kernel.shape[0]])
    if deviation and rows == 1:
        return _of_all_neurons(kernel, bias, deviation, typical)
    found = quotients(kernel, bias)
    tolerances = _SAME + SURE * deviation / size[reached]
    possible = layout.is_possible(found, tolerance=tolerances[:, np.newaxis])
    possible &= tells(deviation / size[reached])
    if possible.any():
        return _distinct(found[possible], tolerances[possible])
    if rows == 1:
        return _of_all_neurons(kernel, bias, deviation, typical)
    most = np.argsort(-size, kind="stable")[: min(rows, int(reached.sum()))]
    products = kernel.T[most] * bias[most, np.newaxis]
    return likely_rows(products, bias[most] ** 2, noise=deviation, typical=typical)


def _of_all_neurons(
    kernel: NDArray, bias: NDArray, deviation: float, typical: NDArray | None
) -> NDArray[np.float64]:
    """The one row that fits all neurons best."""
    return likely_rows(
        (kernel @ bias)[np.newaxis],
        np.array([bias @ bias]),
        noise=deviation,
        neurons=len(bias),
        typical=typical,
    )


def _distinct(
    rows: NDArray[np.float64], tolerances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rows that differ, those seen most often first, each the median of its copies."""
    distance = np.abs(rows[:, np.newaxis] - rows).max(axis=-1)
    scale = 1 + np.abs(rows).max(axis=-1)
    same = distance <= (tolerances * scale)[:, np.newaxis]
    left = np.ones(len(rows), np.bool_)
    distinct = []
    while left.any():
        most = int(np.argmax(np.where(left, (same & left).sum(axis=1), 0)))
        copies = same[most] & left
        distinct.append(np.median(rows[copies], axis=0))
        left &= ~copies
    return np.array(distinct)

"""Rows of a batch one after the other: what the first layer gives away is taken off.

A quotient of the first layer's update that is a row, and not a mixture, can be told by
computing what that row does to the neuron, once for each label. If one of the two is
what was seen, the row with its label is found, its whole gradient is subtracted, and
neurons that it shared with one other row give away that one. So a sum of several rows,
of one institution or of several, comes apart as long as some neuron is reached by one
row alone. Under known noise what was seen is what lies within the noise, which every
row that is taken off adds to; a neuron that noise leaves too little of shows nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tff_finance.evaluation.attacks.disturbance import (
    SURE,
    UNDISTURBED,
    Disturbance,
    tells,
)
from tff_finance.evaluation.attacks.feature_layout import FeatureLayout

Arrays = list[NDArray[np.float64]]

# What float32 leaves of a neuron's update after others were subtracted.
_LEAST_SHARE = 1e-4
# Within which a row explains a neuron; more may be a second row with a small part.
_EXACT = 1e-3


class Peeled(NamedTuple):
    """What came apart, and what is left.

    Attributes:
        x: Rows found, float64[m, columns].
        y: Their labels, float64[m].
        rest: Mean gradient of the rows that weren't found, in the weights' shapes.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    rest: Arrays


def peeled_rows(
    weights: Sequence[NDArray],
    gradient: Sequence[NDArray],
    layout: FeatureLayout,
    *,
    rows: int,
    disturbance: Disturbance = UNDISTURBED,
) -> Peeled:
    """Takes rows off a mean gradient as long as the first layer shows one.

    Args:
        weights: Kernels and biases of a chain of dense ReLU layers that ends in a
            logit, where the gradient was taken.
        gradient: Of the mean loss over all rows, in the same shapes.
        layout: Of the encoded columns.
        rows: Behind the gradient.
        disturbance: What private training has done to the gradient.

    Returns:
        Rows, labels and rest.
    """
    left: Arrays = [np.asarray(g, np.float64) * rows for g in gradient]
    least = _LEAST_SHARE * np.abs(left[1]).max(initial=0.0)
    x, y = [], []
    while len(x) < rows:
        # A row found in noise leaves as much noise where it is taken off.
        noise = disturbance.deviation * rows * np.sqrt(1 + len(x))
        found = _next_row(
            weights, left, layout, least=least, noise=noise, disturbance=disturbance
        )
        if found is None:
            break
        row, label, of_row = found
        x.append(row)
        y.append(label)
        left = [whole - part for whole, part in zip(left, of_row, strict=True)]
    missing = max(rows - len(x), 1)
    return Peeled(
        np.reshape(x, [-1, layout.num_columns]),
        np.array(y, np.float64),
        [part / missing for part in left],
    )


def row_gradient(weights: Sequence[NDArray], x: NDArray, y: float) -> Arrays:
    """The gradient of one row's cross-entropy.

    Args:
        weights: As for `peeled_rows`.
        x: The row, float[columns].
        y: Its label.

    Returns:
        In the weights' shapes.
    """
    kernels, biases = weights[::2], weights[1::2]
    inputs, active = [np.asarray(x, np.float64)], []
    for kernel, bias in zip(kernels, biases, strict=True):
        linear = inputs[-1] @ kernel + bias
        active.append(linear > 0)
        inputs.append(np.maximum(linear, 0))
    logit = inputs[-2] @ kernels[-1] + biases[-1]
    derivative = 1 / (1 + np.exp(-logit)) - y
    gradient: Arrays = []
    for layer in reversed(range(len(kernels))):
        gradient = [np.outer(inputs[layer], derivative), derivative, *gradient]
        if layer:
            derivative = (kernels[layer] @ derivative) * active[layer - 1]
    return gradient


def _next_row(
    weights: Sequence[NDArray],
    left: Arrays,
    layout: FeatureLayout,
    *,
    least: float,
    noise: float,
    disturbance: Disturbance,
) -> tuple[NDArray[np.float64], float, Arrays] | None:
    """The row that explains a neuron best; None if none does."""
    kernel, bias = left[0], left[1]
    size = np.abs(bias)
    reached = np.flatnonzero(size > least)
    errors = noise / size[reached]
    reached, errors = reached[tells(errors)], errors[tells(errors)]
    if not reached.size:
        return None
    candidates = kernel[:, reached].T / bias[reached, np.newaxis]
    within = SURE * errors
    possible = layout.is_possible(candidates, tolerance=_EXACT + within[:, np.newaxis])
    best, least_doubt = None, np.inf
    for neuron, row, allowed in zip(
        reached[possible],
        layout.projected(candidates[possible]),
        within[possible],
        strict=True,
    ):
        for label in (0.0, 1.0):
            of_row = disturbance.clipped(row_gradient(weights, row, label))
            mismatch = abs(of_row[1][neuron] / bias[neuron] - 1)
            # Twice: of the neuron itself, and of the row that it gave.
            if mismatch < _EXACT + 2 * allowed and mismatch + allowed < least_doubt:
                best, least_doubt = (row, label, of_row), mismatch + allowed
    return best

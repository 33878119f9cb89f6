"""Rows from a model that an active server has prepared for the purpose.

All neurons of the first layer look along one direction, with thresholds in rising
order, and whatever follows treats them alike. So a row reaches the neurons up to its
place, and the updates of two neighbours differ by the rows whose place lies between
their thresholds: by one row, mostly, if there are more neurons than rows. Institutions
that train what they are sent can't tell from their own loss alone.

Of private training the server knows clipping norm and noise: it takes what lies within
the noise for a row, and guesses by the neurons that moved most where noise leaves more
than one reading.

Source: Fowl et al. (2022), https://arxiv.org/abs/2110.13057.
"""

from collections.abc import Sequence

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from tff_finance.evaluation.attacks.disturbance import (
    SURE,
    UNDISTURBED,
    Disturbance,
    likely_rows,
    tells,
)
from tff_finance.evaluation.attacks.feature_layout import FeatureLayout
from tff_finance.evaluation.attacks.peeling import row_gradient

# Within which a row explains the difference between two neurons.
_EXACT = 1e-3
# From the first layer's mean to the logit: as much as leaves the probability of most
# rows off their label, so that rows move neurons far, also after clipping.
_GAIN = 3.0
# The mean over neurons and rows, of rows whose place follows the normal law.
_MEAN_OF_NEURONS = 1 / np.sqrt(np.pi)


def prepared_weights(
    weights: Sequence[NDArray], layout: FeatureLayout, *, seed: int
) -> list[NDArray[np.float32]]:
    """Weights that an active server sends.

    Args:
        weights: Kernels and biases of a chain of dense ReLU layers that ends in a
            logit; only their shapes matter.
        layout: Of the encoded columns; numbers have mean 0 and deviation 1.
        seed: Draws the direction, among numbers.

    Returns:
        Weights of the same shapes. Thresholds are quantiles of a normal law, which
        the place of a row follows more or less.
    """
    shapes = [np.shape(w) for w in weights]
    columns, neurons = shapes[0]
    numbers = list(layout.numeric)
    direction = np.zeros(columns)
    direction[numbers] = np.random.default_rng(seed).normal(size=len(numbers))
    direction /= np.linalg.norm(direction)
    thresholds = scipy.stats.norm.ppf(np.arange(1, neurons + 1) / (neurons + 1))
    prepared = [np.tile(direction[:, np.newaxis], neurons), -thresholds]
    for number, (kernel, bias) in enumerate(
        zip(shapes[2::2], shapes[3::2], strict=True)
    ):
        # One chain of neurons passes the mean on, always active.
        passing = np.zeros(kernel)
        passing[:, 0] = 0.0 if number else _GAIN / kernel[0]
        passing[0, 0] = 1.0 if number else passing[0, 0]
        prepared += [passing, np.zeros(bias)]
    prepared[-1] = prepared[-1] - _GAIN * _MEAN_OF_NEURONS
    return [part.astype(np.float32) for part in prepared]


def rows_from_differences(
    weights: Sequence[NDArray],
    gradient: Sequence[NDArray],
    layout: FeatureLayout,
    *,
    rows: int,
    disturbance: Disturbance = UNDISTURBED,
    typical: NDArray | None = None,
) -> NDArray[np.float64]:
    """Rows that lie alone between two thresholds.

    Args:
        weights: As `prepared_weights` made them.
        gradient: Of the mean loss over all rows, in the same shapes.
        layout: Of the encoded columns.
        rows: Behind the gradient.
        disturbance: What private training has done to the gradient.
        typical: What a row is without any gradient, float[columns]; zeros if None.

    Returns:
        float64[m, columns]. Without noise, those that explain what was seen, with one
        of the two labels. With noise, those that do within the noise, and for the rest
        of the rows the best guesses.
    """
    kernel, bias = (np.asarray(g, np.float64) * rows for g in gradient[:2])
    none = np.zeros([len(kernel), 1])
    kernels = -np.diff(kernel, append=none).T
    biases = -np.diff(bias, append=0.0)
    noise = np.sqrt(2) * disturbance.deviation * rows
    size = np.abs(biases)
    between = np.flatnonzero(size > _EXACT * size.max(initial=0.0))
    candidates = likely_rows(
        kernels[between] * biases[between, np.newaxis],
        biases[between] ** 2,
        noise=noise,
        typical=typical,
    )
    errors = noise / size[between]
    tolerances = 10 * _EXACT + SURE * errors
    possible = layout.is_possible(candidates, tolerance=tolerances[:, np.newaxis])
    nearest = layout.projected(candidates)
    found = [
        number
        for number in np.flatnonzero(possible & tells(errors))
        if _explains(
            weights,
            nearest[number],
            int(between[number]),
            float(biases[between[number]]),
            error=errors[number],
            disturbance=disturbance,
        )
    ]
    if noise:
        by_size = np.argsort(-size[between], kind="stable")
        others = by_size[~np.isin(by_size, found)]
        found = [*found, *others[: max(rows - len(found), 0)]]
    return nearest[np.array(found, np.int64)]


def _explains(
    weights: Sequence[NDArray],
    row: NDArray[np.float64],
    neuron: int,
    moved: float,
    *,
    error: float,
    disturbance: Disturbance,
) -> bool:
    """Whether a row lies at a neuron's place and moves it so, with either label."""
    reach = SURE * error * np.sqrt(1 + np.sum(row**2))
    linear = row @ np.asarray(weights[0], np.float64) + weights[1]
    if linear[neuron] <= -reach or np.any(linear[neuron + 1 : neuron + 2] > reach):
        return False
    # Twice: of the neuron itself, and of the row that it gave.
    tolerance = 10 * _EXACT + 2 * SURE * error
    for label in (0.0, 1.0):
        derivatives = disturbance.clipped(row_gradient(weights, row, label))[1]
        # The same at all neurons that a row reaches.
        expected = derivatives[np.argmax(np.abs(derivatives))]
        if np.isclose(expected, moved, rtol=tolerance, atol=0):
            return True
    return False

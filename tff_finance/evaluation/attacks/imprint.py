"""Rows from a model that an active server has prepared for the purpose.

All neurons of the first layer look along one direction, with thresholds in rising
order, and whatever follows treats them alike. So a row reaches the neurons up to its
place, and the updates of two neighbours differ by the rows whose place lies between
their thresholds: by one row, mostly, if there are more neurons than rows. Institutions
that train what they are sent can't tell from their own loss alone.

Source: Fowl et al. (2022), https://arxiv.org/abs/2110.13057.
"""

from collections.abc import Sequence

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from tff_finance.evaluation.attacks.feature_layout import FeatureLayout
from tff_finance.evaluation.attacks.peeling import row_gradient

# Within which a row explains the difference between two neurons.
_EXACT = 1e-3
# Of what all neurons together get, so that the logit stays where labels matter.
_PASSED_ON = 0.1


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
    for kernel, bias in zip(shapes[2::2], shapes[3::2], strict=True):
        # One chain of neurons passes the mean on, always active.
        alike = np.zeros(kernel)
        alike[:, 0] = _PASSED_ON / kernel[0]
        prepared += [alike, np.zeros(bias)]
    return [part.astype(np.float32) for part in prepared]


def rows_from_differences(
    weights: Sequence[NDArray],
    gradient: Sequence[NDArray],
    layout: FeatureLayout,
    *,
    rows: int,
) -> NDArray[np.float64]:
    """Rows that lie alone between two thresholds.

    Args:
        weights: As `prepared_weights` made them.
        gradient: Of the mean loss over all rows, in the same shapes.
        layout: Of the encoded columns.
        rows: Behind the gradient.

    Returns:
        float64[m, columns], each of which explains what was seen, with one of the
        two labels.
    """
    kernel, bias = (np.asarray(g, np.float64) * rows for g in gradient[:2])
    none = np.zeros([len(kernel), 1])
    kernels = -np.diff(kernel, append=none)
    biases = -np.diff(bias, append=0.0)
    between = np.flatnonzero(np.abs(biases) > _EXACT * np.abs(biases).max(initial=0.0))
    candidates = kernels[:, between].T / biases[between, np.newaxis]
    possible = layout.is_possible(candidates, tolerance=10 * _EXACT)
    found = []
    for neuron, row in zip(
        between[possible], layout.projected(candidates[possible]), strict=True
    ):
        explained = [row_gradient(weights, row, label)[1] for label in (0.0, 1.0)]
        place = -np.diff(explained, append=0.0, axis=1)[:, neuron]
        if np.isclose(place, biases[neuron], rtol=10 * _EXACT, atol=0).any():
            found.append(row)
    return np.reshape(found, [-1, layout.num_columns])

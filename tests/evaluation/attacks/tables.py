"""A small table, its layout, and a perceptron, all in NumPy."""

import numpy as np

from tff_finance.evaluation.attacks.feature_layout import FeatureLayout

LAYOUT = FeatureLayout(numeric=(0, 1, 2, 3), indicators=(4,), groups=((5, 6, 7),))


def table(rows, seed=0):
    """Possible rows [rows, 8] and labels [rows]."""
    rng = np.random.default_rng(seed)
    x = np.concatenate(
        [
            rng.normal(size=(rows, 4)),
            rng.integers(2, size=(rows, 1)),
            np.eye(3)[rng.integers(3, size=rows)],
        ],
        axis=1,
    )
    return x.astype(np.float32), rng.integers(2, size=rows).astype(np.float32)


def perceptron(hidden=16, columns=8, seed=0):
    """Kernel and bias of a hidden layer and of the logit."""
    rng = np.random.default_rng(seed)
    shapes = ((columns, hidden), (hidden,), (hidden, 1), (1,))
    return [rng.normal(scale=0.5, size=shape).astype(np.float32) for shape in shapes]


def gradient(weights, x, y):
    """Of the mean cross-entropy over rows, by hand."""
    kernel, bias, last, last_bias = (w.astype(np.float64) for w in weights)
    linear = x @ kernel + bias
    hidden = np.maximum(linear, 0)
    logits = (hidden @ last + last_bias)[:, 0]
    back = (1 / (1 + np.exp(-logits)) - y)[:, np.newaxis] / len(x)
    of_hidden = back @ last.T * (linear > 0)
    return [x.T @ of_hidden, of_hidden.sum(0), hidden.T @ back, back.sum(0)]

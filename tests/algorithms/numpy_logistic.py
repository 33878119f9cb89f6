"""Logistic regression in NumPy: makes the golden numbers of algorithms.

Weights are one float64 vector, the bias last; losses are means over rows.
"""

import numpy as np


def vector(weights):
    """The vector of `ModelWeights` of a model without hidden layers."""
    kernel, bias = weights.trainable
    return np.concatenate([np.ravel(kernel), np.ravel(bias)]).astype(np.float64)


def loss(w, x, y):
    logits = x @ w[:-1] + w[-1]
    return np.mean(np.logaddexp(0.0, logits) - y * logits)


def gradient(w, x, y):
    residuals = 1.0 / (1.0 + np.exp(-(x @ w[:-1] + w[-1]))) - y
    return np.append(residuals @ x, residuals.sum()) / len(y)


def batches(rows, batch_size, epochs=1):
    """Slices of the steps without shuffling, the remainder batch included."""
    return epochs * [slice(i, i + batch_size) for i in range(0, rows, batch_size)]


def local_steps(w, x, y, *, rate, steps, correct=lambda gradient, w: gradient):
    """SGD over `steps`; returns the weights and the loss before each step."""
    losses = []
    for rows in steps:
        losses.append(loss(w, x[rows], y[rows]))
        w = w - rate * correct(gradient(w, x[rows], y[rows]), w)
    return w, losses

"""Running learning processes and comparing where they end."""

import numpy as np


def train(process, data, rounds, state=None):
    """Runs rounds; returns the state and the metrics of the last one."""
    state = state if state is not None else process.initialize()
    metrics = None
    for _ in range(rounds):
        state, metrics = process.next(state, data)
    return state, metrics


def assert_same_weights(actual, expected, *, atol=1e-5):
    assert len(actual.trainable) == len(expected.trainable) > 0
    for left, right in zip(actual.trainable, expected.trainable, strict=True):
        np.testing.assert_allclose(left, right, atol=atol, rtol=0)


def largest_move(weights, model):
    """By how much any trainable weight differs from its initial value.

    `weights` may lack the last ones, which are kept at the institutions.
    """
    moves = [
        np.abs(after - before).max()
        for after, before in zip(
            weights.trainable, model.initial_weights[0], strict=False
        )
    ]
    return max(moves)

"""The floor: the same arithmetic as plain NumPy loops, without any framework."""

from collections.abc import Sequence

import numpy as np

from benchmarks.workloads import LEARNING_RATE, Problem, Weights, Workload


class NumPyLoop:
    """Institution after institution, batch after batch, in one thread."""

    def __init__(self, workload: Workload, problem: Problem) -> None:
        self._batch_size = workload.batch_size
        self._x, self._y = np.asarray(problem.x), np.asarray(problem.y)
        self.weights: Weights = problem.weights

    def next_round(self, cohort: Sequence[int]) -> None:
        """Trains the cohort's institutions and takes the mean of their weights."""
        # Every institution has as many rows, so that means by examples are plain.
        trained = [self._train(self._x[i], self._y[i]) for i in cohort]
        w1, b1, w2, b2 = (
            np.mean(w, axis=0, dtype=np.float32) for w in zip(*trained, strict=True)
        )
        self.weights = (w1, b1, w2, b2)

    def _train(self, x: np.ndarray, y: np.ndarray) -> Weights:
        w1, b1, w2, b2 = self.weights
        for start in range(0, len(x), self._batch_size):
            rows, labels = (part[start : start + self._batch_size] for part in (x, y))
            hidden = np.maximum(rows @ w1 + b1, 0)
            logits = hidden @ w2 + b2
            residuals = (1 / (1 + np.exp(-logits)) - labels[:, None]) / len(rows)
            back = (residuals @ w2.T) * (hidden > 0)
            w1 = w1 - LEARNING_RATE * (rows.T @ back)
            b1 = b1 - LEARNING_RATE * back.sum(axis=0)
            w2 = w2 - LEARNING_RATE * (hidden.T @ residuals)
            b2 = b2 - LEARNING_RATE * residuals.sum(axis=0)
        return w1, b1, w2, b2

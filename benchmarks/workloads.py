"""The workloads: FedAvg of a small network on tables of four shapes.

All contestants do the same arithmetic: Dense(10, relu) -> Dense(1), mean logistic
loss, one local epoch of SGD 0.1 in the order of the rows, means by examples.
"""

import dataclasses
import pathlib

import numpy as np

HIDDEN_UNITS = 10
LEARNING_RATE = 0.1

Weights = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """Sizes of a workload.

    Attributes:
        name: On the command line and in results.
        institutions: How many there are.
        rows: Of each institution.
        features: Width of the table.
        batch_size: Rows of a local batch; the remainder batch is kept.
        cohort_size: Institutions of a round.
        rounds: Rounds to run unless told otherwise, the first included.
    """

    name: str
    institutions: int
    rows: int
    features: int
    batch_size: int
    cohort_size: int
    rounds: int

    def cohort(self, round_number: int) -> list[int]:
        """The round's institutions, the same for every contestant.

        Args:
            round_number: Counted from 0.

        Returns:
            Ascending numbers, from 0: all, or as many as `cohort_size` drawn
            without replacement by a generator seeded with the round's number.
        """
        rng = np.random.default_rng(round_number)
        drawn = rng.choice(self.institutions, self.cohort_size, replace=False)
        return sorted(drawn.tolist())


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            name="W1",
            institutions=3,
            rows=10_000,
            features=24,
            batch_size=64,
            cohort_size=3,
            rounds=30,
        ),
        Workload(
            name="W2",
            institutions=100,
            rows=300,
            features=24,
            batch_size=32,
            cohort_size=100,
            rounds=15,
        ),
        Workload(
            name="W3",
            institutions=3,
            rows=500_000,
            features=30,
            batch_size=512,
            cohort_size=3,
            rounds=8,
        ),
        Workload(
            name="W4",
            institutions=10_000,
            rows=100,
            features=24,
            batch_size=32,
            cohort_size=500,
            rounds=8,
        ),
    )
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """Rows and initial weights of a workload.

    Attributes:
        x: Features, float32[institutions, rows, features].
        y: Labels 0 or 1, float32[institutions, rows].
        weights: float32[features, 10], [10], [10, 1], [1].
    """

    x: np.ndarray
    y: np.ndarray
    weights: Weights


def make_problem(workload: Workload, *, seed: int = 0) -> Problem:
    """Draws a problem: a non-linear law of the labels that all institutions share."""
    rng = np.random.default_rng(seed)
    shape = (workload.institutions, workload.rows, workload.features)
    x = rng.standard_normal(shape, np.float32)
    law = rng.standard_normal((workload.features, 2), np.float32)
    law /= np.sqrt(workload.features)
    scores = 2 * (x @ law[:, 0]) + np.abs(x @ law[:, 1])
    y = (scores + rng.logistic(size=scores.shape) > 1).astype(np.float32)
    return Problem(x=x, y=y, weights=_initial_weights(workload.features, rng))


def read_problem(directory: pathlib.Path, workload: Workload) -> Problem:
    """Reads `x`, `y`, `w1`, `b1`, `w2`, `b2`, each an `.npy` file.

    Args:
        directory: Where they are.
        workload: Whose sizes they must have.

    Returns:
        The problem; rows stay on disk until they are used.

    Raises:
        ValueError: If a shape isn't the workload's.
        OSError: If a file is missing.
    """
    sizes = (workload.institutions, workload.rows)
    shapes = {
        "x": (*sizes, workload.features),
        "y": sizes,
        "w1": (workload.features, HIDDEN_UNITS),
        "b1": (HIDDEN_UNITS,),
        "w2": (HIDDEN_UNITS, 1),
        "b2": (1,),
    }
    arrays = {}
    for name, shape in shapes.items():
        array = np.load(directory / f"{name}.npy", mmap_mode="r")
        if array.size != np.prod(shape):
            raise ValueError(
                f"{name}.npy must have shape {list(shape)} for {workload.name}, got "
                f"{list(array.shape)}."
            )
        arrays[name] = array.reshape(shape).astype(np.float32, copy=False)
    weights = (arrays["w1"], arrays["b1"], arrays["w2"], arrays["b2"])
    return Problem(x=arrays["x"], y=arrays["y"], weights=weights)


def pooled_loss(problem: Problem, weights: Weights) -> float:
    """Mean logistic loss over all rows of all institutions, in nats."""
    w1, b1, w2, b2 = (np.asarray(w, np.float64) for w in weights)
    total = 0.0
    for x, y in zip(problem.x, problem.y, strict=True):
        logits = (np.maximum(x @ w1 + b1, 0) @ w2 + b2)[:, 0]
        total += float(np.sum(np.logaddexp(0, logits) - y * logits))
    return total / problem.y.size


def _initial_weights(features: int, rng: np.random.Generator) -> Weights:
    """Glorot uniform, as Keras draws them."""

    def glorot(rows: int, columns: int) -> np.ndarray:
        limit = np.sqrt(6 / (rows + columns))
        return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)

    zeros = (np.zeros(HIDDEN_UNITS, np.float32), np.zeros(1, np.float32))
    return glorot(features, HIDDEN_UNITS), zeros[0], glorot(HIDDEN_UNITS, 1), zeros[1]

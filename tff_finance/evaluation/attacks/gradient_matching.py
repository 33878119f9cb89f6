"""Rows whose update looks like the one observed, by optimisation.

The attacker knows model, learning rate and number of rows and steps. Rows are drawn
at random and moved until the update that they would cause is the one seen; codes stay
possible on the way (softmax over a category's columns, as in TabLeak). Several starts
are optimised at once, and the one that fits best is kept.

Source: Zhu et al. (2019), https://arxiv.org/abs/1906.08935; Geiping et al. (2020),
https://arxiv.org/abs/2003.14053; Dimitrov et al. (2022),
https://arxiv.org/abs/2206.12395, for several local steps; Vero et al. (2023),
https://arxiv.org/abs/2210.01785, for tables.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tff_finance import checks
from tff_finance.evaluation.attacks.feature_layout import FeatureLayout
from tff_finance.evaluation.attacks.labels import recovered_labels

Tensors = list[tf.Tensor]

_GUESSES_OF_MEAN = 256  # random rows over which the model's mean probability is taken
_AROUND = np.array([0, 1, -1])  # a start's number of positives, from what is counted
_SETTLED = 1e-2  # share of the first step size that the last one has


@dataclasses.dataclass(frozen=True, kw_only=True)
class Observation:
    """What a server sees of one institution, or of a sum of several.

    Attributes:
        weights: Kernels and biases of a chain of dense ReLU layers that ends in a
            logit, at the start of the round: kernel, bias, kernel, bias, ...
        update: Sum over local steps of the mean gradient of the step's batch, in the
            weights' shapes: (start - end) / learning rate. The gradient itself if
            there is one step.
        batches: First and last + 1 row of each local step, in the attacker's order;
            an epoch goes over all rows, none or some may come back in the next.
        learning_rate: Of the local steps.
        l2_clip_norm: Of each row's gradient; None for none.
    """

    weights: Sequence[NDArray]
    update: Sequence[NDArray]
    batches: tuple[tuple[int, int], ...]
    learning_rate: float = 1.0
    l2_clip_norm: float | None = None

    def __post_init__(self) -> None:
        """Refuses what can't belong together."""
        shapes = [[w.shape for w in one] for one in (self.weights, self.update)]
        if shapes[0] != shapes[1] or len(shapes[0]) % 2:
            raise ValueError(
                "`weights` and `update` must be kernel and bias of each layer, got "
                f"{shapes[0]} and {shapes[1]}."
            )
        checks.check_positive("learning_rate", self.learning_rate)
        if not self.batches:
            raise ValueError("`batches` must have one step at least.")

    @property
    def rows(self) -> int:
        """Rows behind the update."""
        return max(last for _, last in self.batches)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matching:
    """How rows are sought.

    Attributes:
        steps: Of the optimiser, Adam.
        step_size: Its first; it falls to a hundredth.
        starts: Drawn at random, optimised at once.
        seed: Draws them.
    """

    steps: int = 2000
    step_size: float = 0.1
    starts: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses numbers that make no search."""
        checks.check_at_least("steps", self.steps, 1)
        checks.check_at_least("starts", self.starts, 1)
        checks.check_positive("step_size", self.step_size)


def matched_rows(
    observation: Observation, layout: FeatureLayout, matching: Matching | None = None
) -> NDArray[np.float64]:
    """Reconstructs the rows behind an update.

    Args:
        observation: What the attacker sees and knows.
        layout: Of the encoded columns.
        matching: How to seek.

    Returns:
        float64[rows, columns] of the start that fits best, made possible.
    """
    matching = matching or Matching()
    generator = np.random.default_rng(matching.seed)
    shape = (matching.starts, observation.rows, layout.num_columns)
    search = _build_search(
        layout,
        observation.batches,
        observation.learning_rate,
        matching.steps,
        matching.step_size,
        starts=matching.starts,
        shapes=tuple(w.shape for w in observation.weights),
        l2_clip_norm=observation.l2_clip_norm,
    )
    free, misfit = search(
        tf.constant(generator.normal(size=shape), tf.float32),
        tf.constant(_labels(observation, layout, matching.starts, generator)),
        [tf.constant(w, tf.float32) for w in observation.weights],
        [tf.constant(u, tf.float32) for u in observation.update],
    )
    best = int(np.argmin(np.nan_to_num(misfit.numpy(), nan=np.inf)))
    return layout.projected(_as_rows(free, layout).numpy()[best])


def simulated_update(
    weights: Sequence[NDArray | tf.Tensor],
    x: tf.Tensor,
    y: tf.Tensor,
    *,
    batches: Sequence[tuple[int, int]],
    learning_rate: float,
    l2_clip_norm: float | None = None,
) -> Tensors:
    """The update that rows would cause, differentiable by the rows.

    Backpropagation is written out, so that it takes one tape and not two, and so that
    all starts are one computation.

    Args:
        weights: As in `Observation`.
        x: Features, float32[starts, rows, columns].
        y: Labels, float32[starts, rows].
        batches: As in `Observation`.
        learning_rate: The same.
        l2_clip_norm: The same.

    Returns:
        As `Observation.update`, each float32[starts, ...].
    """
    starts = x.shape[0]
    current = [
        tf.tile(w[tf.newaxis], [starts, *[1] * len(w.shape)])
        for w in map(tf.convert_to_tensor, weights)
    ]
    total = [tf.zeros_like(w) for w in current]
    for first, last in batches:
        gradient = _mean_gradient(
            current, x[:, first:last], y[:, first:last], l2_clip_norm
        )
        total = [t + g for t, g in zip(total, gradient, strict=True)]
        current = [
            w - learning_rate * g for w, g in zip(current, gradient, strict=True)
        ]
    return total


def _mean_gradient(
    weights: Tensors, x: tf.Tensor, y: tf.Tensor, l2_clip_norm: float | None
) -> Tensors:
    """Gradient of the mean cross-entropy, rows clipped, for all starts at once."""
    kernels, biases = weights[::2], weights[1::2]
    inputs, linear = [x], []
    for kernel, bias in zip(kernels, biases, strict=True):
        linear.append(inputs[-1] @ kernel + bias[:, tf.newaxis])
        inputs.append(tf.nn.relu(linear[-1]))
    derivatives = [tf.sigmoid(linear[-1]) - y[..., tf.newaxis]]
    for layer in reversed(range(1, len(kernels))):
        active = tf.cast(linear[layer - 1] > 0, tf.float32)
        back = tf.matmul(derivatives[0], kernels[layer], transpose_b=True)
        derivatives = [back * active, *derivatives]
    scale = 1 / tf.cast(tf.shape(x)[1], tf.float32)
    if l2_clip_norm is not None:
        squares = [
            tf.reduce_sum(d**2, axis=-1, keepdims=True)
            * (1 + tf.reduce_sum(a**2, axis=-1, keepdims=True))
            for d, a in zip(derivatives, inputs[:-1], strict=True)
        ]
        # 1e-12: the root has no derivative at 0.
        norms = tf.sqrt(tf.add_n(squares) + 1e-12)
        scale /= tf.maximum(norms / l2_clip_norm, 1)
    gradient: Tensors = []
    for layer, derivative in enumerate(derivatives):
        scaled = derivative * scale
        of_kernel = tf.matmul(inputs[layer], scaled, transpose_a=True)
        gradient += [of_kernel, tf.reduce_sum(scaled, axis=1)]
    return gradient


@functools.lru_cache(maxsize=32)
def _build_search(
    layout: FeatureLayout,
    batches: tuple[tuple[int, int], ...],
    learning_rate: float,
    steps: int,
    step_size: float,
    *,
    starts: int,
    shapes: tuple[tuple[int, ...], ...],
    l2_clip_norm: float | None,
) -> tf.types.experimental.ConcreteFunction:
    """Builds the optimiser: from free numbers to better ones and their misfit."""

    @tf.function(jit_compile=True, autograph=False)
    def search(
        free: tf.Tensor, labels: tf.Tensor, weights: Tensors, target: Tensors
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def misfits(free: tf.Tensor) -> tf.Tensor:
            made = simulated_update(
                weights,
                _as_rows(free, layout),
                labels,
                batches=batches,
                learning_rate=learning_rate,
                l2_clip_norm=l2_clip_norm,
            )
            return _misfits(made, target)

        def step(
            number: tf.Tensor, free: tf.Tensor, mean: tf.Tensor, square: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            with tf.GradientTape() as tape:
                tape.watch(free)
                # The logarithm keeps going where the misfit is small already.
                loss = tf.reduce_sum(tf.math.log(misfits(free) + 1e-12))
            gradient = tape.gradient(loss, free)
            count = tf.cast(number + 1, tf.float32)
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            size = step_size * _SETTLED ** (count / steps)
            direction = (mean / (1 - 0.9**count)) / (
                tf.sqrt(square / (1 - 0.999**count)) + 1e-8
            )
            return number + 1, free - size * direction, mean, square

        zeros = tf.zeros_like(free)
        _, free, _, _ = tf.while_loop(
            lambda number, *_: number < steps,
            step,
            (tf.constant(0), free, zeros, zeros),
        )
        return free, misfits(free)

    # Traced here: TensorFlow would take the functions of several searches for one that
    # is traced over and over, and warn.
    rows = max(last for _, last in batches)
    weights = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    return search.get_concrete_function(
        tf.TensorSpec([starts, rows, layout.num_columns], tf.float32),
        tf.TensorSpec([starts, rows], tf.float32),
        weights,
        weights,
    )


def _misfits(made: Tensors, target: Tensors) -> tf.Tensor:
    """Squared distance to the observed update over its square, by start."""
    squares = [
        tf.reduce_sum((m - t) ** 2, axis=list(range(1, m.shape.rank)))
        for m, t in zip(made, target, strict=True)
    ]
    return tf.add_n(squares) / (tf.linalg.global_norm(target) ** 2 + 1e-30)


def _as_rows(free: tf.Tensor, layout: FeatureLayout) -> tf.Tensor:
    """Rows of free numbers: numbers as they are, codes between 0 and 1."""
    columns: list[tf.Tensor | None] = [None] * layout.num_columns
    for i in layout.numeric:
        columns[i] = free[..., i]
    for i in layout.indicators:
        columns[i] = tf.sigmoid(free[..., i])
    for group in layout.groups:
        shares = tf.nn.softmax(tf.gather(free, list(group), axis=-1))
        for position, i in enumerate(group):
            columns[i] = shares[..., position]
    return tf.stack(columns, axis=-1)


def _labels(
    observation: Observation,
    layout: FeatureLayout,
    starts: int,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Labels of each start, as counted, or with one positive more or less.

    Returns:
        float32[starts, rows]. What the model says in the mean is taken over random
        rows. As that is uncertain, starts differ, and the one that fits best decides.
    """
    value = layout.projected(
        generator.normal(size=[_GUESSES_OF_MEAN, layout.num_columns])
    )
    kernels, biases = observation.weights[::2], observation.weights[1::2]
    for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        value = np.maximum(value, 0) if number else value
        value = value @ kernel + bias
    counted = recovered_labels(
        float(np.ravel(observation.update[-1])[0]) / len(observation.batches),
        rows=observation.rows,
        mean_probability=float(
            np.mean(1 / (1 + np.exp(-np.asarray(value, np.float64))))
        ),
    ).sum()
    spread = 0 if observation.rows == 1 else 1
    counts = counted + spread * _AROUND[np.arange(starts) % 3, np.newaxis]
    return (np.arange(observation.rows) < counts).astype(np.float32)

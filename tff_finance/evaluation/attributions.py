"""Integrated gradients: which features make a row's logit what it is.

A feature's contribution is its difference from a reference times its mean partial
derivative on the straight way from there. Contributions add up to the difference of
logits (completeness). Along that way a network of ReLU units is linear but for
kinks, where a fixed number of steps does worst. Here the way is divided at its kinks,
and further until gradients at the ends of each interval agree. That the sum is right
would not be enough: where a unit sets in slowly, features' shares are wrong by far
more than their sum.

Source: Sundararajan, Taly & Yan (2017), "Axiomatic Attribution for Deep Networks",
https://arxiv.org/abs/1703.01365.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

RELATIVE_TOLERANCE = 1e-3
"""What contributions may miss of the difference of logits, where that is larger than
`SMALL_DIFFERENCE`; below, of that."""

SMALL_DIFFERENCE = 0.01

_INTERVALS = 16  # to begin with; a bend that comes back within one may be missed
_BESIDE = 1e-8  # how far from a kink the gradients on both sides are taken
_NARROWEST = 1e-6
_ROWS_AT_ONCE = 1024
# An interval's share of the tolerance: kinks are placed exactly, so few need it.
_SHARE = 1 / 100

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attributions:
    """Explained rows.

    Attributes:
        contributions: Of each feature to the logit, float64[n, features].
        residual: What they miss of the difference of logits, float64[n].
        complete: Where that is within the tolerance, bool[n].
    """

    contributions: Floats
    residual: Floats
    complete: NDArray[np.bool_]


class IntegratedGradients:
    """Explains a network's logits against a reference; computes in float64."""

    def __init__(self, network: tf.keras.Model, reference: np.ndarray) -> None:
        """Copies the network.

        Args:
            network: `float32[n, features] -> float32[n, 1]`, of Keras's own layers.
            reference: Where contributions are 0, real[features].
        """
        self._differentiate = _build_gradients(_in_float64(network))
        self.reference = np.asarray(reference, np.float64)
        logits, _ = self._at(self.reference[None])
        self.reference_logit = float(logits[0])

    def __call__(self, x: np.ndarray) -> Attributions:
        """Explains rows.

        Args:
            x: Encoded rows, real[n, features].

        Returns:
            Their attributions.
        """
        rows = np.asarray(x, np.float64)
        contributions = np.zeros_like(rows)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            contributions[part] = self._contributions(rows[part])
        difference = self._at(rows)[0] - self.reference_logit
        residual = difference - contributions.sum(axis=1)
        return Attributions(
            contributions=contributions,
            residual=residual,
            complete=np.abs(residual) <= _tolerance(difference),
        )

    def _contributions(self, rows: Floats) -> Floats:
        """Contributions of some rows, float64[rows, features]."""
        way = rows - self.reference
        logits, gradients = self._grid(way)
        tolerance = _SHARE * _tolerance(logits[:, -1] - logits[:, 0])
        mean_gradients = np.zeros_like(way)
        intervals = _grid_intervals(logits, gradients)
        turn = 0
        while len(intervals.row):
            done = intervals.straight(way, tolerance)
            np.add.at(mean_gradients, intervals.row[done], intervals.integrals()[done])
            open_ones = intervals.where(~done)
            # A crossing of several kinks' tangents may creep; halving does not.
            place = open_ones.crossing(way) if turn % 2 == 0 else open_ones.middle
            intervals = self._divided(open_ones, place, way)
            turn += 1
        return mean_gradients * way

    def _divided(self, i: "_Intervals", place: Floats, way: Floats) -> "_Intervals":
        """Each interval as two and what is beside `place`, where a kink may be."""
        beside = np.minimum(_BESIDE, (i.right - i.left) / 4)
        ends = []
        for at in (
            np.maximum(place - beside, i.left),
            np.minimum(place + beside, i.right),
        ):
            logit, gradient = self._at(self.reference + at[:, None] * way[i.row])
            ends.append(_End(place=at, logit=logit, gradient=gradient))
        before, after = ends
        return _Intervals.of(
            [
                (i.row, i.left_end, before),
                (i.row, before, after),
                (i.row, after, i.right_end),
            ]
        )

    def _grid(self, way: Floats) -> tuple[Floats, Floats]:
        """Logits [rows, points] and gradients [rows, points, features]."""
        places = np.linspace(0, 1, _INTERVALS + 1)
        points = self.reference + places[:, None] * way[:, None]
        logits, gradients = self._at(points.reshape(-1, way.shape[1]))
        return logits.reshape(points.shape[:2]), gradients.reshape(points.shape)

    def _at(self, points: Floats) -> tuple[Floats, Floats]:
        """Logits and gradients at encoded rows."""
        logits, gradients = self._differentiate(tf.constant(points, tf.float64))
        return logits.numpy(), gradients.numpy()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _End:
    """Places on ways, with what is known there."""

    place: Floats
    logit: Floats
    gradient: Floats

    def where(self, which: NDArray[np.bool_]) -> "_End":
        """Some of them."""
        return _End(
            place=self.place[which],
            logit=self.logit[which],
            gradient=self.gradient[which],
        )

    def slope(self, along: Floats) -> Floats:
        """The logit's derivative along the way."""
        return np.einsum("ij,ij->i", self.gradient, along)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Intervals:
    """Intervals of rows' ways."""

    row: NDArray[np.int64]
    left_end: _End
    right_end: _End

    @classmethod
    def of(cls, parts: Sequence[tuple[NDArray[np.int64], _End, _End]]) -> "_Intervals":
        """Joins lists of rows, left ends and right ends."""
        rows, lefts, rights = zip(*parts, strict=True)
        return cls(
            row=np.concatenate(rows), left_end=_joined(lefts), right_end=_joined(rights)
        )

    @property
    def left(self) -> Floats:
        return self.left_end.place

    @property
    def right(self) -> Floats:
        return self.right_end.place

    @property
    def middle(self) -> Floats:
        return (self.left + self.right) / 2

    def where(self, which: NDArray[np.bool_]) -> "_Intervals":
        """Some of them."""
        return _Intervals(
            row=self.row[which],
            left_end=self.left_end.where(which),
            right_end=self.right_end.where(which),
        )

    def straight(self, way: Floats, tolerance: Floats) -> NDArray[np.bool_]:
        """Where gradients at the ends agree, and lead from one logit to the other."""
        width = self.right - self.left
        along = way[self.row]
        bend = np.abs((self.left_end.gradient - self.right_end.gradient) * along)
        slope = (self.left_end.slope(along) + self.right_end.slope(along)) / 2
        missed = self.right_end.logit - self.left_end.logit - slope * width
        error = np.maximum(bend.max(axis=1) * width, np.abs(missed))
        return (error <= tolerance[self.row]) | (width < _NARROWEST)

    def crossing(self, way: Floats) -> Floats:
        """Where the tangents at the ends meet: the kink, if there is but one."""
        along = way[self.row]
        left_slope, right_slope = (
            self.left_end.slope(along),
            self.right_end.slope(along),
        )
        rise = self.right_end.logit - self.left_end.logit
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            place = (rise + left_slope * self.left - right_slope * self.right) / (
                left_slope - right_slope
            )
        inside = (place > self.left) & (place < self.right)
        return np.where(inside, place, self.middle)

    def integrals(self) -> Floats:
        """The gradient's integrals, by the trapezoidal rule."""
        mean = (self.left_end.gradient + self.right_end.gradient) / 2
        return mean * (self.right - self.left)[:, None]


def _joined(ends: Sequence[_End]) -> _End:
    return _End(
        place=np.concatenate([end.place for end in ends]),
        logit=np.concatenate([end.logit for end in ends]),
        gradient=np.concatenate([end.gradient for end in ends]),
    )


def _grid_intervals(logits: Floats, gradients: Floats) -> _Intervals:
    """The intervals between neighbours among evenly spaced points."""
    places = np.broadcast_to(np.linspace(0, 1, _INTERVALS + 1), logits.shape)

    def ends(part: slice) -> _End:
        return _End(
            place=places[:, part].ravel(),
            logit=logits[:, part].ravel(),
            gradient=gradients[:, part].reshape(-1, gradients.shape[2]),
        )

    return _Intervals(
        row=np.repeat(np.arange(len(logits)), _INTERVALS),
        left_end=ends(slice(None, -1)),
        right_end=ends(slice(1, None)),
    )


def _tolerance(difference: Floats) -> Floats:
    return RELATIVE_TOLERANCE * np.maximum(np.abs(difference), SMALL_DIFFERENCE)


def _in_float64(network: tf.keras.Model) -> tf.keras.Model:
    """A copy that computes in float64: sums over a way would lose float32's digits."""

    def widened(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
        config = layer.get_config() | {"dtype": "float64"}
        return type(layer).from_config(config)

    inputs = tf.keras.Input(network.input_shape[1:], dtype=tf.float64)
    copy = tf.keras.models.clone_model(
        network, input_tensors=inputs, clone_function=widened
    )
    copy.set_weights(network.get_weights())
    return copy


def _build_gradients(network: tf.keras.Model) -> Any:
    """Builds float64[n, features] -> logits float64[n], gradients like the input."""
    signature = [tf.TensorSpec([None, network.input_shape[-1]], tf.float64)]

    @tf.function(input_signature=signature)
    def logits_and_gradients(points: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(points)
            logits = network(points, training=False)[:, 0]
        # Rows don't meet in the network, so the gradient of the sum is that of each.
        return logits, tape.gradient(logits, points)

    return logits_and_gradients

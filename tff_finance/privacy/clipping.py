"""Sums of gradients in which every unit counts for at most the clipping norm.

The unit is a record, or a customer with several rows, whose gradients are summed
before they are clipped. Two ways to the same sum: for any model one gradient per row
is formed; for a chain of dense layers they need not be. The gradient of row i in a
layer with input a_i and derivative d_i of its loss by the layer's output before the
activation is the outer product of a_i and d_i for the kernel and d_i for the bias, so
that its squared norm is `|d_i|^2 (|a_i|^2 + 1)`.

Source: Goodfellow (2015), https://arxiv.org/abs/1510.01799; Li et al. (2022),
https://arxiv.org/abs/2110.05679.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks

Weights = tuple[tf.Tensor, ...]
Model = tff.learning.models.FunctionalModel


class Units(NamedTuple):
    """Rows of some units, padded to an equal number.

    Attributes:
        x: Features, float32[units, rows, features]; `rows` is static.
        y: Labels, float32[units, rows, 1].
        present: Whether a row is one, bool[units, rows].
    """

    x: tf.Tensor
    y: tf.Tensor
    present: tf.Tensor


ClippedSum = Callable[[Weights, Weights, Units], Weights]
"""From trainable and other weights, and units, to the sum of their gradients.

Each unit's gradient, over all trainable weights together, is scaled to the clipping
norm if it is longer. One that isn't finite counts as zero, so that no row, whatever
it holds, moves the sum by more than the clipping norm.
"""


def build_clipped_sum(
    model: Model, *, l2_clip_norm: float, keras_model: tf.keras.Model | None = None
) -> ClippedSum:
    """Builds the fastest clipped sum that the layers allow.

    Args:
        model: Whose loss is the mean over rows.
        l2_clip_norm: Most that a unit counts for.
        keras_model: That `model` was made from, if it was.

    Returns:
        The closed form if `keras_model` is a chain of dense layers, else gradients
        row by row.

    Raises:
        ValueError: If the norm is not positive.
    """
    if keras_model is not None and is_dense_chain(keras_model):
        return build_dense_clipped_sum(
            model, l2_clip_norm=l2_clip_norm, keras_model=keras_model
        )
    return build_vectorized_clipped_sum(model, l2_clip_norm=l2_clip_norm)


def is_dense_chain(keras_model: tf.keras.Model) -> bool:
    """Whether it is a sequence of dense layers and layers without weights."""
    return isinstance(keras_model, tf.keras.Sequential) and all(
        not layer.weights or (type(layer) is tf.keras.layers.Dense and layer.trainable)
        for layer in keras_model.layers
    )


def build_vectorized_clipped_sum(model: Model, *, l2_clip_norm: float) -> ClippedSum:
    """Builds a clipped sum for any model, from one gradient per row.

    Args:
        model: The model.
        l2_clip_norm: Most that a unit counts for.

    Returns:
        The sum; it takes rows times the memory of a gradient.

    Raises:
        ValueError: If the norm is not positive.
    """
    checks.check_positive("l2_clip_norm", l2_clip_norm)

    def clipped_sum(
        trainable: Weights, non_trainable: Weights, units: Units
    ) -> Weights:
        def of_row(row: tuple[tf.Tensor, tf.Tensor]) -> Weights:
            with tf.GradientTape() as tape:
                tape.watch(trainable)
                output = model.predict_on_batch(
                    model_weights=(trainable, non_trainable),
                    x=row[0][tf.newaxis],
                    training=True,
                )
                loss = model.loss(
                    output=output, label=row[1][tf.newaxis], sample_weight=None
                )
            return tuple(tape.gradient(loss, trainable))

        rows = tf.vectorized_map(of_row, _flat_rows(units))
        gradients = [_sum_of_unit(gradient, units.present) for gradient in rows]
        return _clip(gradients, l2_clip_norm)

    return clipped_sum


def build_dense_clipped_sum(
    model: Model, *, l2_clip_norm: float, keras_model: tf.keras.Model
) -> ClippedSum:
    """Builds a clipped sum for a chain of dense layers.

    Args:
        model: Made from `keras_model`; its loss is the mean over rows.
        l2_clip_norm: Most that a unit counts for.
        keras_model: As `is_dense_chain` wants it.

    Returns:
        The sum. Of units of one row it forms no unit's gradient; of longer ones,
        layer by layer, those of units, not of rows.

    Raises:
        ValueError: If the norm is not positive, or the model is no such chain.
    """
    checks.check_positive("l2_clip_norm", l2_clip_norm)
    if not is_dense_chain(keras_model):
        raise ValueError(
            "`keras_model` must be a Sequential model of Dense layers and layers "
            "without weights: use `build_vectorized_clipped_sum`."
        )
    dense = [
        layer
        for layer in keras_model.layers
        if isinstance(layer, tf.keras.layers.Dense)
    ]
    with_bias = [bool(layer.use_bias) for layer in dense]

    def clipped_sum(
        trainable: Weights, non_trainable: Weights, units: Units
    ) -> Weights:
        del non_trainable
        inputs, derivatives = _through_layers(model, keras_model, trainable, units)
        if units.x.shape[1] == 1:
            return _clip_rows(inputs, derivatives, with_bias, l2_clip_norm)
        gradients = []
        for a, d, bias in zip(inputs, derivatives, with_bias, strict=True):
            by_unit = [_by_unit(t, units.present) for t in (a, d)]
            gradients.append(tf.einsum("uri,uro->uio", *by_unit))
            if bias:
                gradients.append(tf.reduce_sum(by_unit[1], axis=1))
        return _clip(gradients, l2_clip_norm)

    return clipped_sum


def _through_layers(
    model: Model, keras_model: tf.keras.Model, trainable: Weights, units: Units
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Runs rows through the layers and back.

    Returns:
        Every dense layer's input, and each row's loss derived by the layer's linear
        output, 0 for rows that are none.
    """
    x, y = _flat_rows(units)
    weights = iter(trainable)
    inputs, linear, value = [], [], x
    with tf.GradientTape() as tape:
        for layer in keras_model.layers:
            if not isinstance(layer, tf.keras.layers.Dense):
                value = _without_weights(layer, value)
                continue
            inputs.append(value)
            value = value @ next(weights)
            if layer.use_bias:
                value += next(weights)
            tape.watch(value)
            linear.append(value)
            value = layer.activation(value)
        # The mean over rows, times rows: the sum, in which each has its own loss.
        rows = tf.cast(tf.shape(y)[0], y.dtype)
        loss = model.loss(output=value, label=y, sample_weight=None) * rows
    present = tf.reshape(units.present, [-1, 1])
    derivatives = tape.gradient(loss, linear)
    return inputs, [tf.where(present, d, tf.zeros_like(d)) for d in derivatives]


def _without_weights(layer: tf.keras.layers.Layer, value: tf.Tensor) -> tf.Tensor:
    if "training" in inspect.signature(layer.call).parameters:
        return layer(value, training=True)
    return layer(value)


def _clip_rows(
    inputs: Sequence[tf.Tensor],
    derivatives: Sequence[tf.Tensor],
    with_bias: Sequence[bool],
    l2_clip_norm: float,
) -> Weights:
    """The clipped sum over units of one row."""
    squared = tf.add_n(
        [
            _squares(d) * (_squares(a) + float(bias))
            for a, d, bias in zip(inputs, derivatives, with_bias, strict=True)
        ]
    )
    scale = _scale(squared, l2_clip_norm)[:, tf.newaxis]
    gradient = []
    for a, d, bias in zip(inputs, derivatives, with_bias, strict=True):
        # A factor of 0 doesn't take away what isn't finite.
        scaled = tf.where(scale > 0, scale * d, tf.zeros_like(d))
        kept = tf.where(scale > 0, a, tf.zeros_like(a))
        gradient.append(tf.matmul(kept, scaled, transpose_a=True))
        if bias:
            gradient.append(tf.reduce_sum(scaled, axis=0))
    return tuple(gradient)


def _clip(gradients: Sequence[tf.Tensor], l2_clip_norm: float) -> Weights:
    """The clipped sum of gradients [units, ...]."""
    squared = tf.add_n([_squares(gradient) for gradient in gradients])
    scale = _scale(squared, l2_clip_norm)

    def summed(gradient: tf.Tensor) -> tf.Tensor:
        factor = tf.reshape(scale, [-1, *[1] * (gradient.shape.rank - 1)])
        kept = tf.where(factor > 0, factor * gradient, tf.zeros_like(gradient))
        return tf.reduce_sum(kept, axis=0)

    return tuple(summed(gradient) for gradient in gradients)


def _scale(squared: tf.Tensor, l2_clip_norm: float) -> tf.Tensor:
    """What to multiply gradients by, from their squared norms; 0 if not finite."""
    scale = l2_clip_norm / tf.maximum(tf.sqrt(squared), l2_clip_norm)
    return tf.where(tf.math.is_finite(squared), scale, tf.zeros_like(scale))


def _squares(tensor: tf.Tensor) -> tf.Tensor:
    """Sums of squares over all axes but the first."""
    return tf.reduce_sum(tensor * tensor, axis=list(range(1, tensor.shape.rank)))


def _flat_rows(units: Units) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.reshape(units.x, [-1, units.x.shape[2]]), tf.reshape(units.y, [-1, 1])


def _by_unit(rows: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """From [units * rows, ...] to [units, rows, ...], static as far as it can be."""
    return tf.reshape(rows, [-1, present.shape[1], *rows.shape[1:]])


def _sum_of_unit(rows: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Sums rows' gradients [units * rows, ...] by unit."""
    grouped = _by_unit(rows, present)
    mask = tf.reshape(present, [-1, present.shape[1], *[1] * (grouped.shape.rank - 2)])
    return tf.reduce_sum(tf.where(mask, grouped, tf.zeros_like(grouped)), axis=1)

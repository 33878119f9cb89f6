"""TFF types and specs of a functional model's weights."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff


def trainable_spec(
    model: tff.learning.models.FunctionalModel,
) -> tuple[tf.TensorSpec, ...]:
    """Shapes and types of the trainable weights."""
    return tuple(tf.TensorSpec(w.shape, w.dtype) for w in model.initial_weights[0])


def weights_type(
    model: tff.learning.models.FunctionalModel, num_shared: int | None = None
) -> tff.Type:
    """The TFF type of `tff.learning.models.ModelWeights`, `W` in docstrings.

    Args:
        model: Gives shapes and types.
        num_shared: How many of the trainable weights, from the first, institutions
            have in common; None for all.

    Returns:
        The type.
    """
    trainable, non_trainable = model.initial_weights
    return tff.to_type(
        tff.learning.models.ModelWeights(
            tuple((w.dtype.type, w.shape) for w in trainable[:num_shared]),
            tuple((w.dtype.type, w.shape) for w in non_trainable),
        )
    )


def build_initial_weights(
    model: tff.learning.models.FunctionalModel, num_shared: int | None = None
) -> tff.Computation:
    """Builds `( -> W)`, the weights that the model was made with; `W` as above."""

    @tff.tensorflow.computation
    def initial_weights() -> tff.learning.models.ModelWeights:
        trainable, non_trainable = model.initial_weights
        return tff.learning.models.ModelWeights(
            tuple(tf.constant(w) for w in trainable[:num_shared]),
            tuple(tf.constant(w) for w in non_trainable),
        )

    return initial_weights


def subtract(left: Any, right: Any) -> Any:
    """`left - right`, tensor by tensor."""
    return tf.nest.map_structure(tf.subtract, left, right)


def all_finite(weights: Any) -> tf.Tensor:
    """bool[]: no NaN and no infinity anywhere."""
    return tf.reduce_all(
        [tf.reduce_all(tf.math.is_finite(w)) for w in tf.nest.flatten(weights)]
    )


def num_features(model: tff.learning.models.FunctionalModel) -> int:
    """Width of the model's input `x`."""
    return int(np.asarray(model.input_spec["x"].shape)[-1])

"""What aggregation factories must know of the values they are made for."""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff


def tensor_specs(value_type: tff.Type) -> tuple[Any, tuple[tf.TensorSpec, ...]]:
    """Shapes of a value's tensors.

    Args:
        value_type: One or more tensors of float32.

    Returns:
        Their specs in the structure of the value, and one after the other.

    Raises:
        TypeError: If there is anything else than float32 tensors of known shape.
    """

    def spec(leaf: tff.TensorType) -> tf.TensorSpec:
        shape = tf.TensorShape(leaf.shape)
        if leaf.dtype != np.float32 or not shape.is_fully_defined():
            raise TypeError(
                f"`value_type` must be float32 tensors of known shape, got {leaf}."
            )
        return tf.TensorSpec(shape)

    structure = tff.types.structure_from_tensor_type_tree(spec, value_type)
    return structure, tuple(tf.nest.flatten(structure))

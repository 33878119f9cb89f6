"""Federated evaluation: one histogram for all institutions' rows."""

from collections import OrderedDict

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.metrics.accumulate import (
    add_tensors,
    histogram_tensors,
    zero_tensors,
)


def build_federated_evaluation(
    model: tff.learning.models.FunctionalModel, element_type: object
) -> tff.Computation:
    """Builds the computation of the histogram over all institutions' rows.

    `<W@SERVER, {B*}@CLIENTS> -> H@SERVER`; `W` model weights
    (`tff.learning.models.ModelWeights`), `B` rows of one institution, `H` the
    tensors of `tff_finance.metrics.accumulate.TENSOR_SPECS`, summed as int64 and
    float64. `to_score_histogram` makes a value of the result. An institution
    reduces over all elements of its sequence; no element, or one without rows,
    adds nothing.

    Args:
        model: Returns logits, float32 or float64 [n, 1] or [n].
        element_type: `B`, or what `tff.to_type` makes `B` of: a structure with
            `x` as the model takes it, `y` float32[n, 1] of 0 and 1, and any other
            fields, such as `institution`, which are ignored.

    Returns:
        The computation. 66 kB per institution go up, whatever its rows.

    Raises:
        ValueError: If `element_type` has no field `x` or `y`.
    """
    weights_type = _weights_type(model)
    sequence_type = tff.SequenceType(_checked_element_type(element_type))

    @tff.tensorflow.computation(weights_type, sequence_type)
    @tf.function
    def evaluate_institution(
        weights: tff.learning.models.ModelWeights, dataset: tf.data.Dataset
    ) -> OrderedDict[str, tf.Tensor]:
        def add_element(
            total: OrderedDict[str, tf.Tensor], element: OrderedDict[str, tf.Tensor]
        ) -> OrderedDict[str, tf.Tensor]:
            logits = model.predict_on_batch(weights, element["x"], training=False)
            return add_tensors(total, histogram_tensors(logits, element["y"]))

        return dataset.reduce(zero_tensors(), add_element)

    @tff.federated_computation(
        tff.FederatedType(weights_type, tff.SERVER),
        tff.FederatedType(sequence_type, tff.CLIENTS),
    )
    def evaluate(weights: tff.Value, datasets: tff.Value) -> tff.Value:
        everywhere = tff.federated_broadcast(weights)
        histograms = tff.federated_map(evaluate_institution, (everywhere, datasets))
        return tff.federated_sum(histograms)

    return evaluate


def _weights_type(model: tff.learning.models.FunctionalModel) -> tff.Type:
    """Returns the type of a model's weights as `ModelWeights`."""

    def to_tensor_type(weight: object) -> tff.TensorType:
        array = np.asarray(weight)
        return tff.TensorType(array.dtype, array.shape)

    trainable, non_trainable = tf.nest.map_structure(
        to_tensor_type, model.initial_weights
    )
    return tff.to_type(tff.learning.models.ModelWeights(trainable, non_trainable))


def _checked_element_type(element_type: object) -> tff.Type:
    """Returns the type of an element that has `x` and `y`."""
    checked = tff.to_type(element_type)
    is_structure = isinstance(checked, tff.StructType)
    fields = tff.structure.name_list(checked) if is_structure else []
    if not {"x", "y"} <= set(fields):
        raise ValueError(f"`element_type` must have fields `x` and `y`, got {checked}.")
    return checked

"""From a Keras model to the functional form that learning processes train."""

import collections
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.tasks.prior_correction import PriorCorrection, WeightedCrossentropy

KerasBuilder = Callable[[], tf.keras.Model]

_REFUSED_LAYERS = (
    # Couple the rows of a batch.
    tf.keras.layers.BatchNormalization,
    tf.keras.layers.experimental.SyncBatchNormalization,
    # Draw random numbers.
    tf.keras.layers.Dropout,
    tf.keras.layers.AlphaDropout,
    tf.keras.layers.GaussianDropout,
    tf.keras.layers.GaussianNoise,
)


def functional_model(
    build_keras_model: KerasBuilder,
) -> tff.learning.models.FunctionalModel:
    """Converts a binary classifier for `x: float32[n, d]`, `y: float32[n, 1]`.

    The model's output is the logit of P(y = 1); the loss is the mean binary
    cross-entropy. Sigmoid and cross-entropy together are exactly a sigmoid
    output layer with the plain loss, without its loss of precision. If the model
    ends in a `PriorCorrection`, the loss weights positives as that layer says, and
    outputs other than in training are corrected for it.

    Args:
        build_keras_model: Returns a new model; its input is `[n, d]`, its
            output one logit per row.

    Returns:
        The functional model, with the built model's weights as initial ones.

    Raises:
        ValueError: If the output is not one logit per row, if a layer couples
            the rows of a batch or draws random numbers, if a `PriorCorrection` is
            not the last layer, or if the model carries regularisation losses or
            weight constraints, which the functional form would drop without a word.
    """
    keras_model = build_keras_model()
    _refuse_unsupported(keras_model)
    num_features = keras_model.input_shape[-1]
    return tff.learning.models.functional_model_from_keras(
        build_keras_model,
        _loss(keras_model),
        input_spec=collections.OrderedDict(
            x=tf.TensorSpec([None, num_features], tf.float32),
            y=tf.TensorSpec([None, 1], tf.float32),
        ),
    )


def initial_weights(
    build_keras_model: KerasBuilder,
) -> tff.learning.models.ModelWeights:
    """The weights of a newly built model, as arrays."""
    model = build_keras_model()
    return tff.learning.models.ModelWeights(
        tuple(np.asarray(v) for v in model.trainable_variables),
        tuple(np.asarray(v) for v in model.non_trainable_variables),
    )


def num_weights_of_last_layers(model: tf.keras.Model, layers: int) -> int:
    """How many trainable weights a model's last layers have; a dense one has two.

    Args:
        model: Layers without trainable weights don't count.
        layers: How many of the others.

    Returns:
        The number of weight tensors, the last of the model's.

    Raises:
        ValueError: If the model hasn't so many layers.
    """
    sizes = [len(layer.trainable_variables) for layer in model.layers]
    trainable = [size for size in sizes if size]
    checks.check_in_range("layers", layers, 0, len(trainable))
    return sum(trainable[len(trainable) - layers :])


def _loss(model: tf.keras.Model) -> tf.keras.losses.Loss:
    """The mean cross-entropy with the class weight that the model asks for."""
    last = model.layers[-1]
    if isinstance(last, PriorCorrection):
        return WeightedCrossentropy(last.positive_weight)
    return tf.keras.losses.BinaryCrossentropy(from_logits=True)


def _refuse_unsupported(model: tf.keras.Model) -> None:
    for layer in model.submodules:
        rates = [getattr(layer, name, 0.0) for name in ("dropout", "recurrent_dropout")]
        if isinstance(layer, _REFUSED_LAYERS) or any(
            isinstance(rate, float) and rate > 0 for rate in rates
        ):
            raise ValueError(
                f"Layer {layer.name!r} is a {type(layer).__name__}, which federated "
                "training can't take over: use layers that treat each row alike, "
                "for example LayerNormalization."
            )
    if model.output_shape[1:] != (1,):
        raise ValueError(
            f"`build_keras_model` must give one logit per row, got output shape "
            f"{model.output_shape}."
        )
    layers = list(model.layers)
    if isinstance(layers[-1], PriorCorrection):
        layers.pop()
    if any(isinstance(layer, PriorCorrection) for layer in layers):
        raise ValueError(
            "`build_keras_model` must have one `PriorCorrection`, as its last layer: "
            "the loss takes its weight from there."
        )
    last = getattr(layers[-1], "activation", None)
    if last not in {None, tf.keras.activations.linear}:
        raise ValueError(
            "`build_keras_model` must end in a logit; its last layer applies "
            f"{getattr(last, '__name__', last)!r}. Loss and scores apply the sigmoid "
            "themselves: leave it out."
        )
    if model.losses:
        raise ValueError(
            "`build_keras_model` has regularisation losses, which would be dropped: "
            "use weight decay in the optimizer instead."
        )
    if any(v.constraint is not None for v in model.trainable_variables):
        raise ValueError(
            "`build_keras_model` has weight constraints, which would be dropped."
        )

"""Functional models: the Keras model's numbers, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import build_risk_model

layers = tf.keras.layers


def build():
    return build_risk_model(3, hidden_units=(5, 4), seed=11)


def test_predictions_and_loss_equal_the_keras_models(tff_context):
    del tff_context
    model = keras_models.functional_model(build)
    weights = keras_models.initial_weights(
        lambda: build_risk_model(3, hidden_units=(5, 4), seed=12)
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 3)).astype(np.float32)
    y = np.array([[0], [1], [1], [0], [1], [1]], np.float32)

    @tff.tensorflow.computation
    def run():
        values = tuple(tf.constant(w) for w in weights.trainable), ()
        output = model.predict_on_batch(
            model_weights=values, x=tf.constant(x), training=True
        )
        return output, model.loss(output=output, label=tf.constant(y))

    output, loss = run()
    keras_model = build()
    keras_model.set_weights(list(weights.trainable))
    expected = keras_model(x).numpy()
    np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)
    assert np.ptp(expected) > 0.1
    # The cross-entropy of a sigmoid output, by its definition.
    p = 1 / (1 + np.exp(-expected.astype(np.float64)))
    cross_entropy = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert loss == pytest.approx(cross_entropy, rel=1e-5)


def test_the_loss_of_extreme_logits_is_exact(tff_context):
    """A sigmoid output with the plain loss would give 15.9 for all of these."""
    del tff_context
    model = keras_models.functional_model(build)

    @tff.tensorflow.computation(np.float32)
    def loss_at(logit):
        return model.loss(output=[[logit]], label=tf.constant([[0.0]]))

    assert loss_at(40.0) == pytest.approx(40.0)
    assert loss_at(100.0) == pytest.approx(100.0)


def test_initial_weights_are_the_built_models():
    model = keras_models.functional_model(build)
    separate = keras_models.initial_weights(build)
    keras_weights = build().get_weights()
    assert len(keras_weights) == 6
    assert separate.non_trainable == ()
    for functional, own, expected in zip(
        model.initial_weights[0], separate.trainable, keras_weights, strict=True
    ):
        np.testing.assert_array_equal(functional, expected)
        np.testing.assert_array_equal(own, expected)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.BatchNormalization, "BatchNormalization, which federated"),
        (layers.experimental.SyncBatchNormalization, "SyncBatchNormalization"),
        (lambda: layers.Dropout(0.1), "is a Dropout"),
        (lambda: layers.GaussianNoise(0.1), "is a GaussianNoise"),
        (lambda: layers.GaussianDropout(0.1), "is a GaussianDropout"),
        (lambda: layers.AlphaDropout(0.1), "is a AlphaDropout"),
        (
            lambda: tf.keras.Sequential([layers.Dense(2), layers.Dropout(0.1)]),
            "is a Dropout",
        ),
        (lambda: layers.Dense(2, kernel_regularizer="l2"), "regularisation losses"),
        (lambda: layers.Dense(2, activity_regularizer="l2"), "regularisation losses"),
        (lambda: layers.Dense(2, kernel_constraint="non_neg"), "weight constraints"),
    ],
)
def test_what_the_functional_form_would_change_is_refused(layer, message):
    def build_with():
        return tf.keras.Sequential([tf.keras.Input([3]), layer(), layers.Dense(1)])

    with pytest.raises(ValueError, match=message):
        keras_models.functional_model(build_with)


@pytest.mark.parametrize("units", [2, 3])
def test_more_than_one_output_is_refused(units):
    def build_wide():
        return tf.keras.Sequential([tf.keras.Input([3]), layers.Dense(units)])

    with pytest.raises(ValueError, match=rf"one logit per row, got .*None, {units}"):
        keras_models.functional_model(build_wide)


def test_layers_that_treat_each_row_alike_are_fine():
    def build_normalised():
        return tf.keras.Sequential(
            [tf.keras.Input([3]), layers.LayerNormalization(), layers.Dense(1)]
        )

    assert len(keras_models.functional_model(build_normalised).initial_weights[0]) == 4


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus"])
def test_an_output_other_than_a_logit_is_refused(activation):
    def build_with_activation():
        return tf.keras.Sequential(
            [tf.keras.Input([3]), layers.Dense(1, activation=activation)]
        )

    with pytest.raises(ValueError, match=f"end in a logit.*'{activation}'"):
        keras_models.functional_model(build_with_activation)


def test_dropout_inside_a_layer_is_refused():
    def build_with_recurrent_dropout():
        return tf.keras.Sequential(
            [
                tf.keras.Input([3]),
                layers.Reshape([3, 1]),
                layers.GRU(2, dropout=0.5),
                layers.Dense(1),
            ]
        )

    with pytest.raises(ValueError, match="is a GRU"):
        keras_models.functional_model(build_with_recurrent_dropout)


def test_weights_of_the_last_layers():
    model = build_risk_model(3, hidden_units=(5, 4), positive_weight=2.0)
    found = [keras_models.num_weights_of_last_layers(model, n) for n in range(4)]
    assert found == [0, 2, 4, 6]  # the correction at the end has no weights
    for layers_asked in (-1, 4):
        with pytest.raises(ValueError, match="`layers` must be between 0 and 3"):
            keras_models.num_weights_of_last_layers(model, layers_asked)

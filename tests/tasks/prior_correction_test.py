"""Class weights: the loss by its definition, and probabilities that stay calibrated."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from scipy.special import expit

from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.institutions.examples import client_dataset, dense_examples
from tff_finance.metrics.accumulate import histogram_from_scores
from tff_finance.metrics.derived import all_metrics
from tff_finance.tasks import keras_models
from tff_finance.tasks.mlp import build_mlp
from tff_finance.tasks.prior_correction import PriorCorrection

layers = tf.keras.layers
RANKING = ("auc", "average_precision", "ks", "gini", "recall_at_fpr_1", "lift_at_10")


def model_of(weight):
    return keras_models.functional_model(
        lambda: build_mlp(2, hidden_units=(), seed=0, positive_weight=weight)
    )


def test_the_loss_weights_positives(tff_context):
    del tff_context
    model = model_of(3.0)

    @tff.tensorflow.computation
    def run():
        logits = tf.constant([[0.5], [-1.0], [2.0], [0.0]])
        return model.loss(output=logits, label=tf.constant([[1.0], [0], [0], [1]]))

    z, y = np.array([0.5, -1, 2, 0]), np.array([1, 0, 0, 1])
    p = expit(z)
    # A mean over rows, not over weights.
    expected = -np.mean(3 * y * np.log(p) + (1 - y) * np.log(1 - p))
    assert run() == pytest.approx(expected, rel=1e-6)


def test_the_weighted_loss_of_extreme_logits_is_exact(tff_context):
    del tff_context
    model = model_of(3.0)

    @tff.tensorflow.computation(np.float32)
    def loss_at(logit):
        return model.loss(output=[[logit]], label=tf.constant([[1.0]]))

    assert loss_at(-100.0) == pytest.approx(300.0)


def test_only_scoring_is_corrected(tff_context):
    del tff_context
    model = model_of(5.0)
    x = np.array([[1.0, 2.0], [-3.0, 0.5]], np.float32)
    weights = ((np.array([[0.5], [-1.0]], np.float32), np.zeros(1, np.float32)), ())

    @tff.tensorflow.computation
    def run():
        values = tuple(map(tf.constant, weights[0])), ()
        return [
            model.predict_on_batch(model_weights=values, x=tf.constant(x), training=t)
            for t in (True, False)
        ]

    training, scoring = run()
    np.testing.assert_allclose(training, [[-1.5], [-2.0]])
    np.testing.assert_allclose(scoring, training - math.log(5), rtol=1e-6)


@pytest.fixture(scope="module")
def rare():
    """A rare class whose law a logistic regression can learn."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, 2)).astype(np.float32)
    y = (rng.random(20_000) < expit(x @ [1.5, -1.0] - 3.5)).astype(np.float32)
    assert 0.05 < y.mean() < 0.09
    return x, y


def trained_on(rare, weight):
    """The Keras model after training to convergence on all rows."""
    x, y = rare
    model = model_of(weight)
    process = build_single_site(
        model,
        optimizer=tff.learning.optimizers.build_sgdm(1.0 / (1 + 0.07 * weight)),
        batches=LocalEpochs(epochs=300, batch_size=len(x)),
    )
    data = [client_dataset(dense_examples(x, y, institution="bank_a"))]
    state = process.next(process.initialize(), data).state
    keras_model = build_mlp(2, hidden_units=(), seed=0, positive_weight=weight)
    process.get_model_weights(state).assign_weights_to(keras_model)
    return keras_model


def test_corrected_scores_are_calibrated_and_rank_as_before(tff_context, rare):
    del tff_context
    x, y = rare
    weight = math.exp(2.5)  # 320 bins of the score histogram: ties stay ties
    model = trained_on(rare, weight)
    weighted, corrected = (
        np.asarray(model(x, training=training), np.float64)[:, 0]
        for training in (True, False)
    )
    left, right = (
        all_metrics(histogram_from_scores(z, y)) for z in (weighted, corrected)
    )
    assert right["ece"] < 0.01
    assert left["ece"] > 0.2
    assert expit(corrected).mean() == pytest.approx(y.mean(), rel=0.05)
    assert right["log_loss"] < left["log_loss"] / 1.5
    assert right["brier"] < left["brier"] / 1.5
    for name in RANKING:
        assert right[name] == pytest.approx(left[name], abs=1e-4), name
    # What training without weights finds.
    plain = np.asarray(trained_on(rare, 1.0)(x), np.float64)[:, 0]
    unweighted = all_metrics(histogram_from_scores(plain, y))
    assert right["log_loss"] == pytest.approx(unweighted["log_loss"], rel=0.02)


def test_a_saved_model_scores_corrected(tmp_path):
    model = build_mlp(2, hidden_units=(3,), seed=0, positive_weight=7.0)
    x = np.ones((1, 2), np.float32)
    model.save(tmp_path / "model")
    loaded = tf.keras.models.load_model(tmp_path / "model")
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-6)
    assert loaded.layers[-1].positive_weight == 7


@pytest.mark.parametrize(
    "ending",
    [
        [PriorCorrection(2.0), layers.Dense(1)],
        [layers.Dense(1), PriorCorrection(2.0), PriorCorrection(2.0)],
    ],
)
def test_a_correction_elsewhere_is_refused(ending):
    with pytest.raises(ValueError, match="must have one `PriorCorrection`, as its"):
        keras_models.functional_model(
            lambda: tf.keras.Sequential([tf.keras.Input([3]), *ending])
        )


def test_an_activation_before_the_correction_is_refused():
    with pytest.raises(ValueError, match=r"end in a logit.*'sigmoid'"):
        keras_models.functional_model(
            lambda: tf.keras.Sequential(
                [
                    tf.keras.Input([3]),
                    layers.Dense(1, activation="sigmoid"),
                    PriorCorrection(2.0),
                ]
            )
        )

"""No unit moves the sum by more than the clipping norm; both ways to it agree."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tff_finance.privacy import clipping
from tff_finance.tasks import keras_models
from tff_finance.tasks.mlp import build_mlp

NUM_FEATURES = 3
CLIP = 0.7


def in_graph(function, *arguments):
    """Runs where functional models made from Keras models run: in a graph."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return session.run(function(*tf.nest.map_structure(tf.constant, arguments)))


def mlp():
    """Two hidden layers, and a loss that weights positives."""
    return build_mlp(NUM_FEATURES, hidden_units=(5, 4), seed=1, positive_weight=3.0)


def smooth_without_bias():
    return tf.keras.Sequential(
        [
            tf.keras.Input([NUM_FEATURES]),
            tf.keras.layers.Dense(4, use_bias=False),
            tf.keras.layers.Activation("tanh"),
            tf.keras.layers.Dense(1),
        ]
    )


def units(seed, number, rows=1, *, scale=1.0):
    rng = np.random.default_rng(seed)
    x = scale * rng.normal(size=(number, rows, NUM_FEATURES))
    y = rng.integers(2, size=(number, rows, 1))
    present = rng.random((number, rows)) < 0.8
    return clipping.Units(x.astype(np.float32), y.astype(np.float32), present)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("clip", [1e-3, CLIP, 1e6])
@pytest.mark.parametrize("build", [mlp, smooth_without_bias])
def test_both_ways_agree(build, clip, rows):
    model = keras_models.functional_model(build)
    dense = clipping.build_dense_clipped_sum(
        model, l2_clip_norm=clip, keras_model=build()
    )
    vectorized = clipping.build_vectorized_clipped_sum(model, l2_clip_norm=clip)
    found, expected = (
        in_graph(way, *model.initial_weights, units(0, 40, rows, scale=2.0))
        for way in (dense, vectorized)
    )
    assert len(found) == len(expected) == len(model.initial_weights[0])
    for left, right in zip(found, expected, strict=True):
        largest = np.abs(right).max()
        assert largest > 0
        np.testing.assert_allclose(left, right, rtol=0, atol=1e-5 * largest)


@functools.cache
def logistic():
    """Model, both clipped sums and initial weights of logistic regression."""

    def build():
        return build_mlp(NUM_FEATURES, hidden_units=(), seed=2)

    model = keras_models.functional_model(build)
    keras_model = build()
    return model, (
        clipping.build_dense_clipped_sum(
            model, l2_clip_norm=CLIP, keras_model=keras_model
        ),
        clipping.build_vectorized_clipped_sum(model, l2_clip_norm=CLIP),
    )


def clipped_in_numpy(weights, batch):
    """Sums over units, their gradients as a vector, bias last."""
    kernel, bias = (w.astype(np.float64) for w in weights)
    total = np.zeros(NUM_FEATURES + 1)
    for unit in zip(*batch, strict=True):
        x, y = (t[unit[2]].astype(np.float64) for t in unit[:2])
        residuals = 1 / (1 + np.exp(-(x @ kernel + bias))) - y
        gradient = np.append((residuals * x).sum(axis=0), residuals.sum())
        total += gradient * min(1, CLIP / max(np.linalg.norm(gradient), 1e-12))
    return total


@pytest.mark.parametrize("way", [0, 1], ids=["dense", "vectorized"])
@pytest.mark.parametrize("rows", [1, 4])
def test_the_sum_equals_numpy(way, rows):
    model, ways = logistic()
    batch = units(3, 25, rows)
    found = in_graph(ways[way], *model.initial_weights, batch)
    expected = clipped_in_numpy(model.initial_weights[0], batch)
    np.testing.assert_allclose(
        np.concatenate([np.ravel(w) for w in found]), expected, rtol=1e-4, atol=1e-5
    )
    without_unit = clipping.Units(*(t[1:] for t in batch))
    moved = expected - clipped_in_numpy(model.initial_weights[0], without_unit)
    assert np.linalg.norm(moved) > 0.1 * CLIP


@functools.cache
def session_of(rows):
    """One graph for all of Hypothesis's examples: both clipped sums of the MLP."""
    graph = tf.Graph()
    model, keras_model = keras_models.functional_model(mlp), mlp()
    with graph.as_default():
        fed = clipping.Units(
            tf.compat.v1.placeholder(tf.float32, [None, rows, NUM_FEATURES]),
            tf.compat.v1.placeholder(tf.float32, [None, rows, 1]),
            tf.compat.v1.placeholder(tf.bool, [None, rows]),
        )
        weights = tf.nest.map_structure(tf.constant, model.initial_weights)
        sums = [
            clipping.build_dense_clipped_sum(
                model, l2_clip_norm=CLIP, keras_model=keras_model
            )(*weights, fed),
            clipping.build_vectorized_clipped_sum(model, l2_clip_norm=CLIP)(
                *weights, fed
            ),
        ]
    return tf.compat.v1.Session(graph=graph), fed, sums


def sums_of_mlp(batch):
    session, fed, sums = session_of(batch.x.shape[1])
    return session.run(sums, dict(zip(fed, batch, strict=True)))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    number=st.integers(0, 6),
    rows=st.sampled_from([1, 3]),
    scale=st.sampled_from([1e-3, 1.0, 1e3, 1e19, np.inf, np.nan]),
)
def test_a_unit_moves_the_sum_by_at_most_the_clipping_norm(seed, number, rows, scale):
    """Whatever it holds, though others' rows are ordinary."""
    others = units(seed, number, rows)
    with np.errstate(invalid="ignore"):
        one = units(seed + 1, 1, rows, scale=scale)
    one = one._replace(present=np.ones_like(one.present))
    both = clipping.Units(
        *(np.concatenate(pair) for pair in zip(others, one, strict=True))
    )
    for without, with_it in zip(sums_of_mlp(others), sums_of_mlp(both), strict=True):
        moved = sum(
            np.square((a - b).astype(np.float64)).sum()
            for a, b in zip(with_it, without, strict=True)
        )
        assert np.sqrt(moved) <= CLIP * (1 + 1e-4)


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_that_are_none_count_for_nothing(rows):
    batch = units(5, 8, rows)
    hidden = ~batch.present
    others = batch._replace(x=np.where(hidden[..., None], 1e4, batch.x))
    for left, right in zip(sums_of_mlp(batch), sums_of_mlp(others), strict=True):
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a, b)
    nobody = batch._replace(present=np.zeros_like(batch.present))
    for weights in sums_of_mlp(nobody):
        assert all((w == 0).all() for w in weights)


def test_the_closed_form_is_for_chains_of_dense_layers():
    inputs = tf.keras.Input([NUM_FEATURES])
    hidden = tf.keras.layers.Dense(4)(inputs)
    branched = tf.keras.Model(inputs, tf.keras.layers.Dense(1)(hidden))
    normalised = tf.keras.Sequential(
        [
            tf.keras.Input([NUM_FEATURES]),
            tf.keras.layers.LayerNormalization(),
            tf.keras.layers.Dense(1),
        ]
    )
    frozen = mlp()
    frozen.layers[0].trainable = False
    assert clipping.is_dense_chain(mlp())
    for other in (branched, normalised, frozen):
        assert not clipping.is_dense_chain(other)
    model, _ = logistic()
    with pytest.raises(ValueError, match="Sequential model of Dense layers"):
        clipping.build_dense_clipped_sum(
            model, l2_clip_norm=1.0, keras_model=normalised
        )


def test_other_models_take_the_general_way():
    def build():
        return tf.keras.Sequential(
            [
                tf.keras.Input([NUM_FEATURES]),
                tf.keras.layers.LayerNormalization(),
                tf.keras.layers.Dense(1),
            ]
        )

    model = keras_models.functional_model(build)
    clipped_sum = clipping.build_clipped_sum(
        model, l2_clip_norm=CLIP, keras_model=build()
    )
    found = in_graph(clipped_sum, *model.initial_weights, units(0, 1))
    norm = np.sqrt(sum(np.square(w).sum() for w in found))
    assert norm <= CLIP * (1 + 1e-5)
    assert len(found) == 4


@pytest.mark.parametrize("clip", [0.0, -1.0, np.inf])
def test_a_clipping_norm_must_be_positive(clip):
    model, _ = logistic()
    with pytest.raises(ValueError, match="`l2_clip_norm` must be positive"):
        clipping.build_clipped_sum(model, l2_clip_norm=clip)

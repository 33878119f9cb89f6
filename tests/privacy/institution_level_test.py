"""Sums of updates: clipped as a whole, noised as stated, and never twice alike."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from tests.privacy.noise_scale import assert_stddev
from tff_finance.privacy import accounting, institution_queries
from tff_finance.privacy.institution_level import (
    AdaptiveClipping,
    FixedClipping,
    TreeClipping,
)
from tff_finance.privacy.mechanisms import FullParticipation
from tff_finance.training.cohorts import (
    PoissonCohorts,
    ShuffledCohorts,
    UniformCohorts,
)

CLIP = 0.7
NOISE = 1.3
COORDINATES = 60_000
UPDATE = tff.to_type(
    [(np.float32, [COORDINATES // 3, 2]), (np.float32, [COORDINATES // 3])]
)
SPECS = (
    tf.TensorSpec([COORDINATES // 3, 2], tf.float32),
    tf.TensorSpec([COORDINATES // 3], tf.float32),
)
DELTA = 1e-5


def zeros():
    return tuple(np.zeros(spec.shape, np.float32) for spec in SPECS)


def flat(update):
    return np.concatenate([np.ravel(leaf) for leaf in update]).astype(np.float64)


def rounds(process, updates, number):
    """The aggregates of some rounds."""
    state, results = process.initialize(), []
    for _ in range(number):
        output = process.next(state, updates)
        state = output.state
        results.append(flat(output.result))
    return results


FACTORIES = {
    "fixed": FixedClipping(
        l2_clip_norm=CLIP, noise_multiplier=NOISE, expected_updates=5
    ),
    "adaptive": AdaptiveClipping(
        initial_l2_clip_norm=CLIP,
        noise_multiplier=NOISE,
        expected_updates=5,
        learning_rate=0.0,
        count_stddev_share=0.5,
    ),
    "tree": TreeClipping(l2_clip_norm=CLIP, noise_multiplier=NOISE, expected_updates=5),
}


def stddev_of_sum(description):
    if isinstance(description, AdaptiveClipping):
        return CLIP * description.sum_noise_multiplier
    return CLIP * NOISE


@pytest.mark.parametrize("name", FACTORIES)
def test_the_noise_is_what_is_stated(name, tff_context):
    description = FACTORIES[name]
    process = description.aggregator().create(UPDATE)
    [first] = rounds(process, [zeros(), zeros()], 1)
    assert_stddev(5 * first, stddev_of_sum(description))
    # Of one tensor the noise tells nothing about that of another, or of itself.
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.03


@pytest.mark.parametrize("name", FACTORIES)
def test_two_rounds_and_two_runs_have_nothing_in_common(name, tff_context):
    process = FACTORIES[name].aggregator().create(UPDATE)
    runs = []
    for _ in range(2):
        tf.random.set_seed(7)  # no seed that others know has a part in it
        runs += rounds(process, [zeros()], 2)
    correlations = np.corrcoef(runs)[np.triu_indices(4, 1)]
    if name == "tree":
        # The second round takes the first one's leaf off again, or half of it.
        within = [0, 5]
        assert (correlations[within] < -0.1).all()
        correlations = np.delete(correlations, within)
    assert np.abs(correlations).max() < 0.03  # 7 standard deviations


def test_tensorflow_privacys_own_noise_is_that_of_a_public_seed():
    """Why it isn't used: who knows the seed takes the noise off."""
    import tensorflow_privacy as tfp

    query = tfp.GaussianSumQuery(l2_norm_clip=CLIP, stddev=1.0)
    state = query.initial_global_state()

    @tf.function
    def noised():
        return query.get_noised_result((tf.zeros([100]),), state)[0][0]

    tf.random.set_seed(7)
    first = noised.get_concrete_function()()
    tf.random.set_seed(7)
    noised = tf.function(noised.python_function)
    np.testing.assert_array_equal(first, noised.get_concrete_function()())


@pytest.mark.parametrize("name", FACTORIES)
def test_the_denominator_is_the_expected_number(name, tff_context):
    """Who reports can't be read off: nobody, three or nine, the sum is over five."""
    description = dataclasses.replace(FACTORIES[name], noise_multiplier=0.0)
    process = description.aggregator().create(UPDATE)
    update = tuple(np.full(spec.shape, 1e-3, np.float32) for spec in SPECS)
    for number in (0, 3, 9):
        [mean] = rounds(process, [update] * number, 1)
        np.testing.assert_allclose(mean, number * 1e-3 / 5, rtol=1e-5)


extremes = [0.0, 1e-30, 1.0, -3.5, 1e20, -3e38, np.inf, -np.inf, np.nan]
numbers = st.one_of(
    st.floats(-10, 10, width=32), st.sampled_from(np.float32(extremes).tolist())
)
updates = st.tuples(
    st_numpy.arrays(np.float32, (3, 2), elements=numbers),
    st_numpy.arrays(np.float32, (2,), elements=numbers),
)
SMALL = tff.to_type([(np.float32, [3, 2]), (np.float32, [2])])


@pytest.fixture(scope="module")
def clipped_sums(tff_context):
    """Sums of small updates without noise, by the factories themselves."""
    del tff_context

    def build(name):
        quiet = dataclasses.replace(FACTORIES[name], noise_multiplier=0.0)
        process = quiet.aggregator().create(SMALL)
        state = process.initialize()
        return lambda updates: 5 * flat(process.next(state, updates).result)

    return {name: build(name) for name in FACTORIES}


@pytest.mark.parametrize("name", FACTORIES)
@settings(deadline=None, max_examples=40)
@given(others=st.lists(updates, max_size=3), unit=updates)
def test_one_institution_moves_the_sum_by_at_most_the_norm(
    name, clipped_sums, others, unit
):
    sum_of = clipped_sums[name]
    moved = sum_of([*others, unit]) - sum_of(others)
    # Sums are rounded in float32.
    assert np.linalg.norm(moved) <= CLIP * (1 + 1e-5) + 1e-6
    norm = np.linalg.norm(flat(unit))
    if norm < CLIP:
        np.testing.assert_allclose(moved, flat(unit), rtol=1e-4, atol=1e-5)
    elif norm < 1e18:  # all tensors keep their direction together
        np.testing.assert_allclose(
            moved, flat(unit) * CLIP / norm, rtol=1e-3, atol=1e-5
        )


@settings(deadline=None, max_examples=40)
@given(unit=updates)
def test_one_institution_moves_the_count_by_at_most_its_norm(unit):
    query = institution_queries.AdaptiveClipSum(
        initial_l2_clip_norm=CLIP,
        noise_multiplier=0.0,
        target_quantile=0.5,
        learning_rate=0.2,
        count_stddev=0.0,
        expected_updates=4,
    )
    params = query.derive_sample_params(query.initial_global_state())
    record = query.preprocess_record(params, tuple(map(tf.constant, unit)))
    count = float(tf.nest.flatten(record)[-1])
    assert abs(count) <= institution_queries.COUNT_CLIP


def test_the_adaptive_norm_goes_to_the_quantile_of_norms():
    rng = np.random.default_rng(5)
    query = institution_queries.AdaptiveClipSum(
        initial_l2_clip_norm=0.01,
        noise_multiplier=0.5,
        target_quantile=0.7,
        learning_rate=0.2,
        count_stddev=5.0,
        expected_updates=100,
    )
    state = query.initial_global_state()
    norms = np.exp(rng.normal(size=10_000)).astype(np.float32)

    @tf.function
    def step(state, updates):
        params = query.derive_sample_params(state)
        records = tf.map_fn(
            lambda u: tuple(
                tf.nest.flatten(query.preprocess_record(params, (u[tf.newaxis],)))
            ),
            updates,
            fn_output_signature=(tf.float32, tf.float32),
        )
        total = [tf.reduce_sum(part, axis=0) for part in records]
        sample = query.initial_sample_state((tf.zeros([1]),))
        _, state, _ = query.get_noised_result(
            tf.nest.pack_sequence_as(sample, total), state
        )
        return state

    clips = []
    for _ in range(80):
        state = step(state, tf.constant(rng.choice(norms, 100)))
        clips.append(float(state.sum_state.l2_norm_clip))
        # The noise of the sum follows the norm.
        assert float(state.sum_state.stddev) == pytest.approx(0.5 * clips[-1])
    reached = np.mean(norms <= np.mean(clips[-20:]))
    assert reached == pytest.approx(0.7, abs=0.08)


@pytest.mark.parametrize("restart_every", [None, 6])
def test_the_models_noise_is_the_trees(restart_every, tff_context):
    """Summed over rounds: for each 1 in the number of rounds a node, estimated from
    all below it; independent trees add up."""
    description = TreeClipping(
        l2_clip_norm=CLIP,
        noise_multiplier=NOISE,
        expected_updates=1,
        restart_every=restart_every,
    )
    process = description.aggregator().create(UPDATE)
    model = np.zeros(COORDINATES)
    for number, change in enumerate(rounds(process, [zeros()], 13), start=1):
        model += change
        trees = [number]
        if restart_every:
            full, rest = divmod(number, restart_every)
            trees = [restart_every] * full + [rest]
        nodes = [
            height
            for rounds_of_tree in trees
            for height in range(5)
            if rounds_of_tree >> height & 1
        ]
        variance = sum(1 / (2 - 2.0**-height) for height in nodes)
        assert variance <= len(nodes) <= math.ceil(math.log2(number + 1)) * len(trees)
        assert_stddev(model, CLIP * NOISE * variance**0.5)


def test_a_tree_goes_on_with_the_noise_that_it_had(tff_context):
    process = FACTORIES["tree"].aggregator().create(UPDATE)
    state = process.next(process.initialize(), [zeros()]).state
    twice = [flat(process.next(state, [zeros()]).result) for _ in range(2)]
    np.testing.assert_array_equal(*twice)


def test_the_noise_of_sum_and_count_together_is_what_is_stated():
    """Andrew et al. (2021), Theorem 1: inverse squares add up."""
    description = AdaptiveClipping(
        initial_l2_clip_norm=1.0, noise_multiplier=1.0, expected_updates=100
    )
    assert description.count_stddev == 5.0
    assert description.sum_noise_multiplier == pytest.approx((1 - 0.01) ** -0.5)
    together, stated = (
        accounting.epsilon(made, neighbouring="replace_one", delta=DELTA)
        for made in (
            [
                FullParticipation(noise_multiplier=description.sum_noise_multiplier),
                FullParticipation(noise_multiplier=2 * description.count_stddev),
            ],
            [FullParticipation(noise_multiplier=1.0)],
        )
    )
    assert together.value == pytest.approx(stated.value, rel=1e-3)


def test_too_little_noise_of_the_count_is_refused():
    with pytest.raises(ValueError, match=r"`count_stddev_share` must be above 0\.05"):
        AdaptiveClipping(
            initial_l2_clip_norm=1.0, noise_multiplier=1.0, expected_updates=10
        )


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (FixedClipping, {"l2_clip_norm": 0.0}),
        (FixedClipping, {"noise_multiplier": -1.0}),
        (FixedClipping, {"expected_updates": 0}),
        (TreeClipping, {"l2_clip_norm": -1.0}),
        (TreeClipping, {"restart_every": 0}),
    ],
)
def test_numbers_out_of_range_are_refused(kind, settings):
    good = {"l2_clip_norm": 1.0, "noise_multiplier": 1.0, "expected_updates": 3}
    [name] = settings
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        kind(**good | settings)


def test_what_is_accounted_for_is_what_is_added():
    """One value makes both: no noise multiplier is passed on by hand."""
    for description in FACTORIES.values():
        for noise in (0.8, 1.6):
            changed = dataclasses.replace(description, noise_multiplier=noise)
            if isinstance(changed, TreeClipping):
                assert changed.mechanism(rounds=4).noise_multiplier == noise
                continue
            for cohorts in (
                UniformCohorts(population=50, size=5, seed=0),
                PoissonCohorts(population=50, sampling_probability=0.1, seed=0),
                ShuffledCohorts(population=50, size=5, seed=0),
            ):
                made = changed.mechanism(cohorts, rounds=4)
                assert made.noise_multiplier == noise


def test_a_tree_for_each_pass_is_paid_for_each_pass():
    description = TreeClipping(
        l2_clip_norm=1.0, noise_multiplier=2.0, expected_updates=3, restart_every=8
    )
    made = description.mechanism(rounds=20)
    assert made.steps_between_restarts == (8, 8, 4)
    assert made.participations == 3
    assert description.mechanism(rounds=5).steps_between_restarts == (5,)

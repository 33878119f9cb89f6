"""Robust aggregation: NumPy's numbers, invariances, who counts, what one can do."""

import collections

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.aggregation.coordinate_wise import (
    build_median_factory,
    build_trimmed_mean_factory,
    coordinate_wise_median,
    trimmed_mean,
)
from tff_finance.aggregation.geometric_median import (
    build_geometric_median_factory,
    geometric_median,
)

VALUE_TYPE = tff.to_type(
    collections.OrderedDict(b=(np.float32, [2]), a=(np.float32, [2, 1]))
)
WEIGHT_TYPE = tff.to_type(np.float32)
FACTORIES = {
    "median": build_median_factory(),
    "trimmed_mean": build_trimmed_mean_factory(0.2),
    "geometric_median": build_geometric_median_factory(),
}

numbers = st.floats(-100, 100, width=32)
tables = hypothesis.extra.numpy.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=numbers
)
shares = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.45])


def trimmed_in_numpy(table, share):
    number = len(table)
    k = min(int(np.ceil(round(share * number, 6))), (number - 1) // 2)
    return np.sort(table, axis=0)[k : number - k].mean(axis=0)


@hypothesis.given(table=tables)
@hypothesis.settings(deadline=None, max_examples=25)
def test_median_is_numpys(table):
    np.testing.assert_allclose(
        coordinate_wise_median(tf.constant(table)),
        np.median(table, axis=0),
        rtol=1e-6,
        atol=1e-30,
    )


@hypothesis.given(table=tables, share=shares)
@hypothesis.settings(deadline=None, max_examples=25)
def test_trimmed_mean_is_numpys(table, share):
    found = trimmed_mean(tf.constant(table), share)
    np.testing.assert_allclose(
        found, trimmed_in_numpy(table, share), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize(("number", "share"), [(5, 0.2), (10, 0.3), (100, 0.07)])
def test_trimmed_mean_is_scipys_where_the_share_is_a_whole_number(number, share):
    table = np.random.default_rng(number).normal(size=(number, 3))
    np.testing.assert_allclose(
        trimmed_mean(tf.constant(table), share),
        scipy.stats.trim_mean(table, share + 1e-12, axis=0),
    )


def test_one_of_four_is_trimmed_at_a_fifth():
    found = trimmed_mean(tf.constant([[1e30], [1.0], [2.0], [3.0]]), 0.2)
    np.testing.assert_allclose(found, [2.5])
    # One is left at least.
    found = trimmed_mean(tf.constant([[1e30], [1.0]]), 0.49)
    np.testing.assert_allclose(found, [5e29])


@hypothesis.given(table=tables)
@hypothesis.settings(deadline=None, max_examples=25)
def test_trimming_nothing_is_the_mean_and_all_the_median(table):
    np.testing.assert_allclose(
        trimmed_mean(tf.constant(table), 0.0), table.mean(axis=0), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        trimmed_mean(tf.constant(table), 0.4999),
        np.median(table, axis=0),
        rtol=1e-5,
        atol=1e-5,
    )


@hypothesis.given(table=tables, rng=st.randoms(use_true_random=False), share=shares)
@hypothesis.settings(deadline=None, max_examples=25)
def test_order_of_institutions_makes_no_difference(table, rng, share):
    order = list(range(len(table)))
    rng.shuffle(order)
    weights = np.arange(1, len(table) + 1, dtype=np.float32)
    one, other = tf.constant(table), tf.constant(table[order])
    np.testing.assert_array_equal(
        coordinate_wise_median(one), coordinate_wise_median(other)
    )
    np.testing.assert_array_equal(trimmed_mean(one, share), trimmed_mean(other, share))
    np.testing.assert_allclose(
        np.sum(distances(table, geometric_median(one, weights)) * weights),
        np.sum(distances(table, geometric_median(other, weights[order])) * weights),
        rtol=1e-5,
        atol=1e-4,
    )


@hypothesis.given(
    honest=hypothesis.extra.numpy.arrays(np.float32, (4, 3), elements=numbers),
    hostile=hypothesis.extra.numpy.arrays(
        np.float32,
        (3,),
        elements=st.sampled_from(np.float32([-1e30, -7, 0, 3, 1e30]).tolist()),
    ),
)
@hypothesis.settings(deadline=None, max_examples=25)
def test_one_of_five_leaves_the_result_within_the_honest_range(honest, hostile):
    table = tf.constant(np.vstack([honest[:2], hostile, honest[2:]]))
    low, high = honest.min(axis=0) - 1e-4, honest.max(axis=0) + 1e-4
    for found in (coordinate_wise_median(table), trimmed_mean(table, 0.2)):
        assert np.all(low <= found.numpy())
        assert np.all(found.numpy() <= high)
    # At most 2 (1 - a) / (1 - 2 a) times the honest spread away, a fifth being hostile.
    found = geometric_median(table, tf.ones([5])).numpy()
    spread = distances(honest, honest.mean(axis=0)).max()
    away = np.linalg.norm(found - honest.mean(axis=0))
    assert away <= 2 * 0.8 / 0.6 * spread + 1e-3


def distances(table, point):
    return np.linalg.norm(table - np.asarray(point), axis=1)


def test_geometric_median_has_the_least_sum_of_distances():
    rng = np.random.default_rng(5)
    points, weights = rng.normal(size=(7, 3)), rng.uniform(0.5, 2, size=7)
    expected = scipy.optimize.minimize(
        lambda v: np.sum(weights * distances(points, v)), points.mean(axis=0), tol=1e-12
    )
    found = geometric_median(tf.constant(points), tf.constant(weights))
    np.testing.assert_allclose(found, expected.x, atol=1e-5)


def test_geometric_median_in_one_dimension_is_the_weighted_median():
    points = tf.constant([[0.0], [1.0], [5.0], [9.0]])
    found = geometric_median(points, tf.constant([1.0, 1.0, 5.0, 1.0]))
    np.testing.assert_allclose(found, [5.0], atol=1e-4)
    # More than half of the weight decides alone.
    found = geometric_median(points, tf.constant([9.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(found, [0.0], atol=1e-4)


def updates(rows):
    return [
        collections.OrderedDict(
            b=np.float32([row[0], row[1]]), a=np.float32([[row[2]], [row[3]]])
        )
        for row in rows
    ]


def rows_of(result):
    return np.concatenate([np.ravel(result["b"]), np.ravel(result["a"])])


@pytest.fixture(scope="module", params=FACTORIES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def process(name, tff_context):
    del tff_context
    return FACTORIES[name].create(VALUE_TYPE, WEIGHT_TYPE)


def expected_of(name, rows, weights):
    rows = np.asarray(rows, np.float32)
    if name == "median":
        return np.median(rows, axis=0)
    if name == "trimmed_mean":
        return trimmed_in_numpy(rows, 0.2)
    return geometric_median(tf.constant(rows), tf.constant(weights, tf.float32))


ROWS = np.random.default_rng(3).normal(size=(5, 4))
WEIGHTS = [3.0, 1.0, 4.0, 1.0, 5.0]


def test_factories_keep_the_structure_and_leave_out_who_does_not_count(name, process):
    """In the order of the fields, which isn't that of their names."""
    output = process.next(process.initialize(), updates(ROWS), WEIGHTS)
    np.testing.assert_allclose(
        rows_of(output.result), expected_of(name, ROWS, WEIGHTS), atol=1e-6
    )
    assert output.measurements == {"num_updates": 5, "rejected_updates": 0}
    broken = np.vstack([ROWS, np.zeros([1, 4]), [[1.0, np.nan, np.inf, 0.0]]])
    again = process.next(process.initialize(), updates(broken), [*WEIGHTS, 0.0, 2.0])
    np.testing.assert_array_equal(rows_of(again.result), rows_of(output.result))
    assert again.measurements == {"num_updates": 5, "rejected_updates": 1}


def test_weights_count_where_they_are_published_to(name, process):
    one = process.next(process.initialize(), updates(ROWS), WEIGHTS)
    other = process.next(process.initialize(), updates(ROWS), [1.0] * 5)
    same = np.array_equal(rows_of(one.result), rows_of(other.result))
    assert same == (name != "geometric_median")


@pytest.mark.parametrize("number", [0, 2])
def test_nobody_gives_nan_as_a_mean_does(process, number):
    output = process.next(process.initialize(), updates(ROWS[:number]), [0.0] * number)
    assert np.isnan(rows_of(output.result)).all()
    assert output.measurements["num_updates"] == 0


@pytest.mark.parametrize("share", [-0.1, 0.5, float("nan")])
def test_shares_that_cannot_be_trimmed_are_refused(share):
    with pytest.raises(
        ValueError, match="`trimmed_share` must be at least 0 and below"
    ):
        build_trimmed_mean_factory(share)


def test_other_than_floats_are_refused(name):
    with pytest.raises(
        ValueError, match="`value_type` must be a structure of floating"
    ):
        FACTORIES[name].create(tff.to_type(np.int32), WEIGHT_TYPE)

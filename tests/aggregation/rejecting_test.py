"""What is rejected, what it is judged by, and what the inner factory sees."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.aggregation.coordinate_wise import build_median_factory
from tff_finance.aggregation.rejecting import RejectingFactory, bound_after

VALUE_TYPE = tff.to_type([(np.float32, [2]), (np.float32, [])])
WEIGHT_TYPE = tff.to_type(np.float32)

pytestmark = pytest.mark.usefixtures("tff_context")


def created(inner=None, **judged_by):
    factory = RejectingFactory(inner or tff.aggregators.MeanFactory(), **judged_by)
    return factory.create(VALUE_TYPE, WEIGHT_TYPE)


def update(*row):
    return [np.float32(row[:2]), np.float32(row[2])]


def of_norm(norm):
    """Over all tensors together."""
    return update(norm * 2 / 3, -norm * 1 / 3, norm * 2 / 3)


def row_of(result):
    return np.append(result[0], result[1])


def test_a_fixed_bound():
    process = created(norm_bound=3.0)
    values = [of_norm(3.0), of_norm(3.1), update(np.nan, 0, 0), update(0, 0, -np.inf)]
    output = process.next(process.initialize(), values, [1.0, 9.0, 9.0, 9.0])
    np.testing.assert_allclose(row_of(output.result), row_of(of_norm(3.0)))
    assert output.measurements["rejected_updates"] == 3
    assert output.state["norm_bound"] == output.measurements["norm_bound"] == 3.0


def test_nothing_rejected_is_the_inner_mean():
    process, mean = created(norm_bound=1e9), tff.aggregators.MeanFactory()
    mean = mean.create(VALUE_TYPE, WEIGHT_TYPE)
    values, weights = [of_norm(n) for n in (1, 7, 2)], [1.0, 0.5, 3.0]
    one = process.next(process.initialize(), values, weights)
    other = mean.next(mean.initialize(), values, weights)
    np.testing.assert_array_equal(row_of(one.result), row_of(other.result))
    assert one.measurements["rejected_updates"] == 0


def test_a_multiple_of_the_median_norm_of_the_round_before():
    process = created(median_multiple=2.0)
    state = process.initialize()
    # The first round only measures: 1, 2, 6 count, the absent and the broken don't.
    values = [of_norm(n) for n in (6, 1, 0, 2)] + [update(np.nan, 0, 0)]
    output = process.next(state, values, [1.0, 1.0, 0.0, 1.0, 1.0])
    assert np.isnan(row_of(output.result)).all()
    assert output.measurements["rejected_updates"] == 4
    assert output.state["norm_bound"] == pytest.approx(4.0)
    # Rejected ones count in the median, so that norms may grow.
    output = process.next(output.state, [of_norm(n) for n in (3.9, 5, 9)], [1.0] * 3)
    np.testing.assert_allclose(row_of(output.result), row_of(of_norm(3.9)), rtol=1e-6)
    assert output.measurements["rejected_updates"] == 2
    assert output.measurements["norm_bound"] == pytest.approx(4.0)
    assert output.state["norm_bound"] == pytest.approx(10.0)
    # Nobody to measure: the bound stays.
    for nobody in ([], [of_norm(0)]):
        output = process.next(output.state, nobody, [0.0] * len(nobody))
        assert output.state["norm_bound"] == pytest.approx(10.0)
        assert output.measurements["rejected_updates"] == 0


def test_it_wraps_other_factories():
    process = created(build_median_factory(), norm_bound=5.0)
    values = [of_norm(n) for n in (1, 2, 3, 99)]
    output = process.next(process.initialize(), values, [1.0] * 4)
    np.testing.assert_allclose(row_of(output.result), row_of(of_norm(2.0)), rtol=1e-6)
    assert output.measurements["inner"]["num_updates"] == 3
    assert output.measurements["rejected_updates"] == 1


def test_the_bound_after_a_round():
    norms, counts = tf.constant([1.0, 4.0, np.inf, 2.0]), tf.constant([1, 1, 0, 1])
    found = bound_after(7.0, norms, tf.cast(counts, tf.bool), multiple=3.0)
    assert found == 6.0
    assert bound_after(7.0, norms, tf.zeros([4], tf.bool), multiple=3.0) == 7.0


def test_what_makes_no_sense_is_refused():
    mean = tff.aggregators.MeanFactory()
    with pytest.raises(ValueError, match="Exactly one of"):
        RejectingFactory(mean)
    with pytest.raises(ValueError, match="Exactly one of"):
        RejectingFactory(mean, norm_bound=1.0, median_multiple=2.0)
    with pytest.raises(ValueError, match="`median_multiple` must be at least 1"):
        RejectingFactory(mean, median_multiple=0.5)
    with pytest.raises(ValueError, match="`norm_bound` must be positive"):
        RejectingFactory(mean, norm_bound=0.0)
    with pytest.raises(ValueError, match="`inner` must take weights"):
        RejectingFactory(tff.aggregators.UnweightedMeanFactory(), norm_bound=1.0)

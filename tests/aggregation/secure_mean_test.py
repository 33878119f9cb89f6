"""The secure mean is the mean, of clipped updates, and only integers are summed."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_finance.aggregation.secure_mean import SecureMean
from tff_finance.runtime import local

UPDATE = tff.to_type([(np.float32, [3, 2]), (np.float32, [4])])
WEIGHT = tff.to_type(np.float32)


@pytest.fixture(scope="module", autouse=True)
def secure_context(tff_context):
    with local.execution_context(secure_sums=True):
        yield


def updates(number):
    rng = np.random.default_rng(2)
    return [
        [rng.normal(size=shape).astype(np.float32) for shape in ((3, 2), (4,))]
        for _ in range(number)
    ]


def mean(description, values, weights):
    process = description.aggregator().create(UPDATE, WEIGHT)
    weights = [np.float32(w) for w in weights]
    return process.next(process.initialize(), values, weights).result


@pytest.mark.parametrize("number", [float, int])
def test_it_is_the_weighted_mean(number):
    values, weights = updates(3), [100, 250, 40]
    for actual, leaves in zip(
        mean(
            SecureMean(l2_clip_norm=number(10), largest_weight=number(1000)),
            values,
            weights,
        ),
        zip(*values, strict=True),
        strict=True,
    ):
        np.testing.assert_allclose(
            actual, np.average(leaves, axis=0, weights=weights), atol=1e-5
        )


def test_longer_updates_are_clipped_as_a_whole():
    [value] = updates(1)
    norm = float(np.linalg.norm(np.concatenate([leaf.ravel() for leaf in value])))
    for actual, leaf in zip(
        mean(SecureMean(l2_clip_norm=norm / 4), [value], [1]), value, strict=True
    ):
        np.testing.assert_allclose(actual, leaf / 4, atol=1e-5)


@pytest.mark.parametrize("fault", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("everywhere", [True, False])
def test_faulty_updates_count_as_zeros(fault, everywhere):
    good, bad = updates(2)
    bad[0][slice(None) if everywhere else (1, 0)] = fault
    for actual, leaf in zip(
        mean(SecureMean(l2_clip_norm=10.0), [good, bad], [1, 1]), good, strict=True
    ):
        np.testing.assert_allclose(actual, leaf / 2, atol=1e-5)


def test_only_integers_are_summed():
    process = SecureMean(l2_clip_norm=1.0).aggregator().create(UPDATE, WEIGHT)

    @tff.federated_computation(
        process.next.type_signature.parameter[0],
        tff.FederatedType((UPDATE, WEIGHT), tff.CLIENTS),
    )
    def next_round(state, data):
        output = process.next(state, data[0], data[1])
        return output.state, output.result

    form = tff.backends.mapreduce.get_map_reduce_form_for_computation(next_round)
    plain, *secure = form.work.type_signature.result
    assert not tff.types.contains(plain, lambda t: isinstance(t, tff.TensorType))
    assert not tff.types.contains(
        tff.to_type(secure),
        lambda t: (
            isinstance(t, tff.TensorType) and not np.issubdtype(t.dtype, np.integer)
        ),
    )


@pytest.mark.parametrize("name", ["l2_clip_norm", "largest_weight"])
def test_bounds_that_are_none_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be positive"):
        SecureMean(**{"l2_clip_norm": 1.0, name: 0.0})

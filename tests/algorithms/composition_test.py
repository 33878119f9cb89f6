"""Our processes compose with TFF's aggregators and split into a MapReduceForm."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests.algorithms import numpy_logistic
from tests.algorithms.learning import assert_same_weights, train
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.client_work.batches import LocalEpochs

BATCHES = LocalEpochs(epochs=2, batch_size=16, shuffle=False)
UNIFORM = tff.learning.ClientWeighting.UNIFORM
aggregators = tff.aggregators
sgd = tff.learning.optimizers.build_sgdm


def build(model, aggregator, weighting=tff.learning.ClientWeighting.NUM_EXAMPLES):
    return build_fed_avg(
        model,
        client_optimizer=sgd(0.3),
        batches=BATCHES,
        aggregator=aggregator,
        weighting=weighting,
    )


def first_delta(process, data):
    """How a round moves the weights."""
    state = process.initialize()
    after, _ = process.next(state, data)
    return numpy_logistic.vector(
        process.get_model_weights(after)
    ) - numpy_logistic.vector(process.get_model_weights(state))


def gaussian(noise_multiplier, clip, institutions=3):
    return aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
        noise_multiplier, clients_per_round=institutions, clip=clip
    )


@pytest.fixture(scope="module")
def plain_delta(logistic_model, client_data):
    """With the plain weighted mean."""
    return first_delta(build(logistic_model, None), client_data)


def test_aggregators_that_have_nothing_to_do_leave_the_mean(
    logistic_model, client_data, plain_delta
):
    aggregator = aggregators.zeroing_factory(
        100.0, aggregators.clipping_factory(100.0, aggregators.MeanFactory())
    )
    delta = first_delta(build(logistic_model, aggregator), client_data)
    np.testing.assert_allclose(delta, plain_delta, atol=1e-6)
    assert np.linalg.norm(plain_delta) > 0.3


@pytest.mark.parametrize(
    "build_aggregator",
    [tff.learning.robust_aggregator, tff.learning.compression_aggregator],
)
def test_runs_with_adaptive_aggregators(
    logistic_model, client_data, plain_delta, build_aggregator
):
    """Which begin by clipping to the norm 1, so that the mean's length differs."""
    process = build(logistic_model, build_aggregator())
    delta = first_delta(process, client_data)
    cosine = delta @ plain_delta / np.linalg.norm(delta) / np.linalg.norm(plain_delta)
    assert cosine > 0.95
    assert 0.5 < np.linalg.norm(delta) <= 1 + 1e-6


def test_the_aggregator_sees_each_update(logistic_model, client_data):
    aggregator = aggregators.clipping_factory(0.01, aggregators.MeanFactory())
    delta = first_delta(build(logistic_model, aggregator), client_data)
    # The mean of three vectors of length 0.01 that point in much the same direction.
    assert 0.005 < np.linalg.norm(delta) <= 0.01 + 1e-6


def test_without_noise_and_clipping_differential_privacy_is_the_uniform_mean(
    logistic_model, client_data
):
    private = build(logistic_model, gaussian(0.0, clip=100.0), UNIFORM)
    uniform = build(logistic_model, None, UNIFORM)
    state, _ = train(private, client_data, 3)
    expected, _ = train(uniform, client_data, 3)
    assert_same_weights(
        private.get_model_weights(state), uniform.get_model_weights(expected), atol=1e-6
    )


def test_differential_privacy_has_the_denominator_that_it_was_given(
    logistic_model, client_data, empty_client, broken_client
):
    """Institutions of weight 0 count as zeros: who has rows stays unknown."""
    process = build(logistic_model, gaussian(0.0, clip=100.0, institutions=5), UNIFORM)
    uniform = build(logistic_model, None, UNIFORM)
    np.testing.assert_allclose(
        first_delta(process, [*client_data, empty_client, broken_client]),
        first_delta(uniform, client_data) * 3 / 5,
        atol=1e-6,
    )


def test_differential_privacy_clips_and_noises(logistic_model, client_data):
    clip, multiplier = 0.01, 1.0
    process = build(logistic_model, gaussian(multiplier, clip), UNIFORM)
    deltas = [first_delta(process, client_data) for _ in range(40)]
    # The deltas' mean is what clipping left; their spread is the noise of the sum
    # over 3: chi-square with 39 * 6 degrees of freedom, scales 2/3 and 3/2 rejected.
    assert np.linalg.norm(np.mean(deltas, axis=0)) < 2 * clip
    spread = np.sqrt(np.var(deltas, axis=0, ddof=1).mean())
    assert spread == pytest.approx(multiplier * clip / 3, rel=0.25)


def test_an_aggregator_without_weights_is_refused_when_weighing_by_examples(
    logistic_model,
):
    message = r"`weighting` must be ClientWeighting.UNIFORM .*PrivateFactory"
    aggregator = gaussian(1.0, clip=1.0)
    with pytest.raises(ValueError, match=message):
        build(logistic_model, aggregator)
    with pytest.raises(ValueError, match=message):
        build_fed_sgd(logistic_model, server_optimizer=sgd(0.1), aggregator=aggregator)

"""Which factories protect what they aggregate, however they are wrapped."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_finance.aggregation.coordinate_wise import build_median_factory
from tff_finance.aggregation.rejecting import RejectingFactory
from tff_finance.aggregation.secure_mean import SecureMean
from tff_finance.aggregation.sparse_sum import SparseSumFactory
from tff_finance.aggregation.stochastic_quantization import build_quantized_mean
from tff_finance.privacy.distributed_noise import DistributedNoise
from tff_finance.privacy.institution_level import (
    AdaptiveClipping,
    FixedClipping,
    TreeClipping,
)
from tff_finance.privacy.protection import protects

SETTINGS = {"noise_multiplier": 1.0, "expected_updates": 9}
PROTECTING = {
    "fixed": FixedClipping(l2_clip_norm=1.0, **SETTINGS).aggregator(),
    "adaptive": AdaptiveClipping(
        initial_l2_clip_norm=1.0, count_stddev_share=0.5, **SETTINGS
    ).aggregator(),
    "tree": TreeClipping(l2_clip_norm=1.0, **SETTINGS).aggregator(),
    "distributed": DistributedNoise(
        l2_clip_norm=1.0, least_honest=3, most_updates=9, **SETTINGS
    ).aggregator(),
    "secure": SecureMean(l2_clip_norm=1.0).aggregator(),
    "tff's dp": tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
        noise_multiplier=1.0, clients_per_round=9, clip=1.0
    ),
    "tff's secure": tff.learning.secure_aggregator(),
}
WRAPPERS = {
    "clipping": lambda inner: tff.aggregators.clipping_factory(1.0, inner),
    "zeroing": lambda inner: tff.aggregators.zeroing_factory(1.0, inner),
    "concatenating": tff.aggregators.concat_factory,
    "measuring": lambda inner: tff.aggregators.add_measurements(
        inner, server_measurement_fn=lambda value: {"x": np.float32(0)}
    ),
}


@pytest.mark.parametrize("name", PROTECTING)
def test_factories_that_protect_are_known(name):
    assert protects(PROTECTING[name])


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", ["fixed", "tree", "secure"])
def test_they_are_known_inside_of_others(name, wrapper):
    wrapped = WRAPPERS[wrapper](WRAPPERS["clipping"](PROTECTING[name]))
    assert protects(wrapped)
    if isinstance(wrapped, tff.aggregators.UnweightedAggregationFactory):
        assert protects(tff.aggregators.as_weighted_aggregator(wrapped))
    else:
        assert protects(RejectingFactory(wrapped, norm_bound=1.0))


@pytest.mark.parametrize(
    "factory",
    [
        tff.aggregators.MeanFactory(),
        tff.learning.robust_aggregator(),
        build_median_factory(),
        build_quantized_mean(3),
        tff.aggregators.MeanFactory(SparseSumFactory(0.5)),
        RejectingFactory(tff.aggregators.MeanFactory(), norm_bound=1.0),
    ],
)
def test_others_protect_nothing(factory):
    assert not protects(factory)

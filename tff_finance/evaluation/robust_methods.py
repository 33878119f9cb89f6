"""Robust aggregators of FedAvg in a comparison, by the name of the method."""

from collections.abc import Callable, Mapping

import tensorflow_federated as tff

from tff_finance.aggregation.coordinate_wise import (
    build_median_factory,
    build_trimmed_mean_factory,
)
from tff_finance.aggregation.geometric_median import build_geometric_median_factory
from tff_finance.aggregation.rejecting import RejectingFactory
from tff_finance.records.training_config import TrainingConfig

BuildAggregator = Callable[[TrainingConfig], tff.aggregators.WeightedAggregationFactory]


def _median(training: TrainingConfig) -> tff.aggregators.WeightedAggregationFactory:
    del training
    return build_median_factory()


def _trimmed_mean(
    training: TrainingConfig,
) -> tff.aggregators.WeightedAggregationFactory:
    return build_trimmed_mean_factory(training.robustness.trimmed_share)


def _geometric_median(
    training: TrainingConfig,
) -> tff.aggregators.WeightedAggregationFactory:
    del training
    return build_geometric_median_factory()


def _clipping(training: TrainingConfig) -> tff.aggregators.WeightedAggregationFactory:
    """TFF's own: adaptive zeroing and clipping around the weighted mean."""
    del training
    return tff.learning.robust_aggregator()


def _rejecting(training: TrainingConfig) -> tff.aggregators.WeightedAggregationFactory:
    return RejectingFactory(
        tff.aggregators.MeanFactory(),
        median_multiple=training.robustness.rejection_multiple,
    )


ROBUST_AGGREGATORS: Mapping[str, BuildAggregator] = {
    "fed_avg_median": _median,
    "fed_avg_trimmed_mean": _trimmed_mean,
    "fed_avg_geometric_median": _geometric_median,
    "fed_avg_clipping": _clipping,
    "fed_avg_rejecting": _rejecting,
}

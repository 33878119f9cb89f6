"""FedAvg whose updates the server sees only as sums of integers."""

import tensorflow_federated as tff

from tff_finance.aggregation.secure_mean import SecureMean
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.evaluation.methods import Method
from tff_finance.evaluation.suite import Suite


def build_fed_avg_secure(suite: Suite, name: str) -> Method:
    """FedAvg by secure aggregation, with weights as FedAvg has them."""
    bounds = suite.training.secure_aggregation
    uniform = suite.weighting is tff.learning.ClientWeighting.UNIFORM
    secure = SecureMean(
        l2_clip_norm=bounds.l2_clip_norm,
        largest_weight=1.0 if uniform else bounds.largest_weight,
    )
    process = build_fed_avg(
        suite.model,
        client_optimizer=suite.client_optimizer,
        batches=suite.batches,
        server_optimizer=suite.server_optimizer(),
        weighting=suite.weighting,
        aggregator=secure.aggregator(),
        store=suite.store,
    )
    return suite.of_local_epochs(name, process)

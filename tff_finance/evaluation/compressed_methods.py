"""Compressed FedAvg: institutions send less than their updates."""

import tensorflow_federated as tff

from tff_finance.aggregation.sparse_sum import SparseSumFactory
from tff_finance.aggregation.stochastic_quantization import build_quantized_mean
from tff_finance.aggregation.tff_quantization import build_tff_quantized_mean
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.error_feedback import build_top_k
from tff_finance.client_work.update_rule import UpdateRule
from tff_finance.evaluation.methods import Method
from tff_finance.evaluation.suite import Suite
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.training import communication


def quantized_fed_avg(suite: Suite, name: str) -> Method:
    """FedAvg of rotated and quantized updates.

    The process serves all seeds of a study, which so have the same rotations.

    Args:
        suite: What it is built from.
        name: In tables and records.

    Returns:
        The method.
    """
    aggregator = build_quantized_mean(suite.training.quantization_bits)
    return _compressed(suite, name, aggregator)


def tff_compressed_fed_avg(suite: Suite, name: str) -> Method:
    """FedAvg with TFF's own quantization."""
    return _compressed(suite, name, build_tff_quantized_mean())


def top_k_fed_avg(suite: Suite, name: str) -> Method:
    """FedAvg of the largest coordinates, with error feedback."""
    share = suite.training.top_k_share
    return _compressed(
        suite,
        name,
        tff.aggregators.MeanFactory(SparseSumFactory(share)),
        update_rule=build_top_k(share),
        state_files=suite.state_files(name),
    )


def _compressed(
    suite: Suite,
    name: str,
    aggregator: tff.aggregators.WeightedAggregationFactory,
    *,
    update_rule: UpdateRule | None = None,
    state_files: InstitutionStateFiles | None = None,
) -> Method:
    process = build_fed_avg(
        suite.model,
        client_optimizer=suite.client_optimizer,
        batches=suite.batches,
        server_optimizer=suite.server_optimizer(),
        weighting=suite.weighting,
        aggregator=aggregator,
        update_rule=update_rule,
        state_files=state_files,
        store=suite.store,
    )
    return suite.of_local_epochs(
        name, process, state_files, source=communication.ENCODING
    )

"""The four parts of a learning process, put together."""

import numpy as np
import tensorflow_federated as tff

from tff_finance.client_work import weights as weights_lib


def compose(
    model: tff.learning.models.FunctionalModel,
    client_work: tff.learning.templates.ClientWorkProcess,
    *,
    aggregator: tff.aggregators.WeightedAggregationFactory | None,
    server_optimizer: tff.learning.optimizers.Optimizer,
) -> tff.learning.templates.LearningProcess:
    """Composes broadcast, client work, aggregation and a server optimizer.

    Args:
        model: Gives the initial weights and their type.
        client_work: Returns updates of the type of the trainable weights, with
            float32 weights.
        aggregator: Defaults to the weighted mean, 0 if all weights are 0.
        server_optimizer: Takes the aggregated update as its gradient.

    Returns:
        The learning process.
    """
    weights_type = weights_lib.weights_type(model)
    factory = aggregator or tff.aggregators.MeanFactory(no_nan_division=True)
    return tff.learning.templates.compose_learning_process(
        weights_lib.build_initial_weights(model),
        tff.learning.templates.build_broadcast_process(weights_type),
        client_work,
        factory.create(weights_type.trainable, tff.TensorType(np.float32)),
        tff.learning.templates.build_apply_optimizer_finalizer(
            server_optimizer, weights_type
        ),
    )

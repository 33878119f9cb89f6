"""The four parts of a learning process, put together."""

import numpy as np
import tensorflow_federated as tff

from tff_finance.client_work import weights as weights_lib
from tff_finance.institutions.examples import ExampleStore
from tff_finance.privacy.protection import protects


def compose(
    model: tff.learning.models.FunctionalModel,
    client_work: tff.learning.templates.ClientWorkProcess,
    *,
    weighting: tff.learning.ClientWeighting,
    aggregator: tff.aggregators.AggregationFactory | None,
    store: ExampleStore | None = None,
    server_optimizer: tff.learning.optimizers.Optimizer,
    num_shared: int | None = None,
) -> tff.learning.templates.LearningProcess:
    """Composes broadcast, client work, aggregation and a server optimizer.

    Args:
        model: Gives the initial weights and their type.
        client_work: Returns updates of the type of the trainable weights, with
            float32 weights.
        weighting: How `client_work` weighs them.
        aggregator: Defaults to the weighted mean. One that takes no weights, as
            for differential privacy, counts every institution, also those of
            weight 0, whose updates are 0.
        store: That `client_work` was built for.
        server_optimizer: Takes the aggregated update as its gradient. Where that
            isn't finite, as when all weights are 0, model and optimizer stay as
            they are.
        num_shared: How many of the trainable weights, from the first, are the
            server's; None for all.

    Returns:
        The learning process. Its training metrics are summed in the clear,
        whatever the aggregator: an epsilon of the aggregator does not cover them.

    Raises:
        ValueError: If `aggregator` takes no weights and `weighting` isn't uniform,
            if it would see groups of institutions instead of institutions, or if it
            protects updates only, and institutions share more than these.
    """
    if store and store.grouped and aggregator is not None:
        raise ValueError(
            f"`store` can't group institutions if there is an `aggregator`: a "
            f"{type(aggregator).__name__} would take a group's mean for an "
            "institution's update. Leave out one of them."
        )
    if aggregator is not None and _shares_more(client_work) and protects(aggregator):
        raise ValueError(
            f"`aggregator` can't be a {type(aggregator).__name__} that adds noise or "
            "sums securely where institutions share more than their updates: changes "
            "of SCAFFOLD's variates, which are gradients, are summed in the clear and "
            "their mean goes to all. Use FedAvg or FedProx; or protect records or "
            "customers with a private gradient, which variates are then made of, and "
            "leave `aggregator` out."
        )
    weights_type = weights_lib.weights_type(model, num_shared)
    factory = aggregator or tff.aggregators.MeanFactory()
    if not isinstance(factory, tff.aggregators.WeightedAggregationFactory):
        if weighting is not tff.learning.ClientWeighting.UNIFORM:
            raise ValueError(
                "`weighting` must be ClientWeighting.UNIFORM for an `aggregator` "
                f"that takes no weights, {type(factory).__name__}; got {weighting}."
            )
        factory = tff.aggregators.as_weighted_aggregator(factory)
    return tff.learning.templates.compose_learning_process(
        weights_lib.build_initial_weights(model, num_shared),
        tff.learning.templates.build_broadcast_process(weights_type),
        client_work,
        factory.create(weights_type.trainable, tff.TensorType(np.float32)),
        tff.learning.templates.build_apply_optimizer_finalizer(
            server_optimizer, weights_type
        ),
    )


def _shares_more(client_work: tff.learning.templates.ClientWorkProcess) -> bool:
    """Whether its state has a value that institutions form together, in the clear."""
    state_type = client_work.initialize.type_signature.result.member
    return "shared" in tff.structure.name_list(state_type)

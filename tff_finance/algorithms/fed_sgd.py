"""Federated SGD, in the case study's words federated gradient descent.

Every institution computes the gradient of its whole table at the global
weights; the server takes one step along their mean:
`theta_{t+1} = theta_t - eta sum_i p_i grad_i`, with p_i proportional to
examples, which is gradient descent on the pooled rows, or 1/n.

Source: McMahan et al. (2017), section 2, https://arxiv.org/abs/1602.05629.
"""

import tensorflow_federated as tff

from tff_finance.algorithms.composition import compose
from tff_finance.client_work.gradient_estimator import GradientEstimator
from tff_finance.client_work.whole_table_gradient_work import (
    build_whole_table_gradient_work,
)
from tff_finance.institutions.examples import ExampleStore


def build_fed_sgd(
    model: tff.learning.models.FunctionalModel,
    *,
    server_optimizer: tff.learning.optimizers.Optimizer,
    weighting: tff.learning.ClientWeighting = tff.learning.ClientWeighting.NUM_EXAMPLES,
    aggregator: tff.aggregators.AggregationFactory | None = None,
    gradient_estimator: GradientEstimator | None = None,
    store: ExampleStore | None = None,
) -> tff.learning.templates.LearningProcess:
    """Builds FedSGD.

    `next`: `<S@SERVER, {B*}@CLIENTS> -> <S@SERVER, metrics@SERVER>`; `B` one
    institution's records, a sequence of exactly one element of
    `institutions.examples.examples_type`, or of the type that `store` gives.

    Args:
        model: Model without batch-coupled layers.
        server_optimizer: Takes one step per round along the mean gradient.
        weighting: `NUM_EXAMPLES`, or `UNIFORM` over institutions with examples.
        aggregator: Defaults to the weighted mean. One that takes no weights, as
            for differential privacy, needs `UNIFORM`.
        gradient_estimator: Defaults to the gradient of the mean loss.
        store: How clients get at their rows; defaults to `InMemory`. Groups need
            the default aggregator.

    Returns:
        The learning process.
    """
    client_work = build_whole_table_gradient_work(
        model,
        weighting=weighting,
        gradient_estimator=gradient_estimator,
        store=store,
    )
    return compose(
        model,
        client_work,
        weighting=weighting,
        aggregator=aggregator,
        store=store,
        server_optimizer=server_optimizer,
    )

"""Federated averaging.

Every institution trains for some local epochs from the global weights; the
server moves the global weights by the mean of the institutions' deltas:
`theta_{t+1} = theta_t + sum_i p_i delta_i`, with p_i proportional to examples,
or 1/n for the uniform mean.

Source: McMahan et al. (2017), Algorithm 1, https://arxiv.org/abs/1602.05629.
"""

import tensorflow_federated as tff

from tff_finance.algorithms.composition import compose
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.gradient_estimator import GradientEstimator
from tff_finance.client_work.hostile import (
    HostileInstitutions,
    build_hostile_work,
)
from tff_finance.client_work.local_epochs_work import build_local_epochs_work
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.update_rule import UpdateRule
from tff_finance.institutions.examples import ExampleStore
from tff_finance.institutions.state import InstitutionStateFiles


def build_fed_avg(
    model: tff.learning.models.FunctionalModel,
    *,
    client_optimizer: tff.learning.optimizers.Optimizer,
    batches: LocalEpochs | PoissonBatches,
    server_optimizer: tff.learning.optimizers.Optimizer | None = None,
    weighting: tff.learning.ClientWeighting = tff.learning.ClientWeighting.NUM_EXAMPLES,
    aggregator: tff.aggregators.AggregationFactory | None = None,
    gradient_estimator: GradientEstimator | None = None,
    local_rule: LocalRule | None = None,
    update_rule: UpdateRule | None = None,
    state_files: InstitutionStateFiles | None = None,
    store: ExampleStore | None = None,
    hostile: HostileInstitutions | None = None,
    gives_loss: bool = True,
) -> tff.learning.templates.LearningProcess:
    """Builds FedAvg.

    `next`: `<S@SERVER, {B*}@CLIENTS> -> <S@SERVER, metrics@SERVER>`; `B` one
    institution's records, a sequence of exactly one element of
    `institutions.examples.examples_type`, or of the type that `store` gives.

    Args:
        model: Model without batch-coupled layers.
        client_optimizer: Local optimizer, fresh in every round.
        batches: Local epochs, batch size and order.
        server_optimizer: Takes the mean of the updates as its gradient; defaults
            to SGD with learning rate 1, which adds the mean delta.
        weighting: `NUM_EXAMPLES`, or `UNIFORM` over institutions with examples.
        aggregator: Defaults to the weighted mean. One that takes no weights, as
            for differential privacy, needs `UNIFORM`.
        gradient_estimator: Defaults to the gradient of the batch's mean loss.
        local_rule: Defaults to plain steps.
        update_rule: What of its update an institution sends; defaults to all.
        state_files: Where the rules' institution state lies.
        store: How clients get at their rows; defaults to `InMemory`. Groups need
            the default aggregator.
        hostile: Institutions that send other updates than theirs, in simulation.
        gives_loss: Whether metrics have the training loss. An `aggregator` that hides
            updates doesn't hide it: it goes to the server in the clear.

    Returns:
        The learning process. Its hyperparameters include the client work's
        `learning_rate` and `seed`, which orders the batches.
    """
    client_work = build_local_epochs_work(
        model,
        client_optimizer,
        batches=batches,
        weighting=weighting,
        gradient_estimator=gradient_estimator,
        local_rule=local_rule,
        update_rule=update_rule,
        state_files=state_files,
        store=store,
        gives_loss=gives_loss,
    )
    if hostile:
        client_work = build_hostile_work(client_work, hostile)
    return compose(
        model,
        client_work,
        weighting=weighting,
        aggregator=aggregator,
        store=store,
        server_optimizer=server_optimizer or tff.learning.optimizers.build_sgdm(1.0),
    )

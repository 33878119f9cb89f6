"""FedBuff: asynchronous federated averaging through a buffer at the server.

Institutions finish at different times, and each goes on from the newest weights as
soon as it has sent its update. The server collects updates in a buffer; with K of
them it takes a step and empties the buffer:

    delta_i = y_i - x_{t - tau_i}         y_i: after local epochs from x_{t - tau_i}
    x_{t+1} = x_t + eta_g / K sum_i s(tau_i) delta_i,    s(tau) = 1 / sqrt(1 + tau)

Dividing by K, not by the sum of s, lets a buffer of stale updates take a smaller
step. With weights by examples the mean is `sum_i n_i s(tau_i) delta_i / sum_i n_i`,
by analogy: K is the sum of equal weights. So a buffer of fresh updates, one from each
institution, is a round of FedAvg.

An institution that is ten times faster sends ten times as many updates: as
published, the model is drawn to the fast ones. An exponent of -1, s(tau) = 1 + tau,
undoes that: each update counts for the rounds since its institution's last one, an
estimate of one over the frequency (Wang & Ji 2024, https://arxiv.org/abs/2306.03401).
Rare updates are then long steps, for which `eta_g` should be well below 1.

One `next` is one emptying of the buffer. Whose updates are in it, and how stale they
are, is for the clients' data to say: `client_work.arrivals.ArrivalStore`.

Source: Nguyen et al. (2022), Algorithm 1, https://arxiv.org/abs/2106.06639.
"""

import tensorflow_federated as tff

from tff_finance.algorithms.composition import compose
from tff_finance.client_work.arrivals import ArrivalStore, StalenessWeighting
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.gradient_estimator import GradientEstimator
from tff_finance.client_work.local_epochs_work import build_local_epochs_work
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.institutions.examples import ExampleStore


def build_fed_buff(
    model: tff.learning.models.FunctionalModel,
    *,
    client_optimizer: tff.learning.optimizers.Optimizer,
    batches: LocalEpochs | PoissonBatches,
    staleness_exponent: float = 0.5,
    server_optimizer: tff.learning.optimizers.Optimizer | None = None,
    weighting: tff.learning.ClientWeighting = tff.learning.ClientWeighting.NUM_EXAMPLES,
    aggregator: tff.aggregators.AggregationFactory | None = None,
    gradient_estimator: GradientEstimator | None = None,
    local_rule: LocalRule | None = None,
    store: ExampleStore | None = None,
) -> tff.learning.templates.LearningProcess:
    """Builds FedBuff.

    `next`: `<S@SERVER, {B*}@CLIENTS> -> <S@SERVER, metrics@SERVER>`; `B` one
    arrival, a sequence of exactly one element of the type that
    `ArrivalStore(model, store)` gives: the institution's records, the trainable
    weights that it started from, its staleness and the number of its local round.
    The clients are those in the buffer; the same institution may be in it twice.

    The broadcast weights are of no account to an institution; a deployment sends
    them to those that begin anew. An update that isn't finite takes its place in
    the buffer with weight 0, and is counted.

    Args:
        model: Model without batch-coupled layers.
        client_optimizer: Of local steps, fresh in every round.
        batches: Local epochs, batch size and order.
        staleness_exponent: s(tau) is `(1 + tau)^-staleness_exponent`; at least -1.
        server_optimizer: Takes the buffer's mean as its gradient; defaults to SGD
            with learning rate 1. The paper's `eta_g` is its learning rate.
        weighting: `NUM_EXAMPLES`, or `UNIFORM`, as published.
        aggregator: As in FedAvg. One that clips sees updates times s(tau).
        gradient_estimator: Defaults to the gradient of the batch's mean loss.
        local_rule: Defaults to plain steps. It may keep no state: institutions
            that begin anew would find a state of the server's round, not theirs.
        store: How clients get at their rows; defaults to `InMemory`.

    Returns:
        The learning process, with FedAvg's hyperparameters.

    Raises:
        ValueError: If the exponent is below -1, if the rule keeps state, or if
            `store` groups institutions.
    """
    client_work = build_local_epochs_work(
        model,
        client_optimizer,
        batches=batches,
        weighting=weighting,
        gradient_estimator=gradient_estimator,
        local_rule=local_rule,
        store=ArrivalStore(model, store),
        around=StalenessWeighting(exponent=staleness_exponent).around,
    )
    return compose(
        model,
        client_work,
        weighting=weighting,
        aggregator=aggregator,
        server_optimizer=server_optimizer or tff.learning.optimizers.build_sgdm(1.0),
    )

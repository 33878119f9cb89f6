"""FedProx: FedAvg whose local training is held back towards the global weights.

Each institution takes its local steps on `f_i(w) + mu / 2 * |w - theta_t|^2`; the
server does what it does in FedAvg. With mu = 0 it is FedAvg.

Source: Li et al. (2020), Algorithm 2, https://arxiv.org/abs/1812.06127.
"""

import tensorflow_federated as tff

from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.gradient_estimator import GradientEstimator
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.proximal import Proximal
from tff_finance.client_work.update_rule import UpdateRule
from tff_finance.institutions.examples import ExampleStore
from tff_finance.institutions.state import InstitutionStateFiles


def build_fed_prox(
    model: tff.learning.models.FunctionalModel,
    *,
    mu: float,
    client_optimizer: tff.learning.optimizers.Optimizer,
    batches: LocalEpochs | PoissonBatches,
    server_optimizer: tff.learning.optimizers.Optimizer | None = None,
    weighting: tff.learning.ClientWeighting = tff.learning.ClientWeighting.NUM_EXAMPLES,
    aggregator: tff.aggregators.AggregationFactory | None = None,
    gradient_estimator: GradientEstimator | None = None,
    update_rule: UpdateRule | None = None,
    state_files: InstitutionStateFiles | None = None,
    store: ExampleStore | None = None,
) -> tff.learning.templates.LearningProcess:
    """Builds FedProx.

    `next`: `<S@SERVER, {B*}@CLIENTS> -> <S@SERVER, metrics@SERVER>`; `B` one
    institution's records, a sequence of exactly one element of
    `institutions.examples.examples_type`, or of the type that `store` gives.

    Args:
        model: Model without batch-coupled layers.
        mu: Strength of the proximal term, at least 0; the paper tried 0.001 to 1.
        client_optimizer: Local optimizer, fresh in every round.
        batches: Local epochs, batch size and order.
        server_optimizer: As in FedAvg.
        weighting: `NUM_EXAMPLES`, or `UNIFORM` over institutions with examples.
        aggregator: As in FedAvg.
        gradient_estimator: Defaults to the gradient of the batch's mean loss. The
            proximal term needs no rows and is added to what it returns. A private
            one goes with `PoissonBatches`.
        update_rule: As in FedAvg.
        state_files: Where that rule's institution state lies.
        store: How clients get at their rows; defaults to `InMemory`. Groups need
            the default aggregator.

    Returns:
        The learning process, with FedAvg's hyperparameters.
    """
    return build_fed_avg(
        model,
        client_optimizer=client_optimizer,
        batches=batches,
        server_optimizer=server_optimizer,
        weighting=weighting,
        aggregator=aggregator,
        gradient_estimator=gradient_estimator,
        local_rule=Proximal(mu),
        update_rule=update_rule,
        state_files=state_files,
        store=store,
    )

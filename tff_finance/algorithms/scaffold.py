"""SCAFFOLD: local steps corrected by control variates.

Institution i keeps a variate `c_i`, the server their mean `c` over all N:

    y_i <- y_i - eta_l (g_i(y_i) - c_i + c)         K_i times, from y_i = x
    c_i+ = c_i - c + (x - y_i) / (K_i eta_l)
    x <- x + eta_g mean over the cohort of (y_i - x)
    c <- c + |S| / N mean over the cohort of (c_i+ - c_i)

Twice the traffic of FedAvg. The variates stay at the institution; their changes, which
are gradients, are summed in the clear at the server, whatever the aggregator. So an
aggregator that protects updates is refused; with private gradients variates are made of
these, and protected as they are.

Source: Karimireddy et al. (2020), Algorithm 1, option II,
https://arxiv.org/abs/1910.06378.
"""

import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.control_variates import ControlVariates
from tff_finance.client_work.gradient_estimator import GradientEstimator
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.update_rule import UpdateRule
from tff_finance.institutions.examples import ExampleStore
from tff_finance.institutions.state import InstitutionStateFiles


def build_scaffold(
    model: tff.learning.models.FunctionalModel,
    *,
    client_learning_rate: float,
    batches: LocalEpochs | PoissonBatches,
    num_institutions: int,
    state_files: InstitutionStateFiles,
    server_optimizer: tff.learning.optimizers.Optimizer | None = None,
    weighting: tff.learning.ClientWeighting = tff.learning.ClientWeighting.UNIFORM,
    aggregator: tff.aggregators.AggregationFactory | None = None,
    gradient_estimator: GradientEstimator | None = None,
    update_rule: UpdateRule | None = None,
    store: ExampleStore | None = None,
) -> tff.learning.templates.LearningProcess:
    """Builds SCAFFOLD.

    `next`: `<S@SERVER, {B*}@CLIENTS> -> <S@SERVER, metrics@SERVER>`; `B` one
    institution's records, a sequence of exactly one element of
    `institutions.examples.examples_type`, or of the type that `store` gives.

    An institution whose update isn't finite, or which has no rows, leaves variates
    and weights as they are.

    Args:
        model: Model without batch-coupled layers.
        client_learning_rate: Of local SGD, the only local optimizer for which
            `(x - y_i) / (K eta_l)` is a mean of gradients.
        batches: Local epochs, batch size and order.
        num_institutions: N, of the whole population that cohorts are drawn from.
        state_files: Where the institutions' variates lie. One training run at a
            time may use them; `training.loop.train` takes them too.
        server_optimizer: Takes the mean of the updates as its gradient; defaults
            to SGD with learning rate 1. The paper's `eta_g` is its learning rate.
        weighting: `UNIFORM`, as published, or `NUM_EXAMPLES`: then `c` is the mean
            weighted by rows too, so that FedAvg's objective is minimised.
        aggregator: Of the updates, not of the variates; as in FedAvg, but none that
            adds noise or sums securely.
        gradient_estimator: Defaults to the gradient of the batch's mean loss; a
            private one goes with `PoissonBatches`.
        update_rule: As in FedAvg; variates follow from the update before it.
        store: How clients get at their rows; defaults to `InMemory`. Groups need
            the default aggregator.

    Returns:
        The learning process, with FedAvg's hyperparameters.

    Raises:
        ValueError: If a number is not positive, or if `aggregator` adds noise or sums
            securely, which would leave the variates' changes unprotected.
    """
    checks.check_positive("client_learning_rate", client_learning_rate)
    return build_fed_avg(
        model,
        client_optimizer=tff.learning.optimizers.build_sgdm(client_learning_rate),
        batches=batches,
        server_optimizer=server_optimizer,
        weighting=weighting,
        aggregator=aggregator,
        gradient_estimator=gradient_estimator,
        local_rule=ControlVariates(num_institutions),
        update_rule=update_rule,
        state_files=state_files,
        store=store,
    )

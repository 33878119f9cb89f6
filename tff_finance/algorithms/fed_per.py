"""FedPer: a shared trunk with local heads.

The model's last layers, its head, stay at the institution as its state; all others,
the trunk, are broadcast and averaged as in FedAvg. Local steps train both:

    (theta_i, h_i) <- local epochs from (theta, h_i)
    theta <- theta + sum_i p_i (theta_i - theta)

Only the trunk travels. Heads may predict different things: institutions that have the
same features and different labels train one trunk, and each its own head (multi-task
learning), by the same process.

Source: Arivazhagan et al. (2019), Algorithms 1 and 2, https://arxiv.org/abs/1912.00818.
"""

from typing import Any

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.algorithms.composition import compose
from tff_finance.client_work import weights as weights_lib
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.gradient_estimator import GradientEstimator
from tff_finance.client_work.local_epochs_work import build_local_epochs_work
from tff_finance.client_work.local_head import LocalHead
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.institutions.examples import ExampleStore, InMemory
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.metrics.validation import build_federated_validation

Model = tff.learning.models.FunctionalModel


def build_fed_per(
    model: Model,
    *,
    num_local: int,
    client_optimizer: tff.learning.optimizers.Optimizer,
    batches: LocalEpochs | PoissonBatches,
    state_files: InstitutionStateFiles,
    server_optimizer: tff.learning.optimizers.Optimizer | None = None,
    weighting: tff.learning.ClientWeighting = tff.learning.ClientWeighting.NUM_EXAMPLES,
    aggregator: tff.aggregators.AggregationFactory | None = None,
    gradient_estimator: GradientEstimator | None = None,
    store: ExampleStore | None = None,
) -> tff.learning.templates.LearningProcess:
    """Builds FedPer.

    `next`: `<S@SERVER, {B*}@CLIENTS> -> <S@SERVER, metrics@SERVER>`; `B` one
    institution's records, a sequence of exactly one element of
    `institutions.examples.examples_type`, or of the type that `store` gives. The
    model weights in `S` are the trunk's.

    An institution whose update isn't finite, or which has no rows, leaves trunk and
    head as they are; one that misses rounds goes on with the head of its last one.

    Args:
        model: Model without batch-coupled layers. An institution without a head
            begins with the model's initial one (`LocalHead.begin` gives it another).
        num_local: How many of the trainable weights, the last ones, are the head: a
            dense layer has two, kernel and bias. 0 is FedAvg.
        client_optimizer: Local optimizer, fresh in every round.
        batches: Local epochs, batch size and order.
        state_files: Where the institutions' heads lie. One training run at a
            time may use them; `training.loop.train` takes them too.
        server_optimizer: Takes the mean of the trunk's updates as its gradient;
            defaults to SGD with learning rate 1, which adds the mean delta.
        weighting: `NUM_EXAMPLES`, or `UNIFORM` over institutions with examples.
        aggregator: Of the trunk's updates; as in FedAvg.
        gradient_estimator: Defaults to the gradient of the batch's mean loss.
        store: How clients get at their rows; defaults to `InMemory`.

    Returns:
        The learning process, with FedAvg's hyperparameters.

    Raises:
        ValueError: If the model hasn't so many trainable weights.
    """
    head = local_head(model, num_local)
    client_work = build_local_epochs_work(
        model,
        client_optimizer,
        batches=batches,
        weighting=weighting,
        gradient_estimator=gradient_estimator,
        local_rule=head,
        state_files=state_files,
        store=store,
    )
    return compose(
        model,
        client_work,
        weighting=weighting,
        aggregator=aggregator,
        store=store,
        server_optimizer=server_optimizer or tff.learning.optimizers.build_sgdm(1.0),
        num_shared=num_trunk(model, num_local),
    )


def build_fed_per_validation(
    model: Model,
    *,
    num_local: int,
    state_files: InstitutionStateFiles,
    store: ExampleStore | None = None,
    with_auc: bool = False,
) -> tff.Computation:
    """Builds validation in which every institution uses its own newest head.

    `<W@SERVER, {B*}@CLIENTS> -> <log_loss_sum, correct, rows>@SERVER`; `W` the
    trunk's weights, the sums as in `build_federated_validation`. Its order in time
    matters: it reads what the round before it wrote.

    Args:
        model: That the process was built with.
        num_local: Likewise.
        state_files: Likewise.
        store: Likewise.
        with_auc: As in `build_federated_validation`.

    Returns:
        The computation.
    """
    head = local_head(model, num_local)
    store = store or InMemory()

    def complete(trunk: Any, institution: tf.Tensor) -> Any:
        own = head.read(state_files, institution) if head else ()
        return tff.learning.models.ModelWeights(
            (*trunk.trainable, *own), tuple(trunk.non_trainable)
        )

    return build_federated_validation(
        model,
        weights_type=weights_lib.weights_type(model, num_trunk(model, num_local)),
        element_type=store.element_type(weights_lib.num_features(model)),
        complete=complete,
        with_auc=with_auc,
    )


def local_head(model: Model, num_local: int) -> LocalHead | None:
    """The head's rule; None if there is no head."""
    first = num_trunk(model, num_local)
    initial = model.initial_weights[0][first:]
    return LocalHead(initial) if initial else None


def num_trunk(model: Model, num_local: int) -> int:
    """How many of the trainable weights are the trunk.

    Args:
        model: The whole model.
        num_local: How many are the head.

    Returns:
        All others.

    Raises:
        ValueError: If the model hasn't so many.
    """
    number = len(model.initial_weights[0])
    checks.check_in_range("num_local", num_local, 0, number)
    return number - num_local

"""The reference that federated learning is measured against: training at one site.

With all rows pooled at that site it is centralized training; with one
institution's rows, that institution alone. One round is one epoch, and unlike
in FedAvg the optimizer's state lasts from epoch to epoch. It is a
`LearningProcess` as any other, so the same loop, early stopping and evaluation
serve references and federated algorithms.
"""

import collections
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.client_work import weights as weights_lib
from tff_finance.client_work.batches import (
    LocalEpochs,
    institution_round_seed,
)
from tff_finance.client_work.gradient_estimator import (
    GradientEstimator,
    build_mean_gradient,
)
from tff_finance.client_work.local_rule import LocalRule
from tff_finance.client_work.local_training import LocalTraining, LocalTrainingResult
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.institutions.examples import ExampleStore, InMemory
from tff_finance.institutions.rows import rows_of


def build_single_site(
    model: tff.learning.models.FunctionalModel,
    *,
    optimizer: tff.learning.optimizers.Optimizer,
    batches: LocalEpochs | PoissonBatches,
    gradient_estimator: GradientEstimator | None = None,
    store: ExampleStore | None = None,
) -> tff.learning.templates.LearningProcess:
    """Builds training at a single site.

    `next`: `<S@SERVER, {B*}@CLIENTS> -> <S@SERVER, metrics@SERVER>` for exactly
    one client; `B` its records, a sequence of exactly one element of
    `institutions.examples.examples_type`. More clients are refused at run time.

    Args:
        model: Model without batch-coupled layers.
        optimizer: Its state lasts for the whole training.
        batches: Epochs per round, batch size and order.
        gradient_estimator: Defaults to the gradient of the batch's mean loss.
        store: How the site gets at its rows; defaults to `InMemory`.

    Returns:
        The learning process; hyperparameters are the optimizer's and `seed`.
    """
    training = LocalTraining(
        optimizer=optimizer,
        gradient_estimator=gradient_estimator or build_mean_gradient(model),
        local_rule=LocalRule(),
    )
    private = isinstance(batches, PoissonBatches)  # which gives no loss away
    initial_state = _build_initial_state(model, optimizer)
    state_type = initial_state.type_signature.result
    num_features = weights_lib.num_features(model)
    data_type = tff.SequenceType((store or InMemory()).element_type(num_features))

    @tf.function
    def train(state: Any, examples: Any) -> LocalTrainingResult:
        return training.run(
            trainable=tuple(state["weights"].trainable),
            non_trainable=tuple(state["weights"].non_trainable),
            optimizer_state=tf.nest.map_structure(
                tf.convert_to_tensor, state["optimizer"]
            ),
            rule_state=(),
            shared=(),
            rows=rows_of(examples, num_features),
            batches=batches,
            seed=institution_round_seed(
                state["seed"], state["round"], examples["institution"]
            ),
            finish=lambda result: result,
        )

    @tff.tensorflow.computation(state_type, data_type)
    def site_update(state: Any, dataset: Any) -> Any:
        examples = dataset.get_single_element()
        result = train(state, examples)
        num_rows = rows_of(examples, num_features).num_rows
        return collections.OrderedDict(
            trainable=result.trainable,
            optimizer=result.optimizer_state,
            loss_sum=() if private else tf.cast(result.loss_sum, tf.float64),
            num_examples=tf.cast(num_rows, tf.int64),
            sites=tf.constant(1),
        )

    @tff.tensorflow.computation(state_type, site_update.type_signature.result)
    def finish_round(state: Any, update: Any) -> Any:
        one_site = tf.debugging.assert_equal(
            update["sites"], 1, message="Training at a single site takes one client."
        )
        with tf.control_dependencies([one_site]):
            number = state["round"] + 1
        rows = tf.cast(update["num_examples"] * batches.epochs, tf.float64)
        metrics = collections.OrderedDict(num_examples=update["num_examples"])
        if not private:
            metrics["loss"] = update["loss_sum"] / rows
        weights = tff.learning.models.ModelWeights(
            update["trainable"], state["weights"].non_trainable
        )
        new_state = collections.OrderedDict(
            state, round=number, weights=weights, optimizer=update["optimizer"]
        )
        return new_state, metrics

    @tff.federated_computation
    def initialize() -> Any:
        return tff.federated_eval(initial_state, tff.SERVER)

    @tff.federated_computation(
        tff.FederatedType(state_type, tff.SERVER),
        tff.FederatedType(data_type, tff.CLIENTS),
    )
    def next_fn(state: Any, data: Any) -> Any:
        updates = tff.federated_map(site_update, (tff.federated_broadcast(state), data))
        # The sum over one client is that client's own.
        new_state, metrics = tff.federated_map(
            finish_round, (state, tff.federated_sum(updates))
        )
        return tff.learning.templates.LearningProcessOutput(new_state, metrics)

    return tff.learning.templates.LearningProcess(
        initialize, next_fn, **_build_accessors(state_type, optimizer)
    )


def _build_initial_state(
    model: tff.learning.models.FunctionalModel,
    optimizer: tff.learning.optimizers.Optimizer,
) -> tff.Computation:
    spec = weights_lib.trainable_spec(model)
    initial_weights = weights_lib.build_initial_weights(model)

    @tff.tensorflow.computation
    def initial_state() -> Any:
        return collections.OrderedDict(
            round=np.int32(0),
            seed=np.int32(0),
            weights=initial_weights(),
            optimizer=optimizer.initialize(spec),
        )

    return initial_state


def _build_accessors(
    state_type: tff.Type, optimizer: tff.learning.optimizers.Optimizer
) -> dict[str, tff.Computation]:
    """Weights and hyperparameters, read and set, as arguments of LearningProcess."""

    @tff.tensorflow.computation(state_type)
    def get_model_weights(state: Any) -> Any:
        return state["weights"]

    @tff.tensorflow.computation(state_type, state_type["weights"])
    def set_model_weights(state: Any, weights: Any) -> Any:
        return collections.OrderedDict(state, weights=weights)

    @tff.tensorflow.computation(state_type)
    def get_hparams(state: Any) -> Any:
        return collections.OrderedDict(
            client_work=collections.OrderedDict(
                optimizer.get_hparams(state["optimizer"]), seed=state["seed"]
            )
        )

    @tff.tensorflow.computation(state_type, get_hparams.type_signature.result)
    def set_hparams(state: Any, hparams: Any) -> Any:
        settings = collections.OrderedDict(hparams["client_work"])
        seed = settings.pop("seed")
        optimizer_state = optimizer.set_hparams(state["optimizer"], settings)
        return collections.OrderedDict(state, seed=seed, optimizer=optimizer_state)

    return {
        "get_model_weights": get_model_weights,
        "set_model_weights": set_model_weights,
        "get_hparams_fn": get_hparams,
        "set_hparams_fn": set_hparams,
    }

"""The methods of a comparison, built from their names and the configuration."""

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work import weights as weights_lib
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.evaluation.gradient_boosting import GradientBoosting
from tff_finance.evaluation.methods import (
    Centralized,
    Federated,
    Learner,
    Local,
    Method,
)
from tff_finance.institutions.examples import ExampleStore
from tff_finance.metrics.validation import build_federated_validation
from tff_finance.records.config import TrainingConfig
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import RISK
from tff_finance.tasks.task import Task
from tff_finance.training.progress import StoppingRule


def build_methods(
    names: tuple[str, ...],
    num_features: int,
    training: TrainingConfig,
    *,
    store: ExampleStore,
    task: Task = RISK,
    positive_weight: float = 1.0,
) -> list[Method]:
    """Builds the methods; local and centralized share their computations.

    Args:
        names: Of the methods, from `records.config.METHODS`.
        num_features: Width of the encoded table.
        training: How models are trained.
        store: How clients get at their rows.
        task: Gives the model.
        positive_weight: Weight of a positive row in the loss of every network;
            scores are corrected for it. Boosting has none.

    Returns:
        The methods in the order of their names.

    Raises:
        ValueError: If there is no method of a name.
    """

    def build_keras_model(seed: int | None) -> tf.keras.Model:
        return task.build_model(
            num_features,
            hidden_units=training.hidden_units,
            seed=seed,
            positive_weight=positive_weight,
        )

    model = keras_models.functional_model(lambda: build_keras_model(0))
    validation = build_federated_validation(
        model,
        weights_type=weights_lib.weights_type(model),
        element_type=store.element_type(num_features),
    )
    single_site = build_single_site(
        model,
        optimizer=_sgd(training.client_learning_rate),
        batches=LocalEpochs(epochs=1, batch_size=training.batch_size),
        store=store,
    )

    def learner(
        process: tff.learning.templates.LearningProcess, stopping: StoppingRule
    ) -> Learner:
        return Learner(
            process=process,
            build_keras_model=build_keras_model,
            validation=validation,
            stopping=stopping,
            store=store,
        )

    def build(name: str) -> Method:
        epochs = StoppingRule(
            max_rounds=training.max_epochs, patience=training.patience
        )
        match name:
            case "local":
                return Local(name=name, learner=learner(single_site, epochs))
            case "centralized":
                return Centralized(name=name, learner=learner(single_site, epochs))
            case "fed_avg":
                return Federated(
                    name=name,
                    learner=learner(
                        _fed_avg(model, training, store),
                        StoppingRule(
                            max_rounds=training.rounds, patience=training.patience
                        ),
                    ),
                )
            case "fed_sgd":
                return Federated(
                    name=name,
                    learner=learner(
                        _fed_sgd(model, training, store),
                        StoppingRule(
                            max_rounds=training.fed_sgd_rounds,
                            patience=training.fed_sgd_patience,
                            validate_every=training.fed_sgd_validate_every,
                        ),
                    ),
                )
            case "gradient_boosting":
                return GradientBoosting(name=name)
            case _:
                raise ValueError(f"`names` has no method {name!r}.")

    return [build(name) for name in names]


def _fed_avg(
    model: tff.learning.models.FunctionalModel,
    training: TrainingConfig,
    store: ExampleStore,
) -> tff.learning.templates.LearningProcess:
    return build_fed_avg(
        model,
        client_optimizer=_sgd(training.client_learning_rate),
        batches=LocalEpochs(
            epochs=training.local_epochs, batch_size=training.batch_size
        ),
        weighting=_weighting(training),
        store=store,
    )


def _fed_sgd(
    model: tff.learning.models.FunctionalModel,
    training: TrainingConfig,
    store: ExampleStore,
) -> tff.learning.templates.LearningProcess:
    return build_fed_sgd(
        model,
        server_optimizer=_sgd(training.fed_sgd_learning_rate),
        weighting=_weighting(training),
        store=store,
    )


def _sgd(learning_rate: float) -> tff.learning.optimizers.Optimizer:
    return tff.learning.optimizers.build_sgdm(learning_rate)


def _weighting(training: TrainingConfig) -> tff.learning.ClientWeighting:
    if training.weighting == "uniform":
        return tff.learning.ClientWeighting.UNIFORM
    return tff.learning.ClientWeighting.NUM_EXAMPLES

"""The methods of a comparison, built from their names and the configuration."""

import functools
import pathlib
from collections.abc import Callable, Mapping

import tensorflow as tf

from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_prox import build_fed_prox
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.algorithms.server_optimizers import build_server_optimizer
from tff_finance.client_work import weights as weights_lib
from tff_finance.evaluation.asynchronous_methods import fed_buff
from tff_finance.evaluation.branch_plans import PLANS
from tff_finance.evaluation.compressed_methods import (
    quantized_fed_avg,
    tff_compressed_fed_avg,
    top_k_fed_avg,
)
from tff_finance.evaluation.fed_md import fed_md
from tff_finance.evaluation.gradient_boosting import GradientBoosting
from tff_finance.evaluation.institution_private_methods import (
    build_fed_avg_branches,
    build_institution_private,
)
from tff_finance.evaluation.methods import Federated, Method
from tff_finance.evaluation.personal_methods import fed_per, fine_tuned
from tff_finance.evaluation.private_methods import (
    build_fed_avg_dp_sgd,
    build_fed_avg_poisson,
)
from tff_finance.evaluation.references import Centralized, Local
from tff_finance.evaluation.robust_methods import ROBUST_AGGREGATORS, BuildAggregator
from tff_finance.evaluation.secure_methods import build_fed_avg_secure
from tff_finance.evaluation.suite import Suite
from tff_finance.institutions.examples import ExampleStore
from tff_finance.metrics.validation import build_federated_validation
from tff_finance.records.training_config import TrainingConfig
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
    num_institutions: int | None = None,
    state_directory: pathlib.Path | None = None,
    task: Task = RISK,
    positive_weight: float = 1.0,
) -> list[Method]:
    """Builds the methods; local and centralized share their computations.

    Args:
        names: Of the methods, from `records.method_names.METHODS`.
        num_features: Width of the encoded table.
        training: How models are trained.
        store: How clients get at their rows.
        num_institutions: That take part; SCAFFOLD and FedPer need it.
        state_directory: Where institutions keep state between rounds, a folder of
            this run alone; SCAFFOLD, FedPer and top-k sparsification need it.
        task: Gives the model.
        positive_weight: Weight of a positive row in the loss of every network;
            scores are corrected for it. Boosting has none.

    Returns:
        The methods in the order of their names.

    Raises:
        ValueError: If there is no method of a name, or if one lacks what it needs.
    """
    for name in names:
        if name not in _BUILDERS:
            raise ValueError(f"`names` has no method {name!r}.")
    training.check_suits(names)

    def suite_of(hidden_units: tuple[int, ...]) -> Suite:
        def build_keras_model(seed: int | None) -> tf.keras.Model:
            return task.build_model(
                num_features,
                hidden_units=hidden_units,
                seed=seed,
                positive_weight=positive_weight,
            )

        model = keras_models.functional_model(lambda: build_keras_model(0))
        return Suite(
            build_keras_model=build_keras_model,
            model=model,
            validation=build_federated_validation(
                model,
                weights_type=weights_lib.weights_type(model),
                element_type=store.element_type(num_features),
                with_auc=training.validation_auc,
            ),
            training=training,
            store=store,
            num_institutions=num_institutions,
            state_directory=state_directory,
            of_hidden_units=suite_of,
        )

    suite = suite_of(training.hidden_units)
    return [_BUILDERS[name](suite, name) for name in names]


def _local(suite: Suite, name: str) -> Method:
    return Local(name=name, learner=suite.single_site)


def _centralized(suite: Suite, name: str) -> Method:
    return Centralized(name=name, learner=suite.single_site)


def _gradient_boosting(suite: Suite, name: str) -> Method:
    del suite
    return GradientBoosting(name=name)


def _fed_avg(
    suite: Suite,
    name: str,
    *,
    server_optimizer: str | None = None,
    build_aggregator: BuildAggregator | None = None,
) -> Method:
    process = build_fed_avg(
        suite.model,
        client_optimizer=suite.client_optimizer,
        batches=suite.batches,
        server_optimizer=suite.server_optimizer(server_optimizer),
        weighting=suite.weighting,
        aggregator=build_aggregator(suite.training) if build_aggregator else None,
        store=suite.store,
        hostile=suite.hostile,
    )
    return suite.of_local_epochs(name, process)


def _fed_prox(suite: Suite, name: str) -> Method:
    process = build_fed_prox(
        suite.model,
        mu=suite.training.proximal_mu,
        client_optimizer=suite.client_optimizer,
        batches=suite.batches,
        server_optimizer=suite.server_optimizer(),
        weighting=suite.weighting,
        store=suite.store,
    )
    return suite.of_local_epochs(name, process)


def _scaffold(suite: Suite, name: str) -> Method:
    state_files = suite.state_files(name)
    assert suite.num_institutions
    process = build_scaffold(
        suite.model,
        client_learning_rate=suite.training.client_learning_rate,
        batches=suite.batches,
        num_institutions=suite.num_institutions,
        state_files=state_files,
        server_optimizer=suite.server_optimizer(),
        weighting=suite.weighting,
        store=suite.store,
    )
    return suite.of_local_epochs(name, process, state_files)


def _fed_sgd(suite: Suite, name: str) -> Method:
    training = suite.training
    process = build_fed_sgd(
        suite.model,
        server_optimizer=build_server_optimizer(
            training.server_optimizer, training.fed_sgd_learning_rate
        ),
        weighting=suite.weighting,
        store=suite.store,
    )
    stopping = StoppingRule(
        max_rounds=training.fed_sgd_rounds,
        patience=training.fed_sgd_patience,
        validate_every=training.fed_sgd_validate_every,
    )
    learner = suite.learner(process, stopping, rates=(), cohorts=True)
    return Federated(name=name, learner=learner)


_BUILDERS: Mapping[str, Callable[[Suite, str], Method]] = {
    "local": _local,
    "centralized": _centralized,
    "gradient_boosting": _gradient_boosting,
    "fed_avg": _fed_avg,
    "fed_sgd": _fed_sgd,
    "fed_prox": _fed_prox,
    "scaffold": _scaffold,
    "fed_avgm": functools.partial(_fed_avg, server_optimizer="momentum"),
    "fed_adagrad": functools.partial(_fed_avg, server_optimizer="adagrad"),
    "fed_adam": functools.partial(_fed_avg, server_optimizer="adam"),
    "fed_yogi": functools.partial(_fed_avg, server_optimizer="yogi"),
    "fed_buff": fed_buff,
    "fine_tuned": fine_tuned,
    "fed_per": fed_per,
    "fed_md": fed_md,
    **{
        name: functools.partial(_fed_avg, build_aggregator=build)
        for name, build in ROBUST_AGGREGATORS.items()
    },
    "fed_avg_dp_sgd": build_fed_avg_dp_sgd,
    "fed_avg_poisson": build_fed_avg_poisson,
    "fed_avg_quantized": quantized_fed_avg,
    "fed_avg_top_k": top_k_fed_avg,
    "fed_avg_tff_compressed": tff_compressed_fed_avg,
    "fed_avg_secure": build_fed_avg_secure,
    "fed_avg_branches": build_fed_avg_branches,
    **dict.fromkeys(PLANS, build_institution_private),
}

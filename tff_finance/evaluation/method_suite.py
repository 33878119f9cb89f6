"""The methods of a comparison, built from their names and the configuration."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.algorithms.client_optimizers import build_client_optimizer
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_prox import build_fed_prox
from tff_finance.algorithms.fed_sgd import build_fed_sgd
from tff_finance.algorithms.scaffold import build_scaffold
from tff_finance.algorithms.server_optimizers import build_server_optimizer
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
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.metrics.validation import build_federated_validation
from tff_finance.records.config import TrainingConfig
from tff_finance.tasks import keras_models
from tff_finance.tasks.risk import RISK
from tff_finance.tasks.task import Task
from tff_finance.training.plateau import ReduceOnPlateau
from tff_finance.training.progress import StoppingRule

LearningProcess = tff.learning.templates.LearningProcess


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
        names: Of the methods, from `records.config.METHODS`.
        num_features: Width of the encoded table.
        training: How models are trained.
        store: How clients get at their rows.
        num_institutions: That take part; SCAFFOLD needs it.
        state_directory: Where institutions keep state between rounds, a folder of
            this run alone; SCAFFOLD needs it.
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

    def build_keras_model(seed: int | None) -> tf.keras.Model:
        return task.build_model(
            num_features,
            hidden_units=training.hidden_units,
            seed=seed,
            positive_weight=positive_weight,
        )

    model = keras_models.functional_model(lambda: build_keras_model(0))
    suite = _Suite(
        build_keras_model=build_keras_model,
        model=model,
        validation=build_federated_validation(
            model,
            weights_type=weights_lib.weights_type(model),
            element_type=store.element_type(num_features),
        ),
        training=training,
        store=store,
        num_institutions=num_institutions,
        state_directory=state_directory,
    )
    return [_BUILDERS[name](suite, name) for name in names]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Suite:
    """What the methods of a comparison have in common."""

    build_keras_model: Callable[[int | None], tf.keras.Model]
    model: tff.learning.models.FunctionalModel
    validation: tff.Computation
    training: TrainingConfig
    store: ExampleStore
    num_institutions: int | None
    state_directory: pathlib.Path | None

    @functools.cached_property
    def single_site(self) -> Learner:
        """What local and centralized share."""
        process = build_single_site(
            self.model,
            optimizer=self.client_optimizer,
            batches=LocalEpochs(epochs=1, batch_size=self.training.batch_size),
            store=self.store,
        )
        stopping = StoppingRule(
            max_rounds=self.training.max_epochs, patience=self.training.patience
        )
        return self.learner(process, stopping, rates=("client",))

    def learner(
        self,
        process: LearningProcess,
        stopping: StoppingRule,
        *,
        rates: tuple[str, ...],
        institution_state: InstitutionStateFiles | None = None,
    ) -> Learner:
        """A process with all that its training needs; `rates` may be reduced."""
        training = self.training
        return Learner(
            process=process,
            build_keras_model=self.build_keras_model,
            validation=self.validation,
            stopping=stopping,
            store=self.store,
            institution_state=institution_state,
            plateaus=tuple(
                ReduceOnPlateau(
                    rate=rate,
                    factor=training.plateau_factor,
                    patience=training.plateau_patience,
                    minimum=training.plateau_minimum,
                )
                for rate in training.plateau_rates
                if rate in rates
            ),
        )

    def of_local_epochs(
        self,
        name: str,
        process: LearningProcess,
        institution_state: InstitutionStateFiles | None = None,
    ) -> Method:
        """A method whose rounds are local epochs and a server step."""
        stopping = StoppingRule(
            max_rounds=self.training.rounds, patience=self.training.patience
        )
        learner = self.learner(
            process,
            stopping,
            rates=("client", "server"),
            institution_state=institution_state,
        )
        return Federated(name=name, learner=learner)

    @property
    def client_optimizer(self) -> tff.learning.optimizers.Optimizer:
        """Of local steps."""
        return build_client_optimizer(
            self.training.client_optimizer, self.training.client_learning_rate
        )

    @property
    def batches(self) -> LocalEpochs:
        """Of local epochs."""
        return LocalEpochs(
            epochs=self.training.local_epochs, batch_size=self.training.batch_size
        )

    @property
    def weighting(self) -> tff.learning.ClientWeighting:
        """Of the institutions' updates."""
        if self.training.weighting == "uniform":
            return tff.learning.ClientWeighting.UNIFORM
        return tff.learning.ClientWeighting.NUM_EXAMPLES

    def server_optimizer(
        self, name: str | None = None
    ) -> tff.learning.optimizers.Optimizer:
        """The named one, or the one that the configuration names."""
        return build_server_optimizer(
            name or self.training.server_optimizer, self.training.server_learning_rate
        )


def _local(suite: _Suite, name: str) -> Method:
    return Local(name=name, learner=suite.single_site)


def _centralized(suite: _Suite, name: str) -> Method:
    return Centralized(name=name, learner=suite.single_site)


def _gradient_boosting(suite: _Suite, name: str) -> Method:
    del suite
    return GradientBoosting(name=name)


def _fed_avg(
    suite: _Suite, name: str, *, server_optimizer: str | None = None
) -> Method:
    process = build_fed_avg(
        suite.model,
        client_optimizer=suite.client_optimizer,
        batches=suite.batches,
        server_optimizer=suite.server_optimizer(server_optimizer),
        weighting=suite.weighting,
        store=suite.store,
    )
    return suite.of_local_epochs(name, process)


def _fed_prox(suite: _Suite, name: str) -> Method:
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


def _scaffold(suite: _Suite, name: str) -> Method:
    if suite.num_institutions is None or suite.state_directory is None:
        raise ValueError(
            f"`num_institutions` and `state_directory` must be given: {name} keeps "
            "state at each institution."
        )
    state_files = InstitutionStateFiles(str(suite.state_directory.absolute() / name))
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


def _fed_sgd(suite: _Suite, name: str) -> Method:
    training = suite.training
    process = build_fed_sgd(
        suite.model,
        server_optimizer=build_server_optimizer("sgd", training.fed_sgd_learning_rate),
        weighting=suite.weighting,
        store=suite.store,
    )
    stopping = StoppingRule(
        max_rounds=training.fed_sgd_rounds,
        patience=training.fed_sgd_patience,
        validate_every=training.fed_sgd_validate_every,
    )
    return Federated(name=name, learner=suite.learner(process, stopping, rates=()))


_BUILDERS: Mapping[str, Callable[[_Suite, str], Method]] = {
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
}

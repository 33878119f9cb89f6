"""What the methods of a comparison have in common, and are built from."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.algorithms.client_optimizers import build_client_optimizer
from tff_finance.algorithms.server_optimizers import build_server_optimizer
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.hostile import HostileInstitutions
from tff_finance.evaluation.methods import Federated, Learner, Method
from tff_finance.institutions.examples import ExampleStore
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.records.participation import EVERYONE
from tff_finance.records.robustness import NO_ATTACK
from tff_finance.records.training_config import TrainingConfig
from tff_finance.training import communication
from tff_finance.training.plateau import ReduceOnPlateau
from tff_finance.training.progress import StoppingRule
from tff_finance.training.rounds import Rounds, SynchronousRounds
from tff_finance.training.speeds import sites

LearningProcess = tff.learning.templates.LearningProcess


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Suite:
    """What the methods of a comparison have in common.

    Attributes:
        build_keras_model: The task's model, from a seed; None for no weights.
        model: The same for TFF.
        validation: `<W@SERVER, {B*}@CLIENTS> -> sums@SERVER`.
        training: How models are trained.
        store: How clients get at their rows.
        num_institutions: That take part, if known.
        state_directory: Where institutions keep state between rounds, if anywhere.
        of_hidden_units: The same for models with other hidden layers.
    """

    build_keras_model: Callable[[int | None], tf.keras.Model]
    model: tff.learning.models.FunctionalModel
    validation: tff.Computation
    training: TrainingConfig
    store: ExampleStore
    num_institutions: int | None
    state_directory: pathlib.Path | None
    of_hidden_units: Callable[[tuple[int, ...]], "Suite"]

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
        validation: tff.Computation | None = None,
        cohorts: bool = False,
        source: str = communication.SOURCE,
    ) -> Learner:
        """A process with all that its training needs.

        Args:
            process: The process.
            stopping: When training ends.
            rates: Which learning rates may be reduced.
            institution_state: The files that the process was built with, if any.
            validation: Defaults to that of the whole model.
            cohorts: Whether rounds may be of some of the institutions.
            source: Where byte counts come from.

        Returns:
            The learner.
        """
        training = self.training
        return Learner(
            process=process,
            build_keras_model=self.build_keras_model,
            validation=validation or self.validation,
            stopping=stopping,
            store=self.store,
            institution_state=institution_state,
            participation=(training.participation if cohorts else EVERYONE),
            source=source,
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
        source: str = communication.SOURCE,
    ) -> Method:
        """A method whose rounds are local epochs and a server step."""
        learner = self.learner_of_local_epochs(
            process, institution_state, source=source
        )
        return Federated(name=name, learner=learner)

    def learner_of_local_epochs(
        self,
        process: LearningProcess,
        institution_state: InstitutionStateFiles | None = None,
        validation: tff.Computation | None = None,
        source: str = communication.SOURCE,
    ) -> Learner:
        """A process whose rounds are local epochs and a server step."""
        clock = self.training.asynchronous
        stopping = StoppingRule(
            max_rounds=self.training.rounds,
            patience=self.training.patience,
            # What an attack does to a method is a result.
            ends_at_divergence=self.hostile is not None,
            max_simulated_seconds=clock.max_simulated_seconds,
        )
        learner = self.learner(
            process,
            stopping,
            rates=("client", "server"),
            institution_state=institution_state,
            validation=validation,
            cohorts=True,
            source=source,
        )
        if not clock.has_clock:
            return learner

        def build_rounds(
            data: Sequence[tf.data.Dataset], names: Sequence[str], seed: int
        ) -> Rounds:
            return SynchronousRounds(data, sites(clock, names, seed))

        return dataclasses.replace(learner, build_rounds=build_rounds)

    def state_files(self, name: str) -> InstitutionStateFiles:
        """Where the institutions of a method keep state between rounds.

        Args:
            name: Of the method.

        Returns:
            The files.

        Raises:
            ValueError: If the suite has nowhere for them.
        """
        if self.num_institutions is None or self.state_directory is None:
            raise ValueError(
                f"`num_institutions` and `state_directory` must be given: {name} keeps "
                "state at each institution."
            )
        return InstitutionStateFiles(str(self.state_directory.absolute() / name))

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

    @property
    def hostile(self) -> HostileInstitutions | None:
        """Who sends other updates than theirs, if anybody."""
        robustness = self.training.robustness
        if robustness.attack == NO_ATTACK:
            return None
        return HostileInstitutions(
            names=(robustness.hostile_institution,),
            attack=robustness.attack,
            factor=robustness.attack_factor,
        )

    def server_optimizer(
        self, name: str | None = None
    ) -> tff.learning.optimizers.Optimizer:
        """The named one, or the one that the configuration names."""
        return build_server_optimizer(
            name or self.training.server_optimizer, self.training.server_learning_rate
        )

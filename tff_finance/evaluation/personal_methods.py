"""Methods that end in a model for each institution, trained together before."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from tff_finance.algorithms.client_optimizers import build_client_optimizer
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.algorithms.fed_per import (
    build_fed_per,
    build_fed_per_validation,
    local_head,
)
from tff_finance.algorithms.single_site import build_single_site
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.client_work.local_head import LocalHead
from tff_finance.evaluation.methods import (
    GLOBAL,
    Fitted,
    Learner,
    Method,
    ModelWeights,
    curve_rows,
    federated_run,
)
from tff_finance.evaluation.references import local_run
from tff_finance.evaluation.suite import Suite
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.tasks import keras_models
from tff_finance.training.folder import TrainingFolder
from tff_finance.training.loop import Trained
from tff_finance.training.progress import StoppingRule


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuned:
    """A global model, then trained further at each institution alone.

    An institution keeps the epoch with the best loss on its own validation rows, the
    global model itself, epoch 0, being one of them; so by these rows it is no worse.

    Attributes:
        name: In tables and records.
        learner: Of the global model.
        tuner: Of the epochs at an institution; None for none.
    """

    name: str
    learner: Learner
    tuner: Learner | None

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Trains the global model, then one model per institution."""
        shared = self.learner.train(
            [i.train for i in institutions],
            [i.validation for i in institutions],
            seed=seed,
            label=f"seed {seed} {self.name}",
            model=GLOBAL,
            folder=folder,
        )
        curves = [*curve_rows(shared, seed, self.name, GLOBAL)]
        run = federated_run(
            self.learner,
            shared,
            seed=seed,
            method=self.name,
            institutions=len(institutions),
        )
        runs, scorers = [run], {}
        for i in institutions:
            weights = shared.weights
            if self.tuner:
                tuned = self._tune(self.tuner, i, shared, seed=seed, folder=folder)
                weights = tuned.weights
                curves += curve_rows(tuned, seed, self.name, i.institution)
                runs.append(
                    local_run(tuned, seed=seed, method=self.name, model=i.institution)
                )
            scorers[i.institution] = self.learner.scorer(weights)
        return Fitted(scorers=scorers, curves=tuple(curves), runs=tuple(runs))

    def _tune(
        self,
        tuner: Learner,
        i: TrainingExamples,
        shared: Trained,
        *,
        seed: int,
        folder: TrainingFolder | None,
    ) -> Trained:
        """Trains at an institution; the global model is what it has to beat."""
        tuned = tuner.train(
            [i.train],
            [i.validation],
            seed=seed,
            label=f"seed {seed} {self.name} {i.institution}",
            model=i.institution,
            folder=folder,
            initial_weights=shared.weights,
        )
        before = tuner.validated(shared.weights, [i.validation]).loss
        losses = [p.validation_loss for p in tuned.curve]
        if before <= min(loss for loss in losses if loss is not None):
            return dataclasses.replace(tuned, weights=shared.weights, best_round=0)
        return tuned


@dataclasses.dataclass(frozen=True, kw_only=True)
class FedPer:
    """A trunk that all share, and a head at each institution.

    Trunk and heads are those after the round with the best loss over the validation
    rows of all institutions, each judged with its own head.

    Attributes:
        name: In tables and records.
        learner: Of the trunk; its validation has every institution use its head.
        head: What stays at the institution; None for nothing.
        state_files: Where it lies.
    """

    name: str
    learner: Learner
    head: LocalHead | None
    state_files: InstitutionStateFiles

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Trains the trunk and all heads together."""
        initial = self.learner.initial_weights(seed)
        num_own = self.head.num_own_weights if self.head else 0
        num_shared = len(initial.trainable) - num_own
        if self.head:
            # Every institution begins with the same head, as with the same trunk.
            for i in institutions:
                self.head.begin(
                    self.state_files, i.institution, initial.trainable[num_shared:]
                )
        trained = self.learner.train(
            [i.train for i in institutions],
            [i.validation for i in institutions],
            seed=seed,
            label=f"seed {seed} {self.name}",
            model=GLOBAL,
            folder=folder,
            initial_weights=ModelWeights(
                initial.trainable[:num_shared], initial.non_trainable
            ),
        )
        run = federated_run(
            self.learner,
            trained,
            seed=seed,
            method=self.name,
            institutions=len(institutions),
        )
        names = [i.institution for i in institutions]
        return Fitted(
            scorers={n: self.learner.scorer(self._weights(trained, n)) for n in names},
            curves=curve_rows(trained, seed, self.name, GLOBAL),
            runs=(run,),
        )

    def _weights(self, trained: Trained, institution: str) -> ModelWeights:
        """The institution's model, as it knows it: the trunk, and its own head."""
        own = ()
        if self.head:
            own = self.head.read(
                self.state_files, tf.constant(institution), trained.best_round
            )
        return ModelWeights(
            (*trained.weights.trainable, *own), trained.weights.non_trainable
        )


def fine_tuned(suite: Suite, name: str) -> Method:
    """FedAvg, then epochs at each institution alone."""
    settings = suite.training.personalization
    process = build_fed_avg(
        suite.model,
        client_optimizer=suite.client_optimizer,
        batches=suite.batches,
        server_optimizer=suite.server_optimizer(),
        weighting=suite.weighting,
        store=suite.store,
    )
    tuner = _tuner(suite) if settings.fine_tuning_epochs else None
    return FineTuned(
        name=name, learner=suite.learner_of_local_epochs(process), tuner=tuner
    )


def _tuner(suite: Suite) -> Learner:
    training, settings = suite.training, suite.training.personalization
    process = build_single_site(
        suite.model,
        optimizer=build_client_optimizer(
            training.client_optimizer,
            settings.fine_tuning_learning_rate or training.client_learning_rate,
        ),
        batches=LocalEpochs(epochs=1, batch_size=training.batch_size),
        store=suite.store,
    )
    stopping = StoppingRule(
        max_rounds=settings.fine_tuning_epochs, patience=training.patience
    )
    return suite.learner(process, stopping, rates=("client",))


def fed_per(suite: Suite, name: str) -> Method:
    """A shared trunk with local heads."""
    state_files = suite.state_files(name)
    num_local = keras_models.num_weights_of_last_layers(
        suite.build_keras_model(0), suite.training.personalization.local_layers
    )
    process = build_fed_per(
        suite.model,
        num_local=num_local,
        client_optimizer=suite.client_optimizer,
        batches=suite.batches,
        state_files=state_files,
        server_optimizer=suite.server_optimizer(),
        weighting=suite.weighting,
        store=suite.store,
    )
    validation = build_fed_per_validation(
        suite.model,
        num_local=num_local,
        state_files=state_files,
        store=suite.store,
        with_auc=suite.training.validation_auc,
    )
    return FedPer(
        name=name,
        learner=suite.learner_of_local_epochs(process, state_files, validation),
        head=local_head(suite.model, num_local),
        state_files=state_files,
    )

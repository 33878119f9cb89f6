"""The methods that are compared, behind one interface.

A method gets training and validation rows and returns scorers, one for the
market ("global") or one per institution. Test rows never reach it.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import tensorflow as tf
import tensorflow_federated as tff

from tff_finance.evaluation.promises import Promise
from tff_finance.evaluation.scorers import Scorer, keras_scorer
from tff_finance.institutions.examples import Examples, ExampleStore
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.metrics.validation import (
    SUMS,
    ValidationResult,
    validation_result,
)
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.records.participation import EVERYONE, ParticipationConfig
from tff_finance.records.run_rows import CurveRow, RunRow
from tff_finance.tasks import keras_models
from tff_finance.training import communication
from tff_finance.training.begun_rounds import BegunRounds
from tff_finance.training.cohorts import ClientDataOfRound, cohort_data
from tff_finance.training.folder import TrainingFolder
from tff_finance.training.loop import Trained, Validate, train
from tff_finance.training.participation import (
    Participation,
    Tally,
    build_participation,
    everyone,
)
from tff_finance.training.plateau import ReduceOnPlateau
from tff_finance.training.progress import StoppingRule
from tff_finance.training.rounds import Rounds

GLOBAL = "global"
ModelWeights = tff.learning.models.ModelWeights
BuildKerasModel = Callable[[int | None], tf.keras.Model]
BuildRounds = Callable[[Sequence[tf.data.Dataset], Sequence[str], int], Rounds]
"""From the institutions' data, their names and the seed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
    """What a method learnt, and what that took.

    Attributes:
        scorers: By model: "global", or the name of the institution it is for.
        curves: Validation curves.
        runs: Effort and traffic, one per training run.
        promises: Of differential privacy, one for each ledger; of most methods none.
    """

    scorers: Mapping[str, Scorer]
    curves: tuple[CurveRow, ...]
    runs: tuple[RunRow, ...]
    promises: tuple[Promise, ...] = ()


class Method(Protocol):
    """Fits models to the institutions' training and validation rows."""

    @property
    def name(self) -> str:
        """The name in tables and records."""
        ...

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Fits with the seed's initialisation and order of batches.

        Args:
            institutions: Their training and validation rows.
            seed: Of initialisation and order.
            folder: Where a killed fit goes on from; None keeps nothing.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learner:
    """A learning process with all that its training needs, seeds excepted.

    Attributes:
        process: The learning process.
        build_keras_model: The model that it trains, from a seed.
        validation: `<W@SERVER, {B*}@CLIENTS> -> sums@SERVER`.
        stopping: When training ends.
        store: That process and validation were built for.
        institution_state: The files that the process was built with, if any; every
            training begins with none of them.
        plateaus: Which learning rates are reduced, and when.
        participation: Who takes part in a round of training.
        build_rounds: Puts rounds on a simulated clock; None for no clock.
        source: Where the process's byte counts come from: its types, which for a
            compressed method are those of the encoded update.
    """

    process: tff.learning.templates.LearningProcess
    build_keras_model: BuildKerasModel
    validation: tff.Computation
    stopping: StoppingRule
    store: ExampleStore
    institution_state: InstitutionStateFiles | None = None
    plateaus: Sequence[ReduceOnPlateau] = ()
    participation: ParticipationConfig = EVERYONE
    build_rounds: BuildRounds | None = None
    source: str = communication.SOURCE

    def train(
        self,
        train_sets: Sequence[Examples],
        validation_sets: Sequence[Examples],
        *,
        seed: int,
        label: str,
        model: str,
        folder: TrainingFolder | None,
        initial_weights: ModelWeights | None = None,
        watch: Callable[[ModelWeights], None] | None = None,
    ) -> Trained:
        """Trains on `train_sets`, one client each; stops on `validation_sets`.

        Args:
            train_sets: Rows that models learn from.
            validation_sets: Rows that training is stopped by.
            seed: Of initial weights and order of batches.
            label: Shown beside the progress bar.
            model: Names the training's files.
            folder: Where they are; None keeps nothing.
            initial_weights: Where to begin; None for the seed's model.
            watch: Takes the weights of every round that is validated.

        Returns:
            The outcome.
        """
        data = [self.store.client_dataset(examples) for examples in train_sets]
        names = [str(e["institution"].item().decode()) for e in train_sets]
        validate = self._validate(
            [self.store.client_dataset(e) for e in validation_sets]
        )

        def watched(weights: ModelWeights) -> ValidationResult:
            if watch:
                watch(weights)
            return validate(weights)

        return train(
            self.process,
            self._rounds(data, names, seed),
            initial_weights=initial_weights or self.initial_weights(seed),
            seed=seed,
            validate=watched,
            stopping=self.stopping,
            label=label,
            plateaus=self.plateaus,
            institution_state=self.institution_state,
            checkpoints=folder.checkpoints(model) if folder else None,
            release_managers=folder.release_managers(model) if folder else (),
            begun_rounds=self._begun_rounds(folder, model),
        )

    def tally(self, trained: Trained, *, population: int, seed: int) -> Tally:
        """Who took part in the training of so many institutions under a seed."""
        participation = self._participation(population, seed)
        if participation is None:
            return everyone(population, trained.rounds)
        return participation.tally(trained.rounds)

    def initial_weights(self, seed: int) -> ModelWeights:
        """All weights of the seed's model."""
        return keras_models.initial_weights(lambda: self.build_keras_model(seed))

    def validated(
        self, weights: ModelWeights, validation_sets: Sequence[Examples]
    ) -> ValidationResult:
        """Judges weights on validation rows."""
        data = [self.store.client_dataset(examples) for examples in validation_sets]
        return self._validate(data)(weights)

    def scorer(self, weights: ModelWeights) -> Scorer:
        """The scorer of all weights of a model."""
        return keras_scorer(lambda: self.build_keras_model(None), weights)

    def validation_traffic(self) -> communication.Traffic:
        """What one validation exchanges with each institution.

        Without the counts that an AUC on the curve is made of: they are an
        instrument of the study, and training does without them.

        Returns:
            Bytes down and up per institution.
        """
        weights_type, _ = self.validation.type_signature.parameter
        sums = self.validation.type_signature.result.member
        return communication.Traffic(
            bytes_down=communication.type_bytes(weights_type.member),
            bytes_up=sum(communication.type_bytes(sums[name]) for name in SUMS),
        )

    def _rounds(
        self, data: Sequence[tf.data.Dataset], names: Sequence[str], seed: int
    ) -> Rounds | ClientDataOfRound | Sequence[tf.data.Dataset]:
        """Of everybody or of cohorts, or of everybody on a clock."""
        if self.build_rounds:
            return self.build_rounds(data, names, seed)
        participation = self._participation(len(data), seed)
        return cohort_data(data, participation) if participation else data

    def _participation(self, population: int, seed: int) -> Participation | None:
        """None if all institutions take part in every round."""
        if self.participation.everyone:
            return None
        return build_participation(self.participation, population=population, seed=seed)

    def _begun_rounds(
        self, folder: TrainingFolder | None, model: str
    ) -> BegunRounds | None:
        """Only where each costs privacy: to count takes milliseconds."""
        if folder is None or self.stopping.max_releases is None:
            return None
        return folder.begun_rounds(model)

    def _validate(self, data: Sequence[tf.data.Dataset]) -> Validate:
        return lambda weights: validation_result(self.validation(weights, data))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Federated:
    """Any federated algorithm: the institutions are the clients."""

    name: str
    learner: Learner

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Trains one global model."""
        trained = self.train(institutions, seed=seed, folder=folder)
        return self.fitted(trained, institutions, seed=seed)

    def train(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None,
    ) -> Trained:
        """The first half of `fit`."""
        return self.learner.train(
            [i.train for i in institutions],
            [i.validation for i in institutions],
            seed=seed,
            label=f"seed {seed} {self.name}",
            model=GLOBAL,
            folder=folder,
        )

    def fitted(
        self,
        trained: Trained,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
    ) -> Fitted:
        """The second half of `fit`: the model, and what it took."""
        return Fitted(
            scorers={GLOBAL: self.learner.scorer(trained.weights)},
            curves=curve_rows(trained, seed, self.name, GLOBAL),
            runs=(
                federated_run(
                    self.learner,
                    trained,
                    seed=seed,
                    method=self.name,
                    institutions=len(institutions),
                ),
            ),
        )


def federated_run(
    learner: Learner, trained: Trained, *, seed: int, method: str, institutions: int
) -> RunRow:
    """A run with the traffic of those who took part, of all where it was validated."""
    tally = learner.tally(trained, population=institutions, seed=seed)
    per_round = communication.traffic_per_round(learner.process.next)
    validating = learner.validation_traffic()
    validated = sum(p.validation_loss is not None for p in trained.curve)
    validations = validated * institutions
    return RunRow(
        seed=seed,
        method=method,
        model=GLOBAL,
        rounds=trained.rounds,
        exchanges=tally.exchanges,
        best_round=trained.best_round,
        stopped_by=trained.stopped_by,
        seconds=trained.seconds,
        bytes_down=tally.downloads * per_round.bytes_down,
        bytes_up=tally.uploads * per_round.bytes_up,
        validation_bytes_down=validations * validating.bytes_down,
        validation_bytes_up=validations * validating.bytes_up,
        source=learner.source,
        dropouts=tally.downloads - tally.uploads,
        skipped_rounds=tally.skipped_rounds,
        institution_bytes_down=per_round.bytes_down,
        institution_bytes_up=per_round.bytes_up,
    )


def curve_rows(
    trained: Trained, seed: int, method: str, model: str
) -> tuple[CurveRow, ...]:
    """A training's curve as rows of a record."""
    return tuple(
        CurveRow(seed=seed, method=method, model=model, **point.to_mapping())
        for point in trained.curve
    )

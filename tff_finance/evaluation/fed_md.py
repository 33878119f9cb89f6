"""FedMD in a comparison: every institution has a model of its own kind."""

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_federated as tff
from scipy.special import expit

from tff_finance import checks
from tff_finance.algorithms.fed_md import consensus, sent_type
from tff_finance.evaluation.fed_md_participants import (
    BoostingParticipant,
    NetworkParticipant,
    Participant,
)
from tff_finance.evaluation.methods import Fitted, Learner, Method
from tff_finance.evaluation.scorers import Scorer
from tff_finance.evaluation.suite import Suite
from tff_finance.institutions.examples import Examples
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.preprocessing.reference_table import (
    build_moments,
    draw_reference_table,
    federated_moments,
)
from tff_finance.records.personalization_config import PersonalizationConfig
from tff_finance.records.run_rows import CurveRow, RunRow
from tff_finance.training.communication import type_bytes
from tff_finance.training.folder import TrainingFolder
from tff_finance.training.loop import TrainingDivergedError

# Keeps the reference rows apart from whatever else a seed draws.
_STREAM = 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class FedMd:
    """Models of different kinds, which learn from one another's predictions.

    An institution first trains alone, as `local` does. It keeps the round with the
    best loss on its own validation rows, that before the first exchange, round 0,
    being one of them. Scores of an institution whose model has become broken are left
    out of the consensus, and counted.

    Attributes:
        name: In tables and records.
        learners: Training at a single site of each kind of model, in turn those of
            the institutions; None is gradient boosting.
        settings: Rounds, epochs and the size of the reference table.
        patience: Rounds in which no institution has become better before they end.
    """

    name: str
    learners: Sequence[Learner | None]
    settings: PersonalizationConfig
    patience: int

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Trains each model alone, then by rounds; after a kill, these begin anew.

        Args:
            institutions: As in `Method`.
            seed: As in `Method`, and of the reference rows.
            folder: As in `Method`.

        Returns:
            A model for each institution.

        Raises:
            TrainingDivergedError: If nobody's scores are finite.
            RunFailedError: If an institution lacks rows that its training needs.
        """
        start = time.monotonic()
        reference = draw_reference_table(
            federated_moments([i.train for i in institutions]),
            rows=self.settings.fed_md_reference_rows,
            rng=np.random.default_rng([seed, _STREAM]),
        )
        participants = {
            i.institution: self._participant(
                learner, i, reference, seed=seed, folder=folder
            )
            for i, learner in zip(
                institutions, self._learners_of(institutions), strict=True
            )
        }
        bests = {
            i.institution: _Best(i.validation, participants[i.institution].scorer())
            for i in institutions
        }
        curves: list[CurveRow] = []
        rounds, most = 0, self.settings.fed_md_rounds
        while rounds < most and rounds - _last_better(bests) < self.patience:
            rounds += 1
            scores = _scores(participants, reference)
            broken = {n for n in scores if not np.isfinite(scores[n]).all()}
            if broken == set(scores):
                raise TrainingDivergedError(
                    f"seed {seed} {self.name}: nobody's scores of the reference rows "
                    f"are finite in round {rounds}: use a smaller learning rate."
                )
            agreed = consensus(scores)
            for name, participant in participants.items():
                loss = participant.learn(agreed)
                validation = bests[name].see(participant.scorer(), rounds)
                curves.append(
                    CurveRow(
                        seed=seed,
                        method=self.name,
                        model=name,
                        round=rounds,
                        training_loss=loss if math.isfinite(loss) else None,
                        validation_loss=validation.loss,
                        validation_accuracy=validation.accuracy,
                        non_finite_updates=int(name in broken),
                    )
                )
        seconds = (time.monotonic() - start) / len(institutions)
        return Fitted(
            scorers={name: best.scorer for name, best in bests.items()},
            curves=tuple(curves),
            runs=tuple(
                self._run(
                    seed=seed,
                    model=name,
                    rounds=rounds,
                    best_round=best.round,
                    stopped_by=(
                        "patience"
                        if rounds - _last_better(bests) >= self.patience
                        else "max_rounds"
                    ),
                    features=reference.shape[1],
                    seconds=seconds,
                )
                for name, best in bests.items()
            ),
        )

    def _learners_of(
        self, institutions: Sequence[TrainingExamples]
    ) -> Sequence[Learner | None]:
        number = len(self.learners)
        return [self.learners[k % number] for k in range(len(institutions))]

    def _participant(
        self,
        learner: Learner | None,
        i: TrainingExamples,
        reference: np.ndarray,
        *,
        seed: int,
        folder: TrainingFolder | None,
    ) -> Participant:
        """The institution's model, trained on its own rows."""
        if learner is None:
            return BoostingParticipant(i.train, reference, seed=seed)
        trained = learner.train(
            [i.train],
            [i.validation],
            seed=seed,
            label=f"seed {seed} {self.name} {i.institution}",
            model=i.institution,
            folder=folder,
        )
        return NetworkParticipant(
            learner,
            trained.weights,
            i.train,
            reference,
            seed=seed,
            digest_epochs=self.settings.fed_md_digest_epochs,
            revisit_epochs=self.settings.fed_md_revisit_epochs,
        )

    def _run(self, *, rounds: int, features: int, **values: Any) -> RunRow:
        """An institution's traffic; `values` are other columns of the row."""
        rows = self.settings.fed_md_reference_rows
        table, agreed = (
            tff.TensorType(np.float32, shape) for shape in ([rows, features], [rows])
        )
        moments = build_moments(features).type_signature.result.member
        return RunRow(
            method=self.name,
            rounds=rounds,
            exchanges=rounds,
            bytes_down=type_bytes(table) + rounds * type_bytes(agreed),
            bytes_up=type_bytes(moments) + rounds * type_bytes(sent_type(rows)),
            validation_bytes_down=0,
            validation_bytes_up=0,
            source="type signature; moments and reference table once",
            **values,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Validation:
    """Of one institution's rows; None by a model whose scores aren't finite."""

    loss: float | None
    accuracy: float | None


class _Best:
    """The best model of an institution so far, by its own validation rows."""

    def __init__(self, rows: Examples, scorer: Scorer) -> None:
        if not len(rows["x"]):
            raise checks.RunFailedError(
                f"{rows['institution'].item()!r} has no validation rows: the choice of "
                "a round needs some."
            )
        self._rows = rows
        self.scorer, self.round = scorer, 0
        loss = self._validate(scorer).loss
        self._loss = math.inf if loss is None else loss

    def see(self, scorer: Scorer, number: int) -> _Validation:
        """Judges the model after a round, and keeps it if it is the best."""
        validation = self._validate(scorer)
        if validation.loss is not None and validation.loss < self._loss:
            self.scorer, self.round, self._loss = scorer, number, validation.loss
        return validation

    def _validate(self, scorer: Scorer) -> _Validation:
        logits = np.asarray(scorer(self._rows["x"]), np.float64)
        y = self._rows["y"][:, 0]
        if not np.isfinite(logits).all():
            return _Validation(loss=None, accuracy=None)
        return _Validation(
            loss=float(np.mean(np.logaddexp(0.0, logits) - y * logits)),
            accuracy=float(np.mean((logits >= 0) == (y > 0))),
        )


def _last_better(bests: Mapping[str, _Best]) -> int:
    """The last round in which an institution's model became better."""
    return max(best.round for best in bests.values())


def _scores(
    participants: Mapping[str, Participant], reference: np.ndarray
) -> dict[str, np.ndarray]:
    return {
        name: expit(np.asarray(participant.scorer()(reference), np.float64))
        for name, participant in participants.items()
    }


def fed_md(suite: Suite, name: str) -> Method:
    """Institutions' models of different kinds, as the configuration names them."""
    settings = suite.training.personalization
    learners: dict[tuple[int, ...] | None, Learner | None] = {
        kind: None if kind is None else suite.of_hidden_units(kind).single_site
        for kind in settings.fed_md_kinds
    }
    return FedMd(
        name=name,
        learners=[learners[kind] for kind in settings.fed_md_kinds],
        settings=settings,
        patience=suite.training.patience,
    )

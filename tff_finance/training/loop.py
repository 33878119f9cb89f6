"""The round loop: rounds of any learning process, stopped by validation loss."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff
import tqdm

from tff_finance import checks
from tff_finance.metrics.validation import ValidationResult

ModelWeights = tff.learning.models.ModelWeights
Validate = Callable[[ModelWeights], ValidationResult]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoppingRule:
    """When training ends.

    Attributes:
        max_rounds: Most rounds.
        patience: Rounds without a better validation loss.
        validate_every: Rounds between two validations.
    """

    max_rounds: int
    patience: int
    validate_every: int = 1

    def __post_init__(self) -> None:
        """Refuses numbers below 1."""
        for name in ("max_rounds", "patience", "validate_every"):
            checks.check_at_least(name, getattr(self, name), 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """State of training after a round.

    Attributes:
        round: Counted from 1.
        training_loss: Mean over the round's rows, in nats.
        validation_loss: Mean over validation rows, in nats.
        validation_accuracy: Share of validation rows judged rightly.
        non_finite_updates: Institutions whose update was left out of the round.
    """

    round: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float
    non_finite_updates: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """Outcome of a training run.

    Attributes:
        weights: Of the round with the smallest validation loss.
        best_round: That round, counted from 1.
        rounds: Rounds run.
        curve: One point per validation.
        seconds: Wall time.
    """

    weights: ModelWeights
    best_round: int
    rounds: int
    curve: tuple[CurvePoint, ...]
    seconds: float


class TrainingDivergedError(RuntimeError):
    """Training produced a loss that is not finite."""


def train(
    process: tff.learning.templates.LearningProcess,
    client_data: Sequence[tf.data.Dataset],
    *,
    initial_weights: ModelWeights,
    seed: int,
    validate: Validate,
    stopping: StoppingRule,
    label: str,
) -> Trained:
    """Runs a learning process until validation stops improving.

    The process is built once and serves every seed: initial weights and the
    seed of the batches' order enter its state here.

    Args:
        process: Its hyperparameters have `client_work.seed`.
        client_data: One dataset per institution, the same in every round.
        initial_weights: Where training begins.
        seed: Orders the batches.
        validate: Judges global weights on validation rows.
        stopping: When to end.
        label: Shown beside the progress bar.

    Returns:
        The best weights and the curve.

    Raises:
        TrainingDivergedError: If a loss is not finite.
    """
    start = time.monotonic()
    state = _initial_state(process, initial_weights, seed)
    curve: list[CurvePoint] = []
    best_loss, best_round, best_weights = math.inf, 0, initial_weights
    with tqdm.tqdm(
        total=stopping.max_rounds, desc=label, leave=False, disable=None, unit="round"
    ) as progress:
        for number in range(1, stopping.max_rounds + 1):
            output = process.next(state, client_data)
            state = output.state
            progress.update()
            if number % stopping.validate_every and number < stopping.max_rounds:
                continue
            weights = process.get_model_weights(state)
            point = _curve_point(number, output.metrics, validate(weights), label)
            curve.append(point)
            progress.set_postfix(loss=f"{point.validation_loss:.4f}")
            if point.validation_loss < best_loss:
                best_loss, best_round = point.validation_loss, number
                best_weights = weights
            if number - best_round >= stopping.patience:
                break
    return Trained(
        weights=best_weights,
        best_round=best_round,
        rounds=curve[-1].round,
        curve=tuple(curve),
        seconds=time.monotonic() - start,
    )


def _initial_state(
    process: tff.learning.templates.LearningProcess, weights: ModelWeights, seed: int
) -> Any:
    state = process.set_model_weights(process.initialize(), weights)
    hparams = process.get_hparams(state)
    hparams["client_work"]["seed"] = seed
    return process.set_hparams(state, hparams)


def _curve_point(
    number: int, metrics: Any, validation: ValidationResult, label: str
) -> CurvePoint:
    work = metrics.get("client_work", metrics)
    training_loss = float(work["loss"])
    if not (math.isfinite(training_loss) and math.isfinite(validation.loss)):
        raise TrainingDivergedError(
            f"{label}: loss is not finite after round {number} (training "
            f"{training_loss}, validation {validation.loss}): use a smaller learning "
            "rate."
        )
    return CurvePoint(
        round=number,
        training_loss=training_loss,
        validation_loss=validation.loss,
        validation_accuracy=validation.accuracy,
        non_finite_updates=int(work.get("non_finite_updates", 0)),
    )

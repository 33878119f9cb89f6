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
        validation_loss: Mean over validation rows, in nats; None in a round
            that was not validated.
        validation_accuracy: Share of validation rows judged rightly, or None.
        non_finite_updates: Institutions whose update was left out of the round.
    """

    round: int
    training_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    non_finite_updates: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """Outcome of a training run.

    Attributes:
        weights: Of the round with the smallest validation loss.
        best_round: That round, counted from 1.
        rounds: Rounds run.
        stopped_by: "patience", or "max_rounds" if it was still improving.
        curve: One point per round.
        seconds: Wall time.
    """

    weights: ModelWeights
    best_round: int
    rounds: int
    stopped_by: str
    curve: tuple[CurvePoint, ...]
    seconds: float


class TrainingDivergedError(checks.RunFailedError):
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
    stopped_by = "max_rounds"
    with tqdm.tqdm(
        total=stopping.max_rounds, desc=label, leave=False, disable=None, unit="round"
    ) as progress:
        for number in range(1, stopping.max_rounds + 1):
            output = process.next(state, client_data)
            state = output.state
            progress.update()
            if number % stopping.validate_every and number < stopping.max_rounds:
                curve.append(_curve_point(number, output.metrics, None, label))
                continue
            weights = process.get_model_weights(state)
            validation = validate(weights)
            curve.append(_curve_point(number, output.metrics, validation, label))
            progress.set_postfix(loss=f"{validation.loss:.4f}")
            if validation.loss < best_loss:
                best_loss, best_round = validation.loss, number
                best_weights = weights
            if number - best_round >= stopping.patience:
                stopped_by = "patience"
                break
    return Trained(
        weights=best_weights,
        best_round=best_round,
        rounds=curve[-1].round,
        stopped_by=stopped_by,
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
    number: int, metrics: Any, validation: ValidationResult | None, label: str
) -> CurvePoint:
    work = metrics.get("client_work", metrics)
    point = CurvePoint(
        round=number,
        training_loss=float(work["loss"]),
        validation_loss=validation.loss if validation else None,
        validation_accuracy=validation.accuracy if validation else None,
        non_finite_updates=int(work.get("non_finite_updates", 0)),
    )
    losses = (point.training_loss, point.validation_loss or 0.0)
    if not all(math.isfinite(loss) for loss in losses):
        raise TrainingDivergedError(
            f"{label}: loss is not finite after round {number} (training "
            f"{point.training_loss}, validation {point.validation_loss}): use a "
            "smaller learning rate."
        )
    return point

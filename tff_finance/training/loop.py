"""The round loop: rounds of any learning process, stopped by validation loss."""

import collections
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff
import tqdm

from tff_finance import checks
from tff_finance.institutions.state import InstitutionStateFiles
from tff_finance.metrics.validation import ValidationResult
from tff_finance.training import round_metrics
from tff_finance.training.begun_rounds import BegunRounds
from tff_finance.training.checkpoints import CheckpointError, Checkpoints
from tff_finance.training.cohorts import ClientDataOfRound
from tff_finance.training.keeper import Keeper
from tff_finance.training.plateau import LearningRates, ReduceOnPlateau
from tff_finance.training.progress import (
    CurvePoint,
    ModelWeights,
    Progress,
    StoppingRule,
)
from tff_finance.training.releases import ReleaseManager, Releases
from tff_finance.training.rounds import Rounds, RoundTiming, rounds_of

_DIVERGED = "diverged"
_OVER_BUDGET = "budget"
# Ends before which patience may have had no time.
_AT_A_LIMIT = ("max_rounds", "max_simulated_seconds")
# Broken rounds at such an end that tell divergence from bad luck.
_TELLING = 3

Validate = Callable[[ModelWeights], ValidationResult]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """Outcome of a training run.

    Attributes:
        weights: Of the round with the smallest validation loss; of the last round if
            validation was shown only.
        best_round: That round, counted from 1.
        rounds: Rounds run.
        begun: Rounds begun, those included that a killed process left unsaved.
        releases: What these count as, by `stopping.count_releases`.
        stopped_by: As `Progress.stopped_by` says.
        curve: One point per round.
        seconds: Wall time; of a resumed run, with that before its checkpoint.
    """

    weights: ModelWeights
    best_round: int
    rounds: int
    begun: int
    releases: int
    stopped_by: str
    curve: tuple[CurvePoint, ...]
    seconds: float


class TrainingDivergedError(checks.RunFailedError):
    """Training produced a loss, or nothing but updates, that are not finite."""


def train(
    process: tff.learning.templates.LearningProcess,
    client_data: Rounds | Sequence[tf.data.Dataset] | ClientDataOfRound,
    *,
    initial_weights: ModelWeights,
    seed: int,
    validate: Validate,
    stopping: StoppingRule,
    label: str,
    plateaus: Sequence[ReduceOnPlateau] = (),
    checkpoints: Checkpoints | None = None,
    institution_state: InstitutionStateFiles | None = None,
    release_managers: Sequence[ReleaseManager] = (),
    begun_rounds: BegunRounds | None = None,
) -> Trained:
    """Runs a learning process until validation stops improving.

    The process is built once and serves every seed: initial weights and the
    seed of the batches' order enter its state here.

    Args:
        process: Its hyperparameters have `client_work.seed`.
        client_data: One dataset per institution, the same in every round; or the
            datasets of a round by its number, as `cohorts.cohort_data` gives them;
            or rounds on a simulated clock. A round may have no data: then nothing
            but its number moves. A round in which nobody's update counts uses up no
            patience, and is validated only if the model moved since the last time.
        initial_weights: Where training begins.
        seed: Orders the batches.
        validate: Judges global weights on validation rows.
        stopping: When to end.
        label: Shown beside the progress bar.
        plateaus: Which learning rates are reduced, and when.
        checkpoints: Where to go on from, and to save to, if at all.
        institution_state: The files that the process was built with, if any;
            brought to the round that training begins or goes on with. Only one
            run at a time may use them.
        release_managers: Take the losses of each round, the key being the round.
        begun_rounds: Remembers what `stopping.count_releases` counts. Without it,
            rounds that a killed process left unsaved aren't known of.

    Returns:
        The best weights and the curve: the same, whether or not a process that
        ran before this one was killed on the way, unless training is private or
        begun rounds are limited.

    Raises:
        TrainingDivergedError: If a loss is not finite, or if no update is in as many
            rounds running as patience has, in the last 3 where the number of rounds or
            simulated time ends training, or in all, unless `stopping` ends with it.
        UnfitSettingsError: If time is limited so that no round ends in time, if no
            round had as many institutions as it needs, or if all updates were
            rejected.
        RunFailedError: If a budget was spent on rounds that were interrupted.
        CheckpointError: If a checkpoint can't be written or read, or isn't one
            of this run.
        ReleaseError: If metrics can't be released.
        ValueError: If there are two `plateaus` for a rate, or one for a rate that
            the process doesn't have; if the client's rate is to be reduced where
            updates may be stale; if time is limited without a clock.
    """
    keeper = Keeper(checkpoints=checkpoints, institution_state=institution_state)
    rounds = rounds_of(client_data)
    fresh = Progress(
        seed=seed,
        state=_initial_state(process, initial_weights, seed),
        best_weights=initial_weights,
        kept_rounds=rounds.kept(),
    )
    progress = keeper.begin(fresh)
    rounds.go_on(progress.round, progress.kept_rounds)
    begun = begun_rounds or BegunRounds()
    begun.at_least(progress.round)
    if not progress.round:
        _check_time(stopping, rounds.timing(0))
    if progress is fresh and stopping.max_releases is not None:
        _begin_private(progress, keeper, begun, label)
    rates = _learning_rates(process, plateaus, progress, rounds)
    if progress.round:
        _tell(f"{label}: goes on after round {progress.round}")
    start = time.monotonic() - progress.seconds
    with (
        Releases(release_managers) as releases,
        tqdm.tqdm(
            total=stopping.max_rounds,
            initial=progress.round,
            desc=label,
            leave=False,
            disable=None,
            unit="round",
        ) as bar,
    ):
        while not (
            stopped_by := progress.stopped_by(
                stopping,
                begun=begun.numbers,
                next_ends_at=rounds.timing(progress.round).simulated_seconds,
            )
        ):
            number = progress.round + 1
            begun.begin(progress.round)
            data = rounds.client_data(
                progress.round, lambda: process.get_model_weights(progress.state)
            )
            before = progress.state
            output = process.next(before, data)
            progress.state = output.state
            found = round_metrics.read(
                output.metrics, clients=len(data), sampled=rounds.sampled
            )
            weights = validation = None
            if stopping.validates(number) and (
                found.counted or progress.to_validate or _moved(process, before, output)
            ):
                weights = process.get_model_weights(output.state)
                validation = validate(weights)
            point = _curve_point(
                number,
                found,
                validation=validation,
                rates=rates,
                timing=rounds.timing(progress.round),
            )
            if diverges := _divergence(progress, point, stopping):
                # Nothing of this round is kept, so that a resumed run ends here too.
                stopped_by = _diverged(diverges, stopping, label)
                break
            progress.add(point, weights)
            progress.state = rates.after(point, progress.state)
            progress.seconds = time.monotonic() - start
            progress.kept_rounds = rounds.kept()
            keeper.after_round(progress)
            bar.update()
            if validation:
                bar.set_postfix(loss=f"{validation.loss:.4f}")
            releases.release(_released(point), number)
            if keeper.due or stopping.max_releases is not None:
                # What lies before a checkpoint isn't released again.
                releases.finish()
                keeper.save(progress)
        releases.finish()
        stopped_by = _end(stopped_by, progress, stopping, label)
        _finish(stopped_by, progress, keeper, stopping, label)
    kept, weights = _kept(process, progress, stopping, label)
    return Trained(
        weights=weights,
        best_round=kept,
        rounds=progress.round,
        begun=len(begun.numbers),
        releases=stopping.count_releases(begun.numbers),
        stopped_by=stopped_by,
        curve=tuple(progress.curve),
        seconds=progress.seconds,
    )


def _tell(line: str) -> None:
    """Says it above the progress bar."""
    tqdm.tqdm.write(line, sys.stderr)


def _initial_state(
    process: tff.learning.templates.LearningProcess, weights: ModelWeights, seed: int
) -> Any:
    state = process.set_model_weights(process.initialize(), weights)
    hparams = process.get_hparams(state)
    hparams["client_work"]["seed"] = seed
    return process.set_hparams(state, hparams)


def _moved(
    process: tff.learning.templates.LearningProcess,
    before: Any,
    output: tff.learning.templates.LearningProcessOutput,
) -> bool:
    """Whether a round moved the model: noise does so without any update."""
    states = (before, output.state)
    pairs = zip(
        *(tf.nest.flatten(process.get_model_weights(state)) for state in states),
        strict=True,
    )
    return not all(np.array_equal(old, new) for old, new in pairs)


def _kept(
    process: tff.learning.templates.LearningProcess,
    progress: Progress,
    stopping: StoppingRule,
    label: str,
) -> tuple[int, ModelWeights]:
    """The round that training keeps, and its weights."""
    if stopping.patience is not None:
        return progress.best.round if progress.best else 0, progress.best_weights
    if not progress.round:
        raise checks.RunFailedError(
            f"{label}: interrupted rounds have spent the privacy budget before one was "
            "kept. Start anew with other settings, and count what was spent."
        )
    return progress.round, process.get_model_weights(progress.state)


def _learning_rates(
    process: tff.learning.templates.LearningProcess,
    plateaus: Sequence[ReduceOnPlateau],
    progress: Progress,
    rounds: Rounds,
) -> LearningRates:
    if rounds.stale and any(rule.rate == "client" for rule in plateaus):
        raise ValueError(
            "`plateaus` can't reduce the rate 'client' of asynchronous rounds: a stale "
            "update would be computed with a rate that wasn't there when it began. "
            "Reduce that of the server."
        )
    return LearningRates(process, plateaus, state=progress.state, curve=progress.curve)


def _begin_private(
    fresh: Progress, keeper: Keeper, begun: BegunRounds, label: str
) -> None:
    """Keeps what noise is made from, before any is added."""
    # A round that is repeated with other noise costs more privacy.
    if begun.numbers:
        raise CheckpointError(
            f"{label}: {len(begun.numbers)} rounds of this private training were "
            "released, but its checkpoint is gone: from its start it would have other "
            "noise. Start in another folder, or with --restart; what both release of "
            "the same units adds up."
        )
    keeper.save(fresh)


def _check_time(stopping: StoppingRule, first: RoundTiming) -> None:
    limit, ends_at = stopping.max_simulated_seconds, first.simulated_seconds
    if limit is not None and ends_at is None:
        raise ValueError(
            f"`stopping` limits simulated time, to {limit:g} s, but there is no "
            "simulated clock: leave out `max_simulated_seconds`."
        )
    if not stopping.allows(ends_at):
        raise checks.UnfitSettingsError(
            f"`max_simulated_seconds` must leave time for a round: the first ends "
            f"after {ends_at:g} s, got {limit:g}."
        )


def _curve_point(
    number: int,
    found: round_metrics.RoundMetrics,
    *,
    validation: ValidationResult | None,
    rates: LearningRates,
    timing: RoundTiming,
) -> CurvePoint:
    return CurvePoint(
        round=number,
        validation_loss=validation.loss if validation else None,
        validation_accuracy=validation.accuracy if validation else None,
        client_learning_rate=rates.of("client"),
        server_learning_rate=rates.of("server"),
        validation_auc=validation.auc if validation else None,
        **dataclasses.asdict(found),
        **dataclasses.asdict(timing),
    )


def _divergence(
    progress: Progress, point: CurvePoint, stopping: StoppingRule
) -> str | None:
    """Why training has diverged with the newest round; None if it hasn't."""
    losses = (point.training_loss, point.validation_loss)
    if not all(loss is None or math.isfinite(loss) for loss in losses):
        return (
            f"loss is not finite after round {point.round} (training "
            f"{point.training_loss}, validation {point.validation_loss})"
        )
    broken = progress.broken_rounds(point)
    if stopping.patience is not None and broken >= stopping.patience:
        return (
            f"no update was finite in {broken} rounds running, up to round "
            f"{point.round}"
        )
    return None


def _diverged(reason: str, stopping: StoppingRule, label: str) -> str:
    """Why training stops; an error if that is no end that was asked for."""
    if stopping.ends_at_divergence:
        return _DIVERGED
    raise TrainingDivergedError(f"{label}: {reason}: use a smaller learning rate.")


def _end(
    stopped_by: str, progress: Progress, stopping: StoppingRule, label: str
) -> str:
    """Why training ended, unless it diverged or its outcome is the initial model."""
    if stopped_by == _DIVERGED:
        return stopped_by
    rounds = progress.round
    if progress.has_counted:
        broken = progress.broken_at_end
        if (
            stopped_by in _AT_A_LIMIT
            and stopping.patience is not None
            and broken >= min(stopping.patience, _TELLING)
        ):
            reason = f"no update was finite in the last {broken} rounds with updates"
            return _diverged(reason, stopping, label)
        return stopped_by
    if progress.has_broken:
        reason = f"no update has counted in {rounds} rounds"
        return _diverged(reason, stopping, label)
    if progress.has_rejected:
        raise checks.UnfitSettingsError(
            f"{label}: all updates of {rounds} rounds were rejected. Where norms are "
            "judged by those of the round before, the first round only measures: give "
            "2 rounds or more; otherwise a smaller learning rate, or larger bounds."
        )
    if rounds and stopping.patience is not None:
        raise checks.UnfitSettingsError(
            f"{label}: none of {rounds} rounds had as many institutions as it needs: "
            "ask for more of them, or for a smaller `min_cohort`."
        )
    return stopped_by


def _finish(
    stopped_by: str,
    progress: Progress,
    keeper: Keeper,
    stopping: StoppingRule,
    label: str,
) -> None:
    """Keeps what training came to, and says if that was less than planned."""
    if stopped_by != _DIVERGED:
        keeper.finish(progress)
    if stopped_by == _OVER_BUDGET:
        of_rounds = f"{progress.round} of {stopping.max_rounds} rounds"
        _tell(f"{label}: privacy budget ended after {of_rounds}")


def _released(point: CurvePoint) -> collections.OrderedDict[str, float]:
    """What is known of a round, by name; the round itself is the key."""
    return collections.OrderedDict(
        (name, value)
        for name, value in point.to_mapping().items()
        if name != "round" and value is not None
    )

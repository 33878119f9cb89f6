"""How far a training run is: all that its rounds to come and its outcome depend on."""

import collections
import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_finance import checks

ModelWeights = tff.learning.models.ModelWeights


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """State of training after a round.

    Attributes:
        round: Counted from 1.
        training_loss: Mean over the round's rows, in nats; None if the process gives
            none away, as private ones, or if nobody's counted.
        validation_loss: Mean over validation rows, in nats; None in a round
            that was not validated.
        validation_accuracy: Share of validation rows judged rightly, or None.
        non_finite_updates: Institutions whose update was left out of the round.
        client_learning_rate: That the round was run with; None if there is none.
        server_learning_rate: Likewise.
        rejected_updates: Institutions whose update the aggregator left out.
        validation_auc: AUC on validation rows; None if it wasn't asked for.
        simulated_seconds: When the round ended on a simulated clock; None if there
            is no clock, as of all below.
        mean_staleness: Of the round's updates, in rounds.
        late_updates: Updates dropped since the last round, being too stale.
        lost_updates: Local rounds that outages broke off since then.
        counted: Whether anybody's update did. If not, nothing was learnt in the round:
            it uses up no patience, and isn't validated unless the model moved or an
            earlier round that counted is to be.
    """

    round: int
    training_loss: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    non_finite_updates: int
    client_learning_rate: float | None = None
    server_learning_rate: float | None = None
    rejected_updates: int = 0
    validation_auc: float | None = None
    simulated_seconds: float | None = None
    mean_staleness: float | None = None
    late_updates: int | None = None
    lost_updates: int | None = None
    counted: bool = True

    @property
    def broken(self) -> bool:
        """Whether updates came, and none of them was finite."""
        return not (self.counted or self.rejected_updates) and (
            self.non_finite_updates > 0
        )

    def to_mapping(self) -> dict[str, Any]:
        """What is told of the round, by name: nobody's counting shows in the loss."""
        values = dataclasses.asdict(self)
        del values["counted"]
        return values


_COLUMNS = len(dataclasses.fields(CurvePoint))


CountReleases = Callable[[Sequence[int]], int]
"""From the numbers of all rounds begun, from 0, each as often as it was begun, to the
releases that they are together for a unit that is protected."""


def releases_of_passes(begun: Sequence[int], *, rounds_per_pass: int) -> int:
    """Releases at most that a unit is in which has one turn in each pass.

    Args:
        begun: As for `CountReleases`.
        rounds_per_pass: Of which each unit is in one.

    Returns:
        The sum over passes of how often the pass's most repeated round was begun.
    """
    most: dict[int, int] = {}
    for number, times in collections.Counter(begun).items():
        number_of_pass = number // rounds_per_pass
        most[number_of_pass] = max(times, most.get(number_of_pass, 0))
    return sum(most.values())


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoppingRule:
    """When training ends.

    Attributes:
        max_rounds: Most rounds.
        patience: Rounds in which an update counted without a better validation loss;
            None if validation is shown only: all rounds are run, and the last one's
            weights are kept.
        validate_every: Rounds between two validations.
        ends_at_divergence: Whether a loss that isn't finite ends training, with the
            best weights before it, instead of being an error.
        max_simulated_seconds: No round that would end later is run; None for no
            limit. Needs a simulated clock.
        max_releases: Most that rounds begun may count as, repeated ones included,
            since they cost privacy; None for any number.
        count_releases: What they count as; each as one unless given.
    """

    max_rounds: int
    patience: int | None
    validate_every: int = 1
    ends_at_divergence: bool = False
    max_simulated_seconds: float | None = None
    max_releases: int | None = None
    count_releases: CountReleases = len

    def __post_init__(self) -> None:
        """Refuses numbers below 1."""
        for name in ("max_rounds", "validate_every"):
            checks.check_at_least(name, getattr(self, name), 1)
        for name in ("patience", "max_releases"):
            if getattr(self, name) is not None:
                checks.check_at_least(name, getattr(self, name), 1)
        if self.max_simulated_seconds is not None:
            checks.check_positive("max_simulated_seconds", self.max_simulated_seconds)

    def allows(self, simulated_seconds: float | None) -> bool:
        """Whether a round may end at a time on the clock."""
        limit = self.max_simulated_seconds
        return limit is None or simulated_seconds is None or simulated_seconds <= limit

    def bears(self, number: int, begun: Sequence[int]) -> bool:
        """Whether a round may be begun after others, as far as they cost privacy."""
        most = self.max_releases
        return most is None or self.count_releases([*begun, number]) <= most

    def validates(self, round_number: int) -> bool:
        """Whether a round is validated: every so many, and the last."""
        return not (
            round_number % self.validate_every and round_number < self.max_rounds
        )


@dataclasses.dataclass(kw_only=True)
class Progress:
    """A training run between two rounds.

    Attributes:
        seed: What orders the batches.
        state: Of the learning process.
        best_weights: Of the round with the smallest validation loss.
        best: That round; None before the first validation.
        curve: One point per round.
        seconds: Wall time, that of killed processes included up to their last
            checkpoint.
        kept_rounds: What the rounds to come need of those before, in nested arrays.
    """

    seed: int
    state: Any
    best_weights: ModelWeights
    best: CurvePoint | None = None
    curve: list[CurvePoint] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    kept_rounds: Any = ()

    @property
    def round(self) -> int:
        """Rounds done."""
        return len(self.curve)

    @property
    def to_validate(self) -> bool:
        """Whether an update has counted since the last validation."""
        for point in reversed(self.curve):
            if point.validation_loss is not None:
                return False
            if point.counted:
                return True
        return False

    @property
    def has_counted(self) -> bool:
        """Whether any update has."""
        return any(point.counted for point in self.curve)

    @property
    def has_broken(self) -> bool:
        """Whether there was a round none of whose updates was finite."""
        return any(point.broken for point in self.curve)

    @property
    def has_rejected(self) -> bool:
        """Whether the aggregator has left any update out."""
        return any(point.rejected_updates for point in self.curve)

    @property
    def broken_at_end(self) -> int:
        """How many rounds were broken since the last in which an update counted.

        Rounds that nobody took part in are passed over; 0 if a round among the others
        had finite updates, which were rejected.
        """
        since = itertools.takewhile(lambda p: not p.counted, reversed(self.curve))
        lost = [p for p in since if p.non_finite_updates or p.rejected_updates]
        return len(lost) if all(point.broken for point in lost) else 0

    def broken_rounds(self, point: CurvePoint) -> int:
        """How many rounds running had updates none of which was finite.

        Args:
            point: The newest round. Rounds that nobody took part in are passed over,
                and those whose finite updates were all rejected.

        Returns:
            The number; 0 if an update counted in the newest.
        """
        broken = 0
        for one in (point, *reversed(self.curve)):
            if one.counted:
                break
            broken += one.broken
        return broken

    def add(self, point: CurvePoint, weights: ModelWeights | None) -> None:
        """Adds a round, with its weights if they were validated."""
        self.curve.append(point)
        if weights is not None and (
            self.best is None or _loss(point) < _loss(self.best)
        ):
            self.best, self.best_weights = point, weights

    def stopped_by(
        self,
        stopping: StoppingRule,
        *,
        begun: Sequence[int] = (),
        next_ends_at: float | None = None,
    ) -> str | None:
        """Why training is over; None if it isn't.

        Args:
            stopping: The rule.
            begun: Numbers of the rounds begun so far, as `CountReleases` takes them.
            next_ends_at: Simulated seconds of the next round's end; None if there
                is no clock.

        Returns:
            "patience", "max_rounds", "fixed_rounds" if no patience was to end it
            earlier, "max_simulated_seconds" if the next round would end too late, or
            "budget" if one more round would exceed it.
        """
        validated = self.curve and self.curve[-1].validation_loss is not None
        if validated and stopping.patience is not None:
            since = self.curve[self.best.round if self.best else 0 :]
            if sum(point.counted for point in since) >= stopping.patience:
                return "patience"
        if self.round >= stopping.max_rounds:
            return "fixed_rounds" if stopping.patience is None else "max_rounds"
        if not stopping.bears(self.round, begun):
            return "budget"
        return None if stopping.allows(next_ends_at) else "max_simulated_seconds"

    def to_arrays(self) -> tuple[Any, ...]:
        """As nested arrays, which a program state manager takes."""
        curve = [
            [math.nan if value is None else value for value in dataclasses.astuple(p)]
            for p in self.curve
        ]
        return (
            np.array(self.seed, np.int64),
            self.state,
            self.best_weights,
            np.array(curve, np.float64).reshape(-1, _COLUMNS),
            np.array(self.seconds, np.float64),
            self.kept_rounds,
        )

    @classmethod
    def from_arrays(cls, arrays: tuple[Any, ...]) -> "Progress":
        """From what `to_arrays` gave.

        Args:
            arrays: Nested as that.

        Returns:
            The progress.

        Raises:
            ValueError: If the curve has other columns than this version's.
        """
        seed, state, best_weights, curve, seconds, kept_rounds = arrays
        if curve.ndim != 2 or curve.shape[1] != _COLUMNS:  # noqa: PLR2004
            raise ValueError(
                f"its curve must be [rounds, {_COLUMNS}], got {list(curve.shape)}, as "
                "another version of tff_finance writes it"
            )
        progress = cls(
            seed=int(seed),
            state=state,
            best_weights=best_weights,
            seconds=float(seconds),
            kept_rounds=kept_rounds,
        )
        for number, loss, validation_loss, accuracy, *others in curve.tolist():
            non_finite, client_rate, server_rate, rejected, auc, *timing, counted = (
                others
            )
            ends_at, staleness, late, lost = map(_none_if_nan, timing)
            point = CurvePoint(
                round=int(number),
                training_loss=_none_if_nan(loss),
                validation_loss=_none_if_nan(validation_loss),
                validation_accuracy=_none_if_nan(accuracy),
                non_finite_updates=int(non_finite),
                client_learning_rate=_none_if_nan(client_rate),
                server_learning_rate=_none_if_nan(server_rate),
                rejected_updates=int(rejected),
                validation_auc=_none_if_nan(auc),
                simulated_seconds=ends_at,
                mean_staleness=staleness,
                late_updates=None if late is None else int(late),
                lost_updates=None if lost is None else int(lost),
                counted=bool(counted),
            )
            validated = point.validation_loss is not None
            progress.add(point, best_weights if validated else None)
        return progress


def _loss(point: CurvePoint) -> float:
    return math.inf if point.validation_loss is None else point.validation_loss


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value

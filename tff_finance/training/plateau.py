"""Learning rates reduced when the validation loss stops falling.

A rate is a hyperparameter in the state of the learning process, so nothing is built
anew. Whether to reduce it follows from the validated rounds alone: a run that is
resumed replays its curve and decides as if it had never been interrupted.

After https://github.com/google-research/federated/tree/master/adaptive_lr_decay, which
also decays client and server rates apart, by the training loss.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.records.training_config import LEARNING_RATES
from tff_finance.training.progress import CurvePoint

_PARTS: dict[str, str] = dict(
    zip(LEARNING_RATES, ("client_work", "finalizer"), strict=True)
)
_NAME = "learning_rate"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReduceOnPlateau:
    """When and by how much a learning rate is reduced.

    Attributes:
        rate: "client" or "server".
        factor: What the rate is multiplied by, between 0 and 1.
        patience: Rounds in which an update counted without a better validation loss,
            since the best round or the last reduction. Of rounds that aren't validated
            nothing is known.
        minimum: The rate is never reduced below it.
    """

    rate: str
    factor: float = 0.5
    patience: int = 10
    minimum: float = 0.0

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_one_of("rate", self.rate, LEARNING_RATES)
        if not 0 < self.factor < 1:
            raise ValueError(f"`factor` must be between 0 and 1, got {self.factor!r}.")
        checks.check_at_least("patience", self.patience, 1)
        checks.check_at_least("minimum", self.minimum, 0)

    def next_rate(self, rate: float) -> float:
        """The rate after a reduction; one at or below the minimum stays."""
        return min(rate, max(rate * self.factor, self.minimum))


@dataclasses.dataclass
class _Watch:
    """What a rule has seen so far."""

    rule: ReduceOnPlateau
    best_loss: float = math.inf
    since: int = 0  # the best round, or that of the last reduction

    def is_due(self, round_number: int, loss: float) -> bool:
        """Takes note of a validation; whether to reduce the rate after it.

        Args:
            round_number: Of the rounds in which an update counted; that of the last
                one if in the validated round none did.
            loss: Of the validation.

        Returns:
            Whether patience is up.
        """
        if loss < self.best_loss:
            self.best_loss, self.since = loss, round_number
        if round_number - self.since < self.rule.patience:
            return False
        self.since = round_number
        return True


class LearningRates:
    """The rates of a training run, as its rules leave them."""

    def __init__(
        self,
        process: tff.learning.templates.LearningProcess,
        rules: Sequence[ReduceOnPlateau],
        *,
        state: Any,
        curve: Sequence[CurvePoint],
    ) -> None:
        """Goes on where a curve ends.

        Args:
            process: Whose hyperparameters the rates are.
            rules: At most one for each rate.
            state: Of the process, after the last round of the curve.
            curve: The rounds so far; their rates are in `state` already.

        Raises:
            ValueError: If there are two rules for a rate, or if the process has no
                such rate.
        """
        self._process = process
        self._watches = [_Watch(rule) for rule in rules]
        self._counted = 0  # rounds in which an update did
        self._rates = _read(process.get_hparams(state))
        for name in (rule.rate for rule in rules):
            if name not in self._rates:
                raise ValueError(
                    f"`rules` can't reduce the rate {name!r}, which the process "
                    f"doesn't have; it has {', '.join(self._rates) or 'none'}."
                )
        if len({rule.rate for rule in rules}) < len(rules):
            raise ValueError("`rules` must have at most one for each rate.")
        for point in curve:
            self._due(point)

    def of(self, name: str) -> float | None:
        """The rate that the next round runs with; None if there is none."""
        return self._rates.get(name)

    def after(self, point: CurvePoint, state: Any) -> Any:
        """Reduces what is due.

        Args:
            point: The round that was run.
            state: Of the process after it.

        Returns:
            The state that the next round begins with.
        """
        due = self._due(point)
        if not due:
            return state
        hparams = self._process.get_hparams(state)
        for rule in due:
            hparams[_PARTS[rule.rate]][_NAME] = rule.next_rate(self._rates[rule.rate])
        state = self._process.set_hparams(state, hparams)
        self._rates = _read(self._process.get_hparams(state))
        return state

    def _due(self, point: CurvePoint) -> list[ReduceOnPlateau]:
        self._counted += point.counted
        if point.validation_loss is None:
            return []
        return [
            watch.rule
            for watch in self._watches
            if watch.is_due(self._counted, point.validation_loss)
        ]


def _read(hparams: Any) -> dict[str, float]:
    """The rates that there are; in decimals as short as float32 allows."""
    return {
        name: float(str(np.float32(hparams[part][_NAME])))
        for name, part in _PARTS.items()
        if _NAME in hparams.get(part, {})
    }

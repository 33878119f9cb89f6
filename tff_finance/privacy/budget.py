"""Budgets: training ends before a round would exceed what was promised."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

from tff_finance import checks
from tff_finance.privacy import accounting
from tff_finance.privacy.ledger import Ledger
from tff_finance.privacy.mechanisms import Mechanism

RoundsMechanism = Callable[[int], Mechanism]

_MOST_ROUNDS = 2**24


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """How many rounds fit in (epsilon, delta), besides all else that is released.

    It depends on public numbers only, never on rows, so that stopping at its end
    tells nobody anything.

    Attributes:
        epsilon: Most that may be spent.
        ledger: What is released besides training; gives relation and delta. Releases
            that are made after training belong in it too, or they exceed.
        rounds_mechanism: The mechanism of that many rounds of training.
        accountant: As for `accounting.epsilon`.
    """

    epsilon: float
    ledger: Ledger
    rounds_mechanism: RoundsMechanism
    accountant: str | None = None

    def __post_init__(self) -> None:
        """Refuses a target that is no number above 0."""
        checks.check_positive("epsilon", self.epsilon)

    def spent(self, rounds: int) -> float:
        """Epsilon of the ledger and this many rounds."""
        training = [self.rounds_mechanism(rounds)] if rounds else []
        return accounting.epsilon(
            [*self.ledger.mechanisms, *training],
            neighbouring=self.ledger.neighbouring,
            delta=self.ledger.target_delta,
            accountant=self.accountant,
        ).value

    @functools.cached_property
    def most_rounds(self) -> int:
        """Most rounds that keep within the budget; may be 0.

        Raises:
            ValueError: If the ledger alone exceeds the budget.
        """
        if self.spent(0) > self.epsilon:
            raise ValueError(
                f"`epsilon` must be at least {self.spent(0):.4g}, which the ledger of "
                f"{self.ledger.owner!r} spends without training, got {self.epsilon!r}."
            )
        # The first power of two that exceeds, then the border below it.
        exceeds = 1
        while exceeds < _MOST_ROUNDS and self.spent(exceeds) <= self.epsilon:
            exceeds *= 2
        fits = exceeds // 2
        while exceeds - fits > 1:
            middle = (fits + exceeds) // 2
            if self.spent(middle) <= self.epsilon:
                fits = middle
            else:
                exceeds = middle
        return fits

    def would_exceed(self, rounds_done: int) -> bool:
        """Whether one more round would exceed it: ask before every round."""
        return rounds_done >= self.most_rounds


def most_rounds(budgets: Sequence[Budget], *, at_most: int | None = None) -> int:
    """Rounds that every institution's budget bears.

    Args:
        budgets: Of the institutions.
        at_most: More than these aren't asked for, which spares a search.

    Returns:
        The rounds, perhaps 0.
    """
    if at_most and all(b.spent(at_most) <= b.epsilon for b in budgets):
        return at_most
    bear = min(budget.most_rounds for budget in budgets)
    return bear if at_most is None else min(bear, at_most)

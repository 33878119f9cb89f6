"""From mechanisms to epsilon, and from epsilon to noise.

All mathematics is dp-accounting's. Two accountants: privacy loss distributions (PLD),
which are tight, and Rényi differential privacy (RDP), which knows more mechanisms.

Sources: Koskela et al. (2020), https://arxiv.org/abs/1906.03049, and Doroshenko et
al. (2022), https://arxiv.org/abs/2207.04380, for PLD; Mironov et al. (2019),
https://arxiv.org/abs/1908.10530, and Wang et al. (2019),
https://arxiv.org/abs/1808.00087, for RDP.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import dp_accounting
from dp_accounting import pld, rdp

from tff_finance import checks
from tff_finance.privacy.guarantee import ACCOUNTANTS
from tff_finance.privacy.mechanisms import Mechanism, SkellamSum

_Relation = dp_accounting.NeighboringRelation
_RELATIONS = {
    "add_or_remove_one": _Relation.ADD_OR_REMOVE_ONE,
    "replace_one": _Relation.REPLACE_ONE,
    "replace_special": _Relation.REPLACE_SPECIAL,
}
# Beyond it a guarantee says little, and a PLD takes gigabytes.
_LARGEST_PLD_EPSILON = 50.0
_LEAST_NOISE = 0.05
_WHOLE_ORDERS = [*range(2, 64), 80, 96, 128, 192, 256, 512, 1024]


class UnsupportedMechanismError(ValueError):
    """A mechanism that has no accountant under the relation asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Epsilon:
    """A privacy loss and who computed it.

    Attributes:
        value: The epsilon.
        accountant: "pld" or "rdp".
    """

    value: float
    accountant: str


def epsilon(
    mechanisms: Sequence[Mechanism],
    *,
    neighbouring: str,
    delta: float,
    accountant: str | None = None,
) -> Epsilon:
    """Composes mechanisms that saw the same units, each free to look at those before.

    Args:
        mechanisms: In any order; of none, epsilon is 0.
        neighbouring: From `guarantee.RELATIONS`.
        delta: Above 0.
        accountant: "pld" or "rdp"; None takes the tighter, PLD only where it knows
            all mechanisms and RDP finds an epsilon of 50 at most.

    Returns:
        Epsilon and accountant.

    Raises:
        UnsupportedMechanismError: If a mechanism isn't defined under the relation,
            or the accountant doesn't know it; it says why.
        ValueError: If an argument is out of range.
    """
    checks.check_one_of("neighbouring", neighbouring, _RELATIONS)
    checks.check_positive("delta", delta)
    return _epsilon(tuple(mechanisms), neighbouring, delta, accountant)


@functools.lru_cache(maxsize=1024)  # seconds, and seeds ask for the same
def _epsilon(
    mechanisms: tuple[Mechanism, ...],
    neighbouring: str,
    delta: float,
    accountant: str | None,
) -> Epsilon:
    event = _composed(mechanisms, neighbouring)
    office = _Office.of(mechanisms, neighbouring)
    if accountant is not None:
        checks.check_one_of("accountant", accountant, ACCOUNTANTS)
        return office.account(event, delta, accountant)
    by_rdp = office.account(event, delta, "rdp")
    if not office.knows_pld(event) or by_rdp.value > _LARGEST_PLD_EPSILON:
        return by_rdp
    by_pld = office.account(event, delta, "pld")
    # PLD rounds up in every step, which may outweigh its tightness in long training.
    return min(by_pld, by_rdp, key=lambda found: found.value)


def noise_multiplier(
    mechanism_with: Callable[[float], Mechanism],
    *,
    neighbouring: str,
    epsilon: float,
    delta: float,
    others: Sequence[Mechanism] = (),
    accountant: str | None = None,
) -> float:
    """The least noise that keeps within (epsilon, delta).

    Args:
        mechanism_with: The mechanism with a noise multiplier.
        neighbouring: From `guarantee.RELATIONS`.
        epsilon: Target.
        delta: Target.
        others: What is released besides, with the noise that it has.
        accountant: As for `epsilon`.

    Returns:
        Noise multiplier, to 4 decimals from above.

    Raises:
        UnsupportedMechanismError: As for `epsilon`.
        ValueError: If a target is out of range, or if `others` exceed it alone.
    """
    checks.check_positive("epsilon", epsilon)
    checks.check_positive("delta", delta)
    checks.check_one_of("neighbouring", neighbouring, _RELATIONS)

    office = _Office.of([mechanism_with(1.0), *others], neighbouring)

    def event_with(noise: float) -> dp_accounting.DpEvent:
        return _composed([mechanism_with(noise), *others], neighbouring)

    def calibrate(kind: str, bracket: Any) -> float:
        return dp_accounting.calibrate_dp_mechanism(
            functools.partial(office.fresh, kind),
            event_with,
            epsilon,
            delta,
            bracket,
            tol=1e-4,
        )

    checks.check_one_of("accountant", accountant or "rdp", ACCOUNTANTS)
    spent = office.account(_composed(others, neighbouring), delta, "rdp")
    if spent.value >= epsilon:
        raise ValueError(
            f"`epsilon` must be above {spent.value:.4g}, which the other releases "
            f"spend, got {epsilon!r}: give them more noise."
        )
    least = office.account(event_with(_LEAST_NOISE), delta, "rdp")
    if least.value <= epsilon:
        raise ValueError(
            f"`epsilon` must be below {least.value:.4g}, got {epsilon!r}: so large an "
            f"epsilon is met with a noise multiplier of {_LEAST_NOISE}, next to none."
        )
    # PLD is slow where there is little noise: it looks near what RDP found.
    by_rdp = calibrate("rdp", dp_accounting.LowerEndpointAndGuess(_LEAST_NOISE, 1.0))
    tight = office.knows_pld(event_with(by_rdp))
    if accountant == "rdp" or (accountant is None and not tight):
        return by_rdp
    office.account(event_with(by_rdp), delta, "pld")  # refuses what it must
    near = dp_accounting.ExplicitBracketInterval(by_rdp / 2, by_rdp * 2)
    by_pld = calibrate("pld", near)
    return by_pld if accountant == "pld" else min(by_pld, by_rdp)


def _composed(
    mechanisms: Sequence[Mechanism], neighbouring: str
) -> dp_accounting.DpEvent:
    for mechanism in mechanisms:
        if neighbouring not in mechanism.relations:
            raise UnsupportedMechanismError(
                f"{type(mechanism).__name__} has no known bound under "
                f"{neighbouring!r}: it needs {' or '.join(mechanism.relations)}."
            )
    return dp_accounting.ComposedDpEvent([m.event(neighbouring) for m in mechanisms])


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Office:
    """dp-accounting's accountants, as mechanisms and relation need them.

    Attributes:
        neighbouring: From `guarantee.RELATIONS`.
        whole_orders_only: Whether a mechanism's bound holds for whole orders of the
            Rényi divergence, and so in no privacy loss distribution.
    """

    neighbouring: str
    whole_orders_only: bool

    @classmethod
    def of(cls, mechanisms: Sequence[Mechanism], neighbouring: str) -> "_Office":
        return cls(
            neighbouring=neighbouring,
            whole_orders_only=any(isinstance(m, SkellamSum) for m in mechanisms),
        )

    def fresh(self, accountant: str) -> dp_accounting.PrivacyAccountant:
        relation = _RELATIONS[self.neighbouring]
        if accountant == "pld":
            return pld.PLDAccountant(relation)
        orders = _WHOLE_ORDERS if self.whole_orders_only else None
        return rdp.RdpAccountant(orders, neighboring_relation=relation)

    def knows_pld(self, event: dp_accounting.DpEvent) -> bool:
        return not self.whole_orders_only and self.fresh("pld").supports(event)

    def account(
        self, event: dp_accounting.DpEvent, delta: float, accountant: str
    ) -> Epsilon:
        if accountant == "pld" and self.whole_orders_only:
            raise UnsupportedMechanismError(
                "`accountant` must be rdp for SkellamSum, got 'pld'."
            )
        made = self.fresh(accountant)
        try:
            made.compose(event)
        except dp_accounting.UnsupportedEventError as error:
            raise UnsupportedMechanismError(
                f"`accountant` {accountant!r} can't compose these mechanisms under "
                f"{self.neighbouring!r}: {error} Leave `accountant` out."
            ) from error
        return Epsilon(value=float(made.get_epsilon(delta)), accountant=accountant)

"""What a privacy guarantee says: for whom, against which change, how much."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tff_finance import checks

UNITS = ("record", "customer", "branch", "institution")
RELATIONS = ("add_or_remove_one", "replace_one", "replace_special")
ACCOUNTANTS = ("pld", "rdp")
_LARGEST_DELTA = 1e-5


def default_delta(population: int) -> float:
    """`min(1e-5, 1 / (10 n))`, n being the number of units.

    A mechanism that publishes one unit in n at random has delta 1/n, so that delta
    must be well below. n is taken as public.

    Args:
        population: Units that the guarantee is for.

    Returns:
        The delta.

    Raises:
        ValueError: If `population` is below 1.
    """
    checks.check_at_least("population", population, 1)
    return min(_LARGEST_DELTA, 1 / (10 * population))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guarantee:
    """(epsilon, delta)-differential privacy, with all that makes it a statement.

    Attributes:
        unit: Who is protected: a "record", a "customer" with all their rows, or an
            "institution".
        neighbouring: What is hidden: whether one unit is there
            ("add_or_remove_one"), which of two units it is ("replace_one"), or
            whether its contribution is the zero vector ("replace_special"). They
            are no common scale: compare epsilons of one relation only.
        epsilon: Bound on the privacy loss.
        delta: Probability with which the bound may be broken.
        accountant: What composed the releases: "pld" for privacy loss
            distributions, "rdp" for Rényi differential privacy.
        not_covered: What was released, or used to choose, without protection, or
            is only protected elsewhere; a line each.
    """

    unit: str
    neighbouring: str
    epsilon: float
    delta: float
    accountant: str
    not_covered: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what is no guarantee."""
        checks.check_one_of("unit", self.unit, UNITS)
        checks.check_one_of("neighbouring", self.neighbouring, RELATIONS)
        checks.check_one_of("accountant", self.accountant, ACCOUNTANTS)
        checks.check_at_least("epsilon", self.epsilon, 0)
        checks.check_in_range("delta", self.delta, 0, 1)

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it."""
        mapping = dataclasses.asdict(self)
        return mapping | {"not_covered": list(self.not_covered)}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Guarantee":
        """From what `to_mapping` gave."""
        values = dict(mapping)
        return cls(not_covered=tuple(values.pop("not_covered", ())), **values)

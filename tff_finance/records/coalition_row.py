"""What a coalition's model is worth, as records hold it."""

import dataclasses
import math
from collections.abc import Sequence

_SEPARATOR = "/"  # no institution's name has one


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoalitionRow:
    """One metric of the model that a coalition trained, on one set of test rows.

    Attributes:
        seed: Repetition.
        method: By which the coalition trained.
        members: Names of the institutions that trained, as `join_members` has them.
        scope: "pooled" (test rows of all institutions, members or not) or "own".
        institution: Whose own rows; empty if pooled.
        metric: Name of the metric.
        value: None if undefined.
        reason: Why it is undefined; empty if it is defined.
        rounds: Rounds that training ran.
        stopped_by: As in `RunRow`.
        seconds: Wall time of training.
    """

    seed: int
    method: str
    members: str
    scope: str
    institution: str
    metric: str
    value: float | None
    reason: str
    rounds: int
    stopped_by: str
    seconds: float

    def __post_init__(self) -> None:
        """Refuses NaN, and a missing value without a reason."""
        if self.value is None and not self.reason:
            raise ValueError(f"`reason` must say why {self.metric} is undefined.")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(
                f"`value` of {self.metric} must be finite or None, got {self.value}."
            )

    @property
    def coalition(self) -> frozenset[str]:
        """The members' names."""
        return frozenset(self.members.split(_SEPARATOR))


def join_members(names: Sequence[str]) -> str:
    """The members of a coalition as one text."""
    return _SEPARATOR.join(names)

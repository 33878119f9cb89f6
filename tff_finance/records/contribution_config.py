"""Configuration of what each institution contributes to a joint model."""

import dataclasses

from tff_finance import checks

COALITIONS = ("all", "leave_one_out")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContributionConfig:
    """Whose models are trained to see what each institution contributes.

    Attributes:
        method: By which coalitions train; it leaves one model for all of them.
        coalitions: "all", for exact Shapley values; or "leave_one_out": everybody,
            and everybody but one.
    """

    method: str = "fed_avg"
    coalitions: str = "all"

    def __post_init__(self) -> None:
        """Refuses a choice that doesn't exist."""
        checks.check_one_of("coalitions", self.coalitions, COALITIONS)

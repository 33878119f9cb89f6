"""Settings of robust aggregation, and of hostile institutions that it is tried on."""

import dataclasses

from tff_finance import checks

NO_ATTACK = "none"
ATTACKS = (NO_ATTACK, "sign_flip", "scale", "random")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RobustnessConfig:
    """How updates are aggregated robustly, and who is hostile in simulation.

    Attributes:
        trimmed_share: Of the updates, trimmed from either side of each coordinate.
        rejection_multiple: Updates with a norm above so many median norms of the
            round before are rejected.
        attack: What the hostile institution sends instead of its update, from
            `ATTACKS`: the negative of it, itself, or a Gaussian vector of its norm,
            each times `attack_factor`.
        attack_factor: Of the attack.
        hostile_institution: Its name; needed if there is an attack.
    """

    trimmed_share: float = 0.2
    rejection_multiple: float = 3.0
    attack: str = NO_ATTACK
    attack_factor: float = 10.0
    hostile_institution: str = ""

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        if not 0 <= self.trimmed_share < 0.5:  # noqa: PLR2004
            raise ValueError(
                "`trimmed_share` must be at least 0 and below 0.5, got "
                f"{self.trimmed_share!r}."
            )
        checks.check_at_least("rejection_multiple", self.rejection_multiple, 1)
        checks.check_one_of("attack", self.attack, ATTACKS)
        checks.check_positive("attack_factor", self.attack_factor)
        if (self.attack == NO_ATTACK) != (not self.hostile_institution):
            raise ValueError(
                "`hostile_institution` and `attack` go together, got "
                f"{self.hostile_institution!r} and {self.attack!r}: give both or none."
            )


NOBODY_HOSTILE = RobustnessConfig()

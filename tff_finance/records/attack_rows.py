"""What attacks on a run's models and updates achieved, as flat rows."""

import dataclasses
import math

from tff_finance import checks

ATTACKS = ("membership", "inversion", "canary")
PROTECTIONS = (
    "none",
    "record_dp",
    "little_noise",
    "secure_sum",
    "missing_noise",
    "missing_sampling",
)
BROKEN = ("missing_noise", "missing_sampling")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttackRow:
    """One number of one attack under one seed.

    Attributes:
        seed: Repetition.
        attack: From `ATTACKS`.
        method: How it attacks, such as "lira" or "first_layer".
        target: What it attacks: "standard" or "overfitted" training, a "gradient" or
            an update of "local_epochs".
        protection: From `PROTECTIONS`; "little_noise" claims an epsilon that protects
            nobody, so that attacks must come through its clipping and noise; those of
            `BROKEN` claim one that they don't keep, which an attack must find out.
        epsilon: That is claimed; None for no claim.
        model: "global", or "alone" for each institution's own.
        institution: Whose rows; empty for all.
        institutions: Whose updates the attacker sees the sum of; 1 for a single one.
        batch_size: Rows of an institution's step.
        hidden_units: Neurons of the first layer.
        metric: Name of the metric.
        value: None if undefined.
        low: Lower limit of the 95 % interval within the seed; None if there is none.
        high: Upper limit, likewise.
        trials: Rows, records or runs that it rests on.
        reason: Why value or limits are missing; empty if they aren't.
        delta: Of the claim; None for no claim, or if it isn't known.
        unit: Whom the claim protects, such as a "record"; empty likewise.
        neighbouring: Against which change, such as "add_or_remove_one".
        accountant: Who computed the noise that the claim needs, such as "rdp".
    """

    seed: int
    attack: str
    method: str
    target: str
    protection: str
    epsilon: float | None
    model: str
    institution: str
    institutions: int
    batch_size: int
    hidden_units: int
    metric: str
    value: float | None
    low: float | None
    high: float | None
    trials: int
    reason: str = ""
    delta: float | None = None
    unit: str = ""
    neighbouring: str = ""
    accountant: str = ""

    def __post_init__(self) -> None:
        """Refuses NaN, unknown kinds, and a missing value without a reason."""
        checks.check_one_of("attack", self.attack, ATTACKS)
        checks.check_one_of("protection", self.protection, PROTECTIONS)
        if self.value is None and not self.reason:
            raise ValueError(f"`reason` must say why {self.metric} is undefined.")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(
                f"`value` of {self.metric} must be finite or None, got {self.value}."
            )

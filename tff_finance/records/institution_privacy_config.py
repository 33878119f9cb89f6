"""Settings of institution-level privacy and of secure aggregation."""

import dataclasses
from collections.abc import Mapping

from tff_finance import checks

FEWEST_TO_HIDE_IN = 100
"""With fewer units, noise that hides one leaves little of the others."""


def check_branches(branches: int, train_rows: Mapping[str, int]) -> None:
    """Refuses to deal out fewer rows than there are branches.

    Args:
        branches: Of each institution.
        train_rows: Of each institution, by name.

    Raises:
        ValueError: If a branch would be left without a row.
    """
    for name, rows in train_rows.items():
        if rows < branches:
            raise ValueError(
                f"`branches` must be at most {rows}, the training rows of {name!r}, "
                f"got {branches}."
            )


class VacuousPrivacyError(ValueError):
    """Institution-level privacy among so few that it costs all use, or says nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstitutionPrivacyConfig:
    """How methods with institution-level privacy train, and what they may spend.

    Their clients are branches, many to each institution, and the branch with all its
    rows is what is protected. Rounds are fixed before; the model of the last one is
    kept.

    Attributes:
        branches: Of each institution, which its training rows are dealt out to; 0
            leaves the institutions themselves as clients.
        accept_vacuous_privacy: Trains also where there are too few to hide in.
        target_epsilon: Most that may be told about a branch; noise is calibrated to it.
        delta: Of the guarantee; None for `min(1e-5, 1 / (10 n))`, n branches.
        cohort: Branches of a round: expected, where each is drawn by a coin of its
            own; exactly, where each has one turn in a pass.
        rounds: Of `dp_fed_avg`, `dp_fed_avg_adaptive` and `fed_avg_branches`.
        passes: Of `dp_ftrl` and `dp_fed_avg_distributed`, in each of which every branch
            has one turn.
        l2_clip_norm: Largest norm of a branch's update; the first one's where it
            adapts.
        clip_quantile: Share of updates that the adaptive norm is to leave unclipped.
        honest_share: Share of a cohort whose noise shares make the stated noise, with
            distributed noise.
        batch_size: Rows of a branch's local batch.
        local_epochs: Of a branch in a round.
        learning_rate: Of the branches' optimizer.
    """

    branches: int = 0
    accept_vacuous_privacy: bool = False
    target_epsilon: float = 8.0
    delta: float | None = None
    cohort: int = 300
    rounds: int = 100
    passes: int = 5
    l2_clip_norm: float = 1.0
    clip_quantile: float = 0.5
    honest_share: float = 0.5
    batch_size: int = 32
    local_epochs: int = 5
    learning_rate: float = 0.2

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_at_least("branches", self.branches, 0)
        for name in ("target_epsilon", "l2_clip_norm", "learning_rate"):
            checks.check_positive(name, getattr(self, name))
        if self.delta is not None:
            checks.check_positive("delta", self.delta)
            checks.check_in_range("delta", self.delta, 0, 1)
        checks.check_in_range("clip_quantile", self.clip_quantile, 0, 1)
        checks.check_positive("honest_share", self.honest_share)
        checks.check_in_range("honest_share", self.honest_share, 0, 1)
        for name in ("cohort", "rounds", "passes", "batch_size", "local_epochs"):
            checks.check_at_least(name, getattr(self, name), 1)

    def check_not_vacuous(self, institutions: int) -> None:
        """Refuses to hide one among a few.

        Args:
            institutions: That take part, each with its branches.

        Raises:
            VacuousPrivacyError: If the clients are too few, and that isn't accepted.
        """
        clients = institutions * max(1, self.branches)
        if self.accept_vacuous_privacy or clients >= FEWEST_TO_HIDE_IN:
            return
        raise VacuousPrivacyError(
            f"`branches` must give at least {FEWEST_TO_HIDE_IN} clients for privacy at "
            f"institution level, got {clients}: noise that hides one of so few drowns "
            "the others. Protect records instead (fed_avg_dp_sgd), or branches "
            "(--branches=1000), or, to see what it does, give "
            "--accept_vacuous_privacy."
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SecureAggregationConfig:
    """Bounds of `fed_avg_secure`, public and fixed, so that they tell nothing.

    Attributes:
        l2_clip_norm: Largest norm of an update; above what honest ones have.
        largest_weight: Most rows that an institution may have, unless weights are
            uniform.
    """

    l2_clip_norm: float = 20.0
    largest_weight: float = 1e6

    def __post_init__(self) -> None:
        """Refuses bounds that are none."""
        checks.check_positive("l2_clip_norm", self.l2_clip_norm)
        checks.check_positive("largest_weight", self.largest_weight)

    def check_bears(self, train_rows: Mapping[str, int]) -> None:
        """Refuses weights that sums have no room for.

        Cut off to the bound, a weight would be too small for the update that it
        weighs, and the mean too large.

        Args:
            train_rows: Of each institution, by name.

        Raises:
            ValueError: If one has more than `largest_weight`.
        """
        name = max(train_rows, key=lambda name: train_rows[name])
        if train_rows[name] > self.largest_weight:
            raise ValueError(
                f"`largest_weight` must be at least {train_rows[name]}, the training "
                f"rows of {name!r}, got {self.largest_weight:g}: give a larger "
                "--secure_largest_weight, or --weighting=uniform."
            )

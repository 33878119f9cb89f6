"""Settings of partial participation: who takes part in a round of training."""

import dataclasses

from tff_finance import checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParticipationConfig:
    """Who takes part in a round; all institutions unless told otherwise.

    Attributes:
        cohort_size: Institutions of a round, drawn without replacement; None for no
            cohorts of a fixed size.
        participation_rate: Probability with which each institution joins a round, by
            itself; None for no such cohorts.
        dropout_rate: Probability with which an institution of the cohort doesn't
            report.
        min_cohort: A round with fewer institutions leaves the model as it is.
    """

    cohort_size: int | None = None
    participation_rate: float | None = None
    dropout_rate: float = 0.0
    min_cohort: int = 1

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        if self.cohort_size is not None and self.participation_rate is not None:
            raise ValueError(
                "`cohort_size` and `participation_rate` can't both be given, got "
                f"{self.cohort_size!r} and {self.participation_rate!r}."
            )
        if self.cohort_size is not None:
            checks.check_at_least("cohort_size", self.cohort_size, 1)
        if self.participation_rate is not None:
            checks.check_positive("participation_rate", self.participation_rate)
            checks.check_in_range("participation_rate", self.participation_rate, 0, 1)
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(
                "`dropout_rate` must be at least 0 and below 1, got "
                f"{self.dropout_rate!r}."
            )
        checks.check_at_least("min_cohort", self.min_cohort, 1)
        if self.cohort_size is not None and self.cohort_size < self.min_cohort:
            raise ValueError(
                f"`min_cohort` must be at most `cohort_size`, {self.cohort_size}, got "
                f"{self.min_cohort!r}."
            )

    @property
    def everyone(self) -> bool:
        """Whether all institutions take part in every round."""
        sampled = self.cohort_size is not None or self.participation_rate is not None
        return not sampled and not self.dropout_rate and self.min_cohort == 1


EVERYONE = ParticipationConfig()

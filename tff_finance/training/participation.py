"""Participation: a cohort is drawn, some don't report, and too few don't count."""

import dataclasses
from typing import Any

import numpy as np

from tff_finance import checks
from tff_finance.privacy.mechanisms import Mechanism
from tff_finance.records.participation import ParticipationConfig
from tff_finance.training.cohorts import Cohorts, PoissonCohorts, UniformCohorts

_DROPOUTS = 2  # a stream of its own, see `cohorts`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attendance:
    """What became of a round's cohort; numbers of institutions, ascending.

    Attributes:
        asked: Who got the model.
        reported: Who of these sent an update.
        counted: Whose updates the server took: all that were sent, or none.
    """

    asked: tuple[int, ...]
    reported: tuple[int, ...]
    counted: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Participation:
    """Cohorts with dropouts and a minimum, `Cohorts` themselves.

    Dropouts follow from seed and round alone, and leave the draw of the cohort as it
    is. One that drops out has got the model, sends nothing, and keeps the state that
    it had; the mean is over the weights of those who report.

    A round whose cohort is below the minimum is skipped before anything is sent. One
    in which too few report is given up: the model stays. Either counts as a round. It
    isn't drawn again: cohorts drawn until they are large enough are no Poisson sample,
    for which an institution's joining must say nothing of the others', and nobody has
    an accountant for them. Accounting counts such a round as any other. The size of a
    cohort is then seen in whether the model moved: with a minimum above 1, epsilons of
    institutions hold only towards those who may know how many took part.

    Attributes:
        cohorts: Who is drawn.
        dropout_rate: Probability with which one that was drawn doesn't report.
        min_cohort: Fewer don't count.
        seed: Of the dropouts.
    """

    cohorts: Cohorts
    dropout_rate: float = 0.0
    min_cohort: int = 1
    seed: int

    def __post_init__(self) -> None:
        """Refuses what no round can satisfy."""
        checks.check_in_range("dropout_rate", self.dropout_rate, 0, 1)
        checks.check_in_range("min_cohort", self.min_cohort, 1, self.population)
        checks.check_at_least("seed", self.seed, 0)

    @property
    def population(self) -> int:
        """Number of institutions."""
        return self.cohorts.population

    def attendance(self, round_number: int) -> Attendance:
        """Of a round, counted from 0."""
        asked = self.cohorts.members(round_number)
        if len(asked) < self.min_cohort:
            return Attendance(asked=(), reported=(), counted=())
        rng = np.random.default_rng([self.seed, round_number, _DROPOUTS])
        # One number for each institution: another cohort has the same dropouts.
        stays = rng.random(self.population) >= self.dropout_rate
        reported = tuple(i for i in asked if stays[i])
        enough = len(reported) >= self.min_cohort
        return Attendance(
            asked=tuple(asked),
            reported=reported,
            counted=reported if enough else (),
        )

    def members(self, round_number: int) -> list[int]:
        """Whose updates count, ascending from 0; may be empty."""
        return list(self.attendance(round_number).counted)

    def mechanism(self, *, noise_multiplier: float, rounds: int) -> Mechanism:
        """What rounds release whose sums have Gaussian noise, so many times the norm.

        Args:
            noise_multiplier: Standard deviation over the clipping norm.
            rounds: Of the whole training, with those that were skipped.

        Returns:
            That of the cohorts: who drops out, which data don't decide, adds nothing
            to it.

        Raises:
            ValueError: If there is a minimum above 1. Whether a cohort reached it
                tells of each institution whether it was drawn.
        """
        if self.min_cohort > 1:
            raise ValueError(
                "`min_cohort` must be 1 for accounting, which knows no sampling that "
                f"skips small cohorts; got {self.min_cohort}."
            )
        return self.cohorts.mechanism(noise_multiplier=noise_multiplier, rounds=rounds)

    def to_mapping(self) -> dict[str, Any]:
        """The sampling in words and numbers."""
        return self.cohorts.to_mapping() | {
            "dropout_rate": self.dropout_rate,
            "min_cohort": self.min_cohort,
            "below_minimum": "the model stays, the round counts",
        }

    def tally(self, rounds: int) -> "Tally":
        """What happened in the first so many rounds."""
        of_rounds = [self.attendance(number) for number in range(rounds)]
        asked, reported = (
            sum(len(getattr(one, name)) for one in of_rounds)
            for name in ("asked", "reported")
        )
        return Tally(
            downloads=asked,
            uploads=reported,
            exchanges=sum(bool(one.asked) for one in of_rounds),
            skipped_rounds=sum(not one.counted for one in of_rounds),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tally:
    """Participation summed over rounds.

    Attributes:
        downloads: Models that were sent to institutions.
        uploads: Updates that institutions sent.
        exchanges: Rounds in which anything was sent.
        skipped_rounds: Rounds that left the model as it was, since too few took part.
    """

    downloads: int
    uploads: int
    exchanges: int
    skipped_rounds: int


def build_participation(
    config: ParticipationConfig, *, population: int, seed: int
) -> Participation:
    """Builds the participation that was asked for.

    Args:
        config: The settings.
        population: Number of institutions.
        seed: Of draws and dropouts.

    Returns:
        The participation; cohorts are of all institutions if none are asked for.

    Raises:
        ValueError: If there are fewer institutions than asked for.
    """
    cohorts: Cohorts
    if config.participation_rate is not None:
        cohorts = PoissonCohorts(
            population=population,
            sampling_probability=config.participation_rate,
            seed=seed,
        )
    else:
        size = population if config.cohort_size is None else config.cohort_size
        checks.check_in_range("cohort_size", size, 1, population)
        cohorts = UniformCohorts(population=population, size=size, seed=seed)
    return Participation(
        cohorts=cohorts,
        dropout_rate=config.dropout_rate,
        min_cohort=config.min_cohort,
        seed=seed,
    )


def everyone(population: int, rounds: int) -> Tally:
    """All institutions in every round."""
    return Tally(
        downloads=population * rounds,
        uploads=population * rounds,
        exchanges=rounds,
        skipped_rounds=0,
    )

"""Cohorts: which institutions take part in a round, where there are many."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tff_finance import checks
from tff_finance.institutions.examples import GroupStore

ClientDataOfRound = Callable[[int], Sequence[tf.data.Dataset]]
"""From the round's number, counted from 0, to its clients' data."""


# Keeps the draws of different samplers apart. Not 0, which a seed's sequence may end
# in without being another one.
_POISSON = 1


class Cohorts(Protocol):
    """Who takes part, by round."""

    @property
    def population(self) -> int:
        """Number of institutions."""
        ...

    def members(self, round_number: int) -> list[int]:
        """Ascending numbers of the institutions, from 0; may be empty."""
        ...

    def to_mapping(self) -> dict[str, Any]:
        """What privacy accounting must know of the sampling, for records."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniformCohorts:
    """Cohorts of a fixed size, drawn without replacement, anew in every round.

    A round's cohort follows from seed and round alone, so that a resumed run draws
    the same.

    Attributes:
        population: Number of institutions.
        size: Of a cohort.
        seed: Of the draws.
    """

    population: int
    size: int
    seed: int

    def __post_init__(self) -> None:
        """Refuses cohorts that are empty or larger than the population."""
        checks.check_in_range("size", self.size, 1, self.population)
        checks.check_at_least("seed", self.seed, 0)

    def members(self, round_number: int) -> list[int]:
        """Ascending numbers of the institutions, from 0."""
        rng = np.random.default_rng([self.seed, round_number])
        return sorted(rng.choice(self.population, self.size, replace=False).tolist())

    def to_mapping(self) -> dict[str, Any]:
        """What privacy accounting must know of the sampling, for records."""
        return {"sampling": "without replacement, fixed size"} | dataclasses.asdict(
            self
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoissonCohorts:
    """Cohorts that every institution joins with the same probability, by itself.

    So cohorts differ in size, and may be empty. It is the sampling that accountants
    know best (`privacy.mechanisms.PoissonSampledGaussian`): whether one institution
    joins says nothing of another one. That it makes a release more private holds
    towards those who don't know the seed.

    Attributes:
        population: Number of institutions.
        sampling_probability: Of each institution in a round.
        seed: Of the draws.
    """

    population: int
    sampling_probability: float
    seed: int

    def __post_init__(self) -> None:
        """Refuses an empty population and what is no probability above 0."""
        checks.check_at_least("population", self.population, 1)
        checks.check_positive("sampling_probability", self.sampling_probability)
        checks.check_in_range("sampling_probability", self.sampling_probability, 0, 1)
        checks.check_at_least("seed", self.seed, 0)

    def members(self, round_number: int) -> list[int]:
        """Ascending numbers of the institutions, from 0; may be empty."""
        rng = np.random.default_rng([self.seed, round_number, _POISSON])
        joins = rng.random(self.population) < self.sampling_probability
        return np.flatnonzero(joins).tolist()

    def to_mapping(self) -> dict[str, Any]:
        """What privacy accounting must know of the sampling, for records."""
        return {"sampling": "Poisson"} | dataclasses.asdict(self)


def cohort_data(
    datasets: Sequence[tf.data.Dataset],
    cohorts: Cohorts,
    *,
    store: GroupStore | None = None,
    group_size: int = 1,
) -> ClientDataOfRound:
    """Client data of sampled cohorts, for `loop.train`.

    Args:
        datasets: One per institution.
        cohorts: Who takes part; its population is that of `datasets`.
        store: That made the datasets, if it groups institutions.
        group_size: Institutions of a group.

    Returns:
        The cohort's datasets, or groups of them, by round.

    Raises:
        ValueError: If the population isn't the number of datasets, or if there are
            groups without a store of groups, or the reverse.
    """
    if len(datasets) != cohorts.population:
        raise ValueError(
            f"`datasets` must be the population of {cohorts.population}, got "
            f"{len(datasets)}."
        )
    if (store is not None and store.grouped) != (group_size > 1):
        raise ValueError(
            "`group_size` above 1 goes with a `store` made with `grouped=True`, got "
            f"{group_size}."
        )

    def of_round(round_number: int) -> Sequence[tf.data.Dataset]:
        members = [datasets[i] for i in cohorts.members(round_number)]
        if store is None or group_size == 1:
            return members
        return store.groups(members, group_size)

    return of_round

"""Cohorts: which institutions take part in a round, where there are many."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tff_finance import checks
from tff_finance.institutions.examples import GroupStore
from tff_finance.privacy.mechanisms import (
    FixedSizeCohorts,
    FullParticipation,
    Mechanism,
    PoissonSampledGaussian,
)

ClientDataOfRound = Callable[[int], Sequence[tf.data.Dataset]]
"""From the round's number, counted from 0, to its clients' data."""


# Keeps the draws of different samplers apart. Not 0, which a seed's sequence may end
# in without being another one.
_POISSON = 1
_SHUFFLED = 3  # 2 is that of dropouts


class Cohorts(Protocol):
    """Who takes part, by round."""

    @property
    def population(self) -> int:
        """Number of institutions."""
        ...

    def members(self, round_number: int) -> list[int]:
        """Ascending numbers of the institutions, from 0; may be empty."""
        ...

    def mechanism(self, *, noise_multiplier: float, rounds: int) -> Mechanism:
        """What rounds release whose sums have Gaussian noise, for accounting."""
        ...

    def to_mapping(self) -> dict[str, Any]:
        """The sampling in words and numbers.

        Without a seed that a guarantee needs to be secret.
        """
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

    def mechanism(self, *, noise_multiplier: float, rounds: int) -> Mechanism:
        """What rounds release whose sums have Gaussian noise, so many times the norm.

        Args:
            noise_multiplier: Standard deviation over the clipping norm.
            rounds: Of the whole training.

        Returns:
            Cohorts of a fixed size; it holds towards those who don't know the seed.
        """
        return FixedSizeCohorts(
            noise_multiplier=noise_multiplier,
            population=self.population,
            cohort=self.size,
            rounds=rounds,
        )

    def to_mapping(self) -> dict[str, Any]:
        """What accounting must know of the sampling; the seed stays secret."""
        return {
            "sampling": "without replacement, fixed size",
            "population": self.population,
            "size": self.size,
        }


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

    def mechanism(self, *, noise_multiplier: float, rounds: int) -> Mechanism:
        """As `UniformCohorts.mechanism`: rounds as steps of DP-SGD."""
        return PoissonSampledGaussian(
            noise_multiplier=noise_multiplier,
            sampling_probability=self.sampling_probability,
            steps=rounds,
        )

    def to_mapping(self) -> dict[str, Any]:
        """What accounting must know of the sampling; the seed stays secret."""
        return {
            "sampling": "Poisson",
            "population": self.population,
            "sampling_probability": self.sampling_probability,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShuffledCohorts:
    """Every institution once in a pass, in an order of its own for each pass.

    Of a population that cohorts don't divide, the last ones of the order sit the pass
    out. The order follows from seed and pass alone, and needn't be secret.

    Attributes:
        population: Number of institutions.
        size: Of a cohort.
        seed: Of the order.
    """

    population: int
    size: int
    seed: int

    def __post_init__(self) -> None:
        """Refuses cohorts that are empty or larger than the population."""
        checks.check_in_range("size", self.size, 1, self.population)
        checks.check_at_least("seed", self.seed, 0)

    @property
    def rounds_per_pass(self) -> int:
        """After which everybody has had a turn."""
        return self.population // self.size

    def members(self, round_number: int) -> list[int]:
        """Ascending numbers of the institutions, from 0."""
        number, turn = divmod(round_number, self.rounds_per_pass)
        order = _order(self.population, self.seed, number)
        return sorted(order[turn * self.size : (turn + 1) * self.size].tolist())

    def mechanism(self, *, noise_multiplier: float, rounds: int) -> Mechanism:
        """As `UniformCohorts.mechanism`: one release in each pass."""
        return FullParticipation(
            noise_multiplier=noise_multiplier,
            releases=-(-rounds // self.rounds_per_pass),
        )

    def to_mapping(self) -> dict[str, Any]:
        """What privacy accounting must know of the sampling, for records."""
        return {"sampling": "once in a pass"} | dataclasses.asdict(self)


@functools.lru_cache(maxsize=8)
def _order(population: int, seed: int, number: int) -> np.ndarray:
    rng = np.random.default_rng([seed, number, _SHUFFLED])
    return rng.permutation(population)


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

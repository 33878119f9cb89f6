"""Mechanisms: what was released, as an event that an accountant can compose.

In all of them `noise_multiplier` is the standard deviation of the noise over the
clipping norm, the largest norm of one unit's contribution. The accountants count
noise in multiples of the sensitivity instead. Where a unit comes, goes, or becomes
the zero vector, the sensitivity of a sum is the clipping norm; where a unit is
replaced by another, it is twice that.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import dp_accounting

from tff_finance import checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoissonSampledGaussian:
    """DP-SGD: every unit is in a step's batch with the same probability, by itself.

    Source: Abadi et al. (2016), Algorithm 1, https://arxiv.org/abs/1607.00133.

    Attributes:
        noise_multiplier: Standard deviation of the sum's noise over the clipping norm.
        sampling_probability: Of a unit in a step.
        steps: Of the whole training.
    """

    relations: ClassVar[tuple[str, ...]] = ("add_or_remove_one",)
    noise_multiplier: float
    sampling_probability: float
    steps: int

    def __post_init__(self) -> None:
        """Refuses numbers that make no mechanism."""
        checks.check_positive("noise_multiplier", self.noise_multiplier)
        checks.check_positive("sampling_probability", self.sampling_probability)
        checks.check_in_range("sampling_probability", self.sampling_probability, 0, 1)
        checks.check_at_least("steps", self.steps, 1)

    @classmethod
    def of_training(
        cls,
        *,
        noise_multiplier: float,
        population: int,
        batch_size: int,
        epochs: int = 1,
        rounds: int = 1,
    ) -> "PoissonSampledGaussian":
        """The mechanism of training with `client_work.PoissonBatches`.

        Args:
            noise_multiplier: As in the attributes.
            population: Units of the institution, n.
            batch_size: Expected units of a batch; n if there are fewer.
            epochs: Of a round; each has `ceil(n / batch_size)` steps.
            rounds: In which the institution takes part.

        Returns:
            The mechanism, with sampling probability `min(1, batch_size / n)`.

        Raises:
            ValueError: If a number is out of range.
        """
        for name, value in {
            "population": population,
            "batch_size": batch_size,
            "epochs": epochs,
            "rounds": rounds,
        }.items():
            checks.check_at_least(name, value, 1)
        return cls(
            noise_multiplier=noise_multiplier,
            sampling_probability=min(1.0, batch_size / population),
            steps=rounds * epochs * -(-population // batch_size),
        )

    def event(self, neighbouring: str) -> dp_accounting.DpEvent:
        """The event under one of `relations`."""
        noise = _sensitivities_of_noise(self.noise_multiplier, neighbouring)
        step = dp_accounting.PoissonSampledDpEvent(
            self.sampling_probability, dp_accounting.GaussianDpEvent(noise)
        )
        return dp_accounting.SelfComposedDpEvent(step, self.steps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FixedSizeCohorts:
    """Noised sums over cohorts of a fixed size, drawn without replacement.

    A cohort of fixed size is no Poisson sample: if one unit came, another had to go.

    Attributes:
        noise_multiplier: Standard deviation of the sum's noise over the clipping norm.
        population: Units to draw from.
        cohort: Units in a round.
        rounds: Of the whole training.
    """

    relations: ClassVar[tuple[str, ...]] = ("replace_one",)
    noise_multiplier: float
    population: int
    cohort: int
    rounds: int

    def __post_init__(self) -> None:
        """Refuses numbers that make no mechanism."""
        checks.check_positive("noise_multiplier", self.noise_multiplier)
        checks.check_at_least("population", self.population, 1)
        checks.check_in_range("cohort", self.cohort, 1, self.population)
        checks.check_at_least("rounds", self.rounds, 1)

    def event(self, neighbouring: str) -> dp_accounting.DpEvent:
        """The event under one of `relations`."""
        noise = _sensitivities_of_noise(self.noise_multiplier, neighbouring)
        cohort = dp_accounting.SampledWithoutReplacementDpEvent(
            self.population, self.cohort, dp_accounting.GaussianDpEvent(noise)
        )
        return dp_accounting.SelfComposedDpEvent(cohort, self.rounds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FullParticipation:
    """Noised sums over all units: rounds without sampling, and noised statistics.

    Attributes:
        noise_multiplier: Standard deviation of the sum's noise over the largest norm
            of one unit's contribution.
        releases: How many such sums.
    """

    relations: ClassVar[tuple[str, ...]] = (
        "add_or_remove_one",
        "replace_one",
        "replace_special",
    )
    noise_multiplier: float
    releases: int = 1

    def __post_init__(self) -> None:
        """Refuses numbers that make no mechanism."""
        checks.check_positive("noise_multiplier", self.noise_multiplier)
        checks.check_at_least("releases", self.releases, 1)

    def event(self, neighbouring: str) -> dp_accounting.DpEvent:
        """The event under one of `relations`."""
        noise = _sensitivities_of_noise(self.noise_multiplier, neighbouring)
        return dp_accounting.SelfComposedDpEvent(
            dp_accounting.GaussianDpEvent(noise), self.releases
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TreeAggregation:
    """DP-FTRL: all prefix sums of the rounds from trees of noised partial sums.

    Source: Kairouz et al. (2021), https://arxiv.org/abs/2103.00039.

    Attributes:
        noise_multiplier: Standard deviation of a node's noise over the clipping norm.
        steps_between_restarts: Rounds of each tree.
        participations: In how many trees a unit takes part at most, in one round of
            each: only that has an accountant, and rounds must be arranged so.
    """

    relations: ClassVar[tuple[str, ...]] = ("replace_special",)
    noise_multiplier: float
    steps_between_restarts: tuple[int, ...]
    participations: int

    def __post_init__(self) -> None:
        """Refuses what the accountant has no bound for."""
        checks.check_positive("noise_multiplier", self.noise_multiplier)
        if not self.steps_between_restarts:
            raise ValueError("`steps_between_restarts` must name one tree at least.")
        for steps in self.steps_between_restarts:
            checks.check_at_least("steps_between_restarts", steps, 1)
        trees = len(self.steps_between_restarts)
        if not 1 <= self.participations <= trees:
            raise ValueError(
                f"`participations` must be 1 to {trees}, the number of trees, got "
                f"{self.participations!r}: the bound holds if a unit takes part at "
                "most once in each tree. Restart the tree before a unit comes again, "
                "or use FullParticipation or FixedSizeCohorts with independent noise."
            )

    @classmethod
    def of_rounds(
        cls, *, noise_multiplier: float, rounds: int, restart_every: int | None = None
    ) -> "TreeAggregation":
        """The mechanism of training in which trees begin anew.

        Args:
            noise_multiplier: As in the attributes.
            rounds: Of the whole training.
            restart_every: Rounds of a tree; None for one tree.

        Returns:
            The mechanism, if each unit takes part at most once in each tree.

        Raises:
            ValueError: If a number is out of range.
        """
        checks.check_at_least("rounds", rounds, 1)
        every = min(restart_every or rounds, rounds)
        trees = [every] * (rounds // every)
        if rounds % every:
            trees.append(rounds % every)
        return cls(
            noise_multiplier=noise_multiplier,
            steps_between_restarts=tuple(trees),
            participations=len(trees),
        )

    def event(self, neighbouring: str) -> dp_accounting.DpEvent:
        """The event under one of `relations`."""
        noise = _sensitivities_of_noise(self.noise_multiplier, neighbouring)
        # The bound is that of the highest tree; of a unit in several trees they add up.
        tree = dp_accounting.SingleEpochTreeAggregationDpEvent(
            noise, list(self.steps_between_restarts)
        )
        return dp_accounting.SelfComposedDpEvent(tree, self.participations)


SKELLAM_UNITS = 2**16
"""The clipping norm as a whole number, in `distributed_noise`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SkellamSum:
    """Sums of whole numbers with Skellam noise, such as that of distributed shares.

    With noise of variance m, and changes of the sum of at most D2 in the L2 norm and D1
    in the L1 norm, the Rényi divergence of whole order a is at most
    `a D2^2 / 2m + ((2a - 1) D2^2 + 6 D1) / 4m^2`, which is at most `a / 2z^2` with
    `1 / z^2 = D2^2 / m + (D2^2 + 3 D1) / m^2`: what a Gaussian sum with the noise
    multiplier z has, the first term alone being the Gaussian's own. That holds for
    whole orders, of which the accountant is to use no others.

    Source: Agarwal et al. (2021), section 3, https://arxiv.org/abs/2110.04995.

    Attributes:
        noise_multiplier: Standard deviation of the sum's noise over the clipping norm.
        l2_units: The clipping norm, as the whole number that updates were scaled to.
        coordinates: Numbers of an update.
        releases: Sums that a unit is in.
    """

    relations: ClassVar[tuple[str, ...]] = ("replace_one", "replace_special")
    noise_multiplier: float
    l2_units: int
    coordinates: int
    releases: int = 1

    def __post_init__(self) -> None:
        """Refuses numbers that make no mechanism."""
        checks.check_positive("noise_multiplier", self.noise_multiplier)
        checks.check_at_least("l2_units", self.l2_units, 1)
        checks.check_at_least("coordinates", self.coordinates, 1)
        checks.check_at_least("releases", self.releases, 1)

    def event(self, neighbouring: str) -> dp_accounting.DpEvent:
        """The event under one of `relations`."""
        moved = 2 if neighbouring == "replace_one" else 1
        l2 = moved * self.l2_units
        # A whole number is at most its square.
        l1 = moved * self.l2_units * min(self.coordinates**0.5, self.l2_units)
        variance = (self.noise_multiplier * self.l2_units) ** 2
        inverse_square = l2**2 / variance + (l2**2 + 3 * l1) / variance**2
        return dp_accounting.SelfComposedDpEvent(
            dp_accounting.GaussianDpEvent(inverse_square**-0.5), self.releases
        )


Mechanism = (
    PoissonSampledGaussian
    | FixedSizeCohorts
    | FullParticipation
    | TreeAggregation
    | SkellamSum
)

_BY_NAME: Mapping[str, Any] = {
    "poisson_sampled_gaussian": PoissonSampledGaussian,
    "fixed_size_cohorts": FixedSizeCohorts,
    "full_participation": FullParticipation,
    "tree_aggregation": TreeAggregation,
    "skellam_sum": SkellamSum,
}
_NAMES = {mechanism: name for name, mechanism in _BY_NAME.items()}


def to_mapping(mechanism: Mechanism) -> dict[str, Any]:
    """A mechanism as JSON holds it."""
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(mechanism).items()
    }
    return {"name": _NAMES[type(mechanism)], **values}


def from_mapping(mapping: Mapping[str, Any]) -> Mechanism:
    """Reads a mechanism.

    Args:
        mapping: As `to_mapping` gave it.

    Returns:
        The mechanism.

    Raises:
        ValueError: If it names an unknown mechanism or has bad numbers.
    """
    values = {
        name: tuple(value) if isinstance(value, Sequence) else value
        for name, value in mapping.items()
        if name != "name"
    }
    checks.check_one_of("mechanism", mapping["name"], _BY_NAME)
    return _BY_NAME[mapping["name"]](**values)


def _sensitivities_of_noise(noise_multiplier: float, neighbouring: str) -> float:
    """Noise in multiples of the sensitivity, which the accountants count in."""
    return noise_multiplier / (2 if neighbouring == "replace_one" else 1)

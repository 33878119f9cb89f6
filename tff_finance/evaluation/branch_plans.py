"""What hides clients from each other: who takes part when, and which noise is added.

Sources: McMahan et al. (2018), https://arxiv.org/abs/1710.06963, and as the classes
below say.
"""

import abc
import dataclasses
import secrets
from collections.abc import Sequence
from typing import ClassVar, Protocol

import tensorflow_federated as tff

from tff_finance.privacy.distributed_noise import DistributedNoise
from tff_finance.privacy.institution_level import (
    AdaptiveClipping,
    FixedClipping,
    TreeClipping,
)
from tff_finance.privacy.mechanisms import Mechanism
from tff_finance.records.institution_privacy_config import InstitutionPrivacyConfig
from tff_finance.training.cohorts import Cohorts, PoissonCohorts, ShuffledCohorts
from tff_finance.training.progress import releases_of_passes


class Description(Protocol):
    """What the noise is: `privacy.institution_level` and `distributed_noise`."""

    def aggregator(self) -> tff.aggregators.AggregationFactory:
        """Adds it."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan(abc.ABC):
    """Who takes part when, and what hides them, before the noise is known.

    Attributes:
        config: The settings.
        population: Number of clients.
        coordinates: Numbers of an update.
    """

    relation: ClassVar[str]
    against: ClassVar[tuple[str, ...]] = ("institutions", "outsiders")
    config: InstitutionPrivacyConfig
    population: int
    coordinates: int

    @property
    def cohort(self) -> int:
        """Clients of a round; all, if there are fewer than asked for."""
        return min(self.config.cohort, self.population)

    @property
    def rounds(self) -> int:
        """Of the whole training."""
        return self.config.rounds

    @property
    def most_releases(self) -> int:
        """Releases of a client that noise is calibrated for."""
        return self.rounds

    def releases(self, begun: Sequence[int]) -> int:
        """Releases that a client is in, of rounds as `CountReleases` takes them."""
        return len(begun)

    @property
    def least_honest(self) -> int | None:
        """How many others must be honest and present; None if noise isn't theirs."""
        return None

    @abc.abstractmethod
    def cohorts(self, seed: int) -> Cohorts:
        """Who takes part, under a seed of the run."""

    @abc.abstractmethod
    def description(self, noise_multiplier: float) -> Description:
        """Of a noise."""

    @abc.abstractmethod
    def mechanism(self, noise_multiplier: float, releases: int) -> Mechanism:
        """Of so many releases."""


class PoissonFixed(Plan):
    """Gaussian noise, fixed clipping, clients drawn by coins."""

    relation = "add_or_remove_one"

    def cohorts(self, seed: int) -> PoissonCohorts:
        """Of a secret seed: who knows who took part isn't misled by sampling."""
        del seed
        return PoissonCohorts(
            population=self.population,
            sampling_probability=self.cohort / self.population,
            seed=secrets.randbits(128),
        )

    def description(self, noise_multiplier: float) -> Description:
        """As the class says."""
        return self._gaussian(noise_multiplier)

    def mechanism(self, noise_multiplier: float, releases: int) -> Mechanism:
        """Rounds as steps of DP-SGD."""
        return self._gaussian(noise_multiplier).mechanism(
            self.cohorts(0), rounds=releases
        )

    def _gaussian(self, noise_multiplier: float) -> FixedClipping | AdaptiveClipping:
        return FixedClipping(
            l2_clip_norm=self.config.l2_clip_norm,
            noise_multiplier=noise_multiplier,
            expected_updates=self.cohort,
        )


class PoissonAdaptive(PoissonFixed):
    """The same with a norm that follows a quantile (Andrew et al., 2021)."""

    def _gaussian(self, noise_multiplier: float) -> FixedClipping | AdaptiveClipping:
        return AdaptiveClipping(
            initial_l2_clip_norm=self.config.l2_clip_norm,
            noise_multiplier=noise_multiplier,
            expected_updates=self.cohort,
            target_quantile=self.config.clip_quantile,
        )


class PassesOfTrees(Plan):
    """DP-FTRL: one tree for each pass over the clients (Kairouz et al., 2021)."""

    relation = "replace_special"

    @property
    def rounds(self) -> int:
        """Whole passes."""
        return self.config.passes * (self.population // self.cohort)

    def cohorts(self, seed: int) -> Cohorts:
        """Everybody once in a pass, in an order that needn't be secret."""
        return ShuffledCohorts(population=self.population, size=self.cohort, seed=seed)

    def description(self, noise_multiplier: float) -> Description:
        """A tree that begins anew with each pass."""
        return self._trees(noise_multiplier)

    def releases(self, begun: Sequence[int]) -> int:
        """A round that is repeated has the noise and the updates that it had."""
        return len({*begun})

    def mechanism(self, noise_multiplier: float, releases: int) -> Mechanism:
        """Of all rounds, whose trees are drawn as a whole."""
        del releases
        return self._trees(noise_multiplier).mechanism(rounds=self.rounds)

    def _trees(self, noise_multiplier: float) -> TreeClipping:
        return TreeClipping(
            l2_clip_norm=self.config.l2_clip_norm,
            noise_multiplier=noise_multiplier,
            expected_updates=self.cohort,
            restart_every=self.population // self.cohort,
        )


class PassesOfShares(PassesOfTrees):
    """Distributed noise under secure sums (Agarwal et al., 2021)."""

    against = ("server", "institutions", "outsiders")

    @property
    def least_honest(self) -> int:
        """Of the others: a client's own share isn't counted on."""
        return max(1, min(self.cohort - 1, int(self.config.honest_share * self.cohort)))

    def description(self, noise_multiplier: float) -> Description:
        """Shares of which `honest_share` make the noise."""
        return self._shares(noise_multiplier)

    @property
    def most_releases(self) -> int:
        """One in each pass."""
        return self.config.passes

    def releases(self, begun: Sequence[int]) -> int:
        """One in each pass, and one more for a round that was repeated."""
        per_pass = self.population // self.cohort
        return releases_of_passes(begun, rounds_per_pass=per_pass)

    def mechanism(self, noise_multiplier: float, releases: int) -> Mechanism:
        """Of so many sums that a client is in."""
        return self._shares(noise_multiplier).mechanism(
            coordinates=self.coordinates, releases=releases
        )

    def _shares(self, noise_multiplier: float) -> DistributedNoise:
        return DistributedNoise(
            l2_clip_norm=self.config.l2_clip_norm,
            noise_multiplier=noise_multiplier,
            expected_updates=self.cohort,
            least_honest=self.least_honest,
            most_updates=self.cohort,
        )


PLANS: dict[str, type[Plan]] = {
    "dp_fed_avg": PoissonFixed,
    "dp_fed_avg_adaptive": PoissonAdaptive,
    "dp_ftrl": PassesOfTrees,
    "dp_fed_avg_distributed": PassesOfShares,
}

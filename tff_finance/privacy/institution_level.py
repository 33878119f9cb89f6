"""Institution-level differential privacy: noise on the sum of institutions' updates.

It hides from the other institutions, and from whoever gets the model, that an
institution takes part or what it sent; not from the server, which sees updates before
the noise. Each description here is one frozen value of which both are made: the
aggregation factory, which adds the noise, and the mechanism, which accounts for it.

Every institution counts the same, whatever its rows: its update is clipped as a whole,
over all tensors together, and the sum is divided by the *expected* number of
institutions, which is public; the number that reported isn't. An institution of
weight 0, without rows or with an update that isn't finite, adds zeros.

Needs uniform weights. With a handful of institutions there is nothing to hide in.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import tensorflow_federated as tff
import tensorflow_privacy as tfp

from tff_finance import checks
from tff_finance.privacy import fresh_noise, institution_queries
from tff_finance.privacy.fresh_noise import SeedSource
from tff_finance.privacy.mechanisms import Mechanism, TreeAggregation
from tff_finance.privacy.protection import Protecting

Factory = tff.aggregators.UnweightedAggregationFactory


class Sampling(Protocol):
    """How institutions get into rounds; `training.cohorts` has some."""

    def mechanism(self, *, noise_multiplier: float, rounds: int) -> Mechanism:
        """The mechanism of so many rounds of Gaussian sums."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class FixedClipping:
    """Gaussian noise on sums of updates that are clipped to a fixed norm.

    Source: McMahan et al. (2018), https://arxiv.org/abs/1710.06963.

    Attributes:
        l2_clip_norm: Largest norm of an update.
        noise_multiplier: Standard deviation of the sum's noise over that norm; 0 for
            none, as for a reference.
        expected_updates: Updates that a round is expected to have, which its sum is
            divided by.
    """

    l2_clip_norm: float
    noise_multiplier: float
    expected_updates: float

    def __post_init__(self) -> None:
        """Refuses numbers that make no mechanism."""
        checks.check_positive("l2_clip_norm", self.l2_clip_norm)
        checks.check_at_least("noise_multiplier", self.noise_multiplier, 0)
        checks.check_positive("expected_updates", self.expected_updates)

    def aggregator(
        self, *, seed_source: SeedSource = fresh_noise.system_seed
    ) -> Factory:
        """The factory; `seed_source` is replaced in tests only."""
        query = institution_queries.GaussianSum(
            self.l2_clip_norm,
            self.noise_multiplier * self.l2_clip_norm,
            seed_source=seed_source,
        )
        return _mean(query, self.expected_updates)

    def mechanism(self, sampling: Sampling, *, rounds: int) -> Mechanism:
        """What so many rounds release."""
        return sampling.mechanism(noise_multiplier=self.noise_multiplier, rounds=rounds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdaptiveClipping:
    """The same with a norm that follows a quantile of the updates' norms.

    The count of updates within the norm, by which it moves, is released too, with
    noise of its own. The sum gets so much more noise that both together cost what
    `noise_multiplier` says.

    Source: Andrew et al. (2021), Theorem 1, https://arxiv.org/abs/1905.03871.

    Attributes:
        initial_l2_clip_norm: Of the first round.
        noise_multiplier: Of sum and count together; 0 for no noise.
        expected_updates: As in `FixedClipping`.
        target_quantile: Share of updates that should be within the norm.
        learning_rate: The norm moves by a factor of at most `exp(learning_rate)` a
            round.
        count_stddev_share: Standard deviation of the count's noise over
            `expected_updates`.
    """

    initial_l2_clip_norm: float
    noise_multiplier: float
    expected_updates: float
    target_quantile: float = 0.5
    learning_rate: float = 0.2
    count_stddev_share: float = 0.05

    def __post_init__(self) -> None:
        """Refuses numbers that make no mechanism, and too little noise of the count."""
        checks.check_positive("initial_l2_clip_norm", self.initial_l2_clip_norm)
        checks.check_at_least("noise_multiplier", self.noise_multiplier, 0)
        checks.check_positive("expected_updates", self.expected_updates)
        checks.check_in_range("target_quantile", self.target_quantile, 0, 1)
        checks.check_at_least("learning_rate", self.learning_rate, 0)
        checks.check_positive("count_stddev_share", self.count_stddev_share)
        if self.noise_multiplier and self._count_noise <= self.noise_multiplier:
            raise ValueError(
                f"`count_stddev_share` must be above "
                f"{self.noise_multiplier / (2 * self.expected_updates):.4g}, got "
                f"{self.count_stddev_share!r}: the count's noise alone would cost more "
                f"than a `noise_multiplier` of {self.noise_multiplier:.4g} allows."
            )

    @property
    def count_stddev(self) -> float:
        """Of the count's noise; 0 if there is none."""
        if not self.noise_multiplier:
            return 0.0
        return self.count_stddev_share * self.expected_updates

    @property
    def sum_noise_multiplier(self) -> float:
        """Standard deviation of the sum's noise over the norm of the round."""
        if not self.noise_multiplier:
            return 0.0
        return (self.noise_multiplier**-2 - self._count_noise**-2) ** -0.5

    @property
    def _count_noise(self) -> float:
        """Noise of the count in multiples of what an update moves it by."""
        stddev = self.count_stddev_share * self.expected_updates
        return stddev / institution_queries.COUNT_CLIP

    def aggregator(
        self, *, seed_source: SeedSource = fresh_noise.system_seed
    ) -> Factory:
        """The factory; its measurements have the norm after each round, `clip`."""
        query = institution_queries.AdaptiveClipSum(
            initial_l2_clip_norm=self.initial_l2_clip_norm,
            noise_multiplier=self.sum_noise_multiplier,
            target_quantile=self.target_quantile,
            learning_rate=self.learning_rate,
            count_stddev=self.count_stddev,
            expected_updates=self.expected_updates,
            seed_source=seed_source,
        )
        return _mean(query, self.expected_updates)

    def mechanism(self, sampling: Sampling, *, rounds: int) -> Mechanism:
        """What so many rounds release, sums and counts."""
        return sampling.mechanism(noise_multiplier=self.noise_multiplier, rounds=rounds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TreeClipping:
    """DP-FTRL: the noise of the model is that of a tree over the rounds.

    It needs no secret sampling: the guarantee holds for any order of institutions in
    which each takes part once between two restarts. The server's optimizer must be
    linear in the sums, SGD with or without momentum, for the noise to stay as small
    as the tree makes it; the guarantee doesn't depend on that.

    Source: Kairouz et al. (2021), https://arxiv.org/abs/2103.00039.

    Attributes:
        l2_clip_norm: Largest norm of an update.
        noise_multiplier: Standard deviation of a node's noise over that norm; 0 for
            none.
        expected_updates: As in `FixedClipping`.
        restart_every: Rounds after which a new tree begins; None for never.
    """

    l2_clip_norm: float
    noise_multiplier: float
    expected_updates: float
    restart_every: int | None = None

    def __post_init__(self) -> None:
        """Refuses numbers that make no mechanism."""
        checks.check_positive("l2_clip_norm", self.l2_clip_norm)
        checks.check_at_least("noise_multiplier", self.noise_multiplier, 0)
        checks.check_positive("expected_updates", self.expected_updates)
        if self.restart_every is not None:
            checks.check_at_least("restart_every", self.restart_every, 1)

    def aggregator(
        self, *, seed_source: SeedSource = fresh_noise.system_seed
    ) -> Factory:
        """The factory; `seed_source` is replaced in tests only."""

        def build_query(specs: Any) -> tfp.SumAggregationDPQuery:
            return institution_queries.build_tree_sum(
                l2_clip_norm=self.l2_clip_norm,
                stddev=self.noise_multiplier * self.l2_clip_norm,
                specs=specs,
                restart_every=self.restart_every,
                seed_source=seed_source,
            )

        return _OfSpecs(lambda specs: _mean(build_query(specs), self.expected_updates))

    def mechanism(self, *, rounds: int) -> Mechanism:
        """What so many rounds release.

        Args:
            rounds: Of the whole training.

        Returns:
            The mechanism, if each institution takes part at most once between two
            restarts.
        """
        return TreeAggregation.of_rounds(
            noise_multiplier=self.noise_multiplier,
            rounds=rounds,
            restart_every=self.restart_every,
        )


class _OfSpecs(Protecting, tff.aggregators.UnweightedAggregationFactory):
    """A factory that must know what it sums before it can be built."""

    def __init__(self, build: Callable[[Any], Factory]) -> None:
        self._build = build

    def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
        specs = tff.types.type_to_tf_tensor_specs(value_type)
        return self._build(specs).create(value_type)


def _mean(query: tfp.SumAggregationDPQuery, expected_updates: float) -> Factory:
    return tff.aggregators.DifferentiallyPrivateFactory(
        tfp.NormalizedQuery(query, denominator=float(expected_updates))
    )

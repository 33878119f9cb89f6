"""FedAvg among many clients, each of which is protected as a whole.

Clients are branches, or institutions where these are many. Who attacks sees the models
of all rounds; the server, which sees updates before the noise, is trusted, but for
`dp_fed_avg_distributed`, where it sees secure sums of updates with noise.

Sources: McMahan et al. (2018), https://arxiv.org/abs/1710.06963, and as the classes
below say.
"""

import dataclasses
import secrets
from collections.abc import Sequence
from typing import ClassVar, Protocol

import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.algorithms.client_optimizers import build_client_optimizer
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.evaluation.branches import deal_to_branches
from tff_finance.evaluation.methods import (
    GLOBAL,
    Fitted,
    Learner,
    Method,
    curve_rows,
    federated_run,
)
from tff_finance.evaluation.promises import VALIDATION_SHOWN, Promise
from tff_finance.evaluation.suite import Suite
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.privacy import accounting
from tff_finance.privacy.distributed_noise import DistributedNoise
from tff_finance.privacy.institution_level import (
    AdaptiveClipping,
    FixedClipping,
    TreeClipping,
)
from tff_finance.privacy.ledger import Entry, Ledger
from tff_finance.privacy.mechanisms import Mechanism
from tff_finance.records.institution_privacy_config import InstitutionPrivacyConfig
from tff_finance.records.privacy_row import CONSORTIUM
from tff_finance.records.run_record import RunRow
from tff_finance.training import communication
from tff_finance.training.cohorts import (
    Cohorts,
    PoissonCohorts,
    ShuffledCohorts,
    cohort_data,
)
from tff_finance.training.folder import TrainingFolder
from tff_finance.training.loop import Trained
from tff_finance.training.progress import StoppingRule, releases_of_passes
from tff_finance.training.rounds import UntimedRounds

TRAFFIC_OF_COHORTS = "type signature, cohorts of the expected size"

_ROUND_METRICS = Entry(
    stage="training",
    what="each client's number of rows and whether its update was finite, to the "
    "server; their sums to all, round by round",
    reason="exact; nothing is stopped or chosen by them",
)


class Description(Protocol):
    """What the noise is: `privacy.institution_level` and `distributed_noise`."""

    def aggregator(self) -> tff.aggregators.AggregationFactory:
        """Adds it."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
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

    def cohorts(self, seed: int) -> Cohorts:
        """Who takes part, under a seed of the run."""
        raise NotImplementedError

    def description(self, noise_multiplier: float) -> Description:
        """Of a noise."""
        raise NotImplementedError

    def mechanism(self, noise_multiplier: float, releases: int) -> Mechanism:
        """Of so many releases."""
        raise NotImplementedError


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


def build_institution_private(suite: Suite, name: str) -> Method:
    """One of `PLANS`, by its name."""
    return BranchFedAvg(name=name, suite=suite, plan=PLANS[name])


def build_fed_avg_branches(suite: Suite, name: str) -> Method:
    """FedAvg by the branches of `dp_fed_avg`, without clipping and noise."""
    return BranchFedAvg(name=name, suite=suite, plan=None)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BranchFedAvg:
    """FedAvg of cohorts of branches, with one ledger for all of them.

    Attributes:
        name: In tables and records.
        suite: What the methods of a comparison share.
        plan: What hides a branch; None for nothing.
    """

    name: str
    suite: Suite
    plan: type[Plan] | None
    _noise: dict[int, float] = dataclasses.field(default_factory=dict)
    _learners: dict[int, Learner] = dataclasses.field(default_factory=dict)

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Trains one global model.

        Args:
            institutions: As in `Method`; their rows are dealt out to branches.
            seed: Of initialisation, dealing and order; noise follows from no seed.
            folder: As in `Method`.

        Returns:
            The last round's model, with a promise unless nothing hides anybody.

        Raises:
            UnfitSettingsError: If there are too few to hide in, if an institution has
                fewer rows than branches, or if noise can't be calibrated.
        """
        config = self.suite.training.institution_privacy
        try:
            if self.plan:
                config.check_not_vacuous(len(institutions))
            branches = deal_to_branches(institutions, config.branches, seed=seed)
            plan = self._plan(len(branches))
            learner = self._learner(plan)
        except ValueError as error:
            raise checks.UnfitSettingsError(f"{self.name}: {error}") from error
        cohorts = plan.cohorts(seed)
        learner = dataclasses.replace(
            learner,
            build_rounds=lambda data, *_: UntimedRounds(cohort_data(data, cohorts)),
        )
        trained = learner.train(
            branches,
            [institution.validation for institution in institutions],
            seed=seed,
            label=f"seed {seed} {self.name}",
            model=GLOBAL,
            folder=folder,
        )
        return Fitted(
            scorers={GLOBAL: learner.scorer(trained.weights)},
            curves=curve_rows(trained, seed, self.name, GLOBAL),
            runs=(self._run(learner, plan, trained, len(institutions), seed),),
            promises=(self._promise(plan, trained),) if self.plan else (),
        )

    def _run(
        self, learner: Learner, plan: Plan, trained: Trained, banks: int, seed: int
    ) -> RunRow:
        """Updates are those of branches, validation is that of institutions."""
        per_round = communication.traffic_per_round(learner.process.next)
        run = federated_run(
            learner, trained, seed=seed, method=self.name, institutions=banks
        )
        exchanges = trained.rounds * plan.cohort
        return dataclasses.replace(
            run,
            bytes_down=exchanges * per_round.bytes_down,
            bytes_up=exchanges * per_round.bytes_up,
            source=TRAFFIC_OF_COHORTS,
        )

    def _plan(self, population: int) -> Plan:
        return (self.plan or PoissonFixed)(
            config=self.suite.training.institution_privacy,
            population=population,
            coordinates=sum(
                int(weight.size) for weight in self.suite.model.initial_weights[0]
            ),
        )

    def _learner(self, plan: Plan) -> Learner:
        if plan.population not in self._learners:
            config = plan.config
            aggregator = None
            if self.plan:
                self._noise[plan.population] = self._calibrated(plan)
                noise = self._noise[plan.population]
                aggregator = plan.description(noise).aggregator()
            process = build_fed_avg(
                self.suite.model,
                client_optimizer=build_client_optimizer(
                    self.suite.training.client_optimizer, config.learning_rate
                ),
                batches=LocalEpochs(
                    epochs=config.local_epochs, batch_size=config.batch_size
                ),
                server_optimizer=self.suite.server_optimizer(),
                weighting=tff.learning.ClientWeighting.UNIFORM,
                aggregator=aggregator,
                store=self.suite.store,
                gives_loss=self.plan is None,
            )
            stopping = StoppingRule(
                max_rounds=plan.rounds,
                patience=None,
                max_releases=plan.most_releases if self.plan else None,
                count_releases=plan.releases,
            )
            self._learners[plan.population] = self.suite.learner(
                process, stopping, rates=()
            )
        return self._learners[plan.population]

    def _calibrated(self, plan: Plan) -> float:
        ledger = self._ledger(plan)
        return accounting.noise_multiplier(
            lambda noise: plan.mechanism(noise, plan.most_releases),
            neighbouring=plan.relation,
            epsilon=plan.config.target_epsilon,
            delta=ledger.target_delta,
        )

    def _ledger(self, plan: Plan) -> Ledger:
        return Ledger(
            owner=CONSORTIUM,
            unit="branch" if plan.config.branches else "institution",
            neighbouring=plan.relation,
            population=plan.population,
            delta=plan.config.delta,
            entries=(_ROUND_METRICS, VALIDATION_SHOWN),
        )

    def _promise(self, plan: Plan, trained: Trained) -> Promise:
        noise = self._noise[plan.population]
        mechanism = plan.mechanism(noise, trained.releases)
        adapts = issubclass(type(plan), PoissonAdaptive)
        return Promise(
            model=GLOBAL,
            training=mechanism,
            ledger=self._ledger(plan).with_release("training", "updates", mechanism),
            against=plan.against,
            sampling_probability=plan.cohort / plan.population,
            steps=trained.begun,
            l2_clip_norm=None if adapts else plan.config.l2_clip_norm,
            target_epsilon=plan.config.target_epsilon,
            least_honest=plan.least_honest,
        )

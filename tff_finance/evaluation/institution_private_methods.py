"""FedAvg among many clients, each of which is protected as a whole.

Clients are branches, or institutions where these are many. Who attacks sees the models
of all rounds; the server, which sees updates before the noise, is trusted, but for
`dp_fed_avg_distributed`, where it sees secure sums of updates with noise.

Source: McMahan et al. (2018), https://arxiv.org/abs/1710.06963; of the others as
`branch_plans` says.
"""

import dataclasses
from collections.abc import Sequence

import tensorflow_federated as tff

from tff_finance import checks
from tff_finance.algorithms.client_optimizers import build_client_optimizer
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.batches import LocalEpochs
from tff_finance.evaluation.branch_plans import (
    PLANS,
    Plan,
    PoissonAdaptive,
    PoissonFixed,
)
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
from tff_finance.privacy.ledger import Entry, Ledger
from tff_finance.records.privacy_row import CONSORTIUM
from tff_finance.records.run_rows import RunRow
from tff_finance.training import communication
from tff_finance.training.cohorts import cohort_data
from tff_finance.training.folder import TrainingFolder
from tff_finance.training.loop import Trained
from tff_finance.training.progress import StoppingRule
from tff_finance.training.rounds import UntimedRounds

TRAFFIC_OF_COHORTS = "type signature, cohorts of the expected size"

_ROUND_METRICS = Entry(
    stage="training",
    what="each client's number of rows and whether its update was finite, to the "
    "server; their sums to all, round by round",
    reason="exact; nothing is stopped or chosen by them",
)


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
        adapts = isinstance(plan, PoissonAdaptive)
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

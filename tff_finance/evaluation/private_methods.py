"""FedAvg by DP-SGD: record or customer level, institution by institution.

A unit, one row or one customer with all rows, is protected from the server, from the
other institutions and from whoever gets the model. Noise depends on an institution's
number of units, which is public, so that the learning process is built when the
institutions are known.

Source: Abadi et al. (2016), https://arxiv.org/abs/1607.00133, as the local training of
McMahan et al. (2017), https://arxiv.org/abs/1602.05629.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from tff_finance import checks
from tff_finance.algorithms.client_optimizers import build_client_optimizer
from tff_finance.algorithms.fed_avg import build_fed_avg
from tff_finance.client_work.poisson_batches import PoissonBatches
from tff_finance.client_work.private_gradient import build_private_gradient
from tff_finance.evaluation.methods import GLOBAL, Federated, Fitted, Learner, Method
from tff_finance.evaluation.promises import VALIDATION_SHOWN, Promise
from tff_finance.evaluation.protected_units import (
    FederatedByUnits,
    by_units,
    num_units,
    unit_store,
)
from tff_finance.evaluation.suite import Suite
from tff_finance.preprocessing.consortium import TrainingExamples
from tff_finance.privacy import accounting, budget
from tff_finance.privacy.ledger import Ledger
from tff_finance.privacy.mechanisms import PoissonSampledGaussian
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.records.privacy_row import ADVERSARIES
from tff_finance.training.folder import TrainingFolder
from tff_finance.training.progress import StoppingRule

RELATION = "add_or_remove_one"
# Of 32-bit gradients so few are longer that nothing is clipped.
_NO_CLIPPING = 1e12


def build_fed_avg_dp_sgd(suite: Suite, name: str) -> Method:
    """FedAvg in which every gradient is clipped by unit and noised."""
    return FedAvgDpSgd(name=name, suite=suite)


def build_fed_avg_poisson(suite: Suite, name: str) -> Method:
    """The same training without clipping and noise: what privacy is paid from."""
    learner = _learner(
        suite,
        clip=_NO_CLIPPING,
        noise=0.0,
        stopping=StoppingRule(
            max_rounds=suite.training.dp_sgd.rounds,
            patience=None,
        ),
    )
    return FederatedByUnits(name=name, learner=learner, config=suite.training.dp_sgd)


def noise_multiplier(config: DpSgdConfig, ledger: Ledger) -> float:
    """The noise of one institution, given or calibrated to the target.

    Args:
        config: The settings.
        ledger: The institution's, with all that it releases besides training.

    Returns:
        Standard deviation over the clipping norm.

    Raises:
        ValueError: If no noise meets the target.
    """
    if config.noise_multiplier is not None:
        return config.noise_multiplier
    return accounting.noise_multiplier(
        lambda noise: _training(config, ledger, noise, config.rounds),
        neighbouring=RELATION,
        epsilon=config.target_epsilon,
        delta=ledger.target_delta,
        others=ledger.mechanisms,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FedAvgDpSgd:
    """FedAvg by DP-SGD, with a ledger and a budget for each institution.

    Attributes:
        name: In tables and records.
        suite: What the methods of a comparison share.
    """

    name: str
    suite: Suite
    _noise: dict[Ledger, float] = dataclasses.field(default_factory=dict)
    _learners: dict[tuple[tuple[int, float], ...], Learner] = dataclasses.field(
        default_factory=dict
    )

    def fit(
        self,
        institutions: Sequence[TrainingExamples],
        *,
        seed: int,
        folder: TrainingFolder | None = None,
    ) -> Fitted:
        """Trains one global model within every institution's budget.

        Args:
            institutions: As in `Method`.
            seed: Of initialisation; noise and batches follow from no seed.
            folder: As in `Method`.

        Returns:
            The last round's model, with a promise for each institution.

        Raises:
            UnfitSettingsError: If noise can't be calibrated, if an institution's
                budget bears no round, or if customers are to be protected and aren't
                known.
        """
        institutions = by_units(institutions, self.suite.training.dp_sgd)
        ledgers = {i.institution: self._ledger(i) for i in institutions}
        try:
            noise = {name: self._noise_of(ledgers[name]) for name in ledgers}
            learner = self._learner_for(ledgers, noise)
        except ValueError as error:
            raise checks.UnfitSettingsError(f"{self.name}: {error}") from error
        federated = Federated(name=self.name, learner=learner)
        trained = federated.train(institutions, seed=seed, folder=folder)
        fitted = federated.fitted(trained, institutions, seed=seed)
        promises = tuple(
            self._promise(ledger, noise[name], trained.releases)
            for name, ledger in ledgers.items()
        )
        return dataclasses.replace(fitted, promises=promises)

    def _ledger(self, examples: TrainingExamples) -> Ledger:
        """Of what is released besides training, none of which has a mechanism yet."""
        return Ledger(
            owner=examples.institution,
            unit=self.suite.training.dp_sgd.privacy_unit,
            neighbouring=RELATION,
            population=num_units(examples.train),
            delta=self.suite.training.dp_sgd.delta,
            entries=(VALIDATION_SHOWN,),
        )

    def _noise_of(self, ledger: Ledger) -> float:
        """Calibrated once for all institutions and seeds of equal numbers."""
        anybody = dataclasses.replace(ledger, owner="anybody")
        if anybody not in self._noise:
            config = self.suite.training.dp_sgd
            self._noise[anybody] = noise_multiplier(config, anybody)
        return self._noise[anybody]

    def _learner_for(
        self, ledgers: Mapping[str, Ledger], noise: Mapping[str, float]
    ) -> Learner:
        by_population = {
            ledger.population: noise[name] for name, ledger in ledgers.items()
        }
        key = tuple(sorted(by_population.items()))
        if key not in self._learners:
            config = self.suite.training.dp_sgd
            rounds = self._most_rounds(ledgers, noise)
            self._learners[key] = _learner(
                self.suite,
                clip=config.l2_clip_norm,
                noise=by_population,
                stopping=StoppingRule(
                    max_rounds=config.rounds, patience=None, max_releases=rounds
                ),
            )
        return self._learners[key]

    def _most_rounds(
        self, ledgers: Mapping[str, Ledger], noise: Mapping[str, float]
    ) -> int:
        config = self.suite.training.dp_sgd
        budgets = [
            budget.Budget(
                epsilon=config.target_epsilon,
                ledger=ledger,
                rounds_mechanism=_rounds_mechanism(config, ledger, noise[name]),
            )
            for name, ledger in ledgers.items()
        ]
        rounds = budget.most_rounds(budgets, at_most=config.rounds)
        if not rounds:
            raise ValueError(
                f"`target_epsilon` must bear one round at every institution, got "
                f"{config.target_epsilon!r}: give more noise, or leave "
                "`noise_multiplier` out to have it calibrated."
            )
        return rounds

    def _promise(self, ledger: Ledger, noise: float, rounds: int) -> Promise:
        config = self.suite.training.dp_sgd
        mechanism = _training(config, ledger, noise, rounds)
        return Promise(
            model=GLOBAL,
            training=mechanism,
            ledger=ledger.with_release("training", "updates", mechanism),
            against=ADVERSARIES,
            sampling_probability=mechanism.sampling_probability,
            steps=mechanism.steps,
            l2_clip_norm=config.l2_clip_norm,
            target_epsilon=config.target_epsilon,
            most_rows=config.most_rows_per_customer if config.by_customer else None,
        )


def _rounds_mechanism(
    config: DpSgdConfig, ledger: Ledger, noise: float
) -> budget.RoundsMechanism:
    return lambda rounds: _training(config, ledger, noise, rounds)


def _training(
    config: DpSgdConfig, ledger: Ledger, noise: float, rounds: int
) -> PoissonSampledGaussian:
    return PoissonSampledGaussian.of_training(
        noise_multiplier=noise,
        population=ledger.population,
        batch_size=config.batch_size,
        epochs=config.local_epochs,
        rounds=rounds,
    )


def _learner(
    suite: Suite,
    *,
    clip: float,
    noise: float | Mapping[int, float],
    stopping: StoppingRule,
) -> Learner:
    """Learning rates are reduced by no validation loss, which has no noise."""
    training, config = suite.training, suite.training.dp_sgd
    store = unit_store(config, suite.store)
    process = build_fed_avg(
        suite.model,
        client_optimizer=build_client_optimizer(
            training.client_optimizer, config.learning_rate
        ),
        batches=PoissonBatches(
            epochs=config.local_epochs, batch_size=config.batch_size
        ),
        gradient_estimator=build_private_gradient(
            suite.model,
            l2_clip_norm=clip,
            noise_multiplier=noise,
            keras_model=suite.build_keras_model(0),
        ),
        server_optimizer=suite.server_optimizer(),
        weighting=suite.weighting,
        store=store,
    )
    learner = suite.learner(process, stopping, rates=())
    return dataclasses.replace(learner, store=store)

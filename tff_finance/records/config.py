"""Configuration of an experiment as frozen values with a JSON round trip."""

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from tff_finance import checks
from tff_finance.records.asynchronous_config import FROM_FILE, AsynchronousConfig
from tff_finance.records.contribution_config import ContributionConfig
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.records.institution_privacy_config import (
    InstitutionPrivacyConfig,
    SecureAggregationConfig,
)
from tff_finance.records.participation import EVERYONE, ParticipationConfig
from tff_finance.records.personalization_config import PersonalizationConfig
from tff_finance.records.robustness import NO_ATTACK, NOBODY_HOSTILE, RobustnessConfig

WEIGHTINGS = ("examples", "uniform")
RUNTIMES = ("in_process", "tff", "workers")
# Results are reported for seeds from this one on, which had no part in any choice.
FIRST_REPORTED_SEED = 100
# What the case study compares unless told otherwise.
DEFAULT_METHODS = ("local", "fed_avg", "fed_sgd", "centralized", "gradient_boosting")
METHODS = (
    *DEFAULT_METHODS,
    "fed_prox",
    "scaffold",
    "fed_avgm",
    "fed_adagrad",
    "fed_adam",
    "fed_yogi",
    "fed_buff",
    "fine_tuned",
    "fed_per",
    "fed_md",
    "fed_avg_median",
    "fed_avg_trimmed_mean",
    "fed_avg_geometric_median",
    "fed_avg_clipping",
    "fed_avg_rejecting",
    "fed_avg_dp_sgd",
    "fed_avg_poisson",
    "fed_avg_quantized",
    "fed_avg_top_k",
    "fed_avg_tff_compressed",
    "fed_avg_secure",
    "fed_avg_branches",
    "dp_fed_avg",
    "dp_fed_avg_adaptive",
    "dp_ftrl",
    "dp_fed_avg_distributed",
)
INSTITUTION_PRIVATE_METHODS = (
    "dp_fed_avg",
    "dp_fed_avg_adaptive",
    "dp_ftrl",
    "dp_fed_avg_distributed",
)
# Whose secure sums are simulated in this process only.
SECURE_METHODS = ("fed_avg_secure", "dp_fed_avg_distributed")
# Whose institutions keep state between rounds.
STATEFUL_METHODS = ("scaffold", "fed_per", "fed_avg_top_k")
# Whose rounds have no institutions as clients: settings of these leave them alone.
REFERENCES = ("local", "centralized", "gradient_boosting")
# Variants of FedAvg, which institutions may be hostile in.
UNDER_ATTACK = (
    "fed_avg",
    "fed_avgm",
    "fed_adagrad",
    "fed_adam",
    "fed_yogi",
    "fed_avg_median",
    "fed_avg_trimmed_mean",
    "fed_avg_geometric_median",
    "fed_avg_clipping",
    "fed_avg_rejecting",
)
# Whose rounds may be of some of the institutions.
WITH_COHORTS = (
    # TFF's estimates of quantiles are undefined for good after a round without anybody.
    *(m for m in UNDER_ATTACK if m != "fed_avg_clipping"),
    "fed_sgd",
    "fed_prox",
    "scaffold",
    "fed_avg_quantized",
    "fed_avg_top_k",
    "fed_avg_tff_compressed",
)
# Whose rounds a simulated clock is for.
WITH_CLOCK = (
    *(m for m in WITH_COHORTS if m != "fed_sgd"),
    "fed_avg_clipping",
    "fed_avg_secure",
    "fed_buff",
    "fine_tuned",
    "fed_per",
)
OPTIMIZERS = ("sgd", "momentum", "adagrad", "adam", "yogi")
LEARNING_RATES = ("client", "server")
Config = TypeVar("Config", bound="StudyConfig")
# Why a method leaves no network that all institutions share.
WITHOUT_GLOBAL_NETWORK: Mapping[str, str] = MappingProxyType(
    {
        "local": "trains a model for each institution",
        "gradient_boosting": "trains no network",
        "fine_tuned": "ends in a model for each institution",
        "fed_per": "ends in a model for each institution",
        "fed_md": "trains a model for each institution",
    }
)
# Whose every training spends privacy.
PRIVATE_METHODS = ("fed_avg_dp_sgd", *INSTITUTION_PRIVATE_METHODS)
# Whose batches are drawn from all rows at once.
ROWS_IN_MEMORY_METHODS = ("fed_avg_dp_sgd", "fed_avg_poisson")
GLOBAL_NETWORK_METHODS = tuple(m for m in METHODS if m not in WITHOUT_GLOBAL_NETWORK)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How models are trained; the same for every method as far as it applies.

    Attributes:
        hidden_units: Width of each hidden layer.
        client_optimizer: Of local steps, and of the references; from `OPTIMIZERS`.
            SCAFFOLD is defined for "sgd" only.
        client_learning_rate: Of that optimizer.
        batch_size: Rows of a local batch.
        local_epochs: Passes over an institution's table per FedAvg round; here and
            below, FedAvg stands for all methods that train so.
        weighting: Weight of an institution's update: "examples" or "uniform".
        rounds: Most FedAvg rounds.
        server_optimizer: Of all federated methods but FedMD, which has no server
            weights; FedAvgM, FedAdagrad, FedAdam and FedYogi are FedAvg with one of
            their own.
        server_learning_rate: Of all of these but FedSGD; None for each optimizer's
            default, which is 1 for "sgd".
        proximal_mu: Strength of FedProx's proximal term; at 0 it is FedAvg.
        plateau_rates: Which learning rates are reduced when the validation loss
            stops falling, from `LEARNING_RATES`; "client" is that of the references
            too, of FedMD while its models train alone. FedSGD's stays as it is, and
            FedBuff's client rate can't be reduced.
        plateau_factor: What a rate is multiplied by, below 1.
        plateau_patience: Rounds without a better validation loss before that.
        plateau_minimum: No rate is reduced below it.
        fed_sgd_learning_rate: Of the server's step in FedSGD; None likewise.
        fed_sgd_rounds: Most FedSGD rounds.
        max_epochs: Most epochs of the references `local` and `centralized`.
        patience: Rounds or epochs without a better validation loss before
            training stops; the weights of the best one are kept.
        fed_sgd_patience: The same for FedSGD, whose rounds are single steps.
        fed_sgd_validate_every: FedSGD rounds from one validation to the next.
        personalization: Of methods that end in a model for each institution.
        participation: Who takes part in a round of training.
        robustness: Of aggregation, and who is hostile in simulation.
        dp_sgd: Of FedAvg with record-level differential privacy, and of the same
            without privacy, `fed_avg_poisson`, as far as it applies.
        institution_privacy: Of methods with institution-level privacy.
        secure_aggregation: Of FedAvg by secure aggregation.
        asynchronous: Simulated time, and FedBuff on it.
        quantization_bits: Of each coordinate of an update in `fed_avg_quantized`.
        top_k_share: Of an update's coordinates that `fed_avg_top_k` sends.
        validation_auc: Whether the curves have the AUC on validation rows.
    """

    hidden_units: tuple[int, ...] = (32, 16)
    client_optimizer: str = "sgd"
    client_learning_rate: float = 0.5
    batch_size: int = 256
    local_epochs: int = 1
    weighting: str = "examples"
    rounds: int = 250
    server_optimizer: str = "sgd"
    server_learning_rate: float | None = None
    proximal_mu: float = 0.1
    plateau_rates: tuple[str, ...] = ()
    plateau_factor: float = 0.5
    plateau_patience: int = 10
    plateau_minimum: float = 1e-3
    fed_sgd_learning_rate: float | None = None
    fed_sgd_rounds: int = 500
    max_epochs: int = 200
    patience: int = 25
    fed_sgd_patience: int = 100
    fed_sgd_validate_every: int = 10
    personalization: PersonalizationConfig = dataclasses.field(
        default_factory=PersonalizationConfig
    )
    participation: ParticipationConfig = EVERYONE
    robustness: RobustnessConfig = NOBODY_HOSTILE
    dp_sgd: DpSgdConfig = dataclasses.field(default_factory=DpSgdConfig)
    institution_privacy: InstitutionPrivacyConfig = dataclasses.field(
        default_factory=InstitutionPrivacyConfig
    )
    secure_aggregation: SecureAggregationConfig = dataclasses.field(
        default_factory=SecureAggregationConfig
    )
    asynchronous: AsynchronousConfig = dataclasses.field(
        default_factory=AsynchronousConfig
    )
    quantization_bits: int = 4
    top_k_share: float = 0.05
    validation_auc: bool = False

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        for units in self.hidden_units:
            checks.check_at_least("hidden_units", units, 1)
        checks.check_positive("client_learning_rate", self.client_learning_rate)
        checks.check_one_of("weighting", self.weighting, WEIGHTINGS)
        for name in ("client_optimizer", "server_optimizer"):
            checks.check_one_of(name, getattr(self, name), OPTIMIZERS)
        for name in ("server_learning_rate", "fed_sgd_learning_rate"):
            if getattr(self, name) is not None:
                checks.check_positive(name, getattr(self, name))
        checks.check_at_least("proximal_mu", self.proximal_mu, 0)
        for name in (
            "batch_size",
            "local_epochs",
            "rounds",
            "fed_sgd_rounds",
            "max_epochs",
            "patience",
            "fed_sgd_patience",
            "fed_sgd_validate_every",
        ):
            checks.check_at_least(name, getattr(self, name), 1)
        self._check_plateau()
        if self.asynchronous.has_clock and not self.participation.everyone:
            raise ValueError(
                "`participation` must be everyone's on a simulated clock: give either "
                "`institution_seconds` or cohorts and dropouts."
            )
        checks.check_in_range("quantization_bits", self.quantization_bits, 1, 16)
        checks.check_positive("top_k_share", self.top_k_share)
        checks.check_in_range("top_k_share", self.top_k_share, 0, 1)

    def _check_plateau(self) -> None:
        for rate in self.plateau_rates:
            checks.check_one_of("plateau_rates", rate, LEARNING_RATES)
        if not 0 < self.plateau_factor < 1:
            raise ValueError(
                "`plateau_factor` must be between 0 and 1, got "
                f"{self.plateau_factor!r}."
            )
        checks.check_at_least("plateau_patience", self.plateau_patience, 1)
        checks.check_at_least("plateau_minimum", self.plateau_minimum, 0)
        if self.plateau_rates and self.plateau_patience >= self.patience:
            raise ValueError(
                f"`plateau_patience` must be below `patience`, {self.patience}, after "
                f"which training stops; got {self.plateau_patience!r}."
            )

    def check_suits(self, methods: Collection[str]) -> None:
        """Refuses settings under which one of the methods isn't defined.

        Args:
            methods: Names from `METHODS`.

        Raises:
            ValueError: If SCAFFOLD is to have another local optimizer than SGD, FedPer
                more local layers than there are, FedBuff another client rate in time,
                or a method cohorts or an attack that it has no room for.
        """
        layers = len(self.hidden_units) + 1
        if "fed_per" in methods and self.personalization.local_layers > layers:
            raise ValueError(
                f"`local_layers` must be at most {layers}, as many as the model has; "
                f"got {self.personalization.local_layers!r}."
            )
        if "scaffold" in methods and self.client_optimizer != "sgd":
            raise ValueError(
                "`client_optimizer` must be sgd for scaffold, whose variates are means "
                f"of gradients; got {self.client_optimizer!r}."
            )
        if "fed_buff" in methods:
            self.asynchronous.check_plateau(self.plateau_rates, self.plateau_patience)
        rooms = {
            "participation": (self.participation.everyone, WITH_COHORTS),
            "attack": (self.robustness.attack == NO_ATTACK, UNDER_ATTACK),
            "institution_seconds": (not self.asynchronous.has_clock, WITH_CLOCK),
        }
        for setting, (unused, allowed) in rooms.items():
            unfit = set(methods).difference(allowed, REFERENCES)
            if not unused and unfit:
                raise ValueError(
                    f"`methods` with {setting} settings must be of "
                    f"{', '.join((*allowed, *REFERENCES))}; got {sorted(unfit)}."
                )

    def check_institutions(self, names: Sequence[str]) -> None:
        """Refuses settings that these institutions can't satisfy.

        Args:
            names: Of all that train.

        Raises:
            ValueError: If the hostile one isn't among them, or if there are fewer than
                a round is to have.
        """
        if self.robustness.attack != NO_ATTACK:
            checks.check_one_of(
                "hostile_institution", self.robustness.hostile_institution, names
            )
        for name in ("cohort_size", "min_cohort"):
            asked = getattr(self.participation, name)
            if asked is not None:
                checks.check_in_range(name, asked, 1, len(names))


_NESTED: Mapping[str, type] = {
    "participation": ParticipationConfig,
    "robustness": RobustnessConfig,
    "dp_sgd": DpSgdConfig,
    "institution_privacy": InstitutionPrivacyConfig,
    "secure_aggregation": SecureAggregationConfig,
}

TASK_TRAINING: Mapping[str, TrainingConfig] = MappingProxyType(
    {
        "risk": TrainingConfig(),
        "marketing": TrainingConfig(client_learning_rate=0.1, batch_size=128),
        "fraud": TrainingConfig(client_learning_rate=0.3, batch_size=128),
    }
)
"""Settings that suit tables of each task; a start, not an optimum."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """What every comparison of methods has.

    Attributes:
        seeds: One repetition each.
        methods: Names from `METHODS`, compared in this order.
        training: How models are trained.
        runtime: What executes: "in_process", "tff" for TFF's own worker, "workers"
            for several of them. They round differently, so that long training may
            end elsewhere. At which addresses workers are makes no other run of it.
        contribution: Whose models are trained to see what each institution
            contributes; None for nobody's.
    """

    seeds: tuple[int, ...]
    methods: tuple[str, ...]
    training: TrainingConfig
    runtime: str = "in_process"
    contribution: ContributionConfig | None = None

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        checks.check_one_of("runtime", self.runtime, RUNTIMES)
        for name in ("seeds", "methods"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"`{name}` must be distinct values, got {values!r}.")
        for method in self.methods:
            checks.check_one_of("methods", method, METHODS)
        trained = self.methods
        if self.contribution:
            checks.check_one_of(
                "contribution", self.contribution.method, GLOBAL_NETWORK_METHODS
            )
            if self.contribution.method in PRIVATE_METHODS:
                raise ValueError(
                    f"`contribution` can't be to {self.contribution.method}: every "
                    "coalition would spend privacy of the same records again, which no "
                    "ledger counts."
                )
            self._check_coalitions(self.contribution.method)
            trained = (*trained, self.contribution.method)
        self.training.check_suits(trained)
        self._check_runtime(trained)
        for seed in self.seeds:
            checks.check_in_range("seeds", seed, 0, 2**31 - 1)

    def _check_coalitions(self, method: str) -> None:
        """Refuses what would be drawn anew for each coalition."""
        if not self.training.participation.everyone:
            raise ValueError(
                "`contribution` needs everyone in every round: a cohort would be "
                "another share of each coalition, or more than there are."
            )
        clock = self.training.asynchronous
        timed = method == "fed_buff" or clock.max_simulated_seconds is not None
        if timed and (clock.institution_seconds != FROM_FILE or clock.outage_rate):
            raise ValueError(
                "`contribution` on a simulated clock needs `institution_seconds` from "
                "a file and no `outage_rate`: drawn times would be others in each "
                "coalition."
            )

    def _check_runtime(self, trained: Collection[str]) -> None:
        for method in STATEFUL_METHODS:
            if self.runtime == "workers" and method in trained:
                # One seed's state would be left for the next one to find.
                raise ValueError(
                    f"`methods` can't have {method} with the runtime workers, at whose "
                    "machines institutions' state can't be deleted between seeds."
                )
        secure = [method for method in trained if method in SECURE_METHODS]
        if self.runtime != "in_process" and secure:
            raise ValueError(
                f"`methods` can't have {', '.join(secure)} with the runtime "
                f"{self.runtime}, which has no secure sums: use in_process."
            )
        in_memory = [m for m in trained if m in ROWS_IN_MEMORY_METHODS]
        if self.runtime == "tff" and in_memory:
            raise ValueError(
                f"`methods` can't have {', '.join(in_memory)} with the runtime tff, "
                "where rows are read shard by shard: use in_process."
            )

    def check_suits_institutions(self, train_rows: Mapping[str, int]) -> None:
        """Refuses what makes no sense among these institutions.

        Args:
            train_rows: Of each that takes part, by name.

        Raises:
            ValueError: If settings ask for another institution or for more of them,
                if one is to be hidden among too few, or if one has more rows than
                secure sums have room for.
        """
        self.training.check_institutions(list(train_rows))
        trained = {*self.methods}
        if self.contribution:
            trained.add(self.contribution.method)
        if not trained.isdisjoint(INSTITUTION_PRIVATE_METHODS):
            self.training.institution_privacy.check_not_vacuous(len(train_rows))
        if "fed_avg_secure" in trained and self.training.weighting == "examples":
            self.training.secure_aggregation.check_bears(train_rows)

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it, lists for tuples: equal to what is read back."""
        return json.loads(json.dumps(dataclasses.asdict(self), allow_nan=False))

    @classmethod
    def from_mapping(cls: type[Config], mapping: Mapping[str, Any]) -> Config:
        """From what `to_mapping` gave, tuples read back from JSON lists."""
        values = dict(mapping)
        training = dict(values.pop("training"))
        contribution = values.pop("contribution", None)
        for name in ("hidden_units", "plateau_rates"):
            training[name] = tuple(training.get(name, ()))
        training["personalization"] = PersonalizationConfig.from_mapping(
            training.get("personalization", {})
        )
        training["asynchronous"] = AsynchronousConfig.from_mapping(
            training.get("asynchronous", {})
        )
        # Records of an earlier version have none of these.
        for name, nested in _NESTED.items():
            training[name] = nested(**training.get(name, {}))
        return cls(
            training=TrainingConfig(**training),
            seeds=tuple(values.pop("seeds")),
            methods=tuple(values.pop("methods")),
            contribution=ContributionConfig(**contribution) if contribution else None,
            **values,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaseStudyConfig(StudyConfig):
    """One run of the bank case study.

    A seed redraws population, split, initialisation and order of batches.

    Attributes:
        scenario: Name of the scenario.
        heterogeneity: How much the banks' customers differ, 0 to 1.
    """

    scenario: str
    heterogeneity: float

    def __post_init__(self) -> None:
        """Refuses settings that make no sense."""
        super().__post_init__()
        checks.check_in_range("heterogeneity", self.heterogeneity, 0.0, 1.0)

"""How models are trained: settings that all methods share, as far as they apply."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tff_finance import checks
from tff_finance.records.asynchronous_config import AsynchronousConfig
from tff_finance.records.dp_sgd_config import DpSgdConfig
from tff_finance.records.institution_privacy_config import (
    InstitutionPrivacyConfig,
    SecureAggregationConfig,
)
from tff_finance.records.method_names import (
    REFERENCES,
    UNDER_ATTACK,
    WITH_CLOCK,
    WITH_COHORTS,
)
from tff_finance.records.participation import EVERYONE, ParticipationConfig
from tff_finance.records.personalization_config import PersonalizationConfig
from tff_finance.records.robustness import NO_ATTACK, NOBODY_HOSTILE, RobustnessConfig
from tff_finance.records.settings_of_methods import READERS

WEIGHTINGS = ("examples", "uniform")
OPTIMIZERS = ("sgd", "momentum", "adagrad", "adam", "yogi")
LEARNING_RATES = ("client", "server")


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
        dp_sgd: Of FedAvg with record-level or customer-level differential privacy,
            and of the same without, `fed_avg_poisson`, as far as it applies.
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
        for rate in self.plateau_rates:
            start = getattr(self, f"{rate}_learning_rate")
            if start is not None and self.plateau_minimum >= start:
                raise ValueError(
                    f"`plateau_minimum` must be below `{rate}_learning_rate`, {start}, "
                    f"which is never reduced else; got {self.plateau_minimum!r}."
                )

    def check_suits(self, methods: Collection[str]) -> None:
        """Refuses settings under which one of the methods isn't defined.

        Args:
            methods: Names from `METHODS`.

        Raises:
            ValueError: If SCAFFOLD is to have another local optimizer than SGD, FedPer
                more local layers than there are, FedBuff another client rate in time,
                a method cohorts or an attack that it has no room for, or if training
                stops before a rate is reduced.
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
        patient = not set(methods).isdisjoint(READERS["patience"])
        if patient and self.plateau_rates and self.plateau_patience >= self.patience:
            raise ValueError(
                f"`plateau_patience` must be below `patience`, {self.patience}, after "
                f"which training stops; got {self.plateau_patience!r}."
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

    def check_institutions(
        self, names: Sequence[str], methods: Collection[str] = ()
    ) -> None:
        """Refuses settings that these institutions can't satisfy.

        Args:
            names: Of all that train.
            methods: That they train.

        Raises:
            ValueError: If the hostile one isn't among them, if there are fewer than
                a round is to have, or if they can't be on the simulated clock.
        """
        waiting = (method for method in WITH_CLOCK if method != "fed_buff")
        self.asynchronous.check_institutions(
            names, waits=not set(methods).isdisjoint(waiting)
        )
        if self.robustness.attack != NO_ATTACK:
            checks.check_one_of(
                "hostile_institution", self.robustness.hostile_institution, names
            )
        for name in ("cohort_size", "min_cohort"):
            asked = getattr(self.participation, name)
            if asked is not None:
                checks.check_in_range(name, asked, 1, len(names))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "TrainingConfig":
        """From what JSON held, tuples read back from lists."""
        values = dict(mapping)
        for name in ("hidden_units", "plateau_rates"):
            values[name] = tuple(values.get(name, ()))
        values["personalization"] = PersonalizationConfig.from_mapping(
            values.get("personalization", {})
        )
        values["asynchronous"] = AsynchronousConfig.from_mapping(
            values.get("asynchronous", {})
        )
        # Records of an earlier version have none of these.
        for name, nested in _NESTED.items():
            values[name] = nested(**values.get(name, {}))
        return cls(**values)


_NESTED: Mapping[str, type] = {
    "participation": ParticipationConfig,
    "robustness": RobustnessConfig,
    "dp_sgd": DpSgdConfig,
    "institution_privacy": InstitutionPrivacyConfig,
    "secure_aggregation": SecureAggregationConfig,
}

# Clipping to 1 biases models of tables whose labels are noisy: log losses above that of
# no features on card default and marketing, which a larger norm and a smaller rate, of
# the same noise, don't have (docs/privacy.md).
_DP_SGD = DpSgdConfig(l2_clip_norm=8.0, learning_rate=0.06)

TASK_TRAINING: Mapping[str, TrainingConfig] = MappingProxyType(
    {
        "risk": TrainingConfig(dp_sgd=_DP_SGD),
        "marketing": TrainingConfig(
            client_learning_rate=0.1, batch_size=128, dp_sgd=_DP_SGD
        ),
        "fraud": TrainingConfig(
            client_learning_rate=0.3, batch_size=128, dp_sgd=_DP_SGD
        ),
    }
)
"""Settings that suit tables of each task; a start, not an optimum."""

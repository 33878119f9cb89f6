"""Which training settings a method reads: others make no difference to it."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from tff_finance.records.method_names import (
    BRANCH_METHODS,
    INSTITUTION_PRIVATE_METHODS,
    METHODS,
    REFERENCES,
    ROWS_IN_MEMORY_METHODS,
    UNDER_ATTACK,
    WITH_CLOCK,
    WITH_COHORTS,
)

_AT_A_SINGLE_SITE = ("local", "centralized", "fed_md")
_FEDERATED = tuple(m for m in METHODS if m not in {*REFERENCES, "fed_md"})
_LOCAL_STEPS = (*WITH_CLOCK, *_AT_A_SINGLE_SITE)
_OWN_OPTIMIZER = ("fed_avgm", "fed_adagrad", "fed_adam", "fed_yogi")
_UNWEIGHTED = ("fed_avg_median", "fed_avg_trimmed_mean", *BRANCH_METHODS)


def _but(methods: Collection[str], *others: str) -> tuple[str, ...]:
    return tuple(method for method in methods if method not in others)


_READERS: Mapping[tuple[str, ...], Collection[str]] = {
    ("hidden_units",): _but(METHODS, "gradient_boosting", "fed_md"),
    ("client_optimizer",): _but(METHODS, "gradient_boosting", "fed_sgd"),
    ("client_learning_rate", "batch_size"): _LOCAL_STEPS,
    ("plateau_factor", "plateau_patience", "plateau_minimum"): _LOCAL_STEPS,
    ("patience",): _but(_LOCAL_STEPS, "fed_buff"),
    ("max_epochs",): _AT_A_SINGLE_SITE,
    ("local_epochs",): WITH_CLOCK,
    ("rounds",): _but(WITH_CLOCK, "fed_buff"),
    ("weighting",): _but(_FEDERATED, *_UNWEIGHTED),
    ("server_optimizer",): _but(_FEDERATED, *_OWN_OPTIMIZER),
    ("server_learning_rate",): _but(_FEDERATED, "fed_sgd"),
    ("proximal_mu",): ("fed_prox",),
    (
        "fed_sgd_learning_rate",
        "fed_sgd_rounds",
        "fed_sgd_patience",
        "fed_sgd_validate_every",
    ): ("fed_sgd",),
    ("fine_tuning_epochs", "fine_tuning_learning_rate"): ("fine_tuned",),
    ("local_layers",): ("fed_per",),
    (
        "fed_md_rounds",
        "fed_md_reference_rows",
        "fed_md_digest_epochs",
        "fed_md_revisit_epochs",
    ): ("fed_md",),
    ("cohort_size", "participation_rate", "dropout_rate", "min_cohort"): WITH_COHORTS,
    ("trimmed_share",): ("fed_avg_trimmed_mean",),
    ("rejection_multiple",): ("fed_avg_rejecting",),
    ("attack", "attack_factor", "hostile_institution"): UNDER_ATTACK,
    ("target_epsilon", "delta", "noise_multiplier", "l2_clip_norm"): (
        "fed_avg_dp_sgd",
    ),
    ("privacy_unit", "most_rows_per_customer"): ROWS_IN_MEMORY_METHODS,
    ("dp_batch_size", "dp_local_epochs", "dp_rounds", "dp_learning_rate"): (
        ROWS_IN_MEMORY_METHODS
    ),
    (
        "branches",
        "branch_cohort",
        "branch_batch_size",
        "branch_local_epochs",
        "branch_learning_rate",
    ): BRANCH_METHODS,
    ("institution_epsilon", "institution_delta", "branch_clip_norm"): (
        INSTITUTION_PRIVATE_METHODS
    ),
    ("branch_rounds",): ("dp_fed_avg", "dp_fed_avg_adaptive", "fed_avg_branches"),
    ("branch_passes",): ("dp_ftrl", "dp_fed_avg_distributed"),
    ("clip_quantile",): ("dp_fed_avg_adaptive",),
    ("honest_share",): ("dp_fed_avg_distributed",),
    ("secure_clip_norm", "secure_largest_weight"): ("fed_avg_secure",),
    (
        "institution_seconds",
        "outage_rate",
        "outage_seconds",
        "max_simulated_seconds",
    ): WITH_CLOCK,
    (
        "buffer_size",
        "staleness_exponent",
        "fed_buff_server_learning_rate",
        "max_staleness",
        "fed_buff_rounds",
        "fed_buff_patience",
    ): ("fed_buff",),
    ("quantization_bits",): ("fed_avg_quantized",),
    ("top_k_share",): ("fed_avg_top_k",),
}

READERS: Mapping[str, Collection[str]] = MappingProxyType(
    {name: methods for names, methods in _READERS.items() for name in names}
)
"""The methods that read a setting, by its name in `training_settings`."""


_NOT_SEARCHED: Mapping[str, Collection[str]] = {
    "plateau_rates": _LOCAL_STEPS,
    "fed_md_models": ("fed_md",),
    "institutions": WITH_CLOCK,
    "accept_vacuous_privacy": INSTITUTION_PRIVATE_METHODS,
    "validation_auc": _but(METHODS, "gradient_boosting"),
}

PROMISES = (
    "target_epsilon",
    "delta",
    "noise_multiplier",
    "privacy_unit",
    "institution_epsilon",
    "institution_delta",
    "branches",
    "honest_share",
    "secure_clip_norm",
    "secure_largest_weight",
)
"""Settings that state a protection: who gives one expects it to be kept."""


def is_read(setting: str, methods: Collection[str]) -> bool:
    """Whether a setting makes any difference to methods.

    Args:
        setting: By name, of any kind. Of one that isn't known, as in records of an
            earlier version, it is assumed.
        methods: From `METHODS`.

    Returns:
        Whether one of them reads it.
    """
    readers = READERS.get(setting, _NOT_SEARCHED.get(setting, METHODS))
    return not set(methods).isdisjoint(readers)


def check_read(setting: str, *methods: str) -> None:
    """Refuses a setting that makes no difference to any of the methods.

    Args:
        setting: As in `training_settings.setting_kinds`.
        methods: From `METHODS`.

    Raises:
        ValueError: If none of them reads it.
    """
    if not is_read(setting, methods):
        raise ValueError(
            f"`{setting}` makes no difference to {', '.join(methods)}: it is of "
            f"{', '.join(READERS[setting])}."
        )

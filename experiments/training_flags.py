"""Flags of every binary that trains: how."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from absl import flags

from tff_finance.records.asynchronous_config import FROM_FILE, AsynchronousConfig
from tff_finance.records.dp_sgd_config import PRIVACY_UNITS
from tff_finance.records.institution_times import read_institution_times
from tff_finance.records.personalization_config import BOOSTING
from tff_finance.records.robustness import ATTACKS
from tff_finance.records.training_config import (
    LEARNING_RATES,
    OPTIMIZERS,
    WEIGHTINGS,
    TrainingConfig,
)

# Each flag sets the field of TrainingConfig that it is named after.
_TRAINING = (
    flags.DEFINE_integer("rounds", None, "Most FedAvg rounds."),
    flags.DEFINE_integer("local_epochs", None, "Epochs per FedAvg round."),
    flags.DEFINE_integer("batch_size", None, "Rows of a local batch."),
    flags.DEFINE_enum(
        "client_optimizer", None, OPTIMIZERS, "Of local steps and the references."
    ),
    flags.DEFINE_float("client_learning_rate", None, "Of that optimizer."),
    flags.DEFINE_enum(
        "server_optimizer",
        None,
        OPTIMIZERS,
        "Of all federated methods but fed_md; the methods named after one have it.",
    ),
    flags.DEFINE_float(
        "server_learning_rate",
        None,
        "Of that optimizer in all of these but fed_sgd. Default: the optimizer's.",
    ),
    flags.DEFINE_float("proximal_mu", None, "Of fed_prox; 0 is fed_avg."),
    flags.DEFINE_list(
        "plateau_rates",
        None,
        "Learning rates to reduce where the validation loss stops falling, of: "
        f"{', '.join(LEARNING_RATES)}.",
    ),
    flags.DEFINE_float("plateau_factor", None, "What such a rate is multiplied by."),
    flags.DEFINE_integer(
        "plateau_patience", None, "Rounds without better validation loss before that."
    ),
    flags.DEFINE_float("plateau_minimum", None, "No rate is reduced below it."),
    flags.DEFINE_enum("weighting", None, WEIGHTINGS, "Weight of a bank's update."),
    flags.DEFINE_list("hidden_units", None, "Widths of the hidden layers."),
    flags.DEFINE_integer("fed_sgd_rounds", None, "Most FedSGD rounds."),
    flags.DEFINE_integer(
        "fed_sgd_patience", None, "The patience of FedSGD, whose rounds are steps."
    ),
    flags.DEFINE_integer(
        "fed_sgd_validate_every", None, "FedSGD rounds between two validations."
    ),
    flags.DEFINE_float(
        "fed_sgd_learning_rate",
        None,
        "Of FedSGD's server step. Default: the optimizer's.",
    ),
    flags.DEFINE_integer("max_epochs", None, "Most epochs of local and centralized."),
    flags.DEFINE_integer(
        "patience",
        None,
        "Rounds or epochs without better validation loss before FedAvg, local and "
        "centralized stop.",
    ),
    flags.DEFINE_integer(
        "quantization_bits", None, "Of each coordinate in fed_avg_quantized, 1 to 16."
    ),
    flags.DEFINE_float(
        "top_k_share", None, "Of an update's coordinates that fed_avg_top_k sends."
    ),
    flags.DEFINE_bool(
        "validation_auc",
        None,
        "AUC of each validated round, for curves over traffic; not counted as traffic.",
    ),
)

# Each flag sets the field of PersonalizationConfig that it is named after.
_PERSONALIZATION = (
    flags.DEFINE_integer(
        "fine_tuning_epochs",
        None,
        "Most epochs of fine_tuned at each bank, from FedAvg's weights on.",
    ),
    flags.DEFINE_float(
        "fine_tuning_learning_rate",
        None,
        "Of these epochs. Default: that of local steps.",
    ),
    flags.DEFINE_integer(
        "local_layers", None, "Layers that fed_per leaves to each bank, the last ones."
    ),
    flags.DEFINE_string(
        "fed_md_models",
        None,
        "Kinds of model in fed_md, the banks' in turn: widths of hidden layers, "
        f"or {BOOSTING}, such as 32,16;64;{BOOSTING}.",
    ),
    flags.DEFINE_integer("fed_md_rounds", None, "Most rounds of fed_md."),
    flags.DEFINE_integer(
        "fed_md_reference_rows", None, "Synthetic rows that these are exchanged on."
    ),
    flags.DEFINE_integer(
        "fed_md_digest_epochs", None, "Over these rows in each round of fed_md."
    ),
    flags.DEFINE_integer(
        "fed_md_revisit_epochs", None, "Over a bank's own rows in each round of fed_md."
    ),
)

# Each flag sets the field of AsynchronousConfig that it is named after.
_ASYNCHRONOUS = (
    flags.DEFINE_string(
        "institution_seconds",
        None,
        "Puts rounds on a simulated clock, on which a bank takes for one: equal(60), "
        "lognormal(60, 0.5), one_slow(60, 10), or what a CSV or TOML file says.",
    ),
    flags.DEFINE_float(
        "outage_rate", None, "Outages per simulated second of a bank that is up."
    ),
    flags.DEFINE_float("outage_seconds", None, "How long each of these takes."),
    flags.DEFINE_integer("buffer_size", None, "Updates in fed_buff's buffer."),
    flags.DEFINE_float(
        "staleness_exponent",
        None,
        "In fed_buff, an update counts 1 plus its staleness to minus this: 0.5 as "
        "published; -1 makes up for the speed of banks.",
    ),
    flags.DEFINE_float(
        "fed_buff_server_learning_rate",
        None,
        "Of fed_buff's server. Default: that of other methods.",
    ),
    flags.DEFINE_integer("max_staleness", None, "fed_buff drops what is staler."),
    flags.DEFINE_integer(
        "fed_buff_rounds", None, "Most times that fed_buff empties its buffer."
    ),
    flags.DEFINE_integer("fed_buff_patience", None, "The patience of fed_buff."),
    flags.DEFINE_float(
        "max_simulated_seconds", None, "No round on the clock ends later."
    ),
)


# Likewise of what TrainingConfig holds under these names.
_NESTED = {
    "participation": (
        flags.DEFINE_integer(
            "cohort_size",
            None,
            "Institutions of a round, drawn without replacement. Default: all.",
        ),
        flags.DEFINE_float(
            "participation_rate",
            None,
            "Probability with which each institution joins a round, by itself.",
        ),
        flags.DEFINE_float(
            "dropout_rate",
            None,
            "Probability with which one that was drawn doesn't report.",
        ),
        flags.DEFINE_integer(
            "min_cohort", None, "With fewer, a round leaves the model as it is."
        ),
    ),
    "robustness": (
        flags.DEFINE_float(
            "trimmed_share",
            None,
            "Of fed_avg_trimmed_mean: trimmed from either side.",
        ),
        flags.DEFINE_float(
            "rejection_multiple",
            None,
            "Of fed_avg_rejecting: norms above so many medians are rejected.",
        ),
        flags.DEFINE_enum(
            "attack",
            None,
            ATTACKS,
            "What --hostile_institution sends instead of its update, in simulation.",
        ),
        flags.DEFINE_float(
            "attack_factor", None, "By which that is longer than the true update."
        ),
        flags.DEFINE_string("hostile_institution", None, "Name of who is hostile."),
    ),
}


# Each sets the field of DpSgdConfig.
_DP_SGD = {
    "privacy_unit": flags.DEFINE_enum(
        "privacy_unit",
        None,
        PRIVACY_UNITS,
        "Whom fed_avg_dp_sgd protects: each row by itself (record, the default), or a "
        "customer with all rows, whom --clusters=COLUMN names.",
    ),
    "most_rows_per_customer": flags.DEFINE_integer(
        "most_rows_per_customer",
        None,
        "With --privacy_unit=customer: of one who has more, so many rows are drawn and "
        "the others left out.",
    ),
    "target_epsilon": flags.DEFINE_float(
        "target_epsilon",
        None,
        "Privacy budget of each bank's units in fed_avg_dp_sgd, whose noise is "
        "calibrated to it unless it is given.",
    ),
    "delta": flags.DEFINE_float(
        "delta", None, "Of that guarantee. Default: min(1e-5, 1 / (10 n)) at each bank."
    ),
    "noise_multiplier": flags.DEFINE_float(
        "noise_multiplier",
        None,
        "Of fed_avg_dp_sgd: standard deviation of the noise over the clipping norm. "
        "Training then ends before the budget is exceeded.",
    ),
    "l2_clip_norm": flags.DEFINE_float(
        "l2_clip_norm", None, "Of fed_avg_dp_sgd: most that a unit counts for."
    ),
    "batch_size": flags.DEFINE_integer(
        "dp_batch_size",
        None,
        "Expected units of a Poisson-sampled batch; here and below, of "
        "fed_avg_dp_sgd and fed_avg_poisson.",
    ),
    "local_epochs": flags.DEFINE_integer("dp_local_epochs", None, "Epochs of a round."),
    "rounds": flags.DEFINE_integer("dp_rounds", None, "Rounds, fixed before."),
    "learning_rate": flags.DEFINE_float(
        "dp_learning_rate", None, "Of the local optimizer."
    ),
}


# Each sets the field of InstitutionPrivacyConfig that its key names.
_INSTITUTION_PRIVACY = {
    "branches": flags.DEFINE_integer(
        "branches",
        None,
        "Branches of each bank, to which its rows are dealt out; here and below, of "
        "methods named dp_... and fed_avg_branches.",
    ),
    "accept_vacuous_privacy": flags.DEFINE_bool(
        "accept_vacuous_privacy",
        None,
        "Trains with institution-level privacy even where there are too few to hide "
        "in.",
    ),
    "target_epsilon": flags.DEFINE_float(
        "institution_epsilon", None, "Of a branch; noise is calibrated to it."
    ),
    "delta": flags.DEFINE_float(
        "institution_delta",
        None,
        "Of that guarantee. Default: min(1e-5, 1 / (10 n)), n branches.",
    ),
    "cohort": flags.DEFINE_integer("branch_cohort", None, "Branches of a round."),
    "rounds": flags.DEFINE_integer(
        "branch_rounds", None, "Rounds, fixed before, of methods without passes."
    ),
    "passes": flags.DEFINE_integer(
        "branch_passes",
        None,
        "In each of which every branch has one turn; of dp_ftrl and "
        "dp_fed_avg_distributed.",
    ),
    "l2_clip_norm": flags.DEFINE_float(
        "branch_clip_norm", None, "Largest norm of a branch's update."
    ),
    "clip_quantile": flags.DEFINE_float(
        "clip_quantile",
        None,
        "Share of updates that dp_fed_avg_adaptive leaves unclipped.",
    ),
    "honest_share": flags.DEFINE_float(
        "honest_share",
        None,
        "Share of a cohort that makes the noise of dp_fed_avg_distributed.",
    ),
    "batch_size": flags.DEFINE_integer(
        "branch_batch_size", None, "Rows of a branch's local batch."
    ),
    "local_epochs": flags.DEFINE_integer(
        "branch_local_epochs", None, "Epochs of a branch in a round."
    ),
    "learning_rate": flags.DEFINE_float(
        "branch_learning_rate", None, "Of the branches' optimizer."
    ),
}

_SECURE_AGGREGATION = {
    "l2_clip_norm": flags.DEFINE_float(
        "secure_clip_norm", None, "Largest norm of an update in fed_avg_secure."
    ),
    "largest_weight": flags.DEFINE_float(
        "secure_largest_weight", None, "Most rows that a bank counts for there."
    ),
}


def training(
    defaults: TrainingConfig, varied: Mapping[str, Any] = MappingProxyType({})
) -> TrainingConfig:
    """Training as asked for.

    Args:
        defaults: Of flags that aren't given.
        varied: Values of settings that a search varies, as if they were given; by
            flag.

    Returns:
        The settings.

    Raises:
        ValueError: If a setting makes no sense.
    """
    given = _given(_TRAINING, varied)
    if "hidden_units" in given:
        given["hidden_units"] = _widths(given["hidden_units"])
    if "plateau_rates" in given:
        given["plateau_rates"] = tuple(given["plateau_rates"])
    own = _given(_PERSONALIZATION, varied)
    if "fed_md_models" in own:
        own["fed_md_models"] = tuple(own["fed_md_models"].split(";"))
    given["personalization"] = dataclasses.replace(defaults.personalization, **own)
    for name, of_name in _NESTED.items():
        changes = _given(of_name, varied)
        given[name] = dataclasses.replace(getattr(defaults, name), **changes)
    for name, keyed in {
        "dp_sgd": _DP_SGD,
        "institution_privacy": _INSTITUTION_PRIVACY,
        "secure_aggregation": _SECURE_AGGREGATION,
    }.items():
        values = _given(keyed.values(), varied)
        asked = {n: values[f.name] for n, f in keyed.items() if f.name in values}
        given[name] = dataclasses.replace(getattr(defaults, name), **asked)
        if "most_rows_per_customer" in asked and not given[name].by_customer:
            raise ValueError("`most_rows_per_customer` needs `privacy_unit` customer.")
    asynchronous = _given(_ASYNCHRONOUS, varied)
    given["asynchronous"] = _asynchronous(defaults.asynchronous, asynchronous)
    return dataclasses.replace(defaults, **given)


def _given(
    of: Iterable[flags.FlagHolder[Any]], varied: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of flags that have one, by name."""
    values = {flag.name: varied.get(flag.name, flag.value) for flag in of}
    return {name: value for name, value in values.items() if value is not None}


def _asynchronous(
    defaults: AsynchronousConfig, given: dict[str, Any]
) -> AsynchronousConfig:
    path = pathlib.Path(given.get("institution_seconds", ""))
    if path.suffix in {".csv", ".toml"}:
        given["institutions"] = read_institution_times(path)
        given["institution_seconds"] = FROM_FILE
    return dataclasses.replace(defaults, **given)


def given() -> dict[str, str]:
    """The flags that are given, by name, as a flag file has them."""
    defined = flags.FLAGS.get_key_flags_for_module(__name__)
    return {flag.name: flag.serialize() for flag in defined if flag.value is not None}


def _widths(given: Sequence[str] | Sequence[int]) -> tuple[int, ...]:
    if not all(str(width).isdigit() for width in given):
        raise ValueError(
            f"`hidden_units` must be whole numbers such as 32,16; got {given}."
        )
    return tuple(int(width) for width in given)

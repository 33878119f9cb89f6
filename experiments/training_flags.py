"""Flags of every binary that trains: how."""

import dataclasses

from absl import flags

from tff_finance.records.config import (
    LEARNING_RATES,
    OPTIMIZERS,
    WEIGHTINGS,
    TrainingConfig,
)
from tff_finance.records.personalization_config import BOOSTING
from tff_finance.records.robustness import ATTACKS

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
        "Of fed_avg, fed_prox and scaffold; the methods named after one have it.",
    ),
    flags.DEFINE_float(
        "server_learning_rate",
        None,
        "Of the server in all federated methods but fed_sgd. Default: the optimizer's.",
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
    flags.DEFINE_float("fed_sgd_learning_rate", None, "Of FedSGD's server step."),
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


def training(defaults: TrainingConfig) -> TrainingConfig:
    """Training as asked for.

    Args:
        defaults: Of flags that aren't given.

    Returns:
        The settings.

    Raises:
        ValueError: If a setting makes no sense.
    """
    given = {f.name: f.value for f in _TRAINING if f.value is not None}
    if "hidden_units" in given:
        given["hidden_units"] = _widths(given["hidden_units"])
    if "plateau_rates" in given:
        given["plateau_rates"] = tuple(given["plateau_rates"])
    own = {f.name: f.value for f in _PERSONALIZATION if f.value is not None}
    if "fed_md_models" in own:
        own["fed_md_models"] = tuple(own["fed_md_models"].split(";"))
    given["personalization"] = dataclasses.replace(defaults.personalization, **own)
    for name, of_name in _NESTED.items():
        changes = {f.name: f.value for f in of_name if f.value is not None}
        given[name] = dataclasses.replace(getattr(defaults, name), **changes)
    return dataclasses.replace(defaults, **given)


def given() -> dict[str, str]:
    """The flags that are given, by name, as a flag file has them."""
    defined = flags.FLAGS.get_key_flags_for_module(__name__)
    return {flag.name: flag.serialize() for flag in defined if flag.value is not None}


def _widths(given: list[str]) -> tuple[int, ...]:
    if not all(width.isdigit() for width in given):
        raise ValueError(
            f"`hidden_units` must be whole numbers such as 32,16; got {given}."
        )
    return tuple(int(width) for width in given)

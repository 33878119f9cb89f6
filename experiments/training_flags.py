"""Flags of every binary that trains: how."""

import dataclasses

from absl import flags

from tff_finance.records.config import WEIGHTINGS, TrainingConfig

# Each flag sets the field of TrainingConfig that it is named after.
_TRAINING = (
    flags.DEFINE_integer("rounds", None, "Most FedAvg rounds."),
    flags.DEFINE_integer("local_epochs", None, "Epochs per FedAvg round."),
    flags.DEFINE_integer("batch_size", None, "Rows of a local batch."),
    flags.DEFINE_float("client_learning_rate", None, "Of local SGD."),
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
)


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
    return dataclasses.replace(defaults, **given)


def _widths(given: list[str]) -> tuple[int, ...]:
    if not all(width.isdigit() for width in given):
        raise ValueError(
            f"`hidden_units` must be whole numbers such as 32,16; got {given}."
        )
    return tuple(int(width) for width in given)

"""Flags of every binary that compares methods: seeds, methods, contributions."""

from collections.abc import Sequence

from absl import flags

from experiments import command_line, promise_flags
from tff_finance.evaluation.contribution import coalitions_to_train
from tff_finance.records.config import FIRST_REPORTED_SEED
from tff_finance.records.contribution_config import COALITIONS, ContributionConfig
from tff_finance.records.method_names import (
    DEFAULT_METHODS,
    GLOBAL_NETWORK_METHODS,
    METHODS,
    PRIVATE_METHODS,
)

_SEEDS = flags.DEFINE_integer("seeds", 5, "Number of repetitions.", lower_bound=1)
_FIRST_SEED = flags.DEFINE_integer(
    "first_seed",
    FIRST_REPORTED_SEED,
    "First seed; the others follow. Seeds from 0 on had a part in the choice of "
    "settings, seeds from 1000 on in the calibration.",
    lower_bound=0,
)
_METHODS = flags.DEFINE_list(
    "methods", list(DEFAULT_METHODS), f"Methods to compare, of: {', '.join(METHODS)}."
)
_CONTRIBUTION = flags.DEFINE_enum(
    "contribution",
    None,
    [m for m in GLOBAL_NETWORK_METHODS if m not in PRIVATE_METHODS],
    "Also measure what each institution contributes to the model of this method, by "
    "training it for coalitions of some without the others; see docs/contribution.md.",
)
_COALITIONS = flags.DEFINE_enum(
    "coalitions",
    None,
    COALITIONS,
    "Of --contribution. all (the default): Shapley values and leave-one-out. "
    "leave_one_out: that alone, for more than 6 institutions.",
)


def seeds() -> tuple[int, ...]:
    """The seeds that are asked for."""
    return tuple(range(_FIRST_SEED.value, _FIRST_SEED.value + _SEEDS.value))


def methods() -> tuple[str, ...]:
    """The methods that are asked for."""
    return tuple(_METHODS.value)


def check_promises() -> None:
    """Leaves with a usage error if a flag states a protection that no method gives."""
    contributing = [_CONTRIBUTION.value] if _CONTRIBUTION.value else []
    promise_flags.check_kept([*_METHODS.value, *contributing])


def contribution(institutions: Sequence[str]) -> ContributionConfig | None:
    """Whose contributions are asked for, and how; None for nobody's.

    Leaves with a usage error if coalitions are too many, or named without a method.

    Args:
        institutions: The names of all that take part.

    Returns:
        What is asked for.
    """
    if _CONTRIBUTION.value is None:
        if _COALITIONS.value is not None:
            command_line.usage_error("--coalitions needs --contribution=METHOD")
        return None
    which = _COALITIONS.value or "all"
    try:
        coalitions_to_train(institutions, which)
    except ValueError as error:
        command_line.usage_error(error)
    return ContributionConfig(method=_CONTRIBUTION.value, coalitions=which)

"""Flags of every binary that compares methods: seeds and methods."""

from absl import flags

from tff_finance.records.config import (
    DEFAULT_METHODS,
    FIRST_REPORTED_SEED,
    METHODS,
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


def seeds() -> tuple[int, ...]:
    """The seeds that are asked for."""
    return tuple(range(_FIRST_SEED.value, _FIRST_SEED.value + _SEEDS.value))


def methods() -> tuple[str, ...]:
    """The methods that are asked for."""
    return tuple(_METHODS.value)

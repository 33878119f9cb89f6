"""Argument checks whose message names the argument and what came."""

import math
from collections.abc import Collection


def check_positive(name: str, value: float) -> None:
    """Raises ValueError unless `value` is a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"`{name}` must be positive, got {value!r}.")


def check_at_least(name: str, value: float, minimum: float) -> None:
    """Raises ValueError unless `value >= minimum` and is finite."""
    if not (math.isfinite(value) and value >= minimum):
        raise ValueError(f"`{name}` must be at least {minimum}, got {value!r}.")


def check_in_range(name: str, value: float, low: float, high: float) -> None:
    """Raises ValueError unless `low <= value <= high`."""
    if not low <= value <= high:
        raise ValueError(f"`{name}` must be between {low} and {high}, got {value!r}.")


def check_one_of(name: str, value: str, allowed: Collection[str]) -> None:
    """Raises ValueError unless `value` is one of `allowed`."""
    if value not in allowed:
        names = ", ".join(allowed)
        raise ValueError(f"`{name}` must be one of {names}; got {value!r}.")


class RunFailedError(RuntimeError):
    """A run that can't go on; its message tells the user why and how to mend it."""


class UnfitSettingsError(RunFailedError):
    """Settings that don't go together, or not with the institutions' rows.

    They would end every other run with the same rows, too; other settings needn't.
    """

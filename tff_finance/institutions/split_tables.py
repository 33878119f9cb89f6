"""What splits have in common: three tables by name, and their fractions."""

import math

import numpy as np

TABLES = ("train", "validation", "test")
"""The tables of an institution, in order of their places."""

LEFT_OUT = -1
"""Place of a row that is in no table, such as in the gap before a later one."""

Fractions = tuple[float, float, float]


def check_fractions(fractions: Fractions) -> None:
    """Raises ValueError unless these are three positive shares of one whole."""
    well_formed = len(fractions) == len(TABLES) and all(f > 0 for f in fractions)
    if not (well_formed and math.isclose(sum(fractions), 1, abs_tol=1e-9)):
        raise ValueError(
            "`fractions` of train, validation and test must be positive and add up to "
            f"1, got {fractions}."
        )


def cuts(fractions: Fractions, rows: int) -> tuple[int, int]:
    """Where train and validation end among ordered rows."""
    train, validation, _ = np.cumsum(fractions)
    return round(train * rows), round(validation * rows)

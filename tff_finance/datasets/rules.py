"""Rules that the values of a column must keep, as pandera checks."""

import dataclasses
from collections.abc import Callable, Collection

import numpy as np
import pandas as pd
import pandera.pandas as pa


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        text: What must hold, in words.
        broken: Where a column breaks it, bool[rows].
    """

    text: str
    broken: Callable[[pd.Series], np.ndarray]

    def check(self) -> pa.Check:
        """The pandera check, of the column as a whole."""
        # Row by row, pandera would list each of two million rows that are wrong in
        # the same way. They are counted once it is known which rules are broken.
        return pa.Check(
            lambda values: not self.broken(values).any(),
            error=self.text,
            ignore_na=False,
        )


def _not_numbers(values: pd.Series) -> np.ndarray:
    return np.full(len(values), not pd.api.types.is_numeric_dtype(values))


def _missing(values: pd.Series) -> np.ndarray:
    return values.isna().to_numpy()


NUMBERS = Rule("must be a number", _not_numbers)
PRESENT = Rule("must not be missing", _missing)


def between(minimum: float, maximum: float, unit: str) -> Rule:
    """Numbers within limits, or missing."""

    def broken(values: pd.Series) -> np.ndarray:
        if not pd.api.types.is_numeric_dtype(values):
            return np.zeros(len(values), bool)  # `NUMBERS` says so
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        return (numbers < minimum) | (numbers > maximum)

    return Rule(f"must be between {minimum:g} and {maximum:g} {unit}", broken)


def one_of(allowed: Collection[int | str], text: str) -> Rule:
    """Listed values, or missing."""

    def broken(values: pd.Series) -> np.ndarray:
        return (values.notna() & ~values.isin(list(allowed))).to_numpy()

    return Rule(text, broken)

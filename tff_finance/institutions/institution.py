"""An institution: a name and three tables that never leave it."""

import dataclasses

import numpy as np
import pandas as pd

from tff_finance import checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Institution:
    """One institution's rows, validated against the contract.

    Attributes:
        name: Name of the institution, unique within a consortium.
        train: Rows that models learn from.
        validation: Rows for schedules, early stopping and tuning.
        test: Rows for the final evaluation, and for nothing before it.
        clusters: Column of the tables whose equal values belong together, such as a
            customer's number; empty if none is known.
    """

    name: str
    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    clusters: str = ""


def split_at_random(
    name: str,
    table: pd.DataFrame,
    *,
    validation_rows: int,
    test_rows: int,
    rng: np.random.Generator,
) -> Institution:
    """Deals a table's rows out at random; what is left over is for training.

    Args:
        name: Name of the institution.
        table: All its rows.
        validation_rows: Number of rows held out for validation.
        test_rows: Number of rows held out for the final evaluation.
        rng: Decides the order.

    Returns:
        The institution; every row is in exactly one of its tables.

    Raises:
        ValueError: If a number is below 0 or no row is left for training.
    """
    checks.check_at_least("validation_rows", validation_rows, 0)
    checks.check_at_least("test_rows", test_rows, 0)
    if validation_rows + test_rows >= len(table):
        raise ValueError(
            f"`validation_rows` + `test_rows` must be below the {len(table)} rows "
            f"of {name!r}, got {validation_rows} + {test_rows}."
        )
    shuffled = table.iloc[rng.permutation(len(table))].reset_index(drop=True)
    test_end = test_rows + validation_rows
    return Institution(
        name=name,
        train=shuffled.iloc[test_end:],
        validation=shuffled.iloc[test_rows:test_end],
        test=shuffled.iloc[:test_rows],
    )

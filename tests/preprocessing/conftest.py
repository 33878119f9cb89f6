"""A contract with one column of each kind, and institutions of unequal size."""

import numpy as np
import pandas as pd
import pytest

from tff_finance.datasets.contract import CategoricalColumn, Contract, NumericColumn


def number(name, **options):
    limits = {"minimum": -1e12, "maximum": 1e12} | options
    return NumericColumn(name=name, unit="", description="", **limits)


@pytest.fixture(scope="session")
def contract():
    return Contract(
        name="tiny",
        columns=(
            number("income", minimum=0, transform="log1p"),
            CategoricalColumn(
                name="housing", description="", categories=("rent", "own", "parents")
            ),
            number("account", minimum=0),  # a huge mean, a tiny spread
            number("ltv", allow_missing=True),
            number("constant"),
            CategoricalColumn(name="region", description="", categories=("n", "s")),
        ),
        label="default",
        label_meaning="",
    )


def make_table(rows, seed, *, shift=0.0):
    rng = np.random.default_rng(seed)
    ltv = rng.normal(0.7 + shift, 0.2, rows)
    return pd.DataFrame(
        {
            "income": rng.lognormal(10 + shift, 1, rows),
            "housing": rng.choice(
                ["rent", "own", "parents"], rows, p=[0.7, 0.28, 0.02]
            ),
            "account": 4e9 + rng.normal(shift, 0.5, rows),
            "ltv": np.where(rng.random(rows) < 0.3, np.nan, ltv),
            # Its sum is rounded, so the computed mean is not the value itself.
            "constant": np.full(rows, 0.1),
            "region": rng.choice(["n", "s"], rows),
            "default": rng.integers(0, 2, rows),
        }
    )


@pytest.fixture(scope="session")
def tables():
    """Unlike institutions; the last one has no rows."""
    return [
        make_table(400, 1),
        make_table(57, 2, shift=2.0),
        make_table(3, 3, shift=-1.0),
        make_table(0, 4),
    ]

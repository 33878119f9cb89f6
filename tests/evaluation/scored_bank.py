"""A small model of credit risk, and tables of two banks to score with it."""

import numpy as np
import pandas as pd

from tff_finance.datasets.contract import CategoricalColumn, Contract, NumericColumn
from tff_finance.datasets.institution_format import InstitutionFormat
from tff_finance.evaluation.saved_model import save_model
from tff_finance.preprocessing.encoder import encoder_from_statistics
from tff_finance.preprocessing.statistics import TableStatistics
from tff_finance.tasks.risk import build_risk_model

CONTRACT = Contract(
    name="loans",
    columns=(
        NumericColumn(
            name="income",
            unit="EUR per year",
            description="Income before tax",
            minimum=0,
            maximum=1e7,
            transform="log1p",
        ),
        CategoricalColumn(
            name="housing",
            description="How the customer lives",
            categories=("rent", "own", "parents"),
        ),
        NumericColumn(
            name="ltv",
            unit="ratio",
            description="Loan to value",
            minimum=0,
            maximum=3,
            allow_missing=True,
        ),
        CategoricalColumn(
            name="sex", description="Sex", categories=("f", "m"), use="audit"
        ),
    ),
    label="default",
    label_meaning="not paid for 90 days",
    formats={
        "bank_b": InstitutionFormat(
            rename={"einkommen": "income", "wohnung": "housing"},
            factor={"income": 12.0, "ltv": 0.01},
            codes={"housing": {"M": "rent", "E": "own", "B": "parents"}},
            separator=";",
            decimal=",",
        )
    },
)
STATISTICS = TableStatistics(
    rows=100,
    missing={"income": 0, "ltv": 10},
    mean={"income": 10.3, "ltv": 0.6},
    variance={"income": 0.8, "ltv": 0.09},
    category_counts={"housing": {"rent": 60, "own": 35, "parents": 5}},
)
ENCODER = encoder_from_statistics(STATISTICS, CONTRACT)
# income, ltv, ltv_missing, rent, own, other
REFERENCE = np.array([0.0, 0.0, 0.1, 0.6, 0.35, 0.05])
ABOUT = {"task": "risk", "institutions": {"bank_a": {}}, "versions": {}}


def build_network(seed=0):
    """With biases, so that rows differ in which units are on."""
    model = build_risk_model(6, hidden_units=(8, 4), seed=seed, positive_weight=4.0)
    rng = np.random.default_rng(seed)
    shaken = [w + rng.normal(size=w.shape) * 0.4 for w in model.get_weights()]
    model.set_weights(shaken)
    return model


def save(directory, about=None):
    """Saves the model; returns the network that was saved."""
    model = build_network()
    save_model(
        directory, model, encoder=ENCODER, reference=REFERENCE, about=about or ABOUT
    )
    return model


def customers(rows=50, seed=0):
    """Rows of the contract's features, and a number for each customer."""
    rng = np.random.default_rng(seed)
    ltv = rng.uniform(0, 1.5, rows).round(2)
    return pd.DataFrame(
        {
            "customer": [f"{i:05d}" for i in range(rows)],
            "income": rng.integers(500, 9000, rows) * 12.0,
            "housing": rng.choice(["rent", "own", "parents"], rows),
            "ltv": np.where(rng.random(rows) < 0.2, np.nan, ltv),
        }
    )


def as_bank_b(table):
    """The same customers as bank_b writes them."""
    codes = {"rent": "M", "own": "E", "parents": "B"}
    return pd.DataFrame(
        {
            "customer": table["customer"],
            "einkommen": table["income"] / 12,
            "wohnung": table["housing"].map(codes),
            "ltv": table["ltv"] * 100,
        }
    )

"""The synthetic credit-risk population: customers, and the law of default.

The population is ours, made so that a published claim can be examined; it
describes no real bank's customers. It is a watch-list: customers with signs of
trouble, of whom about four in ten default, so that accuracy means something.

**Customers** come from three segments. Young people who rent and borrow on
cards; established households with mortgages; the self-employed, whose income
varies. Each feature is drawn from its segment's distribution (`_SEGMENTS`).

**One law holds for the whole market.** It sees features, never segment or bank:

    logit P(default) = steepness * (sum_r g_r(x) <w_r, u(x)> - cutoff)

`u(x)` are the signs of trouble (utilisation, debt service, thin savings, late
payments, inquiries, loan to value, varying income), scaled by fixed constants.
Which sign matters how much depends on the customer's situation r in (young,
established, variable income), entered softly through age and income volatility:
`g(x) = softmax(affinity(x))`. The situation's direction `w_r` is what all have
in common plus `contrast` times what is peculiar to it, at unit length. For the
young, utilisation and inquiries foretell default; for households, debt service
and loan to value; for the self-employed, thin savings.

So a model that saw a single situation has learnt a true part of the law, and
the wrong part for everybody else. At `contrast` 0 one rule serves all.
"""

import dataclasses

import numpy as np
import pandas as pd

from tff_finance import checks
from tff_finance.datasets.credit_contract import CREDIT_CONTRACT

SEGMENTS = ("young", "established", "self_employed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DefaultLaw:
    """Constants of the law of default; see the module's formula.

    Attributes:
        contrast: How much the situations' rules differ; 0 means one rule for
            all, 0.53 angles of 39 to 43 degrees between any two rules.
        steepness: How sharply risk turns into default; large means few
            surprises. It bounds every model's accuracy.
        cutoff: Risk at which the probability of default is one half.
        emphasis: Multiplies the weight of each sign of trouble, in the order of
            `_signs_of_trouble`: laws that differ in it are of different targets, which
            depend on the same situations and signs.
    """

    contrast: float = 0.53
    steepness: float = 25.0
    cutoff: float = 0.2
    emphasis: tuple[float, ...] = (1.0,) * 7

    def __post_init__(self) -> None:
        """Refuses constants for which the formula means nothing."""
        checks.check_at_least("contrast", self.contrast, 0)
        checks.check_positive("steepness", self.steepness)
        if len(self.emphasis) != len(_COMMON) or not any(self.emphasis):
            raise ValueError(
                f"`emphasis` must be {len(_COMMON)} numbers, not all 0, got "
                f"{self.emphasis}."
            )

    def directions(self) -> np.ndarray:
        """Weights of the signs of trouble, float64[situations, signs], unit rows."""
        weights = (_COMMON + self.contrast * _PECULIAR) * np.array(self.emphasis)
        return weights / np.linalg.norm(weights, axis=1, keepdims=True)

    def logits(self, table: pd.DataFrame) -> np.ndarray:
        """Log-odds of default, float64[rows], from the features alone."""
        shares = _situation_shares(table)
        scores = _signs_of_trouble(table) @ self.directions().T
        return self.steepness * ((shares * scores).sum(axis=1) - self.cutoff)


def draw_customers(
    segments: np.ndarray, law: DefaultLaw, rng: np.random.Generator
) -> pd.DataFrame:
    """Draws one customer per entry of `segments`, with a default label.

    Args:
        segments: int[rows], index into `SEGMENTS` for each customer.
        law: Decides who defaults.
        rng: Source of all randomness.

    Returns:
        A table that satisfies `CREDIT_CONTRACT`.
    """
    table = _draw_features(np.asarray(segments), rng)
    probability = 0.5 * (1.0 + np.tanh(0.5 * law.logits(table)))
    table[CREDIT_CONTRACT.label] = rng.random(len(table)) < probability
    return table.astype({CREDIT_CONTRACT.label: np.int64})


# Each row: what is typical of young, established, self-employed customers.
_SEGMENTS = {
    "age_mean": (29.0, 54.0, 40.0),
    "age_deviation": (4.0, 5.0, 5.0),
    "income_median": (28_000.0, 52_000.0, 46_000.0),
    "volatility_median": (0.12, 0.10, 0.45),
    "employment_tenure_median": (2.0, 12.0, 6.0),
    "relationship_tenure_median": (2.0, 10.0, 5.0),
    "debt_to_income_mean": (0.30, 0.38, 0.34),
    "utilisation_mean": (0.55, 0.40, 0.48),
    "savings_median": (1.5, 4.0, 3.0),
    "secured_share": (0.50, 0.80, 0.65),
    "rent_share": (0.75, 0.10, 0.35),
    "mortgage_share": (0.15, 0.60, 0.40),
}

# Signs of trouble, in the order of `_signs_of_trouble`:
# utilisation, debt service, thin savings, late payments, inquiries,
# loan to value, income volatility.
_COMMON = np.array([0.5, 0.5, 0.5, 0.8, 0.2, 0.2, 0.0])
_PECULIAR = np.array(
    [
        [1.0, 0.0, -0.3, 0.0, 0.8, -0.2, 0.0],  # young
        [-0.2, 1.0, 0.0, 0.0, -0.2, 0.9, 0.0],  # established
        [0.0, -0.2, 1.2, 0.0, 0.0, 0.0, 0.4],  # variable income
    ]
)
_YOUNG_UNTIL = 42.0  # years: as near to the young as to the established
_AGE_SCALE = 2.5  # years
_VARIABLE_FROM = 0.22  # coefficient of variation
_VARIABLE_SHARPNESS = 12.0
_SMALLEST_AMOUNT = 0.01


def _signs_of_trouble(table: pd.DataFrame) -> np.ndarray:
    """float64[rows, 7]: larger is worse; 0 about average for the watch-list."""
    signs = {
        "utilisation": (table["credit_utilisation"] - 0.48) / 0.20,
        "debt_service": (table["debt_to_income"] - 0.33) / 0.12,
        "thin_savings": (0.9 - _log(table["savings_buffer"])) / 0.7,
        "late_payments": (table["delinquencies_24m"] - 0.85) / 1.0,
        "inquiries": (table["inquiries_6m"] - 1.8) / 1.5,
        # An unsecured loan has no collateral to fall short.
        "loan_to_value": ((table["loan_to_value"] - 0.70) / 0.15).fillna(0.0),
        "volatility": (_log(table["income_volatility"]) + 1.9) / 0.7,
    }
    return np.stack(list(signs.values()), axis=1)


def _situation_shares(table: pd.DataFrame) -> np.ndarray:
    """float64[rows, 3]: how far each rule applies to a customer; rows sum to 1."""
    maturity = (table["age"] - _YOUNG_UNTIL) / _AGE_SCALE
    variable = _VARIABLE_SHARPNESS * (
        _log(table["income_volatility"]) - np.log(_VARIABLE_FROM)
    )
    affinity = np.stack([-maturity, maturity, variable], axis=1)
    shares = np.exp(affinity - affinity.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def _log(values: pd.Series) -> np.ndarray:
    """Logarithm of an amount that may be 0; customers are drawn from 0.01 up."""
    return np.log(values.clip(lower=_SMALLEST_AMOUNT).to_numpy())


def _draw_features(segments: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    rows = len(segments)

    def of(name: str) -> np.ndarray:
        return np.array(_SEGMENTS[name])[segments]

    def lognormal(median: str, deviation: float) -> np.ndarray:
        return of(median) * np.exp(deviation * rng.normal(size=rows))

    age = of("age_mean") + of("age_deviation") * rng.normal(size=rows)
    loan_to_value = rng.normal(0.70, 0.15, size=rows)
    secured = rng.random(rows) < of("secured_share")
    return pd.DataFrame(
        {
            "age": age.clip(18, 90),
            "annual_income": lognormal("income_median", 0.35).clip(0, 5e6),
            "income_volatility": lognormal("volatility_median", 0.25).clip(
                _SMALLEST_AMOUNT, 1.5
            ),
            "employment_tenure": lognormal("employment_tenure_median", 0.5).clip(0, 50),
            "relationship_tenure": lognormal("relationship_tenure_median", 0.5).clip(
                0, 60
            ),
            "debt_to_income": rng.normal(of("debt_to_income_mean"), 0.12).clip(0, 1.5),
            "credit_utilisation": rng.normal(of("utilisation_mean"), 0.20).clip(0, 1.2),
            "savings_buffer": lognormal("savings_median", 0.6).clip(
                _SMALLEST_AMOUNT, 100
            ),
            "delinquencies_24m": rng.poisson(np.exp(rng.normal(-0.3, 0.5, rows))),
            "inquiries_6m": rng.poisson(np.exp(rng.normal(0.5, 0.4, rows))),
            "loan_to_value": np.where(secured, loan_to_value.clip(0.1, 1.3), np.nan),
            "housing": _draw_housing(of("rent_share"), of("mortgage_share"), rng),
        }
    )


def _draw_housing(
    rent: np.ndarray, mortgage: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    u = rng.random(len(rent))
    return np.select([u < rent, u < rent + mortgage], ["rent", "mortgage"], "own")

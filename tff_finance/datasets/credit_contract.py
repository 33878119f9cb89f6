"""The feature contract of the synthetic credit-risk population."""

from tff_finance.datasets.contract import CategoricalColumn, Contract, NumericColumn

CREDIT_CONTRACT = Contract(
    name="synthetic_credit",
    label="default_12m",
    label_meaning="90 days past due within the next 12 months",
    columns=(
        NumericColumn(
            name="age",
            unit="years",
            description="Age of the customer",
            minimum=18,
            maximum=90,
        ),
        NumericColumn(
            name="annual_income",
            unit="EUR per year",
            description="Gross income, mean of the last two years",
            minimum=0,
            maximum=5e6,
            transform="log1p",
        ),
        NumericColumn(
            name="income_volatility",
            unit="coefficient of variation",
            description="Standard deviation over mean of monthly income, 24 months",
            minimum=0,
            maximum=5,
        ),
        NumericColumn(
            name="employment_tenure",
            unit="years",
            description="Time in the present job or business",
            minimum=0,
            maximum=70,
            transform="log1p",
        ),
        NumericColumn(
            name="relationship_tenure",
            unit="years",
            description="Time since the customer's first account at the bank",
            minimum=0,
            maximum=80,
            transform="log1p",
        ),
        NumericColumn(
            name="debt_to_income",
            unit="ratio",
            description="Monthly debt service over monthly income",
            minimum=0,
            maximum=3,
        ),
        NumericColumn(
            name="credit_utilisation",
            unit="ratio",
            description="Drawn over granted revolving credit",
            minimum=0,
            maximum=2,
        ),
        NumericColumn(
            name="savings_buffer",
            unit="months of expenses",
            description="Liquid savings over monthly expenses",
            minimum=0,
            maximum=1000,
            transform="log1p",
        ),
        NumericColumn(
            name="delinquencies_24m",
            unit="payments",
            description="Payments 30 days late or more in the last 24 months",
            minimum=0,
            maximum=100,
        ),
        NumericColumn(
            name="inquiries_6m",
            unit="inquiries",
            description="Credit bureau inquiries in the last 6 months",
            minimum=0,
            maximum=100,
        ),
        NumericColumn(
            name="loan_to_value",
            unit="ratio",
            description="Loan over value of the collateral; missing if unsecured",
            minimum=0,
            maximum=3,
            allow_missing=True,
        ),
        CategoricalColumn(
            name="housing",
            description="How the customer lives",
            categories=("rent", "mortgage", "own"),
        ),
    ),
)

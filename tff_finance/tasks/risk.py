"""Joint credit risk: the probability that a customer defaults.

Success means ranking customers by risk (AUC, KS, Gini) with probabilities that
can be priced (log loss, Brier, ECE), few defaults among those approved, and
decisions that cost little.
"""

import functools

from tff_finance.metrics.credit import credit_metrics
from tff_finance.metrics.derived import METRICS
from tff_finance.records.training_config import TASK_TRAINING
from tff_finance.tasks.mlp import build_mlp
from tff_finance.tasks.task import Task

build_risk_model = functools.partial(build_mlp, name="risk")
"""`build_mlp` under this task's name: the logit of default."""

RISK = Task(
    name="risk",
    build_model=build_risk_model,
    training=TASK_TRAINING["risk"],
    business_metrics=(METRICS["ks"], METRICS["gini"], *credit_metrics()),
)

"""Joint anti-fraud: the probability that a payment is fraudulent.

Success means that the alerts a team can check each day hold most frauds, most of
their amount, and many compromised cards; for a rare class average precision says
more than AUC.
"""

import functools

from tff_finance.metrics.derived import METRICS
from tff_finance.metrics.fraud import CARD_METRICS, PAYMENT_METRICS
from tff_finance.records.training_config import TASK_TRAINING
from tff_finance.tasks.mlp import build_mlp
from tff_finance.tasks.task import Task

build_fraud_model = functools.partial(build_mlp, name="fraud")
"""`build_mlp` under this task's name: the logit of fraud."""

FRAUD = Task(
    name="fraud",
    build_model=build_fraud_model,
    training=TASK_TRAINING["fraud"],
    business_metrics=(METRICS["average_precision"], METRICS["recall_at_fpr_1"]),
    payment_metrics=PAYMENT_METRICS,
    card_metrics=CARD_METRICS,
)

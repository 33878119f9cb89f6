"""Joint marketing: the probability that a customer responds to an offer.

Success means that few contacts reach most who respond: lift, captured responses
and profit at a contacted fraction.
"""

import functools

from tff_finance.metrics.campaign import campaign_metrics
from tff_finance.metrics.derived import METRICS
from tff_finance.records.training_config import TASK_TRAINING
from tff_finance.tasks.mlp import build_mlp
from tff_finance.tasks.task import Task

build_marketing_model = functools.partial(build_mlp, name="marketing")
"""`build_mlp` under this task's name: the logit of a response."""

MARKETING = Task(
    name="marketing",
    build_model=build_marketing_model,
    training=TASK_TRAINING["marketing"],
    business_metrics=(METRICS["lift_at_10"], *campaign_metrics()),
)

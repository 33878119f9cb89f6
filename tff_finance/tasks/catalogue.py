"""The tasks by their names in flags and results."""

from collections.abc import Mapping
from types import MappingProxyType

from tff_finance.tasks.fraud import FRAUD
from tff_finance.tasks.marketing import MARKETING
from tff_finance.tasks.risk import RISK
from tff_finance.tasks.task import Task

TASKS: Mapping[str, Task] = MappingProxyType(
    {task.name: task for task in (RISK, MARKETING, FRAUD)}
)

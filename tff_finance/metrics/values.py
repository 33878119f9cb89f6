"""What a metric is, and what stands where a value does not exist."""

import dataclasses
from collections.abc import Callable
from typing import Generic, TypeVar

from tff_finance.metrics.score_histogram import ScoreHistogram

Statistics = TypeVar("Statistics")


@dataclasses.dataclass(frozen=True)
class Undefined:
    """A value that does not exist.

    Attributes:
        reason: Why, for people who read a table of results.
    """

    reason: str


Value = float | Undefined

NO_ROWS = Undefined("The table has no rows.")


@dataclasses.dataclass(frozen=True)
class Metric(Generic[Statistics]):
    """A metric as results, tables and documentation know it.

    Attributes:
        name: Key in results.
        compute: Derives the value from what institutions summed.
        higher_is_better: The direction of improvement.
        definition: One line for readers.
    """

    name: str
    compute: Callable[[Statistics], Value]
    higher_is_better: bool
    definition: str


def lacks_a_class(histogram: ScoreHistogram) -> Undefined | None:
    """Returns why a ranking metric does not exist, or None if it does."""
    if histogram.rows == 0:
        return NO_ROWS
    if histogram.positive_rows == 0:
        return Undefined(f"All {histogram.rows} rows are negative.")
    if histogram.negative_rows == 0:
        return Undefined(f"All {histogram.rows} rows are positive.")
    return None

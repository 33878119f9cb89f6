"""Results of attacks in a summary, sorted for tables and sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tff_finance.report import formats

Result = Mapping[str, Any]
"""One result of `attacks` in a summary."""


def value(result: Result) -> Result:
    """Mean and interval, of one seed that within the seed."""
    within = result["within_seeds"]
    if result.get("ci95") is None and len(within) == 1:
        return {**result, "ci95": within[0]}
    return result


def is_refuted(bound: Result) -> bool:
    """Whether a canary's lower bound exceeds the claim under some seed."""
    return any(
        value > bound["epsilon"] for value in bound["values"] if value is not None
    )


def is_refutable(bound: Result, largest: Result, share: Result | None) -> bool:
    """Whether the runs could have shown a bound above the claim.

    Args:
        bound: That they showed.
        largest: That they could show if runs with and without differed surely.
        share: Of the noise that is needed, with which they would refute the claim:
            undefined if with none; None in records that don't have it.

    Returns:
        By the share if there is one.
    """
    if share is not None:
        return share["mean"] is not None
    return largest["mean"] is not None and largest["mean"] > bound["epsilon"]


def grouped(
    settings: Sequence[str], results: Sequence[Result], *, name: str = "metric"
) -> list[dict[str, Result]]:
    """Results of the same settings together, by metric or another name."""
    groups: dict[tuple, dict[str, Result]] = {}
    for one in results:
        key = tuple(one[setting] for setting in settings)
        groups.setdefault(key, {})[one[name]] = one
    return list(groups.values())


def frame(results: Sequence[Result]) -> pd.DataFrame:
    """Settings and values as they are, for a CSV file."""
    left_out = {"mean", "ci95", "values", "within_seeds", "reason"}
    return pd.DataFrame(
        [
            {key: value for key, value in one.items() if key not in left_out}
            | formats.flat(value(one))
            | {"trials": sum(one["trials"])}
            for one in results
        ]
    )

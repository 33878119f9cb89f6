"""How soon, and after how many bytes, a method is nearly as good as a reference."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tff_finance.evaluation.intervals import summarize

SHARE = 0.99
"""Of the reference's value: nearly as good."""

TRAFFIC = ["bytes_down", "bytes_up", "validation_bytes_down", "validation_bytes_up"]


def targets(
    curves: pd.DataFrame, runs: pd.DataFrame, *, reference: str, column: str
) -> dict[int, float]:
    """What is nearly as good, by seed.

    Args:
        curves: Rows of `CurveRow`.
        runs: Rows of `RunRow`.
        reference: A method with one model.
        column: Of the curves, such as `validation_accuracy`.

    Returns:
        `SHARE` of the value of the weights that the reference kept; seeds without
        one are left out.
    """
    kept = runs.loc[runs["method"] == reference, ["seed", "best_round"]]
    values = curves[curves["method"] == reference].merge(
        kept, left_on=["seed", "round"], right_on=["seed", "best_round"]
    )
    known = values.dropna(subset=[column])
    return {
        int(seed): SHARE * float(value)
        for seed, value in zip(known["seed"], known[column], strict=True)
    }


def reach(
    curves: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    method: str,
    column: str,
    wanted: Mapping[int, float],
) -> dict[str, Any]:
    """Rounds and bytes until a method reaches its target.

    Args:
        curves: Rows of `CurveRow`.
        runs: Rows of `RunRow`.
        method: One that trains a model for all, round by round.
        column: Of the curves, that the targets are about.
        wanted: Targets by seed.

    Returns:
        `rounds`, `bytes` (all, those of validation included) and `bytes_up` (of
        updates alone), each over seeds and with a median that counts a seed which
        never gets there as later than all others; and `seeds_reached`.
    """
    found: dict[str, list[float | None]] = {"rounds": [], "bytes": [], "bytes_up": []}
    for seed, target in wanted.items():
        of_seed = (curves["method"] == method) & (curves["seed"] == seed)
        curve = curves[of_seed]
        reached = curve.loc[curve[column] >= target, "round"]
        run = runs[(runs["method"] == method) & (runs["seed"] == seed)].iloc[0]
        first = float(reached.min()) if len(reached) else None
        scales = (
            1.0,
            run[TRAFFIC].sum() / run["rounds"],
            run["bytes_up"] / run["rounds"],
        )
        for values, scale in zip(found.values(), scales, strict=True):
            values.append(None if first is None else first * float(scale))
    missed = sum(value is None for value in found["rounds"])
    reason = f"not reached in {missed} of {len(wanted)} seeds"
    return {
        **{
            name: summarize(values, reason=reason) | _median(values)
            for name, values in found.items()
        },
        "seeds_reached": len(wanted) - missed,
    }


def _median(values: Sequence[float | None]) -> dict[str, float | None]:
    """The median, which a few seeds that never get there leave well defined."""
    median = float(np.median([np.inf if v is None else v for v in values]))
    return {"median": median if np.isfinite(median) else None}

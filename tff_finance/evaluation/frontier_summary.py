"""Seeds of a privacy frontier put together: `privacy_frontier.json`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tff_finance.evaluation.intervals import summarize

SCHEMA_VERSION = 1


def summarize_frontier(
    seeds: Sequence[Mapping[str, Any]], *, redrawn: bool
) -> dict[str, Any]:
    """Means over seeds with intervals that suit the rows.

    Args:
        seeds: Results of `run_frontier`.
        redrawn: Whether a seed redraws the rows: t-intervals over seeds then. Of given
            rows, means over seeds of the limits over rows, and the spread over seeds
            stands in `values`.

    Returns:
        By level `epsilon` (None without privacy); `pooled` by metric, and `to_without`
        and `to_fed_avg`, null for these levels themselves; `own` and `membership` by
        bank and metric (membership of all banks' rows under ""); `privacy` of each
        seed's worst. Cells have `mean`, `ci95`, `values`.
    """
    levels = list(seeds[0]["levels"])
    return {
        level: _level([seed["levels"][level] for seed in seeds], redrawn=redrawn)
        for level in levels
    }


def _level(results: Sequence[Mapping[str, Any]], *, redrawn: bool) -> dict[str, Any]:
    first = results[0]

    def metrics(of: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            name: _cell([cells[name] for cells in of], redrawn=redrawn)
            for name in of[0]
        }

    def by_bank(part: str) -> dict[str, Any]:
        return {
            bank: metrics([result[part][bank] for result in results])
            for bank in first[part]
        }

    privacy = [result["privacy"] for result in results]
    return {
        "epsilon": first["epsilon"],
        "privacy": max(privacy, key=lambda p: p["epsilon"]) if privacy[0] else None,
        "rounds": [result["rounds"] for result in results],
        "pooled": metrics([result["pooled"] for result in results]),
        **{
            part: first[part] and metrics([result[part] for result in results])
            for part in ("to_without", "to_fed_avg")
        },
        "own": by_bank("own"),
        "membership": by_bank("membership"),
    }


def _cell(cells: Sequence[Mapping[str, Any]], *, redrawn: bool) -> dict[str, Any]:
    reason = next((cell["reason"] for cell in cells if cell.get("reason")), "")
    summary = summarize([cell["value"] for cell in cells], reason=reason)
    if redrawn or summary["mean"] is None:
        return summary
    limits = [(cell["low"], cell["high"]) for cell in cells]
    if any(low is None for low, _ in limits):
        return summary | {"ci95": None, "reason": reason or "too few rows"}
    summary.pop("reason", None)
    return summary | {"ci95": np.mean(limits, axis=0).tolist()}

"""The part of `summary.json` that says what attacks achieved."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tff_finance.evaluation.intervals import summarize
from tff_finance.records.attack_rows import ATTACKS, AttackRow

_OF_ONE_SEED = ("seed", "value", "low", "high", "trials", "reason", "delta")

# Student's t knows no bounds, but no share is below 0 or above 1.
_SHARES = (
    "auc",
    "tpr_at_fpr_1",
    "tpr_at_fpr_0_1",
    "features_recovered",
    "features_without_information",
    "records_recovered",
)


def summarize_attacks(
    rows: Sequence[AttackRow], seeds: Sequence[int]
) -> dict[str, list[dict[str, Any]]]:
    """What attacks achieved, over seeds.

    Args:
        rows: Of all seeds.
        seeds: In order.

    Returns:
        By attack, a list of results: what was attacked, how, under which protection,
        and `{"mean", "ci95", "values"}` over seeds, with `within_seeds`, the interval
        of each seed, and `trials`. Undefined means and intervals are null with a
        reason.
    """
    cells: dict[tuple, dict[int, AttackRow]] = {}
    for row in rows:
        settings = dataclasses.asdict(row)
        key = tuple((k, v) for k, v in settings.items() if k not in _OF_ONE_SEED)
        cells.setdefault(key, {})[row.seed] = row
    results: dict[str, list[dict[str, Any]]] = {attack: [] for attack in ATTACKS}
    for key, by_seed in cells.items():
        settings = dict(key)
        deltas = [row.delta for row in by_seed.values() if row.delta is not None]
        settings["delta"] = max(deltas, default=None)  # it holds for all of them
        results[settings.pop("attack")].append(settings | _over_seeds(by_seed, seeds))
    return results


def _over_seeds(by_seed: dict[int, AttackRow], seeds: Sequence[int]) -> dict[str, Any]:
    present = [by_seed[seed] for seed in seeds if seed in by_seed]
    reason = next((row.reason for row in present if row.value is None), "")
    summary = summarize([row.value for row in present], reason=reason)
    if summary.get("ci95") and present[0].metric in _SHARES:
        summary["ci95"] = [min(max(limit, 0.0), 1.0) for limit in summary["ci95"]]
    return summary | {
        "within_seeds": [
            None if row.low is None else [row.low, row.high] for row in present
        ],
        "trials": [row.trials for row in present],
    }

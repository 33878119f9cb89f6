"""Accuracy against heterogeneity: where the gain comes from and where it ends."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.figure
import pandas as pd

from tff_finance.records import files

# Line, legend entry, part of the summary. Styles tell the lines apart in print.
_LINES = (
    ("local", "own_mean", "local model, own customers", "#1b6ca8", "--", "s"),
    ("local", "pooled", "local model, whole market", "#1b6ca8", "-", "o"),
    (
        "local",
        "others_mean",
        "local model, other banks' customers",
        "#1b6ca8",
        ":",
        "^",
    ),
    ("fed_avg", "pooled", "FedAvg, whole market", "#d1495b", "-", "D"),
    ("centralized", "pooled", "centralized, whole market", "#3a3a3a", "-.", "x"),
)


def draw_heterogeneity_sweep(
    summaries: Sequence[Mapping[str, Any]], path: pathlib.Path
) -> None:
    """Draws accuracy with 95 % intervals over heterogeneity.

    Args:
        summaries: One `summary.json` per level, methods local, fed_avg and
            centralized among them.
        path: PNG or SVG file; written atomically.
    """
    mpl.rcParams["svg.hashsalt"] = "tff_finance"
    figure = matplotlib.figure.Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.subplots()
    levels = [summary["config"]["heterogeneity"] for summary in summaries]
    for method, part, label, color, line, marker in _LINES:
        values = [s["methods"][method][part]["accuracy"] for s in summaries]
        means = [100 * value["mean"] for value in values]
        axes.errorbar(
            levels,
            means,
            yerr=[_half_width(value) for value in values],
            label=label,
            color=color,
            linestyle=line,
            marker=marker,
            markersize=5,
            capsize=3,
        )
    seeds = len(summaries[0]["seeds"])
    scenario = summaries[0]["config"]["scenario"]
    axes.set_xlabel("heterogeneity: 0 customers alike, 1 each bank its own segment")
    axes.set_ylabel("accuracy on test rows, %")
    axes.set_title(
        f"Synthetic population, scenario {scenario}: mean of {seeds} seeds, "
        "95 % intervals",
        loc="left",
        fontsize=10,
    )
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower left")
    files.write_atomically(path, lambda p: figure.savefig(p, dpi=150))


def sweep_table(summaries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The picture's numbers, one row per level and line, as shares of 1."""
    rows = []
    for summary in summaries:
        for method, part, *_ in _LINES:
            value = summary["methods"][method][part]["accuracy"]
            low, high = value["ci95"] or (None, None)
            rows.append(
                {
                    "heterogeneity": summary["config"]["heterogeneity"],
                    "method": method,
                    "rows": part,
                    "accuracy": value["mean"],
                    "ci95_low": low,
                    "ci95_high": high,
                }
            )
    return pd.DataFrame(rows)


def _half_width(value: Mapping[str, Any]) -> float:
    """Half the interval in points; 0, that is no bar, where there is none."""
    if value["ci95"] is None:
        return 0.0
    low, high = value["ci95"]
    return 50 * (high - low)

"""AUC against simulated time, from `asynchronous.json`."""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.figure
import numpy as np

from tff_finance.report import labels, styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture
from tff_finance.report.rendering import Drawing

_HEIGHT = 3.6
_HOUR = 3600.0
# What lies before is the climb from nothing, beside which the rest would be a line.
_SHOWN_BELOW_THE_TARGET = 0.06


def draw_asynchronous(result: Mapping[str, Any], path: pathlib.Path) -> None:
    """Draws each seed's curves, their means and FedAvg's final AUC, in English.

    Args:
        result: The content of `asynchronous.json`.
        path: PNG or SVG file; written atomically.
    """
    picture = Picture(
        name="asynchronous",
        title="AUC against simulated time",
        alt="AUC on test rows against simulated time, synchronous and asynchronous.",
        draw=functools.partial(_draw, result),
    )
    Drawing(picture, Words("en")).write(path)


def _draw(result: Mapping[str, Any], words: Words) -> matplotlib.figure.Figure:
    figure = styles.new_figure(_HEIGHT)
    axes = figure.add_subplot()
    end = max(run["end_seconds"] for runs in result["runs"].values() for run in runs)
    grid = np.linspace(0, end, 600)
    for method, runs in result["runs"].items():
        style = styles.method_style(method, list(result["runs"]))
        curves = [_at(grid, run["seconds"], run["auc"]) for run in runs]
        for curve in curves:
            axes.plot(grid / _HOUR, curve, color=style.color, linewidth=0.6, alpha=0.45)
        axes.plot(
            grid / _HOUR,
            np.mean(curves, axis=0),  # undefined until every seed has a model
            color=style.color,
            linewidth=2,
            label=labels.algorithm(method),
        )
    final = result["final_auc"]["fed_avg"]["mean"]
    axes.axhline(final - result["tolerance"], color="0.4", linestyle=":", linewidth=1)
    top = max(max(run["auc"]) for runs in result["runs"].values() for run in runs)
    axes.set_ylim(final - _SHOWN_BELOW_THE_TARGET, top + 0.004)
    axes.set_xlim(0, end / _HOUR)
    axes.set_xlabel(words.say("Simulated time, hours"))
    axes.set_ylabel(words.say("AUC on all test rows"))
    styles.legend_above(axes)
    return figure


def _at(grid: np.ndarray, seconds: Sequence[float], auc: Sequence[float]) -> np.ndarray:
    """A curve's value at each time; NaN before its first one."""
    number = np.searchsorted(seconds, grid, side="right")
    return np.concatenate([[np.nan], auc])[number]

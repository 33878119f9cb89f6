"""Means with their intervals, in rows: the form of most of the report's answers."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.axes
import matplotlib.figure

from tff_finance.report import formats, styles
from tff_finance.report.catalogue import Words

# The part of a row's height that its markers share.
_SHARED = 0.8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    """One marker in every row.

    Attributes:
        label: Its name in the legend.
        color: Its colour.
        marker: Its shape.
        values: Shares of 1 as a summary holds them, one per row; None for no marker.
        filled: Whether its markers are filled, in figures without a line at 0.
    """

    label: str
    color: str
    marker: str
    values: Sequence[Mapping[str, Any] | None]
    filled: bool = True


def draw_intervals(
    rows: Sequence[str],
    series: Sequence[Series],
    words: Words,
    *,
    axis: str,
    differences: bool = False,
    numbers: bool = False,
) -> matplotlib.figure.Figure:
    """Draws a row per label, with a marker and an interval for each series.

    Args:
        rows: Labels, from the top.
        series: From the top of each row.
        words: The language of numbers.
        axis: What the horizontal axis shows.
        differences: Draw a line at 0, and hollow markers where it can't be excluded.
        numbers: Write the mean beside each marker.

    Returns:
        The figure, in percent.
    """
    lines = max(label.count("\n") + 1 for label in rows)
    row_height = max(0.22 * len(series), 0.2 * lines) + 0.1
    figure = styles.new_figure(1.2 + row_height * len(rows))
    axes = figure.subplots()
    if differences:
        axes.axvline(0, color=styles.INK, linewidth=1)
    step = _SHARED / len(series)
    for number, one in enumerate(series):
        styles.legend_entry(
            axes, one.label, color=one.color, marker=one.marker, filled=one.filled
        )
        offset = step * (number - (len(series) - 1) / 2)
        for row, value in enumerate(one.values):
            if value is None or value["mean"] is None:
                continue
            filled = not formats.includes_zero(value) if differences else one.filled
            end = _draw_marker(axes, one, value, height=row + offset, filled=filled)
            if numbers:
                _write_number(
                    axes, words.number(100 * value["mean"], 1), end, one.color
                )
    _finish(axes, rows, right=0.16 if numbers else 0.06)
    axes.set_xlabel(axis)
    styles.legend_above(axes)
    return figure


def _draw_marker(
    axes: matplotlib.axes.Axes,
    series: Series,
    value: Mapping[str, Any],
    *,
    height: float,
    filled: bool,
) -> tuple[float, float]:
    """Draws a mean and its interval, if it has one; the interval's right end."""
    mean = 100 * value["mean"]
    low, high = (100 * x for x in value["ci95"] or (value["mean"], value["mean"]))
    axes.errorbar(
        mean,
        height,
        xerr=[[mean - low], [high - mean]],
        color=series.color,
        marker=series.marker,
        markersize=6,
        markerfacecolor=series.color if filled else "white",
        capsize=2.5,
        linestyle="none",
    )
    return high, height


def _write_number(
    axes: matplotlib.axes.Axes, text: str, place: tuple[float, float], color: str
) -> None:
    axes.annotate(
        text,
        place,
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=color,
        fontsize=styles.SMALL,
    )


def _finish(axes: matplotlib.axes.Axes, rows: Sequence[str], *, right: float) -> None:
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for row in range(1, len(rows)):
        axes.axhline(row - 0.5, color=styles.GRID, linewidth=0.8)
    left_end, right_end = axes.get_xlim()
    axes.set_xlim(right=right_end + right * (right_end - left_end))
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)

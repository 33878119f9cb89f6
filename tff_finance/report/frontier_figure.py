"""What privacy costs and buys, by epsilon, in one picture."""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.axes
import matplotlib.figure

from tff_finance.report import styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture
from tff_finance.report.rendering import Drawing

_PANELS = 4
_MOST_BANKS_APART = 7


def draw_frontier(frontier: Mapping[str, Any], path: pathlib.Path) -> None:
    """Draws model quality and attacks with 95 % intervals, in English.

    Args:
        frontier: The content of `privacy_frontier.json`.
        path: PNG or SVG file; written atomically.
    """
    picture = Picture(
        name="frontier",
        title="What privacy costs and buys",
        alt="Model quality, and success of membership attacks, by epsilon.",
        draw=functools.partial(_draw, frontier),
    )
    Drawing(picture, Words("en")).write(path)


def _draw(frontier: Mapping[str, Any], words: Words) -> matplotlib.figure.Figure:
    del words  # English
    levels = frontier["levels"]
    shown = {name: level for name, level in levels.items() if name != "fed_avg"}
    ticks = [
        "none" if level["epsilon"] is None else f"{level['epsilon']:g}"
        for level in shown.values()
    ]
    figure = styles.new_figure(_PANELS * 2.3)
    panels = figure.subplots(_PANELS, 1)
    everybody, by_bank, attack, rate = panels
    _interval_line(everybody, [lv["pooled"]["auc"] for lv in shown.values()], 1)
    reference = levels["fed_avg"]["pooled"]["auc"]["mean"]
    everybody.axhline(reference, color=styles.INK, linewidth=1, linestyle=":")
    everybody.set_title("AUC, all test rows (dotted: early stopping)", loc="left")
    for number, bank in enumerate(frontier["institutions"][:_MOST_BANKS_APART]):
        cells = [level["own"][bank]["auc"] for level in shown.values()]
        _interval_line(by_bank, cells, number, label=bank, shift=0.06 * number)
    title = f"AUC, each bank's own test rows{_left_out(frontier['institutions'])}"
    by_bank.set_title(title, loc="left")
    by_bank.legend(
        fontsize=styles.SMALL,
        ncols=2,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.12),
    )
    for axes, name, chance, title in (
        (attack, "auc", 0.5, "Membership attack: AUC"),
        (rate, "tpr_at_fpr_1", 0.01, "Membership attack: TPR at 1 % FPR"),
    ):
        cells = [level["membership"][""][name] for level in shown.values()]
        _interval_line(axes, cells, 2)
        axes.axhline(chance, color=styles.INK, linewidth=1, linestyle=":")
        axes.set_title(f"{title} (dotted: chance)", loc="left")
    for axes in panels:
        axes.set_xticks(range(len(ticks)), ticks)
        axes.grid(axis="y")
    panels[-1].set_xlabel("Epsilon per record; none: no clipping, no noise")
    return figure


def _left_out(banks: Sequence[str]) -> str:
    """Says so where there are more than can be told apart."""
    if len(banks) <= _MOST_BANKS_APART:
        return ""
    return f" (the first {_MOST_BANKS_APART} of {len(banks)} banks)"


def _interval_line(
    axes: matplotlib.axes.Axes,
    cells: Sequence[Mapping[str, Any]],
    number: int,
    *,
    label: str | None = None,
    shift: float = 0.0,
) -> None:
    """Means joined by a line, with their intervals where there are some."""
    style = styles.series_style(number)
    points = [
        (place + shift, cell)
        for place, cell in enumerate(cells)
        if cell["mean"] is not None
    ]
    axes.plot(
        [place for place, _ in points],
        [cell["mean"] for _, cell in points],
        color=style.color,
        linestyle=style.line,
        marker=style.marker,
        markersize=4,
        linewidth=1.2,
        label=label,
    )
    for place, cell in points:
        if cell.get("ci95"):
            axes.vlines(place, *cell["ci95"], color=style.color, linewidth=1.2)

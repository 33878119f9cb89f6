"""Accuracy against heterogeneity, from the `sweep.csv` of a sweep."""

import functools

import matplotlib.figure
import numpy as np
import pandas as pd

from tff_finance.report import labels, styles
from tff_finance.report.catalogue import Words, mark
from tff_finance.report.content import Picture, Section, Table

COLUMNS = ("heterogeneity", "method", "rows", "accuracy", "ci95_low", "ci95_high")

_ROWS = {
    "own_mean": mark("own customers"),
    "others_mean": mark("other banks' customers"),
    "pooled": mark("whole market"),
}
# The number of each line's style; lines of one method share its colour.
_MARKERS = {"own_mean": ("--", "s"), "others_mean": (":", "^"), "pooled": ("-", "o")}


def sweep_section(table: pd.DataFrame, words: Words) -> Section:
    """What becomes of the difference as the banks' customers become alike.

    Args:
        table: Has `COLUMNS`.
        words: The page's language.

    Returns:
        The section.
    """
    say = words.say
    table = table.sort_values("heterogeneity", kind="stable")
    lines = say("; ").join(
        say(
            "%(line)s: %(first)s %% to %(last)s %%",
            line=_label(str(method), str(rows), words),
            first=words.number(100 * line["accuracy"].iloc[0], 1),
            last=words.number(100 * line["accuracy"].iloc[-1], 1),
        )
        for (method, rows), line in table.groupby(["method", "rows"], sort=False)
    )
    return Section(
        anchor="sweep",
        title=say("Where the effect begins and ends"),
        paragraphs=[
            say(
                "The same comparison while the banks' customers become more and more "
                "different: at 0 they are alike, at 1 every bank serves a segment of "
                "its own."
            )
        ],
        pictures=[
            Picture(
                name="sweep",
                title=say("Accuracy against heterogeneity"),
                alt=say(
                    "Accuracy from the least to the greatest heterogeneity. %(lines)s.",
                    lines=lines,
                ),
                draw=functools.partial(_draw_sweep, table),
            )
        ],
        tables=[_sweep_table(table, words)],
        notes=[say("Bars are 95 % intervals over seeds.")],
    )


def _draw_sweep(table: pd.DataFrame, words: Words) -> matplotlib.figure.Figure:
    figure = styles.new_figure(4.4)
    axes = figure.subplots()
    methods = list(dict.fromkeys(table["method"]))
    for (method, rows), line in table.groupby(["method", "rows"], sort=False):
        style = styles.method_style(str(method), methods)
        dashes, marker = _MARKERS.get(str(rows), (style.line, style.marker))
        if method != "local":
            dashes, marker = style.line, style.marker
        means = 100 * line["accuracy"].to_numpy()
        low, high = (
            np.where(line[name].isna(), means, 100 * line[name].to_numpy())
            for name in ("ci95_low", "ci95_high")
        )
        axes.errorbar(
            line["heterogeneity"],
            means,
            yerr=[means - low, high - means],
            color=style.color,
            linestyle=dashes,
            marker=marker,
            markersize=5,
            capsize=2.5,
            label=_label(str(method), str(rows), words),
        )
    axes.set_xlabel(words.say("Heterogeneity: 0 alike, 1 a segment of its own"))
    axes.set_ylabel(words.say("Accuracy, %"))
    axes.grid()
    styles.legend_above(axes, columns=1)
    return figure


def _sweep_table(table: pd.DataFrame, words: Words) -> Table:
    say = words.say
    wide = {
        (str(method), str(rows)): line.set_index("heterogeneity")["accuracy"]
        for (method, rows), line in table.groupby(["method", "rows"], sort=False)
    }
    levels = list(dict.fromkeys(table["heterogeneity"]))
    return Table(
        name="sweep",
        caption=say("Accuracy by heterogeneity"),
        header=[say("Line"), *[words.number(level, 2) for level in levels]],
        rows=[
            [
                _label(*key, words),
                *[
                    words.percent(line[level])
                    if level in line.index and pd.notna(line[level])
                    else say("n/a")
                    for level in levels
                ],
            ]
            for key, line in wide.items()
        ],
        frame=table,
    )


def _label(method: str, rows: str, words: Words) -> str:
    return words.say(
        "%(method)s, %(rows)s",
        method=labels.method(method, words),
        rows=words.say(_ROWS.get(rows, rows)),
    )

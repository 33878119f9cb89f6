"""Accuracy against heterogeneity, from the `sweep.csv` of a sweep."""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd

from tff_finance.report import formats, labels, styles
from tff_finance.report.catalogue import Words, mark
from tff_finance.report.content import Picture, Section, Table
from tff_finance.report.rendering import Drawing

COLUMNS = ("heterogeneity", "method", "rows", "accuracy", "ci95_low", "ci95_high")

_ROWS = {
    "own_mean": mark("own customers"),
    "others_mean": mark("other banks' customers"),
    "pooled": mark("whole market"),
}
# What of a summary becomes a line. Own and other banks' customers tell something only
# where every bank has a model of its own.
_LINES = (
    ("local", "own_mean"),
    ("local", "pooled"),
    ("local", "others_mean"),
    ("fed_avg", "pooled"),
    ("centralized", "pooled"),
)
# The lines of banks alone share a colour and are told apart by these, also from those
# of other methods where there is no colour.
_LOCAL_STYLES = {
    "own_mean": ("--", "s"),
    "others_mean": ((0, (3, 1, 1, 1)), "X"),
    "pooled": ((0, (8, 2)), "P"),
}


def sweep_table(summaries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A sweep's numbers, one row per level and line, as shares of 1.

    Args:
        summaries: One `summary.json` per level, methods local, fed_avg and
            centralized among them.

    Returns:
        Columns `COLUMNS`.
    """
    rows = []
    for summary in summaries:
        for method, part in _LINES:
            value = summary["methods"][method][part]["accuracy"]
            low, high = value["ci95"] or (None, None)
            level = summary["config"]["heterogeneity"]
            rows.append((level, method, part, value["mean"], low, high))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    # With one seed all limits are missing; a column of nothing has no type.
    return table.astype(dict.fromkeys(COLUMNS[3:], float))


def draw_heterogeneity_sweep(
    summaries: Sequence[Mapping[str, Any]], path: pathlib.Path
) -> None:
    """Draws accuracy with 95 % intervals over heterogeneity, in English.

    Args:
        summaries: As `sweep_table` has them.
        path: PNG or SVG file; written atomically.
    """
    words = Words("en")
    Drawing(_sweep_picture(sweep_table(summaries), words), words).write(path)


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
    return Section(
        anchor="sweep",
        title=say("Where the difference begins and ends"),
        paragraphs=[
            say(
                "The same comparison while the banks' customers become more and more "
                "different: at 0 they are alike, at 1 every bank serves a segment of "
                "its own."
            )
        ],
        pictures=[_sweep_picture(table, words)],
        tables=[_page_table(table, words)],
        notes=[say("Bars are 95 % intervals over seeds.")],
    )


def _sweep_picture(table: pd.DataFrame, words: Words) -> Picture:
    lines = words.say("; ").join(
        words.say(
            "%(line)s: %(first)s to %(last)s",
            line=_label(str(method), str(rows), words),
            first=_percent(line["accuracy"].iloc[0], words),
            last=_percent(line["accuracy"].iloc[-1], words),
        )
        for (method, rows), line in table.groupby(["method", "rows"], sort=False)
    )
    return Picture(
        name="sweep",
        title=words.say("Accuracy against heterogeneity"),
        alt=words.say(
            "Accuracy from the least to the greatest heterogeneity. %(lines)s.",
            lines=lines,
        ),
        draw=functools.partial(_draw_sweep, table),
    )


def _draw_sweep(table: pd.DataFrame, words: Words) -> matplotlib.figure.Figure:
    figure = styles.new_figure(4.4)
    axes = figure.subplots()
    methods = list(dict.fromkeys(table["method"]))
    for (method, rows), line in table.groupby(["method", "rows"], sort=False):
        style = styles.method_style(str(method), methods)
        dashes, marker = style.line, style.marker
        if method == "local":
            dashes, marker = _LOCAL_STYLES.get(str(rows), (dashes, marker))
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


def _page_table(table: pd.DataFrame, words: Words) -> Table:
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
                *[_percent(line.get(level), words) for level in levels],
            ]
            for key, line in wide.items()
        ],
        frame=table,
    )


def _percent(share: float | None, words: Words) -> str:
    if share is None or np.isnan(share):
        return formats.undefined(words)
    return words.percent(share)


def _label(method: str, rows: str, words: Words) -> str:
    return words.say(
        "%(method)s, %(rows)s",
        method=labels.method(method, words),
        rows=words.say(_ROWS.get(rows, rows)),
    )

"""Average precision by source of terminal risk, from `terminal_risk.json`."""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import matplotlib.figure

from tff_finance.report import labels, styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture
from tff_finance.report.interval_figure import Series, draw_intervals
from tff_finance.report.rendering import Drawing

_METRIC = "average_precision"
ARMS = {
    "own": "own payments\nonly",
    "federated": "counts summed\nover banks",
    "pooled": "all banks'\npayments pooled",
}
"""What terminal risk is computed from, from the least shared to the most."""


def draw_arms(result: Mapping[str, Any], path: pathlib.Path) -> None:
    """Draws average precision with 95 % intervals, in English.

    Args:
        result: The content of `terminal_risk.json`.
        path: PNG or SVG file; written atomically.
    """
    words = Words("en")
    picture = Picture(
        name="arms",
        title="Average precision by source of terminal risk",
        alt="Average precision on test payments by source of terminal risk.",
        draw=functools.partial(_draw, result),
    )
    Drawing(picture, words).write(path)


def _draw(result: Mapping[str, Any], words: Words) -> matplotlib.figure.Figure:
    methods = list(result["values"]["own"])
    series = []
    for method in methods:
        style = styles.method_style(method, methods)
        series.append(
            Series(
                label=labels.method(method, words),
                color=style.color,
                marker=style.marker,
                values=[result["values"][arm][method][_METRIC] for arm in ARMS],
            )
        )
    return draw_intervals(
        list(ARMS.values()), series, words, axis="Average precision, %", numbers=True
    )

"""Accuracy by attack and aggregation, from `robustness.json`."""

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

_ATTACKS = {
    "none": "all honest",
    "sign_flip": "one sends\nits negative",
    "scale": "one sends\nit scaled",
    "random": "one sends\nnoise",
}


def draw_robustness(result: Mapping[str, Any], path: pathlib.Path) -> None:
    """Draws pooled accuracy with 95 % intervals, in English.

    Args:
        result: The content of `robustness.json`.
        path: PNG or SVG file; written atomically.
    """
    words = Words("en")
    picture = Picture(
        name="robustness",
        title="Accuracy by attack and aggregation",
        alt="Accuracy on all test rows by attack and aggregation.",
        draw=functools.partial(_draw, result["attacks"]),
    )
    Drawing(picture, words).write(path)


def _draw(attacks: Mapping[str, Any], words: Words) -> matplotlib.figure.Figure:
    methods = list(next(iter(attacks.values())))
    series = []
    for number, method in enumerate(methods):
        style = styles.series_style(number)
        values = [of_attack[method]["accuracy"] for of_attack in attacks.values()]
        series.append(
            Series(
                label=labels.method(method, words),
                color=style.color,
                marker=style.marker,
                values=values,
            )
        )
    return draw_intervals(
        [_ATTACKS[attack] for attack in attacks],
        series,
        words,
        axis="Accuracy on all test rows, %",
        numbers=True,
    )

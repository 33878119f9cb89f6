"""How well scores rank and how far they can be believed."""

import functools
from collections.abc import Mapping

import matplotlib.axes
import matplotlib.figure
import numpy as np
import pandas as pd

from tff_finance.report import formats, labels, score_curves, styles
from tff_finance.report.catalogue import Words
from tff_finance.report.content import Picture, Section, Study, Table
from tff_finance.report.score_curves import Curves, ScoreHistograms


def score_section(study: Study, histograms: ScoreHistograms, words: Words) -> Section:
    """ROC, precision-recall and calibration over all banks' test rows."""
    say = words.say
    found = {method: histograms.curves(method) for method in study.methods}
    curves = {method: c for method, c in found.items() if c is not None}
    missing = [labels.method(m, words) for m, c in found.items() if c is None]
    notes = [
        say(
            "Means over seeds; for banks alone also over their models, each on all "
            "banks' customers. A calibration point needs %(rows)s customers or more.",
            rows=words.number(score_curves.MIN_CALIBRATION_ROWS),
        )
    ]
    if missing:
        notes.append(
            say(
                "No curves, for want of score histograms with both classes: "
                "%(methods)s.",
                methods=say(", ").join(missing),
            )
        )
    table = _metrics_table(study, words)
    return Section(
        anchor=f"{study.key}scores",
        title=say("How good the scores are, whole market"),
        paragraphs=[
            say(
                "First, how many defaulters are found at the price of how many "
                "false alarms (the closer to the upper left corner, the better); "
                "second, how many of those flagged do default; third, whether "
                "customers said to default with 30 % probability do so in 30 of 100 "
                "cases (the closer to the diagonal, the better)."
            )
        ],
        pictures=_score_pictures(study, curves, table, words) if curves else [],
        tables=[table],
        notes=notes,
    )


def _score_pictures(
    study: Study, curves: Mapping[str, Curves], table: Table, words: Words
) -> list[Picture]:
    say = words.say
    kinds = (
        ("roc", say("ROC curve"), "auc", _draw_roc),
        (
            "precision_recall",
            say("Precision and recall"),
            "average_precision",
            _draw_pr,
        ),
        ("calibration", say("Calibration curve"), "ece", _draw_calibration),
    )
    return [
        Picture(
            name=f"{study.key}{name}",
            title=title,
            alt=say(
                "%(title)s of each method on the whole market. %(metric)s: %(values)s.",
                title=title,
                metric=labels.metric(metric, words),
                values=_metric_values(study, metric, words),
            ),
            draw=functools.partial(draw, study, curves),
        )
        for name, title, metric, draw in kinds
    ]


def _metric_values(study: Study, metric: str, words: Words) -> str:
    undefined = {"mean": None, "reason": "undefined"}
    return words.say("; ").join(
        f"{labels.method(method, words)} "
        + formats.plain(
            study.summary["methods"][method]["pooled"].get(metric, undefined), words
        )
        for method in study.methods
    )


def _draw_roc(
    study: Study, curves: Mapping[str, Curves], words: Words
) -> matplotlib.figure.Figure:
    figure = styles.new_figure(4.6)
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color="#8a93a0", linewidth=0.8)
    for method, curve in curves.items():
        _plot(axes, study, method, (score_curves.GRID, curve.recall), words=words)
    axes.set_xlabel(words.say("False alarms: share of good customers flagged, %"))
    axes.set_ylabel(words.say("Recall: share of defaulters found, %"))
    _finish_square(axes)
    return figure


def _draw_pr(
    study: Study, curves: Mapping[str, Curves], words: Words
) -> matplotlib.figure.Figure:
    figure = styles.new_figure(4.6)
    axes = figure.subplots()
    for method, curve in curves.items():
        _plot(axes, study, method, (score_curves.GRID, curve.precision), words=words)
    axes.set_xlabel(words.say("Recall: share of defaulters found, %"))
    axes.set_ylabel(words.say("Precision: share of those flagged who default, %"))
    _finish_square(axes)
    return figure


def _draw_calibration(
    study: Study, curves: Mapping[str, Curves], words: Words
) -> matplotlib.figure.Figure:
    figure = styles.new_figure(4.6)
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color="#8a93a0", linewidth=0.8)
    for method, curve in curves.items():
        _plot(
            axes, study, method, (curve.predicted, curve.observed), words=words, every=1
        )
    axes.set_xlabel(words.say("Predicted probability of default, %"))
    axes.set_ylabel(words.say("Observed default rate, %"))
    _finish_square(axes)
    return figure


def _plot(
    axes: matplotlib.axes.Axes,
    study: Study,
    method: str,
    points: tuple[np.ndarray, np.ndarray],
    *,
    words: Words,
    every: int = 12,
) -> None:
    style = styles.method_style(method, study.methods)
    offset = study.methods.index(method) if every > 1 else 0
    axes.plot(
        100 * points[0],
        100 * points[1],
        color=style.color,
        linestyle=style.line,
        marker=style.marker,
        markersize=4,
        # Shifted, so that curves that coincide still show all their markers.
        markevery=(2 * offset, every),
        label=labels.method(method, words),
    )


def _finish_square(axes: matplotlib.axes.Axes) -> None:
    axes.set_xlim(-2, 102)
    axes.set_ylim(-2, 102)
    axes.grid()
    styles.legend_above(axes)


def _metrics_table(study: Study, words: Words) -> Table:
    say = words.say
    names = list(study.summary["methods"][study.methods[0]]["pooled"])
    rows = [
        [
            labels.metric(name, words),
            *[
                formats.plain(
                    study.summary["methods"][method]["pooled"][name], words, digits=3
                )
                for method in study.methods
            ],
        ]
        for name in names
    ]
    records = [
        {"method": m, "rows": scope, "institution": bank, "metric": name}
        | formats.flat(value)
        for m in study.methods
        for scope, bank, values in _cells(study, m)
        for name, value in values.items()
    ]
    return Table(
        name=f"{study.key}metrics",
        caption=say("All metrics on the whole market"),
        header=[say("Metric"), *[labels.method(m, words) for m in study.methods]],
        rows=rows,
        frame=pd.DataFrame(records),
    )


def _cells(study: Study, method: str) -> list[tuple[str, str, Mapping[str, dict]]]:
    summary = study.summary["methods"][method]
    cells = [("pooled", "", summary["pooled"])]
    for scope in ("own", "others"):
        cells += [(scope, bank, values) for bank, values in summary[scope].items()]
    return cells

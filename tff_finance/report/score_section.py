"""How well scores rank and how far they can be believed."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import matplotlib.figure
import pandas as pd

from tff_finance.report import formats, labels, score_curves, styles
from tff_finance.report.catalogue import Words, mark
from tff_finance.report.class_words import ClassWords, class_words
from tff_finance.report.content import Picture, Section, Study, Table
from tff_finance.report.score_curves import Array, Curves, ScoreHistograms


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Kind:
    """One kind of curve, and the metric that sums it up; texts are English."""

    name: str
    title: str
    metric: str
    points: Callable[[Curves], tuple[Array, Array]]
    x_label: str
    y_label: str
    diagonal: bool
    every: int


def _kinds(classes: ClassWords) -> tuple[_Kind, ...]:
    return (
        _Kind(
            name="roc",
            title=mark("ROC curve"),
            metric="auc",
            points=lambda curves: (score_curves.GRID, curves.recall),
            x_label=classes.false_alarms,
            y_label=classes.recall,
            diagonal=True,
            every=12,
        ),
        _Kind(
            name="precision_recall",
            title=mark("Precision and recall"),
            metric="average_precision",
            points=lambda curves: (score_curves.GRID, curves.precision),
            x_label=classes.recall,
            y_label=classes.precision,
            diagonal=False,
            every=12,
        ),
        _Kind(
            name="calibration",
            title=mark("Calibration curve"),
            metric="ece",
            points=lambda curves: (curves.predicted, curves.observed),
            x_label=classes.predicted,
            y_label=classes.observed,
            diagonal=True,
            every=1,
        ),
    )


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
        paragraphs=[say(class_words(study).curves)],
        pictures=_score_pictures(study, curves, words) if curves else [],
        tables=[table],
        notes=notes,
    )


def _score_pictures(
    study: Study, curves: Mapping[str, Curves], words: Words
) -> list[Picture]:
    return [
        Picture(
            name=f"{study.key}{kind.name}",
            title=words.say(kind.title),
            alt=words.say(
                "%(title)s of each method on the whole market. %(metric)s: %(values)s.",
                title=words.say(kind.title),
                metric=labels.metric(kind.metric, words),
                values=_metric_values(study, kind.metric, words),
            ),
            draw=functools.partial(_draw_curves, study, curves, kind),
        )
        for kind in _kinds(class_words(study))
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


def _draw_curves(
    study: Study, curves: Mapping[str, Curves], kind: _Kind, words: Words
) -> matplotlib.figure.Figure:
    figure = styles.new_figure(4.6)
    axes = figure.subplots()
    if kind.diagonal:
        axes.plot([0, 100], [0, 100], color="#8a93a0", linewidth=0.8)
    for method, curve in curves.items():
        style = styles.method_style(method, study.methods)
        x, y = kind.points(curve)
        # Shifted, so that curves that coincide still show all their markers.
        first = 0 if kind.every == 1 else 2 * study.methods.index(method)
        axes.plot(
            100 * x,
            100 * y,
            color=style.color,
            linestyle=style.line,
            marker=style.marker,
            markersize=4,
            markevery=(first, kind.every),
            label=labels.method(method, words),
        )
    axes.set_xlabel(words.say(kind.x_label))
    axes.set_ylabel(words.say(kind.y_label))
    axes.set_xlim(-2, 102)
    axes.set_ylim(-2, 102)
    axes.grid()
    styles.legend_above(axes)
    return figure


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
